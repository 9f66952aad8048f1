# The pre-push hook with its image in a registry: passes, blocks, a stale image, a tag that moves, no image, a registry
# that is gone. Then the run steps of the GitHub action and of the GitLab template from registry to registry, with a
# comment API beside it.
. "$(dirname "$0")/common.inc"
. "$support/registry.inc"
needs git docker-registry python3 curl jq
python3 -c 'import yaml' 2> /dev/null || skip "python3-yaml is not installed"
root=$(cd "$(dirname "$0")/../.." && pwd)
export GIT_CONFIG_NOSYSTEM=1
mkdir -p "$work/bin"
ln -s "$imgslim" "$work/bin/imgslim"
export PATH="$work/bin:$PATH"
git config --global user.name tester
git config --global user.email tester@example.com
git config --global init.defaultBranch main
honest_registry
app=docker://$honest/team/app

# build REF SIZE [REVISION]: an image in the registry, in which a layer hides another.
build() {
    rm -rf "$work/build"
    image "$work/build" > /dev/null << D
config '{"config": {"Labels": {"org.opencontainers.image.revision": "${3:-}"}}}'
layer gzip "ADD base"
f base random:1000:1
f usr/bin/app random:$2:2 mode=0755
layer gzip "COPY app /usr/bin"
f usr/bin/app random:$2:2 mode=0700
D
    expect 0 imgslim copy "oci:$work/build" "$1"
}
# What the registry itself answers.
digest_of() {
    curl -sfI -H 'Accept: application/vnd.oci.image.manifest.v1+json, application/vnd.oci.image.index.v1+json' \
        "http://$honest/v2/$1/manifests/$2" | tr -d '\r' | sed -n 's/^Docker-Content-Digest: //Ip'
}

# --- the hook
git init -q --bare "$work/remote.git"
git init -q "$work/repository"
cd "$work/repository"
git remote add origin "$work/remote.git"
printf 'budgets:\n  compressed: 100kB\nhook:\n  images: ["%s:main"]\n' "$app" > imgslim.yaml
git add . && git commit -qm one
expect 0 imgslim hook install
# held: the push is stopped. run_hook WANTED: what git would start, without git.
commit() { git commit -q --allow-empty -m more; }
held() {
    expect 1 git push -q origin main
    [ "$(git --git-dir="$work/remote.git" rev-parse main)" != "$(git rev-parse HEAD)" ] || fail "the push was not stopped"
}
run_hook() {
    echo "refs/heads/main $(git rev-parse HEAD) refs/heads/main $(git rev-parse HEAD~1)" > "$work/refs"
    expect "$1" sh -c 'imgslim hook run origin x < "$0"' "$work/refs"
}

# Not there yet: a warning line.
expect 0 git push -q origin main
says "warning: $app:main was not checked"
same "$(grep -c '^imgslim:' "$work/err")" 1
# Within the budget, and a second time from the cache of verdicts: nothing to say.
commit
build "$app:main" 20000 "$(git rev-parse HEAD)"
expect 0 git push -q origin main
same "$(grep -c imgslim "$work/err" || true)" 0
run_hook 0
same "$(cat "$work/err")" ""
# The tag moves to a larger image: blocked, twice.
commit
build "$app:main" 90000 "$(git rev-parse HEAD)"
held
says "$app:main: compressed: "
says "in layer 2 (COPY app /usr/bin), no package, /usr/bin/app"
held
says "push with --no-verify"
run_hook 3
git push -q --no-verify origin main 2> "$work/err"
# Moved back, it passes.
build "$app:main" 20000 "$(git rev-parse HEAD)"
commit
expect 0 git push -q origin main
says "is stale: it is of"
says "1 commit behind"
same "$(grep -c '^imgslim:' "$work/err")" 1
printf '  require-image: true\n' >> imgslim.yaml
commit
held
says "is stale"
run_hook 3
build "$app:main" 20000 "$(git rev-parse HEAD)"
run_hook 0
# A registry that is gone: an error of its own where an image is required, a line else. What was judged before says
# nothing of what is there now.
for pid in $registry_pids; do
    kill "$pid"
    wait "$pid" 2> /dev/null || true
done
registry_pids=
run_hook 3
says "$app:main was not checked"
commit
held
git checkout -q imgslim.yaml
run_hook 0
says "warning: $app:main was not checked"
same "$(grep -c '' "$work/err")" 1
expect 0 git push -q origin main
# One that takes the connection and never answers: the hook's own time-out.
python3 - "$work/silent" << 'P' &
import os, socket, sys, time
listener = socket.socket()
listener.bind(("127.0.0.1", 0))
listener.listen(16)
with open(sys.argv[1] + ".new", "w") as file:
    file.write(str(listener.getsockname()[1]))
os.rename(sys.argv[1] + ".new", sys.argv[1])
time.sleep(60)
P
registry_pids=$!
tries=0
while [ ! -s "$work/silent" ]; do
    tries=$((tries + 1))
    [ $tries -lt 200 ] || fail "the silent registry does not start"
    sleep 0.05
