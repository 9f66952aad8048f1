# diff names layers, files and owners, and what a node has to pull.
. "$(dirname "$0")/common.inc"

describe() {
    cat <<D
empty 'CMD ["sh"]'
layer gzip "ADD $1"
f base random:$2:1
empty 'CMD ["sh"]'
layer gzip "COPY lib /lib"
f lib random:5000:9
layer gzip "COPY app /app"
f app random:$3:2
$4
D
}
cd "$work"
describe base 1000 20000 "f gone text:x" | image old > /dev/null
describe base 1000 30000 "f new text:y" | image new > /dev/null
expect 0 "$imgslim" diff -q --format json oci:old oci:new
cp out diff.json
top=$(jq '.layers[2].size' "new/blobs/sha256/$(jq -r '.images[0].after.digest[7:]' diff.json)")
same "$(jq '.images[0] | .pull == .pull_by_chain' diff.json)" true
same "$(jq '.images[0].pull' diff.json)" "$top"
same "$(jq -r '.images[0].layers[].change' diff.json | paste -sd' ')" "same same new gone"
same "$(jq -c '.images[0].files | map([.name, .owner, .delta > 0])' diff.json)" \
    '[["/app","own code",true],["/gone","own code",false],["/new","own code",true]]'
same "$(jq '.images[0] | ([.unpacked_by_owner[]] | add) == .after.unpacked - .before.unpacked' diff.json)" true
# A base that changes is the base's doing; layers above it can be kept by digest, but not by Docker's chain.
describe base-2 4000 20000 "f gone text:x" | image rebased > /dev/null
expect 0 "$imgslim" diff -q --format json oci:old oci:rebased
same "$(jq -c '.images[0] | [(.files | map([.name, .owner])), (.pull < .pull_by_chain)]' out)" '[[["/base","base"]],true]'
# Documents of audits do as well as images, and say the same.
"$imgslim" audit -q --format json oci:old > old.json
"$imgslim" audit -q --format json oci:new > new.json
expect 0 "$imgslim" diff -q --format json old.json new.json
cmp -s out diff.json || fail "documents compare otherwise than images"
expect 0 "$imgslim" diff -q oci:old oci:new
grep -q 'own code +9.7 kB' out || { cat out >&2; fail "the text does not say whose it is"; }
grep -q '/app \[own code\]' out || fail "the text does not name the file"
expect 0 "$imgslim" diff -q --format markdown oci:old oci:new
grep -q '^| +9.7 kB | /app |' out || { cat out >&2; fail "markdown does not name the file"; }
echo '{"version": 1}' > other.json
expect 2 "$imgslim" diff other.json oci:new
says "no document of imgslim audit"
expect 0 "$imgslim" diff -q oci:old oci:old
grep -q '(0 B, +0.0%)' out || fail "an image differs from itself"
