# Every form's result answers exactly as the source does, lossless shows the same merged tree, and the program has
# nothing to do on its own results. Sample: the images below; IMGSLIM_FULL=1: all.
. "$(dirname "$0")/common.inc"
needs_starts

images="payments-small service-static service-pie service-musl service-tini service-script python-service service-ko
    service-package"
[ -z "${IMGSLIM_FULL:-}" ] || images=$(sh "$support/images.sh" list)

# check_listings RESULT: of each platform, if there are several.
check_listings() {
    platforms=$(field "$work/report" 'if (.platforms | length) > 1 then .platforms[].platform else empty end')
    [ -n "$platforms" ] || same_listing "$layout" "$1"
    for platform in $platforms; do
        same_listing "$layout" "$1" "$(echo "$platform" | cut -d / -f 1-2)"
    done
}

# form_of NAME: what auto reaches.
form_of() {
    case $1 in
    python-service | builder) echo tidy ;;
    *) echo distroless ;;
    esac
}

# check NAME: one image in both forms.
check() {
    real_image "$1"
    answers "$layout" "$work/answers"
    for form in auto lossless; do
        result=$work/$form
        optimize --form "$form" "oci:$layout" "oci:$result"
        [ "$form" = lossless ] || same "$(field "$work/report" .form)" "$(form_of "$1")"
        changed=$(field "$work/report" .changed)
        digest=$(field "$work/report" .result.digest)
        answers "$result" "$work/answers.$form"
        diff -u --label "$1" --label "$1, $form" "$work/answers" "$work/answers.$form" >&2 ||
            fail "$1: the result of $form answers differently"
        if [ "$form" = lossless ]; then
            check_listings "$result"
        fi
        optimize --form "$form" "oci:$result" "oci:$work/again"
        same "$(field "$work/report" .changed)" false
        same "$(field "$work/report" .result.digest)" "$digest"
        say "$1: $form: changed $changed, answers alike"
        rm -rf "$result" "$work/again"
    done
}

for name in $images; do
    check "$name"
done
