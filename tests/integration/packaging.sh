# What .packaging/build makes of this build: the archive for any distribution, the Debian package, imgslim's own image.
# Two runs give the same bytes, the packages hold to their own libraries, all of them give the digests of the build.
# IMGSLIM_FULL=1: in trees of three Debian releases, the image in runc on the payments image, the CI steps in the images,
# and a build for arm64 under emulation.
. "$(dirname "$0")/common.inc"
. "$support/registry.inc"
needs dpkg-deb git jq mmdebstrap python3 readelf strace
root=$(cd "$(dirname "$0")/../.." && pwd)
build=$(cd "$drivers/.." && pwd)
grep -q '^IMGSLIM_SANITIZE:STRING=$' "$build/CMakeCache.txt" || skip "packages are made of a build without sanitizers"
machine=$(dpkg --print-architecture)
full=${IMGSLIM_FULL:-0}

# make_packages FOLDER ARCHITECTURE...
make_packages() {
    sh "$root/.packaging/build" --build "$build" --cache "$IMGSLIM_TEST_CACHE/packages" "$@" 2> "$1.log" || {
        cat "$1.log" >&2
        ! grep -q "cannot fetch packages" "$1.log" || skip "Debian's packages cannot be fetched"
        fail "no packages"
    }
}
make_packages "$work/again" "$machine" &
second=$!
make_packages "$work/packages" "$machine"
wait "$second" || fail "the second run failed"
diff -r "$work/packages" "$work/again" > "$work/log" || fail "two runs give different bytes: $(head -3 "$work/log")"
rm -rf "$work/again"
version=$("$imgslim" --version | sed 's/.* //')
tgz=$work/packages/imgslim-$version-linux-$machine.tar.gz
deb=$work/packages/imgslim_${version}_$machine.deb
say "$(cd "$work/packages" && du -b ./*.tar.gz ./*.deb | tr '\n\t' '; ')"

image "$work/in" > /dev/null <<'D'
layer gzip
f usr/bin/app elf:1 mode=0755
f big random:300000:1
layer zstd
f big random:300000:2
f usr/share/x random:20000:2
f usr/share/y random:20000:2
D
# digest_of PROGRAM...: of what it makes of that image.
digest_of() {
    rm -rf "$work/out.d"
    expect 0 "$@" optimize -q --digest-file "$work/digest" "oci:$work/in" "oci:$work/out.d"
    cat "$work/digest"
}
expected=$(digest_of "$imgslim")

# The archive: wherever it is unpacked, through links and by PATH, where there is no other file at all.
place="$work/some where/else"
mkdir -p "$place" "$work/links" "$work/by-path"
tar -xzf "$tgz" -C "$place" --strip-components=1
packaged="$place/bin/imgslim"
! readelf --program-headers "$packaged" | grep -q INTERP || fail "the launcher is not static"
same "$(digest_of "$packaged")" "$expected"
ln -s "../some where/else/bin/imgslim" "$work/links/slim"
ln -s "$work/links/slim" "$work/by-path/imgslim"
same "$(digest_of "$work/links/slim")" "$expected"
same "$(digest_of env PATH="$work/by-path:$PATH" imgslim)" "$expected"
for file in man/man1/imgslim.1 man/man5/imgslim-report.5 bash-completion/completions/imgslim doc/imgslim/copyright \
    doc/imgslim/libraries/libc6 doc/imgslim/libraries/libcurl4; do
    [ -s "$place/share/$file" ] || fail "$file is not in the archive"
done
! ls "$place/lib/imgslim" | grep -qE 'libarchive|libxml2|libicu' || fail "libarchive's libraries are in the archive"
(cd "$work/packages" && sh -e -c "$(mkdir -p "$HOME/.local" && sed -n '/^tar -xzf imgslim-/p' "$root/README.md" | sed "s/amd64/$machine/")")
expect 0 "$HOME/.local/bin/imgslim" --version
mv "$place/lib/imgslim/ld.so" "$place/lib/imgslim/elsewhere"
expect 1 "$packaged" --version
says "imgslim: cannot start $place/lib/imgslim/ld.so: No such file or directory"
mv "$place/lib/imgslim/elsewhere" "$place/lib/imgslim/ld.so"
mkdir "$work/a:b"
cp -r "$place/." "$work/a:b"
expect 1 "$work/a:b/bin/imgslim" --version
says "move imgslim elsewhere"
rm -rf "$work/a:b"

