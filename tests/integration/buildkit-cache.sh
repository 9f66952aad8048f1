# SPDX-License-Identifier: Apache-2.0
# buildkit-cache: builders take the cache that optimize publishes of an image as if they had written it: every step is
# CACHED, without an error, and what comes out is the same. Docker's own builder; with IMGSLIM_FULL=1 a current buildkitd
# in both forms.
. "$(dirname "$0")/common.inc"
cache_of_tests=$IMGSLIM_TEST_CACHE
. "$support/registry.inc"
. "$support/engine.inc"
[ "$(id -u)" = 0 ] || skip "a builder needs root"
needs dockerd curl python3 jq busybox
docker=docker
[ ! -x /usr/bin/docker ] || docker=/usr/bin/docker
"$docker" --version 2> /dev/null | grep -q ' 20\.10\.' || skip "no Docker 20.10 here, whose builder is built in"
trap 'for pid in $registry_pids; do kill "$pid" 2> /dev/null || true; wait "$pid" 2> /dev/null || true; done; rm -rf "$work"' EXIT

# A stage that is not in the image, two steps that change nothing, and a file that no build makes twice, which a later
# layer replaces.
context=$work/context
mkdir -p "$context"
cp "$(command -v busybox)" "$context/busybox"
cat > "$context/Dockerfile" << 'D'
FROM scratch AS build
COPY busybox /bin/sh
RUN ["/bin/sh", "-c", "dd if=/dev/urandom of=/out bs=65536 count=1"]

FROM scratch
COPY busybox /bin/sh
RUN ["/bin/sh", "-c", "true"]
RUN ["/bin/sh", "-c", "true"]
COPY --from=build /out /app/out
RUN ["/bin/sh", "-c", "echo less > /app/out"]
WORKDIR /app
CMD ["/bin/sh"]
D
{
    cat "$context/Dockerfile"
    echo 'RUN ["/bin/sh", "-c", "echo more > /more"]'
} > "$context/Dockerfile.more"
steps=7 # the two stages begin with the same one; FROM and CMD are none

# cached LOG STEPS: so many steps of a build were CACHED, and none of its lines is an error.
cached() {
    [ "$(grep -c ' CACHED$' "$1")" = "$2" ] || {
        cat "$1" >&2
        fail "not $2 steps of $1 are CACHED"
    }
    ! grep -iE 'error|failed|warn' "$1" >&2 || fail "the build of $1 had errors"
}

# diff_ids NAME: those of an image in the registry.
diff_ids() {
    rm -rf "$work/copied"
    "$imgslim" copy -q "docker://$1" "oci:$work/copied" > "$work/copy.log"
    python3 - "$work/copied" << 'P'
import json, sys
def read(digest):
    return json.load(open(sys.argv[1] + "/blobs/" + digest.replace(":", "/")))
entry = json.load(open(sys.argv[1] + "/index.json"))["manifests"][0]
print("\n".join(read(read(entry["digest"])["config"]["digest"])["rootfs"]["diff_ids"]))
P
}

# published NAME ARGUMENT...: publishes the cache of app:build as NAME, and it holds.
published() {
    name=$1
    shift
    expect 0 "$imgslim" optimize --form tidy --report "$work/report" "docker://$honest/app:build" "docker://$honest/app:slim" \
        --buildkit-cache-to "docker://$honest/$name$1"
    same "$(field "$work/report" '.buildkit_cache.problems | length')" 0
    expect 0 "$imgslim" cache verify "docker://$honest/$name"
}

# --- Docker's builder: inline caches and the index form
honest_registry
start_engine
export DOCKER_BUILDKIT=1

# docker_build LOG DOCKERFILE TAG ARGUMENT...
docker_build() {
    log=$1 file=$2 tag=$3
    shift 3
    "$docker" build --progress=plain --network=host -f "$context/$file" -t "$honest/$tag" "$@" "$context" > "$log" 2>&1 || {
        tail -20 "$log" >&2
        [ "$tag" != app:build ] || skip "builds do not run here"
        fail "the build of $tag failed"
    }
    "$docker" push -q "$honest/$tag" > "$work/push.log" 2>&1 || fail "push: $(cat "$work/push.log")"
}

# Nothing that was built is left in the builder, nor in its images.
forget() {
    "$docker" builder prune -af > "$work/prune.log" 2>&1
    images=$("$docker" images -aq | sort -u)
    # shellcheck disable=SC2086
    [ -z "$images" ] || "$docker" rmi -f $images > "$work/prune.log" 2>&1
}

docker_build "$work/docker-first.log" Dockerfile app:build --build-arg BUILDKIT_INLINE_CACHE=1
cached "$work/docker-first.log" 0
want=$(diff_ids "$honest/app:build")
published cache:docker ,form=index
[ "$(field "$work/report" .transfers.mounted.blobs)" -ge 1 ] || fail "no blob was mounted into the cache's repository"
diff_ids "$honest/app:slim" > "$work/slim"
same "$(field "$work/report" '[.changed, .platforms[0].lost_inline_cache] | map(tostring) | join(" ")')" "true true"
[ "$(cat "$work/slim")" != "$want" ] || fail "the slim image has the layers of its source"

