#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# What imgslim says a program loads, against the loader itself: crafted cases (glibc and musl), then every
# ELF file of Debian trees, amd64 and, under qemu, arm64. Trees are kept for the next run.
# loader-oracle.sh [MACHINE...]: trees of these alone, amd64 and arm64 by default. IMGSLIM_FULL=1: of several hundred
# packages. IMGSLIM_DRIVERS: where imgslim_library_search is.
[ -n "${BASH_VERSION:-}" ] || exec bash "$0" "$@"
set -u
: "${IMGSLIM_DRIVERS:?}"
machines=" ${*:-amd64 arm64} "
driver=$(realpath "${IMGSLIM_DRIVERS:?}/imgslim_library_search") || exit 1
here=$(cd "$(dirname "$0")" && pwd)
for part in gcc chroot ldconfig mmdebstrap; do
  command -v $part >/dev/null || { echo "SKIP: no $part"; exit 125; }
done
[ "$(id -u)" = 0 ] && [ "$(uname -m)" = x86_64 ] || { echo "SKIP: needs root on x86-64"; exit 125; }
export LC_ALL=C
trees=${IMGSLIM_TEST_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/imgslim-tests}/trees
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
passed=0
failed=0

verdict() {  # NAME: compares $work/ours and $work/theirs
  if cmp -s "$work/ours" "$work/theirs" && [ -s "$work/theirs" ]; then
    echo "ok: $1"
    passed=$((passed + 1))
  else
    echo "FAILED: $1"
    diff "$work/ours" "$work/theirs" | head -20
    failed=$((failed + 1))
  fi
}

# --- crafted cases: a tree of the host's loader and C library
tree=$work/tree
mkdir -p "$tree"/{etc,lib64,usr/lib,proc,app/bin,app/lib,usr/bin,opt}
ln -s usr/lib "$tree/lib"
copy() { mkdir -p "$tree$(dirname "$1")" && cp -L "$1" "$tree$1"; }
copy "$(ldconfig -p | awk '$1 == "libc.so.6" && /x86-64/ { print $NF; exit }')"
copy /lib64/ld-linux-x86-64.so.2
cat > "$work/start.c" <<'C'
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
int main(int count, char** arguments) {
  int i = 1;
  for (; i < count && strchr(arguments[i], '='); i++) putenv(arguments[i]);
  if (i < count) execv(arguments[i], arguments + i);
  return 127;
}
C
gcc -static -o "$tree/start" "$work/start.c"
level=$(/lib64/ld-linux-x86-64.so.2 --help | sed -n 's/^ *x86-64-v\([234]\) (supported.*/\1/p' | sort -n | tail -1)
host=x86-64-v${level:-1}
if grep -q GenuineIntel /proc/cpuinfo; then
  case $level in 3) host=Haswell ;; 4) host=Skylake-Server ;; esac
fi

# lib PATH SONAME [GCC OPTION]...   prog PATH [GCC OPTION]...
lib() {
  local path=$1 soname=$2
  shift 2
  mkdir -p "$tree$(dirname "$path")"
  echo "int f$RANDOM$RANDOM(void) { return 1; }" |
    gcc -shared -fPIC -x c - -x none -nostdlib -Wl,--no-as-needed -Wl,-soname,"$soname" -o "$tree$path" "$@"
}
prog() {
  local path=$1
  shift
  mkdir -p "$tree$(dirname "$path")"
  echo 'int main(void) { return 0; }' |
    gcc -x c - -x none -Wl,--no-as-needed,--unresolved-symbols=ignore-all -o "$tree$path" "$@"
}
runpath() { echo "-Wl,--enable-new-dtags,-rpath,$1"; }
rpath() { echo "-Wl,--disable-new-dtags,-rpath,$1"; }

