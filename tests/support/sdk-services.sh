#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# sdk-services.sh: builds the services of tests/support/sdk-services with a release of Go fetched as a module, and prints
# a line "NAME FILE" for each. All is kept under IMGSLIM_TEST_CACHE.
set -eu

services=$(cd "$(dirname "$0")/sdk-services" && pwd)
cache=${IMGSLIM_TEST_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/imgslim-tests}/go
release=1.26.0
export GOMODCACHE="$cache/mod" GOCACHE="$cache/build" GOTOOLCHAIN=local GOFLAGS=-mod=readonly GOENV=off CGO_ENABLED=0
root=$GOMODCACHE/golang.org/toolchain@v0.0.1-go$release.linux-amd64
if ! [ -x "$root/bin/go" ] || ! [ -x "$root/pkg/tool/linux_amd64/link" ]; then
    (cd / && GOFLAGS=-mod=mod go mod download "golang.org/toolchain@v0.0.1-go$release.linux-amd64") >&2
    find "$root/bin" "$root/pkg/tool" -type f -exec chmod +x {} +
fi
for name in cloud cluster; do
    stamp=$(cd "$services/$name" && cat main.go go.mod go.sum | sha256sum | cut -c 1-12)
    file=$cache/services/$name-$stamp
    if [ ! -f "$file" ]; then
        mkdir -p "$cache/services"
        (cd "$services/$name" && GOROOT="$root" "$root/bin/go" build -trimpath -o "$file.part" .) >&2
        mv "$file.part" "$file"
    fi
    echo "$name $file"
done
