#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# images.sh NAME...|all|list: makes test images, each an OCI layout in the cache, and prints their paths.
#
# Cache: IMGSLIM_TEST_CACHE, else imgslim-tests under XDG_CACHE_HOME. A layout is named by a hash of what it is made
# from. Stages are shared: folders of layers, made once. No Docker; as an ordinary user mmdebstrap takes a user namespace.
set -eu

support=$(cd "$(dirname "$0")" && pwd)
recipes=$support/images
cache=${IMGSLIM_TEST_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/imgslim-tests}
export SOURCE_DATE_EPOCH=1704067200 LC_ALL=C.UTF-8 PYTHONDONTWRITEBYTECODE=1
umask 022

all_images() {
    for recipe in "$recipes"/*.json; do
        basename "$recipe" .json
    done
}

say() {
    echo "images.sh: $*" >&2
}

# hash_of FILE|FOLDER...: of their names and contents.
hash_of() {
    find "$@" -type f | LC_ALL=C sort | xargs sha256sum | sed "s# $support/# #" | sha256sum | cut -c 1-12
}

# Debian's Go where it is installed, else whichever is on PATH.
go_program() {
    if [ -x /usr/lib/go-1.19/bin/go ]; then
        echo /usr/lib/go-1.19/bin/go
    else
        command -v go
    fi
}

stages_of() {
    sed -n 's#.*"\(payments\|program\|programs\|slim\)/.*#\1#p' "$recipes/$1.json" | sort -u
}

stage_path() {
    common="$support/mkimage.py $recipes/settle.py $recipes/steps.sh"
    # shellcheck disable=SC2086
    case $1 in
    payments) hash=$(hash_of $common "$recipes/stage_payments.sh" "$recipes/payments" "$recipes/make_assets.py") ;;
    slim)
        hash=$(hash_of $common "$recipes/stage_slim.sh" "$recipes/payments")
        hash=$hash-$(basename "$(stage_path program)")
        ;;
    program)
        hash=$(hash_of "$support/mkimage.py" "$recipes/stage_program.sh" "$recipes/payments" "$recipes/service" \
            "$recipes/make_assets.py")
        hash=$hash-$("$(go_program)" env GOVERSION)
        ;;
    programs)
        hash=$(hash_of "$support/mkimage.py" "$recipes/stage_programs.sh" "$recipes/service")
        hash=$hash-$("$(go_program)" env GOVERSION)
        ;;
    esac
    echo "$cache/stages/$1-$hash"
}

# once PATH COMMAND...: runs COMMAND with a new folder as last argument, which then becomes PATH, unless PATH is there.
once() (
    once_path=$1
    shift
    [ ! -d "$once_path" ] || exit 0
    mkdir -p "$(dirname "$once_path")" "$cache/locks"
    exec 9> "$cache/locks/$(basename "$once_path")"
    flock 9
    [ ! -d "$once_path" ] || exit 0
    rm -rf "$once_path.part"
    mkdir "$once_path.part"
    trap 'rm -rf "$once_path.part" "$once_path.part.log"' EXIT
    "$@" "$once_path.part"
    mv "$once_path.part" "$once_path"
)

# The module cache that goes into an image: made by this machine's Go, so that the image needs no network.
fetch_modules() {
    (cd "$recipes/payments" && GOMODCACHE=$1 GOFLAGS=-modcacherw "$(go_program)" mod download) >&2
}

# bootstrap NAME FOLDER: a Debian tree; stage_NAME.sh names mmdebstrap's options and captures the layers as it grows.
bootstrap() {
    name=$1
    folder=$2
    mkdir "$folder/support"
    cp -r "$support/mkimage.py" "$recipes" "$folder/support/"
    case $name in
    payments) fetch_modules "$folder/support/modules" ;;
    slim)
        package=$(stage program)/package.deb
        cp "$package" "$folder/support/"
        ;;
    esac
    options=$(sed -n 's/^# mmdebstrap: //p' "$recipes/stage_$name.sh")
    echo 'APT::Install-Recommends "false";' > "$folder/support/apt.conf"
    set -f
    # shellcheck disable=SC2016,SC2086
    mmdebstrap $options --aptopt="$folder/support/apt.conf" --skip=cleanup/apt,cleanup/reproducible \
        --customize-hook='mkdir "$1/.recipe" "$1/.layers"' \
        --customize-hook="copy-in $folder/support /.recipe" \
        --customize-hook="unshare --mount sh \"\$1/.recipe/support/images/stage_$name.sh\" \"\$1\"" \
        --customize-hook="sync-out /.layers $folder" \
        --format=null bookworm /dev/null > "$folder.log" 2>&1 || {
        tail -40 "$folder.log" >&2
        say "mmdebstrap failed for the stage $name"
        return 1
    }
    set +f
    rm -rf "$folder/support" "$folder"/*.state "$folder/apt.log"
}

make_stage() {
    case $1 in
    payments | slim) bootstrap "$1" "$2" ;;
    program | programs) sh "$recipes/stage_$1.sh" "$support" "$(go_program)" "$2" >&2 ;;
    esac
}

# stage NAME: makes it when needed; its path.
stage() {
    made=$(stage_path "$1")
    if [ ! -d "$made" ]; then
        say "making the stage $1"
        once "$made" make_stage "$1"
    fi
    echo "$made"
}

image_path() {
    inputs=$(
        hash_of "$support/mkimage.py" "$recipes/$1.json"
        for stage in $(stages_of "$1"); do
            basename "$(stage_path "$stage")"
        done
    )
    echo "$cache/images/$1-$(echo "$inputs" | sha256sum | cut -c 1-12)"
}

assemble() {
    for stage in $(stages_of "$1"); do
        stage_made=$(stage "$stage")
        set -- "$@" "$stage=$stage_made"
    done
    recipe=$recipes/$1.json
    folder=$2
    shift 2
    rmdir "$folder"
    python3 "$support/mkimage.py" image "$recipe" "$folder" "$@"
}

[ $# -gt 0 ] || {
    echo "usage: images.sh NAME...|all|list" >&2
    exit 2
}
case $1 in
list)
    all_images
    exit 0
    ;;
all) eval "set -- $(all_images | tr '\n' ' ')" ;;
esac
for name; do
    [ -f "$recipes/$name.json" ] || {
        say "no image $name; there are: $(all_images | tr '\n' ' ')"
        exit 2
    }
done
for name; do
    path=$(image_path "$name")
    [ -d "$path" ] || once "$path" assemble "$name"
    echo "$path"
done
