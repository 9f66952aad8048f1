# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=sh
# What the stages share. They run as mmdebstrap's customize hook, as root of a namespace or as root: $1 is the tree;
# /.recipe in it holds this folder, /.layers takes the results.
set -eu
root=$1
recipe=$root/.recipe/support
out=$root/.layers
images=$recipe/images
export LC_ALL=C.UTF-8 SOURCE_DATE_EPOCH=1704067200 PYTHONDONTWRITEBYTECODE=1
export PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin
umask 022
mkdir -p "$out"

# capture TREE NAME BEFORE: the layer NAME, what changed in TREE since the layer BEFORE ("" takes the whole tree).
capture() {
    rm -f "$1/etc/resolv.conf" "$1/etc/hostname"
    python3 "$images/settle.py" "$1"
    python3 "$recipe/mkimage.py" layer "$1" "$out/$2" --after "$out/$2.state" ${3:+--before "$out/$3.state"} \
        --exclude .recipe --exclude .layers --exclude .trees --exclude .lists \
        --exclude "tmp/$(basename "$MMDEBSTRAP_APT_CONFIG")"
}

# install_in TREE PACKAGE...: by this machine's apt, so that the tree needs no network of its own. dpkg runs inside.
install_in() {
    tree=$1
    shift
    cp -r "$root/.lists/." "$tree/var/lib/apt/lists/"
    sed "s#$root#$tree#g" "$MMDEBSTRAP_APT_CONFIG" > "$tree/.apt.conf"
    printf 'DPkg::Chroot-Directory "%s";\nAPT::Keep-Downloaded-Packages "true";\n' "$tree" >> "$tree/.apt.conf"
    APT_CONFIG=$tree/.apt.conf DEBIAN_FRONTEND=noninteractive apt-get --yes -qq install "$@" > "$out/apt.log" 2>&1 || {
        cat "$out/apt.log" >&2
        exit 1
    }
    rm -f "$tree/.apt.conf"
}

# start: the first layer, a base image as it is published; the package lists are kept for later installations.
start() {
    cp -r "$root/var/lib/apt/lists" "$root/.lists"
    clean "$root"
    capture "$root" base ""
}

# clean TREE: what a careful recipe does at the end of an installation.
clean() {
    rm -rf "$1"/var/lib/apt/lists/* "$1"/var/cache/apt/archives/*.deb "$1"/var/log/apt "$1"/var/log/*.log
}

# fork TREE COPY: a copy in which packages can be installed. Mounts are this mount namespace's own.
fork() {
    mkdir -p "$2"
    tar -C "$1" --one-file-system --exclude=./.recipe --exclude=./.layers --exclude=./.trees --exclude=./.lists \
        --exclude='./dev/*' --exclude='./proc/*' --exclude='./sys/*' -cf - . | tar -C "$2" -xpf -
    for node in null zero random urandom; do
        : > "$2/dev/$node"
        mount --bind "/dev/$node" "$2/dev/$node"
    done
    mount --rbind "$root/proc" "$2/proc"
}

forget() {
    for node in null zero random urandom; do
        umount "$1/dev/$node"
    done
    umount -R -l "$1/proc"
    rm -rf --one-file-system "$1"
}

# configure TREE: everything of the payments service but its program.
configure() {
    from=$images/payments
    chroot "$1" useradd --uid 10001 --no-create-home --home-dir /srv/payments --shell /usr/sbin/nologin payments
    mkdir -p "$1/etc/payments/tls" "$1/srv/payments/templates" "$1/var/spool/payments" "$1/var/log/payments"
    cp "$from/config/config.yaml" "$1/etc/payments/"
    cp "$from/tls/server.crt" "$from/tls/server.key" "$1/etc/payments/tls/"
    cp "$from/templates/receipt.tmpl" "$1/srv/payments/templates/"
    cp "$from/tls/company.crt" "$1/usr/local/share/ca-certificates/"
    chroot "$1" update-ca-certificates > /dev/null 2>&1
    sed -i 's/^\[ new_oids \]$/&\npaymentsPolicy = 1.3.6.1.4.1.32473.1.1/; s/^\[openssl_init\]$/&\noid_section = new_oids/' \
        "$1/etc/ssl/openssl.cnf"
    printf '127.0.0.1 localhost\n::1 localhost ip6-localhost\n' > "$1/etc/hosts"
    printf 'level=info msg="started"\n' > "$1/var/log/payments/payments.log"
    chroot "$1" chown -R payments: /srv/payments /var/spool/payments /var/log/payments
    chroot "$1" chgrp payments /etc/payments/tls/server.key
    chmod 640 "$1/etc/payments/tls/server.key"
    chmod 750 "$1/var/spool/payments"
}
