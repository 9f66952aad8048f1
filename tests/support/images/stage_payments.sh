# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=sh
# The layers of the payments images: the build in one image as it grows, and the run-time part of a multi-stage build.
# mmdebstrap: --variant=minbase --include=ca-certificates --dpkgopt=force-unsafe-io
# shellcheck source=steps.sh source-path=SCRIPTDIR
. "$(dirname "$0")/steps.sh"

start

# The last stage of a multi-stage build: the same base, what the service needs, its configuration.
runtime=$root/.trees/runtime
fork "$root" "$runtime"
install_in "$runtime" git libsqlite3-0 media-types netbase tzdata
clean "$runtime"
capture "$runtime" runtime base
configure "$runtime"
capture "$runtime" runtime-config runtime
forget "$runtime"

# RUN apt-get install: lists and archives stay, as when nobody removes them.
install_in "$root" build-essential gcc git golang-go libsqlite3-dev libssl-dev pkg-config media-types netbase tzdata
capture "$root" toolchain base

# COPY go.mod go.sum; RUN go mod download; RUN go build of the dependencies.
mkdir -p "$root/go/pkg" "$root/src/payments"
cp -r "$recipe/modules" "$root/go/pkg/mod"
cp "$images/payments/go.mod" "$images/payments/go.sum" "$root/src/payments/"
go_in_tree() {
    chroot "$root" env -i HOME=/root PATH=/usr/local/bin:/usr/bin:/bin GOPATH=/go GOPROXY=off GOFLAGS=-mod=mod \
        sh -c "cd /src/payments && go $*"
}
go_in_tree build -tags libsqlite3 github.com/mattn/go-sqlite3
capture "$root" modules toolchain

# COPY . /src/payments
cp -r "$images/payments/." "$root/src/payments/"
python3 "$images/make_assets.py" "$root/src/payments/web"
mkdir -p "$root/src/payments/notes"
printf 'to be removed\n' > "$root/src/payments/notes/todo.txt"
capture "$root" sources modules

# RUN go build
go_in_tree build -tags libsqlite3 -o /usr/local/bin/payments .
cp "$root/usr/local/bin/payments" "$root/usr/local/bin/payments.debug"
chmod 700 "$root/usr/local/bin/payments"
capture "$root" build sources

# The program alone, as COPY --from brings it.
mkdir -p "$root/.trees/binary/usr/local/bin"
cp "$root/usr/local/bin/payments" "$root/.trees/binary/usr/local/bin/"
chmod 755 "$root/.trees/binary/usr/local/bin/payments"
capture "$root/.trees/binary" binary ""

configure "$root"
printf 'level=info msg="old"\n' > "$root/var/log/payments/old.log"
capture "$root" config build

# Later corrections: copies by chmod and chown, a file written again, files and folders removed.
chmod 755 "$root/usr/local/bin/payments"
chroot "$root" chown -R payments: /src/payments/web
cp "$images/payments/templates/receipt.tmpl" "$root/srv/payments/templates/receipt.tmpl.new"
mv "$root/srv/payments/templates/receipt.tmpl.new" "$root/srv/payments/templates/receipt.tmpl"
chroot "$root" chown payments: /srv/payments/templates/receipt.tmpl
chmod 640 "$root/srv/payments/templates/receipt.tmpl"
rm -r "$root/usr/local/bin/payments.debug" "$root/var/log/payments/old.log" "$root/src/payments/notes" \
    "$root/usr/share/doc/git/contrib"
capture "$root" corrections config
rm -rf "$root/.trees"
