#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""settle.py TREE: takes clock times and inode numbers out of the files that packages and Go write them into."""

import os
import re
import sys

LOGS = ("var/log/dpkg.log", "var/log/alternatives.log", "var/log/bootstrap.log", "var/log/apt/history.log",
        "var/log/apt/term.log")
TIME = re.compile(rb"\d{4}-\d\d-\d\d +\d\d:\d\d:\d\d")
# An action of Go's build cache: "v1 <id> <output> <size> <time>".
ACTION = re.compile(rb"(v1 [0-9a-f]+ [0-9a-f]+ +\d+ ) *\d+\n")
# Debian's own, without entries: they hold inode numbers.
EMPTY_AUX_CACHE = b"glibc-ld.so.auxcache-1.0" + bytes(8)


def rewrite(path, change):
    if not os.path.isfile(path):
        return
    with open(path, "rb") as file:
        old = file.read()
    new = change(old)
    if new != old:
        with open(path, "r+b") as file:
            file.write(new)
            file.truncate()


def main():
    tree = sys.argv[1]
    for log in LOGS:
        rewrite(os.path.join(tree, log), lambda text: TIME.sub(b"2024-01-01  00:00:00", text))
    rewrite(os.path.join(tree, "var/cache/ldconfig/aux-cache"), lambda _: EMPTY_AUX_CACHE)
    for name in ("pkgcache.bin", "srcpkgcache.bin"):
        path = os.path.join(tree, "var/cache/apt", name)
        if os.path.exists(path):
            os.unlink(path)
    cache = os.path.join(tree, "root/.cache/go-build")
    for folder, _, names in os.walk(cache):
        for name in names:
            if name.endswith("-a"):
                rewrite(os.path.join(folder, name), lambda text: ACTION.sub(rb"\g<1> 1704067200000000000\n", text))
    rewrite(os.path.join(cache, "trim.txt"), lambda _: b"1704067200")


if __name__ == "__main__":
    main()
