#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# debug-info.sh [IMGSLIM]: three services built from Go modules, and a Go program of npm that carries DWARF, each in an
# image of its own. Compressed bytes without debug information against those with it, and the time of optimize with
# --debug-info split against keep, medians of RUNS (5) runs in pairs; npm's, which has no build id, takes drop. Programs
# are made once, under IMGSLIM_TEST_CACHE; exit 125 where modules cannot be had; npm's is left out where there is no npm.
set -eu
imgslim=$(realpath "${1:-${IMGSLIM:-.build/release/src/imgslim}}")
runs=${RUNS:-5}
support=$(cd "$(dirname "$0")/../support" && pwd)
cache=${IMGSLIM_TEST_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/imgslim-tests}/go
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
for tool in go python3 jq; do
    command -v "$tool" > /dev/null || { echo "no $tool here" >&2; exit 125; }
done

# Seconds of one run.
seconds_of() {
    rm -rf "$work/out"
    start=$(date +%s%N)
    "$imgslim" optimize -q --form "$1" --debug-info "$2" --report "$work/report.$2" "oci:$work/in" "oci:$work/out" > /dev/null
    echo "$(date +%s%N) $start" | awk '{ printf "%.3f\n", ($1 - $2) / 1e9 }'
}
median() {
    sort -n "$1" | awk '{ all[NR] = $1 } END { print all[int((NR + 1) / 2)] }'
}

mkdir -p "$cache/bin"
printf '%-12s %-5s %14s %14s %7s %9s %9s %7s\n' service way 'keep, bytes' 'without, bytes' ratio 'keep, s' 'without, s' ratio
for service in caddy=github.com/caddyserver/caddy/v2/cmd/caddy@v2.10.2 coredns=github.com/coredns/coredns@v1.12.4 \
    nats-server=github.com/nats-io/nats-server/v2@v2.11.8 ngrok=npm:@expo/ngrok-bin-linux-x64@2.3.42; do
    name=${service%%=*}
    way=split
    case $service in
    *=npm:*)
        way=drop
        [ -x "$cache/bin/$name" ] || (
            mkdir -p "$work/npm" && cd "$work/npm" && npm pack --silent "${service#*=npm:}" > /dev/null &&
                tar -xzf ./*.tgz && install "package/$name" "$cache/bin/$name"
        ) >&2 || { echo "no $name of npm here: left out" >&2; continue; }
        ;;
    *)
        [ -x "$cache/bin/$name" ] ||
            GOBIN="$cache/bin" CGO_ENABLED=0 go install "${service#*=}" >&2 || { echo "no module of $name here" >&2; exit 125; }
        ;;
    esac
    rm -rf "$work/in"
    python3 "$support/tiny_image.py" "$work/in" > /dev/null <<D
config "{\"config\": {\"Entrypoint\": [\"/$name\"]}}"
layer gzip
f $name file:$cache/bin/$name mode=0755
f var/lib/dpkg/status "text:Package: base\nStatus: install ok installed\nVersion: 1\nArchitecture: all\n\n"
f var/lib/dpkg/info/base.list text:/etc\n
d var/lib/apt/lists/partial
f var/lib/apt/lists/lock text:
f var/lib/apt/lists/deb.example.org_debian_dists_bookworm_InRelease "text:Origin: Debian"
f var/lib/apt/lists/deb.example.org_debian_dists_bookworm_main_binary-amd64_Packages random:300000:1
D
    : > "$work/keep"
    : > "$work/without"
    run=0
    while [ "$run" -lt "$runs" ]; do
        # Package lists go in both, so that both write the layer.
        seconds_of tidy keep >> "$work/keep"
        seconds_of tidy "$way" >> "$work/without"
        run=$((run + 1))
    done
    before=$(jq '.platforms[0].compressed.before' "$work/report.$way")
    after=$(jq '.platforms[0].compressed.after' "$work/report.$way")
    echo "$name $way $before $after $(median "$work/keep") $(median "$work/without")" |
        awk '{ printf "%-12s %-5s %14d %14d %7.3f %9.3f %9.3f %7.3f\n", $1, $2, $3, $4, $4 / $3, $5, $6, $6 / $5 }'
done
