#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Writes the seeds of fuzz_manifest and fuzz_docker_archive below the folder given (testdata/fuzz)."""
import base64
import gzip
import hashlib
import io
import json
import pathlib
import sys
import tarfile


def digest(data):
    return "sha256:" + hashlib.sha256(data).hexdigest()


def dump(value):
    return json.dumps(value, separators=(",", ":")).encode()


def tar(members):
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=tarfile.PAX_FORMAT) as archive:
        for name, data in members:
            info = tarfile.TarInfo(name)
            if isinstance(data, str):
                info.type, info.linkname, data = tarfile.SYMTYPE, data, b""
            info.size = len(data)
            archive.addfile(info, io.BytesIO(data))
    # Readers need the two zero blocks only.
    return out.getvalue().rstrip(b"\0") + bytes(1024 + -len(out.getvalue().rstrip(b"\0")) % 512)


def descriptor(content, kind, **more):
    return {"mediaType": kind, "digest": digest(content), "size": len(content), **more}


OCI = "application/vnd.oci.image."
DOCKER = "application/vnd.docker."
layer = tar([("a", b"a")])
packed = gzip.compress(layer, mtime=0)
config = dump({
    "architecture": "amd64", "os": "linux",
    "config": {"Env": ["A=1"], "Entrypoint": ["/tini"], "Cmd": ["/a"], "Volumes": {"/v": {}}, "User": "app",
               "Healthcheck": {"Test": ["CMD", "/a"]}},
    "rootfs": {"type": "layers", "diff_ids": [digest(layer)]},
    "history": [{"created_by": "COPY"}, {"created_by": "ENV", "empty_layer": True}]})
manifest = dump({
    "schemaVersion": 2, "mediaType": OCI + "manifest.v1+json",
    "config": descriptor(config, OCI + "config.v1+json"),
    "layers": [descriptor(packed, OCI + "layer.v1.tar+gzip", annotations={"k": "v"})]})
docker = dump({
    "schemaVersion": 2, "mediaType": DOCKER + "distribution.manifest.v2+json",
    "config": descriptor(config, DOCKER + "container.image.v1+json", data=base64.b64encode(config).decode()),
    "layers": [descriptor(packed, DOCKER + "image.rootfs.foreign.diff.tar.gzip", urls=["https://example.com/x"])]})
index = dump({
    "schemaVersion": 2, "mediaType": OCI + "index.v1+json",
    "manifests": [descriptor(manifest, OCI + "manifest.v1+json", platform={"architecture": "amd64", "os": "linux"}),
                  descriptor(config, OCI + "manifest.v1+json",
                             annotations={"vnd.docker.reference.type": "attestation-manifest"},
                             platform={"architecture": "unknown", "os": "unknown"})]})
schema1 = dump({"schemaVersion": 1, "name": "a", "fsLayers": [], "history": []})


def blob(data):
    return "blobs/sha256/" + hashlib.sha256(data).hexdigest(), data


def docker_list(path, layers):
    return dump([{"Config": path, "RepoTags": ["a:1"], "Layers": layers}])


layout = [("oci-layout", b'{"imageLayoutVersion":"1.0.0"}'),
          ("index.json", dump({"schemaVersion": 2, "manifests": [descriptor(manifest, OCI + "manifest.v1+json")]})),
          blob(manifest), blob(config), blob(packed)]
two = config.replace(dump([digest(layer)]), dump([digest(layer)] * 2)).replace(
    b'{"created_by":"COPY"}', b'{"created_by":"COPY"},{"created_by":"COPY"}')
old = [("one/layer.tar", layer), ("two/layer.tar", "../one/layer.tar"), ("c.json", two),
       ("manifest.json", docker_list("c.json", ["one/layer.tar", "two/layer.tar"]))]
new = layout + [("manifest.json", docker_list(blob(config)[0], [blob(packed)[0]]))]
long = [("d" * 150 + "/layer.tar", packed), ("c.json", config),
        ("manifest.json", docker_list("c.json", ["d" * 150 + "/layer.tar"]))]

seeds = {
    "manifest": {"config": config, "manifest": manifest, "docker": docker, "index": index, "schema1": schema1},
    "docker_archive": {"oci": tar(layout), "old": tar(old), "new": tar(new), "long": tar(long)},
}
for target, files in seeds.items():
    folder = pathlib.Path(sys.argv[1]) / target
    folder.mkdir(parents=True, exist_ok=True)
    for name, data in files.items():
        (folder / name).write_bytes(data)
