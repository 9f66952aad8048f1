# SPDX-License-Identifier: Apache-2.0
# Documents that are large in all, or ask for much work, cost little: refused with exit 5 and nothing written, or
# read within a minute.
. "$(dirname "$0")/common.inc"

# make KIND: a layout with one small layer.
make() {
    rm -rf "$work/a" "$work/b"
    python3 - "$work/a" "$1" <<'P'
import hashlib, io, json, os, sys, tarfile
layout, kind = sys.argv[1:]
blobs = os.path.join(layout, "blobs", "sha256")
os.makedirs(blobs)
def put(kind, data):
    name = hashlib.sha256(data).hexdigest()
    with open(os.path.join(blobs, name), "wb") as file:
        file.write(data)
    return {"mediaType": "application/vnd.oci.image." + kind, "digest": "sha256:" + name, "size": len(data)}
script = b"#!/bin/sh\n" + b"\n".join(b"w%d" % i for i in range(100000 if kind == "words" else 1))
out = io.BytesIO()
with tarfile.open(fileobj=out, mode="w") as tar:
    files = [("app", script), ("bin/sh", b"\x7fELF")]
    if kind == "entries": files += [("f%d" % i, b"") for i in range(5000)]
    for path, data in files:
        info = tarfile.TarInfo(path)
        info.size, info.mode = len(data), 0o755
        tar.addfile(info, io.BytesIO(data))
plain = out.getvalue()
layers = [put("layer.v1.tar", plain)]
if kind == "layers": layers *= 2000
env = ["PATH=/usr/bin:/bin"]
if kind == "words": env = ["PATH=" + ":".join("/%d" % i for i in range(100000)) + ":/bin"]
if kind == "env": env += ["V%d=x" % i for i in range(250000)]
config = {"architecture": "amd64", "os": "linux", "config": {"Env": env, "Entrypoint": ["/app"]},
          "rootfs": {"type": "layers", "diff_ids": ["sha256:" + hashlib.sha256(plain).hexdigest()] * len(layers)}}
if kind == "history": config["history"] = [{} for _ in range(1000001)]
manifest = {"schemaVersion": 2, "config": put("config.v1+json", json.dumps(config, separators=(",", ":")).encode()), "layers": layers}
if kind == "manifests": manifest["annotations"] = {"padding": "x" * 3000000}
entries = [put("manifest.v1+json", json.dumps(manifest).encode())]
if kind == "entries":
    entries = [put("index.v1+json", json.dumps({"schemaVersion": 2, "manifests": entries * 4000}).encode())]
if kind == "manifests":
    entries = [put("index.v1+json", json.dumps({"schemaVersion": 2, "manifests": entries * 9000}).encode())]
with open(os.path.join(layout, "index.json"), "w") as file:
    json.dump({"schemaVersion": 2, "manifests": entries}, file)
with open(os.path.join(layout, "oci-layout"), "w") as file:
    file.write('{"imageLayoutVersion":"1.0.0"}')
P
}
refused() {
    make "$1"
    expect 5 timeout 60 "$imgslim" optimize -q "oci:$work/a" "oci:$work/b"
    same "$(wc -l < "$work/err")" 1
    [ ! -e "$work/b" ] || fail "something was written"
    says "$2"
}
refused manifests "the manifests and configs are larger than"
refused layers "2000 layers, more than 1000"
refused history "more than 1000000 values"
# One layer of 5002 entries is read once, but would be in 4000 trees.
refused entries "its images have more than 20000000 entries in all"
for kind in env words; do
    make $kind
    expect 0 timeout 60 "$imgslim" optimize -q "oci:$work/a" "oci:$work/b"
done
