#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Builds tests/support/go-fixture with several releases of Go, in every way of linking that a release can,
# and prints a line "RELEASE VARIANT FILE" for each program: go-matrix.sh sample | all | RELEASE...
# Releases are fetched as modules by any Go on PATH; all is kept under IMGSLIM_TEST_CACHE.
set -eu

fixture=$(cd "$(dirname "$0")/go-fixture" && pwd)
cache=${IMGSLIM_TEST_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/imgslim-tests}/go
case ${1:-sample} in
sample) set -- 1.16.15 1.18.10 1.20.14 1.26.0 1.27.0 ;;
all) set -- 1.16.15 1.17.13 1.18.10 1.19.13 1.20.14 1.21.13 1.22.12 1.23.12 1.24.13 1.25.0 1.26.0 1.27.0 ;;
esac

export GOMODCACHE="$cache/mod" GOCACHE="$cache/build" GOTOOLCHAIN=local GOFLAGS=-mod=mod GOENV=off
# A changed fixture is built again; a way of building that changes takes another name.
stamp=$(cd "$fixture" && find . -type f -print0 | LC_ALL=C sort -z | xargs -0 sha256sum | sha256sum | cut -c1-16)

# fetch RELEASE: sets root to the release's folder.
fetch() {
    root=$GOMODCACHE/golang.org/toolchain@v0.0.1-go$1.linux-amd64
    [ -x "$root/bin/go" ] && [ -x "$root/pkg/tool/linux_amd64/link" ] && return
    (cd / && go mod download "golang.org/toolchain@v0.0.1-go$1.linux-amd64") >&2
    # Modules do not carry the executable bit.
    find "$root/bin" "$root/pkg/tool" -type f -exec chmod +x {} +
}

# build VARIANT [NAME=VALUE]... -- [FLAG]...: uses release and root.
build() {
    file=$cache/fixtures/$stamp/$release/$1
    variant=$1
    shift
    if [ ! -f "$file" ]; then
        mkdir -p "${file%/*}"
        (
            cd "$fixture"
            export GOROOT="$root" GOPROXY=off CGO_ENABLED=0 GOARCH=amd64
            while [ "$1" != -- ]; do
                export "$1"
                shift
            done
            shift
            "$root/bin/go" build -p 2 -o "$file.tmp" "$@" .
        ) >&2
        mv "$file.tmp" "$file"
    fi
    echo "$release $variant $file"
}

for release; do
    fetch "$release"
    build static --
    build static-stripped -- '-ldflags=-s -w'
    build static-trimpath -- -trimpath
    build pie -- -buildmode=pie
    build pie-stripped -- -buildmode=pie '-ldflags=-s -w'
    build cgo CGO_ENABLED=1 --
    build cgo-stripped CGO_ENABLED=1 -- '-ldflags=-s -w'
    build cgo-pie CGO_ENABLED=1 -- -buildmode=pie
    build cgo-pie-stripped CGO_ENABLED=1 -- -buildmode=pie '-ldflags=-s -w'
    build cgo-native CGO_ENABLED=1 -- -tags=native
    build cgo-unused CGO_ENABLED=1 -- -tags=netgo,osusergo
    build cgo-static CGO_ENABLED=1 -- '-ldflags=-linkmode=external -extldflags=-static'
    if command -v musl-gcc > /dev/null; then
        build cgo-static-musl CGO_ENABLED=1 CC=musl-gcc -- '-ldflags=-linkmode=external -extldflags=-static'
    fi
    build arm64-static GOARCH=arm64 --
    build arm64-stripped GOARCH=arm64 -- -trimpath '-ldflags=-s -w'
    build arm64-pie GOARCH=arm64 -- -buildmode=pie
done
