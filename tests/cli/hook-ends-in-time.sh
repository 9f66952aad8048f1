# An image that takes too long is one warning line, and the push may go on.
. "$(dirname "$0")/common.inc"
command -v git > /dev/null || skip "git is not installed"

cd "$work"
git init -q repository
cd repository
git -c user.name=x -c user.email=x@example.com commit -q --allow-empty -m one
mkfifo "$work/never"
# A source that never ends its first read.
printf 'hook:\n  images: ["docker-archive:-"]\n  timeout: 1\n' > imgslim.yaml
sleep 60 > "$work/never" &
sleeper=$!
status=0
PRE_COMMIT=1 "$imgslim" hook run < "$work/never" 2> "$work/err" || status=$?
same "$status" 0
says "warning: images were not checked, 1 s were not enough"
printf '  require-image: true\n' >> imgslim.yaml
PRE_COMMIT=1 "$imgslim" hook run < "$work/never" 2> "$work/err" || status=$?
same "$status" 3
kill "$sleeper"
