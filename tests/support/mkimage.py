#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Writes OCI layers and layouts for the tests: the same input gives the same bytes.

  mkimage.py layer TREE OUT [--before FILE] [--after FILE] [--epoch N] [--compression C] [--exclude PATH]...
                            [--absolute] [--zero-time] [--root-owned]
      The layer that turns the tree described by --before (all of TREE without it) into TREE, whiteouts included.
      --after is written: the description of TREE. Beside OUT, OUT.json says digests and sizes.
  mkimage.py image RECIPE LAYOUT [STAGE=FOLDER]...
      An OCI layout from a JSON recipe: see read_recipe().
"""

import argparse
import gzip
import hashlib
import json
import os
import queue
import shutil
import stat
import subprocess
import sys
import tarfile
import tempfile
import threading
import zlib

LAYER_TYPE = "application/vnd.oci.image.layer.v1.tar"
SUFFIXES = {"gzip": "+gzip", "zstd": "+zstd", "none": ""}
WHITEOUT = ".wh."
OPAQUE = ".wh..wh..opq"


class BlobWriter:
    """A file object: bytes written go through the compressor into a file, both digests are taken on the way.

    Compression has a thread of its own, as zlib and hashlib let the other one run meanwhile.
    """

    def __init__(self, path, compression):
        self.path = path
        self.compression = compression
        self.plain = hashlib.sha256()
        self.packed = hashlib.sha256()
        self.plain_size = 0
        self.packed_size = 0
        self.file = open(path, "wb")
        self.zstd = None
        if compression == "gzip":
            self.deflate = zlib.compressobj(6, zlib.DEFLATED, 31)
        elif compression == "zstd":
            self.file.close()
            with open(path, "wb") as out:
                self.zstd = subprocess.Popen(["zstd", "-q", "-3", "-c", "-"], stdin=subprocess.PIPE, stdout=out)
        self.chunks = queue.Queue(8)
        self.error = None
        self.thread = threading.Thread(target=self._drain)
        self.thread.start()

    def _drain(self):
        while (chunk := self.chunks.get()) is not None:
            try:
                if self.error is None:
                    self._store(chunk)
            except OSError as error:
                self.error = error

    def _store(self, chunk):
        if self.zstd:
            self.zstd.stdin.write(chunk)
            return
        if self.compression == "gzip":
            chunk = self.deflate.compress(chunk)
        self._emit(chunk)

    def _emit(self, data):
        self.packed.update(data)
        self.packed_size += len(data)
        self.file.write(data)

    def write(self, data):
        self.plain.update(data)
        self.plain_size += len(data)
        self.chunks.put(bytes(data))
        return len(data)

    def close(self):
        self.chunks.put(None)
        self.thread.join()
        if self.error:
            raise self.error
        if self.zstd:
            self.zstd.stdin.close()
            if self.zstd.wait():
                raise OSError("zstd failed")
            with open(self.path, "rb") as packed:
                while data := packed.read(1 << 20):
                    self.packed.update(data)
                    self.packed_size += len(data)
        else:
            if self.compression == "gzip":
                self._emit(self.deflate.flush())
            self.file.close()
        facts = {
            "compression": self.compression,
            "diff_id": "sha256:" + self.plain.hexdigest(),
            "digest": "sha256:" + self.packed.hexdigest(),
            "size": self.packed_size,
            "unpacked": self.plain_size,
        }
        with open(self.path + ".json", "w") as out:
            json.dump(facts, out, indent=1, sort_keys=True)
        return facts


# Trees and the difference of two trees.


def scan(tree, excluded):
    """path -> what a snapshotter compares: type and mode, owner, size, time, link target, device."""
    found = {}
    device = os.lstat(tree).st_dev
    pending = [""]
    while pending:
        folder = pending.pop()
        with os.scandir(os.path.join(tree, folder)) as entries:
            for entry in entries:
                path = folder + entry.name
                if path in excluded:
                    continue
                status = entry.stat(follow_symlinks=False)
                if stat.S_ISSOCK(status.st_mode) or status.st_dev != device:
                    continue
                is_folder = stat.S_ISDIR(status.st_mode)
                found[path] = [
                    status.st_mode,
                    status.st_uid,
                    status.st_gid,
                    0 if is_folder else status.st_size,
                    0 if is_folder else status.st_mtime_ns,
                    os.readlink(entry.path) if stat.S_ISLNK(status.st_mode) else "",
                    status.st_rdev,
                ]
                if is_folder and path not in ("dev", "proc", "sys"):
                    pending.append(path + "/")
    return found


def parents(path):
    while "/" in path:
        path = path.rsplit("/", 1)[0]
        yield path


def difference(before, after):
    """(paths to write, paths to white out): a removed folder is one whiteout."""
    changed = {path for path, facts in after.items() if before.get(path) != facts}
    removed = set()
    for path in before:
        if path in after:
            continue
        over = next(iter(parents(path)), None)
        if over is None or (over in after and stat.S_ISDIR(after[over][0])):
            removed.add(path)
    for path in list(changed) + list(removed):
        changed.update(parents(path))
    return changed, removed


def write_layer(tree, writer, changed, removed, options):
    names = sorted([(path, False) for path in changed] + [(whiteout_of(path), True) for path in removed])
    first_names = {}
    with tarfile.open(fileobj=writer, mode="w|", format=tarfile.PAX_FORMAT, bufsize=1 << 20) as archive:
        for path, is_whiteout in names:
            if is_whiteout:
                entry = tarfile.TarInfo(path)
                entry.mtime = options.epoch
                archive.addfile(entry)
                continue
            entry = entry_of(tree, path, first_names)
            entry.mtime = 0 if options.zero_time else min(int(entry.mtime), options.epoch)
            if options.root_owned:
                entry.uid = entry.gid = 0
            if options.absolute:
                entry.name = "/" + entry.name
                if entry.islnk():
                    entry.linkname = "/" + entry.linkname
            if entry.isreg():
                with open(os.path.join(tree, path), "rb") as content:
                    archive.addfile(entry, content)
            else:
                archive.addfile(entry)


def whiteout_of(path):
    folder, _, name = path.rpartition("/")
    return (folder + "/" if folder else "") + WHITEOUT + name


def entry_of(tree, path, first_names):
    full = os.path.join(tree, path)
    status = os.lstat(full)
    if "security.capability" in os.listxattr(full, follow_symlinks=False):
        sys.exit(f"mkimage.py: {full}: file capabilities are not carried over")
    entry = tarfile.TarInfo(path)
    entry.mode = stat.S_IMODE(status.st_mode)
    entry.uid, entry.gid, entry.mtime = status.st_uid, status.st_gid, status.st_mtime
    if stat.S_ISDIR(status.st_mode):
        entry.type = tarfile.DIRTYPE
    elif stat.S_ISLNK(status.st_mode):
        entry.type = tarfile.SYMTYPE
        entry.linkname = os.readlink(full)
        entry.mode = 0o777
    elif stat.S_ISREG(status.st_mode):
        first = first_names.setdefault((status.st_dev, status.st_ino), path)
        if first != path:
            entry.type = tarfile.LNKTYPE
            entry.linkname = first
        else:
            entry.size = status.st_size
    elif stat.S_ISFIFO(status.st_mode):
        entry.type = tarfile.FIFOTYPE
    else:
        entry.type = tarfile.BLKTYPE if stat.S_ISBLK(status.st_mode) else tarfile.CHRTYPE
        entry.devmajor, entry.devminor = os.major(status.st_rdev), os.minor(status.st_rdev)
    return entry


def layer_command(options):
    before = {}
    if options.before:
        with open(options.before) as saved:
            before = json.load(saved)
    after = scan(options.tree, set(options.exclude))
    changed, removed = difference(before, after)
    writer = BlobWriter(options.out, options.compression)
    write_layer(options.tree, writer, changed, removed, options)
    writer.close()
    if options.after:
        with open(options.after, "w") as saved:
            json.dump(after, saved)


# One layer of several.


class Inode:
    """A regular file of a layer that is open for reading."""

    def __init__(self, archive, entry):
        self.archive = archive
        self.entry = entry


def open_layer(path, folder):
    """The layer's tar, decompressed into an unlinked file of the folder: entries are read again in another order."""
    plain = tempfile.TemporaryFile(dir=folder)
    compression = layer_facts(path)["compression"]
    if compression == "zstd":
        subprocess.run(["zstd", "-q", "-d", "-c", path], stdout=plain, check=True)
    else:
        with (gzip.open if compression == "gzip" else open)(path, "rb") as packed:
            shutil.copyfileobj(packed, plain, 1 << 20)
    plain.seek(0)
    return tarfile.open(fileobj=plain, mode="r:")


