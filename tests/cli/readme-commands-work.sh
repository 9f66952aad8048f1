# Every command of the README is pasted into a shell and works. What installs, builds or runs tests is run as far as
# that makes sense here: the build in this folder is the one under test.
. "$(dirname "$0")/common.inc"
readme=$(cd "$(dirname "$0")/../.." && pwd)/README.md
root=$(dirname "$readme")

cd "$work"
image build > /dev/null <<'D'
layer gzip
f usr/local/bin/app file:/bin/true mode=0755
f x random:50000:1
layer gzip
w x
D
image app > /dev/null <<D
config '{"moby.buildkit.cache.v0": "$(python3 "$support/buildkit_cache.py" key 2)"}'
layer gzip
f usr/local/bin/app file:/bin/true mode=0755
f x random:50000:1
layer gzip
w x
D
"$imgslim" optimize -q oci:build docker-archive:app.tar:app:latest > /dev/null
git init -q . || skip "git is not installed"
mkdir bin
ln -s "$(realpath "$imgslim")" bin/imgslim
export PATH="$work/bin:$PATH"

ran=0
sed -n '/^```sh$/,/^```$/{/^```/!p}' "$readme" > commands
while IFS= read -r line; do
    [ -n "$line" ] || continue
    case $line in
    *tests/demo.sh* | *tests/run.sh* | *tests/full.sh* | *packages.sh* | "cmake --preset"* | "cmake --build"* | "cmake --install"* | .packaging/* | \
        "tar -xzf imgslim-"* | *"./imgslim_"*.deb | *registry.example.com*)
        # Set-up is tested by tests/integration/set-up.sh and packaging.sh; here: what it names is there.
        for word in $line; do
            case $word in tests/* | .packaging/*) [ -f "$root/$word" ] || fail "README names $word" ;; esac
        done
        continue
        ;;
    esac
    sh -e -c "$line" > out 2> err || { cat out err >&2; fail "README: $line"; }
    ran=$((ran + 1))
done < commands
[ "$ran" -ge 6 ] || fail "only $ran commands found in the README"
