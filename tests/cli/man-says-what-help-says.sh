# Every command and flag of --help is in its man page and the other way round; pages are clean mdoc.
. "$(dirname "$0")/common.inc"
man=$(cd "$(dirname "$0")/../../man" && pwd)

for page in "$man"/*.[15]; do
    noise=$(mandoc -T lint -W warning "$page" 2>&1 | grep -v 'cross reference\|referenced manual' || true)
    [ -z "$noise" ] || fail "$noise"
done
commands=$("$imgslim" --help | sed -n '/^Subcommands:/,$s/^  \([a-z-]*\) .*/\1/p')
[ -n "$commands" ] || fail "no commands in --help"
for command in $commands; do
    grep -q "^\.It Cm $command\$" "$man/imgslim.1" || fail "imgslim.1 does not name $command"
    [ "$command" != completion ] || continue
    page=$man/imgslim-$command.1
    [ -f "$page" ] || fail "there is no $page"
    "$imgslim" "$command" --help | grep -o -e '--[a-z][a-z-]*' | sort -u > "$work/help"
    cat "$page" "$man/imgslim.1" | grep '^\.It Fl\|^\.It Fl Fl' | grep -o 'Fl Fl [a-z][a-z-]*' | sed 's/Fl Fl /--/' | sort -u > "$work/man"
    missing=$(comm -23 "$work/help" "$work/man")
    [ -z "$missing" ] || fail "$page lacks: $missing"
    grep '^\.It Fl' "$page" | grep -o 'Fl Fl [a-z][a-z-]*' | sed 's/Fl Fl /--/' | sort -u > "$work/own"
    extra=$(comm -13 "$work/help" "$work/own")
    [ -z "$extra" ] || fail "$command --help lacks: $extra"
done
