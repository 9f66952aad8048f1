#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# demo.sh [IMAGE]: on a fresh Debian 12, from nothing to a smaller image that answers alike. Installs what is missing,
# builds, makes the payments image (or takes IMAGE: an OCI layout as DIR or DIR:REF, or a name as skopeo reads it),
# optimizes it, prints the table, starts both and compares their answers.
set -eu

root=$(cd "$(dirname "$0")/.." && pwd)
support=$root/tests/support
work=$(mktemp -d "${TMPDIR:-/tmp}/imgslim-demo.XXXXXX")
trap 'rm -rf "$work"' EXIT
trap 'exit 130' INT
trap 'exit 143' TERM HUP

step() {
    echo "== $*" >&2
}

case ${1:-} in
-*)
    echo "usage: demo.sh [IMAGE]" >&2
    exit 2
    ;;
esac

step "packages"
sh "$support/packages.sh" test

step "build"
(cd "$root" && cmake --preset release && cmake --build --preset release) > "$work/build.log" 2>&1 || {
    tail -40 "$work/build.log" >&2
    exit 1
}

source=${1:-}
source=${source#oci:}
if [ -z "$source" ]; then
    step "the payments image (some minutes the first time)"
    source=$(sh "$support/images.sh" payments)
elif [ ! -d "$source" ] && [ ! -d "${source%:*}" ]; then
    step "copying $source"
    skopeo --insecure-policy copy -q "$source" "oci:$work/source:latest"
    source=$work/source
fi

step "imgslim optimize oci:$source"
"$root/.build/release/src/imgslim" optimize "oci:$source" "oci:$work/result"

step "starting both"
sh "$support/compare-runs.sh" "$source" "$work/result"
echo "source and result answer alike"
