# Services that link the os/exec sites of client libraries (credential processes, plugins, helpers), on a Debian base with
# shell and git: distroless, answers alike, no shell kept. Two of them on one base, optimized apart, share the layers of
# what they keep alike.
. "$(dirname "$0")/common.inc"
needs_starts
needs go
real_image payments-small
base=$layout
sh "$support/sdk-services.sh" > "$work/services" 2> "$work/services.log" || {
    tail -5 "$work/services.log" >&2
    skip "the services cannot be built here"
}

while read -r name program; do
    python3 "$support/add_program.py" "$base" 2 "$program" "$work/$name"
    optimize "oci:$work/$name" "oci:$work/$name.slim"
    same "$(field "$work/report" .form)" distroless
    cp "$work/report" "$work/$name.report"
    python3 "$support/list_image.py" "$work/$name.slim" > "$work/list"
    ! grep -qE '/(ba|da|)sh ' "$work/list" || fail "$name: a shell is kept"
    ! grep -q '/git' "$work/list" || fail "$name: git is kept"
    answers "$work/$name" "$work/answers"
    answers "$work/$name.slim" "$work/answers.slim"
    diff -u "$work/answers" "$work/answers.slim" >&2 || fail "$name: the result answers differently"
    grep -q '^HTTP.* 200' "$work/answers" || fail "$name: does not answer"
    say "$name: distroless, answers alike, no shell"
done < "$work/services"

# Bytes of package files and data that the second image has from the first: all layers but the application's.
field "$work/cloud.report" '.platforms[0].layers[] | select(.action == "new").result_digest' | sort > "$work/first"
field "$work/cluster.report" '.platforms[0].layers[] | select(.action == "new" and .created_by != "application") |
    "\(.result_digest) \(.compressed.after)"' | sort > "$work/second"
share=$(join -a 1 -o 1.1,1.2,2.1 "$work/second" "$work/first" |
    awk '{ all += $2; if ($3 != "") shared += $2 } END { printf "%.1f", 100 * shared / all }')
say "shared bytes of package files and data: $share %"
awk "BEGIN { exit !($share >= 90) }" || fail "only $share % of package files and data are shared"
