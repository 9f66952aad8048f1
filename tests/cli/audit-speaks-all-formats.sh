# Each format of audit is what its readers take.
. "$(dirname "$0")/common.inc"

image "$work/build" > /dev/null <<'D'
layer gzip "ADD base"
f a random:5000:1
s link a
d dir mode=0755
layer gzip "RUN rm a"
w a
f b|c text:x mode=04755
D
cd "$work"
printf 'budgets:\n  waste: 1kB\n  total: 1MB\n' > imgslim.yaml
expect 3 "$imgslim" audit -q --format dive-json oci:build
same "$(jq -c '.image | [.sizeBytes, .inefficientBytes]' out)" '[5001,5000]'
same "$(jq -c '[.layer[] | .index, .sizeBytes, .command]' out)" '[0,5000,"ADD base",1,1,"RUN rm a"]'
same "$(jq -c '.layer[1].fileList | map([.path, .typeFlag, .isDir])' out)" '[[".wh.a",48,false],["b|c",48,false]]'
same "$(jq -c '.image.fileReference' out)" '[{"count":2,"sizeBytes":5000,"file":"/a"}]'
# Go's os.FileMode: setuid is bit 23.
same "$(jq '.layer[1].fileList[1].fileMode' out)" $((8388608 + 493))
expect 3 "$imgslim" audit -q --format junit oci:build
python3 - out <<'P'
import sys, xml.etree.ElementTree as tree
root = tree.parse(sys.argv[1]).getroot()
assert root.get("tests") == "2" and root.get("failures") == "1", root.attrib
cases = {case.get("name"): case for case in root.iter("testcase")}
assert list(cases) == ["total", "waste"], cases
assert "layer 1 (ADD base), no package, /a" in cases["waste"].find("failure").get("message")
assert cases["total"].find("failure") is None
P
expect 3 "$imgslim" audit -q --format markdown oci:build
grep -q '^### :x: 1 budget broken$' out || fail "markdown does not say that a budget is broken"
grep -qF '`/b/c`' out || fail "a bar in a name would break the table"
expect 3 "$imgslim" audit -q --metrics metrics --format json oci:build
grep -q '^imgslim_image_waste_bytes{image="oci:build",platform="linux/amd64"} 5000$' metrics || { cat metrics >&2; fail "metrics"; }
grep -q '^imgslim_image_broken_rules{.*} 1$' metrics || fail "metrics do not count broken rules"
[ -z "$(grep -v '^#\|^imgslim_[a-z_]*{[^{}]*} [0-9.e+-]*$' metrics)" ] || fail "a line of metrics is malformed"
same "$(jq -r '.broken[].rule' out)" waste
expect 2 "$imgslim" audit -q --format dive-json oci:build oci:build
says "holds one image, not 2"
expect 2 "$imgslim" audit --format yaml oci:build
