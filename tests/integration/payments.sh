# The payments image, 1.2 GB and more: its report, tidy's result answers alike, lossless shows the same merged tree, and
# the whole run fits into a control group of 256 MB without swap, TMPDIR included. Takes this one image always.
. "$(dirname "$0")/common.inc"
. "$(dirname "$0")/memory-limit.inc"
needs_starts
real_image payments

# Of a table's time the machine's load is a part.
say "load: $(cut -d ' ' -f 1-3 /proc/loadavg)"
started=$(date +%s)
optimize --form tidy "oci:$layout" "oci:$work/tidy"
cat "$work/out" >&2
say "tidy: $(($(date +%s) - started)) s"
unpacked=$(field "$work/report" '.platforms[0].unpacked.before')
[ "$unpacked" -ge 1200000000 ] || fail "the image has $unpacked bytes only"
digest=$(field "$work/report" .result.digest)
same "$(field "$work/report" .changed)" true
# The image's leftovers: a build cache, a module cache and package lists at least.
for rule in go-build-cache go-module-cache; do
    field "$work/report" '.platforms[0].rules[].id' | grep -qx "$rule" || fail "tidy finds no $rule"
done
answers "$layout" "$work/answers"
answers "$work/tidy" "$work/answers.tidy"
diff -u "$work/answers" "$work/answers.tidy" >&2 || fail "tidy's result answers differently"
say "tidy: answers alike"
rm -rf "$work/tidy"

optimize --form lossless "oci:$layout" "oci:$work/lossless"
same_listing "$layout" "$work/lossless"
say "lossless: the same merged tree, $(wc -l < "$work/listing.a") names"
rm -rf "$work/lossless"

# The result goes to a disk: what is written into memory would count.
disk=$(mktemp -d "$IMGSLIM_TEST_CACHE/limited.XXXXXX")
trap 'drop_memory_group; rm -rf "$work" "$disk"' EXIT
limited 256 "$work/peak" env XDG_CACHE_HOME="$disk/cache" timeout -k 5 900 "$imgslim" optimize --form tidy --report "$work/report" "oci:$layout" \
    "oci:$disk/limited" || fail "the run in 256 MB ended with $?"
same "$(field "$work/report" .result.digest)" "$digest"
say "256 MB, no swap, TMPDIR a tmpfs inside: succeeds, peak $(cat "$work/peak")"