crafted() {  # NAME PROGRAM [VARIABLE=VALUE]...
  local name=$1 program=$2
  shift 2
  local options=()
  for variable in "$@"; do options+=(--env "$variable"); done
  { echo "== $program"
    unshare -m sh -c 'mount --bind /proc "$1/proc"; shift; exec chroot "$@"' sh "$tree" "$tree" \
      /start LD_TRACE_LOADED_OBJECTS=1 LD_WARN=1 "$@" "$program" 2>&1 || :  # NODEFLIB: 2.36 crashes at the end
  } | awk -f "$here/list-lines.awk" > "$work/theirs"
  "$driver" --list --cpu "$host" "${options[@]}" "$tree" "$program" > "$work/ours"
  verdict "crafted: $name"
}

lib /app/lib/liba.so liba.so
prog /app/bin/prog "$tree/app/lib/liba.so" "$(runpath '$ORIGIN/../lib')"
ln -s ../../app/bin/prog "$tree/usr/bin/prog"
crafted 'symlinked program, RUNPATH $ORIGIN/../lib' /usr/bin/prog

lib /app/lib/libo.so '$ORIGIN/../lib/libo.so'
prog /app/bin/origin-needed "$tree/app/lib/libo.so"
crafted '$ORIGIN in DT_NEEDED' /app/bin/origin-needed

lib /opt/lib/x86_64-linux-gnu/libl.so libl.so
lib /opt/lib64/libl.so libl.so
lib /opt/lib/libl.so libl.so
prog /app/bin/lib-token "$tree/opt/lib/libl.so" "$(runpath '/opt/$LIB:/opt/${PLATFORM}:/x$LIBX')"
crafted '$LIB and $PLATFORM' /app/bin/lib-token

lib /opt/hw/libh.so libh.so
lib /opt/hw/glibc-hwcaps/x86-64-v2/libh.so libh.so
prog /app/bin/hwcaps "$tree/opt/hw/libh.so" "$(runpath /opt/hw)"
crafted 'hwcaps copy in a directory' /app/bin/hwcaps
lib /opt/tls/libt.so libt.so
lib /opt/tls/tls/libt.so libt.so
prog /app/bin/legacy "$tree/opt/tls/libt.so" "$(runpath /opt/tls)"
crafted 'legacy tls copy' /app/bin/legacy

lib /opt/r1/liby.so liby.so
lib /opt/r1/libx.so libx.so "$tree/opt/r1/liby.so"
prog /app/bin/runpath "$tree/opt/r1/libx.so" "$(runpath /opt/r1)" 
crafted 'RUNPATH is not inherited' /app/bin/runpath
prog /app/bin/rpath "$tree/opt/r1/libx.so" "$(rpath /opt/r1)"
crafted 'RPATH of the program' /app/bin/rpath
lib /opt/r3/libdeep.so libdeep.so
lib /opt/r2/libmid.so libmid.so "$tree/opt/r3/libdeep.so"
lib /opt/r1/libtop.so libtop.so "$tree/opt/r2/libmid.so" "$(rpath /opt/r2:/opt/r3)"
prog /app/bin/chain "$tree/opt/r1/libtop.so" "$(rpath /opt/r1)"
crafted 'RPATH chain' /app/bin/chain
lib /opt/r2/libmid2.so libmid2.so "$tree/opt/r3/libdeep.so" "$(runpath /opt/none)"
lib /opt/r1/libtop2.so libtop2.so "$tree/opt/r2/libmid2.so" "$(rpath /opt/r2:/opt/r3)"
prog /app/bin/chain2 "$tree/opt/r1/libtop2.so" "$(rpath /opt/r1)"
crafted 'RUNPATH ends the RPATH chain' /app/bin/chain2

lib /opt/cached/libn.so libn.so
lib /opt/cached/glibc-hwcaps/x86-64-v2/libn.so libn.so
lib /usr/lib/libsys.so libsys.so
lib /opt/stale/libs.so libs.so
lib /opt/stale/libgone.so libgone.so
printf '%s\n' /opt/cached /opt/stale > "$tree/etc/ld.so.conf"
ldconfig -r "$tree" 2>/dev/null
prog /app/bin/cached "$tree/opt/cached/libn.so" "$tree/usr/lib/libsys.so"
crafted 'cache with a hwcaps entry' /app/bin/cached
prog /app/bin/nodeflib "$tree/opt/cached/libn.so" "$tree/usr/lib/libsys.so" -Wl,-z,nodefaultlib
crafted 'NODEFLIB takes a cache entry elsewhere' /app/bin/nodeflib
prog /app/bin/stale "$tree/opt/stale/libs.so" "$tree/opt/stale/libgone.so"
mv "$tree/opt/stale/libs.so" "$tree/usr/lib/libs.so"
rm "$tree/opt/stale/libgone.so"
crafted 'stale cache' /app/bin/stale

