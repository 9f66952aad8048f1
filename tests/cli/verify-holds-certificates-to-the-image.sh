# verify with a certificate, explain from it: what it claims holds of its own image and of no other; what was taken
# away or altered is named.
. "$(dirname "$0")/common.inc"

program=/bin/true
interpreter=$(readelf -l "$program" 2> /dev/null | sed -n 's/.*interpreter: \(.*\)\]/\1/p')
libc=$(ldd "$program" 2> /dev/null | awk '$1 == "libc.so.6" {print $3}')
[ -n "$interpreter" ] && [ -f "$libc" ] || skip "no dynamic $program with glibc here"
[ "$(uname -m)" = x86_64 ] || skip "the test images are amd64"

describe() {
    cat <<D
config '{"config": {"Entrypoint": ["$program"]}}'
layer gzip
f ${program#/} file:$program mode=0755
f ${interpreter#/} file:$interpreter mode=0755
f ${libc#/} file:$libc mode=0755
f etc/passwd "text:root:x:0:0::/:/bin/sh\n"
d var/spool/app mode=0700 uid=7
f usr/share/man/man1/p.1 "text:manual\n"
f var/lib/dpkg/status "text:Package: p\nStatus: install ok installed\nVersion: 1\nArchitecture: all\n\n"
f var/lib/dpkg/info/p.list "text:/.\n/usr\n/usr/share\n/usr/share/man\n/usr/share/man/man1\n/usr/share/man/man1/p.1\n"
D
}
describe | image "$work/in" > /dev/null
expect 0 "$imgslim" optimize -q --form distroless --proof "$work/proof" "oci:$work/in" "oci:$work/slim"
expect 0 "$imgslim" verify --format json "oci:$work/slim"
paths=$(field "$work/proof" '.platforms[0].paths | length')
same "$(field "$work/out" '.ok, .platforms[0].proven' | tr '\n' ' ')" "true $paths "
grep -q 'sha256:' "$work/out" || fail "the certificate is not named"
expect 0 "$imgslim" verify --proof "$work/proof" "oci:$work/slim:latest"

# explain: kept down to the command, gone with what brings it back, neither.
expect 0 "$imgslim" explain "oci:$work/slim" "$program"
grep -q "^$program: kept\$" "$work/out" || fail "$(cat "$work/out")"
tail -1 "$work/out" | grep -q "^  $program by [a-z]*, because of " || fail "$(cat "$work/out")"
for image in "oci:$work/slim" "oci:$work/in"; do
    expect 0 "$imgslim" explain "$image" /usr/share/man/man1/p.1
    grep -q -- '--keep /usr/share/man/man1/p.1 brings it back' "$work/out" || fail "$image: $(cat "$work/out")"
done
expect 1 "$imgslim" explain "oci:$work/in" /usr/share/man/man1/q.1
expect 0 "$imgslim" explain --afresh --format json "oci:$work/slim" '/var/*/app'
same "$(field "$work/out" '.platforms[0].paths[] | .path + " " + .state')" "/var/spool/app kept"
expect 1 "$imgslim" explain "oci:$work/slim" '/none/*'
says "nothing matches /none/*"
expect 2 "$imgslim" explain --afresh --proof "$work/proof" "oci:$work/slim" /
# What --keep brings back is there.
expect 0 "$imgslim" optimize -q --form distroless --keep /usr/share/man/man1/p.1 "oci:$work/in" "oci:$work/more"
expect 0 "$imgslim" explain "oci:$work/more" /usr/share/man/man1/p.1
grep -q 'by --keep' "$work/out" || fail "$(cat "$work/out")"

# altered LINE TEXT: another layer on the result makes verify say TEXT, beside that the digest is another one.
altered() {
    rm -rf "$work/altered"
    cp -r "$work/slim" "$work/altered"
    python3 - "$work/altered" "$1" "$support" <<'P'
import hashlib, json, os, subprocess, sys, tempfile
layout, line, support = sys.argv[1:]
def blob(digest): return os.path.join(layout, "blobs", *digest.split(":"))
def load(digest): return json.load(open(blob(digest)))
def put(value):
    data = value if isinstance(value, bytes) else json.dumps(value).encode()
    digest = "sha256:" + hashlib.sha256(data).hexdigest()
    open(blob(digest), "wb").write(data)
    return digest, len(data)
with tempfile.TemporaryDirectory() as work:
    subprocess.run(["python3", support + "/tiny_image.py", work + "/i"], input=f"layer none\n{line}\n", text=True, check=True, stdout=subprocess.DEVNULL)
    index = json.load(open(work + "/i/index.json"))
    other = json.load(open(work + "/i/blobs/" + index["manifests"][0]["digest"].replace(":", "/")))
    layer = open(work + "/i/blobs/" + other["layers"][0]["digest"].replace(":", "/"), "rb").read()
index = json.load(open(layout + "/index.json"))
manifest = load(index["manifests"][0]["digest"])
config = load(manifest["config"]["digest"])
digest, size = put(layer)
config["rootfs"]["diff_ids"].append(digest)
config.setdefault("history", []).append({"created_by": "altered"})
manifest["layers"].append(dict(other["layers"][0], digest=digest, size=size))
manifest["config"]["digest"], manifest["config"]["size"] = put(config)
index["manifests"][0]["digest"], index["manifests"][0]["size"] = put(manifest)
json.dump(index, open(layout + "/index.json", "w"))
P
    expect 7 "$imgslim" verify -q --proof "$work/proof" "oci:$work/altered:latest"
    grep -q 'it speaks of sha256:' "$work/out" || fail "$(cat "$work/out")"
    grep -qF -- "$2" "$work/out" || fail "$1: $(cat "$work/out")"
}
altered "w etc/passwd" "/etc/passwd: not there; the certificate has it"
altered 'f etc/passwd "text:root:x:0:0::/:/bin/no\n"' "/etc/passwd: its content is not that of the certificate"
altered "d var/spool/app mode=0755 uid=7" "/var/spool/app: d 0755 of 7:0; in the certificate d 0700 of 7:0"
altered "f opt/new text:x" "/opt/new: not in the certificate"
altered "w ${libc#/}" "$libc: not there; the certificate has it"

# A certificate that cannot be read is a failure of its own, not of the program.
manifest=$(field "$work/slim/index.json" '.manifests[1].digest')
content=$(field "$work/slim/blobs/sha256/${manifest#sha256:}" '.layers[0].digest')
echo '{}' > "$work/slim/blobs/sha256/${content#sha256:}"
expect 7 "$imgslim" verify -q "oci:$work/slim"
grep -q 'certificate' "$work/out" || fail "$(cat "$work/out")"
echo '{"version": 9}' > "$work/bad"
expect 5 "$imgslim" verify -q --proof "$work/bad" "oci:$work/slim"
