#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""BuildKit caches in OCI layouts, by an implementation that shares nothing with the program.

buildkit_cache.py key LAYERS
    prints an inline key (base64) for an image of so many layers, as BuildKit would leave it for a build with a stage
buildkit_cache.py convert LAYOUT FORM REF [BREAK]
    converts the inline cache of the layout's image "latest" into one of FORM (index, manifest) under REF, and prints
    its digest. BREAK damages one thing: see BREAKS.
"""

import base64
import gzip
import hashlib
import json
import os
import sys

CONFIG = "application/vnd.buildkit.cacheconfig.v0"
TIME = "2026-11-22T10:00:0%dZ"
LIMIT_RECORDS = 19000


def sha(text):
    return "sha256:" + hashlib.sha256(text if isinstance(text, bytes) else text.encode()).hexdigest()


def compact(value):
    return json.dumps(value, separators=(",", ":")).encode()


def key(layers):
    records = [{"digest": sha("local")}, {"digest": sha("local")}, {"digest": sha("stage")},
               {"digest": sha("content of stage"), "inputs": [[{"link": 2}]]}]
    below = 0
    for i in range(layers):
        inputs = [[{"link": below}]]
        if i == layers - 1 and i > 0:
            inputs.append([{"selector": sha("selector"), "link": 2}, {"link": 3}])
        records.append({"layers": [{"layer": i, "createdAt": TIME % i}], "digest": sha("step %d" % i), "inputs": inputs})
        below = len(records) - 1
    records.append({"digest": sha("leads nowhere"), "inputs": [[{"link": below}]]})
    return base64.b64encode(compact(records)).decode()


class Layout:
    def __init__(self, path):
        self.path = path

    def file(self, digest):
        return os.path.join(self.path, "blobs", "sha256", digest.split(":")[1])

    def read(self, digest):
        with open(self.file(digest), "rb") as file:
            return file.read()

    def put(self, data, media_type):
        digest = sha(data)
        with open(self.file(digest), "wb") as file:
            file.write(data)
        return {"mediaType": media_type, "digest": digest, "size": len(data)}

    def name(self, descriptor, reference):
        index = os.path.join(self.path, "index.json")
        with open(index, encoding="utf-8") as file:
            document = json.load(file)
        document["manifests"] = [entry for entry in document["manifests"]
                                 if entry["annotations"]["org.opencontainers.image.ref.name"] != reference]
        document["manifests"].append({**descriptor, "annotations": {"org.opencontainers.image.ref.name": reference}})
        with open(index, "w", encoding="utf-8") as file:
            json.dump(document, file)

    def image(self):
        with open(os.path.join(self.path, "index.json"), encoding="utf-8") as file:
            entries = json.load(file)["manifests"]
        root = [e for e in entries if e["annotations"]["org.opencontainers.image.ref.name"] == "latest"][0]
        manifest = json.loads(self.read(root["digest"]))
        return manifest, json.loads(self.read(manifest["config"]["digest"]))


def ancestors(records):
    """Records on the way to a result, roots of one key as one; by old number, the number of the one that stays."""
    same, root_of = {}, {}
    for i, record in enumerate(records):
        if record.get("inputs"):
            same[i] = i
        else:
            same[i] = root_of.setdefault(record["digest"], i)
    wanted, queue = set(), [i for i, record in enumerate(records) if record.get("layers") or record.get("chains")]
    while queue:
        i = same[queue.pop()]
        if i in wanted:
            continue
        wanted.add(i)
        for alternatives in records[i].get("inputs", []):
            queue += [item["link"] for item in alternatives]
    return same, wanted


def normal(records, blobs):
    same, wanted = ancestors(records)
    used = max(r["layer"] for record in records for r in record.get("layers", [])) + 1
    layers = sorted(range(used), key=lambda i: (blobs[i], i - 1))
    layer_number = {old: new for new, old in enumerate(layers)}

    def place(i):
        record = records[i]
        inputs = record.get("inputs", [])
        described = [sorted((item.get("selector", ""), records[same[item["link"]]]["digest"]) for item in alternatives)
                     for alternatives in inputs]
        return (record["digest"], len(inputs), [(len(d), d) for d in described])

    order = sorted(wanted, key=place)
    number = {old: new for new, old in enumerate(order)}
    out = {"layers": [], "records": []}
    for old in layers:
        layer = {"blob": blobs[old]}
        parent = layer_number[old - 1] if old > 0 else -1
        if parent != 0:
            layer["parent"] = parent
        out["layers"].append(layer)
    for old in order:
        record = {}
        if records[old].get("layers"):
            record["layers"] = [{**r, "layer": layer_number[r["layer"]]} for r in records[old]["layers"]]
        record["digest"] = records[old]["digest"]
        if records[old].get("inputs"):
            record["inputs"] = [sorted(({**item, "link": number[same[item["link"]]]} for item in alternatives),
                                       key=lambda item: item["link"]) for alternatives in records[old]["inputs"]]
        out["records"].append(record)
    return out


def break_config(config, what):
    records, layers = config["records"], config["layers"]
    if what == "record":
        records[-1]["layers"] = [{"layer": len(layers)}]
    elif what == "link":
        records[-1]["inputs"] = [[{"link": len(records)}]]
    elif what == "loop":
        root = [r for r in records if not r.get("inputs")][0]
        root["inputs"] = [[{"link": len(records) - 1}], [{"link": records.index(root)}]]
    elif what == "key":
        records[0]["digest"] = "sha256:1234"
    elif what == "parent":
        for layer in layers:
            if layer.get("parent") == -1:
                layer["parent"] = len(layers) - 1
    elif what == "no-parent":
        layers[0].pop("parent", None)
    elif what == "large":
        records += [{"digest": sha("record %d" % i)} for i in range(LIMIT_RECORDS)]
    elif what == "large-results":
        records += [{"digest": sha("record %d" % i), "layers": [{"layer": 0}]} for i in range(LIMIT_RECORDS)]


def break_descriptors(layout, descriptors, blobs, what):
    """The top layer's descriptor, so that nothing stands on what is lost."""
    first, last = ([d for d in descriptors if d["digest"] == blob][0] for blob in (blobs[0], blobs[-1]))
    if what == "diffid":
        last["annotations"]["containerd.io/uncompressed"] = sha("other")
    elif what == "swapped":
        a, b = first["annotations"], last["annotations"]
        key = "containerd.io/uncompressed"
        a[key], b[key] = b[key], a[key]
    elif what == "size":
        last["size"] += 1
    elif what == "media-type":
        last["mediaType"] = "application/octet-stream"
    elif what == "plain-type":
        last["mediaType"] = "application/vnd.oci.image.layer.v1.tar"
    elif what == "annotation":
        del last["annotations"]["containerd.io/uncompressed"]
    elif what == "created":
        last["annotations"]["buildkit/createdat"] = "never"
    elif what == "unnamed":
        descriptors.remove(last)
    elif what == "missing":
        os.unlink(layout.file(last["digest"]))
    elif what == "altered":
        with open(layout.file(last["digest"]), "r+b") as file:
            file.seek(last["size"] - 1)
            file.write(b"!")


