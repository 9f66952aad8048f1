# What the certificate says of files that lost debug information: its bytes add up, verify holds it against the image
# and the source, a forged one is found out, explain tells it, and the companion goes where the image goes.
. "$(dirname "$0")/common.inc"
for tool in gcc readelf jq; do
    command -v "$tool" > /dev/null || skip "no $tool here"
done
[ "$(uname -m)" = x86_64 ] || skip "the test images are amd64"

cat > "$work/app.c" <<'C'
#include <stdio.h>
struct numbers { int first, second; };
static int add(struct numbers n) { return n.first + n.second; }
int main(void) { struct numbers n = {1, 2}; return printf("%d\n", add(n)) != 2; }
C
gcc -g3 -Wl,--build-id -o "$work/app" "$work/app.c"
interpreter=$(readelf -l "$work/app" | sed -n 's/.*interpreter: \(.*\)\]/\1/p')
libc=$(ldd "$work/app" 2> /dev/null | awk '$1 == "libc.so.6" {print $3}')
[ -n "$interpreter" ] && [ -f "$libc" ] || skip "no glibc here"
# service LAYOUT PROGRAM: an image of it, under two names, with what it needs and a manual.
service() {
    image "$1" > /dev/null <<D
config '{"config": {"Entrypoint": ["/app"]}}'
layer gzip
f app file:$2 mode=0755
h opt/also app
f ${interpreter#/} file:$interpreter mode=0755
f ${libc#/} file:$libc mode=0755
f usr/share/man/man1/p.1 "text:manual\n"
f var/lib/dpkg/status "text:Package: p\nStatus: install ok installed\nVersion: 1\nArchitecture: all\n\n"
f var/lib/dpkg/info/p.list "text:/.\n/usr\n/usr/share\n/usr/share/man\n/usr/share/man/man1\n/usr/share/man/man1/p.1\n"
D
}
service "$work/in" "$work/app"
before=sha256:$(sha256sum "$work/app" | cut -d ' ' -f 1)
id=$(readelf -n "$work/app" | sed -n 's/.*Build ID: //p')
companion=.build-id/$(echo "$id" | cut -c 1-2)/$(echo "$id" | cut -c 3-).debug

for form in lossless tidy distroless; do
    slim=$work/$form
    expect 0 "$imgslim" optimize -q --form "$form" --debug-info split --proof "$slim.proof" "oci:$work/in" "oci:$slim"
    # Kept and dropped bytes are the source's, those of debug information a rule among the others.
    same "$(field "$slim.proof" '.platforms[0] | .bytes.kept + .bytes.padding + ([.rules[].bytes] | add) == .bytes.source')" true
    same "$(field "$slim.proof" '.platforms[0].rules[] | select(.id == "debug-info") | .entries, .bytes >= ([.bytes] | add)' | tr '\n' ' ')" "1 true "
    taken=$(field "$slim.proof" '.platforms[0].debug_info[0] | .before.size - .after.size')
    gone=$(field "$slim.proof" '.platforms[0].rules[] | select(.id == "debug-info").bytes')
    [ "$gone" -gt $((taken - 512)) ] && [ "$gone" -lt $((taken + 512)) ] || fail "$form: $gone bytes by the rule, $taken of the file"
    same "$(field "$slim.proof" '.platforms[0].debug_info | length')" 2
    same "$(field "$slim.proof" '[.platforms[0].debug_info[] | .before.digest, .companion] | unique | sort | join(" ")')" "$companion $before"
    field "$slim.proof" '.platforms[0].debug_info[0].sections[][0]' | grep -q '^\.debug_info$' || fail "$form: no section is named"
    field "$slim.proof" '.options[]' | grep -q -- '^--debug-info split$' || fail "$form: the option is not named"

    for against in "" "--against oci:$work/in"; do
        # shellcheck disable=SC2086
        expect 0 "$imgslim" verify $against "oci:$slim"
        grep -q ', 2 files without debug information$' "$work/out" || fail "$form: $(cat "$work/out")"
        [ ! -s "$work/err" ] || fail "$form: $(cat "$work/err")"
    done
    expect 0 "$imgslim" verify --format json --proof "$slim.proof" "oci:$slim:latest"
    same "$(field "$work/out" .platforms[0].debug_info)" 2
done

# forged EXPRESSION: verify with the certificate changed by jq says TEXT, without the source or only with it.
forged() {
    jq -c "$1" "$work/tidy.proof" > "$work/forged"
    cmp -s "$work/forged" "$work/tidy.proof" && fail "nothing is forged by $1"
    if [ "$3" = alone ]; then
        expect 7 "$imgslim" verify -q --proof "$work/forged" "oci:$work/tidy:latest"
        grep -qF -- "/app: $2" "$work/out" || fail "$1: $(cat "$work/out")"
    else
        expect 0 "$imgslim" verify -q --proof "$work/forged" "oci:$work/tidy:latest"
    fi
    expect 7 "$imgslim" verify -q --proof "$work/forged" --against "oci:$work/in" "oci:$work/tidy:latest"
    grep -qF -- "/app: $2" "$work/out" || fail "$1, against the source: $(cat "$work/out")"
}
other=sha256:$(echo other | sha256sum | cut -d ' ' -f 1)
row='.platforms[0].debug_info[0]'
forged "$row.after.digest = \"$other\"" 'its content is sha256:' alone
forged "$row.loaded = \"$other\"" 'its loaded bytes are sha256:' alone
forged "$row.before.digest = \"$other\"" "the source's content is $before" source
forged "$row.sections |= .[1:]" 'its section .debug_' source
forged "$row.sections[0][1] += 1" 'its section .debug_' source
forged "del($row)" 'its content is not that of the source, and the certificate does not name it' source
for broken in "$row.loaded = 1" "$row.after.size = $row.before.size" "$row.path = \"app\"" "$row.companion = \"../x\"" \
    'del(.platforms[0].rules[] | select(.id == "debug-info"))' '.platforms[0].rules[0].bytes += 1'; do
    jq -c "$broken" "$work/tidy.proof" > "$work/forged"
    expect 5 "$imgslim" verify -q --proof "$work/forged" "oci:$work/tidy:latest"
done

# Another byte in a segment, in an image made for it; then all that the image can answer is forged as well.
python3 - "$work/tidy" "$work/patched" <<'P'
import gzip, io, json, sys, tarfile
layout, out = sys.argv[1:]
blob = lambda digest: open(layout + "/blobs/" + digest.replace(":", "/"), "rb").read()
manifest = json.loads(blob(json.load(open(layout + "/index.json"))["manifests"][0]["digest"]))
for layer in manifest["layers"]:
    tar = tarfile.open(fileobj=io.BytesIO(gzip.decompress(blob(layer["digest"]))))
    if "app" in tar.getnames():
        data = bytearray(tar.extractfile("app").read())
data[64 * 1024 - 1 if len(data) > 1 << 20 else 0x1000] ^= 0xFF
open(out, "wb").write(data)
P
service "$work/bad" "$work/patched"
digest=$(field "$work/bad/index.json" '.manifests[0].digest')
jq -c ".result = \"$digest\" | .platforms[0].result = \"$digest\"" "$work/tidy.proof" > "$work/forged"
expect 7 "$imgslim" verify -q --proof "$work/forged" "oci:$work/bad"
grep -q '/app: its content is sha256:' "$work/out" || fail "$(cat "$work/out")"
loaded=$(sed -n 's/.*: \/app: its loaded bytes are \(sha256:[0-9a-f]*\); .*/\1/p' "$work/out" | head -1)
[ -n "$loaded" ] || fail "$(cat "$work/out")"
patched=sha256:$(sha256sum "$work/patched" | cut -d ' ' -f 1)
jq -c ".platforms[0].debug_info[] |= (.after.digest = \"$patched\" | .loaded = \"$loaded\")" "$work/forged" > "$work/forged.2"
expect 0 "$imgslim" verify -q --proof "$work/forged.2" "oci:$work/bad"
expect 7 "$imgslim" verify -q --proof "$work/forged.2" --against "oci:$work/in" "oci:$work/bad"
grep -q '/app: its loaded bytes are not those of the source$' "$work/out" || fail "$(cat "$work/out")"
# Without a certificate it is found as well; what is loaded alike is a note.
expect 7 "$imgslim" verify -q --against "oci:$work/in" "oci:$work/bad"
grep -q '/app: its loaded bytes are not those of the source$' "$work/out" || fail "$(cat "$work/out")"
expect 0 "$imgslim" copy -q "oci:$work/tidy:latest" "docker-archive:$work/tidy.tar"
expect 0 "$imgslim" verify --against "oci:$work/in" "docker-archive:$work/tidy.tar"
says 'note: /app: its content is not that of the source, its loaded bytes are; no certificate says why'

# explain: what went, how it comes back.
expect 0 "$imgslim" explain "oci:$work/distroless:latest" /app
grep -q '^  without its debug information, .*: .*\.debug_info' "$work/out" || fail "$(cat "$work/out")"
grep -q "^  imgslim debug-info brings it back as $companion\$" "$work/out" || fail "$(cat "$work/out")"
expect 0 "$imgslim" explain --format json "oci:$work/tidy:latest" /opt/also
same "$(field "$work/out" '.platforms[0].paths[0] | .state, .debug_info.companion, .debug_info.before.digest' | tr '\n' ' ')" "kept $companion $before "
expect 0 "$imgslim" explain "oci:$work/tidy:latest" "$libc"
grep -q 'debug information' "$work/out" && fail "$(cat "$work/out")"
expect 0 "$imgslim" optimize -q --form tidy --debug-info drop,symbols "oci:$work/in" "oci:$work/dropped"
expect 0 "$imgslim" verify --against "oci:$work/in" "oci:$work/dropped"
expect 0 "$imgslim" explain "oci:$work/dropped:latest" /app
grep -q '\.symtab' "$work/out" || fail "$(cat "$work/out")"
grep -q 'it was dropped; --debug-info split keeps it beside the image' "$work/out" || fail "$(cat "$work/out")"

# Its own result stays, with certificate and companion; so does a copy of it, where there is a place for them.
expect 0 "$imgslim" optimize -q --debug-info split --report "$work/report" "oci:$work/distroless:latest" "oci:$work/again"
same "$(field "$work/report" .changed)" false
expect 0 "$imgslim" copy -q --referrers "oci:$work/again:latest" "oci-archive:$work/copied.tar"
expect 0 "$imgslim" copy -q --referrers "oci-archive:$work/copied.tar:latest" "oci:$work/copied"
expect 0 "$imgslim" debug-info "oci:$work/distroless:latest" -o "$work/debug"
[ -s "$work/debug/$companion" ] || fail "no companion"
for place in again copied; do
    expect 0 "$imgslim" verify --against "oci:$work/in" "oci:$work/$place:latest"
    grep -q ', 2 files without debug information$' "$work/out" || fail "$place: $(cat "$work/out")"
    expect 0 "$imgslim" debug-info "oci:$work/$place:latest" -o "$work/debug.$place"
    diff -r "$work/debug" "$work/debug.$place" || fail "$place: another companion"
done
expect 1 "$imgslim" debug-info "docker-archive:$work/tidy.tar" -o "$work/none"
