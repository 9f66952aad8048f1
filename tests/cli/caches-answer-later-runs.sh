# SPDX-License-Identifier: Apache-2.0
# What an earlier run read and wrote is not read and written again; whatever a cache holds, the result is the one that a
# run without it gives.
. "$(dirname "$0")/common.inc"
cd "$work"
export SOURCE_DATE_EPOCH=1700000000

build() {
    image "$1" > made <<D
config '{"config": {"Entrypoint": ["/app"]}}'
layer gzip base
d etc
f etc/conf random:300000:1
f usr/doc/old random:200000:2
layer zstd middle
f usr/lib/data random:400000:3
layer gzip app
f app text:$2 mode=0755
f usr/doc/old random:1000:4
D
}
digest() { field "$1/index.json" '.manifests[0].digest'; }
cached() { field report '[.cache.whole_run, (.cache.layers | length), .cache.outputs.blobs] | map(tostring) | join(" ")'; }
optimize() { expect 0 "$imgslim" optimize -q --form lossless --report report "$@"; }

build src one
optimize --no-cache oci:src oci:plain
[ ! -e cache/imgslim/layers ] || fail "--no-cache keeps records"
same "$(cached)" "false 0 0"
optimize oci:src oci:a
same "$(cached)" "false 0 0"
same "$(digest a)" "$(digest plain)"
# The same again: known as a whole, and the same report but for what moved.
cp report first
optimize oci:src oci:a
same "$(cached)" "true 0 0"
same "$(jq -S 'del(.cache, .transfers)' report)" "$(jq -S 'del(.cache, .transfers)' first)"
same "$(jq -c .transfers report)" "$(jq -c .transfers first)"
# To another place: nothing is read but what the new layers hold.
optimize oci:src oci:b
same "$(cached)" "false 3 0"
same "$(digest b)" "$(digest plain)"
# The name was given to something else meanwhile, a blob was lost, or it was changed.
optimize oci:b oci:a:other
optimize oci:src oci:a
same "$(digest a)" "$(digest plain)"
lost=$(find a/blobs -size +100k | sort | head -1)
rm "$lost"
optimize oci:src oci:a
same "$(cached)" "false 3 0"
[ -s "$lost" ] || fail "a lost layer was not written again"
printf 'x' | dd of="$lost" bs=1 seek=100 conv=notrunc 2> dd.log
optimize --compression zstd oci:src oci:c
optimize oci:src oci:a
same "$(cached)" "false 3 0"
same "$(sha256sum < "$lost" | cut -d ' ' -f 1)" "${lost##*/}"
# Another layer on top: the others are known, what was written of them is there.
build next two
optimize oci:next oci:a
same "$(cached)" "false 2 1"
expect 0 "$imgslim" optimize -q --no-cache --form lossless oci:next oci:plain2
same "$(digest a)" "$(digest plain2)"
# A source that changed under its name is read.
build src three
optimize oci:src oci:a
same "$(field report .cache.whole_run)" false
blob=$(find src/blobs -size +300k | head -1)
printf 'x' | dd of="$blob" bs=1 seek=1000 conv=notrunc 2> dd.log
expect 5 "$imgslim" optimize -q --form lossless oci:src oci:a

# Damaged, foreign and poisoned records are misses.
build src one
optimize oci:src oci:d
for file in cache/imgslim/*/*; do
    size=$(stat -c %s "$file")
    head -c $((size - size / 3)) "$file" > cut
    cat cut > "$file"
done
optimize oci:src oci:d
same "$(cached)" "false 0 0"
same "$(digest d)" "$(digest plain)"
for file in cache/imgslim/*/*; do
    printf 'sha256:%s\n' "$(printf wrong | sha256sum | cut -d ' ' -f 1)" > "$file"
    printf wrong >> "$file"
done
optimize oci:src oci:d
same "$(cached)" "false 0 0"

# A cache in a layout serves another machine; with mode=max it holds the layers that were written.
optimize --cache-to type=local,dest=min --cache-to type=local,dest=max,mode=max oci:src oci:d
same "$(field "min/blobs/sha256/$(digest min | cut -d : -f 2)" '.artifactType, (.layers | length)' | tr '\n' ' ')" \
    "application/vnd.imgslim.cache.v1 4 "
same "$(cd max/blobs/sha256 && sha256sum * | awk '$1 != $2' | wc -l)" 0
XDG_CACHE_HOME=$work/other optimize --cache-from type=local,src=min oci:src oci:e
same "$(cached)" "false 3 0"
same "$(field report '[.cache.layers[].from] | unique | join(" ")')" oci:min
same "$(digest e)" "$(digest plain)"
XDG_CACHE_HOME=$work/third optimize --cache-from type=local,src=max oci:src oci:f
same "$(digest f)" "$(digest plain)"
same "$(field report '.cache.outputs.blobs')" 1
cp -r max broken
record=$(field "broken/blobs/sha256/$(digest broken | cut -d : -f 2)" '.layers[0].digest' | cut -d : -f 2)
printf 'x' | dd of="broken/blobs/sha256/$record" bs=1 seek=20 conv=notrunc 2> dd.log
rm -r other
XDG_CACHE_HOME=$work/other optimize --cache-from type=local,src=broken oci:src oci:g
same "$(cached)" "false 2 1"
same "$(digest g)" "$(digest plain)"

# Without a home nothing is kept, and nothing is left where the run was started.
mkdir nowhere
cd nowhere
(unset XDG_CACHE_HOME HOME; expect 0 "$imgslim" optimize -q --form lossless oci:../src oci:../n)
same "$(ls)" ""
cd ..

# What is no cache.
expect 0 "$imgslim" optimize --form lossless --cache-from type=local,src=nothing oci:src oci:h
says "--cache-from oci:nothing: not used:"
expect 2 "$imgslim" optimize --cache-from type=local,src=src oci:src oci:h
says "this is no cache of imgslim's, which --cache-to writes"
expect 2 "$imgslim" optimize --cache-from type=gha oci:src oci:h
expect 2 "$imgslim" optimize --no-cache --cache-to type=local,dest=x oci:src oci:h
expect 2 "$imgslim" optimize --cache-to type=local,dest=x,mode=max oci:src oci-archive:x.tar
says "needs a destination whose layers can be read again"
[ ! -e x.tar ] || fail "something was written"
expect 2 "$imgslim" optimize --dry-run --cache-to type=local,dest=x oci:src
image inline > made <<D
config '{"moby.buildkit.cache.v0": "$(python3 "$support/buildkit_cache.py" key 1)"}'
layer gzip 'COPY app /'
f app random:3000:1 mode=0755
D
python3 "$support/buildkit_cache.py" convert inline manifest manifest > made
expect 2 "$imgslim" optimize --cache-from type=local,src=inline,tag=manifest oci:src oci:h
says "this is a cache of BuildKit's, which --buildkit-cache-from takes"
# One that cannot be written: an error, or a note.
touch file
expect 1 "$imgslim" optimize --form lossless --cache-to type=local,dest=file/x oci:src oci:i
expect 0 "$imgslim" optimize --form lossless --cache-to type=local,dest=file/x,ignore-error=true oci:src oci:i
says "--cache-to oci:file/x: not written:"
