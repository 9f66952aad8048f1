// SPDX-License-Identifier: Apache-2.0
#include "src/facts/code_references.h"

#include <algorithm>
#include <array>
#include <bit>
#include <cstring>

#include "layers/bytes.h"

namespace imgslim {

namespace {

constexpr std::uint32_t kLoad = 1;
constexpr std::uint32_t kExecutable = 1;
constexpr std::uint32_t kGnuEhFrame = 0x6474e550;
constexpr std::uint64_t kWindowBefore = 2048;  // decoded around an address of a function without bounds
constexpr std::uint64_t kWindowAfter = 512;

bool is_x86_64(const ElfImage& image) {
  return image.facts().machine == static_cast<std::uint16_t>(ElfMachine::kX86_64);
}

template <class T>
T load(const char* at) {  // both machines are little-endian; so is what is read here, on any host
  T value;
  std::memcpy(&value, at, sizeof value);
  if constexpr (std::endian::native == std::endian::big) {
    T swapped = 0;
    for (std::size_t i = 0; i < sizeof value; ++i)
      swapped = static_cast<T>(swapped << 8 | (value >> 8 * i & 0xff));
    value = swapped;
  }
  return value;
}

// A small filter in front of the exact look-up: nearly all candidates end here.
class TargetSet {
 public:
  explicit TargetSet(std::vector<std::uint64_t> targets) : targets_(std::move(targets)) {
    std::sort(targets_.begin(), targets_.end());
    targets_.erase(std::unique(targets_.begin(), targets_.end()), targets_.end());
    for (const std::uint64_t target : targets_)
      filter_[place(target) / 64] |= 1ull << (place(target) % 64);
  }
  bool contains(std::uint64_t address) const {
    if ((filter_[place(address) / 64] >> (place(address) % 64) & 1) == 0) return false;
    return std::binary_search(targets_.begin(), targets_.end(), address);
  }
  const std::vector<std::uint64_t>& sorted() const { return targets_; }

