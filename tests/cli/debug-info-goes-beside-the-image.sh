# Debug information goes only when it is asked for, from the files that may lose it, and comes back for a debugger.
. "$(dirname "$0")/common.inc"
for tool in gcc readelf objcopy jq; do
    command -v "$tool" > /dev/null || skip "no $tool here"
done

cat > "$work/app.c" <<'C'
#include <stdio.h>
struct numbers { int first, second; };
static int add(struct numbers n) { return n.first + n.second; }
int main(void) { struct numbers n = {1, 2}; return printf("%d\n", add(n)) != 2; }
C
gcc -g3 -Wl,--build-id -o "$work/app" "$work/app.c"
gcc -g3 -O2 -Wl,--build-id -o "$work/packaged" "$work/app.c"
gcc -g3 -Wl,--build-id=none -o "$work/nameless" "$work/app.c"
{ cat "$work/app"; echo "an archive behind it"; } > "$work/appended"
id=$(readelf -n "$work/app" | sed -n 's/.*Build ID: //p')
image "$work/a" > /dev/null <<D
config "{\"config\": {\"Entrypoint\": [\"/app\"]}}"
layer gzip
f app file:$work/app mode=0755 uid=3 mtime=1600000000 xattr=user.note=6869
h opt/also app
f opt/packaged file:$work/packaged mode=0755
f opt/nameless file:$work/nameless mode=0755
f opt/appended file:$work/appended mode=0755
f opt/signed file:$work/packaged mode=0755 xattr=security.ima=0102
f opt/text text:words
f var/lib/dpkg/status "text:Package: base\nStatus: install ok installed\nVersion: 1\nArchitecture: all\n\n"
f var/lib/dpkg/info/base.list text:/opt/packaged\n
f var/lib/dpkg/info/base.md5sums "text:$(md5sum < "$work/packaged" | cut -c 1-32)  opt/packaged\n"
layer gzip
f etc/app.conf text:setting
D

# Not asked: nothing changes, and one line says what could.
expect 0 "$imgslim" optimize --form lossless --report "$work/r" "oci:$work/a" "oci:$work/same"
same "$(field "$work/r" .changed)" false
grep -q '^--debug-info split would save about .* in 3 files$' "$work/out" || fail "the table does not say what split would save"

for form in lossless tidy; do
    b=$work/$form
    expect 0 "$imgslim" optimize --form "$form" --debug-info split --report "$work/r" "oci:$work/a" "oci:$b"
    same "$(field "$work/r" '[.platforms[0].debug_info.files[] | select(.left_alone == null).path] | join(" ")')" /app
    same "$(field "$work/r" '[.platforms[0].debug_info.files[] | .left_alone // empty] | sort | join(" ")')" \
        'appended-bytes integrity-xattr no-build-id package-checksum'
    # Of that one file content and size differ, and nothing else anywhere; the second layer is the source's.
    for side in "$work/a" "$b"; do
        listing "$side" | awk '$2 == "/app" || $2 == "/opt/also" { $6 = $7 = "" } { print }' > "$work/list.$(basename "$side")"
    done
    diff "$work/list.a" "$work/list.$form" > "$work/differ" || fail "$form: more changed: $(cat "$work/differ")"
    same "$(field "$work/r" '[.platforms[0].layers[].action] | join(" ")')" 'rewritten copied'
    expect 0 "$imgslim" debug-info "oci:$b" -o "$work/$form.debug"
    [ -s "$work/$form.debug/.build-id/$(echo "$id" | cut -c 1-2)/$(echo "$id" | cut -c 3-).debug" ] || fail "no companion"
done

# The same again is the same, and its own result stays with what belongs to it.
expect 0 "$imgslim" optimize --form tidy --debug-info split --digest-file "$work/d1" "oci:$work/a" "oci:$work/again"
expect 0 "$imgslim" optimize --form tidy --debug-info split --digest-file "$work/d2" --report "$work/r" "oci:$work/tidy" "oci:$work/twice"
same "$(cat "$work/d1")" "$(cat "$work/d2")"
same "$(field "$work/r" .changed)" false
expect 0 "$imgslim" debug-info --format json "oci:$work/twice" -o "$work/twice.debug"
same "$(field "$work/out" '.files | length')" 1
diff -r "$work/tidy.debug" "$work/twice.debug" > /dev/null || fail "the companion changed on the way"

# The file in the image runs and has no debug sections.
layer=$(field "$work/r" '.platforms[0].layers[0].source_digest' | cut -c 8-)
tar -xzf "$work/tidy/blobs/sha256/$layer" -C "$work" --transform 's,^app$,slim,' app
"$work/slim" > "$work/answer" || fail "it does not run"
same "$(cat "$work/answer")" 3
readelf -SW "$work/slim" | grep -q '\.debug_' && fail "there is debug information left"
readelf -SW "$work/slim" | grep -q '\.symtab' || fail "the symbols went unasked"
[ "$(stat -c %Y "$work/slim")" = 1600000000 ] || fail "the time changed"

expect 0 "$imgslim" optimize --form tidy --debug-info drop,symbols --report "$work/r" "oci:$work/a" "oci:$work/dropped"
field "$work/r" '.platforms[0].debug_info.files[] | select(.path == "/app").sections[]' | grep -q '^.symtab$' || fail "symbols stayed"
expect 1 "$imgslim" debug-info "oci:$work/dropped" -o "$work/none"
[ ! -e "$work/none" ] || fail "a directory was made for nothing"

expect 2 "$imgslim" optimize --debug-info split "oci:$work/a" "docker-archive:$work/x.tar:app"
says 'a layout is one'
[ ! -e "$work/x.tar" ] || fail "something was written"
for wrong in symbols keep,symbols split,debug; do
    expect 2 "$imgslim" optimize --debug-info "$wrong" "oci:$work/a" "oci:$work/x"
done
