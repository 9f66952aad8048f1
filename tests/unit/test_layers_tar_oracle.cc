// SPDX-License-Identifier: Apache-2.0
// libarchive as a second opinion on tar: what it and GNU tar write in each of their formats reads here as it
// reads there, and so does what TarWriter writes.
#include <archive.h>
#include <archive_entry.h>
#include <doctest/doctest.h>
#include <fmt/format.h>

#include <array>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "layers/tar_header.h"
#include "tests/support/tar_builder.h"

using namespace imgslim;
using namespace imgslim::testing;

namespace {

std::string without_slash(std::string path) {
  while (path.size() > 1 && path.back() == '/')
    path.pop_back();
  if (path.substr(0, 2) == "./") path.erase(0, 2);
  return path == "." ? "" : path;
}

// One line for each entry, as libarchive reads it.
std::vector<std::string> read_by_libarchive(const std::string& bytes) {
  const std::unique_ptr<archive, int (*)(archive*)> in(archive_read_new(), archive_read_free);
  archive_read_support_format_tar(in.get());
  REQUIRE(archive_read_open_memory(in.get(), bytes.data(), bytes.size()) == ARCHIVE_OK);
  std::vector<std::string> out;
  archive_entry* entry = nullptr;
  int status = ARCHIVE_OK;
  while ((status = archive_read_next_header(in.get(), &entry)) == ARCHIVE_OK) {
    const char* link = archive_entry_hardlink(entry);
    const bool hard = link != nullptr;
    if (!hard) link = archive_entry_symlink(entry);
    const unsigned type = hard ? 0 : archive_entry_filetype(entry);
    std::uint64_t crc = 0;
    std::uint64_t size = 0;
    if (type == AE_IFREG) {
      const void* data = nullptr;
      std::size_t length = 0;
      std::int64_t offset = 0;
      while (archive_read_data_block(in.get(), &data, &length, &offset) == ARCHIVE_OK) {
        crc = crc64_of_zeros(crc, static_cast<std::uint64_t>(offset) - size);
        crc = crc64_of(crc, {static_cast<const char*>(data), length});
        size = static_cast<std::uint64_t>(offset) + length;
      }
      const auto total = static_cast<std::uint64_t>(archive_entry_size(entry));
      crc = crc64_of_zeros(crc, total - size);
      size = total;
    }
    std::map<std::string, std::string> xattrs;
    archive_entry_xattr_reset(entry);
    const char* name = nullptr;
    const void* value = nullptr;
    std::size_t length = 0;
    while (archive_entry_xattr_next(entry, &name, &value, &length) == ARCHIVE_OK) {
      xattrs[name] = {static_cast<const char*>(value), length};
    }
    std::string line = fmt::format(
        "{} {:o} {:o} {}:{} {}.{} size {} crc {:x} {}", without_slash(archive_entry_pathname(entry)), type,
        hard ? 0 : archive_entry_perm(entry), archive_entry_uid(entry), archive_entry_gid(entry),
        archive_entry_mtime(entry), archive_entry_mtime_nsec(entry), size, crc, link != nullptr ? link : "");
    if (type == AE_IFCHR || type == AE_IFBLK) {
      line += fmt::format(" {},{}", archive_entry_rdevmajor(entry), archive_entry_rdevminor(entry));
    }
    for (const auto& [key, text] : xattrs)
      line += " " + key + "=" + text;
    out.push_back(line);
  }
  CHECK_MESSAGE(status == ARCHIVE_EOF, archive_error_string(in.get()));
  return out;
}

// The same lines of a table.
std::vector<std::string> read_here(const LayerTable& table) {
  std::vector<std::string> out;
  for (const Entry& entry : table.entries) {
    unsigned type = 0;
    switch (entry.type) {
      case EntryType::kDirectory:
        type = AE_IFDIR;
        break;
      case EntryType::kSymlink:
        type = AE_IFLNK;
        break;
      case EntryType::kCharacterDevice:
        type = AE_IFCHR;
        break;
      case EntryType::kBlockDevice:
        type = AE_IFBLK;
        break;
      case EntryType::kFifo:
        type = AE_IFIFO;
        break;
      case EntryType::kHardLink:
        break;
      default:
        type = AE_IFREG;
    }
    std::string line = fmt::format("{} {:o} {:o} {}:{} {}.{} size {} crc {:x} {}", entry.path, type,
                                   entry.type == EntryType::kHardLink ? 0 : entry.mode, entry.uid, entry.gid,
                                   entry.mtime, entry.mtime_nanoseconds, entry.size, entry.crc, entry.link);
    if (type == AE_IFCHR || type == AE_IFBLK) {
      line += fmt::format(" {},{}", entry.device_major, entry.device_minor);
    }
    for (const auto& [key, text] : table.xattr_sets[entry.xattrs])
      line += " " + key + "=" + text;
    out.push_back(line);
  }
  return out;
}

std::string long_path(std::size_t size) {
  std::string path = "long";
  while (path.size() < size)
    path += "/component-" + std::to_string(path.size());
  return path;
}

// An archive with all that a format can hold.
std::string written_by_libarchive(const char* format, bool pax) {
  std::string bytes(1 << 20, '\0');
  std::size_t used = 0;
  const std::unique_ptr<archive, int (*)(archive*)> out(archive_write_new(), archive_write_free);
  REQUIRE(archive_write_set_format_by_name(out.get(), format) == ARCHIVE_OK);
  archive_write_set_bytes_per_block(out.get(), 512);
  REQUIRE(archive_write_open_memory(out.get(), bytes.data(), bytes.size(), &used) == ARCHIVE_OK);
  const auto add = [&](const std::string& path, unsigned type, const std::string& content,
                       const std::string& link, auto more) {
    const std::unique_ptr<archive_entry, void (*)(archive_entry*)> entry(archive_entry_new(),
                                                                         archive_entry_free);
    archive_entry_set_pathname(entry.get(), path.c_str());
    archive_entry_set_filetype(entry.get(), type == 0 ? AE_IFREG : type);
    archive_entry_set_perm(entry.get(), 04755);
    archive_entry_set_uid(entry.get(), 1000);
    archive_entry_set_gid(entry.get(), 100);
    archive_entry_set_mtime(entry.get(), 1600000000, 0);
    archive_entry_set_size(entry.get(), static_cast<std::int64_t>(content.size()));
    if (type == 0) archive_entry_set_hardlink(entry.get(), link.c_str());
    if (type == AE_IFLNK) archive_entry_set_symlink(entry.get(), link.c_str());
    more(entry.get());
    REQUIRE(archive_write_header(out.get(), entry.get()) == ARCHIVE_OK);
    if (!content.empty()) archive_write_data(out.get(), content.data(), content.size());
  };
  const auto nothing = [](archive_entry*) {};
  add("d", AE_IFDIR, "", "", nothing);
  add("d/file", AE_IFREG, std::string(1000, 'x') + "end", "", nothing);
  add("d/empty", AE_IFREG, "", "", nothing);
  add("d/hard", 0, "", "d/file", nothing);
  add("d/soft", AE_IFLNK, "", "../else", nothing);
  add("d/fifo", AE_IFIFO, "", "", nothing);
  add("d/null", AE_IFCHR, "", "", [](archive_entry* entry) {
    archive_entry_set_rdevmajor(entry, 1), archive_entry_set_rdevminor(entry, 3);
  });
  add("d/disk", AE_IFBLK, "", "", [](archive_entry* entry) {
    archive_entry_set_rdevmajor(entry, 8), archive_entry_set_rdevminor(entry, 17);
  });
  add(long_path(140), AE_IFREG, "1", "", nothing);
  if (std::string(format) != "ustar") {
    add(long_path(600), AE_IFREG, "2", "", nothing);
    add("far", AE_IFLNK, "", long_path(300), nothing);
    add("big-ids", AE_IFREG, "3", "", [](archive_entry* entry) {
      archive_entry_set_uid(entry, 3000000), archive_entry_set_gid(entry, 4294967294);
    });
  }
  if (pax) {
    add("time", AE_IFREG, "4", "",
        [](archive_entry* entry) { archive_entry_set_mtime(entry, 1234567890, 123456789); });
    add("before", AE_IFREG, "4", "", [](archive_entry* entry) { archive_entry_set_mtime(entry, -5, 0); });
    add("xattrs", AE_IFREG, "5", "", [](archive_entry* entry) {
      archive_entry_xattr_add_entry(entry, "security.capability", "\1\0\0\2\0\4\0\0", 8);
      archive_entry_xattr_add_entry(entry, "user.text", "value", 5);
    });
    std::string holes(100000, '\0');
    holes.replace(40000, 4, "data");
    holes.replace(99990, 4, "tail");
    add("sparse", AE_IFREG, holes, "", [](archive_entry* entry) {
      archive_entry_sparse_add_entry(entry, 40000, 4096);
      archive_entry_sparse_add_entry(entry, 99990, 10);
    });
  }
  REQUIRE(archive_write_close(out.get()) == ARCHIVE_OK);
  bytes.resize(used);
  return bytes;
}

// Keeps the content of every file.
class Contents : public EntryObserver {
 public:
  explicit Contents(std::vector<std::string>* out) : out_(out) {}
  std::string_view kind() const override { return "content"; }
  bool wants(const Entry&) override { return out_->emplace_back(), true; }
  void data(std::span<const std::byte> bytes) override { out_->back() += as_text(bytes); }
  std::optional<std::string> end(const Entry&) override { return std::nullopt; }

