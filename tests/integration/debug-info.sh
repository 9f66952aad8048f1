#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Takes debug information out of files of many compilers and linkers and holds the results against readelf, eu-elflint,
# the loader, gdb, Delve, elfutils and uprobes. IMGSLIM_FULL=1: all releases of Go, more machines.
[ -n "${BASH_VERSION:-}" ] || exec bash "$0" "$@"
. "$(dirname "$0")/debug-info.inc"
needs gcc go gdb nm
export GOTOOLCHAIN=local GOFLAGS=-mod=mod GOENV=off
mkdir "$work/elf" "$work/prog"

say "C and C++"
cat > "$work/elf/a.c" <<'C'
#include <stdio.h>
#include <stdlib.h>
struct pair { int a, b; };
static __thread int calls;
__attribute__((noinline)) int work(int n, struct pair p) {
    int sum = n;
    for (int i = 0; i < n; i++) sum += i * p.a;
    calls++;
    printf("sum %d %d\n", sum, p.b); /* here */
    return sum;
}
int main(int argc, char **argv) {
    struct pair p = {2, 3};
    return work(argc + 4, p) == 0;
}
C
cat > "$work/elf/b.cc" <<'C'
#include <iostream>
#include <stdexcept>
#include <string>
#include <vector>
template <class T> T total(const std::vector<T>& of) { T sum{}; for (const T& x : of) sum += x; return sum; }
int main(int argc, char** argv) {
    try {
        if (argc > 1) throw std::runtime_error(argv[1]);
    } catch (const std::exception& e) { std::cout << e.what() << '\n'; }
    std::cout << total(std::vector<std::string>{"a", "b"}) << total(std::vector<int>{1, 2}) << '\n';
}
C
cd "$work/elf"
build() {
    local name=$1
    shift
    "$@" -o "$work/elf/$name" 2> "$work/build.log" || { rm -f "$work/elf/$name"; return; }
    each_way "$name" "$work/elf/$name"
}
for flags in "" -no-pie -static -static-pie "-shared -fPIC" -gz "-gdwarf-4 -gz=zlib-gnu" "-Wl,-q" "-g3 -ggdb" "-gsplit-dwarf" \
    "-Wl,--build-id=none" "-Wl,-z,noseparate-code" "-Wl,-z,max-page-size=65536" "-Wl,--gdb-index -fuse-ld=gold"; do
    # shellcheck disable=SC2086
    build "c${flags// /}" gcc -g -O1 $flags a.c
done
build cxx g++ -g b.cc
build cxx-static g++ -g -static b.cc
for machine in aarch64-linux-gnu mips-linux-gnu arm-linux-gnueabihf; do
    command -v "$machine-gcc" > /dev/null || continue
    build "$machine" "$machine-gcc" -g a.c
    build "$machine-static" "$machine-gcc" -g -static a.c
    build "$machine-nopie" "$machine-gcc" -g -no-pie a.c
done
command -v clang > /dev/null && build clang clang -g a.c
command -v musl-gcc > /dev/null && build musl musl-gcc -g -static a.c

say "Go releases and ways of linking"
if [ -n "${IMGSLIM_FULL:-}" ]; then releases=all; else releases="1.20.14 1.26.0"; fi
# shellcheck disable=SC2086
if sh "$support/go-matrix.sh" $releases > "$work/matrix" 2> "$work/matrix.log"; then
    while read -r release variant file; do each_way "go$release-$variant" "$file"; done < "$work/matrix"
else
    say "no releases of Go can be had here: $(tail -1 "$work/matrix.log")"
fi

cat > "$work/prog/go.mod" <<'G'
module example.org/prog

go 1.16
G
cat > "$work/prog/main.go" <<'G'
package main

import (
	"fmt"
	"os"
	"runtime/pprof"
)

type pair struct{ a, b int }

//go:noinline
func work(n int, p pair) int {
	sum := n
	for i := 0; i < n; i++ {
		sum += i * p.a
	}
	fmt.Println("sum", sum, p.b) // here
	return sum
}

//go:noinline
func spin(n int) (sum uint64) {
	for i := 0; i < n; i++ {
		sum = sum*31 + uint64(i)
	}
	return sum
}

func main() {
	mode := ""
	if len(os.Args) > 1 {
		mode = os.Args[1]
	}
	switch mode {
	case "panic":
		var p *pair
		fmt.Println(p.b)
	case "profile":
		file, _ := os.Create(os.Args[2])
		pprof.StartCPUProfile(file)
		fmt.Println(spin(400000000))
		pprof.StopCPUProfile()
	default:
		work(5, pair{2, 3})
	}
}
G
cd "$work/prog"
ways=("static CGO_ENABLED=0" "pie CGO_ENABLED=0 -buildmode=pie" "cgo CGO_ENABLED=1 -ldflags=-linkmode=external"
    "arm64 GOARCH=arm64 CGO_ENABLED=0" "386 GOARCH=386 CGO_ENABLED=0" "mips GOARCH=mips CGO_ENABLED=0")
