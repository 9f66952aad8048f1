#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Compiles small programs that load and start things in every way that matters, strips them, and checks that
# each site is found with the right class and names, and nothing else; real modules among them, fetched where
# that is possible. Usage: scan-programs.sh [IMGSLIM_SCAN]. IMGSLIM_FULL=1: also modules that compile for minutes.
[ -n "${BASH_VERSION:-}" ] || exec bash "$0" "$@"
set -euo pipefail
for tool in gcc go jq python3; do
  command -v "$tool" > /dev/null || { echo "no $tool here"; exit 125; }
done
scan=$(realpath "${1:-${IMGSLIM_DRIVERS:-.build/release/tests}/imgslim_scan}")
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
failures=0
runs=0

# expect FILE KIND LINE..: the findings of one kind, as "class|names|function-independent flags", sorted.
expect() {
  local file=$1 kind=$2
  shift 2
  local want got
  want=$(printf '%s\n' "$@" | sed '/^$/d' | sort)
  got=$("$scan" "$file" | python3 -c '
import json, sys
for line in sys.stdin:
    finding = json.loads(line)
    if finding["kind"] != sys.argv[1]:
        continue
    if sys.argv[1] == "exec" and finding["package"] not in ("", "main"):
        continue
    extra = "itself" if finding.get("itself") else ",".join(finding.get("symbols", []))
    if finding.get("may_be_missing"):
        extra += "optional"
    names = finding["names"]
    if finding["class"] == "exact":
        names = sorted(names)  # alternatives; the elements of a table have an order
    print("|".join([finding["class"], ",".join(names), extra]))
' "$kind" | sort)
  runs=$((runs + 1))
  if [ "$want" != "$got" ]; then
    failures=$((failures + 1))
    printf 'FAILED %s %s\n--- want\n%s\n--- got\n%s\n' "$file" "$kind" "$want" "$got"
  fi
}

cat > c.c <<'C'
#define _GNU_SOURCE
#include <dlfcn.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>
static const char *const table[] = {"libtable.so.3", "libtable.so.2", "libtable.so.1"};
extern char **environ;
static void *volatile sink;
__attribute__((noinline)) static void *wrapped(int flags, const char *name) { return dlopen(name, flags); }
__attribute__((noinline)) static void literal(void) { sink = dlopen("libliteral.so.1", RTLD_NOW); }
__attribute__((noinline)) static void *tail(void) { return dlopen("libtail.so.1", RTLD_LAZY); }
__attribute__((noinline)) static void loop(void) {
  for (unsigned i = 0; i < 3; i++) {
    sink = dlopen(table[i], RTLD_NOW);
    if (sink) return;
  }
}
__attribute__((noinline)) static void branch(int n) {
  const char *name = "libone.so";
  if (n > 3) name = "libother.so.4";
  sink = dlopen(name, RTLD_NOW);
}
__attribute__((noinline)) static void environment(void) { sink = dlopen(getenv("MODULE"), RTLD_NOW); }
__attribute__((noinline)) static void token(const char *path) {
  void *handle = dlopen(path, RTLD_NOW);
  if (handle) sink = dlsym(handle, "C_GetFunctionList");
}
__attribute__((noinline)) static const char *chosen(int n) { return n > 1 ? "libchosen.so.2" : "libchosen.so.1"; }
__attribute__((noinline)) static const char *same(const char *name) { return name; }
__attribute__((noinline)) static void start(char **argv, int n) {
  pid_t pid;
  if (n == 1) execlp("ls", "ls", "-l", (char *)0);
  if (n == 2) execv("/proc/self/exe", argv);
  if (n == 3) sink = (void *)(long)system("date +%s");
  if (n == 4) posix_spawn(&pid, "/usr/bin/uptime", 0, 0, argv, environ);
  if (n == 5) execvp(argv[1], argv + 1);
}
int main(int argc, char **argv) {
  literal();
  sink = tail();
  loop();
  branch(argc);
  environment();
  token(argv[1]);
  sink = wrapped(RTLD_NOW, "libwrapped.so.1");
  sink = wrapped(RTLD_NOW, "libwrapped.so.2");
  sink = dlopen(chosen(argc), RTLD_NOW);
  sink = dlopen(same("libsame.so.1"), RTLD_NOW);
  start(argv, argc);
  return 0;
}
C
for cc in gcc aarch64-linux-gnu-gcc; do
  command -v "$cc" > /dev/null || { echo "no $cc: left out"; continue; }
  for flags in "-O0 -fPIE -pie" "-O2 -fPIE -pie" "-O2 -fno-pie -no-pie" "-O2 -fPIE -pie -fno-plt" "-O1 -fno-pie -no-pie"; do
    name="c-$cc$(echo "$flags" | tr -d ' ')"
    # shellcheck disable=SC2086
    "$cc" $flags -s -o "$name" c.c -ldl
    expect "$name" dlopen 'exact|libliteral.so.1|' 'exact|libtail.so.1|' \
      'candidate|libtable.so.3,libtable.so.2,libtable.so.1|' 'exact|libone.so,libother.so.4|' 'unknown||' \
      'bounded||C_GetFunctionList' 'exact|libwrapped.so.1,libwrapped.so.2|' \
      'exact|libchosen.so.1,libchosen.so.2|' 'exact|libsame.so.1|'
    expect "$name" exec 'exact|ls|' 'exact||itself' 'candidate|/bin/sh,date|' 'exact|/usr/bin/uptime|' 'unknown||'
  done
done

# Names put together in a buffer, in every way a compiler has of it.
cat > built.c << 'C'
#define _GNU_SOURCE
#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
static void *volatile sink;
#define NEVER __attribute__((noinline)) static
static const char *const versions[] = {"3", "1.1", "10"};
static const char rows[][8] = {"9", "8.5", "7"};
NEVER void table(void) {
  for (size_t i = 0; i < sizeof versions / sizeof *versions; ++i) {
    char name[32];
    snprintf(name, sizeof name, "libtable.so.%s", versions[i]);
    sink = dlopen(name, RTLD_NOW);
    if (sink) return;
  }
}
NEVER void frame(void) {
  const char *own[] = {"5", "4", "2"};
  for (int i = 0; i < 3; ++i) {
    char name[32];
    sprintf(name, "libframe.so.%s", own[i]);
    sink = dlopen(name, RTLD_NOW);
    if (sink) return;
  }
}
NEVER void two(void) {
  for (size_t i = 0; i < 3; ++i) {
    char name[32];
    snprintf(name, sizeof name, "librows.so.%s", rows[i]);
    sink = dlopen(name, RTLD_NOW);
  }
}
NEVER void *wrapped(const char *version) {
  char name[64];
  snprintf(name, sizeof name, "libwrapped-%s.so", version);
  return dlopen(name, RTLD_NOW);
}
NEVER void copied(void) {
  for (int i = 0; i < 3; ++i) {
    char name[40];
    strcpy(name, "libcopied.so.");
    strcat(name, versions[i]);
    sink = dlopen(name, RTLD_NOW);
  }
}
NEVER void ended(void) {
  for (int i = 0; i < 3; ++i) {
    char name[40];
    strcpy(name, versions[i]);
    strcat(name, "-ended.so");
    sink = dlopen(name, RTLD_NOW);
  }
}
NEVER void made(int n) {
  char *name;
  if (asprintf(&name, "libmade.so.%s", n > 2 ? "2" : "1") < 0) return;
  sink = dlopen(name, RTLD_NOW);
  free(name);
}
NEVER void heap(void) {
  char *name = malloc(64);
  snprintf(name, 64, "%s/libheap.so.%d", "/opt/heap", 4);
  sink = dlopen(name, RTLD_NOW);
  free(name);
}
NEVER void counted(void) {
  char name[32];
  for (int i = 12; i < 15; ++i) {
    snprintf(name, sizeof name, "libcounted.so.%d", i);
    sink = dlopen(name, RTLD_NOW);
  }
}
NEVER void open_end(const char *version) {
  char name[64];
  snprintf(name, sizeof name, "libopen.so.%s", version);
  sink = dlopen(name, RTLD_NOW);
}
NEVER void open_start(void) {
  char name[256];
  snprintf(name, sizeof name, "%s/libplugin.so", getenv("PLUGINS"));
  sink = dlopen(name, RTLD_NOW);
}
NEVER void touched(char **argv) {
  char name[64];
  snprintf(name, sizeof name, "libtouched.so.%s", versions[0]);
  char *dot = strrchr(name, '.');
  *dot = argv[1][0];
  sink = dlopen(name, RTLD_NOW);
}
int main(int argc, char **argv) {
  table(); frame(); two(); 
  sink = wrapped("a"); sink = wrapped("b");
  copied(); ended(); made(argc); heap(); counted(); open_end(argv[1]); open_start(); touched(argv);
  return 0;
}
C
built() {
  expect "$1" dlopen "${@:2}" 'candidate|libwrapped-a.so,libwrapped-b.so|' 'candidate|libmade.so.2,libmade.so.1|' \
    'candidate|/opt/heap/libheap.so.4|' 'candidate|libopen.so.*|' 'unknown||' 'unknown||'
}
for cc in gcc aarch64-linux-gnu-gcc; do
  command -v "$cc" > /dev/null || { echo "$cc: skipped"; continue; }
  for flags in "-O0" "-O1" "-O2" "-O2 -fno-pie -no-pie" "-O2 -D_FORTIFY_SOURCE=2"; do
    name="built-$cc$(echo "$flags" | tr -d ' ')"
    # shellcheck disable=SC2086
    "$cc" $flags -w -s -o "$name" built.c -ldl
    rows=librows.so.9,librows.so.8.5,librows.so.7 counted=libcounted.so.12,libcounted.so.13,libcounted.so.14
    case "$cc $flags" in
      aarch64*-O1 | aarch64*-O2 | aarch64*-O2\ -D*) rows='librows.so.*' ;;  # the loop's end is an address made in it
    esac
    built "$name" 'candidate|libtable.so.3,libtable.so.1.1,libtable.so.10|' \
      'candidate|libframe.so.5,libframe.so.4,libframe.so.2|' "candidate|$rows|" "candidate|$counted|" \
      'candidate|libcopied.so.3,libcopied.so.1.1,libcopied.so.10|' 'candidate|3-ended.so,1.1-ended.so,10-ended.so|'
  done
