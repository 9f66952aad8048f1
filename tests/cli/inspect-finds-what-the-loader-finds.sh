# The libraries of inspect are those that the machine's own loader lists, for programs and for a library.
. "$(dirname "$0")/common.inc"
loader=/lib64/ld-linux-x86-64.so.2
[ -x "$loader" ] || skip "no loader of x86-64"

agrees() {
    "$loader" --list "$1" > "$work/list" 2> /dev/null || return 0
    sed -n 's/.* => \(\/[^ ]*\) (.*/\1/p; s/^[[:space:]]*\(\/[^ ]*\) (.*/\1/p' "$work/list" |
        while read -r path; do readlink -f "$path"; done | sort -u > "$work/theirs"
    expect 0 "$imgslim" inspect --format json --cpu "$cpu" "$1"
    jq -r '.libraries.objects[1:][].resolved' "$work/out" | sort -u > "$work/ours"
    cmp -s "$work/theirs" "$work/ours" || fail "$1: $(diff "$work/theirs" "$work/ours")"
    count=$((count + 1))
}
cpu=$("$loader" --help | sed -n 's/^ *\(x86-64-v[234]\) (supported.*/\1/p' | sort | tail -1)
cpu=${cpu:-baseline}
count=0
for program in /usr/bin/git /usr/bin/python3 /usr/bin/skopeo /usr/bin/ssh /usr/bin/curl /usr/bin/perl \
    /lib/x86_64-linux-gnu/libcurl.so.4; do
    [ ! -e "$program" ] || agrees "$program"
done
[ "$count" -ge 2 ] || skip "too few programs"
