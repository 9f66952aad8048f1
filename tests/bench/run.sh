#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# run.sh [--speed]: the project's figures, each beside its bar, as a table on standard output; exit 3 if one misses it.
# --speed: only what is measured in time. Takes a release build (.build/release, or IMGSLIM and IMGSLIM_DRIVERS) and
# the payments image. Times are ratios within this run, medians of five pairs; they say little while others load the
# machine, so the load is printed beside them.
set -eu

root=$(cd "$(dirname "$0")/../.." && pwd)
support=$root/tests/support
export IMGSLIM="${IMGSLIM:-$root/.build/release/src/imgslim}" IMGSLIM_DRIVERS="${IMGSLIM_DRIVERS:-$root/.build/release/tests}"
speed=
case ${1:-} in
--speed) speed=1 ;;
'') ;;
*)
    echo "usage: run.sh [--speed]" >&2
    exit 2
    ;;
esac
layout=$(sh "$support/images.sh" payments)
work=$(mktemp -d "${TMPDIR:-/var/tmp}/imgslim-bench.XXXXXX")
trap 'rm -rf "$work"' EXIT
trap 'exit 130' INT
trap 'exit 143' TERM HUP
missed=0
: > "$work/table"

say() {
    echo "bench: $*" >&2
}

row() {
    printf '%s|%s|%s|%s\n' "$@" >> "$work/table"
}

# bar FIGURE MEASURED LIMIT: at most LIMIT.
bar() {
    if awk "BEGIN { exit !($2 <= $3) }"; then
        row "$1" "$2" "<= $3" yes
    else
        row "$1" "$2" "<= $3" NO
        missed=1
    fi
}

load() {
    cut -d ' ' -f 1 /proc/loadavg
}

# The middle one of the numbers on standard input.
median() {
    sort -n | awk '{ value[NR] = $1 } END { print value[int((NR + 1) / 2)] }'
}

# seconds COMMAND...: its wall clock.
seconds() {
    begin=$(date +%s.%N)
    "$@" > "$work/out" 2> "$work/err" || {
        tail -5 "$work/err" >&2
        say "failed: $*"
        exit 1
    }
    end=$(date +%s.%N)
    awk "BEGIN { printf \"%.3f\n\", $end - $begin }"
}

# costs COMMAND...: its wall clock, CPU seconds and largest resident set in MB; what it prints goes nowhere.
costs() {
    python3 - "$@" << 'EOF'
import resource, subprocess, sys, time
begin = time.monotonic()
done = subprocess.run(sys.argv[1:], stdout=subprocess.DEVNULL)
seconds = time.monotonic() - begin
used = resource.getrusage(resource.RUSAGE_CHILDREN)
print(f"{seconds:.3f} {used.ru_utime + used.ru_stime:.3f} {used.ru_maxrss >> 10}")
sys.exit(done.returncode)
EOF
}

# pairs FLOOR OURS: five times one after the other; medians in $floor_s, $ours_s, $ratio. Both
# commands are shell functions that print seconds and CPU seconds.
pairs() {
    : > "$work/floor"
    : > "$work/ours"
    "$1" > /dev/null
    "$2" > /dev/null
    for _ in 1 2 3 4 5; do
        "$1" >> "$work/floor"
        "$2" >> "$work/ours"
    done
    floor_s=$(cut -d ' ' -f 1 "$work/floor" | median)
    ours_s=$(cut -d ' ' -f 1 "$work/ours" | median)
    ratio=$(paste -d ' ' "$work/floor" "$work/ours" | awk '{ printf "%.3f\n", $3 / $1 }' | median)
    cpu_ratio=$(paste -d ' ' "$work/floor" "$work/ours" | awk '{ printf "%.3f\n", $4 / $2 }' | median)
}

# blobs JQ-EXPRESSION FILE LAYOUT: paths of the digests that the expression gives.
blobs() {
    jq -r "$1" "$2" | sed "s#^sha256:#$3/blobs/sha256/#"
}

of_floor() {
    "$IMGSLIM_DRIVERS/imgslim_floor" "$@" | jq -r '"\(.seconds) \(.cpu_seconds)"'
}

threads=$(nproc)
load_before=$(load)
report=$work/report
say "planning"
"$IMGSLIM" optimize -q --dry-run --report "$report" "oci:$layout" > /dev/null
sources=$(blobs '.platforms[].layers[].source_digest' "$report" "$layout")
# shellcheck disable=SC2086
cat $sources > /dev/null

# shellcheck disable=SC2086
read_floor() { of_floor read $sources; }
# shellcheck disable=SC2086
pass_1() { of_floor scan $sources; }
say "pass 1 against the read floor"
pairs read_floor pass_1
row "read floor: inflate and both hashes, $threads threads" "$floor_s s" "" ""
row "pass 1" "$ours_s s" "" ""
bar "pass 1 / read floor" "$ratio" 1.2
row "pass 1 / read floor, CPU time" "$cpu_ratio" "" ""

say "audit against the read floor"
export XDG_CACHE_HOME="$work/cache"
whole_audit() {
    audited=$(seconds "$IMGSLIM" audit -q --no-cache --config /dev/null "oci:$layout")
    echo "$audited $audited"
}
pairs read_floor whole_audit
row "audit, cold" "$ours_s s" "" ""
bar "audit, cold / read floor" "$ratio" 1.3
seconds "$IMGSLIM" audit -q --config /dev/null "oci:$layout" > /dev/null
bar "audit, warm: seconds" "$(for _ in 1 2 3 4 5; do seconds "$IMGSLIM" audit -q --config /dev/null "oci:$layout"; done | median)" 0.150

