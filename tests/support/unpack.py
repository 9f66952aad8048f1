#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""unpack.py LAYOUT[:REF] BUNDLE [--port N] [--pure]: unpacks an image for this machine's platform into BUNDLE/rootfs
and writes runc's BUNDLE/config.json from the image's own configuration. Prints the label imgslim.test, or "serves".

umoci applies the layers where it can; without it, for zstd, behind an index, and with --pure they are applied here, by
the image specification. Only the network namespace is the host's, so that loopback works; nothing of the host is mounted.
"""

import argparse
import json
import os
import platform
import shutil
import stat
import subprocess
import sys
import tarfile

WHITEOUT = ".wh."
OPAQUE = ".wh..wh..opq"
ARCHITECTURES = {"x86_64": "amd64", "aarch64": "arm64"}
CAPABILITIES = (
    "CHOWN DAC_OVERRIDE FSETID FOWNER MKNOD NET_RAW SETGID SETUID SETFCAP SETPCAP NET_BIND_SERVICE SYS_CHROOT KILL "
    "AUDIT_WRITE"
).split()
DEFAULT_PATH = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"


def blob_path(layout, digest):
    return os.path.join(layout, "blobs", *digest.split(":"))


def read_json(layout, descriptor):
    with open(blob_path(layout, descriptor["digest"]), encoding="utf-8") as blob:
        return json.load(blob)


def find_manifest(layout, ref):
    """The descriptor that REF (or the only entry) leads to for this machine's platform; whether an index was passed."""
    with open(os.path.join(layout, "index.json"), encoding="utf-8") as text:
        entries = json.load(text)["manifests"]
    named = [e for e in entries if e.get("annotations", {}).get("org.opencontainers.image.ref.name") == ref]
    if not named and len(entries) == 1:
        named = entries
    if not named:
        sys.exit(f"unpack.py: {layout}: no image {ref}")
    entry = named[0]
    indexed = False
    wanted = ARCHITECTURES.get(platform.machine(), platform.machine())
    while "index" in entry["mediaType"] or "manifest.list" in entry["mediaType"]:
        for child in read_json(layout, entry)["manifests"]:
            if child.get("platform", {}).get("architecture", wanted) == wanted:
                entry, indexed = child, True
                break
        else:
            sys.exit(f"unpack.py: {layout}: nothing for {wanted}")
    return entry, indexed


# Applying layers.


def inside(root, name):
    """The path under root that name stands for: parent folders that are links are resolved within root."""
    parts = [p for p in name.split("/") if p not in ("", ".")]
    done = []
    hops = 0
    while len(parts) > 1:
        part = parts.pop(0)
        if part == "..":
            done = done[:-1]
            continue
        here = os.path.join(root, *done, part)
        if os.path.islink(here):
            hops += 1
            if hops > 255:
                sys.exit(f"unpack.py: {name}: too many links")
            target = os.readlink(here)
            if target.startswith("/"):
                done = []
            parts = [p for p in target.split("/") if p not in ("", ".")] + parts
        else:
            done.append(part)
    if parts == [".."]:
        sys.exit(f"unpack.py: {name}: leads out")
    return os.path.join(root, *done, *parts)


def remove(path):
    if os.path.isdir(path) and not os.path.islink(path):
        shutil.rmtree(path)
    elif os.path.lexists(path):
        os.unlink(path)


def apply_layer(root, archive):
    written = set()
    times = {}
    for entry in archive:
        path = inside(root, entry.name)
        folder, name = os.path.split(path)
        if name == OPAQUE:
            for child in os.listdir(folder):
                if os.path.join(folder, child) not in written:
                    remove(os.path.join(folder, child))
            continue
        if name.startswith(WHITEOUT):
            remove(os.path.join(folder, name[len(WHITEOUT):]))
            continue
        os.makedirs(folder, exist_ok=True)
        if not (entry.isdir() and os.path.isdir(path) and not os.path.islink(path)):
            remove(path)
        create(root, path, entry, archive)
        if not entry.islnk():
            set_owner(path, entry)
            times[path] = entry.mtime
        while path not in written and path != root:
            written.add(path)
            path = os.path.dirname(path)
    for path, time in times.items():
        if os.path.lexists(path):
            os.utime(path, (time, time), follow_symlinks=False)


def create(root, path, entry, archive):
    if entry.isdir():
        os.makedirs(path, exist_ok=True)
    elif entry.issym():
        os.symlink(entry.linkname, path)
    elif entry.islnk():
        os.link(inside(root, entry.linkname), path, follow_symlinks=False)
    elif entry.isfifo():
        os.mkfifo(path)
    elif entry.ischr() or entry.isblk():
        kind = stat.S_IFCHR if entry.ischr() else stat.S_IFBLK
        os.mknod(path, kind | 0o600, os.makedev(entry.devmajor, entry.devminor))
    elif entry.isreg():
        with open(path, "wb") as out:
            shutil.copyfileobj(archive.extractfile(entry), out, 1 << 20)
    else:
        sys.exit(f"unpack.py: {entry.name}: unknown type")


def set_owner(path, entry):
    os.lchown(path, entry.uid, entry.gid)
    if not entry.issym():
        os.chmod(path, entry.mode)
    for key, value in entry.pax_headers.items():
        if key.startswith("SCHILY.xattr."):
            os.setxattr(path, key[len("SCHILY.xattr."):], value.encode("utf-8", "surrogateescape"))


