# Every run step of the GitHub action and of the GitLab template, taken out and executed: outputs, summary, one comment
# above the threshold that is updated, the digest in a kustomization.
. "$(dirname "$0")/common.inc"
command -v curl > /dev/null || skip "curl is not installed"
python3 -c 'import yaml' 2> /dev/null || skip "python3-yaml is not installed"

root=$(cd "$(dirname "$0")/../.." && pwd)
cd "$work"
# build SIZE: an image in which a layer hides another.
build() {
    rm -rf build slim
    image build > /dev/null <<D
layer gzip "ADD base"
f base random:1000:1
f usr/bin/app random:$1:2 mode=0755
layer gzip "RUN chmod"
f usr/bin/app random:$1:2 mode=0700
D
}
build 50000
cp -r build base

# run KIND NAME=VALUE...
run() {
    kind=$1
    shift
    case $kind in
    github) python3 "$support/ci_steps.py" github "$root/.github/actions/imgslim/action.yml" ci imgslim="$imgslim" "$@" ;;
    gitlab) python3 "$support/ci_steps.py" gitlab "$root/.gitlab/imgslim.gitlab-ci.yml" ci IMGSLIM="$imgslim" "$@" ;;
    esac
}

# GitHub: outputs and summary.
mkdir ci
expect 0 run github source=oci:build destination=oci:slim form=lossless
digest=$(jq -r '.manifests[0].digest' slim/index.json)
same "$(cat ci/output)" "digest=$digest
form=lossless
changed=true"
grep -q '^### `oci:slim` (linux/amd64)$' ci/summary || { cat ci/summary >&2; fail "no summary"; }
same "$(cat ci/requests)" ""

# A difference below the threshold makes no comment, one above it makes one, the next run updates it.
build 50100
expect 0 run github source=oci:build destination=oci:slim form=lossless baseline=oci:base pull-request=5 comment-threshold=1000000
same "$(jq length ci/comments.json)" 0
same "$(grep -c '^GET' ci/requests)" 1
jq -n '[range(130) | {id: (. + 1), body: "other"}]' > ci/comments.json
expect 0 run github source=oci:build destination=oci:slim form=lossless baseline=oci:base pull-request=5 comment-threshold=1000
same "$(jq length ci/comments.json)" 131
jq -r '.[130].body' ci/comments.json > first
grep -q '^### Image size, linux/amd64$' first || { cat first >&2; fail "the comment says nothing of sizes"; }
same "$(tail -1 ci/requests)" "POST /repos/team/app/issues/5/comments"
build 90000
expect 0 run github source=oci:build destination=oci:slim form=lossless baseline=oci:base pull-request=5 comment-threshold=1000
same "$(jq length ci/comments.json)" 131
same "$(tail -1 ci/requests)" "PATCH /repos/team/app/issues/comments/131"
jq -r '.[130].body' ci/comments.json > second
! cmp -s first second || fail "the comment was not updated"

# A broken budget is in the summary and fails the job.
printf 'budgets:\n  compressed: 1kB\n' > imgslim.yaml
rm ci/summary
expect 3 run github source=oci:build destination=oci:slim form=lossless
grep -q 'budget broken' ci/summary || fail "the summary does not name the budget"
rm imgslim.yaml

# The digest in a kustomization: in its entry, whatever the order of keys, or in a new one.
digest=$(jq -r '.manifests[0].digest' slim/index.json)
printf 'resources:\n- a.yaml\nimages:\n- name: other\n  newTag: v1\n- digest: sha256:old\n  name: app\n  newName: r.example.com/app\n  newTag: v1\nnamespace: x\n' > k.yaml
expect 0 run github source=oci:build destination=oci:slim form=lossless kustomization=k.yaml kustomize-image=app
same "$(cat k.yaml)" "resources:
- a.yaml
images:
- name: other
  newTag: v1
- name: app
  newName: r.example.com/app
  digest: $digest
namespace: x"
printf 'images:\n  - name: other\n' > k.yaml
expect 0 run github source=oci:build destination=oci:slim form=lossless kustomization=k.yaml kustomize-image=app
printf 'resources: []\n' > k2.yaml
expect 0 run github source=oci:build destination=oci:slim form=lossless kustomization=k2.yaml kustomize-image=app
same "$(python3 -c 'import json, yaml; print(json.dumps(yaml.safe_load(open("k2.yaml"))["images"]))')" "[{\"name\": \"app\", \"digest\": \"$digest\"}]"

