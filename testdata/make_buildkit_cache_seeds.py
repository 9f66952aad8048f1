#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Seeds of fuzz_buildkit_cache: small configs and inline records. make_buildkit_cache_seeds.py DIRECTORY"""

import hashlib
import json
import os
import sys

TIME = "2026-11-22T10:00:00.5Z"


def sha(text):
    return "sha256:" + hashlib.sha256(text.encode()).hexdigest()


LAYERS = [{"blob": sha("a"), "parent": -1}, {"blob": sha("empty")}, {"blob": sha("empty"), "parent": 1},
          {"blob": sha("b"), "parent": 2}]
RECORDS = [
    {"digest": sha("root")},
    {"layers": [{"layer": 1, "createdAt": TIME}], "digest": sha("run"), "inputs": [[{"link": 0}]]},
    {"layers": [{"layer": 2, "createdAt": TIME}], "digest": sha("run"), "inputs": [[{"link": 1}]]},
    {"layers": [{"layer": 3}], "digest": sha("copy"),
     "inputs": [[{"link": 2}], [{"selector": sha("s"), "link": 0}, {"link": 5}]]},
    {"digest": "random:1"},
    {"digest": sha("content"), "inputs": [[{"link": 0}]]},
]
SEEDS = {
    "whole": {"layers": LAYERS, "records": RECORDS},
    "inline": RECORDS,
    "chains": {"layers": LAYERS, "records": [{"chains": [{"layers": [0, 3], "createdAt": "0001-01-01T00:00:00Z"}],
                                              "digest": sha("link")}]},
    "roots": {"layers": LAYERS[:1], "records": [{"layers": [{"layer": 0}], "digest": sha("root")}] * 2},
    "random": [{"digest": "random:1"}, {"layers": [{"layer": 0}], "digest": sha("x"), "inputs": [[{"link": 0}], None]}],
    "loop": {"layers": [{"blob": sha("a")}], "records": []},
}


def main():
    directory = os.path.join(sys.argv[1], "buildkit_cache")
    os.makedirs(directory, exist_ok=True)
    for name, value in SEEDS.items():
        with open(os.path.join(directory, name), "w", encoding="utf-8") as file:
            json.dump(value, file, separators=(",", ":"))


main()
