// SPDX-License-Identifier: Apache-2.0
#include <doctest/doctest.h>

#include <algorithm>

#include "layers/error.h"
#include "src/facts/roots.h"
#include "tests/support/table_files.h"

namespace imgslim {
namespace {

using Words = std::vector<std::string>;

TableFiles small_image() {
  TableFiles files;
  files.link("/bin", "usr/bin");
  for (const char* name : {"sh", "bash", "env", "tini", "gosu", "git", "sed", "python3", "sleep", "curl"}) {
    files.program(std::string("/usr/bin/") + name);
  }
  files.program("/srv/app").program("/usr/local/bin/server");
  files.file("/etc/app.yaml", "x: 1\n");
  return files;
}

ImageConfig config_of(Words entrypoint, Words cmd, Words env = {}) {
  ImageConfig config;
  config.entrypoint = std::move(entrypoint);
  config.cmd = std::move(cmd);
  config.env = std::move(env);
  return config;
}

const ReachedFile* file_at(const Roots& roots, std::string_view path) {
  for (const ReachedFile& file : roots.files) {
    if (file.path == path) return &file;
  }
  return nullptr;
}

TEST_CASE("roots: PATH, working directory and links") {
  TableFiles files = small_image();
  files.link("/usr/bin/app", "/opt/app-1/bin/app").program("/opt/app-1/bin/app");
  const Roots by_path = find_roots(files, config_of({}, {"app", "-v"}));
  CHECK(by_path.roots[0].program == "/opt/app-1/bin/app");
  CHECK(by_path.reaches("/usr/bin/app"));
  CHECK(file_at(by_path, "/usr/bin/app")->kind == ReachedFile::Kind::kLink);
  CHECK(file_at(by_path, "/opt/app-1/bin/app")->evidence == Evidence::kExact);
  CHECK(by_path.kind == ImageKind::kApplication);

  ImageConfig config = config_of({"./app"}, {});
  config.working_dir = "/srv";
  CHECK(find_roots(files, config).roots[0].program == "/srv/app");
  CHECK(find_roots(files, config_of({"app"}, {}, {"PATH=/srv:/bin"})).roots[0].program == "/srv/app");
  // not executable
  files.file("/usr/local/bin/git", "text");
  CHECK(find_roots(files, config_of({"git"}, {})).roots[0].program == "/usr/bin/git");
}

TEST_CASE("roots: ENTRYPOINT and CMD together and each alone, health checks") {
  TableFiles files = small_image();
  ImageConfig config = config_of({"/srv/app"}, {"server", "--x"});
  config.healthcheck = {"CMD-SHELL", "curl -f http://localhost || exit 1"};
  const Roots roots = find_roots(files, config);
  REQUIRE(roots.roots.size() == 4);
  CHECK(roots.roots[0].command.argv == Words{"/srv/app", "server", "--x"});
  CHECK(roots.roots[1].command.argv == Words{"/srv/app"});
  CHECK(roots.roots[2].program == "/usr/local/bin/server");
  CHECK(roots.roots[3].command.argv[0] == "/bin/sh");
  CHECK(roots.reaches("/usr/bin/curl"));
  CHECK(file_at(roots, "/usr/bin/curl")->evidence == Evidence::kKnown);
  CHECK(roots.reaches("/bin"));
  CHECK(roots.findings.empty());
  // options are no program, and nobody is told so
  CHECK(find_roots(files, config_of({"/srv/app"}, {"--port=1"})).findings.empty());
  config.shell = {"/bin/bash", "-ec"};
  CHECK(find_roots(files, config).roots[3].command.argv[0] == "/bin/bash");
  config.healthcheck = {"NONE"};
  CHECK(find_roots(files, config).roots.size() == 3);
}

TEST_CASE("roots: wrappers are seen through and are roots as well") {
  const TableFiles files = small_image();
  const struct {
    Words argv;
    Words reached;
  } cases[] = {
      {{"tini", "-g", "-p", "SIGTERM", "--", "/srv/app"}, {"/usr/bin/tini"}},
      {{"tini", "--", "gosu", "www:www", "/srv/app", "x"}, {"/usr/bin/tini", "/usr/bin/gosu"}},
      {{"env", "-i", "A=1", "-u", "B", "PATH=/srv", "app"}, {"/usr/bin/env"}},
      {{"env", "-S", "A=1 /srv/app -x"}, {"/usr/bin/env"}},
      {{"sh", "-c", "exec /srv/app --x"}, {"/usr/bin/sh"}},
      {{"bash", "-ec", "A=/srv; exec $A/app"}, {"/usr/bin/bash"}},
      {{"sh", "-c", "exec \"$@\"", "--", "/srv/app"}, {"/usr/bin/sh"}},
  };
  for (const auto& item : cases) {
    CAPTURE(item.argv[0]);
    CAPTURE(item.argv[1]);
    const Roots roots = find_roots(files, config_of(item.argv, {}));
    CHECK(roots.roots[0].program == "/srv/app");
    for (const std::string& path : item.reached)
      CHECK(roots.reaches(path));
    CHECK(roots.kind == ImageKind::kApplication);
    CHECK(roots.findings.empty());
  }
}

TEST_CASE("roots: shebang chains") {
  TableFiles files = small_image();
  files.file("/srv/a", "#!/srv/b -x\n", 0755).file("/srv/b", "#! /usr/bin/env  python3 \nimport os\n", 0755);
  files.file("/srv/c", "#!/usr/bin/env -S A=1 bash -e\ngit fetch\n", 0755);
  const Roots chain = find_roots(files, config_of({"/srv/a"}, {}));
  for (const char* path : {"/srv/a", "/srv/b", "/usr/bin/env"})
    CHECK(chain.reaches(path));
  CHECK(chain.roots[0].program == "/srv/a");
  const Roots split = find_roots(files, config_of({"/srv/c"}, {}));
  CHECK(split.reaches("/usr/bin/bash"));
  CHECK(split.reaches("/usr/bin/git"));
  CHECK(file_at(split, "/usr/bin/bash")->evidence == Evidence::kKnown);
  CHECK(file_at(split, "/usr/bin/git")->evidence == Evidence::kCandidate);
  CHECK(file_at(split, "/usr/bin/git")->why.find("/srv/c, line 2") != std::string::npos);
  files.file("/srv/loop", "#!/srv/loop\n", 0755);
  CHECK_FALSE(find_roots(files, config_of({"/srv/loop"}, {})).roots.empty());
}

TEST_CASE("roots: scripts name programs, source files and pass on what they are given") {
  TableFiles files = small_image();
  files.file("/entrypoint.sh",
             "#!/bin/sh\nset -e\n. /etc/defaults.sh\n. \"$(dirname \"$0\")/common.sh\"\n"
             "if [ \"$1\" = debug ]; then sed -i s/a/b/ /etc/app.yaml; fi\nmissing-tool --x\n"
             "setup\nexec gosu app \"$@\"\n",
             0755);
  files.file("/etc/defaults.sh", "curl x\n").file("/common.sh", "setup() { git init; }\n");
  const Roots roots = find_roots(files, config_of({"/entrypoint.sh"}, {"server", "--x"}));
  for (const char* path : {"/usr/bin/sed", "/etc/defaults.sh", "/common.sh", "/usr/bin/curl", "/usr/bin/git",
                           "/usr/bin/gosu", "/usr/local/bin/server", "/etc/app.yaml"}) {
    CAPTURE(path);
    CHECK(roots.reaches(path));
  }
  CHECK(file_at(roots, "/etc/defaults.sh")->kind == ReachedFile::Kind::kSourced);
  CHECK(std::any_of(roots.findings.begin(), roots.findings.end(), [](const RootFinding& finding) {
    return finding.kind == RootFinding::Kind::kNotFound &&
           finding.text.find("missing-tool") != std::string::npos;
  }));
  CHECK(roots.roots[0].program == "/entrypoint.sh");
  CHECK(roots.kind == ImageKind::kApplication);
}

TEST_CASE("roots: arguments that name files of the image") {
  TableFiles files = small_image();
  files.file("/srv/main.py", "print()").directory("/srv/data");
  ImageConfig config =
      config_of({"python3", "main.py"}, {"--config=/etc/app.yaml", "--dir", "/srv/data", "git"});
  config.working_dir = "/srv";
  const Roots roots = find_roots(files, config);
  CHECK(file_at(roots, "/srv/main.py")->kind == ReachedFile::Kind::kArgument);
  CHECK(roots.reaches("/etc/app.yaml"));
  CHECK(roots.reaches("/srv/data"));
  CHECK_FALSE(roots.reaches("/usr/bin/git"));  // a bare word of another program's own command line
  CHECK(roots.kind == ImageKind::kApplication);
}

TEST_CASE("roots: wrappers take their own words as their parsers do") {
  TableFiles files = small_image();
  for (const char* name :
       {"setpriv", "dockerize", "flock", "prlimit", "chrt", "sudo", "aa-exec", "choom", "su", "setarch",
        "x86_64", "find", "sort", "gzip", "numactl", "nice", "daemon-tool"}) {
    files.program(std::string("/usr/bin/") + name);
  }
  const Words cases[] = {
      {"setpriv", "--ruid", "1000", "--euid=1000", "--ptracer", "any", "server"},
      {"setpriv", "--reui", "1000", "server"},
      {"env", "-a", "name", "A=b", "server"},
      {"env", "--argv0", "name", "-u", "X", "server"},
      {"dockerize", "--timeout", "60s", "-wait", "tcp://db:5432", "-poll", "server"},
      {"prlimit", "--nofile=1024", "server"},
      {"chrt", "--sched-runtime", "5", "-d", "0", "server"},
      {"sudo", "-D", "/srv", "--chroot", "/", "-u", "app", "server"},
      {"aa-exec", "-n", "space", "server"},
      {"choom", "-n", "100", "server"},
      {"setarch", "x86_64", "-R", "server"},
      {"flock", "--wait", "5", "/run/lock", "server", "-c", "x"},
      {"flock", "-n", "/run/lock", "-c", "server --x"},
      {"su", "-s", "/bin/sh", "app", "-c", "exec server"},
      {"su", "-lc", "server", "app"},
      {"su", "--session-comm=server", "app"},
  };
  for (const Words& words : cases) {
    std::string line;
    for (const std::string& word : words)
      line += word + " ";
    CAPTURE(line);
    const Roots roots = find_roots(files, config_of(words, {}));
    CHECK(roots.reaches("/usr/local/bin/server"));
    CHECK(roots.roots[0].program == "/usr/local/bin/server");
    CHECK(roots.kind == ImageKind::kApplication);
  }
  CHECK(find_roots(files, config_of({"flock", "/run/lock", "-c", "server"}, {})).reaches("/usr/bin/sh"));
  // Words that nobody knows: then any of them may be the command.
  const Roots unknown = find_roots(files, config_of({"nice", "--of-tomorrow", "7", "server"}, {}));
  CHECK(file_at(unknown, "/usr/local/bin/server") != nullptr);
  CHECK(file_at(unknown, "/usr/local/bin/server")->evidence == Evidence::kCandidate);
  // Programs that start one of their words.
  CHECK(find_roots(files, config_of({"find", "/srv", "-exec", "gzip", "{}", ";"}, {}))
            .reaches("/usr/bin/gzip"));
  CHECK(find_roots(files, config_of({"sort", "--compress-program=gzip"}, {})).reaches("/usr/bin/gzip"));
  CHECK(find_roots(files, config_of({"numactl", "--interleave=all", "server"}, {}))
            .reaches("/usr/local/bin/server"));
  CHECK_FALSE(find_roots(files, config_of({"daemon-tool", "gzip"}, {})).reaches("/usr/bin/gzip"));
}

TEST_CASE("roots: su starts the account's shell") {
  TableFiles files = small_image();
  files.program("/usr/bin/su").program("/usr/bin/zsh").program("/usr/bin/fish");
  files.file("/etc/passwd",
             "root:x:0:0:root:/root:/bin/bash\napp:x:1:1::/srv:/usr/bin/zsh\nnone:x:2:2::/:\nbroken\n");
  const Roots app = find_roots(files, config_of({"su", "app", "-c", "server"}, {}));
  CHECK(app.reaches("/usr/bin/zsh"));
  CHECK_FALSE(app.reaches("/usr/bin/bash"));
  CHECK(app.roots[0].program == "/usr/local/bin/server");
  const Roots named =
      find_roots(files, config_of({"su", "--shell", "/usr/bin/fish", "app", "-c", "server"}, {}));
  CHECK(named.reaches("/usr/bin/fish"));
  CHECK_FALSE(named.reaches("/usr/bin/zsh"));
  CHECK(find_roots(files, config_of({"su", "none", "-c", "server"}, {})).reaches("/usr/bin/sh"));
  files.file("/srv/job", "git gc\n", 0755);
  CHECK(find_roots(files, config_of({"su", "-", "root", "/srv/job"}, {})).reaches("/usr/bin/git"));
  const Roots unknown = find_roots(files, config_of({"sh", "-c", "su \"$WHO\" -c server"}, {}));
  CHECK(unknown.reaches("/usr/bin/zsh"));
  CHECK(unknown.reaches("/usr/bin/bash"));
  CHECK(find_roots(files, config_of({"runuser", "-u", "app", "--", "server"}, {})).findings.size() ==
        1);  // runuser itself is not in the image
  files.program("/usr/sbin/runuser");
  const Roots direct = find_roots(files, config_of({"runuser", "-u", "app", "--", "server"}, {}));
  CHECK(direct.roots[0].program == "/usr/local/bin/server");
  CHECK_FALSE(direct.reaches("/usr/bin/zsh"));
}

TEST_CASE("roots: kinds of images") {
  TableFiles files = small_image();
  files.file("/docker-entrypoint.sh", "#!/bin/sh\nexec \"$@\"\n", 0755);
  const struct {
    Words entrypoint;
    Words cmd;
    ImageKind kind;
  } cases[] = {
      {{}, {}, ImageKind::kNoCommand},
      {{}, {"bash"}, ImageKind::kBareShell},
      {{"/bin/sh", "-c"}, {}, ImageKind::kBareShell},
      {{"sh"}, {"-i"}, ImageKind::kBareShell},
      {{}, {"python3"}, ImageKind::kBareShell},
      {{"tini", "--"}, {"bash"}, ImageKind::kBareShell},
      {{"/docker-entrypoint.sh"}, {"python3"}, ImageKind::kBareShell},
      {{"/docker-entrypoint.sh"}, {"server"}, ImageKind::kApplication},
      {{}, {"sleep", "infinity"}, ImageKind::kBareShell},
      {{}, {"python3", "-m", "x"}, ImageKind::kApplication},
      {{}, {"sh", "-c", "server"}, ImageKind::kApplication},
      {{}, {"/nowhere"}, ImageKind::kNoCommand},
      {{}, {"/srv/app"}, ImageKind::kApplication},
  };
  for (const auto& item : cases) {
    CAPTURE(item.entrypoint.size());
    if (!item.cmd.empty()) CAPTURE(item.cmd[0]);
    const Roots roots = find_roots(files, config_of(item.entrypoint, item.cmd));
    CHECK(name_of(roots.kind) == name_of(item.kind));
    CHECK_FALSE(roots.kind_reason.empty());
  }
  // a command of the user's makes an application of it
  CHECK(find_roots(files, config_of({}, {"bash"}), {command_from_line("server --x", "--also-run")}).kind ==
        ImageKind::kApplication);
}

TEST_CASE("roots: command lines of people") {
  CHECK(command_from_line("app 'a b'", "--also-run").argv == Words{"app", "a b"});
  CHECK(command_from_line("app | tee x", "--also-run").argv == Words{"sh", "-c", "app | tee x"});
  CHECK_THROWS_AS(command_from_line("", "--also-run"), Error);
  CHECK_THROWS_AS(command_from_line("app 'x", "--also-run"), Error);
}

TEST_CASE("roots: scripts that start each other come to an end") {
  TableFiles files = small_image();
  for (int i = 0; i < 20; ++i) {
    std::string text = "#!/bin/sh\n";
    for (int j = 0; j < 20; ++j)
      text += "/s/" + std::to_string(j) + " \"$@\" x\n";
    files.file("/s/" + std::to_string(i), text, 0755);
  }
  const Roots roots = find_roots(files, config_of({"/s/0"}, {"a"}));
  for (int i = 0; i < 20; ++i)
    CHECK(roots.reaches("/s/" + std::to_string(i)));
}

TEST_CASE("roots: results do not depend on how often they are asked for") {
  const TableFiles files = small_image();
  CommandTracer tracer(files, {}, "");
  CHECK(tracer.look_up("git") == "/usr/bin/git");
  CHECK_FALSE(tracer.look_up("nothing"));
  const auto root = tracer.trace({"test", {"git"}, {}, "", false, true});
  CHECK(root == 0);
  CHECK(tracer.result().files.size() == tracer.result().files.size());
  CHECK(tracer.result().reaches("/usr/bin/git"));
}

}  // namespace
}  // namespace imgslim
