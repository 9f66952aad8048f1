# SPDX-License-Identifier: Apache-2.0
"""OCI layouts of one image, for the scripts beside this that make one from another."""
import gzip
import hashlib
import json
import os


class Layout:
    def __init__(self, path):
        self.path = path

    def file_of(self, digest):
        return f"{self.path}/blobs/{digest.replace(':', '/')}"

    def read(self, digest):
        with open(self.file_of(digest), "rb") as file:
            return file.read()

    def image(self):
        """index, manifest, config"""
        with open(self.path + "/index.json", encoding="utf-8") as file:
            index = json.load(file)
        manifest = json.loads(self.read(index["manifests"][0]["digest"]))
        return index, manifest, json.loads(self.read(manifest["config"]["digest"]))

    def put(self, data):
        digest = "sha256:" + hashlib.sha256(data).hexdigest()
        with open(self.file_of(digest), "wb") as file:
            file.write(data)
        return {"digest": digest, "size": len(data)}

    def put_layer(self, tar):
        """A gzip blob, and its DiffID."""
        return self.put(gzip.compress(tar, 6, mtime=0)), "sha256:" + hashlib.sha256(tar).hexdigest()

    def put_image(self, index, manifest, config):
        manifest["config"].update(self.put(json.dumps(config).encode()))
        index["manifests"] = [index["manifests"][0] | self.put(json.dumps(manifest).encode())]
        for name, value in (("index.json", index), ("oci-layout", {"imageLayoutVersion": "1.0.0"})):
            with open(f"{self.path}/{name}", "w", encoding="utf-8") as file:
                json.dump(value, file)


def new_layout(path):
    os.makedirs(path + "/blobs/sha256")
    return Layout(path)
