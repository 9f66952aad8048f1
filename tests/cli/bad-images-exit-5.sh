# Malformed and hostile images: exit 5, one line with image and layer, nothing written, source untouched.
. "$(dirname "$0")/common.inc"

fresh() {
    rm -rf "$work/a"
    image "$work/a" > /dev/null <<'D'
layer gzip
f app elf:1 mode=0755
f x random:50000:1
D
    manifest=$work/a/blobs/sha256/$(jq -r '.manifests[0].digest[7:]' "$work/a/index.json")
    layer=$work/a/blobs/sha256/$(jq -r '.layers[0].digest[7:]' "$manifest")
}
bad() {
    before=$(find "$work/a" -type f | sort | xargs sha256sum)
    expect 5 "$imgslim" optimize -q "oci:$work/a" "oci:$work/b"
    same "$(wc -l < "$work/err")" 1
    [ ! -s "$work/out" ] || fail "standard output is not empty"
    [ ! -e "$work/b" ] || fail "something was written"
    same "$before" "$(find "$work/a" -type f | sort | xargs sha256sum)"
    says "$1"
}
fresh
truncate -s -100 "$layer"
bad "$(basename "$layer" | cut -c 1-12)"
fresh
printf X | dd of="$layer" bs=1 seek=30000 conv=notrunc 2> /dev/null
bad "$(basename "$layer" | cut -c 1-12)"
fresh
mv "$layer" "$layer.real"
ln -s "$(basename "$layer").real" "$layer"
bad "$(basename "$layer" | cut -c 1-12)"
fresh
rm "$layer"
bad "$(basename "$layer" | cut -c 1-12)"
fresh
echo '{' > "$work/a/index.json"
bad "index.json"

# A layer of raw tar bytes, by python, put into a fresh image.
raw() {
    rm -rf "$work/a"
    python3 - "$work/a" "$1" <<'P'
import gzip, hashlib, io, json, os, sys, tarfile
layout, kind = sys.argv[1:]
blobs = os.path.join(layout, "blobs", "sha256")
os.makedirs(blobs)
def put(data):
    name = hashlib.sha256(data).hexdigest()
    open(os.path.join(blobs, name), "wb").write(data)
    return {"digest": "sha256:" + name, "size": len(data)}
out = io.BytesIO()
tar = tarfile.open(fileobj=out, mode="w", format=tarfile.PAX_FORMAT)
def add(name, data=b"x", **fields):
    info = tarfile.TarInfo(name)
    info.size = len(data)
    for key, value in fields.items():
        setattr(info, key, value)
    tar.addfile(info, io.BytesIO(data))
media = "application/vnd.oci.image.layer.v1.tar+gzip"
if kind == "climb": add("../evil")
if kind == "loop":
    add("a", b"", type=tarfile.SYMTYPE, linkname="b"); add("b", b"", type=tarfile.SYMTYPE, linkname="a"); add("a/x")
if kind == "socket": add("s", b"", type=b"s")
if kind == "device": add("w", b"", type=tarfile.CHRTYPE, devmajor=0, devminor=0)
if kind == "nul": add("x", pax_headers={"path": "a\0b"})
if kind == "component": add("n" * 256)
if kind == "hardlink": add("l", b"", type=tarfile.LNKTYPE, linkname="missing")
if kind == "bomb": add("zeros", bytes(300 << 20))
if kind == "good": add("/absolute"); add("app")
tar.close()
plain = out.getvalue()
if kind == "good": plain = plain[:-(len(plain) % 10240 or 10240)] if False else plain.rstrip(b"\0") + bytes(-len(plain.rstrip(b"\0")) % 512)
blob = gzip.compress(plain, 9, mtime=0)
if kind == "xz":
    import lzma; blob = lzma.compress(plain)
diff = "sha256:" + hashlib.sha256(plain).hexdigest()
if kind == "diffid": diff = "sha256:" + "0" * 64
layers = [{"mediaType": media, **put(blob)}]
config = {"architecture": "amd64", "os": "linux", "config": {"Cmd": ["/app"]}, "rootfs": {"type": "layers", "diff_ids": [diff]}}
if kind == "count": config["rootfs"]["diff_ids"].append(diff)
config = {"mediaType": "application/vnd.oci.image.config.v1+json", **put(json.dumps(config).encode())}
manifest = {"schemaVersion": 2, "mediaType": "application/vnd.oci.image.manifest.v1+json", "config": config, "layers": layers}
if kind == "both": manifest["manifests"] = []
if kind == "size": manifest["layers"][0]["size"] += 1
if kind == "schema1": manifest = {"schemaVersion": 1, "name": "x", "fsLayers": []}
text = json.dumps(manifest).encode()
if kind == "deep": text = text[:-1] + b',"x":' + b"[" * 5000 + b"]" * 5000 + b"}"
root = {"mediaType": "application/vnd.oci.image.manifest.v1+json", **put(text)}
json.dump({"schemaVersion": 2, "manifests": [root]}, open(os.path.join(layout, "index.json"), "w"))
open(os.path.join(layout, "oci-layout"), "w").write('{"imageLayoutVersion":"1.0.0"}')
P
}
for kind in climb loop socket device nul component hardlink bomb xz diffid count both size schema1 deep; do
    raw $kind
    bad "$work/a"
done
raw good
expect 0 "$imgslim" optimize -q "oci:$work/a" "oci:$work/b"
