// SPDX-License-Identifier: Apache-2.0
#include "src/facts/call_sites.h"

#include <algorithm>
#include <array>
#include <map>
#include <set>

#include "src/facts/libc_texts.h"

namespace imgslim {

namespace {

constexpr std::size_t kMostFunctions = 4000;    // followed for one question
constexpr std::uint64_t kMostCode = 24u << 20;  // bytes of them

constexpr std::array<std::string_view, 25> kNeverReturn = {"_Exit",
                                                           "_Unwind_Resume",
                                                           "__assert_fail",
                                                           "__chk_fail",
                                                           "__cxa_throw",
                                                           "__fortify_fail",
                                                           "__longjmp_chk",
                                                           "__stack_chk_fail",
                                                           "_exit",
                                                           "_longjmp",
                                                           "abort",
                                                           "err",
                                                           "errx",
                                                           "exit",
                                                           "g_assertion_message_expr",
                                                           "longjmp",
                                                           "png_error",
                                                           "pthread_exit",
                                                           "quick_exit",
                                                           "rb_raise",
                                                           "siglongjmp",
                                                           "thrd_exit",
                                                           "verr",
                                                           "verrx",
                                                           "xabort"};

// Functions of libc that write nothing through what they are given but their own result.
constexpr std::array<std::string_view, 58> kOnlyRead = {"__errno_location",
                                                        "__fprintf_chk",
                                                        "__printf_chk",
                                                        "access",
                                                        "atoi",
                                                        "close",
                                                        "dcgettext",
                                                        "dgettext",
                                                        "dlclose",
                                                        "dlerror",
                                                        "dlmopen",
                                                        "dlopen",
                                                        "dlsym",
                                                        "dlvsym",
                                                        "execl",
                                                        "execle",
                                                        "execlp",
                                                        "execv",
                                                        "execve",
                                                        "execvp",
                                                        "execvpe",
                                                        "fflush",
                                                        "fopen",
                                                        "fopen64",
                                                        "fprintf",
                                                        "fputc",
                                                        "fputs",
                                                        "free",
                                                        "fwrite",
                                                        "g_free",
                                                        "g_getenv",
                                                        "getenv",
                                                        "gettext",
                                                        "malloc",
                                                        "open",
                                                        "open64",
                                                        "opendir",
                                                        "perror",
                                                        "popen",
                                                        "posix_spawn_file_actions_init",
                                                        "printf",
                                                        "putchar",
                                                        "putenv",
                                                        "puts",
                                                        "rewind",
                                                        "secure_getenv",
                                                        "setenv",
                                                        "strcasecmp",
                                                        "strcmp",
                                                        "strdup",
                                                        "strncasecmp",
                                                        "strncmp",
                                                        "strtol",
                                                        "strtoul",
                                                        "syslog",
                                                        "system",
                                                        "unsetenv",
                                                        "write"};

// These write through later arguments.
constexpr std::array<std::string_view, 5> kReadFirst = {"lstat", "lstat64", "readlink", "stat", "stat64"};

template <std::size_t N>
bool contains(const std::array<std::string_view, N>& names, std::string_view name) {
  return std::binary_search(names.begin(), names.end(), name);
}

bool starts_with_any(std::string_view name, std::initializer_list<std::string_view> prefixes) {
  return std::any_of(prefixes.begin(), prefixes.end(),
                     [&](std::string_view prefix) { return name.substr(0, prefix.size()) == prefix; });
}

constexpr std::size_t kMostVisitsOfOne = 60000;  // of blocks, in one function
constexpr std::size_t kMostVisits = 400000;      // in all of them

}  // namespace

struct CallSites::Hits {
  std::vector<std::pair<std::uint64_t, std::size_t>> calls;  // place, target
  std::vector<std::pair<std::uint64_t, std::size_t>> taken;
};

CallSites::CallSites(const ElfImage& image, const GoFacts* go) : image_(image), go_(go), bounds_(image, go) {
  const ElfFacts& facts = image.facts();
  if (!facts.is_64 || facts.byte_order != std::endian::little || !CodeReader::is_supported(facts.machine))
    return;
  reader_ = std::make_unique<CodeReader>(facts.machine);
  std::vector<std::uint64_t> slots;
  for (const ElfRelocation& relocation : image.symbol_relocations())
    slots.push_back(relocation.address);
  stubs_ = find_linkage_stubs(image, slots);
}

CallSites::~CallSites() = default;

std::optional<CallTarget> CallSites::imported(std::string_view symbol) const {
  CallTarget target{std::string(symbol), {}, {}};
  for (const ElfRelocation& relocation : image_.symbol_relocations()) {
    const auto name = image_.symbol_at_slot(relocation.address);
    if (name && *name == symbol) target.slots.push_back(relocation.address);
  }
  for (const auto& [code, slot] : stubs_) {
    if (std::binary_search(target.slots.begin(), target.slots.end(), slot)) target.addresses.push_back(code);
  }
  if (target.slots.empty() && !image_.facts().imports(symbol)) return std::nullopt;
  return target;
}

std::optional<CallTarget> CallSites::go_function(std::string_view name) const {
  const GoFunction* function = go_ == nullptr ? nullptr : go_->function_named(name);
  if (function == nullptr) return std::nullopt;
  return CallTarget{std::string(name), {function->start}, {}};
}

bool CallSites::is_go_code(std::uint64_t address) const {
  return go_ != nullptr && go_->function_at(address) != nullptr;
}

std::string_view CallSites::symbol_of(std::uint64_t target, std::uint64_t slot) const {
  if (slot == 0) {
    const auto stub =
        std::lower_bound(stubs_.begin(), stubs_.end(), std::pair<std::uint64_t, std::uint64_t>{target, 0});
    if (stub != stubs_.end() && stub->first == target) slot = stub->second;
  }
  if (slot != 0) return image_.symbol_at_slot(slot).value_or(std::string_view{});
  const GoFunction* function = go_ == nullptr ? nullptr : go_->function_at(target);
  if (function != nullptr && function->start == target) return function->name;
  return {};
}

std::string_view CallSites::callee_of(const CodeCall& call) const {
  if (call.targets.size() + call.slots.size() != 1) return {};
  return call.slots.empty() ? symbol_of(call.targets.front(), 0) : symbol_of(0, call.slots.front());
}

std::string_view CallSites::function_name(std::uint64_t address) const {
  if (go_ != nullptr) {
    const GoFunction* function = go_->function_at(address);
    if (function != nullptr) return function->name;
  }
  const std::uint64_t start = bounds_.bounds_of(address).first;
  for (const DynamicSymbol& symbol : image_.facts().dynamic_symbols) {
    if (symbol.defined && symbol.value == start) return symbol.name;
  }
  return {};
}

CallEffect CallSites::effect_of(std::uint64_t target, std::uint64_t slot) const {
  CallEffect effect;
  const GoFunction* function = go_ == nullptr || slot != 0 ? nullptr : go_->function_at(target);
  if (function == nullptr) {
    const std::string_view symbol = symbol_of(target, slot);
    effect.returns =
        !contains(kNeverReturn, symbol) && !starts_with_any(symbol, {"_ZSt17__throw", "_ZSt20__throw"});
    effect.keeps_memory = contains(kOnlyRead, symbol);
    effect.reads_first = contains(kReadFirst, symbol);
    const TextFunction* text = text_function(symbol);
    if (text != nullptr) effect.text = &text->effect;
    return effect;
  }
  const std::string_view name = function->name;
  if (name.find("._Cfunc_") != std::string_view::npos || name.substr(0, 8) == "os/exec.") {
    effect.keeps_memory = true;
    return effect;
  }
  if (name.substr(0, 8) != "runtime.") return effect;
  const std::string_view rest = name.substr(8);
  if (starts_with_any(rest, {"panic", "goPanic", "gopanic", "throw", "fatal"})) {
    effect.returns = false;
  } else if (starts_with_any(rest, {"gcWriteBarrier", "wbZero", "wbMove", "morestack"})) {
    // The last one keeps the closure; arguments are stored before and loaded after it.
    effect.keeps_registers = true;
  } else if (rest == "duffcopy") {
    // Entered in its middle: 64 units of code, each copying 16 bytes.
    const bool x86 = image_.facts().machine == static_cast<std::uint16_t>(ElfMachine::kX86_64);
    const std::uint64_t unit = x86 ? 14 : 8;
    const std::uint64_t skipped = (target - function->start) / unit;
    effect.copies = skipped < 64 ? static_cast<std::int64_t>(16 * (64 - skipped)) : 0;
    effect.copy_from = x86 ? 6 : 20;
    effect.copy_to = x86 ? 7 : 21;
  } else if (starts_with_any(rest, {"concatstring", "newobject", "makeslice", "convT"})) {
    effect.keeps_memory = true;
  }
  return effect;
}

const CallingConvention& CallSites::convention_at(std::uint64_t address) const {
  const std::uint16_t machine = image_.facts().machine;
  const bool x86 = machine == static_cast<std::uint16_t>(ElfMachine::kX86_64);
  if (!is_go_code(address)) return x86 ? CallingConvention::system_v() : CallingConvention::aapcs64();
  // Arguments in registers: Go 1.17 on amd64 (its function table is still 1.16's), 1.18 on arm64.
  bool registers = go_->pclntab_version != "1.16";
  if (!registers && x86 && go_->build) {
    const std::string& version = go_->build->go_version;
    registers = version.substr(0, 6) == "go1.17";
  }
  return registers ? CallingConvention::go_registers(machine) : CallingConvention::go_stack(machine);
}

std::shared_ptr<const FunctionFlow> CallSites::follow(std::uint64_t start, std::uint64_t end,
                                                      std::vector<std::uint64_t> wanted, bool whole,
                                                      std::size_t most_visits) const {
  FlowInput input;
  input.most_visits = most_visits;
  input.whole = whole;
  input.image = &image_;
  input.reader = reader_.get();
  input.convention = &convention_at(start);
  input.start = start;
  input.end = end;
  input.wanted = std::move(wanted);
  input.effect_of = [this](std::uint64_t target, std::uint64_t slot) { return effect_of(target, slot); };
  return std::make_shared<const FunctionFlow>(follow_function(input));
}

bool CallSites::is_plain_go_function(const CallTarget& target) const {
  if (go_ == nullptr || target.addresses.size() != 1) return false;
  const GoFunction* function = go_->function_at(target.addresses.front());
  if (function == nullptr) return false;
  const std::string_view name = function->name.substr(function->name.rfind('/') + 1);
  return std::count(name.begin(), name.end(), '.') == 1;
}

std::shared_ptr<const FunctionFlow> CallSites::follow_all(std::uint64_t address) const {
  if (!is_supported()) return nullptr;
  const auto [start, end] = bounds_.bounds_of(address);
  return follow(start, end, {}, true, kMostVisitsOfOne);
}

std::vector<CallSite> CallSites::find(const std::vector<CallTarget>& targets, bool whole) const {
  std::vector<CallSite> sites;
  if (!is_supported() || targets.empty()) return sites;
  std::map<std::uint64_t, std::size_t> code;  // address -> target
  std::map<std::uint64_t, std::size_t> data;  // slots, Go's function values, variables that hold those
  for (std::size_t i = 0; i < targets.size(); ++i) {
    for (const std::uint64_t address : targets[i].addresses)
      code.emplace(address, i);
    for (const std::uint64_t slot : targets[i].slots)
      data.emplace(slot, i);
  }
  const auto keys_of = [](const std::map<std::uint64_t, std::size_t>& from) {
    std::vector<std::uint64_t> keys;
    for (const auto& [key, target] : from)
      keys.push_back(key);
    return keys;
  };
  // Pointers to the targets, and pointers to those: a Go function value is a pointer to a pointer to code.
  std::map<std::uint64_t, std::size_t> pointers;
  for (const auto& [place, target] : find_pointers(image_, go_, keys_of(code))) {
    // Slots that the linker filled with the address of their own stub.
    if (data.count(place) == 0 && !image_.symbol_at_slot(place)) pointers.emplace(place, code.at(target));
  }
  std::map<std::uint64_t, std::size_t> variables;
  for (const auto& [place, target] : find_pointers(image_, go_, keys_of(pointers))) {
    if (pointers.count(place) == 0) variables.emplace(place, pointers.at(target));
  }
  std::set<std::uint64_t> unused_pointers;
  for (const auto& [place, target] : pointers)
    unused_pointers.insert(place);
  for (const auto& [place, target] : variables) {
    unused_pointers.insert(place);
    const auto pointee = image_.pointer_at(place);
    if (pointee) unused_pointers.erase(*pointee);
  }
  data.insert(pointers.begin(), pointers.end());
  data.insert(variables.begin(), variables.end());

  std::vector<std::uint64_t> wanted = keys_of(code);
  for (const auto& [address, target] : data)
    wanted.push_back(address);
  std::map<std::uint64_t, Hits> functions;
  std::map<std::uint64_t, std::uint64_t> ends;
  for (const CodeReference& reference : find_references(image_, std::move(wanted))) {
    // Stubs refer to their slots; they are targets themselves.
    const auto next_stub = std::upper_bound(
        stubs_.begin(), stubs_.end(), std::pair<std::uint64_t, std::uint64_t>{reference.place, UINT64_MAX});
    if (next_stub != stubs_.begin() && reference.place < std::prev(next_stub)->first + 16 &&
        std::prev(next_stub)->second == reference.target) {
      continue;
    }
    const auto [start, end] = bounds_.bounds_of(reference.place);
    if (code.count(start) != 0 && reference.target == start) continue;  // itself, after it grew its stack
    Hits& hits = functions[start];
    ends[start] = std::max(ends[start], end);
    if (reference.is_call && code.count(reference.target) != 0) {
      hits.calls.emplace_back(reference.place, code.at(reference.target));
    } else {
      const auto found = data.find(reference.target);
      unused_pointers.erase(reference.target);
      hits.taken.emplace_back(reference.place,
                              found != data.end() ? found->second : code.at(reference.target));
    }
  }
  std::size_t followed = 0;
  std::uint64_t bytes = 0;
  std::size_t visits_left = kMostVisits;
  for (const auto& [start, hits] : functions) {
    std::vector<std::uint64_t> places;
    for (const auto& [place, target] : hits.calls)
      places.push_back(place);
    for (const auto& [place, target] : hits.taken)
      places.push_back(place);
    std::shared_ptr<const FunctionFlow> flow;
    if (followed < kMostFunctions && bytes < kMostCode && visits_left > 0) {
      ++followed;
      bytes += ends[start] - start;
      // What uses an address that is taken can be anywhere in the function.
      flow = follow(start, ends[start], places, whole || !hits.taken.empty(),
                    std::min(kMostVisitsOfOne, visits_left));
      visits_left -= std::min(visits_left, flow->visits);
    }
    std::set<std::uint64_t> seen;
    std::set<std::size_t> called;
    if (flow != nullptr) {
      for (const CodeCall& call : flow->calls) {
        std::set<std::size_t> hit;
        for (const std::uint64_t target : call.targets) {
          const auto found = code.find(target);
          if (found != code.end()) hit.insert(found->second);
        }
        for (const std::uint64_t slot : call.slots) {
          const auto found = data.find(slot);
          if (found != data.end()) hit.insert(found->second);
        }
        for (const std::size_t target : hit) {
          sites.push_back({target, call.address, start, flow, &call, false});
          seen.insert(call.address);
          called.insert(target);
        }
      }
    }
    for (const auto& [place, target] : hits.calls) {
      if (seen.count(place) != 0) continue;
      // Bytes that look like a call inside another instruction are none.
      const bool real =
          flow == nullptr || !flow->complete ||
          std::find(flow->transfers.begin(), flow->transfers.end(), place) != flow->transfers.end();
      if (real) sites.push_back({target, place, start, flow, nullptr, false});
    }
    std::map<std::size_t, std::size_t> taken;
    for (const auto& [place, target] : hits.taken)
      ++taken[target];
    for (const auto& [place, target] : hits.taken) {
      if (!called.insert(target).second) continue;
      sites.push_back({target, place, start, flow, nullptr, true, taken[target]});
    }
  }
  for (const std::uint64_t place : unused_pointers) {
    // A plain Go function is called through its function value alone, and nothing refers to this one; methods
    // are called through tables.
    const std::size_t target = data.at(place);
    if (is_plain_go_function(targets[target])) continue;
    sites.push_back({target, place, 0, nullptr, nullptr, true});
  }
  std::sort(sites.begin(), sites.end(), [](const CallSite& a, const CallSite& b) {
    return std::pair(a.address, a.target) < std::pair(b.address, b.target);
  });
  // Guessed bounds overlap: a call is told once.
  sites.erase(std::unique(sites.begin(), sites.end(),
                          [](const CallSite& a, const CallSite& b) {
                            return a.address == b.address && a.target == b.target;
                          }),
              sites.end());
  return sites;
}

}  // namespace imgslim
