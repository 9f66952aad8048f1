# SPDX-License-Identifier: Apache-2.0
# What README says of building and installing: a configured tree installs program, manual pages and completions, and
# makes a Debian package that does the same.
. "$(dirname "$0")/../cli/common.inc"
build=$(cd "${IMGSLIM_DRIVERS:-$(dirname "$0")/../../.build/release/tests}/.." && pwd)

cmake --install "$build" --prefix "$work/prefix" > /dev/null
"$work/prefix/bin/imgslim" --version | grep -q '^imgslim [0-9]' || fail "the installed program does not run"
for file in share/man/man1/imgslim.1 share/man/man1/imgslim-optimize.1 share/man/man5/imgslim-report.5 \
    share/bash-completion/completions/imgslim share/zsh/vendor-completions/_imgslim \
    share/fish/vendor_completions.d/imgslim.fish share/doc/imgslim/copyright; do
    [ -s "$work/prefix/$file" ] || fail "$file is not installed"
done
(cd "$work" && cpack --config "$build/CPackConfig.cmake" -G DEB -B "$work/package" > /dev/null)
deb=$(echo "$work"/package/*.deb)
dpkg-deb --contents "$deb" | grep -q usr/bin/imgslim || fail "no program in the package"
dpkg-deb --field "$deb" Depends | grep -q libarchive13 || fail "the package does not name its libraries"