if [ "$(id -u)" = 0 ]; then
    mkdir "$work/empty"
    cp -r "$place" "$work/in" "$work/empty"
    expect 0 env -i "$(command -v chroot)" "$work/empty" /else/bin/imgslim optimize --digest-file /digest oci:/in oci:/out
    same "$(cat "$work/empty/digest")" "$expected"
    rm -rf "$work/empty"
fi

# Libraries of the host's are not loaded: neither what the environment names nor modules for names and cryptography.
mkdir "$work/poison"
for name in libcurl.so.4 libc.so.6 libnss_resolve.so.2 preloaded.so; do
    echo poison > "$work/poison/$name"
done
echo 'hosts: mymachines resolve [!UNAVAIL=return] mdns4_minimal myhostname files dns' > "$work/nsswitch.conf"
# With that configuration of names where a mount of this script's own is possible.
set -- strace -f -qq -e trace=execve,open,openat -o "$work/trace" -E LD_PRELOAD="$work/poison/preloaded.so" \
    -E LD_LIBRARY_PATH="$work/poison" "$packaged" copy --timeout 20 docker://registry.invalid/a/b "oci:$work/none"
if [ "$(id -u)" = 0 ] && [ -f /etc/nsswitch.conf ] && unshare --mount true 2> /dev/null; then
    set -- unshare --mount sh -c 'mount --bind "$0" /etc/nsswitch.conf && exec "$@"' "$work/nsswitch.conf" "$@"
fi
expect 6 "$@"
says registry.invalid
grep '\.so' "$work/trace" | grep -v ENOENT | sed 's/.*"\([^"]*\.so[^"]*\)".*/\1/' | sort -u > "$work/opened"
grep -q '/libcurl.so.4$' "$work/opened" || fail "nothing seen of the libraries that are opened"
! grep -vF "$place/lib/imgslim/" "$work/opened" > "$work/foreign" || fail "opened from elsewhere: $(cat "$work/foreign")"
! grep -q 'libnss_\|openssl.cnf' "$work/trace" || fail "modules of the host's are looked for: $(grep 'libnss_\|openssl.cnf' "$work/trace" | head -2)"

# What it starts gets the environment that it got, and starts it again by the launcher.
real_git=$(command -v git)
mkdir "$work/fake"
cat > "$work/fake/git" <<D
#!/bin/sh
env | grep -v '^_=' | LC_ALL=C sort > "$work/environment"
exec "$real_git" "\$@"
D
chmod 755 "$work/fake/git"
git init -q "$work/repository"
for program in "$imgslim" "$packaged"; do
    rm -f "$work/repository/.git/hooks/pre-push"
    (cd "$work/repository" && expect 0 env -i HOME="$work" PATH="$work/fake:$PATH" LD_LIBRARY_PATH=/none "$program" hook install)
    mv "$work/environment" "$work/environment.$(basename "$(dirname "$program")")"
done
diff "$work/environment.src" "$work/environment.bin" >&2 || fail "its children get another environment"
grep -qF "$packaged" "$work/repository/.git/hooks/pre-push" || fail "the hook does not start the launcher"
(cd "$work/repository" && expect 0 .git/hooks/pre-push origin url < /dev/null)

# The Debian package: the same, for any release, with nothing else needed.
same "$(dpkg-deb --field "$deb" Package)" imgslim
same "$(dpkg-deb --field "$deb" Architecture)" "$machine"
same "$(dpkg-deb --field "$deb" Depends)" ""
dpkg-deb --extract "$deb" "$work/deb"
(cd "$work/deb" && dpkg-deb --control "$deb" "$work/control" && md5sum --quiet -c "$work/control/md5sums") || fail "md5sums"
same "$(digest_of "$work/deb/usr/bin/imgslim")" "$expected"
diff -r "$work/deb/usr" "$place" > "$work/log" || fail "package and archive differ: $(head -3 "$work/log")"

