# Canary credentials over every route by which they could leave: another host gets none, and nothing that is written or
# said holds them.
. "$(dirname "$0")/common.inc"
. "$support/registry.inc"
needs python3 curl

secret=canary-secret-5f1d
basic=$(printf 'canary-user:%s' "$secret" | base64 -w0)
routes=0 leaks=0

image "$work/image" > /dev/null <<'D'
layer gzip
f app elf:1 mode=0755
layer gzip
f data random:2000000:7
D
fault_registry none "$work/seed" FAULT_SIDE=push
"$imgslim" copy -q "oci:$work/image" "docker://$faulty/r:v1" > /dev/null
end_fault_registry
rm -f "$work/seed/log"

# start FAULT: a registry with it, and credentials for its host.
start() {
    rm -rf "$work/state" "$work/result" "$XDG_CACHE_HOME" "$work/report" "$work/err" "$work/out"
    cp -r "$work/seed" "$work/state"
    fault_registry "$1" "$work/state" "FAULT_BASIC=$basic" FAULT_SIDE="${2:-pull}"
    printf '{"auths":{"%s":{"auth":"%s"}}}' "$faulty" "$basic" > "$DOCKER_CONFIG/config.json"
    route=$1
}

# finish STATUS COMMAND...: runs it and looks everywhere.
finish() {
    wanted=$1
    shift
    routes=$((routes + 1))
    status=0
    timeout -k 5 100 "$@" > "$work/out" 2> "$work/err" || status=$?
    end_fault_registry
    leaked=
    # Whoever is not the registry is sent nothing.
    if grep '^other ' "$work/state/log" | grep -v ' -$'; then leaked="$leaked other-host"; fi
    if [ "$route" = none-urls ] && grep -q '^other ' "$work/state/log"; then leaked="$leaked urls"; fi
    tokens=$(sed -n 's/.* Bearer \(token-[0-9a-f-]*\)$/\1/p' "$work/state/log" | sort -u)
    for word in "$secret" "$basic" canary-signed $tokens; do
        # shellcheck disable=SC2046
        if grep -rlF -- "$word" "$work/out" "$work/err" $(ls -d "$work/report" "$work/result" "$XDG_CACHE_HOME" 2> /dev/null); then
            leaked="$leaked written"
        fi
    done
    [ "$status" = "$wanted" ] || {
        cat "$work/err" >&2
        fail "$route: exit $status, not $wanted"
    }
    say "$route: ${leaked:-no leak} ($(wc -l < "$work/state/log") requests)"
    [ -z "$leaked" ] || leaks=$((leaks + 1))
}

pulls="$imgslim copy -v"
# The honest ways first: without these the rest would prove nothing.
start basic
finish 0 "$imgslim" optimize -v --report "$work/report" "docker://$faulty/r:v1" "oci:$work/result"
grep -q "^own GET .* 200 Basic $basic\$" "$work/state/log" || fail "the registry never got the credentials"
start token-pull
finish 0 "$imgslim" optimize -v --report "$work/report" "docker://$faulty/r:v1" "oci:$work/result"
grep -q "^own GET /token.* Basic $basic\$" "$work/state/log" || fail "the token server never got the credentials"
start redirect-elsewhere
finish 0 $pulls "docker://$faulty/r:v1" "oci:$work/result"
grep -q '^other GET ' "$work/state/log" || fail "the redirect was not followed"
start location-elsewhere push
for file in "$work/state/blobs/"*; do [ "$(stat -c %s "$file")" -lt 1000000 ] || rm "$file"; done
end_fault_registry
rm -f "$work/state/log"
fault_registry location-elsewhere "$work/state" "FAULT_BASIC=$basic" FAULT_SIDE=push
printf '{"auths":{"%s":{"auth":"%s"}}}' "$faulty" "$basic" > "$DOCKER_CONFIG/config.json"
finish 0 $pulls "oci:$work/image" "docker://$faulty/r:v2"
grep -q '^other PUT ' "$work/state/log" || fail "the upload did not go to the other host"
start realm-elsewhere
finish 6 $pulls "docker://$faulty/r:v1" "oci:$work/result"
start realm-http-elsewhere
finish 6 $pulls "docker://$faulty/r:v1" "oci:$work/result"
start error-echo
finish 6 $pulls "docker://$faulty/r:v1" "oci:$work/result"
start 401-for-good
finish 6 $pulls "docker://$faulty/r:v1" "oci:$work/result"
# URLs of a layer are not followed.
start none
route=none-urls
other=$(sed -n 2p "$work/ports-none-$$")
python3 - "$work/state" "http://127.0.0.2:$other/elsewhere/x" <<'P'
import hashlib, json, os, sys
state, url = sys.argv[1:]
tag = open(os.path.join(state, "tags", "v1")).read()
kind, _, data = open(os.path.join(state, "manifests", tag), "rb").read().partition(b"\n")
manifest = json.loads(data)
for layer in manifest["layers"]:
    layer["urls"] = [url]
data = json.dumps(manifest).encode()
digest = "sha256:" + hashlib.sha256(data).hexdigest()
open(os.path.join(state, "manifests", digest), "wb").write(kind + b"\n" + data)
open(os.path.join(state, "tags", "urls"), "w").write(digest)
P
end_fault_registry
rm -f "$work/state/log"
fault_registry none "$work/state" FAULT_SIDE=pull
finish 0 $pulls "docker://$faulty/r:urls" "oci:$work/result"
# A helper's secret, and one that fails and shouts.
mkdir -p "$work/bin"
printf '#!/bin/sh\ncat > /dev/null\nprintf %s\n' "'{\"Username\":\"canary-user\",\"Secret\":\"$secret\"}'" > "$work/bin/docker-credential-canary"
printf '#!/bin/sh\necho "%s" >&2\necho "%s"\nexit 1\n' "$secret" "$secret" > "$work/bin/docker-credential-shouts"
chmod +x "$work/bin/"*
start basic
route=helper
printf '{"credHelpers":{"%s":"canary"}}' "$faulty" > "$DOCKER_CONFIG/config.json"
finish 0 env "PATH=$work/bin:$PATH" $pulls "docker://$faulty/r:v1" "oci:$work/result"
start basic
route=helper-shouts
printf '{"credsStore":"shouts"}' > "$DOCKER_CONFIG/config.json"
finish 6 env "PATH=$work/bin:$PATH" $pulls "docker://$faulty/r:v1" "oci:$work/result"
start basic
route=authfile
printf '{}' > "$DOCKER_CONFIG/config.json"
printf '{"auths":{"%s/r":{"auth":"%s"}}}' "$faulty" "$basic" > "$work/auth.json"
finish 0 $pulls --authfile "$work/auth.json" "docker://$faulty/r:v1" "oci:$work/result"

say "$leaks leaks over $routes routes"
[ $leaks = 0 ] || fail "credentials leaked"
