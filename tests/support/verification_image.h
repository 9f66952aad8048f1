// SPDX-License-Identifier: Apache-2.0
// An image from a table of files and the fields of a config, verified; for tests of src/verification*.
#pragma once

#include <nlohmann/json.hpp>

#include <string>
#include <string_view>
#include <vector>

#include "src/verification.h"
#include "tests/support/elf_builder.h"
#include "tests/support/table_file_system.h"

namespace imgslim::testing {

constexpr char kTestLoader[] = "/lib64/ld-linux-x86-64.so.2";

// It has a glibc loader of version 2.38 with the tables of a real one, and starts /app.
class VerifiedTable : public TableFileSystem {
 public:
  VerifiedTable() {
    config.platform = {"linux", "amd64", ""};
    config.entrypoint = {"/app"};
    file(kTestLoader, build_glibc_loader());
  }
  void program(const std::string& path, std::vector<std::string> needed, ElfDescription extra = {}) {
    extra.interpreter = kTestLoader;
    extra.needed = std::move(needed);
    file(path, build_elf(extra));
  }
  void library(const std::string& path, std::vector<std::string> needed = {}, ElfDescription extra = {}) {
    extra.needed = std::move(needed);
    if (!extra.soname) extra.soname = path.substr(path.rfind('/') + 1);
    file(path, build_elf(extra));
  }

  Verification verify(bool all = false, const Verification* source = nullptr) const {
    const PackageDatabase packages = PackageDatabase::read(*this);
    VerificationInput input{*this, config, packages};
    input.all = all;
    return verify_closure(input, source);
  }
  // The failures, a line each; "" if it verifies.
  std::string failures(bool all = false, const Verification* source = nullptr) const {
    return lines(verify(all, source), Finding::Severity::kFailure);
  }
  static std::string lines(const Verification& verification, Finding::Severity severity) {
    std::string text;
    for (const Finding& finding : verification.findings) {
      if (finding.severity == severity) text += finding.line() + "\n";
    }
    return text;
  }

  ImageConfig config;
};

}  // namespace imgslim::testing