done

# Names that a helper of the program writes into its caller's buffer: followed where all of it is understood.
cat > filled.c << 'C'
#define _GNU_SOURCE
#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
static void *volatile sink;
static char *volatile elsewhere;
#define NEVER __attribute__((noinline, noipa)) static
NEVER void make(char *out) { strcpy(out, "libfilled.so.1"); }
NEVER void either(char *out, int n) { strcpy(out, n > 2 ? "libeither-long.so.22" : "libeither.so.1"); }
NEVER int version(char *out, size_t room, const char *number) {
  return snprintf(out, room, "libversion.so.%s", number) > 0;
}
NEVER int nested(int n, char *out) { make(out); return n; }
NEVER void passed(char *out) { make(out); }
NEVER char *given(char *out) { strcpy(out, "libgiven.so.3"); return out; }
NEVER void behind(char *out) { memcpy(out, "lib", 3); strcpy(out + 3, "behind.so"); }
NEVER void sometimes(char *out, int n) { if (n > 2) strcpy(out, "libsometimes.so"); }
NEVER void aliased(char *out, char *other) { strcpy(out, "libaliased.so"); other[3] = 'x'; }
NEVER void global(char *out) { strcpy(out, "libglobal.so"); elsewhere[0] = 'x'; }
NEVER void called(char *out) { strcpy(out, "libcalled.so"); if (getenv("X")) fgets(elsewhere, 9, stdin); }
NEVER void changed(char *out, int n) { strcpy(out, "libchanged.so"); out[3] = n; }
NEVER void loop(char *out, const char *from) { while ((*out++ = *from++)) {} }
NEVER char *again(char *out) { strcpy(out, getenv("AGAIN")); return out; }
int main(int argc, char **argv) {
  char b[64], c[64], d[64], e[64], f[64], g[64], h[64];
  make(b); sink = dlopen(b, RTLD_NOW);
  either(c, argc); sink = dlopen(c, RTLD_NOW);
  version(d, sizeof d, "7"); sink = dlopen(d, RTLD_NOW);
  nested(argc, e); sink = dlopen(e, RTLD_NOW);
  passed(f); sink = dlopen(f, RTLD_NOW);
  sink = dlopen(given(g), RTLD_NOW);
  behind(h); sink = dlopen(h, RTLD_NOW);
#ifdef OPEN
  char i[64], j[64], k[64], l[64], m[64], n[64], o[64], p[64];
  elsewhere = argv[0];
  sometimes(i, argc); sink = dlopen(i, RTLD_NOW);
  aliased(j, argc > 9 ? j : argv[0]); sink = dlopen(j, RTLD_NOW);
  global(k); sink = dlopen(k, RTLD_NOW);
  called(l); sink = dlopen(l, RTLD_NOW);
  changed(m, argc); sink = dlopen(m, RTLD_NOW);
  loop(n, argv[1]); sink = dlopen(n, RTLD_NOW);
  strcpy(o, "libbefore.so"); sink = dlopen(again(o), RTLD_NOW);
  make(p); p[3] = argv[1][0]; sink = dlopen(p, RTLD_NOW);
#endif
  return 0;
}
C
for cc in gcc aarch64-linux-gnu-gcc; do
  command -v "$cc" > /dev/null || { echo "$cc: skipped"; continue; }
  for flags in "-O0" "-O1" "-O2" "-O2 -fno-pie -no-pie -D_FORTIFY_SOURCE=2"; do
    name="filled-$cc$(echo "$flags" | tr -d ' ')"
    known=('candidate|libfilled.so.1|' 'candidate|libfilled.so.1|' 'candidate|libfilled.so.1|' 'candidate|libgiven.so.3|' \
      'candidate|libeither-long.so.22,libeither.so.1|' 'candidate|libversion.so.7|' 'candidate|libbehind.so|')
    # shellcheck disable=SC2086
    "$cc" $flags -w -s -o "$name" filled.c -ldl
    expect "$name" dlopen "${known[@]}"
    # shellcheck disable=SC2086
    "$cc" $flags -DOPEN -w -s -o "$name-open" filled.c -ldl
    expect "$name-open" dlopen "${known[@]}" 'unknown||' 'unknown||' 'unknown||' 'unknown||' 'unknown||' 'unknown||' \
      'unknown||' 'unknown||'
  done
