// SPDX-License-Identifier: Apache-2.0
// Files as dynamic loaders see them, each read and parsed once however many programs are searched.
#pragma once

#include <bit>
#include <cstdint>
#include <future>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>

#include "src/facts/elf.h"
#include "src/facts/file_system.h"
#include "src/facts/ld_cache.h"
#include "src/facts/loader.h"

namespace imgslim {

// What a loader that opens a file makes of it.
enum class ObjectVerdict {
  kLoadable,
  kOtherKind,  // another class or machine: as if it were not there
  kFatal,      // ends the load, and before main the process
};

struct ObjectFile {
  std::string path;         // resolved
  std::uint64_t inode = 0;  // as FileStatus
  bool is_setuid = false;
  std::optional<ElfFacts> facts;  // nothing if it is no ELF file
  std::string wrong;              // the loader's complaint that holds for any program; empty: none

  // How glibc takes this file into a process of `program`; `why` gets its complaint if it is fatal.
  ObjectVerdict verdict(const ElfFacts& program, std::string* why = nullptr) const;
};

// Thread safe; `files` must outlive it. Contents are dropped once parsed.
class ObjectCache {
 public:
  explicit ObjectCache(const FileSystem& files) : files_(files) {}
  ObjectCache(const ObjectCache&) = delete;
  ObjectCache& operator=(const ObjectCache&) = delete;

  const FileSystem& files() const { return files_; }
  // The file at a resolved path; nullptr if there is none (a directory is a file no loader can read).
  std::shared_ptr<const ObjectFile> object(const std::string& resolved);
  // The same, for who looks at many once: it is not kept.
  std::shared_ptr<const ObjectFile> read_object(const std::string& resolved) const;
  // Loader facts of the file at a resolved path, nullptr if it is no ELF file.
  std::shared_ptr<const LoaderFacts> loader(const std::string& resolved);
  // The cache file at a path of the image, nullptr if the loader finds none that it can use.
  std::shared_ptr<const LdCache> ld_cache(const std::string& path, std::endian order);

 private:
  template <class Value>
  using Table = std::map<std::string, std::shared_future<std::shared_ptr<const Value>>>;
  // The value of a key; the first to ask makes it, others that ask meanwhile wait.
  template <class Value, class Make>
  std::shared_ptr<const Value> once(Table<Value>& table, const std::string& key, Make&& make);

  const FileSystem& files_;
  std::mutex mutex_;
  Table<ObjectFile> objects_;
  Table<LoaderFacts> loaders_;
  Table<LdCache> caches_;
};

}  // namespace imgslim
