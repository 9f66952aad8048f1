// SPDX-License-Identifier: Apache-2.0
// The databases of dpkg and apk, any bytes in each. Parts of the input are divided by NUL.
#include <array>
#include <cstdint>
#include <cstdlib>
#include <string>
#include <string_view>

#include "src/facts/package_owner.h"
#include "tests/support/table_files.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  std::string_view rest(reinterpret_cast<const char*>(data), size);
  imgslim::TableFiles files;
  files.link("/lib", "usr/lib").directory("/usr/lib");
  constexpr std::array<const char*, 6> kPaths = {"/var/lib/dpkg/status",         "/var/lib/dpkg/info/a.list",
                                                 "/var/lib/dpkg/info/a.md5sums", "/var/lib/dpkg/diversions",
                                                 "/var/lib/dpkg/status.d/b",     "/usr/lib/apk/db/installed"};
  for (const char* path : kPaths) {
    const std::size_t end = std::min(rest.find('\0'), rest.size());
    files.file(path, std::string(rest.substr(0, end)));
    rest.remove_prefix(std::min(end + 1, rest.size()));
  }
  const imgslim::PackageDatabase database = imgslim::PackageDatabase::read(files);
  for (const imgslim::OwnedPath& owned : database.paths()) {
    if (owned.package >= database.packages().size() || !database.owner(owned.path)) std::abort();
  }
  return 0;
}
