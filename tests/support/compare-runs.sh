#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# compare-runs.sh A B: starts two images (LAYOUT[:REF]) one after the other; exit 0 if they answer alike, else the
# difference is printed and the exit status is 1.
set -eu

support=$(cd "$(dirname "$0")" && pwd)
[ $# = 2 ] || {
    echo "usage: compare-runs.sh LAYOUT[:REF] LAYOUT[:REF]" >&2
    exit 2
}
answers=$(mktemp -d "${TMPDIR:-/tmp}/imgslim-compare.XXXXXX")
trap 'rm -rf "$answers"' EXIT
trap 'exit 130' INT
trap 'exit 143' TERM HUP
sh "$support/run-image.sh" "$1" > "$answers/a"
sh "$support/run-image.sh" "$2" > "$answers/b"
diff -u --label "$1" --label "$2" "$answers/a" "$answers/b"
