# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=sh
# A Debian without documentation, as slim base images are, and what small images put on it.
# mmdebstrap: --variant=apt --hook-dir=/usr/share/mmdebstrap/hooks/merged-usr --dpkgopt=force-unsafe-io
# mmdebstrap: --include=usr-is-merged,ca-certificates,netbase,media-types,tzdata,passwd
# mmdebstrap: --dpkgopt=path-exclude=/usr/share/man/* --dpkgopt=path-exclude=/usr/share/locale/*/LC_MESSAGES/*
# mmdebstrap: --dpkgopt=path-exclude=/usr/share/doc/* --dpkgopt=path-include=/usr/share/doc/*/copyright
# shellcheck source=steps.sh source-path=SCRIPTDIR
. "$(dirname "$0")/steps.sh"

start

runtime=$root/.trees/runtime
fork "$root" "$runtime"
install_in "$runtime" git libsqlite3-0
clean "$runtime"
capture "$runtime" runtime base
configure "$runtime"
capture "$runtime" payments-config runtime
forget "$runtime"

for package in tini python3; do
    fork "$root" "$root/.trees/$package"
    install_in "$root/.trees/$package" "$package"
    clean "$root/.trees/$package"
    capture "$root/.trees/$package" "$package" base
    forget "$root/.trees/$package"
done

fork "$root" "$root/.trees/package"
cp "$recipe/package.deb" "$root/.trees/package/tmp/"
chroot "$root/.trees/package" dpkg -i /tmp/package.deb > /dev/null
rm "$root/.trees/package/tmp/package.deb"
clean "$root/.trees/package"
capture "$root/.trees/package" package base
forget "$root/.trees/package"

# The account of the small service.
fork "$root" "$root/.trees/account"
chroot "$root/.trees/account" useradd --uid 10002 --no-create-home --home-dir /srv/service --shell /usr/sbin/nologin service
printf '127.0.0.1 localhost\n' > "$root/.trees/account/etc/hosts"
capture "$root/.trees/account" account base
forget "$root/.trees/account"

# Data alone, as distroless bases for static programs have it.
data=$root/.trees/data
mkdir -p "$data/etc/ssl/certs" "$data/usr/share" "$data/tmp" "$data/var/lib/dpkg/status.d" "$data/home/nonroot"
chmod 1777 "$data/tmp"
cp "$root/etc/ssl/certs/ca-certificates.crt" "$data/etc/ssl/certs/"
cp -a "$root/usr/share/zoneinfo" "$data/usr/share/"
cp -a "$root/etc/mime.types" "$root/etc/services" "$root/etc/nsswitch.conf" "$data/etc/"
cp -L "$root/etc/os-release" "$data/etc/os-release"
printf 'root:x:0:0:root:/root:/sbin/nologin\nnonroot:x:65532:65532:nonroot:/home/nonroot:/sbin/nologin\n' > "$data/etc/passwd"
printf 'root:x:0:\nnonroot:x:65532:\n' > "$data/etc/group"
printf '127.0.0.1 localhost\n' > "$data/etc/hosts"
for package in ca-certificates media-types netbase tzdata; do
    dpkg-query --admindir="$root/var/lib/dpkg" -s "$package" > "$data/var/lib/dpkg/status.d/$package"
    cp "$root/var/lib/dpkg/info/$package.md5sums" "$data/var/lib/dpkg/status.d/"
done
chown -R 65532:65532 "$data/home/nonroot"
capture "$data" data ""
rm -rf --one-file-system "$root/.trees"
