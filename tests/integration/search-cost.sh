#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# The search as a cost: the calls that imgslim predicts, one by one, against strace and against qemu's on
# other CPUs: with and without ld.so.cache, with LD_LIBRARY_PATH of ten directories, with a generated cache.
# Needs root, x86-64, gcc, strace, qemu-user-static. IMGSLIM_DRIVERS: where imgslim_library_search is.
[ -n "${BASH_VERSION:-}" ] || exec bash "$0" "$@"
set -u
: "${IMGSLIM_DRIVERS:?}"
driver=$(realpath "${IMGSLIM_DRIVERS:?}/imgslim_library_search") || exit 1
for part in gcc strace qemu-x86_64-static chroot; do
  command -v $part >/dev/null || { echo "SKIP: no $part"; exit 125; }
done
[ "$(id -u)" = 0 ] && [ "$(uname -m)" = x86_64 ] || { echo "SKIP: needs root on x86-64"; exit 125; }
export LC_ALL=C
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
tree=$work/tree
passed=0
failed=0

# A tree of the host's own loader and a few libraries, with a program that opens what its arguments name.
mkdir -p "$tree/etc" "$tree/opt/lib" "$tree/lib64" "$tree/usr/lib"
copy() { mkdir -p "$tree$(dirname "$1")" && cp -L "$1" "$tree$1"; }
library() { ldconfig -p | awk -v name="$1" '$1 == name && /x86-64/ { print $NF; exit }'; }
for name in libc.so.6 libz.so.1 libcrypto.so.3; do copy "$(library $name)"; done
copy /lib64/ld-linux-x86-64.so.2
cp /usr/bin/qemu-x86_64-static "$tree/qemu"
cat > "$work/dl.c" <<'C'
#include <dlfcn.h>
#include <fcntl.h>
int main(int count, char** names) {
  for (int i = 1; i < count; i++) { open("/MARK", 0); dlopen(names[i], RTLD_NOW); }
  open("/MARK", 0);
  return 0;
}
C
gcc -o "$tree/dl" "$work/dl.c"
runpath=/opt/lib
for i in 1 2 3 4 5 6 7 8 9; do mkdir -p "$tree/opt/d$i"; runpath=/opt/d$i:$runpath; done
needed=
for i in $(seq 20); do
  echo "int f$i(void) { return $i; }" | gcc -shared -fPIC -x c - -Wl,-soname,libm$i.so -o "$tree/opt/lib/libm$i.so"
  needed="$needed -l:libm$i.so"
done
gcc -Wl,--no-as-needed -o "$tree/many" "$work/dl.c" -L"$tree/opt/lib" $needed -Wl,--enable-new-dtags,-rpath,$runpath
gcc -Wl,--no-as-needed -o "$tree/many-rpath" "$work/dl.c" -L"$tree/opt/lib" $needed -Wl,--disable-new-dtags,-rpath,$runpath
gcc -Wl,--no-as-needed -o "$tree/many-plain" "$work/dl.c" -L"$tree/opt/lib" $needed
missing=$(for i in 1 2 3 4 5 6 7 8 9 10; do printf '/none%s:' $i; done | sed 's/:$//')
empty=$(for i in 1 2 3 4 5 6 7 8 9 10; do mkdir -p "$tree/empty$i"; printf '/empty%s:' $i; done | sed 's/:$//')
ldconfig -r "$tree" 2>/dev/null
cp "$tree/etc/ld.so.cache" "$work/full.cache"

# The host's CPU as imgslim names it.
level=$(/lib64/ld-linux-x86-64.so.2 --help | sed -n 's/^ *x86-64-v\([234]\) (supported.*/\1/p' | sort -n | tail -1)
host=x86-64-v${level:-1}
if grep -q GenuineIntel /proc/cpuinfo; then
  case $level in 3) host=Haswell ;; 4) host=Skylake-Server ;; esac
fi

# strace or qemu -strace into the lines of `imgslim_library_search --trace`.
calls() {
  sed -nE \
    -e 's/^([0-9]+ +)?openat\((AT_FDCWD|-100), ?"([^"]*)".*= -1.*/open \3 failed/p' \
    -e 's/^([0-9]+ +)?openat\((AT_FDCWD|-100), ?"([^"]*)".*= [0-9]+.*/open \3 ok/p' \
    -e 's/^([0-9]+ +)?newfstatat\((AT_FDCWD|-100), ?"([^"]+)".*= -1.*/stat \3 failed/p' \
    -e 's/^([0-9]+ +)?newfstatat\((AT_FDCWD|-100), ?"([^"]+)".*= 0.*/stat \3 ok/p' \
    -e 's/^([0-9]+ +)?access\("([^"]*)".*= -1.*/access \2 failed/p' \
    -e 's/^([0-9]+ +)?access\("([^"]*)".*= 0.*/access \2 ok/p' | sed 's/^open \/MARK failed$/mark/'
}

