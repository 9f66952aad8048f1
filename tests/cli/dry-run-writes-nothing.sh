# --dry-run plans and reports; the destination may be left out and is not touched.
. "$(dirname "$0")/common.inc"

image "$work/a" > /dev/null <<'D'
layer gzip
f app elf:1 mode=0755
f x random:50000:1
layer gzip
w x
D
before=$(find "$work/a" -type f -newermt 1970-01-01 | sort | xargs sha256sum)
expect 0 "$imgslim" optimize --dry-run --report "$work/r" "oci:$work/a"
same "$(field "$work/r" '.dry_run, .changed, .result.digest')" "$(printf 'true\ntrue\nnull')"
expect 0 "$imgslim" optimize --dry-run "oci:$work/a" "oci:$work/b"
[ ! -e "$work/b" ] || fail "the destination was made"
same "$before" "$(find "$work/a" -type f | sort | xargs sha256sum)"
