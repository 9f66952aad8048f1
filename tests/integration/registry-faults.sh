# registry-faults.sh [FAULT...]: pulls and pushes against a registry with one fault at a time. What can be recovered
# must be; everything else must be one clean line within 60 s, with the tag as it was.
. "$(dirname "$0")/common.inc"
. "$support/registry.inc"
needs python3 curl

# An image with a layer of 8 MB that does not compress.
image "$work/image" > /dev/null <<'D'
layer gzip
f app elf:1 mode=0755
layer gzip
f data random:8000000:7
D
image "$work/old" > /dev/null <<'D'
layer gzip
f app elf:2 mode=0755
D
digest=$(jq -r '.manifests[0].digest' "$work/image/index.json")
"$imgslim" copy -q "oci:$work/old" "oci:$work/kept"
kept=$(jq -r '.manifests[0].digest' "$work/kept/index.json")

pull_recovered='reset-once reset-every-mb before-headers end-early 503-once 503-three 500-once 429-once 429-six flip-once
    stall range-ignored range-wrong range-lying chunked token-pull manifest-503 manifest-429'
push_recovered='post-503 put-reset put-stall put-503 put-429 lost-201 lost-201-manifest push-manifest-503
    push-manifest-429 416 416-new-session token-push moved-location minimum-chunk mount-403 mount-202
    pull-only-challenge 201-on-patch'
pull_refused='flip-always short long short-chunked long-chunked drip stall-always wrong-type redirect-loop huge-manifest
    manifest-digest-lie 401-for-good 403-for-good 429-late'
push_refused='put-flip push-manifest-400 401-for-good 403-for-good'

# What a registry holds at first: the image, as pulls find it, under the tag v1 of the repository r.
fault_registry none "$work/seed" FAULT_SIDE=push
"$imgslim" copy -q "oci:$work/image" "docker://$faulty/r:v1"
"$imgslim" copy -q "oci:$work/old" "docker://$faulty/r:v0"
end_fault_registry
rm -f "$work/seed/log"

recovered=0 refused=0 all_recovered=0 all_refused=0 failed=

seconds() {
    date +%s.%N
}

# run COMMAND...: its status in $status, seconds in $took.
run() {
    began=$(seconds)
    status=0
    timeout -k 5 150 "$@" > "$work/out" 2> "$work/err" || status=$?
    took=$(echo "$(seconds) $began" | awk '{ printf "%.1f", $1 - $2 }')
}

# note NAME VERDICT
note() {
    say "$1: $2 in $took s$([ "$status" = 0 ] || echo ", exit $status: $(cat "$work/err")")"
}

in_time() {
    awk "BEGIN { exit !($took <= 60) }"
}

one_line() {
    [ "$(wc -l < "$work/err")" = 1 ] && grep -q '^imgslim: ' "$work/err"
}

pull() {
    rm -rf "$work/state" "$work/result"
    cp -r "$work/seed" "$work/state"
    cp -r "$work/kept" "$work/result"
    fault_registry "$1" "$work/state" FAULT_SIDE=pull
    run "$imgslim" copy -q "docker://$faulty/r:v1" "oci:$work/result:v1"
    end_fault_registry
}

push() {
    rm -rf "$work/state"
    cp -r "$work/seed" "$work/state"
    # The layer must travel, and the tag already names something.
    for file in "$work/state/blobs/"*; do
        [ "$(stat -c %s "$file")" -lt 1000000 ] || rm "$file"
    done
    cp "$work/state/tags/v0" "$work/state/tags/v1"
    fault_registry "$1" "$work/state" FAULT_SIDE=push
    case $1 in
    mount-*)
        # From another repository of the same registry, which alone has the layer.
        end_fault_registry
        rm -rf "$work/state"
        cp -r "$work/seed" "$work/state"
        mv "$work/state/tags/v1" "$work/state/tags/from"
        cp "$work/state/tags/v0" "$work/state/tags/v1"
        fault_registry "$1" "$work/state" FAULT_SIDE=push FAULT_HIDES=1
        run "$imgslim" copy -q "docker://$faulty/r:from" "docker://$faulty/other:v1"
        ;;
    *)
        run "$imgslim" copy -q "oci:$work/image" "docker://$faulty/r:v1"
        ;;
    esac
    end_fault_registry
}

chosen() {
    # shellcheck disable=SC2254
    [ -z "$only" ] || case " $only " in *" $1 "*) ;; *) return 1 ;; esac
}

only="$*"
for fault in $pull_recovered; do
    chosen "$fault" || continue
    all_recovered=$((all_recovered + 1))
    pull "$fault"
    if [ "$status" = 0 ] && in_time && [ "$(jq -r '.manifests[1].digest' "$work/result/index.json")" = "$digest" ] &&
        (cd "$work/result/blobs/sha256" && for blob in *; do echo "$blob  $blob"; done | sha256sum -c --status); then
        recovered=$((recovered + 1))
        note "pull, $fault" recovered
    else
        failed="$failed pull:$fault"
        note "pull, $fault" "NOT RECOVERED"
    fi
done
for fault in $push_recovered; do
    chosen "$fault" || continue
    all_recovered=$((all_recovered + 1))
    push "$fault"
    if [ "$status" = 0 ] && in_time && [ "$(cat "$work/state/tags/v1")" = "$digest" ] &&
        (cd "$work/state/blobs" && for blob in *; do echo "${blob#sha256:}  $blob"; done | sha256sum -c --status); then
        recovered=$((recovered + 1))
        note "push, $fault" recovered
    else
        failed="$failed push:$fault"
        note "push, $fault" "NOT RECOVERED"
    fi
done
for fault in $pull_refused; do
    chosen "$fault" || continue
    all_refused=$((all_refused + 1))
    pull "$fault"
    if { [ "$status" = 6 ] || [ "$status" = 5 ]; } && in_time && one_line &&
        cmp -s "$work/kept/index.json" "$work/result/index.json" &&
        [ "$(find "$work/result" -type f | wc -l)" = "$(find "$work/kept" -type f | wc -l)" ]; then
        refused=$((refused + 1))
        note "pull, $fault" refused
    else
        failed="$failed pull:$fault"
        note "pull, $fault" "NOT CLEAN"
    fi
done
for fault in $push_refused; do
    chosen "$fault" || continue
    all_refused=$((all_refused + 1))
    push "$fault"
    if { [ "$status" = 6 ] || [ "$status" = 5 ]; } && in_time && one_line &&
        cmp -s "$work/state/tags/v0" "$work/state/tags/v1"; then
        refused=$((refused + 1))
        note "push, $fault" refused
    else
        failed="$failed push:$fault"
        note "push, $fault" "NOT CLEAN"
    fi
done
say "recovered $recovered of $all_recovered, refused $refused of $all_refused"
[ -z "$failed" ] || fail "failed:$failed"