lib /libcwd.so libcwd.so
prog /app/bin/empty "$tree/libcwd.so"
crafted 'empty element of LD_LIBRARY_PATH' /app/bin/empty LD_LIBRARY_PATH=/none::/opt/r1
crafted 'semicolon in LD_LIBRARY_PATH' /app/bin/chain 'LD_LIBRARY_PATH=/none;/opt/r2;/opt/r3'
prog /app/bin/empty-runpath "$tree/libcwd.so" "$(runpath /none:)"
crafted 'empty element of RUNPATH' /app/bin/empty-runpath
crafted 'LD_LIBRARY_PATH over RUNPATH' /usr/bin/prog LD_LIBRARY_PATH=/opt/llp
lib /opt/llp/liba.so liba.so
crafted 'LD_LIBRARY_PATH before RUNPATH' /usr/bin/prog LD_LIBRARY_PATH=/opt/llp

lib /opt/s1/libsame.so libsame.so
lib /opt/s2/libsame.so libsame.so
lib /opt/s1/libfirst.so libfirst.so "$tree/opt/s1/libsame.so" "$(runpath /opt/s1)"
lib /opt/s1/libsecond.so libsecond.so "$tree/opt/s2/libsame.so" "$(runpath /opt/s2)"
prog /app/bin/soname "$tree/opt/s1/libfirst.so" "$tree/opt/s1/libsecond.so" "$(runpath /opt/s1)"
crafted 'the first SONAME wins' /app/bin/soname
ln "$tree/opt/s1/libsame.so" "$tree/opt/s1/libhard.so"
lib /opt/s3/libhard.so libhard.so
prog /app/bin/inode "$tree/opt/s1/libfirst.so" "$tree/opt/s3/libhard.so" "$(runpath /opt/s1)"
crafted 'a hard link is the same object' /app/bin/inode
lib /opt/s4/libabs.so /opt/s4/libabs.so
prog /app/bin/absolute "$tree/opt/s4/libabs.so"
crafted 'absolute DT_NEEDED' /app/bin/absolute

crafted 'LD_PRELOAD' /usr/bin/prog 'LD_PRELOAD=libcwd.so /opt/r3/libdeep.so:/absent.so'
echo '/opt/r3/libdeep.so # not /this.so' > "$tree/etc/ld.so.preload"
crafted 'ld.so.preload' /usr/bin/prog
rm "$tree/etc/ld.so.preload"

lib /opt/f/libreal.so libreal.so
lib /opt/f/libfilter.so libfilter.so -Wl,-F,libreal.so "$(runpath /opt/f)"
lib /opt/f/libaux.so libaux.so -Wl,-f,libreal.so "$(runpath /opt/f)"
prog /app/bin/filter "$tree/opt/f/libfilter.so" "$(runpath /opt/f)"
prog /app/bin/auxiliary "$tree/opt/f/libaux.so" "$tree/opt/r3/libdeep.so" "$(runpath /opt/f:/opt/r3)"
crafted 'DT_FILTER' /app/bin/filter
crafted 'DT_AUXILIARY' /app/bin/auxiliary

mkdir -p "$tree/opt/bad" "$tree/opt/class"
echo text > "$tree/opt/bad/liba.so"
crafted 'a text file ends the load' /usr/bin/prog LD_LIBRARY_PATH=/opt/bad
cp "$tree/app/lib/liba.so" "$tree/opt/class/liba.so"
printf '\001' | dd of="$tree/opt/class/liba.so" bs=1 seek=4 conv=notrunc 2>/dev/null
crafted 'another class is passed over' /usr/bin/prog LD_LIBRARY_PATH=/opt/class
mkdir "$tree/opt/bad/libd.so"
prog /app/bin/directory "$tree/opt/r1/liby.so" "$(runpath /opt/loop:/opt/r1)"
mkdir -p "$tree/opt/loop" && ln -s liby.so "$tree/opt/loop/liby.so"
crafted 'a loop of links' /app/bin/directory

