# docker-daemon: an image goes into a Docker engine and comes out of it the same; what the engine refuses is an error.
. "$(dirname "$0")/common.inc"
. "$support/registry.inc"
. "$support/engine.inc"
[ "$(id -u)" = 0 ] || skip "a Docker engine needs root"
needs dockerd curl python3

image "$work/image" > /dev/null <<'D'
config '{"config":{"Cmd":["/app"]}}'
layer gzip
f app text:hello mode=0755
f x random:100000:1
layer gzip
w x
D
trap 'for pid in $registry_pids; do kill "$pid" 2> /dev/null || true; wait "$pid" 2> /dev/null || true; done; rm -rf "$work"' EXIT
start_engine
want=$(listing "$work/image")

expect 0 "$imgslim" copy "oci:$work/image" docker-daemon:app:v1
curl -s --unix-socket "$work/engine/sock" http://localhost/images/app:v1/json > "$work/there"
same "$(field "$work/there" '.Config.Cmd[0]')" /app
expect 0 "$imgslim" copy docker-daemon:app:v1 "oci:$work/back"
# One platform of an index.
image "$work/two" > "$work/made" << 'D'
platform linux/amd64
layer gzip
f app elf:1 mode=0755
attest
platform linux/arm64
layer gzip
f app elf:2 mode=0755
D
expect 0 "$imgslim" copy --platform linux/amd64 "oci:$work/two" docker-daemon:two:v1
expect 0 "$imgslim" copy docker-daemon:two:v1 "oci:$work/back-two"
same "$(listing "$work/back-two")" "$(image "$work/amd64" << 'D' > "$work/made" && listing "$work/amd64"
platform linux/amd64
layer gzip
f app elf:1 mode=0755
D
)"
expect 2 "$imgslim" copy "oci:$work/two" docker-daemon:two:v1
same "$(listing "$work/back")" "$want"
expect 0 "$imgslim" optimize --form lossless --report "$work/report" docker-daemon:app:v1 docker-daemon:app
same "$(field "$work/report" .changed)" true
expect 0 "$imgslim" copy docker-daemon:app "oci:$work/slim"
same "$(listing "$work/slim")" "$want"
expect 6 "$imgslim" copy docker-daemon:none "oci:$work/none"
says "the Docker daemon says"
expect 2 "$imgslim" copy "oci:$work/image" "docker-daemon:app@sha256:$(printf %064d 0)"
expect 6 env DOCKER_HOST="unix://$work/none" "$imgslim" copy docker-daemon:app "oci:$work/none"
says "cannot connect"
expect 2 env DOCKER_HOST=tcp://docker.example:2375 "$imgslim" copy docker-daemon:app "oci:$work/none"
[ -z "$(find "$XDG_CACHE_HOME/imgslim" -maxdepth 1 -type f)" ] || fail "something was left in the cache"
