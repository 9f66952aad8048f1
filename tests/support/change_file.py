#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Writes LAYOUT again as NEW with one layer changed: change_file.py LAYOUT NEW LAYER PATH

A file of that layer (counted from 1) gets some bytes more at its end, as a rebuilt program would be another; config and
manifest follow. Other blobs are hard links.
"""
import gzip
import hashlib
import io
import json
import os
import sys
import tarfile


def main():
    layout, new, number, path = sys.argv[1:]
    os.makedirs(new + "/blobs/sha256")
    for blob in os.listdir(layout + "/blobs/sha256"):
        source = f"{layout}/blobs/sha256/{blob}"
        try:
            os.link(source, f"{new}/blobs/sha256/{blob}")
        except OSError:
            with open(source, "rb") as file, open(f"{new}/blobs/sha256/{blob}", "wb") as out:
                out.write(file.read())

    def read(digest):
        with open(f"{new}/blobs/{digest.replace(':', '/')}", "rb") as file:
            return file.read()

    def write(data):
        digest = hashlib.sha256(data).hexdigest()
        with open(f"{new}/blobs/sha256/{digest}", "wb") as file:
            file.write(data)
        return {"digest": "sha256:" + digest, "size": len(data)}

    with open(layout + "/index.json", encoding="utf-8") as file:
        index = json.load(file)
    manifest = json.loads(read(index["manifests"][0]["digest"]))
    config = json.loads(read(manifest["config"]["digest"]))
    layer = manifest["layers"][int(number) - 1]
    plain = io.BytesIO(gzip.decompress(read(layer["digest"])))
    out = io.BytesIO()
    found = False
    with tarfile.open(fileobj=plain) as source, tarfile.open(fileobj=out, mode="w", format=tarfile.PAX_FORMAT) as result:
        for member in source:
            content = source.extractfile(member) if member.isreg() else None
            if member.name.lstrip("./") == path:
                data = content.read() + b"another build   "
                member.size = len(data)
                content = io.BytesIO(data)
                found = True
            result.addfile(member, content)
    if not found:
        raise SystemExit(f"change_file.py: no {path} in layer {number}")
    layer.update(write(gzip.compress(out.getvalue(), 6, mtime=0)))
    config["rootfs"]["diff_ids"][int(number) - 1] = "sha256:" + hashlib.sha256(out.getvalue()).hexdigest()
    manifest["config"].update(write(json.dumps(config).encode()))
    index["manifests"] = [index["manifests"][0] | write(json.dumps(manifest).encode())]
    with open(new + "/index.json", "w", encoding="utf-8") as file:
        json.dump(index, file)
    with open(new + "/oci-layout", "w", encoding="utf-8") as file:
        file.write('{"imageLayoutVersion": "1.0.0"}')


main()