printf 'V1 { global: one; };\nV2 { global: two; } V1;\n' > "$work/v2.map"
printf 'V1 { global: one; };\n' > "$work/v1.map"
mkdir -p "$tree/opt/v"
echo 'void one(void) {} void two(void) {}' |
  gcc -shared -fPIC -nostdlib -x c - -Wl,-soname,libv.so,--version-script="$work/v2.map" -o "$tree/opt/v/libv.so"
echo 'void two(void); int main(void) { two(); return 0; }' |
  gcc -x c - -x none "$tree/opt/v/libv.so" "$(runpath /opt/v)" -o "$tree/app/bin/version"
crafted 'versions that are there' /app/bin/version
echo 'void one(void) {}' |
  gcc -shared -fPIC -nostdlib -x c - -Wl,-soname,libv.so,--version-script="$work/v1.map" -o "$tree/opt/v/libv.so"
crafted 'a missing version' /app/bin/version

# --- musl
if command -v musl-gcc >/dev/null; then
  musl=$work/musl
  mkdir -p "$musl"/{etc,lib,usr/lib,usr/local/lib,app/lib,app/deep}
  cp -L /lib/ld-musl-x86_64.so.1 "$musl/lib/"
  cp "$tree/start" "$musl/start"
  mlib() {
    local path=$1
    shift
    mkdir -p "$musl$(dirname "$path")"
    echo "int f$RANDOM$RANDOM(void) { return 1; }" |
      musl-gcc -shared -fPIC -x c - -x none -Wl,--no-as-needed -Wl,-soname,"$(basename "$path")" -o "$musl$path" "$@"
  }
  mprog() {
    local path=$1
    shift
    mkdir -p "$musl$(dirname "$path")"
    echo 'int main(void) { return 0; }' |
      musl-gcc -x c - -x none -Wl,--no-as-needed,--unresolved-symbols=ignore-all -o "$musl$path" "$@"
  }
  musl_case() {  # NAME PROGRAM [VARIABLE=VALUE]...
    local name=$1 program=$2
    shift 2
    local options=()
    for variable in "$@"; do options+=(--env "$variable"); done
    { echo "== $program"
      chroot "$musl" /start "$@" /lib/ld-musl-x86_64.so.1 --list "$program" 2>&1
    } | awk -f "$here/list-lines.awk" > "$work/theirs"
    "$driver" --list "${options[@]}" "$musl" "$program" > "$work/ours"
    verdict "musl: $name"
  }
  mlib /usr/lib/libplain.so
  mlib /usr/local/lib/liblocal.so
  mprog /app/default "$musl/usr/lib/libplain.so" "$musl/usr/local/lib/liblocal.so"
  musl_case 'default directories' /app/default
  mlib /app/deep/libdeep.so
  mlib /app/lib/libtop.so "$musl/app/deep/libdeep.so"
  mprog /app/inherited "$musl/app/lib/libtop.so" "$(runpath '$ORIGIN/lib:$ORIGIN/deep')"
  musl_case 'RUNPATH is inherited' /app/inherited
  mprog /app/token "$musl/usr/lib/libplain.so" "$musl/app/lib/libtop.so" "$(runpath '/app/lib:/$LIB')"
  musl_case 'another token voids the path' /app/token
  mlib /app/llp/libplain.so
  musl_case 'LD_LIBRARY_PATH' /app/default LD_LIBRARY_PATH=/none::/app/llp
  musl_case 'LD_PRELOAD' /app/default LD_PRELOAD=/app/deep/libdeep.so
  musl_case 'missing' /app/token LD_LIBRARY_PATH=/app/llp
  mlib /usr/lib/libm.so
  mprog /app/reserved "$musl/usr/lib/libm.so" "$musl/usr/lib/libplain.so"
  musl_case 'reserved names' /app/reserved
  ln "$musl/usr/lib/libplain.so" "$musl/usr/lib/libother.so"
  mlib /tmp/libother.so
  mprog /app/inode "$musl/usr/lib/libplain.so" "$musl/tmp/libother.so"
  musl_case 'a hard link is the same object' /app/inode
  printf '/app/llp\n/usr/local/lib:/app/deep' > "$musl/etc/ld-musl-x86_64.path"
  musl_case 'path file' /app/default
  musl_case 'path file, library' /app/lib/libtop.so
