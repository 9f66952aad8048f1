#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Writes the seeds of fuzz_tar, fuzz_pax and fuzz_tree: make_tar_seeds.py TESTDATA/fuzz"""
import io
import pathlib
import sys
import tarfile

root = pathlib.Path(sys.argv[1])


def put(target, name, data):
    path = root / target / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)


def archive(form, entries, **options):
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=form, **options) as tar:
        for name, kind, link, content, records in entries:
            info = tarfile.TarInfo(name)
            info.type, info.linkname, info.size, info.pax_headers = kind, link, len(content), records
            info.mtime = 1.5 if form == tarfile.PAX_FORMAT else 1
            tar.addfile(info, io.BytesIO(content))
    return out.getvalue().rstrip(b"\0") + b"\0" * 1100


def record(key, value):
    rest = len(key) + len(value) + 3
    size = rest
    while size != rest + len(str(size)):
        size = rest + len(str(size))
    return b"%d %s=%s\n" % (size, key, value)


basic = [
    ("d/", tarfile.DIRTYPE, "", b"", {}),
    ("d/f", tarfile.REGTYPE, "", b"content", {}),
    ("d/h", tarfile.LNKTYPE, "d/f", b"", {}),
    ("d/s", tarfile.SYMTYPE, "../x", b"", {}),
    ("d/.wh.gone", tarfile.REGTYPE, "", b"", {}),
    ("d/.wh..wh..opq", tarfile.REGTYPE, "", b"", {}),
]
long = [("n/" * 60 + "x", tarfile.SYMTYPE, "t/" * 70, b"", {})]
xattrs = [("x", tarfile.REGTYPE, "", b"1", {"SCHILY.xattr.user.a": "v", "uid": "4294967294"})]
put("tar", "ustar", archive(tarfile.USTAR_FORMAT, basic))
put("tar", "gnu", archive(tarfile.GNU_FORMAT, basic + long))
put("tar", "pax", archive(tarfile.PAX_FORMAT, basic + long + xattrs))
put("tar", "global", archive(tarfile.PAX_FORMAT, xattrs, pax_headers={"comment": "c", "uid": "1"}))
sparse_1 = {"GNU.sparse.major": "1", "GNU.sparse.minor": "0", "GNU.sparse.name": "s", "GNU.sparse.realsize": "2000"}
put("tar", "sparse-1.0", archive(tarfile.PAX_FORMAT, [
    ("s", tarfile.REGTYPE, "", b"2\n0\n3\n1990\n10\n".ljust(512, b"\0") + b"abc0123456789", sparse_1)]))
sparse_0 = {"GNU.sparse.size": "2000", "GNU.sparse.numblocks": "1", "GNU.sparse.map": "100,5"}
put("tar", "sparse-0.1", archive(tarfile.PAX_FORMAT, [("s", tarfile.REGTYPE, "", b"hello", sparse_0)]))

put("pax", "names", record(b"path", b"a/b") + record(b"linkpath", b"c") + record(b"size", b"12"))
put("pax", "ids", record(b"uid", b"3000000") + record(b"gid", b"0") + record(b"mtime", b"-12.0625"))
put("pax", "xattrs", record(b"SCHILY.xattr.user.a", b"\0=\n") + record(b"LIBARCHIVE.xattr.user.b", b"dGV4dA"))
put("pax", "sparse", record(b"GNU.sparse.size", b"9") + record(b"GNU.sparse.map", b"0,1,4,5"))
put("pax", "time", b"-1234567890.123456789")

put("tree", "whiteouts", bytes([11, 4, 11, 20, 0, 1, 15, 5, 4, 8, 0, 11, 4, 15, 73, 0, 11, 1]))
put("tree", "links", bytes([11, 0, 3, 1, 0, 3, 2, 1, 15, 11, 0, 3, 1, 0, 15, 5, 0]))
put("tree", "through-links", bytes([0, 4, 4, 1, 4, 11, 8, 15, 11, 9, 36, 2, 0, 11, 10]))
