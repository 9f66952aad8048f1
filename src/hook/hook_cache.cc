// SPDX-License-Identifier: Apache-2.0
#include "src/hook/hook_cache.h"

#include <fmt/format.h>
#include <sys/stat.h>

#include <filesystem>
#include <fstream>
#include <iterator>

#include "layers/digest.h"
#include "layers/error.h"
#include "src/command.h"

namespace imgslim {
namespace {

// In front of a verdict; another meaning of the lines takes another number.
constexpr std::string_view kFormat = "imgslim hook verdict 1\n";
constexpr std::uintmax_t kMaxFile = std::uintmax_t{4} << 20;

}  // namespace

std::string identity_of_file(const std::string& path) {
  struct stat status {};
  if (stat(path.c_str(), &status) != 0) return "absent";
  return fmt::format("{} {} {} {}.{:09} {}.{:09}", status.st_dev, status.st_ino, status.st_size,
                     status.st_mtim.tv_sec, status.st_mtim.tv_nsec, status.st_ctim.tv_sec,
                     status.st_ctim.tv_nsec);
}

std::optional<std::string> identity_of(const ImageName& name, const ImageSource& source,
                                       const ImageSet& set) {
  std::string identity = source.root().digest.text() + "\n";
  if (name.location == "-") return std::nullopt;
  if (name.transport == Transport::kOciArchive || name.transport == Transport::kDockerArchive)
    return identity + identity_of_file(name.location) + "\n";
  if (name.transport == Transport::kDockerDaemon) return std::nullopt;
  if (name.transport != Transport::kOci) return identity;
  for (const SourceImage& image : set.images) {
    for (const LayerDescriptor& layer : image.manifest.layers) {
      std::string digest = layer.descriptor.digest.text();
      digest[digest.find(':')] = '/';
      identity += digest + " " + identity_of_file(name.location + "/blobs/" + digest) + "\n";
    }
  }
  return identity;
}

HookCache::HookCache(const std::string& about, std::string key)
    : file_(spool_directory() + "/hook/" + digest_of(about).text().substr(7)), key_(std::move(key)) {}

std::optional<std::vector<std::string>> HookCache::find() const {
  std::error_code error;
  if (std::filesystem::file_size(file_, error) > kMaxFile || error) return std::nullopt;
  std::ifstream in(file_, std::ios::binary);
  const std::string text(std::istreambuf_iterator<char>(in), {});
  const std::string head = std::string(kFormat) + digest_of(key_).text() + "\n";
  if (!text.starts_with(head) || !text.ends_with("end\n")) return std::nullopt;
  std::vector<std::string> lines;
  for (std::size_t at = head.size(); at + 4 < text.size();) {
    const std::size_t end = text.find('\n', at);
    lines.push_back(text.substr(at, end - at));
    at = end + 1;
  }
  return lines;
}

// A cache that cannot be written is none: the verdict stands all the same.
void HookCache::store(const std::vector<std::string>& lines) const {
  std::string text = std::string(kFormat) + digest_of(key_).text() + "\n";
  for (const std::string& line : lines)
    text += line + "\n";
  text += "end\n";
  std::error_code error;
  std::filesystem::create_directories(std::filesystem::path(file_).parent_path(), error);
  try {
    write_file(file_, text);
  } catch (const Error&) {
  }
}

}  // namespace imgslim