 private:
  std::vector<std::string>* out_;
};

std::string written_here(const std::string& bytes) {
  std::vector<std::string> contents;
  Observers observers;
  observers.push_back(std::make_unique<Contents>(&contents));
  const LayerTablePtr table = index_tar(bytes, 0, std::move(observers));
  std::string out;
  const auto sink = sink_to([&](std::span<const std::byte> part) { out += as_text(part); });
  TarWriter writer(*sink);
  std::size_t file = 0;
  for (const Entry& entry : table->entries) {
    const std::size_t before = out.size();
    writer.header(entry, *table);
    if (entry.type == EntryType::kRegular) writer.content(as_bytes(contents.at(file++)));
    CHECK(out.size() - before == TarWriter::bytes_of(entry, *table));
  }
  writer.finish();
  return out;
}

// All that has to hold of an archive from elsewhere.
void check_archive(const std::string& bytes, bool compare_links = true) {
  const LayerTablePtr table = index_tar(bytes);
  const std::vector<std::string> here = read_here(*table);
  CHECK(table->entries.size() > 5);
  if (compare_links) CHECK(here == read_by_libarchive(bytes));
  CHECK(read_here(*index_tar(bytes, 1)) == here);
  CHECK(read_here(*index_tar(bytes, 777)) == here);
  const std::string canonical = written_here(bytes);
  CHECK(read_here(*index_tar(canonical)) == here);
  CHECK(read_by_libarchive(canonical) == here);
  CHECK(written_here(canonical) == canonical);
}

std::string output_of(const std::string& command) {
  const std::unique_ptr<FILE, int (*)(FILE*)> pipe(popen(command.c_str(), "r"), pclose);
  REQUIRE(pipe != nullptr);
  std::string out;
  std::array<char, 65536> piece;
  while (const std::size_t count = std::fread(piece.data(), 1, piece.size(), pipe.get())) {
    out.append(piece.data(), count);
  }
  return out;
}

}  // namespace

