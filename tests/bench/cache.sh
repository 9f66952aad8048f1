#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# cache.sh: the payments image from and to a registry on loopback, three times: the first run, the same run again, and
# the run after its application changed. Exit 3 if a figure misses its bar.
set -eu
root=$(cd "$(dirname "$0")/../.." && pwd)
export IMGSLIM="${IMGSLIM:-$root/.build/release/src/imgslim}" IMGSLIM_DRIVERS="${IMGSLIM_DRIVERS:-$root/.build/release/tests}"
log=$(mktemp)
trap 'rm -f "$log" "$log.first" "$log.next"' EXIT
for _ in 1 2 3; do
    sh "$root/tests/integration/registry-cache.sh" >> "$log" 2>&1 || {
        tail -3 "$log" >&2
        exit 1
    }
done
# took NAME: the milliseconds of the runs of that name.
took() { sed -n "s/^$1: \([0-9]*\) ms.*/\1/p" "$log"; }
median() { sort -n | awk '{ value[NR] = $1 } END { print value[int((NR + 1) / 2)] }'; }
took first > "$log.first"
took next > "$log.next"
share=$(paste -d ' ' "$log.next" "$log.first" | awk '{ printf "%.1f\n", $1 * 100 / $2 }' | median)
again=$(took again | median)
carried=$(took carried | median)
echo "first run | $(median < "$log.first") ms"
echo "the application changed, share of the first run | $share % | <= 15 %"
echo "nothing changed | $again ms | < 1000 ms"
echo "the application changed, cache from the registry | $carried ms"
sed -n 's/^a changed application: .*time, \(.*\)/beyond the changed layer | \1 | <= 1 MB/p' "$log" | tail -1
echo "load: $(cut -d ' ' -f 1 /proc/loadavg), $(nproc) CPUs"
awk "BEGIN { exit !($share <= 15 && $again < 1000) }" || exit 3
