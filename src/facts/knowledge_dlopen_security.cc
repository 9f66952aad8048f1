// SPDX-License-Identifier: Apache-2.0
// Libraries of cryptography, sign-in and directories that load others or data.
#include "src/facts/knowledge_tables.h"

namespace imgslim {

namespace {

using Kind = KnowledgeKind;

const std::vector<KnowledgeRow> kRows = {
    {.kind = Kind::kLibrary,
     .key = "libcrypto.so.3",
     .paths = {"{LIB}/ossl-modules/*.so", "{LIB}/engines-3/*.so", "/usr/lib/ssl/*.cnf", "/etc/ssl/*.cnf",
               "/etc/ssl/openssl.cnf.d/*", "/etc/pki/tls/*.cnf", "/etc/pki/tls/openssl.d/*",
               "/etc/crypto-policies/back-ends/openssl*", "/usr/local/ssl/*.cnf", "/usr/lib/ssl/certs",
               "/usr/lib/ssl/private", "/usr/lib/ssl/cert.pem", "/etc/ssl/cert.pem"},
     .variables = {"OPENSSL_CONF", "OPENSSL_CONF_INCLUDE", "OPENSSL_MODULES", "OPENSSL_ENGINES", "CTLOG_FILE",
                   "SSL_CERT_FILE", "SSL_CERT_DIR"},
     .trigger =
         "a provider, engine or configuration module named in openssl.cnf, in what that includes or by "
         "the program",
     .source = "openssl crypto/conf/conf_mod.c module_load_dso, crypto/provider_core.c, "
               "crypto/dso/dso_dlfcn.c; config(5ssl): .include; OPENSSLDIR of Debian, upstream and Fedora"},
    {.kind = Kind::kLibrary,
     .key = "libcrypto.so.1.1",
     .paths = {"{LIB}/engines-1.1/*.so", "/usr/lib/ssl/*.cnf", "/etc/ssl/*.cnf", "/etc/pki/tls/*.cnf",
               "/usr/local/ssl/*.cnf", "/usr/lib/ssl/certs", "/usr/lib/ssl/private", "/usr/lib/ssl/cert.pem",
               "/etc/ssl/cert.pem"},
     .variables = {"OPENSSL_CONF", "OPENSSL_ENGINES", "CTLOG_FILE", "SSL_CERT_FILE", "SSL_CERT_DIR"},
     .trigger = "an engine or configuration module named in openssl.cnf or by the program",
     .source = "openssl 1.1.1 crypto/dso/dso_dlfcn.c, crypto/engine/eng_dyn.c"},
    {.kind = Kind::kLibrary,
     .key = "libpam.so.0",
     .paths = {"/etc/pam.d/*", "/etc/pam.conf", "/usr/lib/pam.d/*", "{LIB}/security/pam_*.so"},
     .trigger = "every PAM conversation, by the service's file",
     .source = "Linux-PAM libpam/pam_handlers.c"},
    {.kind = Kind::kLibrary,
     .key = "libkrb5.so.3",
     .paths = {"/etc/krb5.conf", "/etc/krb5.conf.d/*", "{LIB}/krb5/plugins/*/*.so"},
     .variables = {"KRB5_CONFIG", "KRB5_KTNAME", "KRB5CCNAME"},
     .trigger = "first krb5 context: pre-authentication, locate, localauth plugins",
     .source = "krb5 src/lib/krb5/krb/plugin.c"},
    {.kind = Kind::kLibrary,
     .key = "libkrb5support.so.0",
     .paths = {"{LIB}/krb5/plugins/*/*.so"},
     .variables = {"KRB5_CONFIG"},
     .trigger = "plugins of libkrb5 and of the GSS mechanism glue",
     .source = "krb5 src/util/support/plugins.c"},
    {.kind = Kind::kLibrary,
     .key = "libgssapi_krb5.so.2",
     .paths = {"/etc/gss/mech", "/etc/gss/mech.d/*", "{LIB}/gss/*.so", "/etc/krb5.conf"},
     .variables = {"KRB5_CONFIG", "GSS_MECH_CONFIG"},
     .trigger = "first GSS-API call: mechanisms listed in /etc/gss",
     .source = "krb5 src/lib/gssapi/mechglue/g_initialize.c"},
    {.kind = Kind::kLibrary,
     .key = "libsasl2.so.2",
     .paths = {"{LIB}/sasl2/*.so*", "/usr/lib/sasl2/*", "/etc/sasl2/*"},
     .variables = {"SASL_PATH", "SASL_CONF_PATH"},
     .trigger = "sasl_client_init, sasl_server_init: every plugin of the folder",
     .source = "cyrus-sasl lib/dlopen.c"},
    {.kind = Kind::kLibrary,
     .key = "libp11-kit.so.0",
     .paths = {"/usr/share/p11-kit/modules/*", "/etc/pkcs11/pkcs11.conf", "/etc/pkcs11/modules/*",
               "{LIB}/pkcs11/*.so"},
     .trigger = "modules of its configuration (trust store, tokens)",
     .source = "p11-kit p11-kit/modules.c, p11-kit/conf.c; pkcs11.conf(5)"},
    {.kind = Kind::kLibrary,
     .key = "libcurl*.so.4",
     .paths = {"/etc/ssl/certs/ca-certificates.crt"},
     .variables = {"SSLKEYLOGFILE"},
     .trigger = "TLS; the library itself loads nothing",
     .source = "curl lib/vtls; Debian's configure flag --with-ca-bundle"},
    {.kind = Kind::kLibrary,
     .key = "libldap*.so.*",
     .paths = {"/etc/ldap/ldap.conf", "/etc/openldap/ldap.conf"},
     .variables = {"LDAPCONF", "LDAPRC", "LDAPTLS_CACERT"},
     .trigger = "options at initialisation; SASL by libsasl2",
     .source = "openldap libraries/libldap/init.c; ldap.conf(5)"},
    {.kind = Kind::kLibrary,
     .key = "librhash.so.*",
     .names = {"libcrypto.so.3", "libcrypto.so.1.1", "libcrypto.so"},
     .trigger = "faster hashes of OpenSSL",
     .missing_handled = true,
     .source = "RHash librhash/plug_openssl.c: its own code without"},
    {.kind = Kind::kLibrary,
     .key = "libp11.so.*",
     .names = {"p11-kit-proxy.so"},
     .paths = {"{LIB}/p11-kit-proxy.so"},
     .variables = {"PKCS11_MODULE_PATH"},
     .trigger =
         "the token's module that its caller, openssl.cnf or the environment names, p11-kit's by default",
     .source = "libp11 src/libpkcs11.c C_LoadModule, src/eng_back.c, configure.ac: DEFAULT_PKCS11_MODULE"},
    {.kind = Kind::kLibrary,
     .key = "pkcs11.so",
     .names = {"p11-kit-proxy.so"},
     .paths = {"{LIB}/../p11-kit-proxy.so"},
     .variables = {"PKCS11_MODULE_PATH"},
     .trigger = "the token's module that openssl.cnf or the environment names, p11-kit's by default",
     .source = "libp11 src/eng_back.c, configure.ac: DEFAULT_PKCS11_MODULE; the engine of OpenSSL, linked "
               "with libp11's own code"},
    {.kind = Kind::kLibrary,
     .key = "libunbound.so.8",
     .paths = {"/etc/unbound/root.key"},
     .trigger = "trust anchor of validation; the module loader of the server is left out",
     .source = "unbound libunbound/libunbound.c, dynlibmod/dynlibmod.c"},
};

}  // namespace

const std::vector<KnowledgeRow>& rows_of_dlopen_security() {
  return kRows;
}

}  // namespace imgslim
