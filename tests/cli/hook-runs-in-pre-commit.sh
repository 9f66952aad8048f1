# The entry of .pre-commit-hooks.yaml with Debian's pre-commit and a real push.
. "$(dirname "$0")/common.inc"
command -v git > /dev/null || skip "git is not installed"
[ -x /usr/bin/pre-commit ] || skip "pre-commit is not installed"

root=$(cd "$(dirname "$0")/../.." && pwd)
export HOME="$work/home" GIT_CONFIG_NOSYSTEM=1
mkdir -p "$HOME" "$work/bin"
ln -s "$imgslim" "$work/bin/imgslim"
export PATH="$work/bin:/usr/bin:/bin"
git config --global user.name tester
git config --global user.email tester@example.com
git config --global init.defaultBranch main
# A repository that has the entry, as a team would name imgslim's.
git init -q "$work/hooks"
cp "$root/.pre-commit-hooks.yaml" "$work/hooks/"
git -C "$work/hooks" add . && git -C "$work/hooks" commit -qm hooks
git init -q --bare "$work/remote.git"
git init -q "$work/repository"
cd "$work/repository"
git remote add origin "$work/remote.git"
printf 'build/\n' > .gitignore
printf 'budgets:\n  compressed: 50kB\nhook:\n  images: ["oci:build"]\n' > imgslim.yaml
printf 'repos:\n- repo: %s\n  rev: %s\n  hooks:\n  - id: imgslim\n' "$work/hooks" "$(git -C "$work/hooks" rev-parse HEAD)" > .pre-commit-config.yaml
git add . && git commit -qm one
/usr/bin/pre-commit install --hook-type pre-push > /dev/null

build() {
    rm -rf build
    image build > /dev/null <<D
config '{"config": {"Labels": {"org.opencontainers.image.revision": "$2"}}}'
layer gzip "COPY app /app"
f app random:$1:1 mode=0755
D
}
build 20000 "$(git rev-parse HEAD)"
expect 0 git push origin main
git commit -q --allow-empty -m two
expect 0 git push origin main
git commit -q --allow-empty -m three
build 90000 "$(git rev-parse HEAD)"
expect 1 git push origin main
cat "$work/out" "$work/err" | grep -q "in layer 1 (COPY app /app), no package, /app" || fail "the line does not reach the user"
