# SPDX-License-Identifier: Apache-2.0
# Each of the 64 kinds of bad input that the project knows is a test whose name says what becomes of it: a
# TEST_CASE "bad input NN: ..." or a line "# bad input NN: ..." of a script, with the word refused or accepted.
. "$(dirname "$0")/common.inc"

tests=$(cd "$(dirname "$0")/.." && pwd)
named=$(cat "$tests"/unit/*.cc "$tests"/cli/*.sh | grep '^\(TEST_CASE("\|# \)bad input [0-9][0-9]: ')
silent=$(echo "$named" | grep -v 'refused\|accepted') || true
same "$silent" ""
same "$(echo "$named" | sed 's/.*bad input \([0-9][0-9]\): .*/\1/' | sort -u)" "$(seq -w 1 64)"
