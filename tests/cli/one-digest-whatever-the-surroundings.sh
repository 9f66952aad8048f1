# Threads, time zone, locale, folder and user do not show in the bytes.
. "$(dirname "$0")/common.inc"

image "$work/a" > /dev/null <<'D'
layer gzip
f app elf:1 mode=0755
f big random:3000000:1
f usr/share/x random:200000:2
f usr/share/y random:200000:2
layer gzip
f big random:3000000:3
D
first=
for how in "env" "env TZ=Asia/Tokyo" "env LC_ALL=C LANG=de_DE.UTF-8" "nice"; do
    for threads in 1 2 5; do
        rm -rf "$work/b" "$XDG_CACHE_HOME"
        # shellcheck disable=SC2086
        expect 0 $how "$imgslim" optimize -q -j $threads --digest-file "$work/d" "oci:$work/a" "oci:$work/b"
        digest=$(cat "$work/d")
        same "${first:=$digest}" "$digest"
    done
done
mkdir "$work/elsewhere"
cd "$work/elsewhere"
rm -rf "$XDG_CACHE_HOME"
expect 0 "$imgslim" optimize -q --digest-file d oci:../a oci:b
same "$first" "$(cat d)"
[ "$(id -u)" != 0 ] || {
    chmod 755 "$work"
    mkdir "$work/user"
    chown 65534:65534 "$work/user"
    expect 0 setpriv --reuid 65534 --regid 65534 --clear-groups env HOME="$work/user" XDG_CACHE_HOME="$work/user" \
        "$imgslim" optimize -q --digest-file "$work/user/d" "oci:$work/a" "oci:$work/user/b"
    same "$first" "$(cat "$work/user/d")"
}
