# A registry over TLS: trusted by --ca-file or by certs.d, otherwise refused, and never spoken to in the clear instead.
. "$(dirname "$0")/common.inc"
. "$support/registry.inc"
needs docker-registry openssl curl python3

image "$work/image" > /dev/null <<'D'
layer gzip
f app elf:1 mode=0755
f x random:3000000:1
D
openssl req -x509 -newkey rsa:2048 -nodes -days 2 -subj /CN=imgslim-test-ca -keyout "$work/ca.key" -out "$work/ca.crt" 2> "$work/log"
openssl req -newkey rsa:2048 -nodes -subj /CN=localhost -keyout "$work/host.key" -out "$work/host.csr" 2> "$work/log"
printf 'subjectAltName=DNS:localhost,IP:127.0.0.1\n' > "$work/ext"
openssl x509 -req -in "$work/host.csr" -CA "$work/ca.crt" -CAkey "$work/ca.key" -CAcreateserial -days 2 -extfile "$work/ext" \
    -out "$work/host.crt" 2> "$work/log"
export REGISTRY_HTTP_TLS_CERTIFICATE="$work/host.crt" REGISTRY_HTTP_TLS_KEY="$work/host.key"
port=$(python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])')
cat > "$work/registry.yml" << R
version: 0.1
log: {level: error, accesslog: {disabled: true}}
http: {addr: "127.0.0.1:$port"}
storage: {filesystem: {rootdirectory: "$work/store"}}
R
docker-registry serve "$work/registry.yml" > "$work/registry.log" 2>&1 &
registry_pids="$registry_pids $!"
tries=0
until curl -s --cacert "$work/ca.crt" -o "$work/ping" "https://localhost:$port/v2/"; do
    tries=$((tries + 1))
    [ $tries -lt 100 ] || fail "docker-registry does not start: $(tail -1 "$work/registry.log")"
    sleep 0.2
done

expect 0 "$imgslim" copy --ca-file "$work/ca.crt" "oci:$work/image" "docker://localhost:$port/a/b:v1"
expect 0 "$imgslim" copy --ca-file "$work/ca.crt" "docker://127.0.0.1:$port/a/b:v1" "oci:$work/back"
same "$(field "$work/back/index.json" '.manifests[0].digest')" "$(field "$work/image/index.json" '.manifests[0].digest')"
# Not trusted, wrong name, no such file.
openssl req -x509 -newkey rsa:2048 -nodes -days 2 -subj /CN=another-ca -keyout "$work/b.key" -out "$work/b.crt" 2> "$work/log"
expect 6 "$imgslim" copy --ca-file "$work/b.crt" "docker://localhost:$port/a/b:v1" "oci:$work/none"
grep -qi certificate "$work/err" || fail "the message does not speak of the certificate: $(cat "$work/err")"
expect 6 "$imgslim" copy --ca-file "$work/ca.crt" "docker://127.0.0.2:$port/a/b:v1" "oci:$work/none"
expect 1 "$imgslim" copy --ca-file "$work/nothing" "docker://localhost:$port/a/b:v1" "oci:$work/none"
# Without certificates this machine is spoken to in the clear, which this server refuses.
expect 6 "$imgslim" copy "docker://localhost:$port/a/b:v1" "oci:$work/none"
mkdir -p "$XDG_CONFIG_HOME/containers/certs.d/localhost:$port"
cp "$work/ca.crt" "$XDG_CONFIG_HOME/containers/certs.d/localhost:$port/"
expect 0 "$imgslim" copy "docker://localhost:$port/a/b:v1" "oci:$work/again"
[ ! -e "$work/none" ] || fail "a refused pull left something"
