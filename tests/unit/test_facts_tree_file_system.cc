// SPDX-License-Identifier: Apache-2.0
#include <doctest/doctest.h>

#include <thread>

#include "src/facts/tree_file_system.h"
#include "tests/support/tar_builder.h"

namespace imgslim {
namespace {

using testing::TarBuilder;

TEST_CASE("tree file system: status, links, lists and contents") {
  TarBuilder builder;
  builder.dir("usr/bin").file("usr/bin/a", "#!/bin/sh\nmore than eight").symlink("bin", "usr/bin");
  builder.hard_link("usr/bin/b", "usr/bin/a").fifo("pipe");
  const std::string bytes = builder.closed();
  Tree tree;
  tree.apply(testing::index_tar(bytes));
  int reads = 0;
  const TreeFileSystem files(tree, [&](EntryRef ref, std::uint64_t length) {
    ++reads;
    const Entry& entry = tree.entry(ref);
    return bytes.substr(entry.data_offset, std::min(length, entry.stored_size));
  });

  CHECK(files.status("/")->kind == FileKind::kDirectory);
  CHECK(files.status("/usr")->kind == FileKind::kDirectory);
  CHECK(files.status("/usr/bin/a")->kind == FileKind::kRegular);
  CHECK(files.status("/usr/bin/a")->size == 25);
  CHECK(files.status("/usr/bin/a")->mode == 0644);
  CHECK(files.status("/usr/bin/a")->inode == files.status("/usr/bin/b")->inode);
  CHECK(files.status("/usr/bin/b")->kind == FileKind::kRegular);
  CHECK(files.status("/bin")->kind == FileKind::kSymlink);
  CHECK(files.status("/pipe")->kind == FileKind::kOther);
  CHECK_FALSE(files.status("/bin/a"));  // no link is followed
  CHECK_FALSE(files.status("/none"));
  CHECK(files.read_link("/bin") == "usr/bin");
  CHECK_FALSE(files.read_link("/usr"));
  CHECK(files.list("/") == std::vector<std::string>{"bin", "pipe", "usr"});
  CHECK(files.list("/usr/bin/a").empty());
  CHECK(resolve_path(files, "/bin/b") == "/usr/bin/b");

  CHECK(files.head("/usr/bin/b") == "#!/bin/s");
  CHECK(reads == 0);
  const auto content = files.read("/usr/bin/a", 100);
  REQUIRE(content);
  CHECK(content->bytes() == "#!/bin/sh\nmore than eight");
  CHECK(files.read("/usr/bin/b", 100) == content);  // one file, shared while it is held
  CHECK(reads == 1);
  CHECK(files.read("/usr/bin/a", 24) == nullptr);
  CHECK(files.read("/usr", 100) == nullptr);
}

}  // namespace
}  // namespace imgslim
