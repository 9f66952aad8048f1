#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""layout.py LAYOUT REF VERSION REVISION ARCHITECTURE=TREE...: adds to an OCI layout imgslim's own image, before it is
made small: an index of one image for each architecture, whose one layer, not compressed, is TREE. What is said of the
image is here. Times are SOURCE_DATE_EPOCH; the same trees give the same bytes."""

import datetime
import hashlib
import json
import os
import sys
import tarfile

MANIFEST = "application/vnd.oci.image.manifest.v1+json"
INDEX = "application/vnd.oci.image.index.v1+json"
CONFIG = "application/vnd.oci.image.config.v1+json"
LAYER = "application/vnd.oci.image.layer.v1.tar"


class Layout:
    def __init__(self, path):
        self.path = path
        os.makedirs(os.path.join(path, "blobs/sha256"), exist_ok=True)

    def name_blob(self, path, media_type):
        """The file becomes a blob; its descriptor."""
        digest = hashlib.sha256()
        with open(path, "rb") as file:
            while chunk := file.read(1 << 20):
                digest.update(chunk)
        size = os.path.getsize(path)
        os.rename(path, os.path.join(self.path, "blobs/sha256", digest.hexdigest()))
        return {"mediaType": media_type, "digest": "sha256:" + digest.hexdigest(), "size": size}

    def add(self, document, media_type):
        path = os.path.join(self.path, "document.part")
        with open(path, "w", encoding="utf-8") as file:
            json.dump(document, file, indent=1)
        return self.name_blob(path, media_type)

    def add_tree(self, tree, epoch):
        path = os.path.join(self.path, "layer.part")

        def settled(entry):
            entry.uid = entry.gid = 0
            entry.uname = entry.gname = ""
            entry.mtime = min(int(entry.mtime), epoch)
            return entry

        with tarfile.open(path, "w", format=tarfile.PAX_FORMAT) as tar:
            for folder, folders, files in os.walk(tree):
                folders.sort()
                # Links to folders are among the folders.
                for name in sorted(folders + files):
                    inside = os.path.join(folder, name)
                    entry = settled(tar.gettarinfo(inside, os.path.relpath(inside, tree)))
                    if entry.isreg():
                        with open(inside, "rb") as file:
                            tar.addfile(entry, file)
                    else:
                        tar.addfile(entry)
        return self.name_blob(path, LAYER)

    def set_ref(self, ref, descriptor):
        path = os.path.join(self.path, "index.json")
        index = {"schemaVersion": 2, "mediaType": INDEX, "manifests": []}
        if os.path.exists(path):
            with open(path, encoding="utf-8") as file:
                index = json.load(file)
        index["manifests"].append({**descriptor, "annotations": {"org.opencontainers.image.ref.name": ref}})
        with open(path, "w", encoding="utf-8") as file:
            json.dump(index, file, indent=1)
        with open(os.path.join(self.path, "oci-layout"), "w", encoding="utf-8") as file:
            file.write('{"imageLayoutVersion":"1.0.0"}')


def main():
    path, ref, version, revision = sys.argv[1:5]
    epoch = int(os.environ["SOURCE_DATE_EPOCH"])
    created = datetime.datetime.fromtimestamp(epoch, datetime.timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")
    labels = {
        "org.opencontainers.image.created": created,
        "org.opencontainers.image.description": "Makes container images small, and proves that they still start",
        "org.opencontainers.image.licenses": "Apache-2.0",
        "org.opencontainers.image.revision": revision,
        "org.opencontainers.image.title": "imgslim",
        "org.opencontainers.image.version": version,
    }
    labels = {name: text for name, text in labels.items() if text}
    layout = Layout(path)
    manifests = []
    for word in sys.argv[5:]:
        architecture, tree = word.split("=", 1)
        layer = layout.add_tree(tree, epoch)
        config = {
            "created": created,
            "architecture": architecture,
            "os": "linux",
            "config": {
                "User": "65532:65532",
                "Env": ["PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"],
                "Entrypoint": ["/usr/bin/imgslim"],
                "Cmd": ["--help"],
                "WorkingDir": "/work",
                "Labels": labels,
            },
            "rootfs": {"type": "layers", "diff_ids": [layer["digest"]]},
            "history": [{"created": created, "created_by": ".packaging/build", "comment": "imgslim " + version}],
        }
        manifest = layout.add({"schemaVersion": 2, "mediaType": MANIFEST, "config": layout.add(config, CONFIG),
                               "layers": [layer], "annotations": labels}, MANIFEST)
        platform = {"architecture": architecture, "os": "linux", **({"variant": "v8"} if architecture == "arm64" else {})}
        manifests.append({**manifest, "platform": platform})
    index = {"schemaVersion": 2, "mediaType": INDEX, "manifests": manifests, "annotations": labels}
    layout.set_ref(ref, layout.add(index, INDEX))


main()
