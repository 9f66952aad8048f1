# SPDX-License-Identifier: Apache-2.0
# Makes of blocks "== PROGRAM" and the output of LD_TRACE_LOADED_OBJECTS=1 (glibc) or --list (musl) the lines that
# imgslim_library_search --list prints: found libraries in order, then what is missing, sorted.
function flush_block(    i, j, swap) {
  if (fatal) { print "fatal"; found = rest = 0; return }
  for (i = 0; i < found; i++) print lines[i]
  for (i = 1; i < rest; i++)
    for (j = i; j > 0 && tail[j - 1] > tail[j]; j--) { swap = tail[j]; tail[j] = tail[j - 1]; tail[j - 1] = swap }
  for (i = 0; i < rest; i++) print tail[i]
  found = rest = 0
}
/^== / { if (NR > 1) flush_block(); fatal = musl = 0; print; next }
/error while loading shared libraries/ { fatal = 1; next }
# musl names itself first, and again under each name it stands for.
/^\t[^ ]*\/ld-musl[^ ]* \(0x/ { next }
/ => [^ ]*\/ld-musl[^ ]* \(0x/ { if (!musl) lines[found++] = "loader"; musl = 1; next }
/^\t(linux-vdso|linux-gate| \(0x)/ { next }
/statically linked/ { lines[found++] = "static"; next }
/: version `.*' not found \(required by/ {
  match($0, /version `[^']*'/); name = substr($0, RSTART + 9, RLENGTH - 10)
  file = substr($0, 1, RSTART - 3); sub(/^.*: /, "", file)
  tail[rest++] = "version " name " " file; next
}
/ => not found$/ { sub(/^\t/, ""); sub(/ => not found$/, ""); tail[rest++] = "missing " $0; next }
/^Error loading shared library / {
  sub(/^Error loading shared library /, ""); sub(/: .*$/, ""); tail[rest++] = "missing " $0; next
}
/^Error relocating / || /^ERROR: ld.so: object .* cannot be preloaded/ { next }
/^\t/ {
  sub(/^\t/, ""); sub(/ \(0x[0-9a-f]*\)$/, "")
  if ($0 ~ /(^|\/)ld(-linux|-musl|64)[^\/]*$/ && $0 !~ / => /) lines[found++] = "loader"
  else if ($0 ~ / => .*\/ld(-linux|-musl|64)[^\/]*$/) lines[found++] = "loader"
  else if ($0 ~ / => /) lines[found++] = $0
  else lines[found++] = $0 " => " $0
  next
}
{ lines[found++] = "? " $0 }
END { flush_block() }
