# The payments image, auto: proven distroless, as small as what one would pick by hand (tests/support/payments.keep,
# written before the form was), and every answer equal, headers included. Sample: the image of several layers;
# IMGSLIM_FULL=1: also as one layer and as a multi-stage build.
. "$(dirname "$0")/common.inc"
needs_starts
[ "$(id -u)" = 0 ] || skip "the hand-picked image is made as root"

layouts=payments
[ -z "${IMGSLIM_FULL:-}" ] || layouts="payments payments-one payments-multistage"

real_image payments
picked=$(TMPDIR=$work IMGSLIM_UNPACK=pure sh "$support/hand-picked.sh" "$layout" "$work/picked" | cut -d ' ' -f 2)
answers "$layout" "$work/answers"
answers "$work/picked" "$work/answers.picked"
diff -u "$work/answers" "$work/answers.picked" >&2 || fail "the hand-picked image answers differently"
rm -rf "$work/picked"

for name in $layouts; do
    real_image "$name"
    optimize "oci:$layout" "oci:$work/slim"
    same "$(field "$work/report" .form)" distroless
    bytes=$(field "$work/report" '.platforms[0].compressed.after')
    answers "$work/slim" "$work/answers.slim"
    diff -u "$work/answers" "$work/answers.slim" >&2 || fail "$name: the result answers differently"
    awk "BEGIN { exit !($bytes <= 1.05 * $picked) }" ||
        fail "$name: $bytes compressed bytes, by hand $picked"
    expect 0 "$imgslim" verify "oci:$work/slim" --against "oci:$layout"
    say "$name: $bytes compressed bytes, by hand $picked: $(awk "BEGIN { printf \"%.3f\", $bytes / $picked }")"
    rm -rf "$work/slim"
done
