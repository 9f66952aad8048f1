# Debian's docker-registry: what goes there comes back with its digest, what is there is not sent again, results go into
# the repository and even the tag they come from, and other clients read what was pushed.
. "$(dirname "$0")/common.inc"
. "$support/registry.inc"
needs docker-registry python3 curl
honest_registry

image "$work/one" > /dev/null <<'D'
layer gzip
f app elf:1 mode=0755
layer gzip
f x random:3000000:1
layer gzip
w x
f y random:20000:2
D
image "$work/two" > /dev/null <<'D'
platform linux/amd64
layer gzip
f app elf:1 mode=0755
f data random:500000:3
attest
platform linux/arm64
layer zstd
f app elf:2 mode=0755
f data random:500000:3
D
digest_in() { field "$1/index.json" '.manifests[0].digest'; }
transfer() { field "$work/out" ".transfers.$1.$2"; }
listed() { curl -sf -H 'Accept: application/vnd.oci.image.manifest.v1+json, application/vnd.oci.image.index.v1+json' \
    -o "$work/listed" -D "$work/headers" "http://$honest/v2/$1/manifests/$2" && echo "sha256:$(sha256sum < "$work/listed" | cut -d ' ' -f 1)"; }

# There and back.
for name in one two; do
    expect 0 "$imgslim" copy --format json "oci:$work/$name" "docker://$honest/team/$name:v1"
    same "$(field "$work/out" .result.digest)" "$(digest_in "$work/$name")"
    same "$(listed "team/$name" v1)" "$(digest_in "$work/$name")"
    expect 0 "$imgslim" copy "docker://$honest/team/$name:v1" "oci:$work/back-$name"
    same "$(digest_in "$work/back-$name")" "$(digest_in "$work/$name")"
    same "$(cd "$work/back-$name/blobs/sha256" && sha256sum * | awk '$1 != $2' | wc -l)" 0
    expect 0 "$imgslim" copy "docker://$honest/team/$name@$(digest_in "$work/$name")" "oci-archive:$work/$name.tar"
    expect 0 "$imgslim" copy "oci-archive:$work/$name.tar" "oci:$work/again-$name"
    same "$(digest_in "$work/again-$name")" "$(digest_in "$work/$name")"
done
# A second time nothing moves; to another repository everything is mounted.
expect 0 "$imgslim" copy --format json "oci:$work/one" "docker://$honest/team/one:v1"
same "$(transfer pushed bytes)" 0
same "$(transfer skipped blobs)" 5
expect 0 "$imgslim" copy --format json "docker://$honest/team/one:v1" "docker://$honest/team/other:v1"
same "$(transfer mounted blobs)" 4
# One platform of an index.
expect 0 "$imgslim" copy --platform linux/arm64 "docker://$honest/team/two:v1" "oci:$work/arm"
same "$(field "$work/arm/blobs/sha256/$(digest_in "$work/arm" | cut -d : -f 2)" '[.manifests[].platform.architecture] | join(" ")')" arm64

# optimize: from and to the registry, another tag, the same tag.
expect 0 "$imgslim" optimize --form lossless --report "$work/report" "docker://$honest/team/one:v1" "oci:$work/slim"
same "$(field "$work/report" .changed)" true
same "$(field "$work/report" .transfers.pulled.blobs)" 5
expect 0 "$imgslim" optimize --form lossless --report "$work/report" "oci:$work/one" "docker://$honest/team/one:slim"
same "$(field "$work/report" .result.digest)" "$(digest_in "$work/slim")"
expect 0 "$imgslim" optimize --form lossless --report "$work/report" "docker://$honest/team/one:v1" "docker://$honest/team/one:v1"
same "$(listed team/one v1)" "$(digest_in "$work/slim")"
# Its own result: nothing moves up, the tag stays.
expect 0 "$imgslim" optimize --form lossless --report "$work/report" "docker://$honest/team/one:v1" "docker://$honest/team/one:v1"
same "$(field "$work/report" .changed)" false
same "$(field "$work/report" .transfers.pushed.bytes)" 0
same "$(listed team/one v1)" "$(digest_in "$work/slim")"
# The other commands read from there too (this program is none that could start).
expect 7 "$imgslim" verify "docker://$honest/team/one:v1"
grep -q 'made for another machine' "$work/out" || fail "verify did not read the program"

# What has no tag is not there, and says so in one line.
expect 6 "$imgslim" copy "docker://$honest/team/one:none" "oci:$work/none"
says "docker://$honest/team/one:none: the registry has no image of that name"
expect 6 "$imgslim" copy "docker://$honest/team/nowhere:v1" "oci:$work/none"
expect 2 "$imgslim" copy "oci:$work/one" "docker://$honest/team/one@$(digest_in "$work/one")"
[ ! -e "$work/none" ] || fail "a pull that failed left something"
[ -z "$(find "$XDG_CACHE_HOME/imgslim" -maxdepth 1 -type f)" ] || fail "something was left in the cache"

if command -v skopeo > /dev/null; then
    for tag in v1 slim; do
        skopeo --insecure-policy copy -q --src-tls-verify=false "docker://$honest/team/one:$tag" "oci:$work/skopeo-$tag:x"
        same "$(digest_in "$work/skopeo-$tag")" "$(digest_in "$work/slim")"
    done
    skopeo --insecure-policy copy -q --all --dest-tls-verify=false "oci:$work/two" "docker://$honest/theirs/two:v1"
    expect 0 "$imgslim" copy "docker://$honest/theirs/two:v1" "oci:$work/theirs"
    same "$(digest_in "$work/theirs")" "$(digest_in "$work/two")"
else
    say "no skopeo here: not asked"
fi

# A mirror that hosts.toml names is read first and never written; a dead one is passed over.
mirrored=$honest
honest_registry "$work/second"
mkdir -p "$XDG_CONFIG_HOME/containers/certs.d/$honest"
printf 'server = "http://%s"\n[host."http://127.0.0.1:1"]\n[host."http://%s"]\ncapabilities = ["pull", "resolve"]\n' \
    "$honest" "$mirrored" > "$XDG_CONFIG_HOME/containers/certs.d/$honest/hosts.toml"
expect 0 "$imgslim" copy "docker://$honest/team/one:slim" "oci:$work/by-mirror"
same "$(digest_in "$work/by-mirror")" "$(digest_in "$work/slim")"
expect 0 "$imgslim" copy "oci:$work/two" "docker://$honest/team/pushed:v1"
curl -sf -o "$work/tags" "http://$mirrored/v2/team/pushed/tags/list" && fail "a mirror was written to"
[ "$(listed team/pushed v1)" = "$(digest_in "$work/two")" ] || fail "the push did not reach the registry"
