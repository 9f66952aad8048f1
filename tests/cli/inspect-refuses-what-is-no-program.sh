# What is no program ends with one line and a status that says whose fault it is.
. "$(dirname "$0")/common.inc"

image "$work/a" > /dev/null <<'D'
layer gzip
f app elf:1 mode=0755
f text text:hello
d etc
D
image "$work/two" > /dev/null <<'D'
platform linux/amd64
layer gzip
f app elf:1 mode=0755
platform linux/arm64
layer gzip
f app elf:2 mode=0755
D
refuses() {
    status=$1
    shift
    expect "$status" "$imgslim" inspect "$@"
    same "$(wc -l < "$work/err")" 1
    [ ! -s "$work/out" ] || fail "standard output is not empty: $*"
}
echo hello > "$work/text"
printf '\177ELF' > "$work/short"
printf '\177ELF\11\11\1' > "$work/odd"
head -c 100 /dev/zero >> "$work/odd"
refuses 1 "$work/text"
says "is no program"
refuses 1 "$work/none"
says "no such file"
refuses 1 "$work"
refuses 1 "oci:$work/a:/none"
says "no such file"
refuses 1 "oci:$work/a:/text"
refuses 1 "oci:$work/a:/etc"
refuses 5 "$work/short"
refuses 5 "$work/odd"
refuses 2 "oci:$work/a"
says "/PATH"
refuses 2 "oci:$work/two:/app"
says "linux/amd64, linux/arm64"
refuses 2 --platform linux/s390x "oci:$work/two:/app"
refuses 2 --platform linux/amd64 "$work/text"
refuses 2 --env NAME "$work/text"
refuses 2
true=/bin/true
refuses 2 --cpu nosuchcpu "$true"
