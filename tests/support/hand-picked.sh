#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# hand-picked.sh LAYOUT RESULT [TREE]: makes of an image what payments.keep picks: an OCI layout RESULT with one layer,
# by GNU tar and zlib at imgslim's level, with the image's own config. Prints RESULT and the layer's compressed bytes.
# TREE: where the image is unpacked already. IMGSLIM_UNPACK=pure unpacks without umoci. As root, for the owners.
set -eu

support=$(cd "$(dirname "$0")" && pwd)
[ $# = 2 ] || [ $# = 3 ] || {
    echo "usage: hand-picked.sh LAYOUT RESULT [TREE]" >&2
    exit 2
}
work=$(mktemp -d "${TMPDIR:-/tmp}/imgslim-hand.XXXXXX")
trap 'rm -rf "$work"' EXIT
trap 'exit 130' INT
trap 'exit 143' TERM HUP
tree=${3:-$work/bundle/rootfs}
[ $# = 3 ] || python3 "$support/unpack.py" "$1" "$work/bundle" ${IMGSLIM_UNPACK:+"--$IMGSLIM_UNPACK"} > "$work/kind"

# The paths, and in $work/records what dpkg knows of their packages.
python3 - "$support/payments.keep" "$tree" "$work" << 'END'
import glob, os, re, sys

keep, tree, work = sys.argv[1:]
documentation = ("/usr/share/doc/", "/usr/share/man/", "/usr/share/info/", "/usr/share/locale/")


def braces(text):
    found = re.search(r"\{([^}]*)\}", text)
    if not found:
        return [text]
    return [b for word in found[1].split(",") for b in braces(text[:found.start()] + word + text[found.end():])]


def real(path):
    """The path with its folder's links resolved within the tree: dpkg says /bin/sh, it is /usr/bin/sh."""
    return re.sub(r"^/(bin|sbin|lib|lib64)/", r"/usr/\1/", path)


def inside(path):
    """The path in the tree; of a link that leads out of it by an absolute target, what it leads to there."""
    while os.path.islink(tree + path) and os.readlink(tree + path).startswith("/"):
        path = os.readlink(tree + path)
    return tree + path


picked = set()
for line in open(keep, encoding="utf-8"):
    pattern = line.partition("#")[0].strip()
    for word in braces(pattern) if pattern else []:
        found = glob.glob(glob.escape(tree) + word.rstrip("/"))
        if not found:
            sys.exit(f"hand-picked.sh: nothing matches {word}")
        for path in found:
            picked.add(os.path.normpath(path))
            if word.endswith("/"):
                picked.update(os.path.join(f, n) for f, folders, files in os.walk(path) for n in folders + files)
picked = {path[len(tree):] for path in picked}

info = tree + "/var/lib/dpkg/info/"
with open(tree + "/var/lib/dpkg/status", encoding="utf-8") as status:
    stanzas = status.read().strip().split("\n\n")
for stanza in stanzas:
    fields = dict(re.findall(r"^(Package|Architecture): (.*)$", stanza, re.M))
    name = fields["Package"]
    stem = next((s for s in (name, name + ":" + fields["Architecture"]) if os.path.exists(info + s + ".list")), None)
    if stem is None:
        continue
    owned = [real(path) for path in open(info + stem + ".list", encoding="utf-8").read().splitlines()]
    # Folders, and the links of the merged /usr, which lead to folders, say nothing.
    if not any(p in picked and not p.startswith(documentation) and not os.path.isdir(inside(p)) for p in owned):
        continue
    folder = f"/usr/share/doc/{name}"
    while os.path.islink(tree + folder):
        picked.add(folder)
        folder = os.path.normpath(os.path.join(os.path.dirname(folder), os.readlink(tree + folder)))
    for path in (folder, folder + "/copyright"):
        if os.path.lexists(tree + path):
            picked.add(path)
    records = work + "/records/var/lib/dpkg/status.d/"
    os.makedirs(records, exist_ok=True)
    with open(records + name, "w", encoding="utf-8") as out:
        out.write(re.sub(r"^Status: .*\n", "", stanza, flags=re.M) + "\n")
    if os.path.exists(info + stem + ".md5sums"):
        lines = open(info + stem + ".md5sums", encoding="utf-8").read().splitlines()
        with open(records + name + ".md5sums", "w", encoding="utf-8") as out:
            out.writelines(l + "\n" for l in lines if real("/" + l.split("  ", 1)[1]) in picked)

for path in [*picked, "/var/lib/dpkg/status.d"]:
    while path not in ("", "/"):
        path = os.path.dirname(path)
        if os.path.lexists(tree + path):
            picked.add(path)
with open(work + "/paths", "wb") as out:
    for path in sorted(p for p in picked if p.strip("/")):
        out.write(b"." + os.fsencode(path) + b"\0")
END

options="--format=gnu --numeric-owner --no-recursion --null"
# shellcheck disable=SC2086
tar -C "$tree" $options -cf "$work/layer.tar" -T "$work/paths"
# shellcheck disable=SC2086
(cd "$work/records" && find . -path './var/lib/dpkg/status.d*' -print0 | LC_ALL=C sort -z) |
    tar -C "$work/records" $options --owner=0 --group=0 --mtime=@0 --mode=u=rwX,go=rX -rf "$work/layer.tar" -T -

python3 - "$support" "$1" "$2" "$work/layer.tar" << 'END'
import hashlib, json, os, sys, zlib

support, source, result, layer = sys.argv[1:]
sys.path.insert(0, support)
sys.dont_write_bytecode = True
from unpack import find_manifest, read_json

blobs = os.path.join(result, "blobs/sha256")
os.makedirs(blobs)


def store(data, media_type):
    digest = hashlib.sha256(data).hexdigest()
    with open(os.path.join(blobs, digest), "wb") as out:
        out.write(data)
    return {"mediaType": media_type, "digest": "sha256:" + digest, "size": len(data)}


def as_json(value):
    return json.dumps(value, separators=(",", ":")).encode()


oci = "application/vnd.oci.image."
plain = open(layer, "rb").read()
deflate = zlib.compressobj(6, zlib.DEFLATED, 31)
packed = store(deflate.compress(plain) + deflate.flush(), oci + "layer.v1.tar+gzip")
config = read_json(source, read_json(source, find_manifest(source, "latest")[0])["config"])
config["rootfs"]["diff_ids"] = ["sha256:" + hashlib.sha256(plain).hexdigest()]
config["history"] = [{"created": config["created"], "created_by": "payments.keep"}]
manifest = {
    "schemaVersion": 2,
    "mediaType": oci + "manifest.v1+json",
    "config": store(as_json(config), oci + "config.v1+json"),
    "layers": [packed],
}
entry = store(as_json(manifest), oci + "manifest.v1+json")
entry["annotations"] = {"org.opencontainers.image.ref.name": "latest"}
for name, value in (("index.json", {"schemaVersion": 2, "manifests": [entry]}), ("oci-layout", {"imageLayoutVersion": "1.0.0"})):
    with open(os.path.join(result, name), "wb") as out:
        out.write(as_json(value))
print(result, packed["size"])
END
