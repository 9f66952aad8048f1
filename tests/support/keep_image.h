// SPDX-License-Identifier: Apache-2.0
// An image of one layer for tests of the keep rule: files, who owns them, a config.
#pragma once

#include <map>
#include <memory>
#include <string>
#include <vector>

#include "src/decisions/keep.h"
#include "tests/support/elf_builder.h"
#include "tests/support/tar_builder.h"

namespace imgslim::testing {

class KeepImage {
 public:
  ImageConfig config;
  std::vector<Glob> keep;
  std::vector<Glob> drop;
  std::vector<std::string> keep_packages;
  unsigned threads = 1;

  // A file of the image's own.
  KeepImage& file(const std::string& path, const std::string& content, std::uint64_t mode = 0644) {
    files_[path] = {content, mode};
    return *this;
  }
  KeepImage& link(const std::string& path, const std::string& target) {
    links_[path] = target;
    return *this;
  }
  KeepImage& folder(const std::string& path, std::uint64_t mode = 0755, std::uint64_t uid = 0) {
    folders_[path] = {mode, uid};
    return *this;
  }
  // The same, listed by a package of the distribution.
  KeepImage& owned(const std::string& package, const std::string& path, const std::string& content,
                   std::uint64_t mode = 0644) {
    lists_[package] += "/" + path + "\n";
    return file(path, content, mode);
  }
  KeepImage& owned_link(const std::string& package, const std::string& path, const std::string& target) {
    lists_[package] += "/" + path + "\n";
    return link(path, target);
  }
  // A line of a package's file list alone.
  KeepImage& listed(const std::string& package, const std::string& path) {
    lists_[package] += "/" + path + "\n";
    return *this;
  }
  // A program that the image starts.
  KeepImage& program(const ElfDescription& elf, const std::string& path = "app") {
    config.entrypoint = {"/" + path};
    return file(path, build_elf(elf), 0755);
  }

  KeepResult find() {
    TarBuilder tar;
    std::string status;
    for (const auto& [package, list] : lists_) {
      status += "Package: " + package + "\nStatus: install ok installed\nMaintainer: A <a@debian.org>\n" +
                "Architecture: amd64\nVersion: 1\n\n";
      tar.file("var/lib/dpkg/info/" + package + ".list", list);
    }
    if (!status.empty()) tar.file("var/lib/dpkg/status", status);
    for (const auto& [path, item] : folders_) {
      TarAttributes attributes;
      attributes.mode = item.first;
      attributes.uid = item.second;
      tar.dir(path, attributes);
    }
    for (const auto& [path, item] : files_) {
      TarAttributes attributes;
      attributes.mode = item.second;
      tar.file(path, item.first, attributes);
    }
    for (const auto& [path, target] : links_)
      tar.symlink(path, target);
    bytes_ = tar.closed();
    tree = std::make_unique<Tree>();
    tree->apply(index_tar(bytes_));
    content_ = [this](EntryRef ref, std::uint64_t length) {
      const Entry& entry = tree->entry(ref);
      return bytes_.substr(entry.data_offset, std::min(length, entry.stored_size));
    };
    files = std::make_unique<TreeFileSystem>(*tree, content_);
    packages = PackageDatabase::read(*files);
    const Roots roots = find_roots(*files, config);
    leftovers = find_leftovers({*tree, *files, content_, packages, roots, config}, Form::kDistroless);
    result = find_kept(input());
    return result;
  }
  KeepInput input() const {
    return {*files, packages, config, commands_, leftovers, keep, drop, keep_packages, threads};
  }

  // Of the last find(): the rule by which a path is kept, "" if it goes.
  std::string rule(const std::string& path) const {
    const NodeId node = tree->lookup(path);
    const auto kept = result.kept.find(node);
    return kept == result.kept.end() ? "" : std::string(kept->second.rule);
  }

  std::unique_ptr<Tree> tree;
  std::unique_ptr<TreeFileSystem> files;
  PackageDatabase packages;
  Leftovers leftovers;
  KeepResult result;

 private:
  std::map<std::string, std::pair<std::string, std::uint64_t>> files_;
  std::map<std::string, std::string> links_;
  std::map<std::string, std::pair<std::uint64_t, std::uint64_t>> folders_;
  std::map<std::string, std::string> lists_;  // by package
  std::vector<Command> commands_;
  std::string bytes_;
  ContentReader content_;
};

// A program or library that needs others.
inline ElfDescription needing(const std::vector<std::string>& libraries, const std::string& soname = "") {
  ElfDescription elf;
  elf.needed = libraries;
  if (soname.empty()) {
    elf.interpreter = "/lib64/ld-linux-x86-64.so.2";
  } else {
    elf.soname = soname;
  }
  return elf;
}

}  // namespace imgslim::testing