done

# Names whose memory another function got before: a literal stays what it is, all else may have been written.
cat > handed.c << 'C'
#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
static void *volatile sink;
static char writable[64] = "libwritable.so.1", plain[64] = "libplain.so.1";
static const char *variable = "libvariable.so.1";
#define NEVER __attribute__((noinline, noipa)) static
NEVER void helper(char *b) { if (getenv("X")) fgets(b, 60, stdin); }
#define LOADER(name) NEVER void name(char *b) { helper(b); sink = dlopen(b, RTLD_NOW); }
LOADER(literal) LOADER(buffer) LOADER(global) LOADER(held) LOADER(copied)
NEVER void untouched(char *b) { sink = dlopen(b, RTLD_NOW); }
int main(void) {
  char b[64];
  strcpy(b, "libbuffer.so.1");
  literal("libliteral.so.1");
  buffer(b);
  global(writable);
  held((char *)variable);
  copied(strdup("libcopied.so.1"));
  untouched(plain);
  variable = getenv("Y");
  return 0;
}
C
for cc in gcc aarch64-linux-gnu-gcc; do
  command -v "$cc" > /dev/null || { echo "$cc: skipped"; continue; }
  for flags in "-O1" "-O2" "-O2 -fno-pie -no-pie -D_FORTIFY_SOURCE=2"; do
    name="handed-$cc$(echo "$flags" | tr -d ' ')"
    # shellcheck disable=SC2086
    "$cc" $flags -w -s -o "$name" handed.c -ldl
    expect "$name" dlopen 'exact|libliteral.so.1|' 'unknown|libbuffer.so.1|' 'unknown|libwritable.so.1|' \
      'candidate|libvariable.so.1|' 'unknown|libcopied.so.1|' 'candidate|libplain.so.1|'
  done
