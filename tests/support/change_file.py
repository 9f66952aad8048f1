#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Writes LAYOUT again as NEW with one layer changed: change_file.py LAYOUT NEW LAYER PATH

A file of that layer (counted from 1) gets some bytes more at its end, as a rebuilt program would be another; config and
manifest follow. Other blobs are hard links.
"""
import gzip
import io
import os
import shutil
import sys
import tarfile

sys.dont_write_bytecode = True
from layout import Layout, new_layout


def main():
    source, new, number, path = sys.argv[1:]
    number = int(number) - 1
    old = Layout(source)
    index, manifest, config = old.image()
    out = new_layout(new)
    for blob in os.listdir(source + "/blobs/sha256"):
        digest = "sha256:" + blob
        try:
            os.link(old.file_of(digest), out.file_of(digest))
        except OSError:
            shutil.copyfile(old.file_of(digest), out.file_of(digest))
    layer = manifest["layers"][number]
    tar = io.BytesIO()
    found = False
    plain = io.BytesIO(gzip.decompress(old.read(layer["digest"])))
    with tarfile.open(fileobj=plain) as archive, tarfile.open(fileobj=tar, mode="w", format=tarfile.PAX_FORMAT) as result:
        for member in archive:
            content = archive.extractfile(member) if member.isreg() else None
            if member.name.lstrip("./") == path:
                data = content.read() + b"another build   "
                member.size = len(data)
                content = io.BytesIO(data)
                found = True
            result.addfile(member, content)
    if not found:
        raise SystemExit(f"change_file.py: no {path} in layer {number + 1}")
    blob, config["rootfs"]["diff_ids"][number] = out.put_layer(tar.getvalue())
    layer.update(blob)
    out.put_image(index, manifest, config)


main()
