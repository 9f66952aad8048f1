#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""make_assets.py FOLDER: 12 MB of web assets, the same on every machine: text that compresses as scripts and style
sheets do, fonts and pictures that hardly compress."""

import hashlib
import os
import sys

WORDS = (
    "function return const let payment invoice amount currency customer account window document element render "
    "state props effect query result error promise await async import export default button margin padding color"
).split()


def noise(seed, size):
    """Bytes that do not compress: SHA-256 of a counter."""
    blocks = (hashlib.sha256(f"{seed} {i}".encode()).digest() for i in range(size // 32 + 1))
    return b"".join(blocks)[:size]


def text(seed, size):
    picks = noise(seed, size // 4)
    parts = []
    length = 0
    for i, pick in enumerate(picks):
        word = WORDS[pick % len(WORDS)] if pick < 224 else f"v{i * 2654435761 % 100003}"
        end = ";\n" if i % 9 == 8 else "({"[i % 2] if pick % 7 == 0 else " "
        parts.append(word + end)
        length += len(parts[-1])
        if length >= size:
            break
    return "".join(parts)[:size].encode()


def main():
    folder = sys.argv[1]
    rows = "".join(f"2024-{m:02}-{d:02},EUR,USD,1.{m * d:04}\n" for m in range(1, 13) for d in range(1, 29))
    files = {
        "index.html": b"<!doctype html>\n<title>Payments</title>\n<script src=\"app.js\"></script>\n",
        "rates.csv": ("date,from,to,rate\n" + rows).encode(),
        "schedule.ics": b"BEGIN:VCALENDAR\r\nVERSION:2.0\r\nPRODID:payments\r\nEND:VCALENDAR\r\n",
        "app.js": text("app", 3 << 20),
        "app.css": text("style", 512 << 10),
    }
    for i in range(24):
        files[f"chunks/{i:02}.js"] = text(f"chunk {i}", 192 << 10)
    for name in ("plain", "bold", "italic"):
        files[f"fonts/{name}.woff2"] = noise(name, 256 << 10)
    for i in range(20):
        files[f"images/{i:02}.webp"] = noise(f"image {i}", 160 << 10)
    for name, data in files.items():
        path = os.path.join(folder, name)
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path, "wb") as out:
            out.write(data)


if __name__ == "__main__":
    main()
