#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# run-image.sh LAYOUT[:REF]: starts an image with its own configuration and prints what it answers on /healthz and
# /selftest, status and headers (without Date) included. An image that serves nothing (label imgslim.test=exits) is
# run to its end, and its output and exit status are printed.
#
# Root, or a user with subordinate ids. IMGSLIM_RUNTIME=runc|chroot chooses the runtime; default: runc if it can run
# a container that does nothing, else chroot in private namespaces. IMGSLIM_UNPACK=pure unpacks without umoci. Bounded: 60 seconds from the start of the image.
set -eu

support=$(cd "$(dirname "$0")" && pwd)
export PYTHONDONTWRITEBYTECODE=1

[ $# = 1 ] || {
    echo "usage: run-image.sh LAYOUT[:REF]" >&2
    exit 2
}
if [ "$(id -u)" != 0 ]; then
    exec unshare --map-root-user --map-auto --mount -- env IMGSLIM_RUNTIME=chroot sh "$0" "$@"
fi

work=$(mktemp -d "${TMPDIR:-/tmp}/imgslim-run.XXXXXX")
id=$(basename "$work")
pid=

finish() {
    status=$?
    trap - EXIT
    if [ -n "$pid" ]; then
        # unshare's own child too: the kernel forgets --kill-child when a process changes its user.
        children=$(cat "/proc/$pid/task/$pid/children" 2> /dev/null || true)
        # shellcheck disable=SC2086
        kill -KILL "$pid" $children 2> /dev/null || true
        wait "$pid" 2> /dev/null || true
    fi
    # What runc had started lives on without it.
    if [ "${runtime:-}" = runc ]; then
        runc --root "$work/state" delete --force "$id" > /dev/null 2>&1 || true
    fi
    rm -rf --one-file-system "$work"
    exit "$status"
}
trap finish EXIT
trap 'exit 130' INT
trap 'exit 143' TERM HUP

fail() {
    echo "run-image.sh: $1" >&2
    sed 's/^/    /' "$work/output" >&2
    exit 1
}

# A container that does nothing, from this machine's own loader-free program.
runc_works() {
    command -v runc > /dev/null || return 1
    probe=$work/probe
    mkdir -p "$probe/rootfs/bin"
    cp /bin/busybox "$probe/rootfs/bin/true" 2> /dev/null || return 1
    (cd "$probe" && runc spec && sed -i 's/"terminal": true/"terminal": false/; s/"sh"/"true"/' config.json) || return 1
    timeout 20 runc --root "$work/state" run --bundle "$probe" "$id-probe" < /dev/null > "$work/probe.log" 2>&1
}

port=$(python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])')
: > "$work/output"
kind=$(python3 "$support/unpack.py" "$1" "$work" --port "$port" ${IMGSLIM_UNPACK:+"--$IMGSLIM_UNPACK"})
runtime=${IMGSLIM_RUNTIME:-}
if [ -z "$runtime" ]; then
    if runc_works; then runtime=runc; else runtime=chroot; fi
fi

if [ "$runtime" = runc ]; then
    runc --root "$work/state" run --bundle "$work" "$id" < /dev/null > "$work/output" 2>&1 &
else
    unshare --mount --pid --fork --kill-child python3 "$support/run_chroot.py" "$work" < /dev/null > "$work/output" 2>&1 &
fi
pid=$!
deadline=$(($(date +%s) + 60))

in_time() {
    [ "$(date +%s)" -lt "$deadline" ]
}

if [ "$kind" = exits ]; then
    while kill -0 "$pid" 2> /dev/null; do
        in_time || fail "the image did not end"
        sleep 0.1
    done
    status=0
    wait "$pid" || status=$?
    pid=
    cat "$work/output"
    echo "exit status $status"
    exit 0
fi

base=http://127.0.0.1:$port
until curl -s -o /dev/null --noproxy '*' --max-time 5 "$base/healthz"; do
    kill -0 "$pid" 2> /dev/null || fail "the image ended before it answered"
    in_time || fail "no answer on /healthz"
    sleep 0.1
done
for page in healthz selftest; do
    echo "GET /$page"
    curl -s -i --noproxy '*' --max-time 30 "$base/$page" > "$work/answer" || fail "no answer on /$page"
    tr -d '\r' < "$work/answer" | sed '1,/^$/{/^Date:/d;}'
done