say "a whole run into the form distroless against the full floor"
# One dlopen of unknown name is accepted as long as the rules know no better.
distroless="--form distroless --accept unknown"
# shellcheck disable=SC2086
"$IMGSLIM" optimize -q $distroless --report "$report" "oci:$layout" "oci:$work/slim" > /dev/null
fresh=$(blobs '.platforms[].layers[] | select(.action == "new") | .result_digest' "$report" "$work/slim")
# shellcheck disable=SC2086
slim_floor() { of_floor full --source $sources --result $fresh; }
slim_run() {
    rm -rf "$work/again" "$XDG_CACHE_HOME"
    # shellcheck disable=SC2086
    costs "$IMGSLIM" optimize -q $distroless "oci:$layout" "oci:$work/again" > "$work/costs"
    cut -d ' ' -f 3 "$work/costs" >> "$work/peaks"
    cut -d ' ' -f 1,2 "$work/costs"
}
pairs slim_floor slim_run
row "full floor: and zlib of the new layers" "$floor_s s" "" ""
row "whole run, distroless, its cache empty" "$ours_s s" "" ""
bar "whole run, distroless / full floor" "$ratio" 1.5
row "whole run, distroless / full floor, CPU time" "$cpu_ratio" "" ""
bar "largest resident set of a distroless run, MB" "$(sort -n "$work/peaks" | tail -1)" 256
# shellcheck disable=SC2086
same_run() { seconds "$IMGSLIM" optimize -q $distroless "oci:$layout" "oci:$work/again"; }
bar "the same run again, nothing changed: seconds" "$(for _ in 1 2 3 4 5; do same_run; done | median)" 0.100
rm -rf "$work/again"
if command -v skopeo > /dev/null; then
    peer() { rm -rf "$work/peer"; seconds skopeo --insecure-policy copy -q "oci:$layout" "oci:$work/peer:x"; }
    row "for comparison: skopeo copy, layout to layout" "$(for _ in 1 2 3; do peer; done | median) s" "" ""
    rm -rf "$work/peer"
fi
# shellcheck disable=SC2086
row "largest resident set of pass 1" \
    "$("$IMGSLIM_DRIVERS/imgslim_floor" scan $sources | jq '.max_rss_kib / 1024 | floor') MB" "" ""

say "the merged tree"
"$IMGSLIM_DRIVERS/imgslim_tree_bench" > "$work/tree" || true
bar "tree: 1,000,000 entries / 100,000 entries" "$(jq .ratio "$work/tree")" 12
row "tree: memory of an entry" "$(jq .bytes_per_entry "$work/tree") bytes" "" ""
load_after=$(load)

# script FIGURE MEASURED BAR FILE: a test whose success is the figure.
script() {
    status=0
    sh "$root/tests/$4" > "$work/out" 2> "$work/err" || status=$?
    case $status in
    0) row "$1" "$2" "$3" yes ;;
    125) row "$1" "$(tail -1 "$work/err")" "$3" "-" ;;
    *)
        tail -5 "$work/err" >&2
        row "$1" "see tests/$4" "$3" NO
        missed=1
        ;;
    esac
}
if [ -z "$speed" ]; then
    say "what is no time"
    IMGSLIM_FULL=1
    export IMGSLIM_FULL
    script "lossless: merged trees before and after, all images" 0 "0 differences" integration/images-behave-alike.sh
    script "payments: tidy answers alike, run in 256 MB without swap" succeeds succeeds integration/payments.sh
    sed -n 's/.*peak \([0-9]*\)$/\1/p' "$work/err" | while read -r peak; do
        row "peak of that control group, page cache included" "$((peak >> 20)) MB" "" ""
    done
    script "repeats saved by lossless" "known number" "known number" cli/lossless-saves-the-known-bytes.sh
    script "equal files saved by tidy" "known number" "known number" cli/tidy-stores-equal-files-once.sh
    script "equal blobs of two platforms" "once" "once" cli/indexes-are-handled-whole.sh
    script "threads, time zone, locale, folder, user" "one digest" "one digest" \
        cli/one-digest-whatever-the-surroundings.sh
    script "ordinary user, no network, no daemon" works works cli/works-without-network-or-root.sh
fi

{
    echo "figure|measured|bar|ok"
    cat "$work/table"
} | awk -F '|' '
    { for (i = 1; i <= 4; i++) { cell[NR, i] = $i; if (length($i) > width[i]) width[i] = length($i) } }
    END {
        for (row = 1; row <= NR; row++)
            printf "%-*s | %-*s | %-*s | %s\n", width[1], cell[row, 1], width[2], cell[row, 2], width[3], cell[row, 3], cell[row, 4]
    }'
echo "load: $load_before before, $load_after after the measurements, $threads CPUs"
# The measurements themselves make a load of up to one for each CPU.
if awk "BEGIN { exit !($load_before > 0.5 * $threads || $load_after > 1.5 * $threads) }"; then
    echo "others loaded the machine meanwhile: the times are not to be trusted"
fi
[ "$missed" = 0 ] || exit 3