 private:
  static constexpr std::size_t kBits = 1u << 14;
  static std::size_t place(std::uint64_t address) { return (address ^ address >> 14) % kBits; }
  std::vector<std::uint64_t> targets_;
  std::array<std::uint64_t, kBits / 64> filter_{};
};

template <class Visit>
void for_each_code_segment(const ElfImage& image, const Visit& visit) {
  std::vector<std::pair<std::uint64_t, std::uint64_t>> seen;
  for (const ElfSegment& segment : image.facts().segments) {
    if (segment.type != kLoad || (segment.flags & kExecutable) == 0) continue;
    // Segments of a hostile file may show the same bytes again and again.
    const std::pair<std::uint64_t, std::uint64_t> bytes{segment.offset, segment.offset + segment.file_size};
    const bool overlaps = std::any_of(seen.begin(), seen.end(), [&](const auto& other) {
      return bytes.first < other.second && other.first < bytes.second;
    });
    if (overlaps) continue;
    seen.push_back(bytes);
    const std::string_view code = image.bytes_from(segment.address);
    if (!code.empty()) visit(code.substr(0, segment.file_size), segment.address);
  }
}

// What the first byte before a displacement says.
enum class Lead : std::uint8_t { kNothing, kCall, kBranch, kMemory };

constexpr std::array<Lead, 256> make_leads() {
  std::array<Lead, 256> leads{};
  for (unsigned b = 0; b < 256; ++b) {
    if (b == 0xe8 || b == 0xe9) {
      leads[b] = Lead::kCall;
    } else if ((b & 0xf0) == 0x80) {
      leads[b] = Lead::kBranch;
    } else if ((b & 0xc7) == 0x05) {
      leads[b] = Lead::kMemory;  // modrm of a RIP-relative operand
    }
  }
  // 0x85 and 0x8d are branches (jne, jge) and are no RIP-relative modrm, whose two high bits are 0.
  return leads;
}

void scan_x86_64(std::string_view code, std::uint64_t address, const TargetSet& targets, bool absolute,
                 std::vector<CodeReference>& found) {
  static constexpr std::array<Lead, 256> kLeads = make_leads();
  if (code.size() < 6) return;
  const char* const bytes = code.data();
  const std::size_t end = code.size() - 4;
  for (std::size_t i = 0; i < end; ++i) {
    const Lead lead = kLeads[static_cast<unsigned char>(bytes[i])];
    if (lead == Lead::kNothing) continue;
    if (lead == Lead::kBranch && (i == 0 || bytes[i - 1] != '\x0f')) continue;
    const auto displacement = static_cast<std::int32_t>(load<std::uint32_t>(bytes + i + 1));
    const std::uint64_t target = address + i + 5 + static_cast<std::uint64_t>(std::int64_t{displacement});
    if (!targets.contains(target)) continue;
    if (lead == Lead::kMemory && i == 0) continue;
    found.push_back({address + i - (lead == Lead::kCall ? 0 : 1), target, lead != Lead::kMemory});
  }
  if (!absolute) return;
  // Code at fixed addresses may take one as a number: b8+r imm32, 68 imm32, c7 .. imm32.
  for (std::size_t i = 1; i < end; ++i) {
    const auto before = static_cast<unsigned char>(bytes[i - 1]);
    if ((before & 0xf8) != 0xb8 && before != 0x68) continue;
    const std::uint64_t target = load<std::uint32_t>(bytes + i);
    if (targets.contains(target)) found.push_back({address + i - 1, target, false});
  }
}

void scan_aarch64(std::string_view code, std::uint64_t address, const TargetSet& targets,
                  std::vector<CodeReference>& found) {
  std::vector<std::uint64_t> pages;
  for (const std::uint64_t target : targets.sorted()) {
    if (pages.empty() || pages.back() != target >> 12) pages.push_back(target >> 12);
  }
  const TargetSet page_set(pages);
  constexpr std::size_t kReach = 8;  // instructions between ADRP and its partner
  const std::size_t count = code.size() / 4;
  for (std::size_t i = 0; i < count; ++i) {
    const auto word = load<std::uint32_t>(code.data() + 4 * i);
    const std::uint64_t place = address + 4 * i;
    if ((word & 0x7c000000) == 0x14000000) {
      const auto distance = static_cast<std::int64_t>(static_cast<std::int32_t>(word << 6) >> 6) * 4;
      const std::uint64_t target = place + static_cast<std::uint64_t>(distance);
      if (targets.contains(target)) found.push_back({place, target, true});
    } else if ((word & 0x9f000000) == 0x90000000) {
      const std::uint32_t pages_away = (word >> 5 & 0x7ffff) << 2 | (word >> 29 & 3);
      const auto distance = static_cast<std::int64_t>(static_cast<std::int32_t>(pages_away << 11) >> 11);
      const std::uint64_t page = (place >> 12) + static_cast<std::uint64_t>(distance);
      if (!page_set.contains(page)) continue;
      const std::uint32_t base = word & 31;
      for (std::size_t j = i + 1; j < std::min(count, i + 1 + kReach); ++j) {
        const auto next = load<std::uint32_t>(code.data() + 4 * j);
        if ((next >> 5 & 31) != base) continue;
        std::uint64_t offset = 0;
        if ((next & 0xffc00000) == 0x91000000) {
          offset = next >> 10 & 0xfff;
        } else if ((next & 0xffc00000) == 0xf9400000) {
          offset = (next >> 10 & 0xfff) * 8;
        } else {
          continue;
        }
        const std::uint64_t target = (page << 12) + offset;
        if (targets.contains(target)) found.push_back({address + 4 * j, target, false});
      }
    }
  }
}

void find_x86_64_stubs(std::string_view code, std::uint64_t address, const TargetSet& slots,
                       std::vector<std::pair<std::uint64_t, std::uint64_t>>& found) {
  constexpr std::string_view kBranchMarker = "\xf3\x0f\x1e\xfa";  // endbr64
  if (code.size() < 6) return;
  for (std::size_t i = 0; i + 6 <= code.size(); ++i) {
    if (code[i] != '\xff' || code[i + 1] != '\x25') continue;
    const auto displacement = static_cast<std::int32_t>(load<std::uint32_t>(code.data() + i + 2));
    const std::uint64_t slot = address + i + 6 + static_cast<std::uint64_t>(std::int64_t{displacement});
    if (!slots.contains(slot)) continue;
    // jmp *slot(%rip) as linkers write it: behind endbr64, or in front of push or a two-byte nop. Elsewhere
    // it is a function that ends in a tail call.
    const std::size_t jump = i > 0 && code[i - 1] == '\xf2' ? i - 1 : i;  // bnd
    const std::string_view after = code.substr(i + 6, 2);
    const bool behind_marker = jump >= 4 && code.substr(jump - 4, 4) == kBranchMarker;
    const bool behind_number = jump >= 10 && code.substr(jump - 10, 4) == kBranchMarker &&
                               code.substr(jump - 6, 2) == "\x41\xbb";  // mov $number, %r11d
    const bool in_table = after.substr(0, 1) == "\x68" || ((address + jump) % 8 == 0 && after == "\x66\x90");
    if (!behind_marker && !behind_number && !in_table) continue;
    found.emplace_back(address + i, slot);
    if (jump != i) found.emplace_back(address + jump, slot);
    if (behind_marker) found.emplace_back(address + jump - 4, slot);
    if (behind_number) found.emplace_back(address + jump - 10, slot);
  }
}

void find_aarch64_stubs(std::string_view code, std::uint64_t address, const TargetSet& slots,
                        std::vector<std::pair<std::uint64_t, std::uint64_t>>& found) {
  // adrp x16, page; ldr x17, [x16, #offset]; add x16, ..; br x17, perhaps behind bti c
  for (std::size_t i = 0; i + 16 <= code.size(); i += 4) {
    const auto adrp = load<std::uint32_t>(code.data() + i);
    if ((adrp & 0x9f00001f) != 0x90000010) continue;
    const auto ldr = load<std::uint32_t>(code.data() + i + 4);
    if ((ldr & 0xffc003ff) != 0xf9400211) continue;
    const std::uint32_t pages_away = (adrp >> 5 & 0x7ffff) << 2 | (adrp >> 29 & 3);
    const auto distance = static_cast<std::int64_t>(static_cast<std::int32_t>(pages_away << 11) >> 11);
    const std::uint64_t page = ((address + i) >> 12) + static_cast<std::uint64_t>(distance);
    const std::uint64_t slot = (page << 12) + (ldr >> 10 & 0xfff) * 8;
    if (!slots.contains(slot)) continue;
    found.emplace_back(address + i, slot);
    if (i >= 4 && load<std::uint32_t>(code.data() + i - 4) == 0xd503245f)
      found.emplace_back(address + i - 4, slot);
  }
}

}  // namespace

std::vector<CodeReference> find_references(const ElfImage& image, std::vector<std::uint64_t> targets) {
  std::vector<CodeReference> found;
  if (targets.empty()) return found;
  const TargetSet set(std::move(targets));
  constexpr std::uint16_t kFixedAddresses = 2;  // ET_EXEC
  for_each_code_segment(image, [&](std::string_view code, std::uint64_t address) {
    if (is_x86_64(image)) {
      scan_x86_64(code, address, set, image.facts().type == kFixedAddresses, found);
    } else {
      scan_aarch64(code, address, set, found);
    }
  });
  std::sort(found.begin(), found.end());
  found.erase(std::unique(found.begin(), found.end()), found.end());
  return found;
}

std::vector<std::pair<std::uint64_t, std::uint64_t>> find_pointers(const ElfImage& image, const GoFacts* go,
                                                                   std::vector<std::uint64_t> targets) {
  std::vector<std::pair<std::uint64_t, std::uint64_t>> found;
  if (targets.empty()) return found;
  const TargetSet set(std::move(targets));
  const auto is_data = [](const ElfSegment& segment) {
    return segment.type == kLoad && (segment.flags & kExecutable) == 0;
  };
  // Linkers without separate code put read-only data into the executable segment.
  constexpr std::uint32_t kWritable = 2;
  const auto& segments = image.facts().segments;
  const bool has_read_only = std::any_of(segments.begin(), segments.end(), [&](const ElfSegment& segment) {
    return is_data(segment) && (segment.flags & kWritable) == 0;
  });
  for (const ElfSegment& segment : segments) {
    if (segment.type != kLoad || (has_read_only && !is_data(segment))) continue;
    const std::string_view words = image.relocated_from(segment.address);
    const std::uint64_t first = (8 - segment.address % 8) % 8;
    for (std::uint64_t at = first; at + 8 <= words.size(); at += 8) {
      const auto word = load<std::uint64_t>(words.data() + at);
      if (set.contains(word)) found.emplace_back(segment.address + at, word);
    }
  }
  if (go != nullptr && go->pclntab_version == "1.16") {
    // Its function table is pairs of (address, offset): the neighbours are the next functions.
    std::erase_if(found, [&](const auto& hit) {
      const GoFunction* function = go->function_at(hit.second);
      const auto after = image.pointer_at(hit.first + 16);
      return function != nullptr && function->start == hit.second && after && *after == function->end;
    });
  }
  std::sort(found.begin(), found.end());
  found.erase(std::unique(found.begin(), found.end()), found.end());
  return found;
}

std::vector<std::pair<std::uint64_t, std::uint64_t>> find_linkage_stubs(
    const ElfImage& image, const std::vector<std::uint64_t>& slots) {
  std::vector<std::pair<std::uint64_t, std::uint64_t>> found;
  if (slots.empty()) return found;
  const TargetSet set(slots);
  for_each_code_segment(image, [&](std::string_view code, std::uint64_t address) {
    if (is_x86_64(image)) {
      find_x86_64_stubs(code, address, set, found);
    } else {
      find_aarch64_stubs(code, address, set, found);
    }
  });
  std::sort(found.begin(), found.end());
  return found;
}

FunctionBounds::FunctionBounds(const ElfImage& image, const GoFacts* go) : image_(image), go_(go) {
  read_eh_frame_header();
  constexpr std::uint8_t kFunction = 2;
  for (const DynamicSymbol& symbol : image.facts().dynamic_symbols) {
    if (symbol.defined && symbol.type == kFunction && image.is_code(symbol.value))
      starts_.push_back(symbol.value);
  }
  if (image.is_code(image.facts().entry)) starts_.push_back(image.facts().entry);
  if (starts_.size() <= 1 && go_ == nullptr) add_called_starts();
  add_dynamic_starts();
  std::sort(starts_.begin(), starts_.end());
  starts_.erase(std::unique(starts_.begin(), starts_.end()), starts_.end());
}

// Of a program without any table: what is called directly, and what _start hands to the C library.
void FunctionBounds::add_called_starts() {
  constexpr std::uint64_t kAlignment = 16;
  const bool x86 = is_x86_64(image_);
  const auto add = [&](std::uint64_t target) {
    if ((!x86 || target % kAlignment == 0) && image_.is_code(target)) starts_.push_back(target);
  };
  for_each_code_segment(image_, [&](std::string_view code, std::uint64_t address) {
    for (std::size_t at = 0; at + 8 <= code.size(); at += x86 ? 1 : 4) {
      const char* here = code.data() + at;
      const auto relative = [&](std::size_t before) {
        return address + at + before + 4 +
               static_cast<std::uint64_t>(std::int64_t{load<std::int32_t>(here + before)});
      };
      if (!x86) {
        const auto word = load<std::uint32_t>(here);
        if (word >> 26 != 0x25) continue;  // bl
        const auto distance = static_cast<std::int64_t>(static_cast<std::int32_t>(word << 6)) >> 4;
        add(address + at + static_cast<std::uint64_t>(distance));
      } else if (here[0] == '\xe8') {
        add(relative(1));
      } else if ((here[0] == '\x48' || here[0] == '\x4c') && here[1] == '\x8d' && (here[2] & 0xc7) == 0x05) {
        add(relative(3));  // lea
      } else if (here[0] == '\x48' && here[1] == '\xc7' && here[2] == '\xc7') {
        add(load<std::uint32_t>(here + 3));  // mov rdi, immediate
      }
    }
  });
}

// DT_INIT and DT_FINI: no table has them, and the last one stands behind the program's own functions.
void FunctionBounds::add_dynamic_starts() {
  constexpr std::uint32_t kDynamic = 2;
  constexpr std::uint64_t kInit = 12;
  constexpr std::uint64_t kFini = 13;
  for (const ElfSegment& segment : image_.facts().segments) {
    if (segment.type != kDynamic) continue;
    const auto entries = image_.bytes_at(segment.address, segment.file_size);
    for (std::size_t at = 0; entries && at + 16 <= entries->size(); at += 16) {
      const auto tag = load<std::uint64_t>(entries->data() + at);
      const auto address = load<std::uint64_t>(entries->data() + at + 8);
      if (tag == 0) break;
      if ((tag == kInit || tag == kFini) && image_.is_code(address)) starts_.push_back(address);
    }
  }
}

// The binary search table of .eh_frame_hdr (Linux Standard Base, "The .eh_frame_hdr section").
void FunctionBounds::read_eh_frame_header() {
  for (const ElfSegment& segment : image_.facts().segments) {
    if (segment.type != kGnuEhFrame) continue;
    const auto bytes = image_.bytes_at(segment.address, segment.file_size);
    constexpr std::string_view kUsualEncodings = "\x01\x1b\x03\x3b";  // pcrel sdata4, udata4, datarel sdata4
    if (!bytes || bytes->substr(0, 4) != kUsualEncodings) continue;
    const auto count = read_integer<std::uint32_t>(*bytes, 8);
    if (!count) continue;
    const std::size_t entries = std::min<std::size_t>(*count, (bytes->size() - 12) / 8);
    starts_.reserve(starts_.size() + entries);
    for (std::size_t i = 0; i < entries; ++i) {
      const auto place = static_cast<std::int32_t>(load<std::uint32_t>(bytes->data() + 12 + 8 * i));
      starts_.push_back(segment.address + static_cast<std::uint64_t>(std::int64_t{place}));
    }
  }
}

std::pair<std::uint64_t, std::uint64_t> FunctionBounds::bounds_of(std::uint64_t address) const {
  if (go_ != nullptr) {
    const GoFunction* function = go_->function_at(address);
    if (function != nullptr) return {function->start, function->end};
  }
  const auto next = std::upper_bound(starts_.begin(), starts_.end(), address);
  const std::uint64_t code_end = address + image_.bytes_from(address).size();
  const std::uint64_t end = next != starts_.end() ? std::min(*next, code_end) : code_end;
  if (next != starts_.begin()) {
    const std::uint64_t start = *std::prev(next);
    constexpr std::uint64_t kFarthest = 256u << 10;
    if (address - start < kFarthest && image_.bytes_at(start, address - start)) {
      return {start, std::min(end, std::max(address + kFarthest, start))};
    }
  }
  std::uint64_t start = address - std::min(address, kWindowBefore);
  while (start < address && !image_.bytes_at(start, address - start))
    start += 64;
  return {std::min(start, address), std::min(end, address + kWindowAfter)};
}

bool FunctionBounds::is_start(std::uint64_t address) const {
  if (go_ != nullptr) {
    const GoFunction* function = go_->function_at(address);
    if (function != nullptr) return function->start == address;
  }
  return std::binary_search(starts_.begin(), starts_.end(), address);
}

}  // namespace imgslim
