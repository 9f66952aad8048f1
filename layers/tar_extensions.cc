// SPDX-License-Identifier: Apache-2.0
#include "layers/tar_extensions.h"

#include <fmt/format.h>

#include <algorithm>

#include "layers/error.h"

namespace imgslim {
namespace {

constexpr std::string_view kXattr = "SCHILY.xattr.";
constexpr std::string_view kLibarchiveXattr = "LIBARCHIVE.xattr.";
constexpr std::string_view kSparse = "GNU.sparse.";

bool starts_with(std::string_view text, std::string_view prefix) {
  return text.substr(0, prefix.size()) == prefix;
}

std::uint64_t number_of(std::string_view key, std::string_view value) {
  const auto number = parse_decimal(value);
  if (!number || *number >> 63 != 0) {
    throw_bad_image(fmt::format("the {} record \"{}\" is no number", key, printable(value, 40)));
  }
  return *number;
}

// An empty value takes back an earlier record (POSIX pax, "pax Extended Header").
template <class Field, class Parse>
void set(Field& field, std::string_view key, std::string_view value, TarExtensions* into, Parse parse) {
  if (field) into->oddities.push_back(fmt::format("the {} record is there twice: the last counts", key));
  if (value.empty()) {
    field.reset();
  } else {
    field = parse();
  }
}

void set_text(std::optional<std::string>& field, std::string_view key, std::string_view value,
              TarExtensions* into) {
  if (value.find('\0') != std::string_view::npos) {
    throw_bad_image(fmt::format("the {} record holds a NUL byte", key));
  }
  set(field, key, value, into, [&] { return std::string(value); });
}

void set_number(std::optional<std::uint64_t>& field, std::string_view key, std::string_view value,
                TarExtensions* into) {
  set(field, key, value, into, [&] { return number_of(key, value); });
}

void check_region_count(std::uint64_t numbers, const TarLimits& limits) {
  if (numbers / 2 > limits.max_sparse_regions) {
    throw_bad_image(fmt::format("the sparse map has more than {} regions", limits.max_sparse_regions));
  }
}

void parse_sparse_record(std::string_view key, std::string_view value, const TarLimits& limits,
                         TarExtensions* into) {
  SparseRecords& sparse = into->sparse;
  const std::string_view name = key.substr(kSparse.size());
  if (name == "major") {
    set_number(sparse.major, key, value, into);
  } else if (name == "minor") {
    set_number(sparse.minor, key, value, into);
  } else if (name == "size" || name == "realsize") {
    set_number(sparse.real_size, key, value, into);
  } else if (name == "numblocks") {
    set_number(sparse.region_count, key, value, into);
  } else if (name == "name") {
    set_text(sparse.name, key, value, into);
    return;  // says nothing on the map
  } else if (name == "offset" || name == "numbytes") {
    if ((name == "offset") != (sparse.numbers.size() % 2 == 0)) {
      throw_bad_image("the sparse map's offsets and lengths do not alternate");
    }
    sparse.numbers.push_back(number_of(key, value));
  } else if (name == "map") {
    sparse.numbers.clear();
    while (!value.empty()) {
      const std::size_t comma = value.find(',');
      sparse.numbers.push_back(number_of(key, value.substr(0, comma)));
      check_region_count(sparse.numbers.size(), limits);
      value.remove_prefix(comma == std::string_view::npos ? value.size() : comma + 1);
    }
  } else {
    return;
  }
  check_region_count(sparse.numbers.size(), limits);
  sparse.present = true;
}

void take_xattr(std::string_view name, std::string_view value, const TarLimits& limits, TarExtensions* into) {
  if (name.empty() || name.size() > limits.max_xattr_name) {
    throw_bad_image(fmt::format("the name of an extended attribute has {} bytes, 1 to {} are allowed",
                                name.size(), limits.max_xattr_name));
  }
  if (value.size() > limits.max_xattr_value) {
    throw_bad_image(fmt::format("the extended attribute {} has {} bytes, more than {}", printable(name),
                                value.size(), limits.max_xattr_value));
  }
  into->xattrs.emplace_back(name, value);
}

// Sorts by name; of several with one name the last record stays.
void finish_xattrs(TarExtensions* into) {
  Xattrs& xattrs = into->xattrs;
  std::stable_sort(xattrs.begin(), xattrs.end(),
                   [](const auto& a, const auto& b) { return a.first < b.first; });
  std::size_t kept = 0;
  for (std::size_t i = 0; i < xattrs.size(); ++i) {
    if (i + 1 < xattrs.size() && xattrs[i].first == xattrs[i + 1].first) {
      into->oddities.push_back(fmt::format("the extended attribute {} is there twice: the last counts",
                                           printable(xattrs[i].first)));
      continue;
    }
    if (kept != i) xattrs[kept] = std::move(xattrs[i]);
    ++kept;
  }
  xattrs.resize(kept);
}

bool has_xattr(const Xattrs& xattrs, std::string_view name) {
  return std::any_of(xattrs.begin(), xattrs.end(), [&](const auto& xattr) { return xattr.first == name; });
}

}  // namespace

void parse_extensions(std::string_view records, const TarLimits& limits, TarExtensions* into) {
  std::optional<std::string> foreign_xattr;
  parse_pax_records(records, [&](std::string_view key, std::string_view value) {
    if (key == "path") {
      set_text(into->path, key, value, into);
    } else if (key == "linkpath") {
      set_text(into->link, key, value, into);
    } else if (key == "size") {
      set_number(into->size, key, value, into);
    } else if (key == "uid") {
      set_number(into->uid, key, value, into);
    } else if (key == "gid") {
      set_number(into->gid, key, value, into);
    } else if (key == "mtime") {
      set(into->mtime, key, value, into, [&] {
        const auto time = parse_pax_time(value);
        if (!time) {
          throw_bad_image(fmt::format("the mtime record \"{}\" is no time", printable(value, 40)));
        }
        return *time;
      });
    } else if (starts_with(key, kXattr)) {
      take_xattr(key.substr(kXattr.size()), value, limits, into);
    } else if (starts_with(key, kSparse)) {
      parse_sparse_record(key, value, limits, into);
    } else if (starts_with(key, kLibarchiveXattr) && !foreign_xattr) {
      foreign_xattr = std::string(key.substr(kLibarchiveXattr.size()));
    }
  });
  finish_xattrs(into);
  // libarchive writes both kinds; alone, its own is applied by nobody.
  if (foreign_xattr && !has_xattr(into->xattrs, *foreign_xattr)) {
    into->oddities.push_back(
        fmt::format("the record LIBARCHIVE.xattr.{} is ignored, as by those who apply layers",
                    printable(*foreign_xattr)));
  }
  SparseRecords& sparse = into->sparse;
  if (!sparse.present) return;
  const std::uint64_t major = sparse.major.value_or(0);
  const std::uint64_t minor = sparse.minor.value_or(0);
  if (major > 1 || minor > 1 || (major == 1 && minor != 0)) {
    throw_bad_image(fmt::format("sparse files of version {}.{} are not known", major, minor));
  }
  if (!sparse.real_size) throw_bad_image("the sparse file's size is missing");
  if (!sparse.map_in_content() && sparse.region_count && *sparse.region_count != sparse.numbers.size() / 2) {
    throw_bad_image("the sparse map's regions are not as many as said");
  }
}

SparseMap make_sparse_map(const std::vector<std::uint64_t>& numbers, std::uint64_t size,
                          std::uint64_t stored_size) {
  if (numbers.size() % 2 != 0) throw_bad_image("the sparse map ends with an offset");
  SparseMap map;
  std::uint64_t end = 0;
  std::uint64_t sum = 0;
  for (std::size_t i = 0; i < numbers.size(); i += 2) {
    const std::uint64_t offset = numbers[i];
    const std::uint64_t length = numbers[i + 1];
    if (offset < end || offset > size || length > size - offset) {
      throw_bad_image("the sparse map's regions overlap or leave the file");
    }
    end = offset + length;
    sum += length;
    if (length != 0) map.emplace_back(offset, length);
  }
  if (sum != stored_size) {
    throw_bad_image(fmt::format("the sparse map has {} bytes of data, the entry {}", sum, stored_size));
  }
  return map;
}

bool parse_old_sparse(std::string_view block, bool extension, const TarLimits& limits,
                      std::vector<std::uint64_t>* numbers) {
  constexpr std::size_t kNumber = 12;
  const std::size_t begin = extension ? 0 : 386;
  const std::size_t count = extension ? 21 : 4;
  for (std::size_t i = 0; i < count; ++i) {
    const std::string_view region = block.substr(begin + i * 2 * kNumber, 2 * kNumber);
    if (region[0] == '\0') break;
    const auto offset = parse_tar_number(region.substr(0, kNumber));
    const auto length = parse_tar_number(region.substr(kNumber));
    if (!offset || !length || *offset < 0 || *length < 0) throw_bad_image("the sparse map holds no number");
    numbers->push_back(static_cast<std::uint64_t>(*offset));
    numbers->push_back(static_cast<std::uint64_t>(*length));
  }
  check_region_count(numbers->size(), limits);
  return block[extension ? 504 : 482] != '\0';
}

bool SparseMapReader::take(std::string_view block, const TarLimits& limits) {
  for (const char c : block) {
    if (count_ && numbers.size() == *count_ * 2) return true;  // the rest of the block is padding
    if (c != '\n') {
      if (c < '0' || c > '9' || digits_.size() >= 20) throw_bad_image("the sparse map holds no number");
      digits_ += c;
      continue;
    }
    const std::uint64_t number = number_of("sparse map", digits_);
    digits_.clear();
    if (count_) {
      numbers.push_back(number);
    } else {
      if (number > limits.max_sparse_regions) {
        throw_bad_image(fmt::format("the sparse map has more than {} regions", limits.max_sparse_regions));
      }
      count_ = number;
    }
  }
  return count_ && numbers.size() == *count_ * 2;
}

}  // namespace imgslim
