# A program in an image: libraries by the image's own files and environment, what is missing, what it opens.
. "$(dirname "$0")/common.inc"
command -v gcc > /dev/null || skip "no gcc"

echo 'int f(void) { return 1; }' > "$work/f.c"
cat > "$work/app.c" <<'C'
#include <dlfcn.h>
int f(void);
int g(void);
int main(void) { return dlopen("libplug.so", RTLD_NOW) == 0 || dlopen("libnone.so", RTLD_NOW) == 0 || f() + g(); }
C
echo 'int g(void) { return 1; }' > "$work/g.c"
gcc -shared -fPIC -o "$work/libf.so" "$work/f.c" -Wl,-soname,libf.so
gcc -shared -fPIC -o "$work/libg.so" "$work/g.c" -Wl,-soname,libg.so
gcc -O1 -o "$work/app" "$work/app.c" -L"$work" -lf -lg
loader=$(readelf -l "$work/app" | sed -n 's/.*interpreter: \(.*\)\]/\1/p')
libc=$(readlink -f "$(gcc -print-file-name=libc.so.6)")
image "$work/a" > /dev/null <<D
config '{"config": {"Env": ["LD_LIBRARY_PATH=/none:/opt/f"], "Cmd": ["/app"]}}'
layer gzip
f app file:$work/app mode=0755
f ${loader#/} file:$(readlink -f "$loader") mode=0755
f usr/lib/libc.so.6 file:$libc
layer gzip
f opt/f/libf.so file:$work/libf.so
f opt/f/libplug.so file:$work/libf.so
s start app
f run.sh 'text:#!/app\n' mode=0755
D
expect 0 "$imgslim" inspect --format json "oci:$work/a:/start"
cp "$work/out" "$work/json"
same "$(field "$work/json" .version)" 1
same "$(field "$work/json" .file.resolved)" /app
same "$(field "$work/json" '.file.links | join(" ")')" /start
same "$(field "$work/json" .elf.interpreter)" "$loader"
same "$(field "$work/json" '.elf.needed | join(" ")')" "$(readelf -d "$work/app" | sed -n 's/.*NEEDED.*\[\(.*\)\]/\1/p' | xargs)"
same "$(field "$work/json" .elf.build_id)" "$(readelf -n "$work/app" | sed -n 's/.*Build ID: //p')"
same "$(field "$work/json" '.libraries.objects[] | select(.name == "libf.so") | .rule + " " + .path')" "LD_LIBRARY_PATH /opt/f/libf.so"
same "$(field "$work/json" '.libraries.missing[] | .name')" libg.so
same "$(field "$work/json" '[.dlopens[] | select(.object == "/app") | .class + " " + .names[0].name + " " + (.names[0].paths | join(","))] | join("; ")')" \
    "exact libplug.so /opt/f/libplug.so; exact libnone.so "
same "$(field "$work/json" '.advice[0] | .id, .fault' | xargs)" "missing-library true"

# The text says the same, and the environment can be set.
expect 0 "$imgslim" inspect "oci:$work/a:latest:/app"
grep -q '^ *libf.so .*/opt/f/libf.so (LD_LIBRARY_PATH)$' "$work/out" || fail "$(cat "$work/out")"
grep -q '^ *libg.so .*not found, tried /none' "$work/out" || fail "$(cat "$work/out")"
expect 0 "$imgslim" inspect --env LD_LIBRARY_PATH= --format json "oci:$work/a:/app"
same "$(field "$work/out" '[.libraries.missing[].name] | sort | join(" ")')" "libf.so libg.so"

# A script leads to its interpreter; a tree on this machine is as good as an image.
expect 0 "$imgslim" inspect --format json "oci:$work/a:/run.sh"
same "$(field "$work/out" '.script.steps[] | select(.kind == "interpreter").path')" /app
mkdir "$work/tree"
cp "$work/app" "$work/tree/app"
expect 0 "$imgslim" inspect --root "$work/tree" --format json /app
same "$(field "$work/out" '.libraries.missing[0].request')" interpreter
