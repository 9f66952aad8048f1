// SPDX-License-Identifier: Apache-2.0
// Go packages of other modules and of the standard library that start programs.
#include "src/facts/knowledge_tables.h"

namespace imgslim {

namespace {

using Kind = KnowledgeKind;

const std::vector<KnowledgeRow> kRows = {
    {.kind = Kind::kGoPackage,
     .key = "github.com/pkg/browser",
     .names = {"xdg-open", "x-www-browser", "www-browser"},
     .trigger = "OpenURL at a desktop",
     .missing_handled = true,
     .source = "github.com/pkg/browser@v0.0.0-20240102092130-5ac0b6a4141c browser_linux.go:9-20: each is "
               "looked up first, none is an error of the caller's request"},
    {.kind = Kind::kGoPackage,
     .key = "github.com/smallstep/truststore",
     .names = {"sudo", "certutil", "keytool", "tee", "rm", "update-ca-certificates", "update-ca-trust",
               "trust", "brew"},
     .trigger = "installing the local authority into the machine's trust stores",
     .missing_handled = true,
     .source = "github.com/smallstep/truststore@v0.13.0 truststore_linux.go:107, truststore_nss.go:29-42: "
               "looked up; truststore_java.go:80-160: the error goes to the caller of Install"},
    {.kind = Kind::kGoPackage,
     .key = "github.com/mitchellh/go-homedir",
     .names = {"sh", "getent"},
     .trigger = "HOME not set",
     .missing_handled = true,
     .source = "github.com/mitchellh/go-homedir@v1.1.0 homedir.go:97-134: HOME first; a missing getent is an "
               "error to the caller (it compares with ErrNotFound unwrapped, so sh is not tried)"},
    {.kind = Kind::kGoPackage,
     .key = "github.com/anchore/go-homedir",
     .names = {"sh", "getent"},
     .trigger = "HOME not set",
     .missing_handled = true,
     .source = "github.com/anchore/go-homedir@v0.1.1 homedir.go:125-154: HOME first, getent if there, then "
               "sh, then an error to the caller"},
    {.kind = Kind::kGoPackage,
     .key = "github.com/coredns/caddy/onevent/hook",
     .trigger = "on directive with a command",
     .source = "github.com/coredns/caddy@v1.1.4 onevent/hook/hook.go:26"},
    {.kind = Kind::kGoPackage,
     .key = "github.com/coredns/caddy",
     .trigger = "USR2: itself, by os.Args[0]",
     .missing_handled = true,
     .source = "github.com/coredns/caddy@v1.1.4 upgrade.go:124"},
    {.kind = Kind::kGoPackage,
     .key = "github.com/caddyserver/caddy/cmd",
     .trigger = "caddy start, upgrade, add-package: itself",
     .missing_handled = true,
     .source =
         "github.com/caddyserver/caddy/v2@v2.11.9 cmd/commandfuncs.go:77, cmd/packagesfuncs.go:279-286"},
    {.kind = Kind::kGoPackage,
     .key = "go/build",
     .names = {"go"},
     .trigger = "package look-up in module mode",
     .missing_handled = true,
     .source = "go src/go/build/build.go importGo: an error of that import, and only of a module's sources; "
               "GOROOT/bin/go"},
    {.kind = Kind::kGoPackage,
     .key = "go/internal/gccgoimporter",
     .names = {"gccgo"},
     .trigger = "import data of gccgo",
     .missing_handled = true,
     .source = "go src/go/importer/importer.go ForCompiler: no importer without; gccgoinstallation.go "
               "InitFromDriver"},
    {.kind = Kind::kGoPackage,
     .key = "net/http/cgi",
     .trigger = "the program that the caller names",
     .source = "go src/net/http/cgi/host.go"},
    {.kind = Kind::kGoPackage,
     .key = "testing",
     .trigger = "none outside go test",
     .missing_handled = true,
     .source = "go src/testing"},
    {.kind = Kind::kGoPackage,
     .key = "internal/testenv",
     .names = {"go"},
     .trigger = "none outside go test",
     .missing_handled = true,
     .source = "go src/internal/testenv"},
};

}  // namespace

const std::vector<KnowledgeRow>& rows_of_exec_go() {
  return kRows;
}

}  // namespace imgslim
