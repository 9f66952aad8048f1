# The form distroless: what the commands reach stays, with records of its packages; the rest goes. Equal kept sets of two
# images are equal layers; a result is its own result; --keep, --keep-package and --keep-base bring files back.
. "$(dirname "$0")/common.inc"

# describe NAME: a service of that name on one base.
describe() {
    cat <<D
config '{"config": {"Entrypoint": ["/usr/bin/start", "/opt/$1"], "Env": ["PATH=/usr/bin"], "User": "app"}}'
layer gzip base
d etc
d tmp mode=01777
f etc/passwd "text:root:x:0:0:root:/root:/bin/sh\napp:x:7:7::/:/bin/sh\n"
f etc/os-release "text:ID=debian\n"
f etc/start.conf "text:x\n"
f usr/bin/start elf:1 mode=0755
f usr/bin/other elf:2 mode=0755
f usr/bin/lone elf:3 mode=0755
f usr/share/doc/start/copyright "text:terms\n"
f usr/share/doc/start/README "text:read\n"
f usr/share/doc/lone/copyright "text:terms\n"
f var/lib/dpkg/status "text:Package: start\nStatus: install ok installed\nMaintainer: a@debian.org\nArchitecture: amd64\nVersion: 1\nConffiles:\n /etc/start.conf 401b30e3b8b5d629635a5c613cdb7919\n\nPackage: lone\nStatus: install ok installed\nMaintainer: a@debian.org\nArchitecture: amd64\nVersion: 2\n"
f var/lib/dpkg/info/start.list "text:/.\n/etc\n/etc/start.conf\n/usr\n/usr/bin\n/usr/bin/start\n/usr/share/doc/start\n/usr/share/doc/start/copyright\n/usr/share/doc/start/README\n"
f var/lib/dpkg/info/lone.list "text:/.\n/usr\n/usr/bin\n/usr/bin/lone\n/usr/share/doc/lone\n/usr/share/doc/lone/copyright\n/usr/bin/other\n"
layer gzip
f opt/$1 elf:$1 mode=0755
f opt/$1.yaml "text:see /usr/bin/other\n"
d var/spool/$1 uid=7 mode=0700
w usr/share/doc/lone
D
}
describe one | image "$work/one" > /dev/null
describe two | image "$work/two" > /dev/null
# One, with a layer that writes again what the base shows.
{
    describe one
    cat << 'D'
layer gzip
d etc
f etc/start.conf "text:x\n"
f usr/bin/start elf:1 mode=0755
D
} | image "$work/again" > /dev/null

# has LAYOUT PATH..., lacks LAYOUT PATH...
has() {
    listing "$1" > "$work/list"
    shift
    for path; do
        grep -qE "(^|[^a-z])/?$path( |\$|	)" "$work/list" || fail "$path is not there"
    done
}
lacks() {
    listing "$1" > "$work/list"
    shift
    for path; do
        ! grep -qE "(^|[^a-z])/?$path( |\$|	)" "$work/list" || fail "$path is there"
    done
}

expect 0 "$imgslim" optimize --report "$work/r1" "oci:$work/one" "oci:$work/b"
same "$(field "$work/r1" '.form, .changed')" "$(printf 'distroless\ntrue')"
has "$work/b" opt/one opt/one.yaml etc/passwd etc/os-release etc/start.conf tmp usr/bin/start usr/bin/other \
    var/spool/one usr/share/doc/start/copyright var/lib/dpkg/status.d/start var/lib/dpkg/status.d/start.md5sums \
    var/lib/dpkg/status.d/lone
lacks "$work/b" usr/bin/lone usr/share/doc/start/README var/lib/dpkg/status usr/share/doc/lone/copyright

# Again: nothing to do, the same digest.
expect 0 "$imgslim" optimize --report "$work/r2" "oci:$work/b" "oci:$work/c"
same "$(field "$work/r2" .changed)" false
same "$(field "$work/r2" .result.digest)" "$(field "$work/r1" .result.digest)"

# Another service on the same base, optimized apart: the packages' layer is the same blob.
expect 0 "$imgslim" optimize --report "$work/r3" "oci:$work/two" "oci:$work/d"
of_start='.platforms[0].layers[] | select(.created_by == "start").result_digest'
same "$(field "$work/r1" "$of_start")" "$(field "$work/r3" "$of_start")"

# What brings files back.
expect 0 "$imgslim" optimize --keep '/usr/share/doc/**' "oci:$work/one" "oci:$work/e"
has "$work/e" usr/share/doc/start/README
expect 0 "$imgslim" optimize --keep-package lone "oci:$work/one" "oci:$work/f"
has "$work/f" usr/bin/lone
expect 0 "$imgslim" optimize --drop '/opt/one.yaml' "oci:$work/one" "oci:$work/g"
lacks "$work/g" opt/one.yaml usr/bin/other

# The base stays, and what was deleted of it stays deleted.
expect 0 "$imgslim" optimize --keep-base 1 --report "$work/r4" "oci:$work/one" "oci:$work/h"
same "$(field "$work/r4" '.platforms[0].layers[0] | .source_digest == .result_digest')" true
same "$(field "$work/r4" '.platforms[0].base.layers')" 1
has "$work/h" usr/bin/lone usr/share/doc/start/README
lacks "$work/h" usr/share/doc/lone/copyright
expect 0 "$imgslim" optimize --keep-base 1 --report "$work/r5" "oci:$work/h" "oci:$work/j"
same "$(field "$work/r5" '.form, .changed')" "$(printf 'distroless\nfalse')"
# Nothing that the base shows already is written again.
expect 0 "$imgslim" optimize --keep-base 1 --report "$work/r6" "oci:$work/again" "oci:$work/k"
same "$(field "$work/r6" '[.platforms[0].layers[] | select(.action == "new").entries.after] | add')" \
    "$(field "$work/r4" '[.platforms[0].layers[] | select(.action == "new").entries.after] | add')"
expect 2 "$imgslim" optimize --keep-base 3 "oci:$work/one" "oci:$work/i"
expect 2 "$imgslim" optimize --keep-base "oci:$work/b" "oci:$work/two" "oci:$work/i"
[ ! -e "$work/i" ] || fail "something was written"
