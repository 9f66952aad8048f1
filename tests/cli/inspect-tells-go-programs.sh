# Facts of Go programs against the go command: build information, linkage, embedded files, advice.
. "$(dirname "$0")/common.inc"
command -v go > /dev/null || skip "no go"
export GOCACHE="$work/cache" GOFLAGS=-mod=mod GOPROXY=off GOTOOLCHAIN=local GO111MODULE=on

mkdir "$work/app"
cd "$work/app"
cat > go.mod <<'M'
module example.org/app

go 1.16
M
mkdir data
echo hello > data/a.txt
head -c 5000 /dev/zero > data/b.bin
cat > main.go <<'G'
package main

import (
	"embed"
	"fmt"
	"os/exec"
)

//go:embed data
var files embed.FS

func init() { fmt.Println("first") }

func main() {
	entries, _ := files.ReadDir("data")
	fmt.Println(len(entries), exec.Command("tool", "-v").Run())
}
G
CGO_ENABLED=0 go build -o static . || skip "go cannot build here"
expect 0 "$imgslim" inspect --format json static
cp "$work/out" "$work/json"
same "$(field "$work/json" .go.version)" "$(go version static | sed 's/.*: //')"
same "$(field "$work/json" .go.main_module.path)" "$(go version -m static | awk '$1 == "mod" { print $2 }')"
same "$(field "$work/json" '.go.settings[] | .key + "=" + .value')" "$(go version -m static | awk -F '\t' '$2 == "build" { print $3 }')"
same "$(field "$work/json" .go.linkage)" static
same "$(field "$work/json" '[.go.embeds[][] | select(.name | endswith("/") | not) | .name + " " + (.size | tostring)] | join(", ")')" \
    "data/a.txt 6, data/b.bin 5000"
same "$(field "$work/json" '[.go.embeds[][] | select(.hash != null).hash_matches] | all')" true
same "$(field "$work/json" '.go.init_functions[-1]')" main.init.0
same "$(field "$work/json" '.go.modules | map(.path) | index("example.org/app") != null and index("std") != null')" true
same "$(field "$work/json" '.execs[] | select(.package == "main") | .class + " " + .names[0].name')" "exact tool"
same "$(field "$work/json" '[.advice[].id] | join(" ")')" strip

# Without symbols the facts are the same, and there is nothing to advise.
CGO_ENABLED=0 go build -ldflags='-s -w' -o stripped .
expect 0 "$imgslim" inspect --format json stripped
same "$(field "$work/out" '[.advice[].id] | join(" ")')" ""
same "$(field "$work/out" '.go.embeds | length')" 1
same "$(field "$work/out" '.go.init_functions[-1]')" main.init.0

# cgo for the resolver alone: rebuilding without it is free.
command -v gcc > /dev/null || exit 0
sed -i 's|"fmt"|"fmt"\n\t"net"|; s|func main() {|func main() {\n\tfmt.Println(net.LookupHost("localhost"))|' main.go
CGO_ENABLED=1 go build -ldflags='-s -w' -o dynamic . || exit 0
expect 0 "$imgslim" inspect --format json dynamic
same "$(field "$work/out" .go.linkage)" dynamic-cgo
same "$(field "$work/out" .go.rebuild_without_cgo_is_free)" true
same "$(field "$work/out" '.advice[0].id')" rebuild-without-cgo
[ "$(field "$work/out" '.advice[0].bytes')" -gt 1000000 ] || fail "it gains too little"
expect 0 "$imgslim" inspect dynamic
grep -q 'Rebuild with CGO_ENABLED=0' "$work/out" || fail "$(cat "$work/out")"
