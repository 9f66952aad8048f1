# On real images the rows of an audit add up to the bytes of every layer, nothing is in no entry, and the parts of each Go
# program add up to its file.
. "$(dirname "$0")/common.inc"
needs jq

images='payments payments-multistage service-ko service-musl two-platforms'
[ -z "${IMGSLIM_FULL:-}" ] || images=$(sh "$support/images.sh" list)
for name in $images; do
    real_image "$name"
    expect 0 "$imgslim" audit -q --no-cache --config /dev/null --format json "oci:$layout"
    same "$(jq '[.images[].layers[] | ([.entries[] | .content + .headers + .padding] | add // 0) + .end + .unknown == .unpacked] | all' "$work/out")" true
    same "$(jq '[.images[].layers[] | ([.entries[].compressed] | add // 0) + .end_compressed == .compressed] | all' "$work/out")" true
    same "$(jq '[.images[] | .content + .headers + .padding + .end + .unknown == .unpacked] | all' "$work/out")" true
    same "$(jq '[.images[].unknown] | add' "$work/out")" 0
    same "$(jq '[.images[].go[] | ([.parts[].bytes] | add) == .bytes] | all' "$work/out")" true
    same "$(jq '[.images[].waste | .copies == .visible + .bytes] | all' "$work/out")" true
    say "$name: $(jq -r '[.images[] | .unpacked] | add' "$work/out") bytes attributed"
done
