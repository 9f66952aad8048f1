# Images with known repeats: lossless saves exactly those bytes of the plain tars.
. "$(dirname "$0")/common.inc"

# 4096 bytes of content and a header each: 4608.
image "$work/a" > /dev/null <<'D'
layer none
d etc
f etc/again random:4096:1
f etc/chmod random:4096:2
f etc/chown random:4096:3
f etc/touch random:4096:4
f etc/deleted random:4096:5
f etc/stays random:4096:6
layer none
d etc
f etc/again random:4096:1
f etc/chmod random:4096:2 mode=0600
f etc/chown random:4096:3 uid=7
f etc/touch random:4096:4 mtime=1
w etc/deleted
D
expect 0 "$imgslim" optimize --form lossless --report "$work/r" "oci:$work/a" "oci:$work/b"
# Once for the file written again; from the lower layer the three copies and the deleted file; and the whiteout.
same "$(field "$work/r" '[.platforms[0].rules[] | select(.id == "repeated")][0].unpacked')" 4608
same "$(field "$work/r" '[.platforms[0].rules[] | select(.id == "replaced")][0].unpacked')" $((3 * 4608))
same "$(field "$work/r" '[.platforms[0].rules[] | select(.id == "deleted")][0].unpacked')" 4608
same "$(field "$work/r" '[.platforms[0].rules[] | select(.id == "emptied")][0].unpacked')" 512
same "$(listing "$work/a")" "$(listing "$work/b")"
