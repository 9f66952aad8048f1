# verify: an image of real programs is whole; without its interpreter, C library, script's shell or USER it is
# not, and the chain says what breaks.
. "$(dirname "$0")/common.inc"

program=/bin/true
interpreter=$(readelf -l "$program" 2> /dev/null | sed -n 's/.*interpreter: \(.*\)\]/\1/p')
libc=$(ldd "$program" 2> /dev/null | awk '$1 == "libc.so.6" {print $3}')
[ -n "$interpreter" ] && [ -f "$libc" ] || skip "no dynamic $program with glibc here"
[ "$(uname -m)" = x86_64 ] || skip "the test images are amd64"
shell=$(realpath /bin/sh)

describe() {
    cat <<D
config '{"config": {"Entrypoint": ["/start"], "User": "web:web", "WorkingDir": "/srv"}}'
layer gzip
d srv
f start "text:#!/bin/sh\nexec $program\n" mode=0755
f etc/passwd "text:web:x:33:33::/srv:/bin/sh\n"
f etc/group "text:web:x:33:\n"
f bin/sh file:$shell mode=0755
f ${program#/} file:$program mode=0755
f ${interpreter#/} file:$interpreter mode=0755
f ${libc#/} file:$libc mode=0755
D
}
describe | image "$work/whole" > /dev/null
expect 0 "$imgslim" verify "oci:$work/whole"
grep -q '^linux/amd64: verified: 1 command, 2 programs, 2 libraries, 1 script$' "$work/out" ||
    fail "$(cat "$work/out")"
[ ! -s "$work/err" ] || fail "there are notes: $(cat "$work/err")"

# without PATH LINE: the image less that entry breaks with that line.
without() {
    describe | grep -v "^f $1 " | image "$work/part" > /dev/null
    expect 7 "$imgslim" verify "oci:$work/part"
    grep -qF -- "$2" "$work/out" || fail "without $1: $(cat "$work/out")"
    tail -1 "$work/out" | grep -q '^linux/amd64: verification failed: ' || fail "no verdict"
    # Against the whole one it fails as well, and the other way round nothing does.
    expect 7 "$imgslim" verify -q --against "oci:$work/whole" "oci:$work/part"
    expect 0 "$imgslim" verify -q --against "oci:$work/part" "oci:$work/whole"
    expect 0 "$imgslim" verify -q --against "oci:$work/part" "oci:$work/part"
    rm -rf "$work/part"
}
without "${interpreter#/}" "-> $program -> interpreter $interpreter: "
without "${libc#/}" "-> $program -> DT_NEEDED libc.so.6: not found; searched "
without bin/sh 'ENTRYPOINT -> /start: the program "/bin/sh" (the #! line of /start) is not in the image'
without "${program#/}" "the program \"$program\" (/start, line 2) is not in the image"
without etc/passwd 'USER web:web: the user "web" is not a number, and /etc/passwd cannot be read'
without etc/group 'USER web:web: the group "web" is not a number, and /etc/group cannot be read'
without start 'ENTRYPOINT: the program "/start" (ENTRYPOINT) is not in the image'
