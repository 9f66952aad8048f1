# What a scanner reads of an image of apk packages after it is slimmed: exactly the packages of which a file other than
# documentation is left, in the source's versions, and of their files those that are there, by a reader of our own
# test. The trees are generated: three, by fixed seeds.
. "$(dirname "$0")/common.inc"

for seed in 1 2 3; do
    python3 - "$seed" "$work/database" << 'P' > "$work/description"
"""Describes an image of 30 packages; names a third of their files in a configuration file of the application."""
import base64, hashlib, random, sys

draw = random.Random(int(sys.argv[1]))
database, files, named = "", [], []
folders = ("usr/bin", "usr/lib", "lib", "bin", "usr/libexec/{}", "usr/share/{}", "usr/share/doc/{}",
           "usr/share/man/man1", "usr/share/licenses/{}", "etc/{}")
for number in range(30):
    name = f"p{number}"
    version = f"{draw.randrange(9)}.{draw.randrange(99)}-r{draw.randrange(5)}"
    database += f"C:Q1{base64.b64encode(hashlib.sha1(name.encode()).digest()).decode()}\nP:{name}\nV:{version}\n"
    database += f"A:x86_64\nS:1000\nI:4096\nT:generated\nU:https://example.org\nL:MIT\no:{name}\nm:A <a@example.org>\n"
    owned = {}
    for _ in range(draw.randrange(1, 6)):
        owned.setdefault(draw.choice(folders).format(name), []).append(f"{name}-{draw.randrange(1000)}")
    if number % 7 == 0:
        owned.setdefault("", []).append(f".{name}")
    for folder, names in sorted(owned.items()):
        database += f"F:{folder}\n"
        if draw.random() < 0.2:
            database += "M:0:0:750\n"
        for file in sorted(set(names)):
            path = f"{folder}/{file}" if folder else file
            content = f"{path} of {name}\n"
            digest = base64.b64encode(hashlib.sha1(content.encode()).digest()).decode()
            database += f"R:{file}\na:0:0:644\nZ:Q1{digest}\n"
            files.append((path, content))
            if draw.random() < 0.33 or (number < 2 and not named):
                named.append("/" + path)
    database += "\n"
with open(sys.argv[2], "w") as out:
    out.write(database)
print("""config '{"config": {"Entrypoint": ["/app/service"]}}'""")
print("layer gzip")
print("f etc/os-release \"text:ID=alpine\\n\"\nf app/service elf:1 mode=0755")
print(f'f lib/apk/db/installed file:{sys.argv[2]}')
for path, content in files:
    print(f'f {path} "text:{content[:-1]}\\n"')
print('f app/service.yaml "text:' + "".join(f"file: {path}\\n" for path in named) + '"')
P
    rm -rf "$work/source" "$work/slim" "$work/tree"
    image "$work/source" < "$work/description" > /dev/null
    expect 0 "$imgslim" optimize --report "$work/report" "oci:$work/source" "oci:$work/slim"
    same "$(field "$work/report" .form)" distroless
    python3 "$support/unpack.py" "$work/slim" "$work/tree" --pure > /dev/null
    python3 - "$work/database" "$work/tree/rootfs" << 'P' || fail "seed $seed: the packages differ"
import base64, hashlib, os, sys

documentation = ("usr/share/doc/", "usr/share/man/", "usr/share/licenses/")


def read(path):
    packages = {}
    for paragraph in open(path).read().split("\n\n"):
        name = version = folder = file = None
        files = {}
        for line in paragraph.splitlines():
            key, value = line[0], line[2:]
            if key == "P":
                name = value
            elif key == "V":
                version = value
            elif key == "F":
                folder = value
            elif key == "R":
                file = f"{folder}/{value}" if folder else value
                files[file] = None
            elif key == "Z":
                files[file] = value
        if name:
            packages[name, version] = files
    return packages


source, root = read(sys.argv[1]), sys.argv[2]
result = read(f"{root}/lib/apk/db/installed")
expected = {package for package, files in source.items()
            if any(os.path.lexists(f"{root}/{path}") and not path.startswith(documentation) for path in files)}
assert 3 < len(expected) < len(source), len(expected)
for package in sorted(expected ^ set(result)):
    print("missing" if package in expected else "too many", *package)
for package, files in result.items():
    there = {path for path in source[package] if os.path.lexists(f"{root}/{path}")}
    assert set(files) == there, (package, set(files) ^ there)
    for path, digest in files.items():
        with open(f"{root}/{path}", "rb") as file:
            assert digest == "Q1" + base64.b64encode(hashlib.sha1(file.read()).digest()).decode(), path
sys.exit(expected != set(result))
P
    # The service is made up and for no machine; of packages verify has nothing to say.
    "$imgslim" verify --format json "oci:$work/slim" > "$work/verified" 2> /dev/null || true
    same "$(jq '[.. | .check? // empty | select(startswith("package"))] | length' "$work/verified")" 0
    same "$(jq '[.. | .check? // empty] | length > 0' "$work/verified")" true
    expect 0 "$imgslim" optimize --report "$work/again" "oci:$work/slim" "oci:$work/slim2"
    same "$(field "$work/again" .changed)" false
    rm -rf "$work/slim2"
done
