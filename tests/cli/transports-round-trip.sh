# Layout, oci-archive, docker-archive (plain, gzipped), stdin and stdout: the same image comes out.
. "$(dirname "$0")/common.inc"

image "$work/a" > /dev/null <<'D'
layer gzip
f app elf:1 mode=0755
f x random:50000:1
layer gzip
w x
f y random:20000:2
D
cd "$work"
expect 0 "$imgslim" optimize oci:a oci:b
want=$(listing b)
expect 0 "$imgslim" optimize oci:a oci-archive:b.tar:v1
expect 0 "$imgslim" optimize oci-archive:b.tar:v1 oci:c
same "$want" "$(listing c)"
expect 0 "$imgslim" optimize oci:a docker-archive:d.tar:app:v1
expect 0 "$imgslim" optimize docker-archive:d.tar oci:d
same "$want" "$(listing d)"
gzip -k d.tar
expect 0 "$imgslim" optimize docker-archive:d.tar.gz oci:e
same "$want" "$(listing e)"
expect 0 "$imgslim" optimize d.tar oci:f
same "$want" "$(listing f)"
"$imgslim" optimize -q docker-archive:- docker-archive:- < d.tar > g.tar 2> err || fail "$(cat err)"
expect 0 "$imgslim" optimize docker-archive:g.tar oci:g
same "$want" "$(listing g)"
[ -z "$(find "$XDG_CACHE_HOME/imgslim" -maxdepth 1 -type f)" ] || fail "the spool was left behind"

# What docker save wrote before Docker 25 holds no manifest. A layout gets one in OCI's media types, also when nothing
# else changes; a docker-archive keeps Docker's.
manifest_of() {
    digest=$(field "$1/index.json" '.manifests[0].digest')
    echo "$1/blobs/sha256/${digest#sha256:}"
}
types_of() {
    field "$(manifest_of "$1")" '[.mediaType, .config.mediaType, .layers[].mediaType] | unique | join(" ")'
}
mkdir old
python3 "$support/list_image.py" --config d > old/config.json
layers=
for digest in $(field "$(manifest_of d)" '.layers[].digest'); do
    gzip -dc "d/blobs/sha256/${digest#sha256:}" > "old/${digest#sha256:}.tar"
    layers="$layers,\"${digest#sha256:}.tar\""
done
echo "[{\"Config\":\"config.json\",\"RepoTags\":[\"app:v1\"],\"Layers\":[${layers#,}]}]" > old/manifest.json
tar -C old -cf old.tar .
expect 0 "$imgslim" optimize --report r docker-archive:old.tar oci:h
same "$(field r .changed)" false
same "$want" "$(listing h)"
oci=application/vnd.oci.image
same "$(types_of h)" "$oci.config.v1+json $oci.layer.v1.tar $oci.manifest.v1+json"
same "$(field "$(manifest_of h)" .config.digest)" "sha256:$(sha256sum < old/config.json | cut -d ' ' -f 1)"
same "$(field r .result.digest)" "$(field h/index.json '.manifests[0].digest')"
expect 0 "$imgslim" optimize docker-archive:old.tar docker-archive:i.tar
mkdir i
tar -C i -xf i.tar
docker=application/vnd.docker
same "$(types_of i)" "$docker.container.image.v1+json $docker.distribution.manifest.v2+json $docker.image.rootfs.diff.tar"