done

# Libraries that start programs for their callers: glib, libuv, apr. What they import is all that counts of them.
cat > spawn.c << 'C'
#include <stddef.h>
typedef struct { void *exit_cb; const char *file; char **args; char **env; const char *cwd; unsigned flags; int n;
                 void *stdio; unsigned uid, gid; } uv_process_options_t;
int g_spawn_sync(const char *, char **, char **, int, void *, void *, char **, char **, int *, void **);
int g_spawn_async(const char *, char **, char **, int, void *, void *, int *, void **);
int g_spawn_async_with_pipes(const char *, char **, char **, int, void *, void *, int *, int *, int *, int *, void **);
int g_spawn_command_line_sync(const char *, char **, char **, int *, void **);
int g_spawn_command_line_async(const char *, void **);
void *g_subprocess_new(int, void **, const char *, ...);
void *g_subprocess_newv(const char *const *, int, void **);
void *g_subprocess_launcher_spawnv(void *, const char *const *, void **);
int uv_spawn(void *, void *, const uv_process_options_t *);
int apr_proc_create(void *, const char *, const char *const *, const char *const *, void *, void *);
#ifdef STUB
int g_spawn_sync(const char *a, char **b, char **c, int d, void *e, void *f, char **g, char **h, int *i, void **j) { return 0; }
int g_spawn_async(const char *a, char **b, char **c, int d, void *e, void *f, int *g, void **h) { return 0; }
int g_spawn_async_with_pipes(const char *a, char **b, char **c, int d, void *e, void *f, int *g, int *h, int *i, int *j,
                             void **k) { return 0; }
