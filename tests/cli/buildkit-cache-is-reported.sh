# SPDX-License-Identifier: Apache-2.0
# cache report and cache verify say what a BuildKit cache holds; what is none is an error, and so are options that do
# not fit.
. "$(dirname "$0")/common.inc"
caches=$support/buildkit_cache.py
cd "$work"

image src > made <<D
config '{"moby.buildkit.cache.v0": "$(python3 "$caches" key 2)"}'
layer gzip 'COPY app /'
f app random:3000:1 mode=0755
layer gzip 'RUN touch y'
f y text:1
D
image plain > made <<'D'
layer gzip
f app text:hello mode=0755
D
digest=$(python3 "$caches" convert src manifest manifest)
python3 "$caches" convert src index index > made

for form in index manifest; do
    expect 5 "$imgslim" optimize "oci:src:$form" oci:out
    says "this is a cache of BuildKit's, no image; imgslim cache report says what it holds"
done
expect 0 "$imgslim" cache report oci:src
grep -q '^BuildKit cache, inline$' out || fail "no form: $(cat out)"
grep -q 'COPY app /$' out || fail "no steps: $(cat out)"
grep -q '^note: .*repeat the key' out || fail "no note: $(cat out)"
expect 0 "$imgslim" cache report oci:src:manifest
grep -q "^oci:src:manifest $digest\$" out || fail "no digest: $(cat out)"
expect 0 "$imgslim" cache report --format json oci:src:index
same "$(field out '[.version, .kind, .form, .largest_bytes, .records.all, .records.roots, .records.with_result, .blobs.count, .useful.records, .ok, .verified] | map(tostring) | join(" ")')" \
    "1 buildkit index 1048576 5 2 2 2 5 true null"
same "$(field out '.layers | map(.records) | join(" ")')" "1 1"
expect 0 "$imgslim" cache verify --format json oci:src
same "$(field out '[.form, .verified.blobs, .ok] | map(tostring) | join(" ")')" "inline 2 true"
expect 0 env COLUMNS=70 "$imgslim" cache report oci:src
[ "$(awk '{ if (length($0) > 70 && !/^(note|problem|oci)/) print }' out | wc -l)" = 0 ] || fail "lines are too long"

expect 1 "$imgslim" cache report oci:plain
says "there is no build cache in it"
expect 2 "$imgslim" cache report
expect 2 "$imgslim" cache forget oci:src

expect 2 "$imgslim" optimize oci:src oci:dst --buildkit-cache-from oci:src:index
says "--buildkit-cache-from needs --buildkit-cache-to"
expect 2 "$imgslim" optimize oci:plain oci:dst --buildkit-cache-to oci:dst:cache
says "--buildkit-cache-from names another one"
expect 2 "$imgslim" optimize oci:src oci:dst --buildkit-cache-from oci:plain --buildkit-cache-to oci:dst:cache
says "there is no BuildKit cache"
expect 2 "$imgslim" optimize oci:src oci:dst --buildkit-cache-to oci:dst
says "this is where the image goes"
expect 2 "$imgslim" optimize oci:src oci:dst --buildkit-cache-to oci:src:latest
says "this is the source"
expect 2 "$imgslim" optimize oci:src oci:dst --buildkit-cache-to oci:dst:cache,form=list
says "form=index or form=manifest"
expect 2 "$imgslim" optimize oci:src oci:dst --buildkit-cache-to docker-archive:cache.tar
says "a cache goes to docker://"
[ ! -e dst ] || fail "something was written"
