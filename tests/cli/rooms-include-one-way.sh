# layers includes only layers; registry only layers and registry; facts no decisions and nothing of the pipeline.
. "$(dirname "$0")/common.inc"
cd "$(dirname "$0")/../.."

wrong() {
    # shellcheck disable=SC2046
    grep -nE '^#include "' $(find "$1" -name '*.cc' -o -name '*.h') | grep -vE "#include \"($2)" || true
}
found="$(wrong layers 'layers/')$(wrong registry 'layers/|registry/')$(wrong src/facts 'layers/|src/facts/')"
found="$found$(wrong src/decisions 'layers/|src/facts/|src/decisions/')"
[ -z "$found" ] || fail "$found"
ls layers/*.h src/facts/*.h > /dev/null || fail "looked in the wrong place"
# The check itself must see a planted include.
mkdir -p "$work/layers"
echo '#include "src/facts/elf.h"' > "$work/layers/x.h"
cd "$work"
[ -n "$(wrong layers 'layers/')" ] || fail "a planted include was not seen"
