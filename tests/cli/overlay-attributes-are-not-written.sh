# SPDX-License-Identifier: Apache-2.0
# Attributes that are overlayfs' own (trusted.overlay.*, user.overlay.*) hide files on some hosts: lossless copies a
# layer that holds them with its digest, a layer that another form rewrites loses them, with a warning.
. "$(dirname "$0")/common.inc"

image "$work/a" > /dev/null <<'D'
layer gzip
d etc xattr=trusted.overlay.opaque=79
f app elf:1 mode=0755
f etc/kept text:x xattr=user.overlay.redirect=2f78 xattr=user.note=41
f etc/gone random:50000:1
layer gzip
w etc/gone
D
layers() {
    field "$1/blobs/sha256/$(field "$1/index.json" '.manifests[0].digest[7:]')" "$2"
}
# Names of the xattrs in all layers of a layout.
xattrs() {
    for layer in $(layers "$1" '.layers[].digest[7:]'); do
        gzip -dc "$1/blobs/sha256/$layer" | grep -ao 'SCHILY.xattr.[a-z.]*' || true
    done | sort -u
}
expect 0 "$imgslim" optimize --form lossless "oci:$work/a" "oci:$work/b"
same "$(layers "$work/b" '.layers[0].digest')" "$(layers "$work/a" '.layers[0].digest')"
same "$(listing "$work/a")" "$(listing "$work/b")"
for form in tidy distroless; do
    expect 0 "$imgslim" optimize -v --form $form --keep '/etc/kept' --report "$work/r" "oci:$work/a" "oci:$work/$form"
    same "$(xattrs "$work/$form")" SCHILY.xattr.user.note
    says "trusted.overlay.opaque, user.overlay.redirect"
done
