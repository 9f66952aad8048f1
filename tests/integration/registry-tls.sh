# A registry over TLS: trusted by --ca-file or by certs.d, otherwise refused, and never spoken to in the clear instead;
# through a proxy; with a client's certificate.
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
printf 'subjectAltName=DNS:localhost,DNS:registry.test,IP:127.0.0.1\n' > "$work/ext"
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
# start_registry CURL-OPTION...: with $work/registry.yml, until it answers.
start_registry() {
    docker-registry serve "$work/registry.yml" > "$work/registry.log" 2>&1 &
    registry_pid=$!
    registry_pids="$registry_pids $registry_pid"
    tries=0
    until curl -s --cacert "$work/ca.crt" "$@" -o "$work/ping" "https://localhost:$port/v2/"; do
        tries=$((tries + 1))
        [ $tries -lt 100 ] || fail "docker-registry does not start: $(tail -1 "$work/registry.log")"
        sleep 0.2
    done
}
start_registry

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

# Behind a proxy: a name that only the proxy knows is reached through it, unless no_proxy has it.
cat > "$work/proxy.py" << 'P'
"""proxy.py PORT-FILE LOG PORT: a proxy that tunnels to 127.0.0.1:PORT whatever it is asked for."""
import socket, sys, threading

ports, log, target = sys.argv[1], open(sys.argv[2], "a", buffering=1), int(sys.argv[3])


def pump(a, b):
    try:
        while data := a.recv(65536):
            b.sendall(data)
    except OSError:
        pass
    for end in (a, b):
        try:
            end.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass


def serve(client):
    head = b""
    while b"\r\n\r\n" not in head:
        head += client.recv(4096)
    log.write(head.split(b"\r\n")[0].decode() + "\n")
    server = socket.create_connection(("127.0.0.1", target))
    client.sendall(b"HTTP/1.1 200 Connection established\r\n\r\n")
    threading.Thread(target=pump, args=(client, server), daemon=True).start()
    pump(server, client)


listener = socket.create_server(("127.0.0.1", 0))
with open(ports, "w") as file:
    file.write(str(listener.getsockname()[1]))
while True:
    threading.Thread(target=serve, args=(listener.accept()[0],), daemon=True).start()
P
python3 "$work/proxy.py" "$work/proxy.port" "$work/proxy.log" "$port" &
registry_pids="$registry_pids $!"
tries=0
until [ -s "$work/proxy.port" ]; do
    tries=$((tries + 1))
    [ $tries -lt 100 ] || fail "the proxy does not start"
    sleep 0.1
done
proxy=http://127.0.0.1:$(cat "$work/proxy.port")
expect 0 env "HTTPS_PROXY=$proxy" "$imgslim" copy --ca-file "$work/ca.crt" "docker://registry.test/a/b:v1" "oci:$work/proxied"
grep -q '^CONNECT registry.test:443 ' "$work/proxy.log" || fail "the proxy was not asked"
same "$(field "$work/proxied/index.json" '.manifests[0].digest')" "$(field "$work/image/index.json" '.manifests[0].digest')"
# Whom this machine trusts, from the environment: a file, a folder by hashes; besides them --ca-file.
expect 6 env "HTTPS_PROXY=$proxy" "$imgslim" copy "docker://registry.test/a/b:v1" "oci:$work/none"
expect 0 env "HTTPS_PROXY=$proxy" "SSL_CERT_FILE=$work/ca.crt" "$imgslim" copy "docker://registry.test/a/b:v1" "oci:$work/by-file"
mkdir "$work/authorities"
cp "$work/ca.crt" "$work/authorities/$(openssl x509 -hash -noout -in "$work/ca.crt").0"
expect 0 env "HTTPS_PROXY=$proxy" "SSL_CERT_DIR=$work/authorities" "$imgslim" copy "docker://registry.test/a/b:v1" "oci:$work/by-folder"
expect 6 env "HTTPS_PROXY=$proxy" "SSL_CERT_FILE=$work/b.crt" "$imgslim" copy "docker://registry.test/a/b:v1" "oci:$work/none"
expect 0 env "HTTPS_PROXY=$proxy" "SSL_CERT_FILE=$work/b.crt" "$imgslim" copy --ca-file "$work/ca.crt" \
    "docker://registry.test/a/b:v1" "oci:$work/by-option"
: > "$work/proxy.log"
expect 6 env "HTTPS_PROXY=$proxy" NO_PROXY=registry.test "$imgslim" copy --ca-file "$work/ca.crt" \
    "docker://registry.test/a/b:v1" "oci:$work/none"
expect 0 env "HTTPS_PROXY=$proxy" "$imgslim" copy --ca-file "$work/ca.crt" "docker://localhost:$port/a/b:v1" "oci:$work/direct"
[ ! -s "$work/proxy.log" ] || fail "the proxy was asked for what is not its business: $(cat "$work/proxy.log")"

# A registry that asks for a client's certificate: one in certs.d beside the authority's opens it.
kill "$registry_pid"
openssl req -newkey rsa:2048 -nodes -subj /CN=client -keyout "$work/client.key" -out "$work/client.csr" 2> "$work/log"
printf 'extendedKeyUsage=clientAuth\n' > "$work/ext"
openssl x509 -req -in "$work/client.csr" -CA "$work/ca.crt" -CAkey "$work/ca.key" -CAcreateserial -days 2 -extfile "$work/ext" \
    -out "$work/client.cert" 2> "$work/log"
sed -i "s|^http: .*|http: {addr: \"127.0.0.1:$port\", tls: {certificate: \"$work/host.crt\", key: \"$work/host.key\", clientcas: [\"$work/ca.crt\"]}}|" \
    "$work/registry.yml"
start_registry --cert "$work/client.cert" --key "$work/client.key"
expect 6 "$imgslim" copy "docker://localhost:$port/a/b:v1" "oci:$work/none"
says "client's certificate"
cp "$work/client.cert" "$work/client.key" "$XDG_CONFIG_HOME/containers/certs.d/localhost:$port/"
expect 0 "$imgslim" copy "docker://localhost:$port/a/b:v1" "oci:$work/mutual"
[ ! -e "$work/none" ] || fail "a refused pull left something"