TEST_CASE("tar oracle: what libarchive writes reads as it reads there") {
  for (const char* format : {"ustar", "pax", "gnutar"}) {
    CAPTURE(format);
    check_archive(written_by_libarchive(format, std::string(format) == "pax"));
  }
}

TEST_CASE("tar oracle: what GNU tar writes reads as libarchive reads it") {
  namespace fs = std::filesystem;
  std::string pattern = (fs::temp_directory_path() / "imgslim-tar-XXXXXX").string();
  REQUIRE(mkdtemp(pattern.data()) != nullptr);
  const fs::path root(pattern);
  fs::create_directories(root / "d/sub");
  std::ofstream(root / "d/file") << "content";
  fs::create_hard_link(root / "d/file", root / "d/hard");
  fs::create_symlink("../x", root / "d/soft");
  std::ofstream(root / "d/empty");
  std::ofstream(root / "d" / std::string(120, 'n')) << "long name";
  {
    std::ofstream holes(root / "d/sparse", std::ios::binary);
    for (int i = 0; i < 30; ++i) {
      holes.seekp(i * 1000000);
      holes << "data";
    }
  }
  fs::resize_file(root / "d/sparse", 40000000);
  for (const char* options :
       {"--format=v7 --exclude='nnn*'", "--format=ustar --exclude='nnn*'", "--format=oldgnu", "--format=gnu",
        "--format=posix", "--format=gnu --sparse", "--format=oldgnu --sparse", "--format=posix --sparse",
        "--format=posix --sparse --sparse-version=0.0", "--format=posix --sparse --sparse-version=0.1"}) {
    CAPTURE(options);
    const std::string bytes = output_of(fmt::format("tar -C {} -cf - --sort=name {} d", pattern, options));
    // The whole of the sparse file would be written 40 MB at a time: once is enough.
    const LayerTablePtr table = index_tar(bytes);
    CHECK(table->warnings.empty());
    CHECK(table->entries.size() >= 7);
    CHECK(read_here(*table) == read_by_libarchive(bytes));
    CHECK(read_here(*index_tar(bytes, 511)) == read_here(*table));
    const bool sparse = std::string(options).find("--sparse") != std::string::npos;
    const bool stored_sparse =
        std::any_of(table->entries.begin(), table->entries.end(), [](const Entry& entry) {
          return entry.sparse != 0 && entry.size == 40000000 && entry.stored_size < 1000000;
        });
    CHECK(stored_sparse == sparse);
  }
  fs::remove_all(root);
}