int g_spawn_command_line_sync(const char *a, char **b, char **c, int *d, void **e) { return 0; }
int g_spawn_command_line_async(const char *a, void **b) { return 0; }
void *g_subprocess_new(int a, void **b, const char *c, ...) { return 0; }
void *g_subprocess_newv(const char *const *a, int b, void **c) { return 0; }
void *g_subprocess_launcher_spawnv(void *a, const char *const *b, void **c) { return 0; }
int uv_spawn(void *a, void *b, const uv_process_options_t *c) { return 0; }
int apr_proc_create(void *a, const char *b, const char *const *c, const char *const *d, void *e, void *f) { return 0; }
#else
static void *volatile sink;
static char request[256];
#define NEVER __attribute__((noinline, noipa)) static
static const char *const fixed[] = {"/usr/bin/fixed", "-x", NULL};
static char *variable[] = {"variable", NULL};
NEVER void table(void) { char *argv[3]; argv[0] = "stacked"; argv[1] = "-l"; argv[2] = NULL; g_spawn_sync(NULL, argv, NULL, 4, 0, 0, 0, 0, 0, 0); }
NEVER void wrapped(char *name) { char *argv[] = {name, NULL}; g_spawn_async("/", argv, NULL, 4, 0, 0, 0, 0); }
NEVER void open_table(char **argv) { g_spawn_async_with_pipes(NULL, argv, NULL, 4, 0, 0, 0, 0, 0, 0, 0); }
NEVER void loop(const char *file, char **args) {
  uv_process_options_t options = {0};
  options.args = args;
  options.file = file;
  uv_spawn(sink, request, &options);
}
NEVER void constant(char **args) {
  uv_process_options_t options = {0};
  options.file = "uv-constant";
  options.args = args;
  uv_spawn(sink, request, &options);
}
int main(int argc, char **argv) {
  table();
  wrapped("wrapped1"); wrapped("wrapped2");
  open_table(argv + 1);
  g_spawn_async(NULL, variable, NULL, 4, 0, 0, 0, 0);
  g_subprocess_newv(fixed, 0, NULL);
  g_subprocess_launcher_spawnv(sink, fixed, NULL);
  g_subprocess_new(0, NULL, "subprocess", "-x", NULL);
  g_spawn_command_line_async("words -a -b", NULL);
  g_spawn_command_line_sync("'quoted words' -a", 0, 0, 0, 0);
  constant(argv);
  loop(argv[1], argv + 1);
  apr_proc_create(sink, "/usr/bin/apr", (const char *const *)argv, 0, 0, 0);
  return 0;
}
#endif
C
for cc in gcc aarch64-linux-gnu-gcc; do
  command -v "$cc" > /dev/null || { echo "$cc: skipped"; continue; }
  "$cc" -w -DSTUB -shared -fPIC -Wl,-soname,libstub.so.0 -o "libstub-$cc.so" spawn.c
  for flags in "-O0" "-O1" "-O2" "-O2 -fno-pie -no-pie"; do
    name="spawn-$cc$(echo "$flags" | tr -d ' ')"
    # shellcheck disable=SC2086
    "$cc" $flags -w -s -o "$name" spawn.c "./libstub-$cc.so"
    expect "$name" exec 'exact|stacked|' 'exact|wrapped1,wrapped2|' 'unknown||' 'candidate|variable|' \
      'exact|/usr/bin/fixed|' 'exact|/usr/bin/fixed|' 'exact|subprocess|' 'candidate|words|' 'unknown||' \
      'exact|uv-constant|' 'unknown||' 'exact|/usr/bin/apr|'
  done
done

mkdir go-exec
cat > go-exec/main.go <<'GO'
package main

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"sync"
	"syscall"
)

var start = exec.Command
var once sync.Once

//go:noinline
func run(flag int, name string) { fmt.Println(flag, exec.Command(name, "-x").Run()) }

//go:noinline
func table() {
	for _, name := range []string{"tab1", "tab22", "tab333"} {
		fmt.Println(exec.Command(name).Run())
	}
}

//go:noinline
func list() {
	for _, suffix := range []string{"a", "bb", "ccc"} {
		fmt.Println(exec.Command("prefix-" + suffix).Run())
	}
}

//go:noinline
func branch(n int) {
	name := "one"
	if n > 3 {
		name = "another"
	}
	fmt.Println(exec.CommandContext(context.Background(), name).Run())
}

//go:noinline
func self(n int) {
	path, _ := os.Executable()
	if n > 1 {
		fmt.Println(exec.Command(path).Run())
	}
	fmt.Println(exec.Command(os.Args[0]).Run())
	fmt.Println(syscall.Exec("/proc/self/exe", nil, nil))
}

//go:noinline
func literal() { fmt.Println((&exec.Cmd{Path: "/bin/literal"}).Run()) }

//go:noinline
func tool(kind string) string { return "tool-" + kind }

// A closure runs what it captured, unless another one changed that before.
//go:noinline
func captured(name string) {
	once.Do(func() { fmt.Println(exec.Command(name).Run()) })
}

//go:noinline
func apply(change func()) { change() }

//go:noinline
func changed() {
	name := "before"
	apply(func() { name = os.Getenv("AFTER") })
	fmt.Println(exec.Command(name).Run())
}

func main() {
	n := len(os.Args)
	fmt.Println(exec.Command(tool("returned")).Run())
	captured("captured1")
	captured("captured2")
	changed()
	fmt.Println(exec.Command("constant").Run())
	run(n, "wrapped1")
	run(n, "wrapped2")
	table()
	list()
	branch(n)
	self(n)
	literal()
	fmt.Println(exec.Command(os.Getenv("PROGRAM")).Run())
	fmt.Println(start("variable").Run())
}
GO
cat > go-exec/go.mod <<'GO'
module example.org/exec
go 1.16
GO
go_exec() {
  expect "$1" exec 'exact|constant|' 'exact|wrapped1,wrapped2|' 'candidate|tab1,tab22,tab333|' \
    'candidate|prefix-a,prefix-bb,prefix-ccc|' 'exact|another,one|' 'exact||itself' 'exact||itself' \
    'exact||itself' 'exact|/bin/literal|' 'unknown||' 'exact|variable|' \
    'candidate|tool-returned|' 'exact|captured1,captured2|' 'unknown||'
}
for go in ${GO_PROGRAMS:-$(command -v go) /usr/lib/go-1.19/bin/go}; do
  [ -x "$go" ] || continue
  version=$("$go" env GOVERSION)
  for arch in amd64 arm64; do
    (cd go-exec && CGO_ENABLED=0 GOARCH=$arch GOTOOLCHAIN=local GOFLAGS= "$go" build -ldflags='-s -w' -o "../go-$version-$arch" .)
    go_exec "go-$version-$arch"
  done
  (cd go-exec && CGO_ENABLED=0 GOTOOLCHAIN=local GOFLAGS= "$go" build -buildmode=pie -ldflags='-s -w' -o "../go-$version-pie" .)
  go_exec "go-$version-pie"
