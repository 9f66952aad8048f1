# The certificate: beside the result in layouts and archives, in a file for others; the same bytes each time, bytes
# that add up, and kept when a result is optimized again or goes to another place.
. "$(dirname "$0")/common.inc"

program=/bin/true
interpreter=$(readelf -l "$program" 2> /dev/null | sed -n 's/.*interpreter: \(.*\)\]/\1/p')
libc=$(ldd "$program" 2> /dev/null | awk '$1 == "libc.so.6" {print $3}')
[ -n "$interpreter" ] && [ -f "$libc" ] || skip "no dynamic $program with glibc here"
[ "$(uname -m)" = x86_64 ] || skip "the test images are amd64"

type=application/vnd.imgslim.proof.v1+json
image "$work/in" > /dev/null <<D
config '{"config": {"Entrypoint": ["$program"]}}'
layer gzip
f ${program#/} file:$program mode=0755
f ${interpreter#/} file:$interpreter mode=0755
f ${libc#/} file:$libc mode=0755
f etc/gone "text:old\n"
layer gzip
w etc/gone
f opt/data "text:data\n"
f var/cache/apt/pkgcache.bin random:4000:1
D
expect 0 "$imgslim" optimize -q --proof "$work/proof" --report "$work/report" "oci:$work/in" "oci:$work/slim:v1"
[ ! -s "$work/err" ] || fail "$(cat "$work/err")"

# referrer INDEX: the layer of the newest certificate beside the image.
referrer() {
    manifest=$(field "$1/index.json" "[.manifests[] | select(.artifactType == \"$type\")][-1].digest")
    same "$(field "$1/blobs/sha256/${manifest#sha256:}" .subject.digest)" \
        "$(field "$1/index.json" '.manifests[0].digest')"
    field "$1/blobs/sha256/${manifest#sha256:}" '.layers[0].digest'
}
digest=$(referrer "$work/slim")
same "${digest#sha256:}" "$(sha256sum "$work/proof" | cut -d ' ' -f 1)"
same "$(field "$work/report" .proof.digest)" "$digest"
same "$(field "$work/proof" .result)" "$(field "$work/report" .result.digest)"
same "$(field "$work/proof" .source)" "$(field "$work/in/index.json" '.manifests[0].digest')"
same "$(field "$work/proof" '.platforms[0] | .bytes.kept + .bytes.padding + ([.rules[].bytes] | add) == .bytes.source')" true
same "$(field "$work/proof" '[.platforms[0].rules[] | select(.id == "deleted")][0].entries')" 2

# The same again; a result's own certificate stays, wherever it goes.
expect 0 "$imgslim" optimize -q --proof "$work/proof.2" "oci:$work/in" "oci:$work/out2"
cmp "$work/proof" "$work/proof.2" || fail "another certificate for the same image"
expect 0 "$imgslim" optimize -q --proof "$work/proof.3" --report "$work/report" "oci:$work/slim" "oci:$work/again"
same "$(field "$work/report" .changed)" false
cmp "$work/proof" "$work/proof.3" || fail "the certificate was not kept"
same "$(referrer "$work/again")" "$digest"
expect 0 "$imgslim" optimize -q "oci:$work/again" "oci-archive:$work/a.tar"
mkdir "$work/unpacked"
tar -xf "$work/a.tar" -C "$work/unpacked"
same "$(referrer "$work/unpacked")" "$digest"

# Who has no place for it says so, once.
expect 0 "$imgslim" optimize "oci:$work/in" "docker-archive:$work/d.tar"
says "has no place for the certificate; --proof FILE writes it"
expect 0 "$imgslim" optimize --proof "$work/proof.4" "oci:$work/in" "docker-archive:$work/d.tar"
grep -q certificate "$work/err" && fail "it says so though there is a file"
expect 2 "$imgslim" optimize --dry-run --proof "$work/x" "oci:$work/in"

# lossless and tidy have less to claim
expect 0 "$imgslim" optimize -q --form lossless --proof "$work/less" "oci:$work/in" "oci:$work/lossless"
same "$(field "$work/less" '.form, (.platforms[0].paths | length)' | tr '\n' ' ')" "lossless 0 "
