#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# run.sh [--quick]: installs what is needed, builds, runs the tests. All of them also under ASan and UBSan, and each
# fuzz target for FUZZ_SECONDS (5); --quick: the release build and what takes no image of real size, two
# minutes. Ends with "N passed, N failed, N skipped".
set -eu
cd "$(dirname "$0")/.."

quick=
[ "${1:-}" = --quick ] && quick=1
jobs=$(nproc)
passed=0 failed=0 skipped=0
export CTEST_OUTPUT_ON_FAILURE=1

# tests DIRECTORY CTEST-OPTIONS...: runs ctest and adds up its counts.
tests() {
    dir=$1
    shift
    rm -f "$dir/results.xml"
    ctest --test-dir "$dir" -j "$jobs" --timeout 600 --output-junit results.xml --progress "$@" || true
    # A run that wrote no results is a failure, not an empty success.
    if ! counts=$(sed -n '/<testsuite /,/>/p' "$dir/results.xml" 2> /dev/null | tr '\n\t' '  '); then counts=; fi
    all=$(echo "$counts" | sed -n 's/.* tests="\([0-9]*\)".*/\1/p')
    bad=$(echo "$counts" | sed -n 's/.* failures="\([0-9]*\)".*/\1/p')
    left=$(echo "$counts" | sed -n 's/.* skipped="\([0-9]*\)".*/\1/p')
    [ -n "$all" ] && [ "$all" -gt 0 ] || { all=1 bad=1 left=0; }
    failed=$((failed + bad))
    skipped=$((skipped + left))
    passed=$((passed + all - bad - left))
}

if [ -n "$quick" ]; then
    sh tests/support/packages.sh quick
else
    sh tests/support/packages.sh test
fi

cmake --preset release > /dev/null
cmake --build --preset release
if [ -n "$quick" ]; then
    tests .build/release -L "unit|cli|fuzz"
else
    tests .build/release
    # One clang build for the sanitizers and the fuzz targets.
    cmake --preset fuzz > /dev/null
    cmake --build --preset fuzz
    tests .build/fuzz -L "unit|cli|fuzz"
fi

echo "$passed passed, $failed failed, $skipped skipped"
[ "$failed" = 0 ] && [ "$passed" -gt 0 ]
