# verify --format json, --all, --platform, several platforms, and a command besides those of the config.
. "$(dirname "$0")/common.inc"

image "$work/a" > /dev/null <<'D'
platform linux/amd64
layer gzip
f app elf:1 mode=0755
platform linux/arm64
config '{"config": {"Cmd": ["/run"]}}'
layer gzip
f run "text:#!/bin/none\n" mode=0755
f opt/tool "text:#!/bin/other\n" mode=0755
s opt/link nowhere
D
expect 7 "$imgslim" verify --format json --platform linux/arm64 --all "oci:$work/a"
same "$(field "$work/out" '[.version, .ok, (.platforms | length), .platforms[0].platform] | join(" ")')" \
    "1 false 1 linux/arm64"
same "$(field "$work/out" '[.platforms[0].findings[] | "\(.severity) \(.check) \(.path)"] | join(", ")')" \
    "failure command /run, failure script /opt/tool, note link /opt/link"
same "$(field "$work/out" '.platforms[0].findings[0].chain | join(" ")')" "CMD /run"
says "note: /opt/link: "
expect 7 "$imgslim" verify -q --platform linux/arm64 "oci:$work/a"
[ ! -s "$work/err" ] || fail "--quiet is not"
grep -q /opt/tool "$work/out" && fail "looked further than the commands without --all"
expect 7 "$imgslim" verify -q --platform linux/arm64 --also-run "/opt/tool now" "oci:$work/a"
grep -q -- '--also-run -> /opt/tool' "$work/out" || fail "$(cat "$work/out")"
expect 7 "$imgslim" verify -q "oci:$work/a"
same "$(grep -c 'verification failed' "$work/out")" 2
expect 2 "$imgslim" verify --platform linux/s390x "oci:$work/a"
expect 2 "$imgslim" verify
