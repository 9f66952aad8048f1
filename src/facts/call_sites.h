// SPDX-License-Identifier: Apache-2.0
// Calls of given functions in one ELF file, with what is known of their arguments: of imported symbols
// (through the procedure linkage table or the GOT, without sections), of Go functions by name, and of any
// code by address. x86-64 and aarch64; only the functions around a call are decoded.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "src/facts/code_flow.h"
#include "src/facts/code_references.h"
#include "src/facts/elf.h"
#include "src/facts/go_binary.h"

namespace imgslim {

struct CallTarget {
  std::string name;                      // symbol or Go function
  std::vector<std::uint64_t> addresses;  // code that is it, or stands for it (stubs), sorted
  std::vector<std::uint64_t> slots;      // GOT slots that get its address, sorted
};

struct CallSite {
  std::size_t target = 0;      // index into the targets asked for
  std::uint64_t address = 0;   // of the call, or of the code or data that takes the target's address
  std::uint64_t function = 0;  // start of the function it is in; 0: in data
  std::shared_ptr<const FunctionFlow> flow;  // null if nothing could be followed
  const CodeCall* call = nullptr;            // in `flow`; null: the arguments are not known
  bool address_taken = false;                // no call is seen, the address goes elsewhere
  std::size_t times_taken = 0;               // in this function
};

class CallSites {
 public:
  // `go` may be null; all must outlive this.
  CallSites(const ElfImage& image, const GoFacts* go);
  ~CallSites();
  CallSites(const CallSites&) = delete;
  CallSites& operator=(const CallSites&) = delete;

  // Whether this machine's code can be read.
  bool is_supported() const { return reader_ != nullptr; }
  // Nothing where the file does not have the symbol or function.
  std::optional<CallTarget> imported(std::string_view symbol) const;
  std::optional<CallTarget> go_function(std::string_view name) const;
  CallTarget code_at(std::uint64_t address) const { return {{}, {address}, {}}; }

  // Every call of the targets, by address. The flow of each function leads up to the calls, or with `whole`
  // through all of it.
  std::vector<CallSite> find(const std::vector<CallTarget>& targets, bool whole = false) const;

  // The function that an address lies in, followed through all of it; null where code cannot be read.
  std::shared_ptr<const FunctionFlow> follow_all(std::uint64_t address) const;

  // Name of what a call calls: an imported symbol, a Go function, else empty.
  std::string_view callee_of(const CodeCall& call) const;
  // Name of the Go function or exported symbol that an address lies in, else empty.
  std::string_view function_name(std::uint64_t address) const;
  const FunctionBounds& bounds() const { return bounds_; }
  const ElfImage& image() const { return image_; }
  const GoFacts* go() const { return go_; }
  bool is_go_code(std::uint64_t address) const;

 private:
  struct Hits;
  std::string_view symbol_of(std::uint64_t target, std::uint64_t slot) const;
  bool is_plain_go_function(const CallTarget& target) const;
  CallEffect effect_of(std::uint64_t target, std::uint64_t slot) const;
  const CallingConvention& convention_at(std::uint64_t address) const;
  std::shared_ptr<const FunctionFlow> follow(std::uint64_t start, std::uint64_t end,
                                             std::vector<std::uint64_t> wanted, bool whole,
                                             std::size_t most_visits) const;

  const ElfImage& image_;
  const GoFacts* go_;
  std::unique_ptr<CodeReader> reader_;
  FunctionBounds bounds_;
  std::vector<std::pair<std::uint64_t, std::uint64_t>> stubs_;  // (code, slot), sorted
};

}  // namespace imgslim
