// SPDX-License-Identifier: Apache-2.0
// imgslim_scan FILE..: what each ELF file loads and starts, a JSON line per finding.
#include <nlohmann/json.hpp>

#include <chrono>
#include <fstream>
#include <iostream>
#include <iterator>
#include <string>

#include "layers/error.h"
#include "src/facts/dlopen_scan.h"
#include "src/facts/exec_scan.h"

namespace {

using Json = nlohmann::ordered_json;

Json list_of(const std::vector<std::string>& texts) {
  Json list = Json::array();
  for (const std::string& text : texts)
    list.push_back(imgslim::printable(text));
  return list;
}

void put(const Json& line) {
  std::cout << line.dump(-1, ' ', false, Json::error_handler_t::replace) << '\n';
}

void scan(const std::string& path) {
  std::ifstream in(path, std::ios::binary);
  const std::string bytes((std::istreambuf_iterator<char>(in)), {});
  const auto start = std::chrono::steady_clock::now();
  const auto facts = imgslim::read_elf(bytes);
  if (!facts) return;
  const imgslim::ElfImage image(*facts, bytes);
  const auto go = imgslim::read_go(image, bytes);
  const auto facts_end = std::chrono::steady_clock::now();
  const auto dlopens = imgslim::find_dlopens(image, bytes, go ? &*go : nullptr, path);
  const auto dlopen_end = std::chrono::steady_clock::now();
  const auto execs = imgslim::find_execs(image, go ? &*go : nullptr, path);
  const auto end = std::chrono::steady_clock::now();
  const auto ms = [](auto duration) {
    return std::chrono::duration_cast<std::chrono::milliseconds>(duration).count();
  };
  for (const imgslim::DlopenFinding& finding : dlopens) {
    put({{"file", path},
         {"kind", "dlopen"},
         {"class", imgslim::name_of(finding.evidence)},
         {"caller", imgslim::printable(finding.caller)},
         {"names", list_of(finding.names)},
         {"symbols", list_of(finding.symbols)},
         {"package", imgslim::printable(finding.package)},
         {"function", imgslim::printable(finding.function)},
         {"may_be_missing", finding.may_be_missing},
         {"site", finding.site},
         {"reason", imgslim::printable(finding.reason)}});
  }
  for (const imgslim::ExecFinding& finding : execs) {
    put({{"file", path},
         {"kind", "exec"},
         {"class", imgslim::name_of(finding.evidence)},
         {"caller", finding.callee},
         {"names", list_of(finding.names)},
         {"itself", finding.itself},
         {"package", imgslim::printable(finding.package)},
         {"main", finding.main_module},
         {"function", imgslim::printable(finding.function)},
         {"handled", finding.missing_handled},
         {"site", finding.site},
         {"reason", imgslim::printable(finding.reason)}});
  }
  put({{"file", path},
       {"kind", "time"},
       {"bytes", bytes.size()},
       {"facts_ms", ms(facts_end - start)},
       {"dlopen_ms", ms(dlopen_end - facts_end)},
       {"exec_ms", ms(end - dlopen_end)}});
}

}  // namespace

int main(int argc, char** argv) {
  try {
    for (int i = 1; i < argc; ++i)
      scan(argv[i]);
  } catch (const std::exception& error) {
    std::cerr << "imgslim_scan: " << error.what() << '\n';
    return 1;
  }
  return 0;
}
