# Every usage error: exit 2, one line, lower case, nothing written.
. "$(dirname "$0")/common.inc"

image "$work/a" > /dev/null <<'D'
layer gzip
f app elf:1 mode=0755
D
usage() {
    expect 2 "$imgslim" "$@"
    same "$(wc -l < "$work/err")" 1
    [ ! -s "$work/out" ] || fail "standard output is not empty: $*"
    [ ! -e "$work/b" ] || fail "something was written: $*"
}
usage
usage frobnicate
usage optimise "oci:$work/a" "oci:$work/b"
says "did you mean 'optimize'"
usage optimize
usage optimize "oci:$work/a"
says "--dry-run"
usage optimize "$work/a" "$work/b"
usage optimize nosuchthing "oci:$work/b"
says "oci:"
says "docker-archive:"
usage optimize --form best "oci:$work/a" "oci:$work/b"
usage optimize --form tidy --min-form tidy "oci:$work/a" "oci:$work/b"
usage optimize --form lossless --drop x "oci:$work/a" "oci:$work/b"
usage optimize --keep '' "oci:$work/a" "oci:$work/b"
usage optimize --compression xz "oci:$work/a" "oci:$work/b"
usage optimize --compression-level 3 "oci:$work/a" "oci:$work/b"
usage optimize --compression gzip --compression-level 10 "oci:$work/a" "oci:$work/b"
usage optimize --platform sparc "oci:$work/a" "oci:$work/b"
usage optimize --platform linux/arm64 "oci:$work/a" "oci:$work/b"
says "linux/amd64"
usage optimize --threads 0 "oci:$work/a" "oci:$work/b"
usage optimize --also-run "'open" "oci:$work/a" "oci:$work/b"
usage optimize "oci:$work/a:nosuchref" "oci:$work/b"
SOURCE_DATE_EPOCH=yesterday usage optimize "oci:$work/a" "oci:$work/b"
says SOURCE_DATE_EPOCH
