# amd64 and arm64 of one service, optimized apart: what has no architecture is the same blobs in both.
. "$(dirname "$0")/common.inc"
real_image two-platforms
for architecture in amd64 arm64; do
    optimize --platform "linux/$architecture" "oci:$layout" "oci:$work/$architecture"
    same "$(field "$work/report" .form)" distroless
    field "$work/report" '.platforms[0].layers[] | select(.action == "new" and .created_by != "application") |
        "\(.result_digest) \(.compressed.after)"' | sort > "$work/$architecture.layers"
done
[ -s "$work/amd64.layers" ] || fail "no layer but the application's"
diff "$work/amd64.layers" "$work/arm64.layers" >&2 || fail "data layers differ between the platforms"
say "$(wc -l < "$work/amd64.layers") layers of data are the same blobs on both platforms"