# The image: small, proven, without a shell; the other one has it.
own=$work/packages/image
# manifest REF: of this machine's platform.
manifest() {
    listed=$(jq -r --arg ref "$1" '.manifests[] | select(.annotations["org.opencontainers.image.ref.name"] == $ref) | .digest' "$own/index.json")
    one=$(jq -r --arg machine "$machine" '.manifests[] | select(.platform.architecture == $machine) | .digest' "$own/blobs/sha256/${listed#sha256:}")
    echo "$own/blobs/sha256/${one#sha256:}"
}
for ref in "$version" "$version-ci"; do
    size=$(jq '[.layers[].size, .config.size] | add' "$(manifest "$ref")")
    say "image $ref, $machine: $size bytes compressed"
    [ "$size" -le 20000000 ] || fail "the image $ref has $size bytes"
    same "$(jq -r '.annotations["org.opencontainers.image.version"]' "$(manifest "$ref")")" "$version"
    same "$(jq -r '.annotations["org.opencontainers.image.licenses"]' "$(manifest "$ref")")" Apache-2.0
done
python3 "$support/list_image.py" --platform "linux/$machine" "$own:$version" > "$work/listing"
! grep -qE 'bin/(sh|bash|dash|busybox|perl)\b' "$work/listing" || fail "a shell is in the image"
grep -q 'ca-certificates.crt' "$work/listing" || fail "no certificates are in the image"
if [ "$(id -u)" = 0 ]; then
    # As the image's own user, who has no home, and no other folder to write than the one that is mounted.
    python3 "$support/unpack.py" "$own:$version" "$work/bundle" > /dev/null
    rootfs=$work/bundle/rootfs
    grep -q '^imgslim:x:65532:' "$rootfs/etc/passwd" || fail "no ordinary user in the image"
    cp -r "$work/in" "$rootfs/work/in"
    chown 65532:65532 "$rootfs/work"
    for home in / /nonexistent; do
        expect 0 env -i HOME=$home "$(command -v chroot)" --userspec=65532:65532 "$rootfs" /usr/bin/imgslim optimize --digest-file /work/digest oci:/work/in oci:/work/out
        same "$(cat "$rootfs/work/digest")" "$expected"
        rm -rf "$rootfs/work/out"
    done
fi
[ "$full" = 1 ] || exit 0

