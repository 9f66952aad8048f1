#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Makes the seeds of fuzz_call_sites again: small programs that load and start things.
set -eu
cd "$(dirname "$0")"
cat > seed.c <<'C'
void *dlopen(const char *, int);
int system(const char *);
static const char *const names[] = {"liba.so", "libb.so"};
void load(const char *name) { dlopen(name, 1); }
void all(void) {
  for (int i = 0; i < 2; i++) dlopen(names[i], 1);
  load("libc1.so");
  system("date +%s");
}
C
for cc in gcc aarch64-linux-gnu-gcc; do
  "$cc" -O1 -fPIC -shared -nostdlib -s -Wl,-z,norelro -Wl,-z,max-page-size=256 -Wl,-z,noseparate-code \
    -Wl,--build-id=none -o "seed-$cc" seed.c
done
rm seed.c
