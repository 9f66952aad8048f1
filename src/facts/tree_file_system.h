// SPDX-License-Identifier: Apache-2.0
// The merged tree of an image as a FileSystem.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "layers/tree.h"
#include "src/facts/file_facts.h"
#include "src/facts/file_system.h"

namespace imgslim {

// The first `length` bytes of a regular file's content (all of it if it is shorter), sparse files expanded.
// Called from any thread.
using ContentReader = std::function<std::string(EntryRef entry, std::uint64_t length)>;

// Thread safe. Contents are read on demand and shared while someone holds them, not kept.
class TreeFileSystem : public FileSystem {
 public:
  // `tree` must outlive it and not change, and so must `facts` if there are some.
  TreeFileSystem(const Tree& tree, ContentReader reader, const FileFacts* facts = nullptr);
  ~TreeFileSystem() override;

  std::optional<FileStatus> status(std::string_view path) const override;
  std::optional<std::string> read_link(std::string_view path) const override;
  std::vector<std::string> list(std::string_view path) const override;
  std::shared_ptr<const FileBytes> read(std::string_view path, std::uint64_t limit) const override;

  std::string head(std::string_view path) const override;
  std::optional<std::string> recall(std::string_view path, std::string_view fact) const override;
  void remember(std::string_view path, std::string_view fact, std::string_view data) const override;

  const Tree& tree() const { return tree_; }
  // The node of an absolute path, no link followed; kNone if there is none.
  NodeId node(std::string_view path) const;

 private:
  const Tree& tree_;
  EntryRef file(std::string_view path) const;
  ContentReader reader_;
  const FileFacts* facts_;
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace imgslim