def apply_layer(shown, archive):
    """shown: path -> (entry, inode or None)."""
    added = {}
    entries = [(entry.name.lstrip("/"), entry) for entry in archive]
    gone, emptied = set(), set()
    for path, _ in entries:
        folder, _, name = path.rpartition("/")
        if name == OPAQUE:
            emptied.add(folder)
        elif name.startswith(WHITEOUT):
            gone.add((folder + "/" if folder else "") + name[len(WHITEOUT):])
        else:
            added[path] = None
    for path in list(shown):
        above = list(parents(path))
        if path in gone or any(folder in gone or folder in emptied for folder in above):
            del shown[path]
    for path, entry in entries:
        if path not in added:
            continue
        if not entry.isdir() and path in shown and shown[path][0].isdir():
            for child in [p for p in shown if p.startswith(path + "/")]:
                del shown[child]
        if entry.islnk():
            target = shown[entry.linkname.lstrip("/")]
            shown[path] = target
        else:
            shown[path] = (entry, Inode(archive, entry) if entry.isreg() else None)


def merge(out, paths, compression):
    """One layer that shows what the layers show together."""
    shown = {}
    for path in paths:
        apply_layer(shown, open_layer(path, os.path.dirname(out)))
    writer = BlobWriter(out, compression)
    first_names = {}
    with tarfile.open(fileobj=writer, mode="w|", format=tarfile.PAX_FORMAT, bufsize=1 << 20) as archive:
        for path in sorted(shown):
            source, inode = shown[path]
            entry = tarfile.TarInfo(path)
            for field in ("mode", "uid", "gid", "mtime", "type", "linkname", "devmajor", "devminor"):
                setattr(entry, field, getattr(source, field))
            if inode is None:
                archive.addfile(entry)
                continue
            first = first_names.setdefault(id(inode), path)
            if first != path:
                entry.type, entry.linkname = tarfile.LNKTYPE, first
                archive.addfile(entry)
            else:
                entry.size = source.size
                archive.addfile(entry, inode.archive.extractfile(inode.entry))
    return writer.close()