done

mkdir go-dlopen
cat > go-dlopen/go.mod <<'GO'
module example.org/load
go 1.16
GO
cat > go-dlopen/main.go <<'GO'
package main

/*
#cgo LDFLAGS: -ldl
#include <dlfcn.h>
#include <stdlib.h>
#include <stdio.h>
static void *from_c(void) { return dlopen("libfromc.so.1", RTLD_NOW); }
static void *built(void) {
  static const char *const versions[] = {"3", "1.1", "11"};
  for (size_t i = 0; i < sizeof versions / sizeof *versions; ++i) {
    char name[32];
    snprintf(name, sizeof name, "libbuilt.so.%s", versions[i]);
    void *handle = dlopen(name, RTLD_NOW | RTLD_LOCAL);
    if (handle != NULL) return handle;
  }
  return NULL;
}
*/
import "C"

import (
	"fmt"
	"os"
	"plugin"
	"unsafe"
)

//go:noinline
func load(name string) {
	text := C.CString(name)
	fmt.Println(C.dlopen(text, C.RTLD_NOW))
	C.free(unsafe.Pointer(text))
}

func main() {
	fmt.Println(C.from_c(), C.built())
	text := C.CString("libconstant.so.7")
	fmt.Println(C.dlopen(text, C.RTLD_NOW))
	for _, suffix := range []string{"3", "1.1", "10"} {
		load("libcrypto.so." + suffix)
	}
	p, err := plugin.Open(os.Args[1])
	fmt.Println(p, err)
}
GO
for go in ${GO_PROGRAMS:-$(command -v go) /usr/lib/go-1.19/bin/go}; do
  [ -x "$go" ] || continue
  version=$("$go" env GOVERSION)
  (cd go-dlopen && CGO_ENABLED=1 GOTOOLCHAIN=local GOFLAGS= "$go" build -ldflags='-s -w' -o "../load-$version" .)
  expect "load-$version" dlopen 'exact|libfromc.so.1|' 'exact|libconstant.so.7|' \
    'candidate|libcrypto.so.3,libcrypto.so.1.1,libcrypto.so.10|' \
    'candidate|libbuilt.so.3,libbuilt.so.1.1,libbuilt.so.11|' 'unknown||'
done

