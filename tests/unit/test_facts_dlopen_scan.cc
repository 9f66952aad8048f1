// SPDX-License-Identifier: Apache-2.0
#include <doctest/doctest.h>

#include <string>
#include <string_view>

#include "src/facts/dlopen_scan.h"
#include "src/facts/libc_texts.h"
#include "tests/support/elf_builder.h"

namespace imgslim {
namespace {

using testing::ElfDescription;

std::string bytes_of(std::string_view hex) {
  std::string bytes;
  for (std::size_t i = 0; i + 1 < hex.size(); i += 2)
    bytes += static_cast<char>(std::stoi(std::string(hex.substr(i, 2)), nullptr, 16));
  return bytes;
}

// for (i = 0; i < 2; ++i) { snprintf(name, 32, format, table[i]); dlopen(name, RTLD_NOW); }
// push rbx; sub rsp,48; xor ebx,ebx; lea rax,[table]; mov rcx,[rax+rbx*8]; lea rdx,[format]; mov esi,32;
// mov rdi,rsp; xor eax,eax; call [snprintf]; mov rdi,rsp; mov esi,2; call [dlopen]; add rbx,1; cmp rbx,2;
// jne; ..
constexpr std::string_view kX86 =
    "534883ec3031db488d0512008000488b0cd8488d15e7ff7f00be200000004889e731c0ff15d7ffff004889e7be02000000"
    "ff15d1ffff004883c3014883fb0275c64883c4305bc3";
// The same: adrp, add, ldr x3,[x20,x19,lsl 3]; .. add x0,sp,48; adrp, ldr x8; blr x8; ..
constexpr std::string_view kAarch64 =
    "fd7bbba9fd030091f35301a91440009094820091130080d2837a73f80240009042000091010480d2e0c3009108800090080140f9"
    "00013fd641008052e0c3009108800090080540f900013fd6730600917f0a00f121feff54f35341a9fd7bc5a8c0035fd6";

// main: name = chosen(); dlopen(name, RTLD_NOW). chosen, 32 bytes on: condition ? one : other.
constexpr std::string_view kX86Returned =
    "4883ec08e8170000004889c7be02000000ff15e9ffff004883c408c30f1f4000488d05d9ff7f0085ff7407488d05deff7f00c3";
constexpr std::string_view kAarch64Returned =
    "fd7bbfa9070000944100805208800090080140f900013fd6fd7bc1a8c0035fd6004000900000009101400090214000915f000071"
    "0000819ac0035fd6";

// main: char name[..]; make(name); dlopen(name, RTLD_NOW). make(char* out, char* other): the bytes of
// "libfilled.so" are stored one after the other. kX86Other, kAarch64Other: *other = 0 as well, which may be
// one of them.
constexpr std::string_view kX86Filled =
    "4883ec284889e7e8140000004889e7be02000000ff15e6ffff004883c428c39048b86c696266696c6c65488907c74708642e"
    "736fc6470c00";
constexpr std::string_view kX86Other = "c60600";
constexpr std::string_view kX86Return = "c3";
constexpr std::string_view kAarch64Filled =
    "fd7bbca9e04300910a000094e04300914100805208800090080140f900013fd6fd7bc4a8c0035fd61f2003d51f2003d5822d"
    "8dd242ccacf2228dcdf282adecf2020000f982cc855262eead72020800b91f300039";
constexpr std::string_view kAarch64Other = "3f000039";
constexpr std::string_view kAarch64Return = "c0035fd6";

void put_word(std::string& to, std::uint64_t value) {
  for (int i = 0; i < 8; ++i)
    to += static_cast<char>(value >> (8 * i));
}

// `writer` is the function in front of dlopen. At kElfReadOnly: the format, two versions, the table of them.
std::string program(std::uint16_t machine, const std::string& writer, std::string_view format) {
  const bool x86 = machine == EM_X86_64;
  ElfDescription d;
  d.machine = machine;
  d.interpreter = "/lib/ld.so";
  d.needed = {"libc.so.6"};
  d.symbols = {
      {.name = writer}, {.name = "dlopen"}, {.name = "table", .defined = true, .value = testing::kElfCode}};
  const std::uint32_t type = x86 ? R_X86_64_GLOB_DAT : R_AARCH64_GLOB_DAT;
  d.relocations = {{testing::kElfData, type, 1, 0}, {testing::kElfData + 8, type, 2, 0}};
  d.read_only = std::string(format);
  d.read_only.resize(16, '\0');
  d.read_only += std::string("3\0\0\0\0\0\0\0", 8) + std::string("1.1\0\0\0\0\0", 8);
  put_word(d.read_only, testing::kElfReadOnly + 16);
  put_word(d.read_only, testing::kElfReadOnly + 24);
  d.data = std::string(16, '\0');
  d.code = bytes_of(x86 ? kX86 : kAarch64);
  return testing::build_elf(d);
}

std::vector<DlopenFinding> findings_of(const std::string& bytes) {
  const auto facts = read_elf(bytes);
  REQUIRE(facts);
  const ElfImage image(*facts, bytes);
  return find_dlopens(image, bytes, nullptr, "/usr/bin/program");
}

}  // namespace

TEST_CASE("dlopen scan: a name that snprintf builds from a table") {
  for (const std::uint16_t machine : {EM_X86_64, EM_AARCH64}) {
    CAPTURE(machine);
    const auto findings = findings_of(program(machine, "snprintf", "libcrypto.so.%s"));
    REQUIRE(findings.size() == 1);
    CHECK(findings[0].evidence == Evidence::kCandidate);
    CHECK(findings[0].names == std::vector<std::string>{"libcrypto.so.3", "libcrypto.so.1.1"});
  }
}

TEST_CASE("dlopen scan: the start of a built name that says which library it is") {
  // %p: what it becomes is not told.
  const auto findings = findings_of(program(EM_X86_64, "snprintf", "libcrypto.so.%p"));
  REQUIRE(findings.size() == 1);
  CHECK(findings[0].evidence == Evidence::kCandidate);
  CHECK(findings[0].names == std::vector<std::string>{"libcrypto.so.*"});
  CHECK(findings[0].reason.find("libcrypto.so.*") != std::string::npos);
}

TEST_CASE("dlopen scan: a start that could be any library stays unknown") {
  for (const std::string_view format : {"%p.so", "plugin%p.so", "lib%p.so"}) {
    CAPTURE(format);
    const auto findings = findings_of(program(EM_X86_64, "snprintf", format));
    REQUIRE(findings.size() == 1);
    CHECK(findings[0].evidence == Evidence::kUnknown);
    CHECK(findings[0].names.empty());
  }
}

TEST_CASE("dlopen scan: a buffer that another function fills is unknown") {
  const auto findings = findings_of(program(EM_AARCH64, "compose", "libcrypto.so.%s"));
  REQUIRE(findings.size() == 1);
  CHECK(findings[0].evidence == Evidence::kUnknown);
  CHECK(findings[0].names.empty());
}

TEST_CASE("dlopen scan: a name that a function of the program's own returns") {
  for (const std::uint16_t machine : {EM_X86_64, EM_AARCH64}) {
    CAPTURE(machine);
    const bool x86 = machine == EM_X86_64;
    ElfDescription d;
    d.machine = machine;
    d.interpreter = "/lib/ld.so";
    d.needed = {"libc.so.6"};
    d.symbols = {{.name = "dlopen"},
                 {.name = "start", .defined = true, .value = testing::kElfCode},
                 {.name = "chosen", .defined = true, .value = testing::kElfCode + 32}};
    const std::uint32_t type = x86 ? R_X86_64_GLOB_DAT : R_AARCH64_GLOB_DAT;
    d.relocations = {{testing::kElfData, type, 1, 0}};
    d.read_only = std::string("libone.so\0\0\0\0\0\0\0", 16) + std::string("libother.so\0\0\0\0\0", 16);
    d.data = std::string(8, '\0');
    d.code = bytes_of(x86 ? kX86Returned : kAarch64Returned);
    const auto findings = findings_of(testing::build_elf(d));
    REQUIRE(findings.size() == 1);
    CHECK(findings[0].evidence == Evidence::kExact);
    CHECK(findings[0].names == std::vector<std::string>{"libone.so", "libother.so"});
  }
}

TEST_CASE("dlopen scan: a name that a function of the program's own writes into a buffer") {
  for (const std::uint16_t machine : {EM_X86_64, EM_AARCH64}) {
    for (const bool writes_elsewhere : {false, true}) {
      CAPTURE(machine);
      CAPTURE(writes_elsewhere);
      const bool x86 = machine == EM_X86_64;
      ElfDescription d;
      d.machine = machine;
      d.interpreter = "/lib/ld.so";
      d.needed = {"libc.so.6"};
      d.symbols = {{.name = "dlopen"},
                   {.name = "start", .defined = true, .value = testing::kElfCode},
                   {.name = "make", .defined = true, .value = testing::kElfCode + (x86 ? 32 : 48)}};
      const std::uint32_t type = x86 ? R_X86_64_GLOB_DAT : R_AARCH64_GLOB_DAT;
      d.relocations = {{testing::kElfData, type, 1, 0}};
      d.data = std::string(8, '\0');
      d.code = bytes_of(x86 ? kX86Filled : kAarch64Filled);
      if (writes_elsewhere) d.code += bytes_of(x86 ? kX86Other : kAarch64Other);
      d.code += bytes_of(x86 ? kX86Return : kAarch64Return);
      const auto findings = findings_of(testing::build_elf(d));
      REQUIRE(findings.size() == 1);
      if (writes_elsewhere) {
        CHECK(findings[0].evidence == Evidence::kUnknown);
        CHECK(findings[0].names.empty());
      } else {
        CHECK(findings[0].evidence == Evidence::kCandidate);
        CHECK(findings[0].names == std::vector<std::string>{"libfilled.so"});
      }
    }
  }
}

TEST_CASE("dlopen scan: auditors that a program names") {
  ElfDescription d;
  d.interpreter = "/lib/ld.so";
  d.needed = {"libc.so.6"};
  d.audits = {"libone.so:/opt/two.so"};
  const auto findings = findings_of(testing::build_elf(d));
  REQUIRE(findings.size() == 1);
  CHECK(findings[0].caller == "DT_AUDIT");
  CHECK(findings[0].names == std::vector<std::string>{"libone.so", "/opt/two.so"});
  CHECK(findings[0].evidence == Evidence::kExact);
  CHECK(findings[0].may_be_missing);
}

TEST_CASE("libc texts: functions are found by name") {
  for (const std::string_view name :
       {"__asprintf_chk", "__snprintf_chk", "memcpy", "sprintf", "strcat", "strncpy"}) {
    CAPTURE(name);
    REQUIRE(text_function(name) != nullptr);
    CHECK(text_function(name)->name == name);
  }
  CHECK(text_function("sprint") == nullptr);
  CHECK(text_function("zzz") == nullptr);
}

}  // namespace imgslim