done
printf 'hook:\n  images: ["docker://127.0.0.1:%s/team/app:main"]\n  timeout: 2\n' "$(cat "$work/silent")" > imgslim.yaml
begin=$(date +%s)
run_hook 0
same "$(grep -c '' "$work/err")" 1
says "warning: "
[ $(($(date +%s) - begin)) -lt 20 ] || fail "the time-out of two seconds took $(($(date +%s) - begin))"
printf '  require-image: true\n' >> imgslim.yaml
run_hook 3
git checkout -q imgslim.yaml
kill "$registry_pids"
registry_pids=

# --- the action and the template
honest_registry "$work/store-ci"
app=docker://$honest/team/app
mkdir -p "$work/steps/ci"
cd "$work/steps"
build "$app:base" 50000
build "$app:main" 50000

# run KIND NAME=VALUE...
run() {
    kind=$1
    shift
    case $kind in
    github) python3 "$support/ci_steps.py" github "$root/.github/actions/imgslim/action.yml" ci imgslim="$imgslim" "$@" ;;
    gitlab) python3 "$support/ci_steps.py" gitlab "$root/.gitlab/imgslim.gitlab-ci.yml" ci IMGSLIM="$imgslim" "$@" ;;
    esac
}
github() { run github source="$app:main" destination="$app:slim" form=lossless "$@"; }
printf 'images:\n- name: app\n  newTag: v1\n' > k.yaml
expect 0 github baseline="$app:base" pull-request=5 comment-threshold=1000000 kustomization=k.yaml kustomize-image=app
digest=$(digest_of team/app slim)
[ -n "$digest" ] || fail "the registry has no result"
same "$(cat ci/output)" "digest=$digest
form=lossless
changed=true"
[ "$digest" != "$(digest_of team/app main)" ] || fail "the result is the source"
grep -qF "### \`$app:slim\` (linux/amd64)" ci/summary || { cat ci/summary >&2; fail "no summary"; }
same "$(jq length ci/comments.json)" 0
same "$(cat k.yaml)" "images:
- name: app
  digest: $digest"
# Above the threshold: one comment, which the next run updates. The base is compared with by its digest.
build "$app:main" 90000
by_digest=docker://$honest/team/app@$(digest_of team/app base)
expect 0 github baseline="$by_digest" pull-request=5 comment-threshold=1000
same "$(tail -1 ci/requests)" "POST /repos/team/app/issues/5/comments"
build "$app:main" 99000
expect 0 github baseline="$by_digest" pull-request=5 comment-threshold=1000
same "$(tail -1 ci/requests)" "PATCH /repos/team/app/issues/comments/1"
same "$(jq length ci/comments.json)" 1
# A result of imgslim's own comes out as it went in.
: > ci/output
digest=$(digest_of team/app slim)
expect 0 run github source="$app:slim" destination="$app:again" form=lossless
same "$(cat ci/output)" "digest=$digest
form=lossless
changed=false"
# What a job found is in the registry for the next one, which begins with nothing.
for job in one two; do
    XDG_CACHE_HOME=$work/$job expect 0 github cache-from="$honest/team/app:cache" cache-to="type=registry,ref=$honest/team/app:cache"
done
same "$(jq -r '[.cache.layers[].from] | unique | join(" ")' "$(find ci -name imgslim-report.json)")" "docker://$honest/team/app:cache"
# A broken budget fails the job, after the result is there; a registry that is not there gives no outputs.
printf 'budgets:\n  compressed: 1kB\n' > imgslim.yaml
expect 3 github
grep -q 'budget broken' ci/summary || fail "the summary does not name the budget"
rm imgslim.yaml
: > ci/output
expect 6 run github source="$app:main" destination=docker://127.0.0.1:1/team/app:slim form=lossless
same "$(cat ci/output)" ""

rm -rf ci
mkdir ci
gitlab() { run gitlab IMGSLIM_SOURCE="$app:main" IMGSLIM_DESTINATION="$app:lab" IMGSLIM_MODE=lossless "$@"; }
set -- IMGSLIM_BASELINE="$app:base" IMGSLIM_TOKEN=secret CI_MERGE_REQUEST_IID=5
expect 0 gitlab "$@"
same "$(cat imgslim.env)" "IMGSLIM_DIGEST=$(digest_of team/app lab)
IMGSLIM_FORM=lossless
IMGSLIM_CHANGED=true"
same "$(jq length ci/comments.json)" 0
grep -q '<testsuites name="imgslim audit"' imgslim-junit.xml || fail "no JUnit report"
expect 0 gitlab "$@" IMGSLIM_COMMENT_THRESHOLD=1000
expect 0 gitlab "$@" IMGSLIM_COMMENT_THRESHOLD=1000
same "$(tail -1 ci/requests)" "PUT /projects/7/merge_requests/5/notes/1"
same "$(jq length ci/comments.json)" 1
