#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""add_program.py LAYOUT LAYERS PROGRAM RESULT: an OCI layout with the lowest LAYERS of an image and PROGRAM above them.

It is started as /usr/local/bin/service, by a user without a name.
"""
import io
import os
import sys
import tarfile

sys.dont_write_bytecode = True
from layout import Layout, new_layout


def main():
    source, count, program, result = sys.argv[1:]
    count = int(count)
    old = Layout(source)
    out = new_layout(result)
    index, manifest, config = old.image()
    layers = manifest["layers"][:count]
    for layer in layers:
        out.put(old.read(layer["digest"]))
    tar = io.BytesIO()
    with tarfile.open(fileobj=tar, mode="w", format=tarfile.PAX_FORMAT) as archive, open(program, "rb") as content:
        item = tarfile.TarInfo("usr/local/bin/service")
        item.mode = 0o755
        item.mtime = 1704067200
        item.size = os.path.getsize(program)
        archive.addfile(item, content)
    blob, diff_id = out.put_layer(tar.getvalue())
    manifest["layers"] = layers + [dict(blob, mediaType=layers[0]["mediaType"])]
    config["config"] = {
        "Entrypoint": ["/usr/local/bin/service"],
        "Env": ["PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"],
        "User": "10009:10009",
    }
    config["rootfs"]["diff_ids"] = config["rootfs"]["diff_ids"][:count] + [diff_id]
    config["history"] = [{"created_by": f"step {i + 1}"} for i in range(count + 1)]
    out.put_image(index, manifest, config)


main()
