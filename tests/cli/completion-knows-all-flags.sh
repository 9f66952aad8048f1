# The scripts of all three shells name every command and flag, and bash and zsh parse theirs.
. "$(dirname "$0")/common.inc"

for shell in bash zsh fish; do
    expect 0 "$imgslim" completion $shell
    cp "$work/out" "$work/$shell"
    for flag in $("$imgslim" optimize --help | grep -o -e '--[a-z][a-z-]*' | sort -u); do
        grep -q -e "${flag#--}" "$work/$shell" || fail "$shell: $flag is missing"
    done
done
bash -n "$work/bash"
[ "$(bash -c ". '$work/bash'; COMP_WORDS=(imgslim optimize --dry); COMP_CWORD=2; _imgslim; echo \"\${COMPREPLY[*]}\"")" = --dry-run ] ||
    fail "bash does not complete --dry"
[ "$(bash -c ". '$work/bash'; COMP_WORDS=(imgslim optimize --form ti); COMP_CWORD=3; _imgslim; echo \"\${COMPREPLY[*]}\"")" = tidy ] ||
    fail "bash does not complete a form"
[ "$(bash -c ". '$work/bash'; COMP_WORDS=(imgslim cache ver); COMP_CWORD=2; _imgslim; echo \"\${COMPREPLY[*]}\"")" = verify ] ||
    fail "bash does not complete what cache does"
if command -v zsh > /dev/null; then zsh -n "$work/zsh"; fi
if command -v fish > /dev/null; then fish -n "$work/fish"; fi
