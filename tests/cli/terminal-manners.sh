# stdout carries the result alone; no colour or moving line off a terminal; -q is quiet; JSON is JSON; tables fit.
. "$(dirname "$0")/common.inc"

image "$work/a" > /dev/null <<'D'
layer gzip "RUN a very long build step that goes on and on and on, far beyond what any terminal could show in one line"
f app elf:1 mode=0755
f x random:50000:1
layer gzip
w x
D
expect 0 "$imgslim" optimize "oci:$work/a" "oci:$work/b"
grep -q "$(printf '\033')" "$work/out" "$work/err" && fail "escape sequences off a terminal"
for width in 60 80 200; do
    COLUMNS=$width expect 0 "$imgslim" optimize --dry-run "oci:$work/a"
    longest=$(sed '1d;$d' "$work/out" | awk '{ if (length > n) n = length } END { print n }')
    [ "$longest" -le "$width" ] || fail "$longest columns at width $width"
done
expect 0 "$imgslim" optimize -q --format json "oci:$work/a" "oci:$work/c"
[ ! -s "$work/err" ] || fail "--quiet is not quiet: $(cat "$work/err")"
same "$(field "$work/out" .version)" 1
