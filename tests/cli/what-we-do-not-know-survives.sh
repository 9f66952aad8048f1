# Unknown fields, key order and number texts of config and manifest; created; the inline cache key goes.
. "$(dirname "$0")/common.inc"

image "$work/a" > /dev/null <<'D'
config '{"x.unknown": {"b": 1.50, "a": 12345678901234567890123}, "moby.buildkit.cache.v0": "eyJ9", "author": "me"}'
manifest '{"annotations": {"org.example": "kept"}, "x-field": [1e3, -0.0]}'
layer gzip
f app elf:1 mode=0755
f x random:50000:1
layer gzip
w x
D
expect 0 "$imgslim" optimize --report "$work/r" "oci:$work/a" "oci:$work/b"
config=$(python3 "$support/list_image.py" --config "$work/b")
echo "$config" | grep -q '"x.unknown":{"b":1.5,"a":12345678901234567890123}' || fail "config: $config"
echo "$config" | grep -q '"created":"2023-11-14T22:13:20Z"' || fail "created changed"
echo "$config" | grep -q 'moby.buildkit' && fail "a stale inline cache key is left"
says "inline BuildKit cache key"
same "$(field "$work/r" '.platforms[0].lost_inline_cache')" true
SOURCE_DATE_EPOCH=86400 expect 0 "$imgslim" optimize "oci:$work/a" "oci:$work/c"
python3 "$support/list_image.py" --config "$work/c" | grep -q '"created":"1970-01-02T00:00:00Z"' || fail "SOURCE_DATE_EPOCH"
