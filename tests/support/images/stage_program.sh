#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# stage_program.sh SUPPORT GO OUT: the payments service and a company's own package as this machine's Go
# builds them, against this machine's C library, which must not be newer than the images' (Debian 12).
set -eu
support=$1
out=$3
tree=$out/trees
trap 'rm -rf "$tree"' EXIT
PATH=$(dirname "$2"):$PATH
export PATH GOTOOLCHAIN=local GOFLAGS=-trimpath GOWORK=off

mkdir -p "$tree/payments/usr/local/bin"
cp -r "$support/images/payments" "$tree/source"
python3 "$support/images/make_assets.py" "$tree/source/web"
(cd "$tree/source" && CGO_ENABLED=1 go build -tags libsqlite3 -o "$tree/payments/usr/local/bin/payments" .)
python3 "$support/mkimage.py" layer "$tree/payments" "$out/payments" --root-owned

# Templates that only the package's configuration names; a file that nothing names.
package=$tree/package
mkdir -p "$package/DEBIAN" "$package/usr/bin" "$package/usr/share/doc/acme-portal" "$package/etc/acme-portal" \
    "$package/usr/share/acme-portal/templates"
printf 'name: Example\nzone: Europe/Berlin\ntemplates: /usr/share/acme-portal/templates\n' \
    > "$package/etc/acme-portal/portal.yaml"
printf 'Welcome to {{.name}}\n' > "$package/usr/share/acme-portal/templates/page.tmpl"
echo 'first release' > "$package/usr/share/acme-portal/changes.txt"
echo 'Copyright Example Company; Apache-2.0' > "$package/usr/share/doc/acme-portal/copyright"
(cd "$support/images/service" && CGO_ENABLED=1 go build -ldflags='-X main.configPath=/etc/acme-portal/portal.yaml' \
    -o "$package/usr/bin/acme-portal" .)
echo /etc/acme-portal/portal.yaml > "$package/DEBIAN/conffiles"
cat > "$package/DEBIAN/control" << 'END'
Package: acme-portal
Version: 1.4-1
Architecture: amd64
Maintainer: Example Company <portal@example.com>
Depends: libc6
Description: portal of the Example Company
END
(cd "$package" && find usr -type f | LC_ALL=C sort | xargs md5sum > DEBIAN/md5sums)
dpkg-deb --root-owner-group -Zgzip -z1 --build "$package" "$out/package.deb" > /dev/null