[ -z "${IMGSLIM_FULL:-}" ] || ways+=("mips64 GOARCH=mips64 CGO_ENABLED=0" "s390x GOARCH=s390x CGO_ENABLED=0"
    "riscv64 GOARCH=riscv64 CGO_ENABLED=0" "plugin CGO_ENABLED=1 -buildmode=c-shared")
for way in "${ways[@]}"; do
    # shellcheck disable=SC2086
    set -- $way
    name=$1
    shift
    settings=()
    flags=()
    for word; do case $word in -*) flags+=("$word") ;; *) settings+=("$word") ;; esac; done
    env "${settings[@]}" go build "${flags[@]}" -o "$name" . > "$work/build.log" 2>&1 || {
        say "go build $name: $(tail -1 "$work/build.log")"
        continue
    }
    each_way "prog-$name" "$work/prog/$name"
done

say "programs run alike"
for name in static pie cgo; do
    for symbols in "" --symbols; do
        # shellcheck disable=SC2086
        "$driver" $symbols --drop "$name" "$name.slim" > /dev/null
        chmod +x "$name.slim"
        "./$name" > a.out 2>&1
        "./$name.slim" > b.out 2>&1
        cmp -s a.out b.out || complain "$name: it says something else"
        "./$name" panic > a.out 2>&1 || true
        "./$name.slim" panic > b.out 2>&1 || true
        grep -q 'main.go:[0-9]' a.out || complain "$name: the trace has no lines"
        cmp -s <(sed 's/0x[0-9a-f]*//g' a.out) <(sed 's/0x[0-9a-f]*//g' b.out) || complain "$name: its panic trace differs"
        cmp -s <(go version -m "$name" | tail -n +2) <(go version -m "$name.slim" | tail -n +2) || complain "$name: go version -m differs"
        "./$name.slim" profile cpu.prof > /dev/null
        go tool pprof -top "$name.slim" cpu.prof 2> /dev/null | grep -q 'main\.spin' || complain "$name: a CPU profile has no symbols"
        [ -n "$symbols" ] || cmp -s <(nm "$name") <(nm "$name.slim") || complain "$name: symbols for probes differ"
    done
done
for name in c c-no-pie c-static cxx cxx-static c-static-pie; do
    [ -f "$work/elf/$name" ] || continue
    "$driver" --symbols --drop "$work/elf/$name" c.slim > /dev/null
    chmod +x c.slim
    cmp -s <("$work/elf/$name" word 2>&1) <(./c.slim word 2>&1) || complain "$name: it says something else"
done
if command -v qemu-aarch64-static > /dev/null && [ -f arm64 ]; then
    "$driver" --symbols --drop arm64 arm64.slim > /dev/null
    chmod +x arm64.slim
    cmp -s <(qemu-aarch64-static ./arm64) <(qemu-aarch64-static ./arm64.slim) || complain "arm64: it says something else"
fi

say "gdb"
in_gdb() {
    gdb -nx -q -batch -iex "set debug-file-directory $work/debug" -iex "set debuginfod enabled off" \
        -iex "set auto-load no" -ex "info line $2" -ex "break $3" -ex run -ex "info args" -ex "info locals" -ex bt \
        "$1" 2>&1 | grep -v 'New LWP\|New Thread\|Thread \|^warning\|libthread_db' | sed 's/v=0x[0-9a-f]*//; s/argv=0x[0-9a-f]*//'
}
debug_alike() {
    local name=$1 file=$2 function=$3 line=$4
    "$driver" "$file" slim.d/prog "$work/debug" > said || complain "$name: $(cat said)"
    grep -q ^taken said || { complain "$name: $(cat said)"; return; }
    cp "$file" whole.d/prog
    chmod +x slim.d/prog
    in_gdb whole.d/prog "$function" "$line" > a.out
    in_gdb slim.d/prog "$function" "$line" > b.out
    grep -q 'sum = 25' a.out || { cat a.out; complain "$name: gdb shows no locals of the original"; }
    cmp -s a.out b.out || { diff a.out b.out | head -5; complain "$name: gdb shows something else"; }
}
mkdir -p whole.d slim.d
c_line=$(grep -n 'here' "$work/elf/a.c" | cut -d: -f1)
go_line=$(grep -n '// here' main.go | cut -d: -f1)
for name in c c-no-pie c-static c-gz; do debug_alike "$name" "$work/elf/$name" work "a.c:$c_line"; done
for name in static pie cgo; do
    [ -n "$(readelf -n "$name" | grep 'Build ID')" ] || { say "no build id in Go's $name: no companion"; continue; }
    debug_alike "go $name" "$name" main.work "main.go:$go_line"
