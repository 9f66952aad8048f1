#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Writes a small OCI layout from a description on standard input: tiny_image.py LAYOUT [REF]

Lines, blank ones and # comments aside; words are split as a shell does:
  config JSON                     merged into the image config (its "config" object under that key)
  manifest JSON                   merged into the manifest
  platform OS/ARCH                starts another image: the layout then has an index
  attest                          an attestation of the image before, as BuildKit writes them
  layer [gzip|zstd|none] [STEP]   starts a layer; STEP is its history's created_by
  empty STEP                      a history entry without a layer
  d PATH [OPTION]...              a directory
  f PATH CONTENT [OPTION]...      a file; CONTENT is text:WORDS, random:SIZE:SEED, zeros:SIZE, elf:SEED or file:PATH
  s PATH TARGET [OPTION]...       a symbolic link;  h PATH TARGET  a hard link
  w PATH                          a whiteout;  o PATH  an opaque whiteout
Options: mode=0644 uid=0 gid=0 mtime=SECONDS xattr=NAME=HEX
Time is 1700000000 unless said otherwise.
"""

import gzip
import hashlib
import io
import json
import os
import random
import shlex
import subprocess
import sys
import tarfile

TYPES = {
    "gzip": "application/vnd.oci.image.layer.v1.tar+gzip",
    "zstd": "application/vnd.oci.image.layer.v1.tar+zstd",
    "none": "application/vnd.oci.image.layer.v1.tar",
}
MANIFEST = "application/vnd.oci.image.manifest.v1+json"


def content_of(spec):
    kind, _, rest = spec.partition(":")
    if kind == "text":
        return rest.replace("\\n", "\n").encode()
    if kind == "random":
        size, seed = rest.split(":")
        return random.Random(int(seed)).randbytes(int(size))
    if kind == "zeros":
        return bytes(int(rest))
    if kind == "elf":
        return b"\x7fELF\x02\x01\x01" + bytes(9) + random.Random(rest).randbytes(200)
    if kind == "file":
        with open(rest, "rb") as file:
            return file.read()
    raise SystemExit(f"tiny_image.py: unknown content '{spec}'")


class Layer:
    def __init__(self, compression):
        self.compression = compression
        self.buffer = io.BytesIO()
        self.tar = tarfile.open(fileobj=self.buffer, mode="w", format=tarfile.PAX_FORMAT)

    def add(self, path, type_, options, link="", data=b""):
        info = tarfile.TarInfo(path)
        info.type = type_
        info.linkname = link
        info.size = len(data)
        info.mode = int(options.get("mode", "0755" if type_ == tarfile.DIRTYPE else "0644"), 8)
        info.uid = int(options.get("uid", 0))
        info.gid = int(options.get("gid", 0))
        info.mtime = int(options.get("mtime", 1700000000))
        for name, value in options.get("xattr", []):
            info.pax_headers["SCHILY.xattr." + name] = bytes.fromhex(value).decode("utf-8", "surrogateescape")
        self.tar.addfile(info, io.BytesIO(data))

    def finish(self):
        self.tar.close()
        plain = self.buffer.getvalue()
        if self.compression == "gzip":
            blob = gzip.compress(plain, 6, mtime=0)
        elif self.compression == "zstd":
            blob = subprocess.run(["zstd", "-q", "-c"], input=plain, stdout=subprocess.PIPE, check=True).stdout
        else:
            blob = plain
        return plain, blob


class Writer:
    def __init__(self, layout):
        self.blobs = os.path.join(layout, "blobs", "sha256")
        os.makedirs(self.blobs, exist_ok=True)

    def put(self, data):
        name = hashlib.sha256(data).hexdigest()
        with open(os.path.join(self.blobs, name), "wb") as file:
            file.write(data)
        return {"digest": "sha256:" + name, "size": len(data)}


class Image:
    def __init__(self, platform):
        system, architecture = platform.split("/")[:2]
        self.platform = {"os": system, "architecture": architecture}
        self.config = {"created": "2023-11-14T22:13:20Z", "architecture": architecture, "os": system,
                       "config": {"Env": ["PATH=/usr/bin:/bin"], "Cmd": ["/app"]}}
        self.manifest = {}
        self.layers = []
        self.history = []

    def write(self, writer):
        diff_ids, layers = [], []
        for layer in self.layers:
            plain, blob = layer.finish()
            diff_ids.append("sha256:" + hashlib.sha256(plain).hexdigest())
            layers.append({"mediaType": TYPES[layer.compression], **writer.put(blob)})
        self.config["rootfs"] = {"type": "layers", "diff_ids": diff_ids}
        self.config["history"] = self.history
        config = {"mediaType": "application/vnd.oci.image.config.v1+json",
                  **writer.put(json.dumps(self.config).encode())}
        manifest = {"schemaVersion": 2, "mediaType": MANIFEST, "config": config, "layers": layers, **self.manifest}
        return {"mediaType": MANIFEST, **writer.put(json.dumps(manifest).encode()), "platform": self.platform}


def attestation(writer, described):
    statement = writer.put(b'{"_type":"https://in-toto.io/Statement/v0.1"}')
    config = writer.put(b'{"architecture":"unknown","os":"unknown","config":{},"rootfs":{"type":"layers","diff_ids":[]}}')
    manifest = {"schemaVersion": 2, "mediaType": MANIFEST,
                "config": {"mediaType": "application/vnd.oci.image.config.v1+json", **config},
                "layers": [{"mediaType": "application/vnd.in-toto+json", **statement}]}
    return {"mediaType": MANIFEST, **writer.put(json.dumps(manifest).encode()),
            "annotations": {"vnd.docker.reference.digest": described["digest"],
                            "vnd.docker.reference.type": "attestation-manifest"},
            "platform": {"architecture": "unknown", "os": "unknown"}}


def main():
    layout = sys.argv[1]
    reference = sys.argv[2] if len(sys.argv) > 2 else "latest"
    writer = Writer(layout)
    entries = []
    indexed = False
    image = Image("linux/amd64")

    def flush():
        if image.layers:
            entries.append(image.write(writer))

    for line in sys.stdin:
        words = shlex.split(line, comments=True)
        if not words:
            continue
        verb, rest = words[0], words[1:]
        if verb == "platform":
            flush()
            indexed = True
            image = Image(rest[0])
        elif verb == "attest":
            flush()
            indexed = True
            entries.append(attestation(writer, entries[-1]))
            image = Image("linux/amd64")
        elif verb == "config":
            image.config.update(json.loads(rest[0]))
        elif verb == "manifest":
            image.manifest.update(json.loads(rest[0]))
        elif verb == "empty":
            image.history.append({"created_by": rest[0], "empty_layer": True})
        elif verb == "layer":
            image.layers.append(Layer(rest[0] if rest else "gzip"))
            image.history.append({"created_by": rest[1] if len(rest) > 1 else "RUN step"})
        else:
            options = {"xattr": []}
            words = []
            for word in rest:
                key, equals, value = word.partition("=")
                if key == "xattr":
                    options["xattr"].append(tuple(value.split("=")))
                elif equals and key in ("mode", "uid", "gid", "mtime"):
                    options[key] = value
                else:
                    words.append(word)
            layer = image.layers[-1]
            path = words[0]
            if verb == "d":
                layer.add(path, tarfile.DIRTYPE, options)
            elif verb == "f":
                layer.add(path, tarfile.REGTYPE, options, data=content_of(words[1]))
            elif verb == "s":
                layer.add(path, tarfile.SYMTYPE, options, link=words[1])
            elif verb == "h":
                layer.add(path, tarfile.LNKTYPE, options, link=words[1])
            elif verb == "w":
                head, _, tail = path.rpartition("/")
                layer.add(f"{head}/.wh.{tail}" if head else f".wh.{tail}", tarfile.REGTYPE, options)
            elif verb == "o":
                layer.add(f"{path}/.wh..wh..opq" if path != "." else ".wh..wh..opq", tarfile.REGTYPE, options)
            else:
                raise SystemExit(f"tiny_image.py: unknown verb '{verb}'")
    flush()
    root = entries[0]
    if indexed:
        index = {"schemaVersion": 2, "mediaType": "application/vnd.oci.image.index.v1+json", "manifests": entries}
        root = {"mediaType": index["mediaType"], **writer.put(json.dumps(index).encode())}
    root = {**root, "annotations": {"org.opencontainers.image.ref.name": reference}}
    with open(os.path.join(layout, "oci-layout"), "w", encoding="utf-8") as file:
        file.write('{"imageLayoutVersion":"1.0.0"}')
    with open(os.path.join(layout, "index.json"), "w", encoding="utf-8") as file:
        json.dump({"schemaVersion": 2, "manifests": [root]}, file)
    print(root["digest"])


main()
