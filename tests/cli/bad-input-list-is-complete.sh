# SPDX-License-Identifier: Apache-2.0
# Each of the 64 kinds of bad input that the project knows is a test that says what becomes of it: a TEST_CASE
# "bad input NN: ..." or a line "# bad input NN: ..." of a script.
. "$(dirname "$0")/common.inc"

tests=$(cd "$(dirname "$0")/.." && pwd)
named=$(cat "$tests"/unit/*.cc "$tests"/cli/*.sh | sed -n 's/^\(TEST_CASE("\|# \)bad input \([0-9][0-9]\): .*/\2/p' | sort -u)
same "$named" "$(seq -w 1 64)"
