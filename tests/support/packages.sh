#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# packages.sh build|quick|test|full: installs what is missing of the Debian packages that building (build), the
# two-minute tests (quick), all tests (test) and the whole matrices (full) need, each with those before it. Says nothing
# when all are there.
set -eu

build='cmake g++ libarchive-dev libcapstone-dev libcli11-dev libcurl4-openssl-dev libfmt-dev libisal-dev libssl-dev
    libyaml-cpp-dev libzstd-dev ninja-build nlohmann-json3-dev pkg-config zlib1g-dev doctest-dev'
quick='binutils curl file git jq libarchive-tools mandoc openssl pre-commit procps python3 python3-yaml strace util-linux
    xz-utils zstd'
# The clients and runtimes that images are given to, what makes the test images, and the compilers of the sanitizers.
test='apache2-utils attr busybox-static ca-certificates clang containerd docker-registry docker.io elfutils
    gcc-aarch64-linux-gnu gcc-mips-linux-gnu gdb golang-go libc6-dev-arm64-cross libc6-dev-mips-cross linux-perf
    libclang-rt-14-dev libsqlite3-dev mmdebstrap musl musl-dev
    musl-tools qemu-user-static runc skopeo sqlite3 tini uidmap umoci'
full='clang-format clang-tidy g++-aarch64-linux-gnu libbenchmark-dev shellcheck tmux'

case ${1:-} in
build) wanted=$build ;;
quick) wanted="$build $quick" ;;
test) wanted="$build $quick $test" ;;
full) wanted="$build $quick $test $full" ;;
*)
    echo "usage: packages.sh build|quick|test|full" >&2
    exit 2
    ;;
esac

# dpkg-query fails for names that it has never seen; its answer for the others still counts.
# shellcheck disable=SC2016,SC2086
there=$(dpkg-query -W -f '${db:Status-Abbrev} ${Package}\n' $wanted 2> /dev/null | sed -n 's/^ii *//p' || true)
missing=
for package in $wanted; do
    case "
$there
" in
    *"
$package
"*) ;;
    *) missing="$missing $package" ;;
    esac
done
[ -n "$missing" ] || exit 0

if [ "$(id -u)" != 0 ]; then
    echo "packages.sh: missing packages; as root: apt-get install$missing" >&2
    exit 1
fi
log=$(mktemp)
trap 'rm -f "$log"' EXIT
echo "packages.sh: installing$missing" >&2
export DEBIAN_FRONTEND=noninteractive
# shellcheck disable=SC2086
if ! { apt-get update -qq && apt-get install -y -qq --no-install-recommends $missing; } < /dev/null > "$log" 2>&1; then
    cat "$log" >&2
    exit 1
fi