def convert(path, form, reference, what):
    layout = Layout(path)
    manifest, image = layout.image()
    blobs = [layer["digest"] for layer in manifest["layers"]]
    times = [item.get("created") for item in image["history"] if not item.get("empty_layer")]
    config = normal(json.loads(base64.b64decode(image["moby.buildkit.cache.v0"])), blobs)
    descriptors = []
    for layer in config["layers"]:
        last = max(i for i, blob in enumerate(blobs) if blob == layer["blob"])
        data = layout.read(layer["blob"])
        packed = data[:2] == b"\x1f\x8b"
        annotations = {}
        if times[last]:
            annotations["buildkit/createdat"] = times[last]
        annotations["containerd.io/uncompressed"] = sha(gzip.decompress(data) if packed else data)
        descriptors.append({"mediaType": "application/vnd.oci.image.layer.v1.tar" + ("+gzip" if packed else ""),
                            "digest": layer["blob"], "size": len(data), "annotations": annotations})
    break_config(config, what)
    break_descriptors(layout, descriptors, blobs, what)
    named = layout.put(compact(config), CONFIG)
    if what == "config":
        os.truncate(layout.file(named["digest"]), named["size"] - 1)
    if form == "index":
        media_type = "application/vnd.oci.image.index.v1+json"
        document = {"schemaVersion": 2, "mediaType": media_type, "manifests": descriptors + [named]}
    else:
        media_type = "application/vnd.oci.image.manifest.v1+json"
        document = {"schemaVersion": 2, "mediaType": media_type, "config": named, "layers": descriptors}
    root = layout.put(compact(document), media_type)
    layout.name(root, reference)
    print(root["digest"])


if sys.argv[1] == "key":
    print(key(int(sys.argv[2])))
else:
    convert(sys.argv[2], sys.argv[3], sys.argv[4], sys.argv[5] if len(sys.argv) > 5 else "")