TEST_CASE("tar: the canonical encoding is what it says") {
  TarAttributes attributes;
  attributes.pax = {{"SCHILY.xattr.user.b", "2"},
                    {"SCHILY.xattr.user.a", std::string("\0\n=", 3)},
                    {"mtime", "-1.5"},
                    {"atime", "3"},
                    {"uname", "root"},
                    {"uid", "4294967294"}};
  const std::string bytes =
      TarBuilder().dir("./d//").file("d/f", "abc", attributes).whiteout("d/gone").opaque("e").closed();
  const std::string canonical = written_here(bytes);
  CHECK(canonical.substr(0, 100).c_str() == std::string("d/"));
  std::string records;
  for (const auto& [key, value] : PaxRecords{{"SCHILY.xattr.user.a", std::string("\0\n=", 3)},
                                             {"SCHILY.xattr.user.b", "2"},
                                             {"mtime", "-1.5"},
                                             {"uid", "4294967294"}}) {
    records += pax_record(key, value);
  }
  CHECK(canonical.substr(1024, records.size()) == records);
  CHECK(canonical[1024 + records.size()] == '\0');
  CHECK(canonical.find("d/.wh.gone") != std::string::npos);
  CHECK(canonical.find("e/.wh..wh..opq") != std::string::npos);
  CHECK(canonical.size() == 512 * (1 + 4 + 1 + 1) + 1024);
}

TEST_CASE("tar: the writer refuses content that is not as long as the entry says") {
  const LayerTablePtr table = index_tar(TarBuilder().file("a", "abc").closed());
  const auto sink = sink_to([](std::span<const std::byte>) {});
  TarWriter writer(*sink);
  writer.header(table->entries[0], *table);
  CHECK_THROWS_AS(writer.header(table->entries[0], *table), std::logic_error);
  CHECK_THROWS_AS(writer.finish(), std::logic_error);
  CHECK_THROWS_AS(writer.content(as_bytes("abcd")), std::logic_error);
  writer.content(as_bytes("abc"));
  writer.finish();
}

