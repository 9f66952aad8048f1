# What of a result is taken away, verify finds: without the certificate every ELF object, script and link, and with it
# every path. Nothing is missed, and nothing is called broken that is not. Sample: 50 of the other paths, seed 1;
# IMGSLIM_FULL=1: all of them.
. "$(dirname "$0")/common.inc"
mutants=$drivers/imgslim_mutants
[ -x "$mutants" ] || skip "no driver imgslim_mutants here"

count=50
[ -z "${IMGSLIM_FULL:-}" ] || count=0
: > "$work/all"
for name in payments-small service-pie service-script service-musl service-package; do
    real_image "$name"
    rm -rf "$work/result"
    optimize "oci:$layout" "oci:$work/result"
    [ "$(field "$work/report" .form)" = distroless ] || fail "$name: $(field "$work/report" '.form, .stopped_by')"
    expect 0 "$imgslim" verify "oci:$work/result"
    timeout -k 5 1800 "$mutants" "$work/result" 1 "$count" > "$work/lines" || fail "$name: the driver failed"
    [ -s "$work/lines" ] || fail "$name: no mutants"
    sed "s/^/$name /" "$work/lines" >> "$work/all"
    awk -v name="$name" '
        $1 == "elf" || $1 == "script" || $1 == "link" || $1 == "data" { must++; if ($3 != "missed") found++ }
        { all++; if ($4 == "named") named++ }
        END { printf "%s: alone %d of %d, by the certificate %d of %d\n", name, found, must, named, all }
    ' "$work/lines" >&2
done

# with the certificate: every path
awk '$5 != "named"' "$work/all" > "$work/unnamed"
[ ! -s "$work/unnamed" ] || { cat "$work/unnamed" >&2; fail "the certificate does not name a path that is gone"; }
# alone. What nobody but the image's maker put there leaves no trace when it is gone: links among the application's
# files, and groups in an image without records of packages.
awk '($2 == "elf" || $2 == "script" || $2 == "link" || $2 == "data") && $4 == "missed"' "$work/all" > "$work/missed"
awk '!($2 == "link" && $3 == "application") && !($1 == "service-musl" && $6 == "/etc/group")' "$work/missed" > "$work/wrong"
[ ! -s "$work/wrong" ] || { cat "$work/wrong" >&2; fail "verify alone misses what is gone"; }
sed 's/^/only the certificate tells: /' "$work/missed" >&2
# False alarms: something else than a record that is not true any more is said of a path that nothing starts, loads
# or is asked for by name. Each is shown.
awk '$2 == "file" && $4 != "missed" && $4 != "package" && $3 !~ /^data:/' "$work/all" > "$work/false"
cat "$work/false" >&2
others=$(awk '$2 == "file" || $2 == "directory"' "$work/all" | wc -l)
[ "$(($(wc -l < "$work/false") * 20))" -le "$others" ] || fail "more than one false alarm in twenty"
say "$(wc -l < "$work/all") mutants, $(wc -l < "$work/false") false alarms among $others"