# Three Debian releases, older and newer than the one that this was built on.
[ "$(id -u)" = 0 ] || skip "trees of other releases are entered as root"
mkdir -p "$IMGSLIM_TEST_CACHE/packages"
for suite in bullseye bookworm trixie; do
    tree=$IMGSLIM_TEST_CACHE/packages/tree-$suite.tar
    [ -f "$tree" ] || {
        mmdebstrap --quiet --variant=essential --format=tar "$suite" "$tree.part" < /dev/null > "$work/log" 2>&1 || {
            tail -5 "$work/log" >&2
            skip "no tree of $suite can be made"
        }
        mv "$tree.part" "$tree"
    }
    place=$work/$suite
    mkdir "$place"
    tar -xf "$tree" -C "$place" --exclude=./dev/*
    cp "$deb" "$place/imgslim.deb"
    mkdir "$place/opt/imgslim" "$place/work"
    tar -xzf "$tgz" -C "$place/opt/imgslim" --strip-components=1
    cp -r "$work/in" "$place/work/in"
    chown 65534:65534 "$place/work"
    chroot "$place" dpkg --install /imgslim.deb > "$work/log" 2>&1 || fail "$suite: $(tail -2 "$work/log")"
    for program in imgslim /opt/imgslim/bin/imgslim; do
        expect 0 env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin chroot --userspec=65534:65534 "$place" "$program" \
            optimize --digest-file /work/digest oci:/work/in oci:/work/out
        same "$(cat "$place/work/digest")" "$expected"
        rm -rf "$place/work/out"
    done
    chroot "$place" dpkg --purge imgslim > "$work/log" 2>&1 || fail "$suite: $(tail -2 "$work/log")"
    [ ! -e "$place/usr/lib/imgslim" ] || fail "$suite: the package leaves something"
    say "$suite: $(sed -n 's/^PRETTY_NAME=//p' "$place/etc/os-release"): package and archive work"
    rm -rf "$place"
done

# The image on the payments image, in runc, as its ordinary user.
needs runc
real_image payments
mkdir "$work/result"
chown 65532:65532 "$work/result"
rm -rf "$work/bundle"
python3 "$support/unpack.py" "$own:$version" "$work/bundle" > /dev/null
jq --arg in "$layout" --arg out "$work/result" '
    .process.args = ["/usr/bin/imgslim", "optimize", "--digest-file", "/work/out/digest", "oci:/work/in", "oci:/work/out/slim"]
    | .mounts += [{destination: "/work/in", type: "bind", source: $in, options: ["bind", "ro"]},
                  {destination: "/work/out", type: "bind", source: $out, options: ["bind", "rw"]}]' \
    "$work/bundle/config.json" > "$work/config.json"
mv "$work/config.json" "$work/bundle/config.json"
same "$(jq -r .process.user.uid "$work/bundle/config.json")" 65532
mkdir -p "$work/bundle/rootfs/work/in" "$work/bundle/rootfs/work/out"
expect 0 runc --root "$work/state" run --bundle "$work/bundle" "imgslim-packaging-$$" < /dev/null
payments=$(cat "$work/result/digest")
expect 0 "$imgslim" optimize -q --digest-file "$work/digest" "oci:$layout" "oci:$work/slim"
same "$payments" "$(cat "$work/digest")"
say "payments in runc as user 65532: $payments"
rm -rf "$work/slim" "$work/result"

# The CI steps: the template's in the image with a shell, the action's with Docker.
python3 "$support/unpack.py" "$own:$version-ci" "$work/job" > /dev/null
rootfs=$work/job/rootfs
mkdir "$rootfs/work/ci"
cp -r "$work/in" "$rootfs/work/build"
printf 'images:\n- name: app\n' > "$rootfs/work/k.yaml"
chown -R 65532:65532 "$rootfs/work"
cat > "$work/job-shell" <<D
#!/bin/sh
exec /usr/bin/unshare --mount /bin/sh -c 'mount --bind /dev "$rootfs/dev" && exec "$(command -v chroot)" --userspec=65532:65532 \
    "$rootfs" /bin/sh -c "cd /work && exec /bin/sh \\"\\\$@\\"" sh "\$@"' sh "\$@"
D
chmod 755 "$work/job-shell"
set -- IMGSLIM_SOURCE=oci:build IMGSLIM_DESTINATION=oci:slim IMGSLIM_BASELINE=oci:build IMGSLIM_TOKEN=secret \
    CI_MERGE_REQUEST_IID=5 IMGSLIM_COMMENT_THRESHOLD=0 IMGSLIM_KUSTOMIZATION=k.yaml IMGSLIM_KUSTOMIZE_IMAGE=app
for request in POST PUT; do
    expect 0 env PATH=/usr/bin:/bin CI_STEPS_SHELL="$work/job-shell" \
        python3 "$support/ci_steps.py" gitlab "$root/.gitlab/imgslim.gitlab-ci.yml" "$rootfs/work/ci" "$@"
    tail -1 "$rootfs/work/ci/requests" | grep -q "^$request" || fail "the job in imgslim's image makes no note"
done
grep -q "$expected" "$rootfs/work/imgslim.env" || fail "the job in imgslim's image has no outputs"
grep -q "digest: $expected" "$rootfs/work/k.yaml" || fail "the job in imgslim's image writes no kustomization"
say "the GitLab template works in imgslim's image"
. "$support/engine.inc"
needs docker dockerd skopeo
# A container in this machine's network leaves that mounted.
trap 'for pid in $registry_pids; do kill "$pid" 2> /dev/null || true; wait "$pid" 2> /dev/null || true; done
    umount "$work/engine/exec/netns/default" 2> /dev/null || true; rm -rf "$work"' EXIT
start_engine
expect 0 skopeo --insecure-policy copy -q --dest-daemon-host "$DOCKER_HOST" "oci:$own:$version" docker-daemon:team/imgslim:1
cd "$work"
mkdir steps
cp -r in build
expect 0 python3 "$support/ci_steps.py" github "$root/.github/actions/imgslim/action.yml" "$work/steps" image=team/imgslim:1 \
    imgslim=none source=oci:build destination=oci:slim
grep -q "^digest=$expected$" steps/output || fail "the action has another digest"
image "$work/plain" > /dev/null <<'D'
layer gzip
f app random:100000:1
f keep random:1000:2
layer gzip
w app
D
expect 0 "$imgslim" copy oci:plain docker-daemon:team/app:1
expect 0 python3 "$support/ci_steps.py" github "$root/.github/actions/imgslim/action.yml" "$work/steps" image=team/imgslim:1 \
    imgslim=none source=docker-daemon:team/app:1 destination=docker-daemon:team/app:slim form=lossless
say "the GitHub action works with imgslim's image"

# Built for arm64, and started under emulation: the launcher, and the same digests.
[ "$machine" = amd64 ] || exit 0
needs aarch64-linux-gnu-g++ qemu-aarch64-static
make_packages "$work/both" amd64 arm64
for file in "$work"/packages/*.tar.gz "$work"/packages/*.deb; do
    cmp "$file" "$work/both/$(basename "$file")" || fail "$(basename "$file") is another one beside arm64's"
done
listed=$(jq -r --arg ref "$version" '.manifests[] | select(.annotations["org.opencontainers.image.ref.name"] == $ref) | .digest' "$work/both/image/index.json")
same "$(jq -c '[.manifests[].platform.architecture]' "$work/both/image/blobs/sha256/${listed#sha256:}")" '["amd64","arm64"]'
size=$(jq -r '.manifests[1].digest' "$work/both/image/blobs/sha256/${listed#sha256:}")
size=$(jq '[.layers[].size, .config.size] | add' "$work/both/image/blobs/sha256/${size#sha256:}")
say "image $version, arm64: $size bytes compressed"
[ "$size" -le 20000000 ] || fail "the image for arm64 has $size bytes"
mkdir "$work/arm64"
tar -xzf "$work/both/imgslim-$version-linux-arm64.tar.gz" -C "$work/arm64" --strip-components=1
libraries=$work/arm64/lib/imgslim
# Its last act is to start the loader, which only a kernel that knows this machine can.
qemu-aarch64-static -strace "$work/arm64/bin/imgslim" --version > "$work/trace" 2>&1 || true
grep -qF "execve(\"$libraries/ld.so\",{\"$libraries/ld.so\",\"--inhibit-cache\",\"--library-path\",\"$libraries\",\"--argv0\",\"$work/arm64/bin/imgslim\",\"$libraries/imgslim\",\"--version\"" "$work/trace" ||
    fail "the launcher for arm64 does not start the loader: $(tail -3 "$work/trace")"
cat > "$work/emulated" <<D
#!/bin/sh
exec qemu-aarch64-static "$libraries/ld.so" --inhibit-cache --library-path "$libraries" --argv0 imgslim "$libraries/imgslim" "\$@"
D
chmod 755 "$work/emulated"
same "$(digest_of "$work/emulated")" "$expected"
for name in service-static service-pie service-tini; do
    real_image "$name"
    for program in "$imgslim" "$work/emulated"; do
        rm -rf "$work/out.d"
        expect 0 timeout -k 5 1200 "$program" optimize -q --digest-file "$work/digest.$(basename "$program")" "oci:$layout" "oci:$work/out.d"
    done
    same "$(cat "$work/digest.emulated")" "$(cat "$work/digest.imgslim")"
    say "$name: arm64 under emulation makes $(cat "$work/digest.emulated") too"
done
