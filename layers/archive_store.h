// SPDX-License-Identifier: Apache-2.0
// Images in one file: oci-archive (a layout in a tar) and docker-archive (what docker save writes).
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <string>

#include "layers/image_store.h"
#include "layers/oci_layout.h"

namespace imgslim {

// The members of an uncompressed outer archive and where they lie in it. Only headers are read.
class ArchiveMembers {
 public:
  // Throws Error{kBadImage}: no tar, truncated, names that climb out, too many members.
  ArchiveMembers(BlobPtr archive, std::string name);

  // Whether there is a member of that name, of any kind.
  bool has(const std::string& path) const { return members_.count(path) != 0; }
  // The content of a regular member; nothing if there is no such member. A hard link is its target; a
  // symbolic link is followed once with `follow`, and refused without. Throws Error{kBadImage}.
  BlobPtr open(const std::string& path, bool follow) const;
  // Where the content of such a member begins, to tell whether two names are one content.
  std::uint64_t offset_of(const std::string& path) const;
  const std::string& name() const { return name_; }

 private:
  enum class Kind { kFile, kHardLink, kSymlink, kOther };
  struct Member {
    Kind kind = Kind::kOther;
    std::uint64_t offset = 0;
    std::uint64_t size = 0;
    std::string target;  // of links, from the root of the archive
    bool repeated = false;
  };
  const Member* find(const std::string& path, bool follow) const;
  void add(const std::string& path, Member member);

  BlobPtr archive_;
  std::string name_;
  std::map<std::string, Member> members_;
};

// `text` from `directory` without "." and "..", both from the archive's root. Nothing if it climbs out.
std::optional<std::string> archive_path(const std::string& directory, const std::string& text);

// Opens a file, or stdin for "-", as an uncompressed archive: what cannot be read at offsets is copied to
// an unlinked file in `spool_directory` first.
BlobPtr open_archive_bytes(const std::string& location, const std::string& spool_directory);

// "REPO:TAG" with Docker Hub's short names written out, for comparing the names in a docker-archive.
std::string full_docker_name(const std::string& name);

std::unique_ptr<ImageSource> make_docker_archive_source(std::string name,
                                                        std::shared_ptr<const ArchiveMembers> members,
                                                        const std::string& reference);
std::unique_ptr<ImageSource> open_archive_source(const ImageName& name, const std::string& spool_directory);
std::unique_ptr<ImageDestination> open_archive_destination(const ImageName& name,
                                                           const DestinationNeeds& needs);

}  // namespace imgslim
