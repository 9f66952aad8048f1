#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""run_chroot.py BUNDLE: starts a bundle's process as its config.json says, where runc cannot: chroot in the private
mount and process namespace that the caller made (unshare --mount --pid --fork)."""

import json
import os
import shutil
import subprocess
import sys


def main():
    bundle = sys.argv[1]
    with open(os.path.join(bundle, "config.json"), encoding="utf-8") as text:
        config = json.load(text)
    root = os.path.join(bundle, "rootfs")
    for folder in ("proc", "dev"):
        os.makedirs(os.path.join(root, folder), exist_ok=True)
    subprocess.run(["mount", "-t", "proc", "proc", os.path.join(root, "proc")], check=True)
    subprocess.run(["mount", "-t", "tmpfs", "-o", "mode=755", "tmpfs", os.path.join(root, "dev")], check=True)
    for name in ("null", "zero", "random", "urandom"):
        node = os.path.join(root, "dev", name)
        open(node, "w", encoding="utf-8").close()
        subprocess.run(["mount", "--bind", "/dev/" + name, node], check=True)
    process = config["process"]
    user = process["user"]
    env = dict(e.split("=", 1) for e in process["env"])
    os.chroot(root)
    os.makedirs(process["cwd"], exist_ok=True)
    os.chdir(process["cwd"])
    os.setgroups(user["additionalGids"])
    os.setgid(user["gid"])
    os.setuid(user["uid"])
    program = shutil.which(process["args"][0], path=env.get("PATH", ""))
    if program is None:
        sys.exit(f"run_chroot.py: {process['args'][0]}: not in the image")
    os.execve(program, process["args"], env)


if __name__ == "__main__":
    main()
