#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# run.sh TARGET CORPUS: fuzzes for FUZZ_SECONDS from FUZZ_SEED (1; 0 = another every time). Without FUZZ_SECONDS the
# readers of what comes first from outside (layers, documents, archives) get 30 seconds, the others 5. New inputs stay
# out of the repository; a crash is kept beside the target and named.
set -eu
target=$1
corpus=$2
found=$(mktemp -d)
trap 'rm -rf "$found"' EXIT
mkdir -p "$target.crashes"
case ${target##*/fuzz_} in
tar | pax | manifest | json | compress | docker_archive) seconds=30 ;;
*) seconds=5 ;;
esac
[ -d "$corpus" ] || corpus=
# shellcheck disable=SC2086
"$target" -seed="${FUZZ_SEED:-1}" -max_total_time="${FUZZ_SECONDS:-$seconds}" -timeout=25 -rss_limit_mb=2048 -print_final_stats=1 -verbosity=0 \
    -artifact_prefix="$target.crashes/" "$found" $corpus
