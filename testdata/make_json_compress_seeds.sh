#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Makes the seeds of fuzz_json and fuzz_compress in testdata/fuzz. Needs gzip and zstd.
set -eu
cd "$(dirname "$0")/fuzz"
mkdir -p json compress

printf '%s' '{"schemaVersion":2,"mediaType":"application/vnd.oci.image.manifest.v1+json","config":{"size":7023},"layers":[]}' >json/manifest
printf '%s' '[0,-0,1.0,-1E+5,18446744073709551615,-9223372036854775808,12345678901234567890123]' >json/numbers
printf '%s' '{"a":"\ud83d\ude00\u00e9\n\"\\\/","b":[true,false,null,{}],"":""}' >json/strings
printf '%s' '{"a":1,"b":2,"a":3}' >json/duplicate
printf '[[[[[[[[{"a":[]}]]]]]]]]' >json/deep

text() { seq 1 700 | sed 's/$/ the same again/'; }
text | gzip -n -9 >compress/gzip
text | gzip -n -1 >compress/gzip-fast
{ text | gzip -n; printf '' | gzip -n; seq 1 50 | gzip -n; } >compress/gzip-members
{ seq 1 50 | gzip -n; printf '\000\000\000\000\000'; } >compress/gzip-zeros
printf '\037\213\010\036\000\000\000\000\000\377\002\000ABname\000comment\000\000\000' >compress/gzip-header
text | zstd -q --check >compress/zstd
{ seq 1 50 | zstd -q; printf '\120\052\115\030\003\000\000\000abc'; seq 1 50 | zstd -q --no-check; } >compress/zstd-frames
printf '\050\265\057\375\000\130\003\000\020x' >compress/zstd-rle
