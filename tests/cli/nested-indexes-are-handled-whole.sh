# SPDX-License-Identifier: Apache-2.0
# An index inside an index: all images are found, the result has the same shape; too deep a nesting is refused.
. "$(dirname "$0")/common.inc"

for platform in linux/amd64 linux/arm64; do
    echo "platform $platform"
    echo layer gzip
    echo f app "elf:$platform" mode=0755
    echo f old random:50000:2
    echo layer gzip
    echo w old
done | image "$work/a" > /dev/null

# wrap LAYOUT TIMES: puts as many indexes around what the layout names.
wrap() {
    python3 - "$1" "$2" <<'P'
import hashlib, json, os, sys
layout, times = sys.argv[1], int(sys.argv[2])
path = os.path.join(layout, "index.json")
with open(path) as file:
    top = json.load(file)
entry = top["manifests"][0]
name = entry.pop("annotations")
for level in range(times):
    text = json.dumps({"schemaVersion": 2, "mediaType": "application/vnd.oci.image.index.v1+json",
                       "manifests": [entry], "annotations": {"level": str(level)}}).encode()
    digest = hashlib.sha256(text).hexdigest()
    with open(os.path.join(layout, "blobs", "sha256", digest), "wb") as file:
        file.write(text)
    entry = {"mediaType": "application/vnd.oci.image.index.v1+json", "digest": "sha256:" + digest, "size": len(text)}
top["manifests"] = [{**entry, "annotations": name}]
with open(path, "w") as file:
    json.dump(top, file)
P
}
# below LAYOUT FILE: the images and indexes that FILE names.
below() {
    field "$2" '.manifests[] | select(.artifactType == null).digest[7:]' | sed "s|^|$1/blobs/sha256/|"
}
wrap "$work/a" 2
expect 0 "$imgslim" optimize --report "$work/r" "oci:$work/a" "oci:$work/b"
same "$(field "$work/r" '[.changed, .platforms[].platform] | join(" ")')" "true linux/amd64 linux/arm64"
outer=$(below "$work/b" "$work/b/index.json")
same "$(field "$outer" '.annotations.level')" 1
inner=$(below "$work/b" "$outer")
same "$(field "$inner" '.annotations.level')" 0
index=$(below "$work/b" "$inner")
same "$(field "$index" '[.manifests[].platform.architecture] | join(" ")')" "amd64 arm64"
for manifest in $(below "$work/b" "$index"); do
    same "$(field "$manifest" '.layers | length')" 1
done
expect 0 "$imgslim" optimize --report "$work/r" --platform linux/arm64 "oci:$work/a" "oci:$work/c"
same "$(field "$work/r" '.left_out | join(" ")')" linux/amd64

# bad input 58: indexes nested too deep are refused.
wrap "$work/a" 7
expect 5 "$imgslim" optimize -q "oci:$work/a" "oci:$work/d"
says "nested more than 8 deep"
[ ! -e "$work/d" ] || fail "something was written"
