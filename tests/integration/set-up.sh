# SPDX-License-Identifier: Apache-2.0
# What README says of building and installing: a configured tree installs program, manual pages and completions.
# Packages are tested by packaging.sh.
. "$(dirname "$0")/../cli/common.inc"
build=$(cd "${IMGSLIM_DRIVERS:-$(dirname "$0")/../../.build/release/tests}/.." && pwd)

cmake --install "$build" --prefix "$work/prefix" > /dev/null
"$work/prefix/bin/imgslim" --version | grep -q '^imgslim [0-9]' || fail "the installed program does not run"
for file in share/man/man1/imgslim.1 share/man/man1/imgslim-optimize.1 share/man/man5/imgslim-report.5 \
    share/bash-completion/completions/imgslim share/zsh/vendor-completions/_imgslim \
    share/fish/vendor_completions.d/imgslim.fish share/doc/imgslim/copyright; do
    [ -s "$work/prefix/$file" ] || fail "$file is not installed"
done
