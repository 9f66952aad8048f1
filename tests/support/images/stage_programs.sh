#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# stage_programs.sh SUPPORT GO OUT: layers of what this machine's Go builds; every entry belongs to root.
set -eu
support=$1
go=$2
out=$3
images=$support/images
tree=$out/trees
trap 'chmod -R u+w "$tree"; rm -rf "$tree"' EXIT
mkdir -p "$tree"
PATH=$(dirname "$go"):$PATH
export PATH GOTOOLCHAIN=local GOFLAGS=-trimpath GOWORK=off

# capture NAME [OPTION...]
capture() {
    name=$1
    shift
    python3 "$support/mkimage.py" layer "$tree/$name" "$out/$name" --root-owned "$@"
}

build() {
    (cd "$images/service" && env "$@" .)
}

# put_data TREE CONFIG-FOLDER TEMPLATE-FOLDER
put_data() {
    mkdir -p "$tree/$1/$2" "$tree/$1/$3"
    printf 'name: Example\nzone: Europe/Berlin\ntemplates: /%s\n' "$3" > "$tree/$1/$2/config.yaml"
    printf 'Welcome to {{.name}}\n' > "$tree/$1/$3/page.tmpl"
}

for kind in static pie musl; do
    put_data "service-$kind" etc/service srv/service/templates
    mkdir -p "$tree/service-$kind/usr/local/bin"
done
build CGO_ENABLED=0 go build -o "$tree/service-static/usr/local/bin/service"
build CGO_ENABLED=1 go build -buildmode=pie -o "$tree/service-pie/usr/local/bin/service"
build CGO_ENABLED=1 CC=musl-gcc go build -ldflags='-linkmode external' -o "$tree/service-musl/usr/local/bin/service"
capture service-static
capture service-pie

# A small Alpine: musl as C library and loader, busybox for the rest, apk's database.
musl=$tree/service-musl
mkdir -p "$musl/lib/apk/db" "$musl/bin" "$musl/etc" "$musl/usr/share/zoneinfo/Europe" "$musl/tmp" "$musl/usr/include"
chmod 1777 "$musl/tmp"
cp /usr/lib/x86_64-linux-musl/libc.so "$musl/lib/ld-musl-x86_64.so.1"
ln -s ld-musl-x86_64.so.1 "$musl/lib/libc.musl-x86_64.so.1"
ln -s ld-musl-x86_64.so.1 "$musl/lib/libc.so"
cp /usr/include/x86_64-linux-musl/stdio.h "$musl/usr/include/"
cp /bin/busybox "$musl/bin/"
for applet in cat ls sh; do
    ln -s busybox "$musl/bin/$applet"
done
cp /usr/share/zoneinfo/Europe/Berlin "$musl/usr/share/zoneinfo/Europe/"
printf 'root:x:0:0:root:/root:/bin/sh\nservice:x:10002:10002::/srv/service:/sbin/nologin\n' > "$musl/etc/passwd"
printf 'root:x:0:\nservice:x:10002:\n' > "$musl/etc/group"
printf '127.0.0.1 localhost\n' > "$musl/etc/hosts"
printf 'ID=alpine\nNAME="Alpine Linux"\nVERSION_ID=3.18.0\n' > "$musl/etc/os-release"
cat > "$musl/lib/apk/db/installed" << 'END'
P:musl
V:1.2.3-r4
A:x86_64
L:MIT
o:musl
F:lib
R:ld-musl-x86_64.so.1
R:libc.musl-x86_64.so.1

P:musl-dev
V:1.2.3-r4
A:x86_64
L:MIT
o:musl
F:lib
R:libc.so
F:usr/include
R:stdio.h

P:busybox
V:1.35.0-r4
A:x86_64
L:GPL-2.0-only
o:busybox
F:bin
R:busybox
R:sh

P:tzdata
V:2024a-r0
A:x86_64
L:Public-Domain
o:tzdata
F:usr/share/zoneinfo/Europe
R:Berlin

END
capture service-musl

# A start script that goes on with the command.
mkdir -p "$tree/script/usr/local/bin" "$tree/script/etc/service"
cat > "$tree/script/usr/local/bin/start" << 'END'
#!/bin/sh
set -e
GREETING=$(cat /etc/service/greeting)
export GREETING
exec "$@"
END
chmod 755 "$tree/script/usr/local/bin/start"
echo 'good morning' > "$tree/script/etc/service/greeting"
capture script

mkdir -p "$tree/python/usr/local/bin"
cp "$images/service/server.py" "$tree/python/usr/local/bin/server"
chmod 755 "$tree/python/usr/local/bin/server"
capture python

# As ko builds: the program in /ko-app, data in /var/run/ko, absolute names, no times, folders that are not writable.
mkdir -p "$tree/ko-app/ko-app" "$tree/ko-data/var/run/ko"
build CGO_ENABLED=0 go build -ldflags='-X main.configPath=/var/run/ko/config.yaml' -o "$tree/ko-app/ko-app/service"
put_data ko-data var/run/ko var/run/ko/templates
chmod 444 "$tree/ko-data/var/run/ko/config.yaml" "$tree/ko-data/var/run/ko/templates/page.tmpl"
chmod 555 "$tree/ko-app/ko-app" "$tree/ko-app/ko-app/service" "$tree/ko-data/var/run/ko" \
    "$tree/ko-data/var/run/ko/templates"
capture ko-app --absolute --zero-time
capture ko-data --absolute --zero-time

# The same service for two platforms.
put_data config etc/service srv/service/templates
capture config
for arch in amd64 arm64; do
    mkdir -p "$tree/service-$arch/usr/local/bin"
    build CGO_ENABLED=0 GOARCH=$arch go build -o "$tree/service-$arch/usr/local/bin/service"
    capture service-$arch
done

# A builder image's Go: programs, some of its library's sources, a build cache.
goroot=$(go env GOROOT)
mkdir -p "$tree/golang/usr/local/go/src" "$tree/golang/go/src"
cp -rL "$goroot/bin" "$goroot/VERSION" "$tree/golang/usr/local/go/"
for library in errors fmt io os strconv strings; do
    cp -rL "$goroot/src/$library" "$tree/golang/usr/local/go/src/"
done
capture golang
