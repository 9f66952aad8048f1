# A result is taken again while nothing changed, and never when something did.
. "$(dirname "$0")/common.inc"

cd "$work"
image build > /dev/null <<'D'
layer gzip "COPY a"
f a random:50000:1
D
printf 'budgets:\n  compressed: 10kB\n' > imgslim.yaml
expect 3 "$imgslim" audit -q --no-cache --metrics m1 oci:build
[ ! -e cache/imgslim/results ] || fail "--no-cache keeps a result"
cp out first
cp err first.err
expect 3 "$imgslim" audit -q --metrics m2 oci:build
same "$(find cache/imgslim/results -type f | wc -l)" 1
# Marked, so that the kept one is known when it is seen.
sed -i '2,$s/COPY a/COPY b/' cache/imgslim/results/*
sum=$(sed 1d cache/imgslim/results/* | sha256sum | cut -d ' ' -f 1)
sed -i "1s/.*/sha256:$sum/" cache/imgslim/results/*
expect 3 "$imgslim" audit -q --metrics m3 oci:build
grep -q 'COPY b' out || fail "the result was not taken from the cache"
sed 's/COPY b/COPY a/' out | cmp -s - first || fail "the kept result is another"
sed 's/COPY b/COPY a/' err | cmp -s - first.err || fail "the kept lines are others"
cmp -s m1 m2 && cmp -s m1 m3 || fail "metrics differ"
# Another budget, another format, another width.
printf 'budgets:\n  compressed: 1MB\n' > imgslim.yaml
expect 0 "$imgslim" audit -q oci:build
! grep -q 'COPY b' out || fail "new settings take an old result"
expect 0 "$imgslim" audit -q --format json oci:build
expect 0 env COLUMNS=100 "$imgslim" audit -q oci:build
# A blob of the same size that was written anew, with its old time.
blob=$(find build/blobs -type f -size +40k)
touch -r "$blob" time
printf '\377' | dd of="$blob" bs=1 seek=100 conv=notrunc 2> dd.log
touch -r time "$blob"
expect 5 "$imgslim" audit -q oci:build
# A damaged cache is none.
image build2 > /dev/null <<'D'
layer gzip "COPY a"
f a random:50000:1
D
expect 0 "$imgslim" audit -q oci:build2
cp out good
for file in cache/imgslim/results/*; do
    head -c 150 "$file" > cut
    cat cut > "$file"
done
expect 0 "$imgslim" audit -q oci:build2
cmp -s out good || fail "a damaged cache changes the result"
