# Killed at any write, rename or sync: the old image is whole, and a rerun works and leaves nothing behind.
. "$(dirname "$0")/common.inc"
command -v strace > /dev/null || skip "strace is not installed"
strace -o /dev/null true 2> /dev/null || skip "strace may not trace here"

image "$work/a" > /dev/null <<'D'
layer gzip
f app elf:1 mode=0755
f x random:50000:1
layer gzip
w x
f y random:20000:2
D
image "$work/old" > /dev/null <<'D'
layer gzip
f old elf:3 mode=0755
D
# ASan's leak check does not go with strace.
export ASAN_OPTIONS=detect_leaks=0
cp -a "$work/old" "$work/b"
for call in write rename renameat2 fsync fdatasync linkat unlink mkdir; do
    for when in 1 2 3 5 8; do
        rm -rf "$work/b"
        cp -a "$work/old" "$work/b"
        status=0
        strace -f -o /dev/null -e trace=$call -e inject=$call:signal=KILL:when=$when \
            "$imgslim" optimize -q "oci:$work/a" "oci:$work/b:new" > /dev/null 2>&1 || status=$?
        listing "$work/b:latest" > "$work/l" || fail "old image broken: $call $when"
        same "$(cat "$work/l")" "$(listing "$work/old")"
        expect 0 "$imgslim" optimize -q "oci:$work/a" "oci:$work/b:new"
        same "$(find "$work/b" -mindepth 1 -maxdepth 1 | sort | xargs -n1 basename | tr '\n' ' ')" "blobs index.json oci-layout "
    done
done
