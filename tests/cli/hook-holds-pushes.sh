# A real git push to a bare repository, with the hook in place: passes, blocks, an older hook goes on, new and deleted
# branches, tags, no image yet, a stale image.
. "$(dirname "$0")/common.inc"
command -v git > /dev/null || skip "git is not installed"

export HOME="$work/home" GIT_CONFIG_NOSYSTEM=1
mkdir -p "$HOME" "$work/bin"
ln -s "$imgslim" "$work/bin/imgslim"
export PATH="$work/bin:$PATH"
git config --global user.name tester
git config --global user.email tester@example.com
git config --global init.defaultBranch main
git config --global advice.detachedHead false
git init -q --bare "$work/remote.git"
git init -q "$work/repository"
cd "$work/repository"
git remote add origin "$work/remote.git"
printf 'build/\n' > .gitignore
printf 'budgets:\n  compressed: 50kB\nhook:\n  images: ["oci:build"]\n' > imgslim.yaml
git add . && git commit -qm one

# build SIZE REVISION: the image of this repository.
build() {
    rm -rf build
    image build > /dev/null <<D
config '{"config": {"Labels": {"org.opencontainers.image.revision": "$2"}}}'
layer gzip "COPY app /app"
f app random:$1:1 mode=0755
D
}
files() {
    find .git -type f -path '*hooks*' | LC_ALL=C sort
}

before=$(files)
expect 0 imgslim hook install
same "$(files | grep -vxF "$before")" .git/hooks/pre-push
same "$(git status --porcelain)" ""
grep -q "pre-push written" "$work/out" || fail "install does not say what it wrote"
expect 0 imgslim hook install
grep -q "has it already" "$work/out" || fail "install does it twice"

# No image yet: a warning, and the push goes on.
expect 0 git push -q origin main
says "warning: oci:build was not checked"
same "$(grep -c '^imgslim:' "$work/err")" 1

# The image of this commit, within the budget.
git commit -q --allow-empty -m two
build 20000 "$(git rev-parse HEAD)"
expect 0 git push -q origin main
same "$(grep -c imgslim "$work/err" || true)" 0

# Over it: blocked, with the line that names the file, and how to go on.
git commit -q --allow-empty -m three
build 90000 "$(git rev-parse HEAD)"
expect 1 git push -q origin main
says "oci:build: compressed: "
says "in layer 1 (COPY app /app), no package, /app"
says "push with --no-verify"
[ "$(git rev-parse origin/main)" != "$(git rev-parse HEAD)" ] || fail "the push was not stopped"
# The same again, from the cache of verdicts.
expect 1 git push -q origin main
says "oci:build: compressed: "
status=0
echo "refs/heads/main $(git rev-parse HEAD) refs/heads/main $(git rev-parse origin/main)" | imgslim hook run origin x 2> "$work/err" || status=$?
same "$status" 3
expect 0 git push -q --no-verify origin main

# A stale image is named with how far, and does not stop the push.
git commit -q --allow-empty -m four
git commit -q --allow-empty -m five
expect 0 git push -q origin main
says "is stale: it is of"
says "2 commits behind"
build 90000 1111111111111111111111111111111111111111
expect 0 git push -q origin main:again
says "of a commit that is not in this repository"
# Unless an image is required.
printf '  require-image: true\n' >> imgslim.yaml
expect 1 git push -q origin main:required
says "is stale"
rm -rf build
expect 1 git push -q origin main:required
says "oci:build was not checked"
git checkout -q imgslim.yaml

# A new branch and a tag bring commits; a deleted branch brings none.
build 90000 "$(git rev-parse HEAD)"
expect 1 git push -q origin main:new
git tag -a v1 -m v1
expect 1 git push -q origin v1
expect 0 git push -q origin :again
same "$(grep -c imgslim "$work/err" || true)" 0
build 20000 "$(git rev-parse HEAD)"
expect 0 git push -q origin main:new v1

# An older hook goes on: its input, arguments and verdict. It comes back as it was.
expect 0 imgslim hook uninstall
[ ! -e .git/hooks/pre-push ] || fail "uninstall leaves the file"
for shell in '#!/bin/sh' '#!/usr/bin/env python3'; do
    case $shell in
    *python3) printf '%s\nimport sys\nopen("%s/seen", "w").write(sys.argv[1] + " " + sys.stdin.read())\nsys.exit(0)\n' "$shell" "$work" ;;
    *) printf '%s\n{ printf "%%s " "$1"; cat; } > "%s/seen"\n' "$shell" "$work" ;;
    esac > .git/hooks/pre-push
    chmod 755 .git/hooks/pre-push
    cp .git/hooks/pre-push "$work/earlier"
    expect 0 imgslim hook install
    rm -f "$work/seen"
    git commit -q --allow-empty -m more
    build 20000 "$(git rev-parse HEAD)"
    last=$(git rev-parse origin/main)
    expect 0 git push -q origin main
    same "$(cat "$work/seen")" "origin refs/heads/main $(git rev-parse HEAD) refs/heads/main $last"
    git commit -q --allow-empty -m more
    build 90000 "$(git rev-parse HEAD)"
    rm -f "$work/seen"
    expect 1 git push -q origin main
    [ ! -e "$work/seen" ] || fail "the older hook runs although the push was stopped"
    git push -q --no-verify origin main 2> /dev/null
    expect 0 imgslim hook uninstall
    cmp -s .git/hooks/pre-push "$work/earlier" || fail "the older hook did not come back"
done
printf '#!/bin/sh\nexit 9\n' > .git/hooks/pre-push
expect 0 imgslim hook install
git commit -q --allow-empty -m last
rm -rf build
expect 1 git push -q origin main

# Elsewhere there is nothing to install into.
cd "$work"
GIT_CEILING_DIRECTORIES=$(dirname "$work") expect 2 imgslim hook install
says "no git repository"
