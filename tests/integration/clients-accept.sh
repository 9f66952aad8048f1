# Real clients take the results: docker load, run and save, skopeo, umoci. Sample: payments-small; IMGSLIM_FULL=1 adds
# service-script (many small layers), service-ko (absolute names) and service-package.
. "$(dirname "$0")/common.inc"
needs skopeo umoci jq
images=payments-small
[ -z "${IMGSLIM_FULL:-}" ] || images="payments-small service-script service-ko service-package"

docker=/usr/bin/docker
daemon=
sock=$work/docker/sock
# stop_daemon: by its id; dockerd leaves a network namespace mounted in its exec root.
stop_daemon() {
    [ -n "$daemon" ] || return 0
    kill "$daemon" 2> /dev/null || true
    tries=0
    while kill -0 "$daemon" 2> /dev/null && [ "$tries" -lt 100 ]; do
        sleep 0.1
        tries=$((tries + 1))
    done
    kill -KILL "$daemon" 2> /dev/null || true
    wait "$daemon" 2> /dev/null || true
    daemon=
    umount "$work/docker/exec/netns/default" 2> /dev/null || true
}
finish() {
    status=$?
    trap - EXIT
    stop_daemon
    rm -rf --one-file-system "$work"
    exit "$status"
}
trap finish EXIT

start_daemon() {
    [ "$(id -u)" = 0 ] || skip "dockerd needs root"
    needs dockerd containerd runc "$docker"
    mkdir -p "$work/docker"
    dockerd --iptables=false --bridge=none --data-root "$work/docker/data" --exec-root "$work/docker/exec" \
        --pidfile "$work/docker/pid" -H "unix://$sock" > "$work/docker/log" 2>&1 &
    daemon=$!
    tries=0
    until "$docker" -H "unix://$sock" version > /dev/null 2>&1; do
        kill -0 "$daemon" 2> /dev/null && [ "$tries" -lt 300 ] || {
            tail -5 "$work/docker/log" >&2
            skip "dockerd does not start here"
        }
        sleep 0.2
        tries=$((tries + 1))
    done
}

in_docker() {
    timeout -k 5 300 "$docker" -H "unix://$sock" "$@"
}

# docker_answers NAME FILE: as run-image.sh says it.
docker_answers() {
    port=$(python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])')
    container=$(in_docker run -d --network host -e "PORT=$port" "$1")
    tries=0
    until curl -s -o /dev/null --noproxy '*' --max-time 5 "http://127.0.0.1:$port/healthz"; do
        [ "$tries" -lt 300 ] && [ "$(in_docker inspect -f '{{.State.Running}}' "$container")" = true ] || {
            in_docker logs "$container" >&2
            fail "docker run: $1 does not answer"
        }
        sleep 0.2
        tries=$((tries + 1))
    done
    for page in healthz selftest; do
        echo "GET /$page"
        curl -s -i --noproxy '*' --max-time 30 "http://127.0.0.1:$port/$page" | tr -d '\r' | sed '1,/^$/{/^Date:/d;}'
    done > "$2"
    in_docker rm -f "$container" > /dev/null
}

# skopeo_takes WHAT DESTINATION: every blob is read and its digest checked.
skopeo_takes() {
    rm -rf "$work/dir"
    timeout -k 5 300 skopeo --insecure-policy copy -q "$1" "dir:$work/dir" 2> "$work/err" || {
        cat "$work/err" >&2
        fail "skopeo does not take $1"
    }
    [ -f "$work/dir/manifest.json" ] || fail "skopeo wrote nothing from $1"
}

check() {
    real_image "$1"
    name=$1
    optimize "oci:$layout" "oci:$work/oci:slim"
    optimize "oci:$layout" "oci-archive:$work/oci.tar:slim"
    optimize "oci:$layout" "docker-archive:$work/docker.tar:example.org/$name:slim"
    skopeo_takes "oci:$work/oci:slim"
    skopeo_takes "oci-archive:$work/oci.tar:slim"
    skopeo_takes "docker-archive:$work/docker.tar"
    timeout -k 5 300 umoci unpack --rootless --image "$work/oci:slim" "$work/unpacked" > "$work/out" 2> "$work/err" || {
        cat "$work/err" >&2
        fail "umoci does not unpack the result of $name"
    }
    [ -n "$(ls -A "$work/unpacked/rootfs")" ] || fail "umoci unpacked nothing"
    chmod -R u+rwX "$work/unpacked"
    rm -rf "$work/unpacked" "$work/oci.tar"
    say "$name: skopeo and umoci take it"

    # The answers of the source, which never saw a daemon.
    answers "$layout" "$work/answers"
    in_docker load -q -i "$work/docker.tar" > "$work/out" || fail "docker load does not take $name"
    grep -q "example.org/$name:slim" "$work/out" || fail "docker load says: $(cat "$work/out")"
    docker_answers "example.org/$name:slim" "$work/answers.docker"
    diff -u "$work/answers" "$work/answers.docker" >&2 || fail "$name answers differently in docker"
    say "$name: docker load and run, answers alike"

    # What docker save writes is read back: the same tree, nothing more to do, and OCI's media types in a layout.
    in_docker save -o "$work/saved.tar" "example.org/$name:slim"
    rm -f "$work/docker.tar"
    optimize "docker-archive:$work/saved.tar" "oci:$work/saved:slim"
    same "$(field "$work/report" .changed)" false
    same_listing "$work/oci:slim" "$work/saved:slim"
    skopeo_takes "oci:$work/saved:slim"
    optimize "$work/saved.tar" "oci-archive:$work/saved-oci.tar:slim"
    skopeo_takes "oci-archive:$work/saved-oci.tar:slim"
    optimize "docker-archive:$work/saved.tar:example.org/$name:slim" "docker-archive:$work/docker.tar:$name:again"
    in_docker load -q -i "$work/docker.tar" > "$work/out" || fail "docker load does not take $name a second time"
    in_docker rmi -f "example.org/$name:slim" "$name:again" > /dev/null
    say "$name: docker save is read back"
    rm -rf "$work/oci" "$work/saved" "$work"/*.tar
}

needs_starts
start_daemon
for name in $images; do
    check "$name"
done
