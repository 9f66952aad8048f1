# An image without waste goes to the destination as it is; so does imgslim's own result.
. "$(dirname "$0")/common.inc"

digest=$(image "$work/a" <<'D'
layer gzip
f app elf:1 mode=0755
D
)
expect 0 "$imgslim" optimize --report "$work/r" --digest-file "$work/d" "oci:$work/a" "oci:$work/b"
same "$(field "$work/r" .changed)" false
same "$(cat "$work/d")" "$digest"

image "$work/c" > /dev/null <<'D'
layer gzip
d etc
f app elf:1 mode=0755
f etc/a random:50000:1
f etc/b random:50000:1
s etc/link a
layer gzip
d etc mtime=1700000005
f etc/a random:50000:2
w etc/b
f etc/x random:50000:3
f etc/y random:50000:3
D
expect 0 "$imgslim" optimize --digest-file "$work/d1" "oci:$work/c" "oci:$work/e"
expect 0 "$imgslim" optimize --report "$work/r" --digest-file "$work/d2" "oci:$work/e" "oci:$work/f"
same "$(field "$work/r" .changed)" false
same "$(cat "$work/d1")" "$(cat "$work/d2")"
