# SPDX-License-Identifier: Apache-2.0
# The payments image from and to a registry, once and again: what did not change is not moved, not with this machine's
# cache and not with one that came from the registry, and the result is the one that a run without a cache gives.
. "$(dirname "$0")/common.inc"
. "$support/registry.inc"
needs docker-registry python3 curl
real_image payments
honest_registry
# Its application is in the last layer.
changed=$work/changed
python3 "$support/change_file.py" "$layout" "$changed" 7 usr/local/bin/payments
expect 0 "$imgslim" copy -q "oci:$layout" "docker://$honest/team/app:1"
expect 0 "$imgslim" copy -q "oci:$changed" "docker://$honest/team/app:2"
last=$(field "$changed/blobs/sha256/$(field "$changed/index.json" '.manifests[0].digest' | cut -d : -f 2)" '.layers[-1].size')

# timed NAME ARGUMENT...: milliseconds in $took.
timed() {
    name=$1
    shift
    begin=$(date +%s%N)
    expect 0 "$imgslim" optimize -q --report "$work/$name" "$@"
    took=$((($(date +%s%N) - begin) / 1000000))
    say "$name: $took ms, pulled $(field "$work/$name" '.transfers.pulled | "\(.blobs) blobs, \(.bytes) bytes"'), pushed $(field "$work/$name" '.transfers.pushed.bytes') bytes"
}
moved() { field "$work/$1" '[.transfers.pulled.bytes, .transfers.pushed.bytes] | add'; }
result() { field "$work/$1" .result.digest; }

timed plain1 --no-cache "docker://$honest/team/app:1" "docker://$honest/team/app:plain1"
timed plain2 --no-cache "docker://$honest/team/app:2" "docker://$honest/team/app:plain2"

# This machine's cache: the destination is new each time a run is the first.
timed first "docker://$honest/team/app:1" "docker://$honest/team/app:slim" \
    --cache-to "type=registry,ref=$honest/team/app:cache"
first=$took
same "$(result first)" "$(result plain1)"
timed again "docker://$honest/team/app:1" "docker://$honest/team/app:slim" \
    --cache-to "type=registry,ref=$honest/team/app:cache"
same "$(field "$work/again" .cache.whole_run)" true
same "$(result again)" "$(result plain1)"
# Two manifests, no blob.
[ "$(moved again)" -lt 20000 ] || fail "nothing changed, and $(moved again) bytes moved"
timed next "docker://$honest/team/app:2" "docker://$honest/team/app:slim"
same "$(result next)" "$(result plain2)"
same "$(field "$work/next" '.cache.layers | length')" 6
pulled=$(field "$work/next" .transfers.pulled.bytes)
[ "$pulled" -le $((last + 1000000)) ] || fail "$pulled bytes were pulled for a layer of $last"
say "a changed application: $((took * 100 / first)) % of the first run's time, $((pulled - last)) bytes beside its layer"
[ $((took * 2)) -lt "$first" ] || fail "a changed application takes $took ms of $first"

# A machine that begins empty, and one whose cache was tampered with.
XDG_CACHE_HOME=$work/empty timed carried "docker://$honest/team/app:2" "docker://$honest/team/app:carried" \
    --cache-from "$honest/team/app:cache"
same "$(result carried)" "$(result plain2)"
same "$(field "$work/carried" '[.cache.layers[].from] | unique | join(" ")')" "docker://$honest/team/app:cache"
cache=$(curl -sf -H 'Accept: application/vnd.oci.image.manifest.v1+json' "http://$honest/v2/team/app/manifests/cache" |
    jq '[.layers[].size] | add')
pulled=$(field "$work/carried" .transfers.pulled.bytes)
[ "$pulled" -le $((last + cache + 1000000)) ] || fail "$pulled bytes were pulled for a layer of $last and a cache of $cache"
# What was pushed names only what the registry has.
expect 0 "$imgslim" verify -q "docker://$honest/team/app:carried"
# Without the network: what was done once, and what needs no layer.
expect 0 "$imgslim" optimize -q "docker://$honest/team/app:1" "oci:$work/slim"
expect 0 "$imgslim" audit -q "docker://$honest/team/app:carried"
cp "$work/out" "$work/audit"
kill $registry_pids
expect 6 "$imgslim" optimize -q --timeout 5 "docker://$honest/team/app:1" "oci:$work/slim"
expect 0 "$imgslim" optimize -q --offline "docker://$honest/team/app:1" "oci:$work/slim"
expect 0 "$imgslim" audit -q --offline "docker://$honest/team/app:carried"
cmp -s "$work/out" "$work/audit" || fail "an audit without the network is another"
expect 6 "$imgslim" optimize -q --offline "docker://$honest/team/app:2" "oci:$work/slim2"
says "is not in the local store; run once without --offline"
[ ! -e "$work/slim2" ] || fail "something was written"
expect 6 "$imgslim" audit -q --offline "docker://$honest/team/app:never"
expect 2 "$imgslim" copy -q --offline "oci:$work/slim" "docker://$honest/team/app:3"