def apply_layers(layout, manifest, root):
    os.makedirs(root)
    for layer in manifest["layers"]:
        path = blob_path(layout, layer["digest"])
        if layer["mediaType"].endswith("zstd"):
            with subprocess.Popen(["zstd", "-q", "-d", "-c", path], stdout=subprocess.PIPE) as zstd:
                with tarfile.open(fileobj=zstd.stdout, mode="r|") as archive:
                    apply_layer(root, archive)
                shutil.copyfileobj(zstd.stdout, open(os.devnull, "wb"))
            if zstd.returncode:
                sys.exit(f"unpack.py: {path}: zstd failed")
        else:
            with tarfile.open(path, "r|*") as archive:
                apply_layer(root, archive)


def umoci_unpacks(layout, ref, manifest, root):
    if shutil.which("umoci") is None or any(l["mediaType"].endswith("zstd") for l in manifest["layers"]):
        return False
    run = subprocess.run(["umoci", "raw", "unpack", "--image", f"{layout}:{ref}", root], capture_output=True, check=False)
    if run.returncode and os.path.exists(root):
        shutil.rmtree(root)
    return run.returncode == 0


# The runtime's configuration.


def accounts(root, name):
    """Rows of the image's passwd or group file."""
    path = inside(root, "etc/" + name)
    if not os.path.isfile(path):
        return []
    with open(path, encoding="utf-8") as text:
        return [line.rstrip("\n").split(":") for line in text if line.count(":") >= 3]


def user_of(root, text):
    """(uid, gid, further gids, home) as a runtime takes them from USER."""
    user, _, group = (text or "0").partition(":")
    row = next((r for r in accounts(root, "passwd") if r[0] == user or r[2] == user), None)
    if row is None and not user.isdigit():
        sys.exit(f"unpack.py: the user {user} is not in the image")
    uid = int(row[2] if row else user)
    gid = int(row[3]) if row else 0
    groups = accounts(root, "group")
    further = [int(g[2]) for g in groups if row and row[0] in g[3].split(",")]
    if group:
        found = next((g for g in groups if g[0] == group or g[2] == group), None)
        if found is None and not group.isdigit():
            sys.exit(f"unpack.py: the group {group} is not in the image")
        gid, further = int(found[2] if found else group), []
    return uid, gid, further, row[5] if row and len(row) > 5 else "/"


def runtime_config(root, settings, port):
    uid, gid, further, home = user_of(root, settings.get("User"))
    env = list(settings.get("Env") or [])
    for default in (DEFAULT_PATH, "HOME=" + home):
        if not any(e.startswith(default.split("=")[0] + "=") for e in env):
            env.append(default)
    env.append(f"PORT={port}")
    capabilities = ["CAP_" + name for name in CAPABILITIES]
    mount_options = ["nosuid", "noexec", "nodev"]
    return {
        "ociVersion": "1.0.2",
        "process": {
            "terminal": False,
            "user": {"uid": uid, "gid": gid, "additionalGids": further},
            "args": list(settings.get("Entrypoint") or []) + list(settings.get("Cmd") or []),
            "env": env,
            "cwd": settings.get("WorkingDir") or "/",
            "capabilities": {"bounding": capabilities, "effective": capabilities, "permitted": capabilities},
            "noNewPrivileges": True,
        },
        "root": {"path": "rootfs", "readonly": False},
        "hostname": "image",
        "mounts": [
            {"destination": "/proc", "type": "proc", "source": "proc", "options": mount_options},
            {
                "destination": "/dev",
                "type": "tmpfs",
                "source": "tmpfs",
                "options": ["nosuid", "strictatime", "mode=755", "size=65536k"],
            },
            {
                "destination": "/dev/shm",
                "type": "tmpfs",
                "source": "shm",
                "options": mount_options + ["mode=1777", "size=65536k"],
            },
            {"destination": "/sys", "type": "none", "source": "/sys", "options": ["rbind"] + mount_options + ["ro"]},
        ],
        "linux": {"namespaces": [{"type": name} for name in ("pid", "ipc", "uts", "mount")]},
    }


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("image")
    parser.add_argument("bundle")
    parser.add_argument("--port", type=int, default=8080)
    parser.add_argument("--pure", action="store_true")
    options = parser.parse_args()
    layout, ref = options.image, "latest"
    if not os.path.isdir(layout):
        layout, _, ref = layout.rpartition(":")
    if not os.path.isdir(layout):
        sys.exit(f"unpack.py: {options.image}: no such layout")
    entry, indexed = find_manifest(layout, ref)
    manifest = read_json(layout, entry)
    config = read_json(layout, manifest["config"])
    settings = config.get("config") or {}
    root = os.path.join(options.bundle, "rootfs")
    if options.pure or indexed or not umoci_unpacks(layout, ref, manifest, root):
        apply_layers(layout, manifest, root)
    runtime = runtime_config(root, settings, options.port)
    with open(os.path.join(options.bundle, "config.json"), "w", encoding="utf-8") as out:
        json.dump(runtime, out, indent=1)
    print((settings.get("Labels") or {}).get("imgslim.test", "serves"))


if __name__ == "__main__":
    main()
