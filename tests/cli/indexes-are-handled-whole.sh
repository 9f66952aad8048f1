# Every platform of an index; --platform leaves out the others and says so; attestations go with what they describe.
. "$(dirname "$0")/common.inc"

describe() {
    for platform in linux/amd64 linux/arm64; do
        echo "platform $platform"
        echo layer gzip base
        echo f usr/share/data random:50000:1
        echo f usr/share/old random:50000:2
        echo layer gzip
        echo f app elf:$platform mode=0755
        echo "$1"
        echo attest
    done
}
describe "w usr/share/old" | image "$work/a" > /dev/null
expect 0 "$imgslim" optimize --report "$work/r" "oci:$work/a" "oci:$work/b"
same "$(field "$work/r" '[.platforms[].platform] | join(" ")')" "linux/amd64 linux/arm64"
same "$(field "$work/r" '.attestations_dropped')" 2
says "2 attestations"
# The equal rewritten base layers of both platforms are one blob.
same "$(field "$work/r" '[.platforms[].layers[0].result_digest] | unique | length')" 1
# Three are the certificate's.
same "$(find "$work/b/blobs" -type f | wc -l)" 11
expect 0 "$imgslim" optimize --report "$work/r" --platform linux/arm64 "oci:$work/a" "oci:$work/c"
same "$(field "$work/r" '.left_out | join(" ")')" linux/amd64
says "linux/amd64"
describe "f other text:x" | image "$work/d" > /dev/null
expect 0 "$imgslim" optimize --report "$work/r" "oci:$work/d" "oci:$work/e"
same "$(field "$work/r" '.changed, .attestations_dropped')" "$(printf 'false\n0')"
# Two platforms do not fit into a docker-archive: said before any work.
expect 2 "$imgslim" optimize "oci:$work/a" "docker-archive:$work/f.tar"
[ ! -e "$work/f.tar" ] || fail "something was written"
