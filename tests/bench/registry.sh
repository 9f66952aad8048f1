#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# registry.sh [MEGABYTES]: push and pull of an image of that size (1000) in 20 layers over loopback, against skopeo copy
# in the same run, in pairs. Exit 3 if imgslim is slower.
set -eu
root=$(cd "$(dirname "$0")/../.." && pwd)
IMGSLIM=${IMGSLIM:-$root/.build/release/src/imgslim}
. "$root/tests/cli/common.inc"
. "$support/registry.inc"
megabytes=${1:-1000}
command -v skopeo > /dev/null || skip "no skopeo here"

{
    for layer in 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20; do
        echo "layer none"
        echo "f data$layer random:$((megabytes * 50000)):$layer"
    done
} | python3 "$support/tiny_image.py" "$work/image" > /dev/null
"$imgslim" copy -q "oci:$work/image" "oci:$work/warm" > /dev/null
rm -rf "$work/warm"

seconds() {
    begin=$(date +%s.%N)
    "$@" > "$work/out" 2> "$work/err" || {
        cat "$work/err" >&2
        fail "$*"
    }
    end=$(date +%s.%N)
    echo "$end $begin" | awk '{ printf "%.2f\n", $1 - $2 }'
}
median() {
    sort -n | awk '{ value[NR] = $1 } END { print value[int((NR + 1) / 2)] }'
}

honest_registry
for turn in 1 2 3; do
    seconds "$imgslim" copy -q "oci:$work/image" "docker://$honest/ours/$turn:v1" >> "$work/our-push"
    seconds skopeo --insecure-policy copy -q --dest-tls-verify=false "oci:$work/image" "docker://$honest/theirs/$turn:v1" \
        >> "$work/their-push"
    seconds "$imgslim" copy -q "docker://$honest/ours/$turn:v1" "oci:$work/pulled" >> "$work/our-pull"
    rm -rf "$work/pulled"
    seconds skopeo --insecure-policy copy -q --src-tls-verify=false "docker://$honest/theirs/$turn:v1" "oci:$work/pulled:v1" \
        >> "$work/their-pull"
    rm -rf "$work/pulled" "$work/store"
done
missed=0
for what in push pull; do
    ours=$(median < "$work/our-$what")
    theirs=$(median < "$work/their-$what")
    verdict=yes
    awk "BEGIN { exit !($ours <= $theirs) }" || verdict=NO
    [ $verdict = yes ] || missed=1
    echo "$what of $megabytes MB in 20 layers | $ours s | <= skopeo's $theirs s | $verdict"
done
echo "load: $(cut -d ' ' -f 1 /proc/loadavg), $(nproc) CPUs"
[ $missed = 0 ] || exit 3
