#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Compares what the project reads in Go programs with what Go says itself: go version -m, the trace of init
# functions of a run, the embedded files' real list, and how each program was linked.
# go-matrix.sh [sample | all | RELEASE...], else the words of IMGSLIM_GO_RELEASES, else sample; prints a line for
# each program. 125 = no Go or no C compiler here.
set -eu
cd "$(dirname "$0")/../.."
facts=${IMGSLIM_DRIVERS:-.build/release/tests}/imgslim_go_facts
for tool in go gcc python3; do
    command -v "$tool" > /dev/null || { echo "no $tool here"; exit 125; }
done
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
[ $# -gt 0 ] || set -- ${IMGSLIM_GO_RELEASES:-sample}
sh tests/support/go-matrix.sh "$@" > "$work/matrix" 2> "$work/log" || { cat "$work/log" >&2; exit 1; }
{
    for program in dockerd docker containerd containerd-shim-runc-v2 ctr runc skopeo umoci; do
        path=$(PATH=/usr/sbin:/usr/bin command -v "$program") || continue
        echo "installed $program $path"
    done
    # npm packages that are Go programs.
    if command -v npm > /dev/null && (cd "$work" && timeout 120 npm pack --silent @esbuild/linux-x64@0.25.0 \
        > /dev/null 2>&1 && tar -xzf esbuild-linux-x64-*.tgz); then
        echo "installed esbuild $work/package/bin/esbuild"
    fi
    # The go command itself is a program too.
    echo "installed go $(go env GOROOT)/bin/go"
} >> "$work/matrix"
python3 tests/integration/go_matrix_check.py "$facts" "$work/matrix" tests/support/go-fixture
