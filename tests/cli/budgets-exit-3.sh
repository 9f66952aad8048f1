# A broken budget is exit status 3 and one line that names rule, layer, package and file; settings come from imgslim.yaml
# or dive's files, and mistakes in them are usage errors that name key and line.
. "$(dirname "$0")/common.inc"

image "$work/old" > /dev/null <<'D'
layer gzip "ADD base"
f base random:1000:1
layer gzip "COPY app /app"
f app random:20000:2 mode=0755
D
image "$work/build" > /dev/null <<'D'
layer gzip "ADD base"
f base random:1000:1
layer gzip "COPY app /app"
f app random:90000:3 mode=0755
f secret/.env text:PASSWORD=x
layer gzip "RUN rm -r /secret"
w secret
D
cd "$work"
expect 0 "$imgslim" audit -q oci:build
printf 'budgets:\n  compressed: 50kB\n  forbidden: ["**/.env"]\n' > imgslim.yaml
expect 3 "$imgslim" audit -q oci:build
same "$(wc -l < err)" 2
says "oci:build: compressed: "
says "largest: 90 kB in layer 2 (COPY app /app), no package, /app"
says "oci:build: forbidden: **/.env: layer 2 (COPY app /app), no package, /secret/.env; deleted by layer 3"
# Growth against an image, and against the document of an audit.
printf 'budgets:\n  baseline: oci:old\n  total-growth: 10%%\n' > imgslim.yaml
expect 3 "$imgslim" audit -q oci:build
says "(own code) in layer 2 (COPY app /app), no package, /app"
"$imgslim" audit -q --config /dev/null --format json oci:old > old.json
printf 'budgets:\n  baseline: old.json\n  total-growth: 10%%\n' > imgslim.yaml
expect 3 "$imgslim" audit -q oci:build
says "more than "
printf 'budgets:\n  baseline: old.json\n  total-growth: 1MB\n' > imgslim.yaml
expect 0 "$imgslim" audit -q oci:build
# dive's file, with dive's defaults; imgslim.yaml's own rules come first.
rm imgslim.yaml
printf 'rules:\n  lowestEfficiency: 0.9999\n' > .dive-ci
expect 3 "$imgslim" audit -q oci:build
says "efficiency: "
printf 'rules:\n  lowest-efficiency: disabled\n' > .dive.yaml
expect 0 "$imgslim" audit -q --config .dive.yaml oci:build
printf 'budgets:\n  total: 1MB\n' > imgslim.yaml
expect 0 "$imgslim" audit -q oci:build
printf 'budgets:\n  total: 1MB\n  totl: 1MB\n' > imgslim.yaml
expect 2 "$imgslim" audit -q oci:build
says "imgslim.yaml:3: unknown key 'totl' in 'budgets'"
expect 1 "$imgslim" audit -q --config nowhere.yaml oci:build
says "nowhere.yaml"
