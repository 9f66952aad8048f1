#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# facts.sh [GO-PROGRAM]...: processor time of all facts of Go programs, medians of five; the bar is 2 ms for each
# MB (100 ms for 50 MB), whatever the size. Exit 3 if one misses it; default: containerd and larger programs here.
set -eu
root=$(cd "$(dirname "$0")/../.." && pwd)
facts=${IMGSLIM_DRIVERS:-$root/.build/release/tests}/imgslim_go_facts
[ $# -gt 0 ] || set -- /usr/bin/containerd /usr/sbin/dockerd /usr/local/bin/terraform
missed=0
for program; do
    [ -f "$program" ] || continue
    for _ in 1 2 3 4 5; do
        "$facts" --time "$program"
    done | jq -r '"\(.milliseconds) \(.size)"' | sort -n | awk -v name="$program" '
        { time[NR] = $1; size = $2 / 1e6 }
        END {
            printf "%s: %.0f MB, %.1f ms processor time, %.2f ms/MB (bar 2)\n", name, size, time[3], time[3] / size
            exit time[3] / size > 2 ? 1 : 0
        }' || missed=3
done
exit $missed