# check NAME CPU ENVIRONMENT PROGRAM [DLOPEN]...
check() {
  local name=$1 cpu=$2 value=$3 program=$4
  shift 4
  local options=()
  [ -n "$value" ] && options+=(--env "LD_LIBRARY_PATH=$value")
  for opened in "$@"; do options+=(--dlopen "$opened"); done
  if [ "$cpu" = "$host" ]; then
    # Only what follows the last execve counts: before it run chroot(8) and the starter.
    strace -f -s 8192 -o "$work/raw" -e trace=execve,openat,newfstatat,access \
      chroot "$tree" /start "$value" "$program" "$@" 2>/dev/null
    tac "$work/raw" | sed '/execve(.*= 0/q' | tac | calls > "$work/theirs"
  else
    chroot "$tree" /qemu ${value:+-E "LD_LIBRARY_PATH=$value"} -strace -cpu "$cpu" "$program" "$@" \
      2>"$work/raw" >/dev/null
    calls < "$work/raw" > "$work/theirs"
  fi
  "$driver" --trace --cpu "$cpu" "${options[@]}" "$tree" "$program" > "$work/ours"
  local opens stats
  opens=$(grep -c '^open .* failed$' "$work/theirs")
  stats=$(grep -c '^stat .* failed$' "$work/theirs")
  if cmp -s "$work/ours" "$work/theirs"; then
    echo "ok: $name, $cpu: $opens failing opens, $stats failing stats"
    passed=$((passed + 1))
  else
    echo "FAILED: $name, $cpu: $opens failing opens, $stats failing stats"
    diff "$work/ours" "$work/theirs" | head -6
    failed=$((failed + 1))
  fi
}

# A static starter sets LD_LIBRARY_PATH inside the tree, so that chroot(8) itself is not slowed by it.
cat > "$work/start.c" <<'C'
#include <stdlib.h>
#include <unistd.h>
int main(int count, char** arguments) {
  (void)count;
  setenv("LD_LIBRARY_PATH", arguments[1], 1);
  execv(arguments[2], arguments + 2);
  return 127;
}
C
gcc -static -o "$tree/start" "$work/start.c"

names="libz.so.1 libabsent.so.3 libabsent.so.4 libcrypto.so.3 /opt/lib/libm1.so libm2.so libz.so.1"
for cpu in "$host" Nehalem Haswell core2duo; do
  cp "$work/full.cache" "$tree/etc/ld.so.cache"
  check "cache" $cpu "" /dl
  check "cache, dlopen" $cpu "" /dl $names
  check "cache, ten missing directories" $cpu "$missing" /dl $names
  check "cache, ten empty directories" $cpu "$empty" /dl $names
  check "RUNPATH of ten directories" $cpu "" /many $names
  check "RPATH of ten directories" $cpu "" /many-rpath $names
  check "RUNPATH, ten empty directories" $cpu "$empty" /many $names
  rm -f "$tree/etc/ld.so.cache"
  check "no cache" $cpu "" /dl
  check "no cache, dlopen" $cpu "" /dl $names
  check "no cache, ten empty directories" $cpu "$empty" /dl $names
  check "no cache, LD_LIBRARY_PATH to the libraries" $cpu "/opt/lib" /many-plain $names
  options=()
  for opened in $names; do options+=(--dlopen "$opened"); done
  "$driver" --write-cache "$tree/etc/ld.so.cache" "${options[@]}" "$tree" /dl
  check "generated cache" $cpu "" /dl
  check "generated cache, dlopen" $cpu "" /dl $names
done
# What it is for: the libraries that exist cost no failing call any more.
"$driver" --cost --cpu "$host" --dlopen libz.so.1 --dlopen libcrypto.so.3 "$tree" /dl > "$work/ours"
if [ "$(awk '{ n += $(NF - 1) + $NF } END { print n }' "$work/ours")" = 0 ]; then
  echo "ok: generated cache: no failing call"
  passed=$((passed + 1))
else
  echo "FAILED: generated cache: failing calls"
  cat "$work/ours"
  failed=$((failed + 1))
fi
echo "$passed passed, $failed failed"
[ $failed = 0 ]
