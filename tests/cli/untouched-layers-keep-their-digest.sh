# A layer in which nothing goes is copied with its digest; one whose rewriting would not save bytes too.
. "$(dirname "$0")/common.inc"

image "$work/a" > /dev/null <<'D'
layer gzip base
f app elf:1 mode=0755
f etc/conf text:one
layer zstd middle
f etc/other random:100000:1
layer gzip top
f etc/other random:100000:2
D
expect 0 "$imgslim" optimize --report "$work/r" "oci:$work/a" "oci:$work/b"
same "$(field "$work/r" '[.platforms[0].layers[].action] | join(" ")')" "copied removed copied"
same "$(field "$work/r" '.platforms[0].layers[0] | .source_digest == .result_digest')" true
same "$(listing "$work/a")" "$(listing "$work/b")"
# History: the layer that is left with nothing stays as an empty one.
config=$(python3 "$support/list_image.py" --config "$work/b")
same "$(echo "$config" | jq -c '[.history[].empty_layer]')" '[null,true,null]'
same "$(echo "$config" | jq '.rootfs.diff_ids | length')" 2
