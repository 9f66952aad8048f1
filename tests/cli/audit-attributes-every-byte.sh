# The rows of audit's JSON add up to the bytes of each layer, compressed and not; waste is what was put into the image.
. "$(dirname "$0")/common.inc"

image "$work/build" > /dev/null <<'D'
empty 'CMD ["sh"]'
layer gzip "ADD base"
d usr
f usr/a random:100000:1
f usr/b zeros:300000
h usr/c usr/a
layer zstd "RUN change"
f usr/b zeros:300000 mode=0755
w usr/c
f new random:7001:2
layer none "RUN delete"
w new
o usr
f usr/keep text:kept
D
cd "$work"
expect 0 "$imgslim" audit -q --format json oci:build
cp out audit.json
same "$(jq '[.images[0].layers[] | ([.entries[] | .content + .headers + .padding] | add) + .end + .unknown == .unpacked] | all' audit.json)" true
same "$(jq '[.images[0].layers[] | ([.entries[].compressed] | add) + .end_compressed == .compressed] | all' audit.json)" true
same "$(jq '.images[0] | .content + .headers + .padding + .end + .unknown == .unpacked and .unknown == 0' audit.json)" true
same "$(jq '.images[0].compressed' audit.json)" "$(jq '[.layers[].size] | add' "build/blobs/sha256/$(jq -r '.images[0].digest[7:]' audit.json)")"
# 100000 + 2 x 300000 + 7001 + 4 in all, 4 visible.
same "$(jq '.images[0].waste | [.copies, .visible, .bytes]' -c audit.json)" '[707005,4,707001]'
same "$(jq -r '.images[0].waste.groups[] | [.hidden_by, .lies_in, .how, .written_again, .bytes] | @csv' audit.json | sort | tr -d '"')" \
    "2,1,replaced,chmod,300000
3,1,opaque,,100000
3,2,deleted,,7001
3,2,opaque,,300000"
# The same figures in the text, which fits a narrow terminal.
expect 0 env COLUMNS=70 "$imgslim" audit -q oci:build
grep -q '^waste 707 kB of 707 kB content, efficiency 0.0%' out || { cat out >&2; fail "the text says another waste"; }
grep -q 'dive would say: ' out || fail "nothing about dive"
grep -q 'layer 3 (RUN delete) hides a directory of layer' out || fail "the opaque directory is not named"
[ "$(grep -v '/' out | awk '{ if (length($0) > most) most = length($0) } END { print most }')" -le 70 ] || fail "wider than the terminal"
# One image twice: what they share is stored once.
expect 0 "$imgslim" audit -q --format json oci:build oci:build
same "$(jq '.shared_layer_bytes == .images[0].compressed and (.equal | length) == 0' out)" true
