# No two types of the program have one name, but in namespaces without one: the linker would take either's functions
# for both, without a word.
. "$(dirname "$0")/common.inc"
root=$(cd "$(dirname "$0")/../.." && pwd)

# names FILE...: the types defined in namespace imgslim, each with its file.
names() {
    awk '
        FNR == 1 { hidden = 0 }
        /^namespace \{/ { hidden = 1 }
        /^\}  \/\/ namespace$/ { hidden = 0 }
        !hidden && /^(struct|class|enum class|enum) [A-Za-z]/ && !/;[ ]*$/ {
            name = $2 == "class" ? $3 : $2
            sub(/[{;]*$/, "", name)
            print name, FILENAME
        }
    ' "$@"
}

cd "$root"
find layers registry src \( -name '*.h' -o -name '*.cc' \) | sort > "$work/files"
# shellcheck disable=SC2046
names $(cat "$work/files") > "$work/types"
[ "$(wc -l < "$work/types")" -gt 100 ] || fail "only $(wc -l < "$work/types") types were seen"
cut -d ' ' -f 1 "$work/types" | sort | uniq -d > "$work/twice"
while read -r name; do
    grep "^$name " "$work/types" >&2
done < "$work/twice"
[ ! -s "$work/twice" ] || fail "types of one name"

# The check itself: a name in two files is seen, one in a namespace without a name is not.
printf 'namespace imgslim {\nstruct Twice {\n};\n}\n' > "$work/a.cc"
printf 'namespace imgslim {\nnamespace {\nstruct Twice {\n};\n}  // namespace\nclass Once : Base {\n};\n}\n' > "$work/b.cc"
same "$(names "$work/a.cc" "$work/b.cc" | cut -d ' ' -f 1 | tr '\n' ' ')" "Twice Once "
