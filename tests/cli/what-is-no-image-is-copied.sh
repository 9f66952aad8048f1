# SPDX-License-Identifier: Apache-2.0
# In an index: artifacts and Windows images go along byte for byte, the rest is slimmed; a layer labelled with the wrong
# compression is read by its bytes and labelled right when it is rewritten; a foreign layer that is not there is named.
. "$(dirname "$0")/common.inc"

{
    echo platform windows/amd64
    echo layer gzip
    echo f Files/app.exe random:2000:3
    echo platform linux/amd64
    echo layer zstd
    echo f app elf:1 mode=0755
    echo f old random:50000:2
    echo layer gzip
    echo w old
} | image "$work/a" > /dev/null
# edit KIND: rewrites the layout's documents.
edit() {
    python3 - "$work/a" "$1" <<'P'
import hashlib, json, os, sys
layout, kind = sys.argv[1:]
blobs = os.path.join(layout, "blobs", "sha256")
def read(descriptor):
    with open(os.path.join(blobs, descriptor["digest"][7:])) as file:
        return json.load(file)
def put(value, old):
    text = json.dumps(value).encode()
    digest = hashlib.sha256(text).hexdigest()
    with open(os.path.join(blobs, digest), "wb") as file:
        file.write(text)
    return {**old, "digest": "sha256:" + digest, "size": len(text)}
with open(os.path.join(layout, "index.json")) as file:
    top = json.load(file)
index = read(top["manifests"][0])
if kind == "artifact":
    empty = put({}, {"mediaType": "application/vnd.oci.empty.v1+json"})
    index["manifests"].append(put({"schemaVersion": 2, "mediaType": "application/vnd.oci.image.manifest.v1+json",
        "artifactType": "application/vnd.example", "config": empty, "layers": [empty]},
        {"mediaType": "application/vnd.oci.image.manifest.v1+json"}))
manifest = read(index["manifests"][1])
if kind == "label": manifest["layers"][0]["mediaType"] = "application/vnd.oci.image.layer.v1.tar"
if kind == "foreign":
    manifest["layers"][0].update({"mediaType": "application/vnd.oci.image.layer.nondistributable.v1.tar+gzip",
        "urls": ["http://127.0.0.1:9/layer"]})
    os.unlink(os.path.join(blobs, manifest["layers"][0]["digest"][7:]))
index["manifests"][1] = put(manifest, index["manifests"][1])
top["manifests"] = [put(index, top["manifests"][0])]
with open(os.path.join(layout, "index.json"), "w") as file:
    json.dump(top, file)
P
}
index() {
    echo "$1/blobs/sha256/$(field "$1/index.json" '.manifests[0].digest[7:]')"
}
edit artifact
edit label
expect 0 "$imgslim" optimize --report "$work/r" "oci:$work/a" "oci:$work/b"
same "$(field "$work/r" '[.platforms[].platform] | join(" ")')" linux/amd64
for entry in 0 2; do
    digest=$(field "$(index "$work/a")" ".manifests[$entry].digest")
    same "$digest" "$(field "$(index "$work/b")" ".manifests[$entry].digest")"
    for blob in "${digest#sha256:}" $(field "$work/a/blobs/sha256/${digest#sha256:}" '.config.digest[7:], .layers[].digest[7:]'); do
        cmp "$work/a/blobs/sha256/$blob" "$work/b/blobs/sha256/$blob" || fail "not copied: $blob"
    done
done
linux=$work/b/blobs/sha256/$(field "$(index "$work/b")" '.manifests[1].digest[7:]')
same "$(field "$linux" '[.layers[].mediaType] | join(" ")')" application/vnd.oci.image.layer.v1.tar+zstd
edit foreign
expect 5 "$imgslim" optimize -q "oci:$work/a" "oci:$work/c"
says "a foreign (non-distributable) layer whose content is not in the source"
[ ! -e "$work/c" ] || fail "something was written"