forget
docker_build "$work/docker-again.log" Dockerfile app:again --cache-from "$honest/cache:docker"
cached "$work/docker-again.log" $steps
same "$(diff_ids "$honest/app:again")" "$want"
forget
docker_build "$work/docker-more.log" Dockerfile.more app:more --cache-from "$honest/cache:docker"
cached "$work/docker-more.log" $steps
same "$(diff_ids "$honest/app:more" | sed -n 1,6p)" "$want"
# Without it nothing is, so that the above proves something.
forget
docker_build "$work/docker-none.log" Dockerfile app:none
cached "$work/docker-none.log" 0
[ "$(diff_ids "$honest/app:none")" != "$want" ] || fail "a new build makes the same layers"
say "Docker's builder: $steps of $steps steps CACHED"

[ -n "${IMGSLIM_FULL:-}" ] || exit 0

# --- a current buildkitd: both forms
needs go runc
bin=$(IMGSLIM_TEST_CACHE=$cache_of_tests sh "$support/buildkit.sh" 2> "$work/buildkit.log") || {
    tail -5 "$work/buildkit.log" >&2
    skip "buildkitd cannot be built here"
}
mkdir -p "$work/bk"
cat > "$work/bk/buildkitd.toml" << T
[registry."$honest"]
  http = true
[worker.containerd]
  enabled = false
[worker.oci]
  enabled = true
  snapshotter = "native"
  networkMode = "host"
T
"$bin/buildkitd" --config "$work/bk/buildkitd.toml" --root "$work/bk/root" --addr "unix://$work/bk/sock" \
    > "$work/bk/log" 2>&1 &
registry_pids="$registry_pids $!"
export BUILDKIT_HOST="unix://$work/bk/sock"
tries=0
until "$bin/buildctl" debug workers > "$work/workers" 2>&1; do
    tries=$((tries + 1))
    [ $tries -lt 120 ] || fail "buildkitd does not start: $(tail -3 "$work/bk/log")"
    sleep 0.5
done

# kit_cached LOG STEPS: the same from a log in JSON: the step on which another one is built shows that its layers come
# instead.
kit_cached() {
    names=$(jq -rs '[.[] | .vertexes // [] | .[] | select(.cached) | .name | select(test("^\\[[^]]*[0-9]/[0-9]+\\]"))] | unique | .[]' "$1")
    [ "$(echo "$names" | grep -c .)" = "$2" ] || {
        jq -r '.vertexes // [] | .[] | "\(.cached) \(.completed) \(.name)"' "$1" >&2
        fail "not $2 steps of $1 are CACHED"
    }
    errors=$(jq -rs '[.[] | (.vertexes // [])[].error // empty | select(. != "")] + [.[] | (.warnings // [])[]] | length' "$1")
    same "$errors errors" "0 errors"
}

# kit_build LOG DOCKERFILE TAG ARGUMENT...
kit_build() {
    log=$1 file=$2 tag=$3
    shift 3
    "$bin/buildctl" build --progress=rawjson --frontend dockerfile.v0 --local "context=$context" --local "dockerfile=$context" \
        --opt "filename=$file" --output "type=image,name=$honest/$tag,push=true" "$@" > "$log" 2>&1 || {
        tail -20 "$log" >&2
        fail "the build of $tag failed"
    }
}

sed 's/COPY --from=build/COPY --link --from=build/' "$context/Dockerfile" > "$context/Dockerfile.link"
for variant in Dockerfile Dockerfile.link; do
    # A linked copy is two steps.
    [ $variant = Dockerfile ] || steps=8
    "$bin/buildctl" prune --all > "$work/prune.log" 2>&1
    # BuildKit's own export of the same build is what the conversion must give.
    kit_build "$work/kit-first.log" $variant app:build --export-cache type=inline \
        --export-cache "type=registry,ref=$honest/own:cache,mode=min,image-manifest=true,oci-mediatypes=true"
    want=$(diff_ids "$honest/app:build")
    for form in index manifest; do
        published "cache:kit-$form" ",form=$form"
        for file in $variant $variant.more; do
            [ -f "$context/$file" ] || { cat "$context/$variant"; tail -1 "$context/Dockerfile.more"; } > "$context/$file"
            "$bin/buildctl" prune --all > "$work/prune.log" 2>&1
            kit_build "$work/kit-$form-$file.log" "$file" app:again --import-cache "type=registry,ref=$honest/cache:kit-$form"
            kit_cached "$work/kit-$form-$file.log" $steps
            same "$(diff_ids "$honest/app:again" | sed -n 1,6p)" "$want"
        done
        say "buildkitd, $variant, $form form: $steps of $steps steps CACHED"
    done
    # Byte for byte; but chains, which --link leaves inline, are layers in BuildKit's own.
    [ $variant = Dockerfile ] || continue
    for name in own:cache cache:kit-manifest; do
        "$imgslim" copy -q "docker://$honest/$name" "oci:$work/kit-${name%%:*}" > "$work/copy.log"
    done
    same "$(jq -r '.manifests[0].digest' "$work/kit-cache/index.json")" "$(jq -r '.manifests[0].digest' "$work/kit-own/index.json")"
done
"$bin/buildctl" prune --all > "$work/prune.log" 2>&1
kit_build "$work/kit-none.log" Dockerfile app:none
kit_cached "$work/kit-none.log" 0
