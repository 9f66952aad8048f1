# What refers to an image goes with it: the certificate to a registry without the referrers API (by the tag instead of
# it), to one that has it and gives one entry a page, between registries, and back into a layout.
. "$(dirname "$0")/common.inc"
. "$support/registry.inc"
needs docker-registry curl python3 jq

image "$work/image" > /dev/null << 'D'
config '{"config": {"Entrypoint": ["/app"]}}'
layer gzip
f app elf:1 mode=0755
f left random:30000:1
D
# Two documents of others that refer to the result, after it is known.
expect 0 "$imgslim" optimize --report "$work/report" "oci:$work/image" "oci:$work/slim"
digest=$(field "$work/report" .result.digest)
python3 - "$work/slim" "$digest" << 'P'
import hashlib, json, os, sys

layout, subject = sys.argv[1:]


def put(data):
    digest = hashlib.sha256(data).hexdigest()
    with open(f"{layout}/blobs/sha256/{digest}", "wb") as file:
        file.write(data)
    return {"digest": "sha256:" + digest, "size": len(data)}


kind = "application/vnd.oci.image.manifest.v1+json"
with open(layout + "/index.json") as file:
    index = json.load(file)
size = os.path.getsize(f"{layout}/blobs/sha256/{subject[7:]}")
for number in range(2):
    manifest = {
        "schemaVersion": 2, "mediaType": kind, "artifactType": f"application/vnd.example.note{number}",
        "config": {"mediaType": "application/vnd.oci.empty.v1+json", **put(b"{}")},
        "layers": [{"mediaType": "text/plain", **put(b"note %d" % number)}],
        "subject": {"mediaType": kind, "digest": subject, "size": size},
    }
    index["manifests"].append({"mediaType": kind, "artifactType": manifest["artifactType"],
                               **put(json.dumps(manifest).encode())})
with open(layout + "/index.json", "w") as file:
    json.dump(index, file)
P

# types LAYOUT: of all that refers to something in it.
types() {
    for blob in "$1"/blobs/sha256/*; do
        jq -r 'select(type == "object") | select(.subject) | .artifactType' "$blob" 2> /dev/null || true
    done | sort
}
referring=$(types "$work/slim")
same "$(echo "$referring" | wc -l)" 3

honest_registry
fault_registry referrers-api "$work/state"
# layout, tag, API with pages, tag, layout
expect 0 "$imgslim" copy --referrers "oci:$work/slim" "docker://$honest/a/b:v1"
expect 0 "$imgslim" copy --referrers "docker://$honest/a/b:v1" "docker://$faulty/r:v1"
expect 0 "$imgslim" copy --referrers "docker://$faulty/r:v1" "docker://$honest/c:v1"
grep -q "GET .*/referrers/.*page=2 200" "$work/state/log" || fail "the pages were not followed: $(grep referrers "$work/state/log")"
expect 0 "$imgslim" copy --referrers "docker://$honest/c:v1" "oci:$work/back"
same "$(types "$work/back")" "$referring"
# Without it the image goes alone.
expect 0 "$imgslim" copy "docker://$honest/c:v1" "oci:$work/alone"
same "$(types "$work/alone")" ""
for place in "docker://$honest/a/b:v1" "docker://$faulty/r:v1" "docker://$honest/c:v1" "oci:$work/back"; do
    "$imgslim" verify --format json "$place" > "$work/verified" 2> "$work/err" || true
    same "$(field "$work/verified" '.proof | startswith("sha256:")')" true
done
# The tag of the honest registries lists each once, also after a second copy.
expect 0 "$imgslim" copy --referrers "docker://$faulty/r:v1" "docker://$honest/c:v1"
tag=$(echo "$digest" | tr : -)
same "$(curl -s "http://$honest/v2/c/manifests/$tag" -H 'Accept: application/vnd.oci.image.index.v1+json' |
    jq '.manifests | length')" 3
say "three referrers over tag, pages and tag"
