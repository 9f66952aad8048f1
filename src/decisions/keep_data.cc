// SPDX-License-Identifier: Apache-2.0
#include "src/decisions/keep_data.h"

#include <algorithm>

#include "src/decisions/keep_search.h"

namespace imgslim {
namespace {

using Kind = DataTrigger::Kind;

// Libraries that ask for names and addresses by themselves.
#define IMGSLIM_RESOLVER_IMPORTS                                                                   \
  {Kind::kImport, "getaddrinfo*"}, {Kind::kImport, "gethostby*"}, {Kind::kImport, "getnameinfo*"}, \
      {Kind::kImport, "res_*"}, {                                                                  \
    Kind::kImport, "__res_*"                                                                       \
  }

const std::vector<DataRow> kRows = {
    {"os-release",
     {{Kind::kAlways, {}}},
     {},
     {"/etc/os-release", "/usr/lib/os-release", "/etc/debian_version", "/etc/alpine-release",
      "/etc/lsb-release", "/etc/redhat-release", "/etc/system-release"},
     "scanners tell the distribution by it",
     "os-release(5)"},
    {"users",
     {{Kind::kAlways, {}}},
     {},
     {"/etc/passwd", "/etc/group"},
     "a container with a named user does not start without",
     "runc libcontainer/user: GetExecUserPath; os/user lookup_unix.go"},
    {"subordinate-ids",
     {{Kind::kProgram, "newuidmap"},
      {Kind::kProgram, "newgidmap"},
      {Kind::kProgram, "podman"},
      {Kind::kProgram, "buildah"},
      {Kind::kGoFunction, "github.com/containers/storage/pkg/idtools.*"}},
     {},
     {"/etc/subuid", "/etc/subgid"},
     "id ranges of user name spaces",
     "subuid(5), subgid(5)"},
    {"shadow",
     {{Kind::kLibrary, "libpam.so.0"}, {Kind::kImport, "getspnam*"}, {Kind::kProgram, "su"}},
     {},
     {"/etc/shadow", "/etc/gshadow"},
     "passwords of accounts",
     "shadow(5)"},
    {"nsswitch",
     {{Kind::kAlways, {}}},
     {},
     {"/etc/nsswitch.conf"},
     "which services answer for names; without it defaults differ between C libraries and Go",
     "nsswitch.conf(5); Go net/conf.go"},
    {"temporary-folders",
     {{Kind::kAlways, {}}},
     {},
     {"/tmp", "/var/tmp"},
     "programs make files there",
     "hier(7); Go os.TempDir"},
    {"ca-certificates",
     {{Kind::kGoFunction, "crypto/x509.loadSystemRoots"},
      {Kind::kLibrary, "libssl.so.*"},
      {Kind::kLibrary, "libgnutls.so.*"},
      {Kind::kLibrary, "libcurl*.so.*"},
      {Kind::kLibrary, "libmbedtls.so.*"},
      {Kind::kLibrary, "libnss3.so"},
      {Kind::kLibrary, "libtls.so.*"},
      {Kind::kImport, "SSL_CTX_set_default_verify_paths"},
      {Kind::kImport, "X509_STORE_set_default_paths"}},
     {},
     {"/etc/ssl/certs", "/etc/ssl/cert.pem", "/etc/ssl/ca-bundle.pem", "/etc/ssl1.1/cert.pem",
      "/etc/ssl1.1/certs", "/usr/lib/ssl/cert.pem", "/usr/lib/ssl/certs", "/etc/pki/tls/certs",
      "/etc/pki/tls/cacert.pem", "/etc/pki/tls/cert.pem", "/etc/pki/ca-trust/extracted",
      "/etc/ca-certificates/extracted", "/var/lib/ca-certificates"},
     "certificates of authorities: TLS trusts nobody without",
     "Go crypto/x509 root_linux.go, root_unix.go; X509_get_default_cert_dir(3); curl --with-ca-bundle"},
    {"zoneinfo",
     {{Kind::kGoFunction, "time.LoadLocation"}, {Kind::kEnvironment, "TZ"}, {Kind::kEnvironment, "ZONEINFO"}},
     "time/tzdata.loadFromEmbeddedTZData",
     {"/usr/share/zoneinfo", "/usr/share/lib/zoneinfo", "/usr/lib/locale/TZ", "/etc/zoneinfo",
      "/usr/lib/go*/lib/time/zoneinfo.zip", "/usr/local/go/lib/time/zoneinfo.zip"},
     "time zones by name",
     "Go time/zoneinfo.go, zoneinfo_unix.go; tzset(3)"},
    {"local-time",
     {{Kind::kAlways, {}}},
     {},
     {"/etc/localtime", "/etc/timezone"},
     "the local time zone",
     "Go time/zoneinfo_unix.go initLocal; localtime(5)"},
    {"mime-types",
     {{Kind::kGoFunction, "mime.loadMimeFile"},
      {Kind::kGoFunction, "mime.initMimeUnix"},
      {Kind::kGoFunction, "mime.loadMimeGlobsFile"}},
     {},
     {"/etc/mime.types", "/usr/share/mime/globs2", "/usr/local/share/mime/globs2", "/etc/apache2/mime.types",
      "/etc/apache/mime.types", "/etc/httpd/conf/mime.types"},
     "content types of answers",
     "Go mime/type_unix.go"},
    {"services",
     {{Kind::kGoFunction, "net.readServices"},
      {Kind::kGoFunction, "net.goLookupPort"},
      {Kind::kGoFunction, "net.lookupPortMap*"},
      {Kind::kImport, "getserv*"},
      {Kind::kImport, "getaddrinfo*"},
      {Kind::kImport, "getnameinfo*"},
      {Kind::kStaticGlibc, {}}},
     {},
     {"/etc/services"},
     "ports by name",
     "Go net/port_unix.go; services(5)"},
    {"protocols",
     {{Kind::kGoFunction, "net.readProtocols"}, {Kind::kImport, "getproto*"}},
     {},
     {"/etc/protocols"},
     "protocols by name",
     "Go net/lookup_unix.go; protocols(5)"},
    {"resolver",
     {{Kind::kGoFunction, "net.dnsReadConfig"},
      {Kind::kGoFunction, "net.readHosts"},
      {Kind::kLibrary, "libcares.so.2"},
      {Kind::kStaticGlibc, {}},
      IMGSLIM_RESOLVER_IMPORTS},
     {},
     {"/etc/hosts", "/etc/resolv.conf", "/etc/host.conf", "/etc/gai.conf", "/etc/networks",
      "/etc/mdns.allow"},
     "host names; hosts and resolv.conf are mounted over by most runtimes",
     "Go net/conf.go, dnsconfig_unix.go, hosts.go; gai.conf(5), host.conf(5)"},
    {"rpc", {{Kind::kImport, "getrpc*"}}, {}, {"/etc/rpc"}, "RPC programs by name", "rpc(5)"},
    {"ethers",
     {{Kind::kImport, "ether_hostton"}, {Kind::kImport, "ether_ntohost"}},
     {},
     {"/etc/ethers"},
     "Ethernet addresses by name",
     "ethers(5)"},
    {"tcp-wrappers",
     {{Kind::kLibrary, "libwrap.so.0"}},
     {},
     {"/etc/hosts.allow", "/etc/hosts.deny"},
     "who may connect",
     "hosts_access(5)"},
    {"nss-extrausers",
     {{Kind::kLibrary, "libnss_extrausers.so.2"}},
     {},
     {"/var/lib/extrausers"},
     "accounts of this module",
     "libnss-extrausers README"},
    {"nss-db",
     {{Kind::kLibrary, "libnss_db.so.2"}},
     {},
     {"/var/lib/misc/*.db", "/var/db/*.db"},
     "tables of this module",
     "glibc nss/nss_db"},
    {"nss-sss",
     {{Kind::kLibrary, "libnss_sss.so.2"}},
     {},
     {"/var/lib/sss", "/etc/sssd"},
     "sockets and maps of this module",
     "sssd.conf(5)"},
    {"nss-ldap",
     {{Kind::kLibrary, "libnss_ldap.so.2"}},
     {},
     {"/etc/nslcd.conf", "/etc/libnss-ldap.conf"},
     "configuration of this module",
     "nslcd.conf(5)"},
    {"nss-altfiles",
     {{Kind::kLibrary, "libnss_altfiles.so.2"}},
     {},
     {"/usr/lib/passwd", "/usr/lib/group"},
     "accounts of this module",
     "nss-altfiles README"},
    {"loader",
     {{Kind::kLibrary, "ld-linux*.so.*"}, {Kind::kLibrary, "ld64.so.*"}, {Kind::kStaticGlibc, {}}},
     {},
     {"/etc/ld.so.conf", "/etc/ld.so.conf.d/*", "/etc/ld.so.preload"},
     "from which the cache of libraries is made again",
     "ld.so(8), ldconfig(8)"},
    {"musl-path",
     {{Kind::kLibrary, "libc.musl-*.so.1"}, {Kind::kLibrary, "ld-musl-*.so.1"}, {Kind::kLibrary, "libc.so"}},
     {},
     {"/etc/ld-musl-*.path"},
     "where the loader looks for libraries",
     "musl ldso/dynlink.c"},
    {"gconv",
     {{Kind::kImport, "iconv_open"}, {Kind::kEnvironment, "GCONV_PATH"}, {Kind::kCharacterSet, {}}},
     {},
     {"/usr/lib/*/gconv", "/usr/lib64/gconv", "/usr/lib/gconv"},
     "conversions between character sets; UTF-8, UCS and ASCII need none of them",
     "glibc iconv/gconv_conf.c, gconv_builtin.h; git utf8.c: a text that cannot be converted stays as it is; "
     "libunistring, libidn2, libpsl: from the locale's character set; imgslim sets no locale, libarchive in "
     "it "
     "goes from UTF-8 to ASCII",
     {"git", "git-*", "scalar", "diff", "imgslim", "libunistring.so.*", "libidn2.so.*", "libidn.so.*",
      "libpsl.so.*"}},
    {"locales",
     {{Kind::kEnvironment, "LANG"},
      {Kind::kEnvironment, "LC_*"},
      {Kind::kEnvironment, "LANGUAGE"},
      {Kind::kEnvironment, "LOCPATH"}},
     {},
     {"/usr/lib/locale", "/usr/share/i18n/locales/C", "/usr/share/locale/locale.alias", "/etc/locale.alias",
      "/etc/default/locale", "/etc/locale.conf"},
     "the locale that the environment names",
     "locale(7); glibc locale/findlocale.c"},
    {"c-utf8",
     {{Kind::kImport, "setlocale"}, {Kind::kImport, "newlocale"}},
     {},
     {"/usr/lib/locale/C.utf8", "/usr/lib/locale/C.UTF-8"},
     "the one locale that needs no configuration",
     "glibc localedata/locales/C"},
    {"openssl-configuration",
     {{Kind::kLibrary, "libcrypto.so.*"}, {Kind::kEnvironment, "OPENSSL_CONF"}},
     {},
     {"/usr/lib/ssl/openssl.cnf", "/etc/ssl/openssl.cnf", "/etc/pki/tls/openssl.cnf",
      "/etc/ssl/fipsmodule.cnf", "/etc/ssl/openssl.cnf.d", "/etc/pki/tls/openssl.d",
      "/etc/crypto-policies/back-ends"},
     "configuration read when the library starts",
     "config(5ssl); OPENSSLDIR in the library"},
    {"gnutls-configuration",
     {{Kind::kLibrary, "libgnutls.so.*"}},
     {},
     {"/etc/gnutls/config"},
     "priorities of the system",
     "GnuTLS manual, System-wide configuration"},
    {"gcrypt-configuration",
     {{Kind::kLibrary, "libgcrypt.so.*"}},
     {},
     {"/etc/gcrypt"},
     "which implementations may be used",
     "libgcrypt manual, Configuration"},
    {"git",
     {{Kind::kProgram, "git"}, {Kind::kProgram, "git-*"}, {Kind::kLibrary, "libgit2.so.*"}},
     {},
     {"/etc/gitconfig", "/etc/gitattributes", "/usr/share/git-core/templates"},
     "settings of all users, files of a new repository",
     "git-config(1), gitattributes(5), git-init(1)"},
    {"ssh",
     {{Kind::kProgram, "ssh"}, {Kind::kGoFunction, "golang.org/x/crypto/ssh/knownhosts.New"}},
     {},
     {"/etc/ssh/ssh_config", "/etc/ssh/ssh_config.d", "/etc/ssh/ssh_known_hosts"},
     "settings and known hosts of all users",
     "ssh_config(5)"},
    {"curl",
     {{Kind::kProgram, "curl"}},
     {},
     {"/etc/curlrc", "/etc/.curlrc"},
     "settings of all users",
     "curl(1), --config"},
    {"wget", {{Kind::kProgram, "wget"}}, {}, {"/etc/wgetrc"}, "settings of all users", "wget(1)"},
    {"fonts",
     {{Kind::kLibrary, "libfontconfig.so.1"}},
     {},
     {"/etc/fonts", "/usr/share/fontconfig", "/usr/share/fonts", "/usr/local/share/fonts",
      "/usr/share/xml/fontconfig", "/var/cache/fontconfig"},
     "fonts and their configuration",
     "fonts-conf(5)"},
    {"mime-database",
     {{Kind::kLibrary, "libgio-2.0.so.0"}, {Kind::kLibrary, "libQt*Core.so.*"}},
     {},
     {"/usr/share/mime"},
     "types of files",
     "Shared MIME-info Database specification"},
    {"glib-schemas",
     {{Kind::kLibrary, "libgio-2.0.so.0"}},
     {},
     {"/usr/share/glib-2.0/schemas"},
     "settings of GIO: a missing schema ends the program",
     "GSettings reference"},
    {"icu",
     {{Kind::kLibrary, "libicuuc.so.*"}},
     {},
     {"/usr/share/icu/*/*.dat", "/usr/share/icu/*/*.res"},
     "data that is not in libicudata",
     "ICU User Guide, ICU Data"},
    {"xml-catalogs",
     {{Kind::kImport, "xmlLoadCatalog*"},
      {Kind::kImport, "xmlInitializeCatalog"},
      {Kind::kProgram, "xsltproc"},
      {Kind::kProgram, "xmllint"}},
     {},
     {"/etc/xml", "/usr/share/xml"},
     "catalogs of document types",
     "xmlcatalog(1)"},
    {"dbus",
     {{Kind::kProgram, "dbus-daemon"}},
     {},
     {"/usr/share/dbus-1", "/etc/dbus-1"},
     "policies and services of the bus",
     "dbus-daemon(1)"},
    {"machine-id",
     {{Kind::kLibrary, "libdbus-1.so.3"},
      {Kind::kLibrary, "libsystemd.so.0"},
      {Kind::kLibrary, "libgio-2.0.so.0"}},
     {},
     {"/etc/machine-id", "/var/lib/dbus/machine-id"},
     "identity of the machine",
     "machine-id(5)"},
    {"magic",
     {{Kind::kLibrary, "libmagic.so.1"}},
     {},
     {"/etc/magic", "/etc/magic.mime", "/usr/share/misc/magic*", "/usr/lib/file/magic.mgc",
      "/usr/share/file"},
     "signatures of file types",
     "libmagic(3)"},
    {"busybox",
     {{Kind::kProgram, "busybox"}},
     {},
     {"/etc/busybox-paths.d", "/etc/busybox.conf"},
     "which users may run which applet",
     "busybox(1)"},
    {"login-shell",
     {{Kind::kProgram, "su"}, {Kind::kProgram, "login"}},
     {},
     {"/etc/shells", "/etc/login.defs", "/etc/profile", "/etc/profile.d", "/etc/environment"},
     "what a login reads",
     "login(1), su(1)"},
    {"go-root",
     {{Kind::kProgram, "go"}},
     {},
     {"/usr/lib/go-*", "/usr/share/go-*", "/usr/lib/go", "/usr/share/go", "/usr/local/go"},
     "the tools, packages and settings of a Go toolchain that is started",
     "Go cmd/go internal/cfg, GOROOT"},
    {"java-certificates",
     {{Kind::kLibrary, "libjvm.so"}},
     {},
     {"/etc/ssl/certs/java", "/etc/java-*"},
     "trust store and settings of the run time",
     "Debian ca-certificates-java"},
};

}  // namespace

std::span<const DataRow> data_rows() {
  return kRows;
}

bool wants(const DataRow& row, const DataTrigger& fact, std::string_view object) {
  if (fact.kind == Kind::kImport &&
      std::any_of(row.unless_object.begin(), row.unless_object.end(),
                  [&](std::string_view glob) { return matches_glob(file_name(object), glob); })) {
    return false;
  }
  return std::any_of(row.triggers.begin(), row.triggers.end(), [&](const DataTrigger& trigger) {
    return trigger.kind == fact.kind && (trigger.name.empty() || matches_glob(fact.name, trigger.name));
  });
}

namespace {

bool wants_go(const DataRow& row, const GoFacts& go) {
  if (!row.unless_go.empty() && go.function_named(row.unless_go) != nullptr) return false;
  return std::any_of(row.triggers.begin(), row.triggers.end(), [&](const DataTrigger& trigger) {
    if (trigger.kind != Kind::kGoFunction) return false;
    if (trigger.name.find('*') == std::string_view::npos) return go.function_named(trigger.name) != nullptr;
    return std::any_of(go.functions.begin(), go.functions.end(),
                       [&](const GoFunction& function) { return matches_glob(function.name, trigger.name); });
  });
}

}  // namespace

std::vector<std::size_t> data_rows_of(const ElfFacts& facts, const GoFacts* go, bool is_static_glibc,
                                      std::string_view object) {
  std::vector<DataTrigger> known{
      {Kind::kLibrary, facts.soname ? std::string_view(*facts.soname) : file_name(object)}};
  if (is_static_glibc) known.push_back({Kind::kStaticGlibc, {}});
  if (!is_c_library(facts)) {
    for (const DynamicSymbol& symbol : facts.dynamic_symbols) {
      if (!symbol.defined && !symbol.name.empty()) known.push_back({Kind::kImport, symbol.name});
    }
  }
  std::vector<std::size_t> numbers;
  const auto rows = data_rows();
  for (std::size_t i = 0; i < rows.size(); ++i) {
    const bool wanted = (go != nullptr && wants_go(rows[i], *go)) ||
                        std::any_of(known.begin(), known.end(),
                                    [&](const DataTrigger& fact) { return wants(rows[i], fact, object); });
    if (wanted) numbers.push_back(i);
  }
  return numbers;
}

// Keeps what the rows that wait for this fact name, each row once.
void KeepSearch::fire(const DataTrigger& fact, const std::string& because, Evidence evidence) {
  const auto rows = data_rows();
  for (std::size_t i = 0; i < rows.size(); ++i) {
    if (!data_done_[i] && wants(rows[i], fact, because)) apply(i, because, evidence);
  }
}

void KeepSearch::apply(std::size_t number, const std::string& because, Evidence evidence) {
  if (data_done_[number]) return;
  data_done_[number] = true;
  static const std::vector<std::string> rules = [] {
    std::vector<std::string> names;
    for (const DataRow& row : data_rows())
      names.push_back("data:" + std::string(row.id));
    return names;
  }();
  const DataRow& row = data_rows()[number];
  const Witness witness{rules[number], because, std::string(row.reason),
                        std::max(evidence, Evidence::kKnown)};
  // The links of a CA folder lead to the certificates: put_tree keeps them as links, and so their targets.
  for (const std::string_view glob : row.keeps)
    reach_glob(glob, "", witness);
}

}  // namespace imgslim