TEST_CASE("tar: old encodings are read") {
  RawHeader v7;
  v7.magic = "";
  v7.type = '\0';
  v7.name = "dir/";
  RawHeader contiguous;
  contiguous.type = '7';
  contiguous.name = "dir/c";
  contiguous.size = "00000000003";
  RawHeader link;
  link.type = '1';
  link.name = "dir/h";
  link.link = "dir/c";
  link.size = "00000000003";
  RawHeader prefixed;
  prefixed.prefix = "a/b";
  prefixed.name = "c";
  const std::string bytes = TarBuilder()
                                .raw(v7)
                                .raw(contiguous)
                                .bytes(tar_padded("abc"))
                                .raw(link)
                                .raw(prefixed)
                                .raw(link)
                                .bytes(tar_padded("abc"))
                                .raw(prefixed)
                                .extended('L', std::string(150, 'l') + '\0')
                                .extended('K', std::string(160, 'k') + '\0')
                                .symlink("short", "short")
                                .closed();
  for (const std::size_t piece : {0, 1, 513}) {
    const LayerTablePtr table = index_tar(bytes, piece);
    REQUIRE(table->entries.size() == 7);
    CHECK(table->entries[0].type == EntryType::kDirectory);
    CHECK(table->entries[1].type == EntryType::kRegular);
    CHECK(table->entries[1].size == 3);
    CHECK(table->entries[2].tar_bytes == 512);  // a size, but no body
    CHECK(table->entries[3].path == "a/b/c");
    CHECK(table->entries[4].tar_bytes == 1024);  // a body
    CHECK(table->entries[5].path == "a/b/c");
    CHECK(table->entries[6].path == std::string(150, 'l'));
    CHECK(table->entries[6].link == std::string(160, 'k'));
    CHECK(table->warnings ==
          std::vector<std::string>{"entry dir/h at offset 2560: the content of a hard link is ignored"});
  }
}

TEST_CASE("tar row: attributes are kept byte for byte") {
  TarAttributes attributes;
  attributes.mode = 07777;
  attributes.uid = 3000000;
  attributes.gid = 4294967294;
  attributes.pax = {{"SCHILY.xattr.security.capability", std::string("\1\0\0\2\0\4\0\0", 8)},
                    {"SCHILY.xattr.trusted.overlay.opaque", "y"},
                    {"SCHILY.xattr.user.empty", ""}};
  const LayerTablePtr table =
      index_tar(TarBuilder().file("\xff\xfe", "", attributes).symlink("s", "x", attributes).closed());
  const Entry& entry = table->entries[0];
  CHECK(entry.path == "\xff\xfe");
  CHECK(entry.mode == 07777);
  CHECK(entry.uid == 3000000);
  CHECK(entry.gid == 4294967294);
  CHECK(table->xattr_sets[entry.xattrs] == Xattrs{{"security.capability", std::string("\1\0\0\2\0\4\0\0", 8)},
                                                  {"trusted.overlay.opaque", "y"},
                                                  {"user.empty", ""}});
  CHECK(table->entries[1].xattrs == entry.xattrs);
  CHECK(table->warnings.empty());
}

TEST_CASE("tar row: records of libarchive's own and the id that means unchanged are warned of") {
  TarAttributes attributes;
  attributes.uid = 4294967295;
  attributes.pax = {{"LIBARCHIVE.xattr.user.a", "dGV4dA"}};
  const LayerTablePtr table = index_tar(TarBuilder().file("a", "", attributes).closed());
  CHECK(table->xattr_sets[table->entries[0].xattrs].empty());
  REQUIRE(table->warnings.size() == 2);
  CHECK(table->warnings[0].find("LIBARCHIVE.xattr.user.a is ignored") != std::string::npos);
  CHECK(table->warnings[1].find("4294967295") != std::string::npos);
}

TEST_CASE("tar row: times keep fraction, sign and size") {
  const auto time_of = [](const PaxRecords& pax, std::int64_t field = 0) {
    TarAttributes attributes;
    attributes.pax = pax;
    attributes.mtime = field;
    const LayerTablePtr table = index_tar(TarBuilder().file("a", "", attributes).closed());
    return TarTime{table->entries[0].mtime, table->entries[0].mtime_nanoseconds};
  };
  CHECK(time_of({{"mtime", "1.25"}}) == TarTime{1, 250000000});
  CHECK(time_of({{"mtime", "-1.25"}}) == TarTime{-2, 750000000});
  CHECK(time_of({{"mtime", "1099511627776"}}) == TarTime{1099511627776, 0});
  CHECK(time_of({}, -7) == TarTime{-7, 0});
}
