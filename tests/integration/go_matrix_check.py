# SPDX-License-Identifier: Apache-2.0
"""Checks facts of Go programs: go_matrix_check.py FACTS_PROGRAM LIST FIXTURE.

LIST has lines "RELEASE VARIANT FILE"; RELEASE "installed" is a program of this machine.
"""
import json
import os
import re
import shutil
import subprocess
import sys

LINKAGE = {
    "static": "static", "static-stripped": "static", "static-trimpath": "static", "cgo-unused": "static",
    "arm64-static": "static", "arm64-stripped": "static",
    "pie": "static-pie", "pie-stripped": "static-pie", "arm64-pie": "static-pie",
    "cgo": "dynamic-cgo", "cgo-stripped": "dynamic-cgo", "cgo-pie": "dynamic-cgo",
    "cgo-pie-stripped": "dynamic-cgo", "cgo-native": "dynamic-cgo",
    "cgo-static": "static-glibc", "cgo-static-musl": "static-musl",
}
NATIVE = "example.org/fixture/internal/native"


def cgo_packages(variant):
    if not variant.startswith("cgo") or variant == "cgo-unused":
        return []
    return sorted(["net", "os/user"] + ([NATIVE] if variant == "cgo-native" else []))


def quoted(text, special):
    if not any(c in text for c in special):
        return text
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n").replace("\t", "\\t") + '"'


def version_lines(facts):
    """The facts as `go version -m` prints them."""
    lines = []

    def module(word, item):
        if "replaced_by" in item:
            lines.append(f"{word}\t{item['path']}\t{item['version']}")
            new = item["replaced_by"]
            lines.append(f"=>\t{new['path']}\t{new['version']}\t{item['sum']}")
        else:
            lines.append(f"{word}\t{item['path']}\t{item['version']}\t{item['sum']}")

    if facts["path"]:
        lines.append(f"path\t{facts['path']}")
    if "main" in facts:
        module("mod", facts["main"])
    for item in facts["deps"]:
        module("dep", item)
    for key, value in facts["settings"]:
        lines.append("build\t" + quoted(key, "= \t\r\n\"`") + "=" + quoted(value, " \t\r\n\"`"))
    return lines


def check_version(file, facts, release):
    run = subprocess.run(["go", "version", "-m", file], capture_output=True, text=True)
    lines = [line.removeprefix("\t") for line in run.stdout.splitlines()]
    if run.returncode != 0 or not lines:
        # Go itself applies no relocations, so it cannot follow the pointers of old build info in every file.
        if release.startswith(("1.16.", "1.17.")) and facts["version"] == "go" + release:
            return None
        return f"go version -m fails: {run.stderr.strip()}"
    version = lines[0].removeprefix(file + ": ")
    if facts["version"] != version:
        return f"version {facts['version']}, not {version}"
    ours = [line.rstrip("\t") for line in version_lines(facts)]
    theirs = [line.rstrip("\t") for line in lines[1:] if line.strip()]
    if ours != theirs:
        wrong = sorted(set(ours) ^ set(theirs))
        return f"module text differs: {wrong[:3]}"
    return None


def runner(file, variant):
    if not variant.startswith("arm64"):
        return [file]
    emulator = shutil.which("qemu-aarch64-static")
    # Without its loader a position independent program does not start.
    return [emulator, file] if emulator and variant != "arm64-pie" else None


def check_inits(command, facts):
    run = subprocess.run(command, capture_output=True, text=True, env=dict(os.environ, GODEBUG="inittrace=1"))
    theirs = re.findall(r"^init (\S+) @", run.stderr, re.M)
    if not theirs:
        return "the program traces no init functions"
    ours = []
    for item in facts["init"]:
        if not ours or ours[-1] != item["package"]:
            ours.append(item["package"])
    theirs = [package.replace("%2e", ".") for package in theirs]
    if ours != theirs:
        at = next((i for i, pair in enumerate(zip(ours, theirs)) if pair[0] != pair[1]), min(len(ours), len(theirs)))
        return f"init order differs at {at}: {ours[at:at + 2]}, not {theirs[at:at + 2]}"
    return None


def real_trees(fixture):
    """The fixture's two embedded trees with directories, in the order in which Go stores them."""
    def entries(top):
        found = [(top + "/", 0)]
        for folder, folders, files in os.walk(os.path.join(fixture, top)):
            relative = os.path.relpath(folder, fixture)
            found += [(f"{relative}/{name}/", 0) for name in folders]
            found += [(f"{relative}/{name}", os.path.getsize(os.path.join(folder, name))) for name in files]
        return sorted(found, key=lambda item: os.path.split(item[0].rstrip("/")))
    return sorted([entries("static"), [("go.mod", os.path.getsize(os.path.join(fixture, "go.mod")))]])


def check_embeds(facts, fixture):
    trees = sorted([[(item["name"], item["size"]) for item in tree] for tree in facts["embeds"]])
    if trees != real_trees(fixture):
        return f"embedded files are {trees}"
    wrong = [item["name"] for tree in facts["embeds"] for item in tree
             if not item["name"].endswith("/") and not item["hash_matches"]]
    return f"hashes of {wrong} do not match" if wrong else None


def check_fixture(release, variant, file, facts, fixture):
    if facts["linkage"] != LINKAGE[variant]:
        return f"linkage is {facts['linkage']}, not {LINKAGE[variant]}"
    if facts["cgo"] != cgo_packages(variant):
        return f"cgo packages are {facts['cgo']}"
    free = variant.startswith("cgo") and variant not in ("cgo-native", "cgo-unused")
    if facts["free_rebuild"] != free:
        return f"rebuild advice is {facts['free_rebuild']}"
    for package in ("main", "example.org/fixture/yaml.v3", "example.org/part", "runtime", "net", "encoding/json"):
        if not facts["packages"].get(package):
            return f"no code of package {package}"
    problem = check_embeds(facts, fixture)
    command = runner(file, variant)
    if not problem and command:
        problem = check_inits(command, facts)
    elif not problem:
        with_order = [item["package"] for item in facts["init"]]
        if not with_order or with_order[-1] != "main" or "runtime" not in with_order[:6]:
            problem = f"init order is {with_order[:6]} .. {with_order[-2:]}"
    return problem


def check(program, release, variant, file, fixture):
    run = subprocess.run([program, file], capture_output=True, text=True, check=True)
    facts = json.loads(run.stdout)["go"]
    if facts is None:
        return "not taken for a Go program"
    if facts["problems"] or facts["opaque"]:
        return f"problems: {facts['problems']} {facts['opaque']}"
    problem = check_version(file, facts, release)
    if not problem and release != "installed":
        problem = check_fixture(release, variant, file, facts, fixture)
    if not problem and release == "installed" and not (facts["functions"] and facts["init"]):
        problem = "no functions or init functions"
    return problem


def main():
    program, listing, fixture = sys.argv[1:]
    passed = failed = 0
    for line in open(listing, encoding="utf-8"):
        release, variant, file = line.rstrip("\n").split(" ", 2)
        problem = check(program, release, variant, file, fixture)
        print(f"{release} {variant}: {problem or 'ok'}", flush=True)
        passed, failed = (passed, failed + 1) if problem else (passed + 1, failed)
    print(f"{passed} passed, {failed} failed")
    return 1 if failed or not passed else 0


if __name__ == "__main__":
    sys.exit(main())
