# imgslim.yaml of the folder says how optimize works there; the command line counts before it, lists are joined.
. "$(dirname "$0")/common.inc"

image "$work/a" > /dev/null <<'D'
config '{"config": {"Entrypoint": ["/app"]}}'
layer gzip
f app elf:1 mode=0755
f etc/one text:1
f etc/two text:2
f etc/three text:3
D
mkdir "$work/repository"
cd "$work/repository"
cat > imgslim.yaml <<'D'
optimize:
  form: tidy
  drop: [/etc/one]
D
expect 0 "$imgslim" optimize --drop /etc/two --report "$work/r" "oci:$work/a" "oci:$work/b"
same "$(field "$work/r" .form)" tidy
listing "$work/b" > "$work/list"
grep -q etc/three "$work/list" || fail "etc/three is gone"
! grep -qE 'etc/(one|two)' "$work/list" || fail "a file that was to be dropped is there"
expect 0 "$imgslim" optimize --form auto --report "$work/r" "oci:$work/a" "oci:$work/c"
same "$(field "$work/r" .form)" distroless
printf 'optimize:\n  froms: tidy\n' > imgslim.yaml
expect 2 "$imgslim" optimize "oci:$work/a" "oci:$work/d"
says "froms"
printf 'optimize:\n  min-form: distroless\n' > "$work/other.yaml"
expect 0 "$imgslim" optimize --config "$work/other.yaml" --report "$work/r" "oci:$work/a" "oci:$work/e"
same "$(field "$work/r" .form)" distroless
