# SPDX-License-Identifier: Apache-2.0
# A cache that is broken in one place is refused, or what is published of it is whole.
. "$(dirname "$0")/common.inc"
caches=$support/buildkit_cache.py
cd "$work"

image whole > made <<D
config '{"moby.buildkit.cache.v0": "$(python3 "$caches" key 3)"}'
layer gzip 'COPY app /'
f app random:3000:1 mode=0755
layer gzip 'RUN touch y'
f y text:1
layer gzip 'RUN touch z'
f z text:2
D
image other > made <<'D'
layer gzip
f app text:hello mode=0755
D
good=$(python3 "$caches" convert whole manifest good)

# broken WHAT VERIFY PUBLISH [LAYERS]: exit statuses of cache verify and optimize; what is published then holds, with so
# many layers (3: it is the whole cache).
broken() {
    for form in manifest index; do
        rm -rf src dst
        cp -r whole src
        python3 "$caches" convert src $form cache "$1" > made
        expect "$2" "$imgslim" cache verify oci:src:cache
        expect "$3" "$imgslim" optimize --form lossless oci:other oci:dst --report report \
            --buildkit-cache-from oci:src:cache --buildkit-cache-to oci:dst:cache,form=manifest
        if [ "$3" != 0 ]; then
            [ ! -e dst ] || fail "$1, $form: something was written"
            continue
        fi
        expect 0 "$imgslim" cache verify oci:dst:cache
        same "$1 $form $(field report .buildkit_cache.layers.after)" "$1 $form $4"
        [ "$4" != 3 ] || same "$1 $form $(field report .buildkit_cache.result.digest)" "$1 $form $good"
    done
}

broken '' 0 0 3
broken record 5 5
broken link 5 5
broken loop 5 5
broken key 5 5
broken parent 5 5
broken no-parent 5 5
broken config 5 5
broken diffid 7 0 2
broken altered 7 0 2
broken missing 7 0 2
broken size 7 0 2
broken unnamed 7 0 2
broken media-type 7 0 3
broken plain-type 7 0 3
broken annotation 7 0 3
broken created 7 0 3
broken swapped 7 5
broken large 7 0 3
broken large-results 7 5

# The inline cache of an image whose layers are swapped: the image itself is refused.
rm -rf src
cp -r whole src
python3 - << 'P'
import hashlib, json
index = json.load(open("src/index.json"))
entry = index["manifests"][0]
manifest = json.load(open("src/blobs/sha256/" + entry["digest"].split(":")[1]))
manifest["layers"].reverse()
data = json.dumps(manifest).encode()
entry.update(digest="sha256:" + hashlib.sha256(data).hexdigest(), size=len(data))
open("src/blobs/sha256/" + entry["digest"].split(":")[1], "wb").write(data)
json.dump(index, open("src/index.json", "w"))
P
expect 5 "$imgslim" optimize --form lossless oci:src:latest oci:dst2 --buildkit-cache-to oci:dst2:cache
[ ! -e dst2 ] || fail "something was written"
expect 7 "$imgslim" cache verify oci:src:latest