done

say "eu-addr2line"
for name in c c-static c-gz; do
    "$driver" --symbols "$work/elf/$name" slim.d/prog "$work/debug" > /dev/null
    address=0x$(nm "$work/elf/$name" | sed -n 's/ [Tt] work$//p')
    a=$(eu-addr2line -f -e "$work/elf/$name" "$address")
    b=$(eu-addr2line -f --debuginfo-path="$work/debug" -e slim.d/prog "$address")
    case $a in *a.c:*) ;; *) complain "$name: eu-addr2line knows nothing of the original" ;; esac
    [ "$a" = "$b" ] || complain "$name: eu-addr2line says $b, not $a"
done

# Delve of the machine may be older than its Go; one for it is built where modules can be had.
dlv=${DLV:-}
if [ -z "$dlv" ]; then
    dlv=$IMGSLIM_TEST_CACHE/go/bin/dlv
    [ -x "$dlv" ] || GOBIN=${dlv%/*} GOMODCACHE=$IMGSLIM_TEST_CACHE/go/mod go install github.com/go-delve/delve/cmd/dlv@v1.27.2 > "$work/dlv.log" 2>&1 || dlv=
fi
if [ -n "$dlv" ]; then
    say "Delve"
    mkdir -p "$work/config/dlv"
    echo "debug-info-directories: [\"$work/debug/.build-id\"]" > "$work/config/dlv/config.yml"
    printf 'break main.go:%s\ncontinue\nargs\nlocals\nstack 2\nexit\n' "$go_line" > script
    in_dlv() {
        XDG_CONFIG_HOME=$work/config timeout 120 "$dlv" exec "$1" --init script --allow-non-terminal-interactive=true < /dev/null 2>&1 |
            sed 's/0x[0-9a-f]*//g; s/goroutine(.*)//; s/Process [0-9]*//'
    }
    for name in static pie cgo; do
        [ -n "$(readelf -n "$name" | grep 'Build ID')" ] || continue
        "$driver" "$name" slim.d/prog "$work/debug" > /dev/null
        chmod +x slim.d/prog
        cp "$name" whole.d/prog
        in_dlv whole.d/prog > a.out
        in_dlv slim.d/prog > b.out
        grep -q 'sum = 25' a.out || { cat a.out; complain "$name: Delve shows no locals of the original"; }
        cmp -s a.out b.out || { diff a.out b.out | head -5; complain "$name: Delve shows something else"; }
    done
else
    say "no Delve can be had here"
fi

# A probe is a place in the file that a symbol names; then it is set, where the kernel lets us, and counts calls.
say "uprobes by symbol"
if command -v perf > /dev/null; then
    probed() {
        perf probe -q -x "$1" -a "imgslim_$$=$2" > /dev/null 2> "$work/perf.log" || return 1
        perf stat -x, -e "$(perf probe -l 2> /dev/null | sed -n "s/^ *\\(probe_[^ ]*:imgslim_$$\\) .*/\\1/p")" "$1" 2>&1 > /dev/null | grep "imgslim_$$" | cut -d, -f1
        perf probe -q -d "*:imgslim_$$" > /dev/null 2>&1
    }
    for case in "$work/elf/c work" "$work/elf/c-static work" "$work/prog/static main.work" "$work/prog/pie main.work" \
        "$work/prog/cgo main.work"; do
        # shellcheck disable=SC2086
        set -- $case
        "$driver" --drop "$1" slim.d/prog > /dev/null
        chmod +x slim.d/prog
        cp "$1" whole.d/prog
        a=$(perf probe -x "$PWD/whole.d/prog" -D "$2" 2>&1 | sed 's/.*:0x/0x/')
        b=$(perf probe -x "$PWD/slim.d/prog" -D "$2" 2>&1 | sed 's/.*:0x/0x/')
        case $a in 0x*) ;; *) say "${1##*/}: no probe on the original: $a"; continue ;; esac
        [ "$a" = "$b" ] || complain "${1##*/}: the probe is at $b, not $a"
        if a=$(probed "$PWD/whole.d/prog" "$2"); then
            b=$(probed "$PWD/slim.d/prog" "$2")
            [ "$a" = 1 ] && [ "$b" = 1 ] || complain "${1##*/}: probes counted '$a' and '$b' calls"
        else
            say "${1##*/}: this kernel sets no uprobe: $(tail -1 "$work/perf.log")"
        fi
    done
else
    say "no perf here"
fi
verdict
