# SPDX-License-Identifier: Apache-2.0
# The source's inline cache is published beside the slim image, which loses it: in both forms, with the bytes that
# another implementation of the recipe gives, the same every time.
. "$(dirname "$0")/common.inc"
caches=$support/buildkit_cache.py
cd "$work"

image src > made <<D
config '{"moby.buildkit.cache.v0": "$(python3 "$caches" key 4)", "moby.buildkit.buildinfo.v1": "e30="}'
layer gzip 'COPY app /'
f app random:3000:1 mode=0755
f x random:50000:2
layer gzip 'RUN true'
layer gzip 'RUN true'
empty 'ENV A=b'
layer gzip 'RUN rm x'
w x
D
cp -r src other
manifest=$(python3 "$caches" convert other manifest manifest)
index=$(python3 "$caches" convert other index index)

optimized() {
    expect 0 "$imgslim" optimize --form lossless --report report "$@"
}
published() {
    field report '.buildkit_cache.result | .form + " " + .digest'
}

optimized oci:src oci:dst:slim --buildkit-cache-to oci:dst:cache
same "$(published)" "manifest $manifest"
same "$(field report '.buildkit_cache | [.source.form, .records.before, .records.after, .layers.after, .blobs.count] | join(" ")')" \
    "inline 9 7 4 3"
same "$(field report '.buildkit_cache.problems | length')" 1
slim=$(jq -r '.manifests[] | select(.annotations["org.opencontainers.image.ref.name"] == "slim") | .digest' dst/index.json)
config=$(jq -r .config.digest "dst/blobs/sha256/${slim#sha256:}")
if grep -q buildkit "dst/blobs/sha256/${config#sha256:}"; then fail "the slim image keeps what spoke of the old layers"; fi
for blob in $(jq -r '.layers[].digest' "dst/blobs/sha256/${manifest#sha256:}"); do
    cmp "src/blobs/sha256/${blob#sha256:}" "dst/blobs/sha256/${blob#sha256:}" || fail "$blob is another"
done
expect 0 "$imgslim" cache verify oci:dst:cache
grep -q '^3 blobs read, .*: all that the cache states holds$' out || fail "verify says: $(cat out)"

# Elsewhere, in the other form, on one thread.
optimized oci:src oci:dst:slim --buildkit-cache-to oci:elsewhere:cache,form=index -j 1
same "$(published)" "index $index"
# A cache that is read keeps its form unless told otherwise, and nothing of it changes.
optimized oci:src oci:dst:slim --buildkit-cache-from oci:elsewhere:cache --buildkit-cache-to oci-archive:index.tar
same "$(published)" "index $index"
same "$(field report '.buildkit_cache.problems | length')" 0
optimized oci:src oci:dst:slim --buildkit-cache-from oci-archive:index.tar --buildkit-cache-to oci-archive:cache.tar,form=manifest
same "$(published)" "manifest $manifest"
expect 0 "$imgslim" cache verify oci-archive:cache.tar
# copy brings caches of both forms along.
for name in elsewhere:cache dst:cache; do
    expect 0 "$imgslim" copy oci:$name oci-archive:copied.tar
    expect 0 "$imgslim" cache verify oci-archive:copied.tar
done
# The source need not have a cache of its own then.
image plain > made <<'D'
layer gzip
f app text:hello mode=0755
D
optimized oci:plain oci:dst:plain --buildkit-cache-from oci-archive:index.tar --buildkit-cache-to oci:dst:cache
same "$(published)" "index $index"
# An image in what docker save writes has its cache too; the layers are not compressed there.
optimized oci:src docker-archive:image.tar:app:1
"$imgslim" copy -q oci:src docker-archive:image.tar:app:1 > made
optimized docker-archive:image.tar oci:dst:slim --buildkit-cache-to oci:dst:saved
expect 0 "$imgslim" cache verify oci:dst:saved

# A dry run says the same and writes nothing.
expect 0 "$imgslim" optimize --dry-run --form lossless --report report oci:src --buildkit-cache-to oci:none:cache
same "$(published)" "manifest $manifest"
[ ! -e none ] || fail "a dry run wrote"
# So does a run whose form is not reached.
image shell > made <<'D'
config '{"config": {"Cmd": ["/bin/sh"]}}'
layer gzip
f bin/sh elf:1 mode=0755
D
expect 4 "$imgslim" optimize --form distroless oci:shell oci:none:slim --buildkit-cache-from oci:elsewhere:cache --buildkit-cache-to oci:none:cache
[ ! -e none ] || fail "a run that failed wrote"

# Both platforms of an index are in one cache.
image two > made <<D
platform linux/amd64
config '{"moby.buildkit.cache.v0": "$(python3 "$caches" key 1)"}'
layer gzip
f app random:3000:1 mode=0755
platform linux/arm64
config '{"moby.buildkit.cache.v0": "$(python3 "$caches" key 1)"}'
layer gzip
f app random:3000:2 mode=0755
D
optimized oci:two oci:dst:two --buildkit-cache-to oci:dst:cache
same "$(field report '.buildkit_cache | [.records.after, .layers.after] | join(" ")')" "2 2"
