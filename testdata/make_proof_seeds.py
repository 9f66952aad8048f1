#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Writes seeds of fuzz_proof into FOLDER/proof: make_proof_seeds.py FOLDER"""

import json
import os
import sys

DIGEST = "sha256:" + "0" * 64


def document(platform):
    return {
        "version": 1,
        "tool": {"name": "imgslim", "version": "1", "rules": DIGEST, "libraries": {"zlib": "1"}},
        "form": "distroless",
        "accept": "candidate",
        "options": ["--keep /a"],
        "source": DIGEST,
        "result": DIGEST,
        "platforms": [platform],
    }


def platform(**changes):
    value = {
        "platform": "linux/amd64",
        "source": DIGEST,
        "result": DIGEST,
        "weakest": "known",
        "bytes": {"source": 10, "kept": 3, "padding": 2},
        "roots": [{"origin": "CMD", "argv": ["/a"], "program": "/a"}],
        "attributes": ["d 0755 0 0", "f 0644 1 2 " + DIGEST, "l 0777 0 0"],
        "witnesses": [["command", "exact", "CMD", ""], ["link", "known", 1, "its target"]],
        "paths": [[0, "", 0, 0], [1, "a", 1, 0, 5, "00000000000000ff"], [1, "b", 2, 1, "a"]],
        "rules": [{"id": "x", "reason": "y", "entries": 2, "bytes": 5}],
        "dropped": [["/", 0, 1, 2], ["/c", 0, 1, 3]],
        "findings": [{"kind": "dlopen", "path": 1, "evidence": "bounded", "site": 1, "found": [2, "/d"]}],
        "not_covered": ["the rest"],
    }
    value.update(changes)
    return value


DEBUG_INFO = {
    "path": 1,
    "before": {"digest": DIGEST, "size": 9},
    "after": {"digest": DIGEST, "size": 5},
    "loaded": DIGEST,
    "sections": [[".debug_info", 3]],
    "companion": ".build-id/01/23.debug",
}

folder = os.path.join(sys.argv[1], "proof")
os.makedirs(folder, exist_ok=True)
seeds = {
    "small": document(platform()),
    "tidy": document(platform(attributes=[], witnesses=[], paths=[], findings=[])),
    "debug-info": document(
        platform(
            rules=[{"id": "debug-info", "reason": "y", "entries": 1, "bytes": 5}],
            dropped=[],
            debug_info=[DEBUG_INFO, dict(DEBUG_INFO, path="/c", companion=".build-id/ab/c.debug")],
        )
    ),
    "circle": document(platform(witnesses=[["link", "exact", 2, ""], ["link", "exact", 1, "\\xff"]])),
}
for name, seed in seeds.items():
    with open(os.path.join(folder, name), "w", encoding="utf-8") as file:
        json.dump(seed, file, separators=(",", ":"))