# Layouts.


def layer_facts(path):
    with open(path + ".json") as facts:
        return json.load(facts)


def put_bytes(layout, data):
    digest = "sha256:" + hashlib.sha256(data).hexdigest()
    with open(blob_path(layout, digest), "wb") as blob:
        blob.write(data)
    return {"digest": digest, "size": len(data)}


def put_json(layout, value):
    return put_bytes(layout, json.dumps(value, indent=None, separators=(",", ":")).encode())


def blob_path(layout, digest):
    return os.path.join(layout, "blobs", *digest.split(":"))


def put_layer(layout, layer, stages):
    compression = layer.get("compression")
    packed = os.path.join(layout, "layer")
    if "merge" in layer:
        facts = merge(packed, [stage_path(stages, name) for name in layer["merge"]], compression or "gzip")
    else:
        path = stage_path(stages, layer["from"])
        facts = layer_facts(path)
        if compression in (None, facts["compression"]):
            try:
                os.link(path, packed)
            except OSError:
                shutil.copyfile(path, packed)
        else:
            writer = BlobWriter(packed, compression)
            with open_layer(path, layout).fileobj as plain:
                plain.seek(0)
                shutil.copyfileobj(plain, writer, 1 << 20)
            facts = writer.close()
    if os.path.exists(packed + ".json"):
        os.unlink(packed + ".json")
    # A rename between two links of one file would leave both.
    if os.path.exists(blob_path(layout, facts["digest"])):
        os.unlink(packed)
    else:
        os.rename(packed, blob_path(layout, facts["digest"]))
    return facts


def stage_path(stages, name):
    stage, layer = name.split("/")
    return os.path.join(stages[stage], layer)


def put_image(layout, image, stages):
    """One platform's manifest; its descriptor."""
    layers, diff_ids, history = [], [], []
    for layer in image["layers"]:
        for text in layer.get("empty", []):
            history.append({"created": image["created"], "created_by": text, "empty_layer": True})
        if "from" not in layer and "merge" not in layer:
            continue
        facts = put_layer(layout, layer, stages)
        media_type = LAYER_TYPE + SUFFIXES[facts["compression"]]
        layers.append({"mediaType": media_type, "digest": facts["digest"], "size": facts["size"]})
        diff_ids.append(facts["diff_id"])
        history.append({"created": image["created"], "created_by": layer["created_by"]})
    config = {
        "created": image["created"],
        **image["platform"],
        "config": image["config"],
        "rootfs": {"type": "layers", "diff_ids": diff_ids},
        "history": history,
    }
    manifest = {
        "schemaVersion": 2,
        "mediaType": "application/vnd.oci.image.manifest.v1+json",
        "config": {"mediaType": "application/vnd.oci.image.config.v1+json", **put_json(layout, config)},
        "layers": layers,
    }
    return {"mediaType": manifest["mediaType"], **put_json(layout, manifest), "platform": image["platform"]}