fi

# --- trees: every program and library
traced() {  # TREE LOADER [PREFIX]: what the loader says of the programs on standard input
  local root=$1 loader=$2 start=$3
  while read -r program; do
    echo "== $program"
    if [ -n "$start" ]; then
      chroot "$root" "$start" -E LD_TRACE_LOADED_OBJECTS=1 "$loader" "$program" 2>&1 < /dev/null
    else
      chroot "$root" /start LD_TRACE_LOADED_OBJECTS=1 "$loader" "$program" 2>&1 < /dev/null
    fi
  done
}
whole_tree() {  # NAME TREE LOADER [PREFIX]
  local name=$1 root=$2 loader=$3 start=${4:-} part
  "$driver" --elf "$root" | grep -v -e '^/start$' -e '^/qemu$' > "$work/programs"
  "$driver" --list ${5:+--cpu "$5"} "$root" - < "$work/programs" > "$work/ours"
  # The loader of another machine takes a second for a program of two hundred libraries: one run for each processor.
  rm -f "$work"/part.*
  split -d -n "l/$(nproc)" "$work/programs" "$work/part."
  for part in "$work"/part.*; do traced "$root" "$loader" "$start" < "$part" > "$part.out" & done
  wait
  cat "$work"/part.*.out | awk -f "$here/list-lines.awk" > "$work/theirs"
  verdict "$name: $(wc -l < "$work/programs") programs and libraries"
}
build_tree() {  # NAME PACKAGES [OPTION]...
  local name=$1 packages=$2
  shift 2
  [ -e "$trees/$name/.complete" ] && return
  rm -rf "${trees:?}/$name"
  mkdir -p "$trees"
  mmdebstrap -q --variant=extract --include="$packages" "$@" bookworm "$trees/$name" 2> "$work/log" ||
    { tail -3 "$work/log"; return 1; }
  touch "$trees/$name/.complete"
}
small=bash,coreutils,libc-bin,git,openssl,curl,python3,perl,openssh-client,vim
large=$small,ffmpeg,gdb,imagemagick,postgresql,qemu-utils,graphviz,openssh-server,nginx,php-cli,ruby,python3-numpy
large=$large,g++,samba,bind9,nodejs,apache2,mariadb-server,systemd,gstreamer1.0-plugins-good,subversion,emacs-nox
size=small
packages=$small
if [ "${IMGSLIM_FULL:-0}" = 1 ]; then size=large packages=$large; fi
if [ "${machines/ amd64 /}" = "$machines" ]; then
  :
elif build_tree "amd64-$size" "$packages"; then
  root=$trees/amd64-$size
  cp "$tree/start" "$root/start"
  rm -f "$root/etc/ld.so.cache"
  whole_tree "amd64 without a cache" "$root" /lib64/ld-linux-x86-64.so.2 "" "$host"
  chroot "$root" /sbin/ldconfig
  whole_tree "amd64" "$root" /lib64/ld-linux-x86-64.so.2 "" "$host"
else
  echo "SKIP: amd64 tree"
fi
if [ "${machines/ arm64 /}" = "$machines" ]; then
  :
elif command -v qemu-aarch64-static >/dev/null && build_tree "arm64-$size" "$packages" --arch=arm64; then
  root=$trees/arm64-$size
  cp /usr/bin/qemu-aarch64-static "$root/qemu"
  whole_tree "arm64" "$root" /lib/ld-linux-aarch64.so.1 /qemu
else
  echo "SKIP: arm64 tree"
fi
echo "$passed passed, $failed failed"
[ $failed = 0 ]
