# An image that starts a bare shell, or nothing, is a builder image: auto says so.
. "$(dirname "$0")/common.inc"

image "$work/a" > /dev/null <<'D'
config '{"config": {"Cmd": ["/bin/bash"]}}'
layer gzip
f bin/bash elf:1 mode=0755
D
expect 0 "$imgslim" optimize --report "$work/r" "oci:$work/a" "oci:$work/b"
same "$(field "$work/r" '.platforms[0].kind, .form')" "$(printf 'bare shell\ntidy')"
says "shell"
image "$work/c" > /dev/null <<'D'
config '{"config": {}}'
layer gzip
f bin/bash elf:1 mode=0755
D
expect 0 "$imgslim" optimize --report "$work/r" "oci:$work/c" "oci:$work/d"
same "$(field "$work/r" '.platforms[0].kind')" "no command"
