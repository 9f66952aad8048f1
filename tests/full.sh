#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# full.sh: the whole matrices, some hours on two cores. What run.sh does, and besides: all images and clients, every
# release of Go, clang-tidy, the thread sanitizer, ten minutes for each fuzz target (FUZZ_SECONDS), the figures of
# bench/run.sh. A line for each part at the end; exit 1 if one failed.
set -eu
cd "$(dirname "$0")/.."
jobs=$(nproc)
logs=$(pwd)/.build/full
mkdir -p "$logs"
: > "$logs/summary"

# part NAME COMMAND...: its output goes to the log of that name; what it says last goes into the summary.
part() {
    name=$1
    shift
    echo "== $name" >&2
    began=$(date +%s)
    status=0
    "$@" > "$logs/$name.log" 2>&1 || status=$?
    case $status in
    0) word=passed ;;
    125) word=skipped ;;
    *) word=FAILED ;;
    esac
    echo "$word $name ($(($(date +%s) - began)) s): $(tail -1 "$logs/$name.log" | cut -c 1-150)" | tee -a "$logs/summary" >&2
}

build() {
    cmake --preset "$1" > /dev/null && cmake --build --preset "$1"
}

tidy() {
    # A compilation database as clang makes it, every file with its own includes alone.
    cmake --preset fuzz -B .build/tidy -DCMAKE_DISABLE_PRECOMPILE_HEADERS=ON > /dev/null
    find layers registry src -name '*.cc' -print0 | xargs -0 -n 4 -P "$jobs" clang-tidy --quiet -p .build/tidy
}

thread_sanitizer() {
    build tsan
    .build/tsan/tests/imgslim_unit --test-case='*scan*,*encoder*,*store*,*archive*,*layout*,*layer*'
}

fuzzing() {
    build fuzz
    FUZZ_SECONDS=${FUZZ_SECONDS:-600} ctest --test-dir .build/fuzz -L fuzz -j "$jobs" --timeout 7200 --output-on-failure
}

part packages sh tests/support/packages.sh full
part run sh tests/run.sh
part images env IMGSLIM_FULL=1 IMGSLIM_GO_RELEASES=all ctest --test-dir .build/release -L integration -j 1 --timeout 7200 \
    --output-on-failure
part clang-tidy tidy
part thread-sanitizer thread_sanitizer
part fuzzing fuzzing
part figures sh tests/bench/run.sh
part registry-speed sh tests/bench/registry.sh
part cache-speed sh tests/bench/cache.sh

cat "$logs/figures.log"
cat "$logs/summary"
! grep -q ^FAILED "$logs/summary"
