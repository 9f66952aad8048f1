#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# run.sh TARGET CORPUS: fuzzes for FUZZ_SECONDS (5) from FUZZ_SEED (1; 0 = another every time). New inputs stay out of the repository; a crash is kept beside
# the target and named.
set -eu
target=$1
corpus=$2
found=$(mktemp -d)
trap 'rm -rf "$found"' EXIT
mkdir -p "$target.crashes"
[ -d "$corpus" ] || corpus=
# shellcheck disable=SC2086
"$target" -seed="${FUZZ_SEED:-1}" -max_total_time="${FUZZ_SECONDS:-5}" -timeout=25 -rss_limit_mb=2048 -print_final_stats=1 -verbosity=0 \
    -artifact_prefix="$target.crashes/" "$found" $corpus
