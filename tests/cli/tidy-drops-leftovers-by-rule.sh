# Leftovers go by rule, each anchored on its producer's signature; --keep spares, --drop adds.
. "$(dirname "$0")/common.inc"

describe() {
    cat <<'D'
layer gzip
f app elf:1 mode=0755
f var/lib/dpkg/status "text:Package: base\nStatus: install ok installed\nVersion: 1\nArchitecture: all\n\n"
f var/lib/dpkg/info/base.list text:/etc\n
d var/lib/apt/lists/partial
f var/lib/apt/lists/lock text:
f var/lib/apt/lists/deb.example.org_debian_dists_bookworm_InRelease "text:Origin: Debian"
f var/lib/apt/lists/deb.example.org_debian_dists_bookworm_main_binary-amd64_Packages random:90000:1
f root/.cache/go-build/README "text:This directory holds cached build artifacts from the Go build system.\n"
f root/.cache/go-build/00/0011223344556677889900112233445566778899001122334455667788990011-d random:70000:2
f root/.cache/go-build/trim.txt text:1700000000
f opt/lists/deb.example.org_debian_dists_bookworm_main_binary-amd64_Packages random:90000:3
f opt/waste random:30000:4
D
}
describe | image "$work/a" > /dev/null
expect 0 "$imgslim" optimize --report "$work/r" --drop 'opt/was*' "oci:$work/a" "oci:$work/b"
rules=$(field "$work/r" '[.platforms[0].rules[].id] | sort | join(" ")')
case $rules in *apt-lists*go-build*) ;; *) fail "rules are '$rules'" ;; esac
paths=$(listing "$work/b" | awk '{print $2}')
for gone in _Packages go-build/00/ opt/waste; do
    echo "$paths" | grep -v opt/lists | grep -q "$gone" && fail "$gone is still there"
done
echo "$paths" | grep -q opt/lists/deb || fail "a name alone claimed a file"
echo "$paths" | grep -q 'var/lib/apt/lists/partial' || fail "a directory went"
expect 0 "$imgslim" optimize --keep 'root/.cache/**' "oci:$work/a" "oci:$work/c"
listing "$work/c" | grep -q go-build/00/ || fail "--keep did not keep"
# A service that runs go keeps its build cache.
{
    echo 'config "{\"config\": {\"Env\": [\"PATH=/usr/local/go/bin:/bin\"], \"Cmd\": [\"go\", \"run\", \".\"]}}"'
    describe
    echo 'f usr/local/go/bin/go elf:7 mode=0755'
} | image "$work/d" > /dev/null
expect 0 "$imgslim" optimize "oci:$work/d" "oci:$work/e"
listing "$work/e" | grep -q go-build/00/ || fail "the cache of a go that is started went"