# go_program NAME [REQUIREMENT]: a module with the program on stdin; fails where the requirement cannot be had.
go_program() {
  mkdir -p "$1"
  cat > "$1/main.go"
  printf 'module example.org/%s\n\ngo 1.18\n' "$1" > "$1/go.mod"
  [ $# -eq 1 ] && return
  printf '\nrequire %s\n' "$2" >> "$1/go.mod"
  (cd "$1" && GOTOOLCHAIN=local GOFLAGS=-mod=mod timeout 300 go mod tidy > tidy.log 2>&1) && return
  echo "$1: skipped, no ${2% *} here"
  return 1
}

# build NAME OUTPUT [NAME=VALUE]... [-- LINKER-FLAG...]: stripped.
build() {
  local folder=$1 output=$PWD/$2
  shift 2
  local settings=()
  while [ $# -gt 0 ] && [ "$1" != -- ]; do
    settings+=("$1")
    shift
  done
  [ $# -eq 0 ] || shift
  (cd "$folder" && env GOTOOLCHAIN=local GOFLAGS=-mod=mod "${settings[@]}" go build -ldflags="-s -w $*" -o "$output" .) \
    > "$output.log" 2>&1 && return
  cat "$output.log"
  failures=$((failures + 1))
  return 1
}

if go_program purego 'github.com/ebitengine/purego v0.8.2' << 'GO'; then
package main

import (
	"fmt"
	"os"

	"github.com/ebitengine/purego"
)

//go:noinline
func load(name string) { fmt.Println(purego.Dlopen(name, purego.RTLD_NOW)) }

func main() {
	fmt.Println(purego.Dlopen("libconstant.so.3", purego.RTLD_NOW|purego.RTLD_GLOBAL))
	load("libwrapped.so.1")
	load("libwrapped.so.2")
	fmt.Println(purego.Dlopen(os.Getenv("LIBRARY"), purego.RTLD_LAZY))
}
GO
  for cgo in 0 1; do
    build purego "purego-$cgo" CGO_ENABLED=$cgo && expect "purego-$cgo" dlopen 'exact|libconstant.so.3|' \
      'exact|libwrapped.so.1,libwrapped.so.2|' 'unknown||'
  done
fi

if go_program pkcs11 'github.com/miekg/pkcs11 v1.1.1' << 'GO'; then
package main

import (
	"fmt"
	"os"

	"github.com/miekg/pkcs11"
)

func main() { fmt.Println(pkcs11.New(os.Args[1]).Initialize()) }
GO
  build pkcs11 pkcs11-cgo CGO_ENABLED=1 && expect pkcs11-cgo dlopen 'bounded||C_GetFunctionList'
fi

# tries FILE: what the scan names is what the program tries, in this order; names with an open end are left out.
tries() {
  local named tried
  named=$("$scan" "$1" | jq -r 'select(.kind == "dlopen") | .names[] | select(contains("*") | not)')
  tried=$(LD_DEBUG=files "./$1" 2>&1 | sed -n 's/.*file=\([^ ]*\) .*dynamically loaded by.*/\1/p' | awk '!seen[$0]++')
  runs=$((runs + 1))
  [ -n "$tried" ] && [ "$named" = "$tried" ] && return
  failures=$((failures + 1))
  printf 'FAILED %s\n--- tried\n%s\n--- named\n%s\n' "$1" "$tried" "$named"
}

# OpenSSL's library: named by the program that takes golang-fips's module, by Microsoft's module itself.
if go_program fips 'github.com/golang-fips/openssl/v2 v2.0.3' << 'GO'; then
package main

import (
	"fmt"

	"github.com/golang-fips/openssl/v2"
)

func library() string {
	first := ""
	for _, version := range []string{"3", "1.1", "11", "111", "1.0.2", "1.0.0", "10"} {
		name := "libcrypto.so." + version
		exists, fips := openssl.CheckVersion(name)
		if fips {
			return name
		}
		if exists && first == "" {
			first = name
		}
	}
	return first
}

func main() { fmt.Println(openssl.Init(library())) }
GO
  names=libcrypto.so.3,libcrypto.so.1.1,libcrypto.so.11,libcrypto.so.111,libcrypto.so.1.0.2,libcrypto.so.1.0.0,libcrypto.so.10
  build fips fips-cgo CGO_ENABLED=1 && expect fips-cgo dlopen "candidate|$names|" && tries fips-cgo
fi
if go_program systemcrypto 'github.com/microsoft/go-crypto-openssl v0.2.9' << 'GO'; then
package main

import (
	"fmt"

	"github.com/microsoft/go-crypto-openssl/openssl"
)

func main() { fmt.Println(openssl.Init()) }
GO
  build systemcrypto systemcrypto-cgo CGO_ENABLED=1 && expect systemcrypto-cgo dlopen "candidate|$names,libcrypto.so.*|" &&
    tries systemcrypto-cgo
fi

if [ -n "${IMGSLIM_FULL:-}" ]; then
  if go_program sqlite 'github.com/mattn/go-sqlite3 v1.14.24' << 'GO'; then
package main

import (
	"database/sql"
	"fmt"
	"os"

	sqlite3 "github.com/mattn/go-sqlite3"
)

func main() {
	sql.Register("extended", &sqlite3.SQLiteDriver{Extensions: []string{os.Args[2]}})
	db, err := sql.Open("extended", os.Args[1])
	fmt.Println(err, db.Ping())
}
GO
    build sqlite sqlite-cgo CGO_ENABLED=1 && expect sqlite-cgo dlopen 'bounded||sqlite3_*_init' 'bounded||sqlite3_*_init'
  fi
  if go_program nvml 'github.com/NVIDIA/go-nvml v0.12.4-1' << 'GO'; then
package main

import (
	"fmt"

	"github.com/NVIDIA/go-nvml/pkg/nvml"
)

func main() { fmt.Println(nvml.Init()) }
GO
    build nvml nvml-cgo CGO_ENABLED=1 && expect nvml-cgo dlopen 'known|libnvidia-ml.so.1|optional'
  fi
fi

go_program plugins << 'GO'
package main

import (
	"fmt"
	"os"
	"plugin"
)

func main() {
	fmt.Println(plugin.Open("/opt/plugins/one.so"))
	fmt.Println(plugin.Open(os.Getenv("PLUGIN")))
}
GO
build plugins plugins-cgo CGO_ENABLED=1 && expect plugins-cgo dlopen 'exact|/opt/plugins/one.so|' 'unknown||'

# What a static libc looks for by itself, and what the program asks it for. musl's cannot load at all.
go_program lookup << 'GO'
package main

import (
	"fmt"
	"net"
	"os"
	"os/user"
)

func main() {
	fmt.Println(net.LookupHost(os.Args[1]))
	fmt.Println(user.Lookup(os.Args[1]))
}
GO
go_program by-name << 'GO'
package main

/*
#cgo LDFLAGS: -ldl
#include <dlfcn.h>
static void *by_name(const char *name) { return dlopen(name, RTLD_NOW); }
*/
import "C"

import (
	"fmt"
	"os"
)

func main() {
	fmt.Println(C.dlopen(C.CString("libplain.so.1"), C.RTLD_NOW))
	fmt.Println(C.by_name(C.CString(os.Args[1])))
}
GO
cat > static.c << 'C'
#include <dlfcn.h>
#include <stdio.h>
int main(int count, char **arguments) {
  void *handle = dlopen(count > 1 ? arguments[1] : "libstatic.so.1", RTLD_NOW);
  printf("%p %s\n", handle, dlerror());
  return 0;
}
C
cat > namespace.c << 'C'
#define _GNU_SOURCE
#include <dlfcn.h>
#include <stdio.h>
int main(int count, char **arguments) {
  void *base = dlmopen(LM_ID_BASE, "libbase.so.1", RTLD_NOW);
  void *other = dlmopen(LM_ID_NEWLM, arguments[1], RTLD_NOW);
  printf("%p %p %s\n", base, other, dlerror());
#ifdef BOTH
  printf("%p\n", dlopen(count > 1 ? "libone.so.1" : "libnone.so.1", RTLD_NOW));
#endif
  return 0;
}
C
static='-linkmode=external -extldflags=-static'
nss='known|libnss_*.so.2,gconv/*.so|optional'
build by-name by-name-cgo CGO_ENABLED=1 && expect by-name-cgo dlopen 'exact|libplain.so.1|' 'unknown||'
build lookup lookup-cgo CGO_ENABLED=1 && expect lookup-cgo dlopen ''
build lookup lookup-static CGO_ENABLED=1 -- "$static" && expect lookup-static dlopen "$nss"
for linked in "gcc -static" "gcc -static-pie" "aarch64-linux-gnu-gcc -static"; do
  command -v "${linked%% *}" > /dev/null || { echo "${linked%% *}: skipped"; continue; }
  name="static-$(echo "$linked" | tr -d ' ')"
  # shellcheck disable=SC2086
  $linked -O2 -s -o "$name" static.c 2> /dev/null
  expect "$name" dlopen 'known|gconv/*.so|optional' 'unknown|libstatic.so.1|'
  # shellcheck disable=SC2086
  $linked -O2 -s -o "$name-namespace" namespace.c 2> /dev/null
  expect "$name-namespace" dlopen 'known|gconv/*.so|optional' 'exact|libbase.so.1|' 'unknown||'
  # shellcheck disable=SC2086
  $linked -O2 -s -DBOTH -o "$name-both" namespace.c 2> /dev/null
  expect "$name-both" dlopen 'known|gconv/*.so|optional' 'exact|libbase.so.1|' 'unknown||' \
    'exact|libnone.so.1,libone.so.1|'
  # shellcheck disable=SC2086
  echo 'int main(void) { return 0; }' | $linked -O2 -s -x c -o "$name-plain" -
  expect "$name-plain" dlopen 'known|gconv/*.so|optional'
done
if command -v musl-gcc > /dev/null; then
  musl-gcc -static -O2 -s -o static-musl static.c
  expect static-musl dlopen 'known||optional'
  build by-name by-name-musl CGO_ENABLED=1 CC=musl-gcc -- "$static" && expect by-name-musl dlopen 'known||optional'
else
  echo "static musl: skipped, no musl-gcc here"
fi

# A library that says what it loads: one note for all of it, the priority decides whether a missing one is a fault.
cat > note.c << 'C'
#define NOTE(text)                                                              \
  __asm__(".pushsection .note.dlopen, \"a\", %note\n.balign 4\n"                 \
          ".long 4, 2f - 1f, 0x407c0c0a\n.asciz \"FDO\"\n1: .asciz \"" text "\"\n" \
          "2: .balign 4\n.popsection\n")
NOTE("[{\\\"feature\\\":\\\"zip\\\",\\\"priority\\\":\\\"suggested\\\",\\\"soname\\\":[\\\"libnote.so.2\\\",\\\"libnote.so.1\\\"]}]");
NOTE("[{\\\"feature\\\":\\\"key\\\",\\\"priority\\\":\\\"required\\\",\\\"soname\\\":[\\\"libkey.so.5\\\"]}]");
int answer(void) { return 42; }
C
gcc -shared -fPIC -s -o libnote-self.so.1 note.c
expect libnote-self.so.1 dlopen 'exact|libnote.so.1,libnote.so.2|optional' 'exact|libkey.so.5|'

echo "$runs checks, $failures failed"
[ "$failures" -eq 0 ]
