#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Takes debug information out of whole trees of ELF files. A sample of this machine's; IMGSLIM_FULL=1: all of them, every
# file of the trees of several hundred packages that loader-oracle.sh leaves in the cache, the programs and libraries of
# Debian's -dbg packages made whole again with eu-unstrip, and Go programs of npm that carry DWARF.
[ -n "${BASH_VERSION:-}" ] || exec bash "$0" "$@"
. "$(dirname "$0")/debug-info.inc"
full=${IMGSLIM_FULL:-}
cache=$IMGSLIM_TEST_CACHE

# elf_files FOLDER...: programs and libraries, one a line.
elf_files() {
    python3 - "$@" <<'P'
import os, sys
for top in sys.argv[1:]:
    for folder, folders, names in os.walk(top):
        folders[:] = sorted(f for f in folders if not os.path.ismount(os.path.join(folder, f)))
        for name in sorted(names):
            path = os.path.join(folder, name)
            try:
                if os.path.islink(path) or not os.path.isfile(path) or "\n" in path:
                    continue
                with open(path, "rb") as file:
                    if file.read(4) == b"\x7fELF":
                        print(path)
            except OSError:
                pass
P
}
# check_all NAME: the files named on standard input. A file that gives nothing when its symbols go as well is asked once.
check_all() {
    local name=$1 before=$taken count=0 file
    while read -r file; do
        count=$((count + 1))
        check "$file" "$file" --drop --symbols
        case ${said:-} in *nothing-to-take*) ;; *) check "$file" "$file" --drop ;; esac
    done
    say "$name: $count files, $((taken - before)) times something taken"
}
sample() {
    awk -v want="$1" '{ all[NR] = $0 } END { step = NR > want ? NR / want : 1; for (i = 1; i <= NR; i += step) print all[int(i)] }'
}

if [ -n "$full" ]; then
    # -dbg packages and what they are of; a release of Debian has dbgsym packages in an archive of its own.
    packages="libc6-dbg libadns1-dbg libboolstuff-0.1-0-dbg libctf0-dbg libdotconf0-dbg libenca-dbg libftdi1-dbg libgsl-dbg
        libivykis0-dbg libkrb5-dbg liblua5.1-0-dbg liblua5.3-0-dbg liblua5.4-0-dbg libnet1-dbg libnl-3-200-dbg libpcre3-dbg
        libspf2-2-dbg libstdc++6-12-dbg libxdmcp6-dbg mp3splt-dbg tftp-hpa-dbg trousers-dbg uwsgi-dbg vsftpd-dbg"
    mkdir -p "$cache/dbg"
    # shellcheck disable=SC2086
    others=$(apt-cache show --no-all-versions $packages 2> /dev/null | sed -n 's/^Depends: //p' | tr ',' '\n' | sed -n 's/^ *\([^ ]*\) (= .*/\1/p' | sort -u)
    # shellcheck disable=SC2086
    [ -e "$cache/dbg/.complete" ] || (cd "$cache/dbg" && apt-get download $packages $others > "$work/apt.log" 2>&1 && touch .complete)
    if [ -e "$cache/dbg/.complete" ]; then
        mkdir "$work/dbg" "$work/whole"
        for package in "$cache"/dbg/*.deb; do dpkg-deb -x "$package" "$work/dbg"; done
        elf_files "$work/dbg" | grep -v '/usr/lib/debug/' | while read -r file; do
            id=$(readelf -n "$file" 2> /dev/null | sed -n 's/.*Build ID: //p')
            symbols=$work/dbg/usr/lib/debug/.build-id/${id:0:2}/${id:2}.debug
            [ -n "$id" ] && [ -e "$symbols" ] && eu-unstrip -o "$work/whole/$id" "$file" "$symbols" 2> /dev/null || :
        done
        check_all "programs and libraries of $(echo "$packages" | wc -w) -dbg packages, made whole" < <(elf_files "$work/whole")
    else
        say "no -dbg packages can be had here: $(tail -1 "$work/apt.log")"
    fi

    # The last one has DWARF, the others are stripped.
    for package in go-ios @bufbuild/buf-linux-x64 @typescript/native-preview-linux-x64 @expo/ngrok-bin-linux-x64@2.3.42; do
        folder=$cache/npm/${package//\//_}
        [ -e "$folder/.complete" ] || (
            mkdir -p "$folder" && cd "$folder" && timeout 600 npm pack --silent "$package" > "$work/npm.log" 2>&1 &&
                tar -xzf ./*.tgz && rm ./*.tgz && touch .complete
        ) || { say "no $package of npm here"; continue; }
        check_all "npm's $package" < <(elf_files "$folder")
    done

    for tree in "$cache"/trees/*-full "$cache"/trees/*-large; do
        [ -e "$tree/.complete" ] || continue
        check_all "${tree##*/}, $(find "$tree/usr/share/doc" -maxdepth 1 -type d | wc -l) packages" < <(elf_files "$tree/usr")
    done
fi

if [ -n "$full" ]; then count=1000000; else count=100; fi
check_all "this machine" < <(elf_files /usr/bin /usr/sbin /usr/lib /usr/local | sample "$count")

verdict
