#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# run.sh [--quick]: installs what is needed, builds, runs the tests. Those of small images also under ASan and UBSan, and
# each fuzz target for its seconds (fuzz/run.sh). --quick: the release build and what takes no image of real size, two
# minutes. Ends with "N passed, N failed, N skipped".
set -eu
cd "$(dirname "$0")/.."

quick=
[ "${1:-}" = --quick ] && quick=1
jobs=$(nproc)
passed=0 failed=0 skipped=0
export CTEST_OUTPUT_ON_FAILURE=1

sanitizer_build=''
scratch=''
clean_up() {
    [ -z "$sanitizer_build" ] || kill "$sanitizer_build" 2> /dev/null || true
    [ -z "$scratch" ] || rm -rf "$scratch"
}
trap clean_up EXIT
trap 'exit 130' INT
trap 'exit 143' TERM HUP

# Images are unpacked by the gigabyte: in memory, where there is plenty of it and programs may be started there.
plenty=$((12 << 20)) # KiB
if [ -z "${TMPDIR:-}" ] && [ -z "$quick" ] && [ -d /dev/shm ] &&
    [ "$(df -Pk /dev/shm | awk 'NR == 2 { print $4 }')" -gt "$plenty" ] &&
    [ "$(awk '/^MemAvailable:/ { print $2 }' /proc/meminfo)" -gt "$plenty" ] &&
    scratch=$(mktemp -d /dev/shm/imgslim-tests.XXXXXX); then
    echo '#!/bin/sh' > "$scratch/start"
    chmod +x "$scratch/start"
    chmod 755 "$scratch" # some tests become other users
    if "$scratch/start" 2> /dev/null; then export TMPDIR="$scratch"; fi
fi

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

if [ -n "$quick" ]; then
    cmake --preset release -DIMGSLIM_UNIT_TESTS=ON > /dev/null
    cmake --build --preset release
    tests .build/release -L "unit|cli|fuzz"
else
    # The unit tests are built once, with sanitizers. Precompiled headers save a quarter of the build and bring GCC 12 to
    # false warnings, so they are no errors here; the quick run goes without the headers, and in it they are.
    cmake --preset release -DIMGSLIM_UNIT_TESTS=OFF -DIMGSLIM_WERROR=OFF -DCMAKE_DISABLE_PRECOMPILE_HEADERS=OFF > /dev/null
    echo "building: .build/release/build.log"
    cmake --build --preset release > .build/release/build.log 2>&1 || {
        grep -A20 -E "error|FAILED" .build/release/build.log | head -100
        echo "the build failed" >&2
        exit 1
    }
    # One clang build for the sanitizers and the fuzz targets. It is made while the tests of the release build run, as
    # those on real images wait for disks and for each other; niced, as some of them measure.
    cmake --preset fuzz > /dev/null
    nice -n 10 cmake --build --preset fuzz > .build/fuzz.log 2>&1 &
    sanitizer_build=$!
    tests .build/release
    wait "$sanitizer_build" || {
        tail -50 .build/fuzz.log
        echo "the build with sanitizers failed" >&2
        exit 1
    }
    sanitizer_build=''
    tests .build/fuzz -L "unit|cli|fuzz"
fi

echo "$passed passed, $failed failed, $skipped skipped"
[ "$failed" = 0 ] && [ "$passed" -gt 0 ]
