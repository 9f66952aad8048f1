# --form and --min-form: exactly that, or exit 4 and nothing written.
. "$(dirname "$0")/common.inc"

image "$work/a" > /dev/null <<'D'
config '{"config": {"Cmd": ["/bin/sh"]}}'
layer gzip
f bin/sh elf:1 mode=0755
D
expect 4 "$imgslim" optimize --form distroless "oci:$work/a" "oci:$work/b"
[ ! -e "$work/b" ] || fail "something was written"
expect 4 "$imgslim" optimize --min-form distroless "oci:$work/a" "oci:$work/b"
says "bare shell"
[ ! -e "$work/b" ] || fail "something was written"
expect 0 "$imgslim" optimize --min-form tidy "oci:$work/a" "oci:$work/b"
