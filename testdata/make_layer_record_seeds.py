#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Writes testdata/fuzz/layer_record: records of layers as layers/packed_layer.cc packs them."""
import os

FOLDER = os.path.join(os.path.dirname(os.path.abspath(__file__)), "fuzz", "layer_record")
DIGEST = b"sha256:" + b"ab" * 32


def number(value):
    out = bytearray()
    while value >= 0x80:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes(out) + bytes([value])


def text(value):
    return number(len(value)) + value


def entry(kind, front, path, link=b"", gap=0, header=512, stored=0, size=None, xattrs=0, sparse=0):
    size = stored if size is None else size
    fields = [gap, header, stored, size, 512 + stored, 77, 0, 3400000000, 0, 0o644, 0, 0, 0, 0, xattrs, sparse]
    return number(front) + text(path) + text(link) + bytes([kind]) + b"".join(map(number, fields))


def record(entries, sparse_maps=((),), xattrs=((),), checkpoints=(), size=100, plain=1 << 20):
    out = text(b"layer 1") + text(DIGEST) + text(DIGEST) + number(size) + number(plain) + b"\x01"
    out += number(len(xattrs))
    for each in xattrs:
        out += number(len(each)) + b"".join(text(n) + text(v) for n, v in each)
    out += number(len(sparse_maps))
    for each in sparse_maps:
        out += number(len(each)) + b"".join(number(o) + number(n) for o, n in each)
    out += number(1) + text(b"a warning") + number((size - 1) // (256 << 10))
    out += b"".join(number(7) * 8 for _ in range((size - 1) // (256 << 10)))
    out += number(len(entries)) + b"".join(entries)
    out += number(1) + number(0) + text(b"kind") + text(b"data")
    out += number(len(checkpoints)) + b"".join(number(b) + number(p) + text(s) for b, p, s in checkpoints)
    return out


SEEDS = {
    "plain": record([entry(5, 0, b"etc"), entry(0, 3, b"/conf", stored=10, gap=512), entry(2, 4, b"link", b"conf", 1024)]),
    "links": record([entry(0, 0, b"a", stored=4), entry(1, 0, b"b", b"a", 1024), entry(7, 0, b"c", gap=1536)]),
    "sparse": record([entry(0, 0, b"s", stored=6, size=100, sparse=1)], ((), ((0, 2), (50, 4)))),
    "xattrs": record([entry(0, 0, b"x", xattrs=1)], xattrs=((), ((b"security.capability", b"\x01\x00"), (b"user.a", b"")))),
    "checkpoints": record([entry(0, 0, b"x", stored=90000)], checkpoints=((10, 40000, b"\x03" + bytes(8) + b"window"), (50, 90000, b"")),
                          size=600000),
}

os.makedirs(FOLDER, exist_ok=True)
for name, data in SEEDS.items():
    with open(os.path.join(FOLDER, name), "wb") as file:
        file.write(data)
