# Files equal in bytes, mode, owner and time are one inode in the result, but not where programs write in place.
. "$(dirname "$0")/common.inc"

image "$work/a" > /dev/null <<'D'
config '{"config": {"Cmd": ["/app"], "Volumes": {"/data": {}}}}'
layer gzip
f app elf:1 mode=0755
f usr/share/a random:8192:1
f usr/share/b random:8192:1
f usr/share/mode random:8192:1 mode=0600
f usr/share/time random:8192:1 mtime=5
f var/lib/a random:8192:1
f data/a random:8192:1
f home/me/a random:8192:1
D
expect 0 "$imgslim" optimize --form tidy --report "$work/r" "oci:$work/a" "oci:$work/b"
same "$(field "$work/r" '.form')" tidy
same "$(field "$work/r" '.platforms[0].rules[] | select(.id == "linked").unpacked')" 8192
same "$(listing "$work/b" | grep -c hardlink)" 2
expect 0 "$imgslim" optimize --no-hardlinks "oci:$work/a" "oci:$work/c"
same "$(listing "$work/a")" "$(listing "$work/c")"
