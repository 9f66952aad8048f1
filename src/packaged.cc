// SPDX-License-Identifier: Apache-2.0
#include "src/packaged.h"

#include <cerrno>
#include <cstdlib>
#include <filesystem>

#if defined(__GLIBC__)
#include <nss.h>
#include <openssl/crypto.h>
#include <sys/auxv.h>
#endif

namespace imgslim {

#if defined(__GLIBC__)
namespace {

// Only a program that the kernel started with an interpreter has the interpreter's address; this one then is
// the argument of a loader.
bool is_behind_own_loader() {
  return ::getauxval(AT_BASE) == 0;
}

}  // namespace

void keep_to_own_libraries() {
  if (!is_behind_own_loader()) return;
  // Both are in the C library itself; "resolve", "mdns4_minimal" and others are files of the host's.
  ::__nss_configure_lookup("hosts", "files dns");
  // The host's openssl.cnf may name providers and engines. A file that the user names is the user's business.
  if (std::getenv("OPENSSL_CONF") == nullptr) ::OPENSSL_init_crypto(OPENSSL_INIT_NO_LOAD_CONFIG, nullptr);
}

std::string own_program() {
  // The launcher says its own path; /proc would name the loader.
  if (is_behind_own_loader()) return program_invocation_name;
  std::error_code error;
  return std::filesystem::read_symlink("/proc/self/exe", error).string();
}
#else
void keep_to_own_libraries() {}

std::string own_program() {
  return "";
}
#endif

}  // namespace imgslim
