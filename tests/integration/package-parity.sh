# What a scanner sees of a result: exactly the packages of which a file other than documentation is left, in the source's
# versions, by dpkg's own reading of the source; no stale checksum; terms, release files and Go build info are there.
# Sample: one image of each kind; IMGSLIM_FULL=1: the payments image too, and osv-scalibr, a scanner that is not ours,
# reads source and result.
. "$(dirname "$0")/common.inc"
needs dpkg-query python3 go

images="payments-small service-package service-tini"
scanner=
if [ -n "${IMGSLIM_FULL:-}" ]; then
    images="$images payments"
    version=v0.5.3
    scanner=$IMGSLIM_TEST_CACHE/go/bin/scalibr-$version
    if [ ! -x "$scanner" ]; then
        GOBIN=$work/bin GOMODCACHE=$IMGSLIM_TEST_CACHE/go/mod GOCACHE=$IMGSLIM_TEST_CACHE/go/build GOFLAGS=-modcacherw \
            go install "github.com/google/osv-scalibr/binary/scalibr@$version" > "$work/go.log" 2>&1 || {
            tail -5 "$work/go.log" >&2
            fail "osv-scalibr cannot be built"
        }
        mkdir -p "${scanner%/*}"
        mv "$work/bin/scalibr" "$scanner"
    fi
fi

# scanned ROOT FILE: the packages that osv-scalibr sees in a tree, one line each: purl's type, name, version.
scanned() {
    "$scanner" --root "$1" --plugins os/dpkg,os/apk,go/binary --offline -o "cdx-json=$2.json" > "$2.log" 2>&1 || {
        tail -3 "$2.log" >&2
        fail "osv-scalibr ends with $?"
    }
    jq -r '.components[]? | .purl | split("?")[0]' "$2.json" | sort -u > "$2"
    [ -s "$2" ] || fail "osv-scalibr sees nothing: $(tail -1 "$2.log")"
}

for name in $images; do
    real_image "$name"
    optimize "oci:$layout" "oci:$work/slim"
    same "$(field "$work/report" .form)" distroless
    python3 "$support/unpack.py" "$layout" "$work/source" --pure > /dev/null
    python3 "$support/unpack.py" "$work/slim" "$work/result" --pure > /dev/null
    source=$work/source/rootfs result=$work/result/rootfs
    dpkg-query --admindir="$source/var/lib/dpkg" -W -f '${binary:Package}|${Package}|${Version}|${Architecture}\n' \
        > "$work/packages"
    while IFS='|' read -r package rest; do
        dpkg-query --admindir="$source/var/lib/dpkg" -L "$package" | sed "s#^#$rest|#"
    done < "$work/packages" > "$work/files"
    python3 - "$source" "$result" "$work/files" << 'P' || fail "$name: the packages differ"
import hashlib, os, re, sys

source, result, listed = sys.argv[1:]
documentation = ("/usr/share/doc/", "/usr/share/man/", "/usr/share/info/", "/usr/share/locale/",
                 "/usr/share/licenses/", "/usr/share/groff/", "/usr/share/doc-base/", "/usr/share/lintian/",
                 "/usr/share/linda/", "/usr/share/bug/")


def real(path):
    """dpkg says /bin/sh where the file is /usr/bin/sh."""
    return re.sub(r"^/(bin|sbin|lib|lib32|lib64|libx32)/", r"/usr/\1/", path)


expected = set()
for line in open(listed, encoding="utf-8", errors="surrogateescape"):
    package, version, architecture, path = line.rstrip("\n").split("|", 3)
    if not path.startswith("/") or real(path).startswith(documentation):
        continue
    # A link to a folder is a folder's name to the source's own packages (merged /usr).
    at = result + real(path)
    if os.path.lexists(at) and not (os.path.isdir(at) and not os.path.islink(at)):
        if path in ("/bin", "/sbin", "/lib", "/lib64"):
            continue
        expected.add((package, version, architecture))
found = set()
folder = result + "/var/lib/dpkg/status.d"
for name in sorted(os.listdir(folder)):
    if name.endswith(".md5sums"):
        for line in open(f"{folder}/{name}", encoding="utf-8"):
            digest, path = line.rstrip("\n").split("  ", 1)
            with open(f"{result}/{path}", "rb") as file:
                assert hashlib.md5(file.read()).hexdigest() == digest, path
        continue
    fields = dict(re.findall(r"^([A-Za-z-]+): *(.*)$", open(f"{folder}/{name}", encoding="utf-8").read(), re.M))
    assert "Status" not in fields, name
    found.add((fields["Package"], fields["Version"], fields["Architecture"]))
    terms = f"/usr/share/doc/{fields['Package']}/copyright"
    if os.path.exists(source + terms):
        assert os.path.exists(result + terms), terms
for package in sorted(expected ^ found):
    print("missing" if package in expected else "too many", *package)
for path in ("/etc/os-release", "/etc/debian_version"):
    assert os.path.exists(source + path) == os.path.exists(result + path), path
print(len(found), "packages")
sys.exit(expected != found)
P
    for program in "$result"/usr/local/bin/* "$result"/opt/*/bin/*; do
        [ -f "$program" ] || continue
        original=$source${program#"$result"}
        same "$(go version -m "$program" | sed 1d)" "$(go version -m "$original" | sed 1d)"
    done
    if [ -n "$scanner" ]; then
        scanned "$source" "$work/seen.source"
        scanned "$result" "$work/seen.result"
        # Of the source, what is left by dpkg's own reading; of Go modules, those of the programs that are left.
        sed -n 's#^pkg:deb/debian/\(.*\)@.*#\1#p' "$work/seen.result" > "$work/seen.names"
        ls "$result/var/lib/dpkg/status.d" | grep -v '\.md5sums$' > "$work/left.names"
        same "$(sed 's/:.*//' "$work/left.names" | sort -u)" "$(sort -u "$work/seen.names")"
        comm -13 "$work/seen.source" "$work/seen.result" > "$work/seen.new"
        [ ! -s "$work/seen.new" ] || fail "$name: the scanner sees what the source has not: $(head -3 "$work/seen.new")"
        comm -23 "$work/seen.source" "$work/seen.result" | grep '^pkg:golang/' > "$work/seen.lost" || true
        for program in "$result"/usr/local/bin/* "$result"/opt/*/bin/*; do
            [ -f "$program" ] || continue
            go version -m "$program" | awk '$1 == "dep" { print "pkg:golang/" $2 "@" $3 }' | sort -u > "$work/linked"
            comm -12 "$work/linked" "$work/seen.lost" > "$work/missed"
            [ ! -s "$work/missed" ] || fail "$name: the scanner misses $(head -3 "$work/missed")"
        done
        say "$name: osv-scalibr sees $(grep -c '^pkg:deb/' "$work/seen.result") packages and" \
            "$(grep -c '^pkg:golang/' "$work/seen.result") modules"
    fi
    say "$name: the same packages"
    rm -rf "$work/slim" "$work/source" "$work/result"
done
