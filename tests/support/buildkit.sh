#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Builds the buildkitd and buildctl that tests/support/buildkit/go.mod names and prints their folder. What is fetched and
# built is kept under IMGSLIM_TEST_CACHE.
set -eu

here=$(cd "$(dirname "$0")/buildkit" && pwd)
cache=${IMGSLIM_TEST_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/imgslim-tests}
release=1.27.0
export GOMODCACHE="$cache/go/mod" GOCACHE="$cache/go/build" GOTOOLCHAIN=local GOENV=off
stamp=$(cat "$here/go.mod" "$here/go.sum" | sha256sum | cut -c1-16)
bin=$cache/buildkit/$stamp
if [ ! -x "$bin/buildkitd" ] || [ ! -x "$bin/buildctl" ]; then
    # Any Go fetches the one that builds it, as a module; modules do not carry the executable bit.
    root=$GOMODCACHE/golang.org/toolchain@v0.0.1-go$release.linux-amd64
    if [ ! -x "$root/bin/go" ] || [ ! -x "$root/pkg/tool/linux_amd64/link" ]; then
        (cd / && GOFLAGS=-mod=mod go mod download "golang.org/toolchain@v0.0.1-go$release.linux-amd64") >&2
        find "$root/bin" "$root/pkg/tool" -type f -exec chmod +x {} +
    fi
    mkdir -p "$bin.part"
    cd "$here"
    GOROOT="$root" CGO_ENABLED=0 GOFLAGS=-mod=readonly "$root/bin/go" build -p 2 -trimpath '-ldflags=-s -w' -o "$bin.part/" \
        github.com/moby/buildkit/cmd/buildctl github.com/moby/buildkit/cmd/buildkitd >&2
    rm -rf "$bin"
    mv "$bin.part" "$bin"
fi
echo "$bin"
