# As an ordinary user, in a network namespace without even loopback, with no daemon to be found.
. "$(dirname "$0")/common.inc"
[ "$(id -u)" = 0 ] || skip "needs root to become an ordinary user in a namespace of its own"
unshare -n true 2> /dev/null || skip "no network namespaces here"

image "$work/a" > /dev/null <<'D'
layer gzip
f app elf:1 mode=0755
f x random:50000:1
layer gzip
w x
D
chmod 755 "$work"
mkdir "$work/user"
chown 65534:65534 "$work/user"
expect 0 unshare -n setpriv --reuid 65534 --regid 65534 --clear-groups env -i HOME="$work/user" PATH=/usr/bin:/bin \
    "$imgslim" optimize "oci:$work/a" "oci:$work/user/b"
same "$(listing "$work/a")" "$(listing "$work/user/b")"
