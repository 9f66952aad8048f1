// SPDX-License-Identifier: Apache-2.0
// Programs that start others.
#include "src/facts/knowledge_tables.h"

namespace imgslim {

namespace {

using Kind = KnowledgeKind;

// Seen through where they are a command of the image; each of them executes its own words and nothing else.
constexpr std::string_view kWrappers[] = {"env",     "tini",   "tini-static", "dumb-init", "gosu",
                                          "su-exec", "nice",   "nohup",       "timeout",   "setpriv",
                                          "chroot",  "setsid", "stdbuf",      "catatonit", "docker-init"};
constexpr std::string_view kShells[] = {"sh", "dash", "bash", "ash"};

const std::vector<KnowledgeRow> kRows = {
    {.kind = Kind::kProgram,
     .key = "git",
     .names = {"sh",    "basename", "cat",  "chmod", "cp",    "cut",    "diff",  "dirname",
               "expr",  "grep",     "head", "ls",    "mkdir", "mktemp", "mv",    "rm",
               "rmdir", "sed",      "sort", "tail",  "touch", "tr",     "uname", "wc"},
     .paths = {"/usr/lib/git-core/*", "/usr/libexec/git-core/*", "/usr/share/git-core/templates/*"},
     .trigger = "helper commands of its own, aliases, hooks, pager and editor, ssh and https transports",
     .source = "git run-command.c, exec-cmd.c; its scripts git-sh-setup, git-submodule, git-mergetool, "
               "git-subtree"},
    {.kind = Kind::kProgram,
     .key = "git-*",
     .names = {"git", "sh"},
     .paths = {"/usr/lib/git-core/*"},
     .trigger = "helper commands of git",
     .source = "git run-command.c"},
    {.kind = Kind::kProgram,
     .key = "scalar",
     .names = {"git", "sh"},
     .paths = {"/usr/lib/git-core/*"},
     .trigger = "helper commands of git",
     .source = "git scalar.c: run_git"},
    {.kind = Kind::kProgram,
     .key = "sort",
     .trigger = "--compress-program",
     .missing_handled = true,
     .source = "coreutils src/sort.c maybe_create_temp: one that does not start is left out; the option is a "
               "word of the command"},
    {.kind = Kind::kProgram,
     .key = "split",
     .names = {"sh"},
     .trigger = "--filter",
     .source = "coreutils split.c create: SHELL or /bin/sh -c"},
    {.kind = Kind::kProgram,
     .key = "install",
     .names = {"strip"},
     .trigger = "-s",
     .source = "coreutils install.c strip: asked for by an option, an error without"},
    {.kind = Kind::kProgram,
     .key = "sed",
     .names = {"sh"},
     .trigger = "the command e and the flag e",
     .source = "GNU sed execute.c: popen, system"},
    {.kind = Kind::kProgram,
     .key = "diff",
     .names = {"pr"},
     .trigger = "-l",
     .source = "diffutils util.c begin_output: asked for by an option, an error without"},
    {.kind = Kind::kProgram,
     .key = "find",
     .trigger = "-exec, -ok and their kin",
     .missing_handled = true,
     .source = "findutils find/exec.c launch: the command is among its words"},
    {.kind = Kind::kProgram,
     .key = "xargs",
     .names = {"echo"},
     .trigger = "a command among its words",
     .source = "findutils xargs/xargs.c: echo where no command is given"},
    {.kind = Kind::kProgram,
     .key = "flock",
     .names = {"sh"},
     .trigger = "-c; else a command among its words",
     .source = "util-linux sys-utils/flock.c build_shell_cmd_argv: SHELL or /bin/sh"},
    {.kind = Kind::kProgram,
     .key = "busybox",
     .names = {"sh"},
     .trigger = "the words of its script; system() and popen() of awk, vi, watch, mdev and others",
     .source = "busybox editors/awk.c, editors/vi.c, procps/watch.c, util-linux/mdev.c: /bin/sh -c"},
    {.kind = Kind::kProgram,
     .key = "gawk",
     .names = {"sh"},
     .trigger = "system(), pipes",
     .source = "gawk io.c, builtin.c: /bin/sh -c"},
    {.kind = Kind::kProgram,
     .key = "mawk",
     .names = {"sh"},
     .trigger = "system(), pipes",
     .source = "mawk files.c, bi_funct.c: /bin/sh -c"},
    {.kind = Kind::kProgram,
     .key = "tar",
     .names = {"sh", "gzip", "bzip2", "xz", "zstd", "lzip", "lzma", "lzop", "compress"},
     .trigger = "compressed archives, --to-command, --use-compress-program",
     .source = "GNU tar buffer.c, system.c"},
    {.kind = Kind::kProgram,
     .key = "ssh",
     .names = {"sh", "ssh-askpass", "ssh-sk-helper", "ssh-pkcs11-helper"},
     .paths = {"/usr/lib/openssh/ssh-*-helper", "/usr/libexec/openssh/ssh-*-helper",
               "/usr/lib/ssh/ssh-*-helper"},
     .trigger = "ProxyCommand, LocalCommand, keys in hardware, askpass",
     .source = "openssh sshconnect.c, ssh-sk-client.c start_helper, ssh-pkcs11-client.c: that key or host is "
               "an error without; readpass.c: no question without a terminal helper"},
    {.kind = Kind::kProgram,
     .key = "python3*",
     .names = {"/bin/sh"},
     .trigger = "os.system, subprocess: the script's own",
     .source = "cpython Lib/subprocess.py"},
    {.kind = Kind::kProgram,
     .key = "perl*",
     .names = {"/bin/sh"},
     .trigger = "system and backquotes: the script's own",
     .source = "perl doio.c"},
    {.kind = Kind::kProgram,
     .key = "imgslim",
     .names = {"git"},
     .trigger = "the hook; a credential helper that Docker's configuration names",
     .missing_handled = true,
     .source = "src/hook/git.cc: a warning without; registry/credential_helper.cc"},
    {.kind = Kind::kProgram,
     .key = "runc",
     .names = {"/proc/self/exe", "criu", "newuidmap", "newgidmap"},
     .trigger = "itself as init; criu for checkpoints; id maps when rootless",
     .source = "runc libcontainer/container_linux.go:575,1132, criu_linux.go:927: checkpoints and rootless "
               "containers are an error without"},
    {.kind = Kind::kProgram,
     .key = "crun",
     .names = {"/proc/self/exe", "newuidmap", "newgidmap", "criu"},
     .trigger = "id maps when rootless, checkpoints",
     .source = "crun src/libcrun/linux.c:4051 uidgidmap_helper, criu.c: rootless containers and checkpoints "
               "are an error without"},
};

std::vector<KnowledgeRow> all_rows() {
  std::vector<KnowledgeRow> rows = kRows;
  for (const std::string_view shell : kShells) {
    rows.push_back({.kind = Kind::kProgram,
                    .key = shell,
                    .trigger = "the words of its script",
                    .missing_handled = true,
                    .source = "the script is read as such; bash execute_cmd.c shell_execve, POSIX Shell "
                              "Command Language 2.9.1"});
  }
  for (const std::string_view wrapper : kWrappers) {
    rows.push_back({.kind = Kind::kProgram,
                    .key = wrapper,
                    .trigger = "its own arguments: a wrapper",
                    .missing_handled = true,
                    .source = "the command is read from the image's configuration; the sources that "
                              "wrappers.cc lists"});
  }
  return rows;
}

}  // namespace

const std::vector<KnowledgeRow>& rows_of_exec_programs() {
  static const std::vector<KnowledgeRow> rows = all_rows();
  return rows;
}

}  // namespace imgslim
