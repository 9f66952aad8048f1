// SPDX-License-Identifier: Apache-2.0
#include "src/facts/object_cache.h"

#include <tuple>
#include <utility>

#include "layers/bytes.h"
#include "src/facts/packed_facts.h"

namespace imgslim {
namespace {

constexpr std::uint64_t kMaxCacheFile = 64u << 20;
constexpr std::uint16_t kEtExec = 2;
constexpr std::uint16_t kEtDyn = 3;
constexpr std::uint64_t kFlag1Pie = 0x08000000;
constexpr std::uint8_t kOsAbiGnu = 3;
constexpr std::uint8_t kOsAbiArmEabi = 64;
constexpr std::uint8_t kOsAbiArm = 97;

// What glibc's open_verify() says of a header, apart from what depends on the program.
std::string complaint(std::string_view bytes) {
  if (bytes.size() < 52) return "file too short";
  if (!bytes.starts_with("\177ELF")) return "invalid ELF header";
  const bool is_64 = bytes[4] == 2;
  if (is_64 && bytes.size() < 64) return "file too short";
  const std::endian order = bytes[5] == 2 ? std::endian::big : std::endian::little;
  if (bytes[6] != 1) return "ELF file version ident does not match current one";
  const auto machine = read_integer<std::uint16_t>(bytes, 18, order).value_or(0);
  const auto os_abi = static_cast<std::uint8_t>(bytes[7]);
  const bool arm = machine == static_cast<std::uint16_t>(ElfMachine::kArm);
  if (os_abi != 0 && os_abi != kOsAbiGnu && !(arm && (os_abi == kOsAbiArmEabi || os_abi == kOsAbiArm))) {
    return "ELF file OS ABI invalid";
  }
  if (os_abi == 0 && bytes[8] != 0) return "ELF file ABI version invalid";
  if (bytes.substr(9, 7).find_first_not_of('\0') != std::string_view::npos) {
    return "nonzero padding in e_ident";
  }
  if (read_integer<std::uint32_t>(bytes, 20, order) != 1u) {
    return "ELF file version does not match current one";
  }
  const auto type = read_integer<std::uint16_t>(bytes, 16, order);
  if (type != kEtDyn && type != kEtExec) return "only ET_DYN and ET_EXEC can be loaded";
  const auto entry_size = read_integer<std::uint16_t>(bytes, is_64 ? 54 : 42, order);
  if (entry_size != (is_64 ? 56 : 32)) return "ELF file's phentsize not the expected size";
  return {};
}

}  // namespace

ObjectVerdict ObjectFile::verdict(const ElfFacts& program, std::string* why) const {
  const auto fatal = [&](const std::string& text) {
    if (why != nullptr) *why = text;
    return ObjectVerdict::kFatal;
  };
  if (!facts) return fatal(wrong.empty() ? "invalid ELF header" : wrong);
  if (facts->is_64 != program.is_64) return ObjectVerdict::kOtherKind;
  if (facts->byte_order != program.byte_order) {
    return fatal(program.byte_order == std::endian::little ? "ELF file data encoding not little-endian"
                                                           : "ELF file data encoding not big-endian");
  }
  const bool same_machine = facts->machine == program.machine;
  // The machine is looked at after e_ident and before the rest of the header.
  const bool wrong_ident = wrong.starts_with("ELF file version") || wrong.starts_with("ELF file OS") ||
                           wrong.starts_with("ELF file ABI") || wrong.starts_with("nonzero");
  if (!same_machine && !wrong_ident) return ObjectVerdict::kOtherKind;
  if (!wrong.empty()) return fatal(wrong);
  if (facts->type == kEtExec) return fatal("cannot dynamically load executable");
  if ((facts->flags_1 & kFlag1Pie) != 0) {
    return fatal("cannot dynamically load position-independent executable");
  }
  if (!facts->has_dynamic) return fatal("object file has no dynamic section");
  return ObjectVerdict::kLoadable;
}

template <class Value, class Make>
std::shared_ptr<const Value> ObjectCache::once(Table<Value>& table, const std::string& key, Make&& make) {
  std::promise<std::shared_ptr<const Value>> promise;
  std::shared_future<std::shared_ptr<const Value>> future;
  bool mine = false;
  {
    const std::lock_guard lock(mutex_);
    const auto found = table.find(key);
    if (found != table.end()) {
      future = found->second;
    } else {
      mine = true;
      future = promise.get_future().share();
      table.emplace(key, future);
    }
  }
  if (mine) {
    try {
      promise.set_value(make());
    } catch (...) {
      promise.set_exception(std::current_exception());
    }
  }
  return future.get();
}

std::shared_ptr<const ObjectFile> ObjectCache::object(const std::string& resolved) {
  return once<ObjectFile>(objects_, resolved, [&] { return read_object(resolved); });
}

std::shared_ptr<const ObjectFile> ObjectCache::read_object(const std::string& resolved) const {
  const auto status = files_.status(resolved);
  if (!status) return nullptr;
  auto object = std::make_shared<ObjectFile>();
  object->path = resolved;
  object->inode = status->inode;
  object->is_setuid = (status->mode & 04000) != 0;
  if (status->kind != FileKind::kRegular) {
    object->wrong = "cannot read file data";
    return object;
  }
  using Known = std::pair<std::string, std::optional<ElfFacts>>;
  constexpr std::string_view kFact = "object";
  if (const auto data = files_.recall(resolved, kFact)) {
    if (auto known = unpacked<Known>(*data)) {
      std::tie(object->wrong, object->facts) = std::move(*known);
      return object;
    }
  }
  const auto content = files_.read(resolved);
  if (content == nullptr) {
    object->wrong = "cannot read file data";
    return object;
  }
  Known known(complaint(content->bytes()), read_elf(content->bytes()));
  files_.remember(resolved, kFact, packed(known));
  std::tie(object->wrong, object->facts) = std::move(known);
  return object;
}

std::shared_ptr<const LoaderFacts> ObjectCache::loader(const std::string& resolved) {
  return once<LoaderFacts>(loaders_, resolved, [&]() -> std::shared_ptr<const LoaderFacts> {
    const auto file = object(resolved);
    if (file == nullptr || !file->facts) return nullptr;
    constexpr std::string_view kFact = "loader";
    if (const auto data = files_.recall(resolved, kFact)) {
      if (auto known = unpacked<LoaderFacts>(*data)) return std::make_shared<LoaderFacts>(std::move(*known));
    }
    const auto content = files_.read(resolved);
    if (content == nullptr) return nullptr;
    auto facts = std::make_shared<LoaderFacts>(read_loader(*file->facts, content->bytes()));
    files_.remember(resolved, kFact, packed(*facts));
    return facts;
  });
}

std::shared_ptr<const LdCache> ObjectCache::ld_cache(const std::string& path, std::endian order) {
  const std::string key = (order == std::endian::little ? "l" : "b") + path;
  return once<LdCache>(caches_, key, [&]() -> std::shared_ptr<const LdCache> {
    const auto resolved = resolve_path(files_, path);
    if (!resolved) return nullptr;
    const auto content = files_.read(*resolved, kMaxCacheFile);
    if (content == nullptr) return nullptr;
    auto cache = read_ld_cache(content->bytes(), order);
    if (!cache) return nullptr;
    return std::make_shared<LdCache>(std::move(*cache));
  });
}

}  // namespace imgslim