def put_attestation(layout, subject):
    """The entry that BuildKit adds per platform: an image of unknown platform that holds an in-toto statement."""
    statement = {
        "_type": "https://in-toto.io/Statement/v0.1",
        "predicateType": "https://slsa.dev/provenance/v0.2",
        "subject": [{"name": "_", "digest": dict([subject["digest"].split(":")])}],
        "predicate": {"buildType": "https://mobyproject.org/buildkit@v1", "builder": {"id": ""}},
    }
    blob = put_json(layout, statement)
    layer = {
        "mediaType": "application/vnd.in-toto+json",
        **blob,
        "annotations": {"in-toto.io/predicate-type": statement["predicateType"]},
    }
    unknown = {"architecture": "unknown", "os": "unknown"}
    config = {**unknown, "config": {}, "rootfs": {"type": "layers", "diff_ids": [blob["digest"]]}}
    manifest = {
        "schemaVersion": 2,
        "mediaType": "application/vnd.oci.image.manifest.v1+json",
        "config": {"mediaType": "application/vnd.oci.image.config.v1+json", **put_json(layout, config)},
        "layers": [layer],
    }
    return {
        "mediaType": manifest["mediaType"],
        **put_json(layout, manifest),
        "annotations": {
            "vnd.docker.reference.digest": subject["digest"],
            "vnd.docker.reference.type": "attestation-manifest",
        },
        "platform": unknown,
    }


def read_recipe(path):
    """{"ref", "attestations"?, "images": [{"platform", "created", "config", "layers": [{"from": "STAGE/NAME" |
    "merge": ["STAGE/NAME"...], "created_by", "compression"?, "empty"?: [history texts that come before it]}]}]}

    A layer with neither "from" nor "merge" only adds its empty history entries. Several images make an index.
    """
    with open(path) as text:
        return json.load(text)


def image_command(options):
    recipe = read_recipe(options.recipe)
    os.makedirs(os.path.join(options.layout, "blobs", "sha256"))
    stages = dict(stage.split("=", 1) for stage in options.stages)
    entries = [put_image(options.layout, image, stages) for image in recipe["images"]]
    if recipe.get("attestations"):
        entries += [put_attestation(options.layout, entry) for entry in entries]
    top = entries[0]
    if len(entries) > 1:
        index_type = "application/vnd.oci.image.index.v1+json"
        index = {"schemaVersion": 2, "mediaType": index_type, "manifests": entries}
        top = {"mediaType": index_type, **put_json(options.layout, index)}
    top.pop("platform", None)
    top["annotations"] = {"org.opencontainers.image.ref.name": recipe["ref"]}
    with open(os.path.join(options.layout, "index.json"), "w") as out:
        json.dump({"schemaVersion": 2, "manifests": [top]}, out, separators=(",", ":"))
    with open(os.path.join(options.layout, "oci-layout"), "w") as out:
        out.write('{"imageLayoutVersion":"1.0.0"}')


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(dest="command", required=True)
    layer = commands.add_parser("layer")
    layer.add_argument("tree")
    layer.add_argument("out")
    layer.add_argument("--before")
    layer.add_argument("--after")
    layer.add_argument("--exclude", action="append", default=[])
    layer.add_argument("--epoch", type=int, default=int(os.environ.get("SOURCE_DATE_EPOCH", "0")))
    layer.add_argument("--compression", choices=sorted(SUFFIXES), default="gzip")
    layer.add_argument("--absolute", action="store_true")
    layer.add_argument("--zero-time", action="store_true")
    layer.add_argument("--root-owned", action="store_true")
    layer.set_defaults(run=layer_command)
    image = commands.add_parser("image")
    image.add_argument("recipe")
    image.add_argument("layout")
    image.add_argument("stages", nargs="*")
    image.set_defaults(run=image_command)
    options = parser.parse_args()
    options.run(options)


if __name__ == "__main__":
    main()
