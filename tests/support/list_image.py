#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Lists what a container would see of an OCI layout's image, one line a name, or shows its config.

  list_image.py [--config] [--platform OS/ARCH] LAYOUT[:REF]

A plain second implementation of image-spec's layer.md, to compare images with: it shares nothing with the program.
Line: type path mode uid:gid mtime size sha256|target|device xattrs [hardlink=FIRST NAME]
"""

import argparse
import gzip
import hashlib
import json
import os
import posixpath
import subprocess
import sys
import tarfile

INDEXES = ("application/vnd.oci.image.index.v1+json", "application/vnd.docker.distribution.manifest.list.v2+json")


class Layout:
    def __init__(self, path):
        self.path = path

    def blob(self, digest):
        return os.path.join(self.path, "blobs", *digest.split(":"))

    def json(self, digest):
        with open(self.blob(digest), encoding="utf-8") as file:
            return json.load(file)


def find_manifest(layout, reference, platform):
    with open(os.path.join(layout.path, "index.json"), encoding="utf-8") as file:
        entries = json.load(file)["manifests"]
    named = [e for e in entries if e.get("annotations", {}).get("org.opencontainers.image.ref.name") == reference]
    todo = named or entries
    while todo:
        entry = todo.pop(0)
        if entry.get("mediaType") in INDEXES:
            todo = layout.json(entry["digest"])["manifests"] + todo
            continue
        described = entry.get("platform", {})
        if described.get("os") == "unknown":
            continue
        if platform and f'{described.get("os")}/{described.get("architecture")}' != platform:
            continue
        return layout.json(entry["digest"])
    raise SystemExit("list_image.py: no such image")


def open_layer(path):
    with open(path, "rb") as file:
        head = file.read(4)
    if head[:2] == b"\x1f\x8b":
        return gzip.open(path)
    if head == b"\x28\xb5\x2f\xfd":
        return subprocess.Popen(["zstd", "-dcq", path], stdout=subprocess.PIPE).stdout
    return open(path, "rb")


class Node:
    """What a name shows; hard links share one."""

    def __init__(self, text, directory=False, layer=0):
        self.text = text
        self.directory = directory
        self.layer = layer


def clean(name):
    return posixpath.normpath("/" + name).lstrip("/")


def remove(tree, path, layer=None):
    """A path with all below it; of a layer's own entries nothing goes."""
    for name in [n for n in tree if n == path or n.startswith(path + "/")]:
        if layer is None or tree[name].layer < layer:
            del tree[name]


def describe(member, content):
    kind = {tarfile.REGTYPE: "f", tarfile.AREGTYPE: "f", tarfile.CONTTYPE: "f", tarfile.DIRTYPE: "d", tarfile.SYMTYPE: "l",
            tarfile.CHRTYPE: "c", tarfile.BLKTYPE: "b", tarfile.FIFOTYPE: "p", tarfile.GNUTYPE_SPARSE: "f"}[member.type]
    xattrs = sorted(f"{key[13:]}={value.encode('utf-8', 'surrogateescape').hex()}"
                    for key, value in member.pax_headers.items() if key.startswith("SCHILY.xattr."))
    shown = content if kind == "f" else member.linkname if kind == "l" else f"{member.devmajor},{member.devminor}" if kind in "cb" else "-"
    size = member.size if kind == "f" else 0
    mtime = float(member.pax_headers.get("mtime", member.mtime))
    return (kind, f"{member.mode & 0o7777:04o} {member.uid}:{member.gid} {mtime:.9f} {size} {shown} {','.join(xattrs) or '-'}")


def apply(tree, stream, layer):
    added = {}
    whiteouts = []
    with tarfile.open(fileobj=stream, mode="r|", encoding="utf-8", errors="surrogateescape") as tar:
        for member in tar:
            path = clean(member.name)
            head, tail = posixpath.split(path)
            if tail == ".wh..wh..opq":
                whiteouts.append((head, True))
                continue
            if tail.startswith(".wh."):
                whiteouts.append((posixpath.join(head, tail[4:]), False))
                continue
            if member.islnk():
                target = clean(member.linkname)
                added[path] = ("link", target)
                continue
            content = ""
            if member.isreg():
                digest = hashlib.sha256()
                file = tar.extractfile(member)
                while chunk := file.read(1 << 20):
                    digest.update(chunk)
                content = digest.hexdigest()
            added.pop(path, None)
            added[path] = describe(member, content)
    for path, opaque in whiteouts:
        if not opaque:
            if path in tree and not tree[path].directory:
                del tree[path]
                continue
            remove(tree, path)
        else:
            for name in [n for n in tree if n != "" and (path == "" or n.startswith(path + "/"))]:
                del tree[name]
    for path, (kind, text) in added.items():
        parent = posixpath.dirname(path)
        missing = []
        while parent and not (parent in tree and tree[parent].directory):
            missing.append(parent)
            parent = posixpath.dirname(parent)
        for name in reversed(missing):
            tree[name] = Node("d 0755 0:0 0.000000000 0 - -", True, layer)
        if kind == "link":
            node = tree[text]
        else:
            node = Node(f"{kind} {text}", kind == "d", layer)
        if path in tree and tree[path].directory and not node.directory:
            remove(tree, path)
        tree[path] = node


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--config", action="store_true")
    parser.add_argument("--platform")
    parser.add_argument("image")
    arguments = parser.parse_args()
    path, reference = arguments.image, "latest"
    if not os.path.isdir(path):
        path, _, reference = path.rpartition(":")
    layout = Layout(path)
    manifest = find_manifest(layout, reference, arguments.platform)
    if arguments.config:
        with open(layout.blob(manifest["config"]["digest"]), encoding="utf-8") as file:
            print(file.read())
        return
    tree = {}
    for number, descriptor in enumerate(manifest["layers"]):
        with open_layer(layout.blob(descriptor["digest"])) as stream:
            apply(tree, stream, number)
    first = {}
    count = {}
    for name in sorted(tree):
        first.setdefault(id(tree[name]), name)
        count[id(tree[name])] = count.get(id(tree[name]), 0) + 1
    for name in sorted(tree):
        node = tree[name]
        kind, _, rest = node.text.partition(" ")
        link = f" hardlink={first[id(node)]}" if count[id(node)] > 1 else ""
        line = f"{kind} /{name} {rest}{link}"
        sys.stdout.buffer.write(line.encode("utf-8", "surrogateescape") + b"\n")


main()
