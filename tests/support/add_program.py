#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""add_program.py LAYOUT LAYERS PROGRAM RESULT: an OCI layout with the lowest LAYERS of an image and PROGRAM above them.

It is started as /usr/local/bin/service, by a user without a name.
"""

import gzip
import hashlib
import io
import json
import os
import sys
import tarfile

source, count, program, result = sys.argv[1:]
count = int(count)
os.makedirs(result + "/blobs/sha256")


def read(digest):
    with open(f"{source}/blobs/sha256/{digest[7:]}", "rb") as blob:
        return blob.read()


def put(data):
    digest = hashlib.sha256(data).hexdigest()
    with open(f"{result}/blobs/sha256/{digest}", "wb") as blob:
        blob.write(data)
    return {"digest": "sha256:" + digest, "size": len(data)}


def write(name, value):
    with open(f"{result}/{name}", "w") as file:
        json.dump(value, file)


with open(source + "/index.json") as file:
    index = json.load(file)
manifest = json.loads(read(index["manifests"][0]["digest"]))
config = json.loads(read(manifest["config"]["digest"]))
layers = manifest["layers"][:count]
for layer in layers:
    put(read(layer["digest"]))
tar = io.BytesIO()
with tarfile.open(fileobj=tar, mode="w", format=tarfile.PAX_FORMAT) as archive, open(program, "rb") as content:
    item = tarfile.TarInfo("usr/local/bin/service")
    item.mode = 0o755
    item.mtime = 1704067200
    item.size = os.path.getsize(program)
    archive.addfile(item, content)
layers.append(dict(put(gzip.compress(tar.getvalue(), 6, mtime=0)), mediaType=layers[0]["mediaType"]))
config["config"] = {
    "Entrypoint": ["/usr/local/bin/service"],
    "Env": ["PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"],
    "User": "10009:10009",
}
diff_ids = config["rootfs"]["diff_ids"][:count]
config["rootfs"]["diff_ids"] = diff_ids + ["sha256:" + hashlib.sha256(tar.getvalue()).hexdigest()]
config["history"] = [{"created_by": f"step {i + 1}"} for i in range(count + 1)]
manifest["layers"] = layers
manifest["config"].update(put(json.dumps(config).encode()))
index["manifests"][0].update(put(json.dumps(manifest).encode()))
write("index.json", index)
write("oci-layout", {"imageLayoutVersion": "1.0.0"})
