// SPDX-License-Identifier: Apache-2.0
// Libraries that start programs.
#include "src/facts/knowledge_tables.h"

namespace imgslim {

namespace {

using Kind = KnowledgeKind;

const std::vector<KnowledgeRow> kRows = {
    {.kind = Kind::kLibrary,
     .key = "libc.so.6",
     .names = {"/bin/sh"},
     .trigger = "system(), popen(), wordexp() of a caller",
     .missing_handled = true,
     .source =
         "glibc sysdeps/posix/system.c, libio/iopopen.c, posix/wordexp.c: the caller's own site counts"},
    {.kind = Kind::kLibrary,
     .key = "ld-musl-*.so.1",
     .names = {"/bin/sh"},
     .trigger = "system(), popen(), wordexp() of a caller",
     .missing_handled = true,
     .source = "musl src/process/system.c, src/stdio/popen.c, src/misc/wordexp.c"},
    {.kind = Kind::kLibrary,
     .key = "libpam.so.0",
     .names = {"unix_chkpwd"},
     .trigger = "helper of pam_unix",
     .source = "Linux-PAM modules/pam_unix/support.c"},
    {.kind = Kind::kLibrary,
     .key = "libgio-2.0.so.0",
     .names = {"dbus-launch", "gio-launch-desktop"},
     .paths = {"{LIB}/glib-2.0/gio-launch-desktop", "/usr/libexec/gio-launch-desktop"},
     .trigger = "session bus without an address; desktop files",
     .source = "glib gio/gdbusaddress.c:1131: no session bus without; gio/gdesktopappinfo.c:3105: that "
               "application does not start without"},
    {.kind = Kind::kLibrary,
     .key = "libglib-2.0.so.0",
     .names = {"/bin/sh"},
     .trigger = "g_spawn_* of a caller",
     .missing_handled = true,
     .source = "glib glib/gspawn.c: the caller's own names count"},
    {.kind = Kind::kLibrary,
     .key = "libmount.so.1",
     .names = {"mount.*", "umount.*"},
     .trigger = "a file system with a helper program",
     .source = "util-linux libmount/src/context_mount.c exec_helper: a file system that needs its helper is "
               "not mounted without"},
    {.kind = Kind::kLibrary,
     .key = "libcryptsetup.so.12",
     .trigger = "none by name",
     .missing_handled = true,
     .source = "cryptsetup lib/"},
    {.kind = Kind::kLibrary,
     .key = "libkmod.so.2",
     .names = {"/bin/sh"},
     .trigger = "install commands of modprobe.d",
     .missing_handled = true,
     .source = "kmod libkmod/libkmod-module.c:787 command_do: an error of the module whose configuration "
               "names a command"},
    {.kind = Kind::kLibrary,
     .key = "libdbus-1.so.3",
     .names = {"dbus-launch"},
     .trigger = "autolaunch of the session bus",
     .missing_handled = true,
     .source = "dbus dbus/dbus-sysdeps-unix.c _dbus_get_autolaunch_address: only with DISPLAY, an error of "
               "that connection without"},
    {.kind = Kind::kLibrary,
     .key = "libcups.so.2",
     .names = {"xdg-open"},
     .trigger = "sign-in with a browser",
     .missing_handled = true,
     .source = "cups cups/oauth.c:519: an error of that sign-in without"},
    {.kind = Kind::kLibrary,
     .key = "libpython3*.so.1.0",
     .names = {"/bin/sh"},
     .trigger = "os.system, subprocess: the script's own",
     .source = "cpython Modules/_posixsubprocess.c"},
    {.kind = Kind::kLibrary,
     .key = "libperl.so.*",
     .names = {"/bin/sh"},
     .trigger = "system and backquotes: the script's own",
     .source = "perl doio.c"},
    {.kind = Kind::kLibrary,
     .key = "libuv.so.1",
     .trigger = "uv_spawn of a caller",
     .source = "libuv src/unix/process.c"},
    {.kind = Kind::kLibrary,
     .key = "libapr-1.so.0",
     .trigger = "apr_proc_create of a caller",
     .source = "apr threadproc/unix/proc.c"},
    {.kind = Kind::kLibrary,
     .key = "libsystemd*.so*",
     .trigger = "helpers of features outside containers (pager, ssh, agents)",
     .source = "systemd src/shared/pager.c, src/libsystemd/sd-bus/bus-socket.c: named by the caller's "
               "address or the environment"},
};

}  // namespace

const std::vector<KnowledgeRow>& rows_of_exec_libraries() {
  return kRows;
}

}  // namespace imgslim