# Caches are passed on, and a cache that cannot be written is no error.
cat > fake <<D
#!/bin/sh
echo "\$@" >> "$work/calls"
[ "\$1" != optimize ] || { echo '{"form": "lossless", "changed": true}' > "$work/ci/runner/imgslim-report.json"; echo sha256:x > "$work/ci/runner/imgslim-digest"; }
D
chmod 755 fake
expect 0 run github imgslim="$work/fake" source=a destination=b cache-from=type=registry,ref=c cache-to=type=registry,ref=c
grep -q -e '--cache-from type=registry,ref=c --cache-to type=registry,ref=c,ignore-error=true a b' calls || { cat calls >&2; fail "caches"; }

# With imgslim's image: docker starts it, as the runner's user, with the workspace, the temporary folder and credentials.
mkdir bin docker
echo '{}' > docker/config.json
cat > bin/docker <<D
#!/bin/sh
printf '%s\n' "\$@" > "$work/options"
[ "\$1" = run ] || exit 1
until [ "\$1" = 'team/imgslim:1' ]; do shift; done
shift
exec "$imgslim" "\$@"
D
chmod 755 bin/docker
build 90000
rm -rf ci slim
mkdir ci
expect 0 env PATH="$work/bin:$PATH" DOCKER_CONFIG="$work/docker" HTTPS_PROXY=http://proxy.example \
    python3 "$support/ci_steps.py" github "$root/.github/actions/imgslim/action.yml" ci image=team/imgslim:1 imgslim=none \
    source=oci:build destination=oci:slim form=lossless
same "$(sed '/^path=/d' ci/output)" "digest=$(jq -r '.manifests[0].digest' slim/index.json)
form=lossless
changed=true"
grep -q '^### `oci:slim` (linux/amd64)$' ci/summary || fail "no summary"
for option in --rm "$(id -u):$(id -g)" "$work:$work" "$work/docker:$work/docker:ro" HTTPS_PROXY; do
    grep -qxF -e "$option" options || { cat options >&2; fail "docker does not get $option"; }
done
! grep -q docker.sock options || fail "docker's socket goes into a container that has no use for it"

# GitLab: the same with a dotenv file, notes and JUnit.
rm -rf ci
mkdir ci
cd ci
mkdir ci
cp -r ../base ../build .
expect 0 run gitlab IMGSLIM_SOURCE=oci:build IMGSLIM_DESTINATION=oci:slim IMGSLIM_MODE=lossless
digest=$(jq -r '.manifests[0].digest' slim/index.json)
same "$(cat imgslim.env)" "IMGSLIM_DIGEST=$digest
IMGSLIM_FORM=lossless
IMGSLIM_CHANGED=true"
grep -q '<testsuites name="imgslim audit"' imgslim-junit.xml || fail "no JUnit report"
set -- IMGSLIM_SOURCE=oci:build IMGSLIM_DESTINATION=oci:slim IMGSLIM_MODE=lossless IMGSLIM_BASELINE=oci:base IMGSLIM_TOKEN=secret CI_MERGE_REQUEST_IID=5
expect 0 run gitlab "$@"
same "$(jq length ci/comments.json)" 0
expect 0 run gitlab "$@" IMGSLIM_COMMENT_THRESHOLD=1000
same "$(tail -1 ci/requests)" "POST /projects/7/merge_requests/5/notes"
expect 0 run gitlab "$@" IMGSLIM_COMMENT_THRESHOLD=1000
same "$(tail -1 ci/requests)" "PUT /projects/7/merge_requests/5/notes/1"
same "$(jq length ci/comments.json)" 1
printf 'images:\n- name: app\n' > k.yaml
expect 0 run gitlab "$@" IMGSLIM_KUSTOMIZATION=k.yaml IMGSLIM_KUSTOMIZE_IMAGE=app
same "$(cat k.yaml)" "images:
- name: app
  digest: $digest"
printf 'budgets:\n  compressed: 1kB\n' > imgslim.yaml
expect 3 run gitlab IMGSLIM_SOURCE=oci:build IMGSLIM_DESTINATION=oci:slim IMGSLIM_MODE=lossless
grep -q '<failure' imgslim-junit.xml || fail "JUnit does not name the budget"
