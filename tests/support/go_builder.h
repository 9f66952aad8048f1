// SPDX-License-Identifier: Apache-2.0
// Makes files that look like Go programs to a reader: function table, module data, init tasks, build info and
// embedded files, around functions without a meaning.
#pragma once

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "tests/support/elf_builder.h"

namespace imgslim::testing {

struct GoDescription {
  struct Function {
    std::string name;
    std::uint32_t size = 16;
  };
  struct Task {
    std::vector<std::size_t> functions;  // indexes
    std::vector<std::size_t> waits_for;  // tasks, for the graph of 1.13 to 1.20
  };
  struct File {
    std::string name;
    std::string content;
    std::string hash = std::string(16, '\0');
  };

  std::uint32_t magic = 0xfffffff1;  // 0xfffffffa: 1.16, 0xfffffff0: 1.18, 0xfffffff1: 1.20
  bool position_independent = false;
  bool with_text_start = true;  // Go 1.26 writes 0
  bool with_module_data = true;
  bool with_build_info = true;
  bool inline_build_info = true;  // as since 1.18
  std::string version = "go1.22.5";
  std::string module_text = "path\texample.org/a\n";
  std::vector<Function> functions;
  std::vector<Task> tasks;        // in the order of the list, or of the graph with the root last
  std::size_t runtime_tasks = 0;  // the first ones are the runtime's list too
  bool init_graph = false;        // as before 1.21
  std::vector<File> files;
  ElfDescription elf;  // what else is in the file
};

class GoBuilder {
 public:
  explicit GoBuilder(const GoDescription& description)
      : d_(description),
        elf_(d_.elf),
        base_(d_.position_independent ? 0 : kElfBase),
        table_(true, std::endian::little),
        data_(true, std::endian::little) {}

  std::string build() {
    elf_.type = d_.position_independent ? ET_DYN : ET_EXEC;
    for (const auto& function : d_.functions)
      code_size_ += function.size;
    if (elf_.code.size() < code_size_) elf_.code.resize(code_size_, '\x90');
    put_strings();
    put_build_info();
    put_table();
    if (d_.with_module_data) put_module_data();
    put_files();
    // In a position independent program the table is writable until it is relocated.
    data_.pad(32);
    elf_.data = data_.bytes;
    elf_.read_only = table_.bytes;
    return build_elf(elf_);
  }

 private:
  static constexpr std::uint64_t kPointer = 8;
  std::uint64_t table_address(std::uint64_t offset) const { return base_ + kElfReadOnly + offset; }
  std::uint64_t data_address(std::uint64_t offset) const { return base_ + kElfData + offset; }
  std::uint64_t text() const { return base_ + kElfCode; }

  // A pointer, through a relocation where the program can be anywhere.
  void pointer(ElfWriter& out, std::uint64_t slot, std::uint64_t value) {
    if (d_.position_independent) {
      const bool arm = elf_.machine == EM_AARCH64;
      elf_.relocations.push_back({slot,
                                  arm ? std::uint32_t{R_AARCH64_RELATIVE} : std::uint32_t{R_X86_64_RELATIVE},
                                  0, static_cast<std::int64_t>(value)});
      value = 0;
    }
    out.u64(value);
  }
  void table_pointer(std::uint64_t value) { pointer(table_, table_address(table_.bytes.size()), value); }
  void data_pointer(std::uint64_t value) { pointer(data_, data_address(data_.bytes.size()), value); }
  void slice(std::uint64_t address, std::uint64_t count) {
    data_pointer(address);
    data_.u64(count);
    data_.u64(count);
  }

  void put_strings() {
    framed_ = std::string(16, 'a') + d_.module_text + std::string(16, 'z');
    version_at_ = table_.bytes.size();
    table_.raw(d_.version);
    modules_at_ = table_.bytes.size();
    table_.raw(framed_);
    for (const auto& file : d_.files) {
      strings_.push_back(table_.bytes.size());
      table_.raw(file.name + file.content);
    }
    table_.pad(32);
  }

  void counted(const std::string& value) {
    std::size_t size = value.size();
    for (; size >= 0x80; size >>= 7)
      data_.u8((size & 0x7f) | 0x80);
    data_.u8(size);
    data_.raw(value);
  }

  void put_build_info() {
    if (!d_.with_build_info) return;
    // The magic where it is not aligned, as in Go's own linker, is none.
    data_.raw("12345678\xff Go buildinf:\x08\x02");
    data_.pad(16);
    if (d_.inline_build_info) {
      data_.raw("\xff Go buildinf:\x08\x02" + std::string(16, '\0'));
      counted(d_.version);
      counted(framed_);
    } else {
      const std::uint64_t strings = data_address(data_.bytes.size()) + 32;
      data_.raw(std::string("\xff Go buildinf:\x08\x00", 16));
      data_pointer(strings);
      data_pointer(strings + 16);
      data_pointer(table_address(version_at_));
      data_.u64(d_.version.size());
      data_pointer(table_address(modules_at_));
      data_.u64(framed_.size());
    }
    data_.pad(16);
  }

  void put_table() {
    table_at_ = table_.bytes.size();
    const bool old = d_.magic == 0xfffffffa;
    const std::uint64_t header = 8 + (old ? 7 : 8) * kPointer;
    std::string names(1, '\0');
    std::vector<std::uint64_t> name_at;
    for (const auto& function : d_.functions) {
      name_at.push_back(names.size());
      names += function.name + '\0';
    }
    while (names.size() % 8 != 0)
      names += '\0';
    names_at_ = header;
    functions_at_ = header + names.size() + 24;
    table_.u32(d_.magic);
    table_.u16(0);
    table_.u8(1);
    table_.u8(kPointer);
    table_.u64(d_.functions.size());
    table_.u64(0);
    if (!old) {
      if (d_.with_text_start) {
        table_pointer(text());
      } else {
        table_.u64(0);
      }
    }
    // Names, compilation units, files, pc values, functions.
    for (int i = 0; i < 4; ++i)
      table_.u64(i == 0 ? names_at_ : header + names.size() + 8 * (i - 1));
    table_.u64(functions_at_);
    table_.raw(names);
    table_.raw(std::string(24, '\0'));
    const std::uint64_t entry = old ? 16 : 8;
    const std::uint64_t records = (d_.functions.size() + 1) * entry;
    std::uint64_t pc = 0;
    for (std::size_t i = 0; i < d_.functions.size(); ++i) {
      starts_.push_back(text() + pc);
      if (old) {
        table_pointer(text() + pc);
        table_.u64(records + i * 16);
      } else {
        table_.u32(pc);
        table_.u32(records + i * 16);
      }
      pc += d_.functions[i].size;
    }
    if (old) {
      table_pointer(text() + pc);
      table_.u64(0);
    } else {
      table_.u32(pc);
      table_.u32(0);
    }
    pc = 0;
    for (std::size_t i = 0; i < d_.functions.size(); ++i) {
      if (old) {
        table_pointer(text() + pc);
        table_.u32(name_at[i]);
        table_.u32(0);
      } else {
        table_.u32(pc);
        table_.u32(name_at[i]);
        table_.u64(0);
      }
      pc += d_.functions[i].size;
    }
    table_.pad(32);
  }

  void put_tasks() {
    data_.pad(8);
    std::vector<std::uint64_t> at;
    std::uint64_t next = data_address(data_.bytes.size());
    for (const auto& task : d_.tasks) {
      at.push_back(next);
      next += d_.init_graph ? (3 + task.waits_for.size() + task.functions.size()) * kPointer
                            : (1 + task.functions.size()) * kPointer;
    }
    for (const auto& task : d_.tasks) {
      if (d_.init_graph) {
        data_.u64(0);
        data_.u64(task.waits_for.size());
        data_.u64(task.functions.size());
        for (const std::size_t other : task.waits_for)
          data_pointer(at[other]);
      } else {
        data_.u32(0);
        data_.u32(task.functions.size());
      }
      for (const std::size_t function : task.functions)
        data_pointer(starts_[function]);
    }
    if (d_.init_graph) return;
    tasks_at_ = data_.bytes.size();
    for (const std::uint64_t task : at)
      data_pointer(task);
    if (d_.runtime_tasks != 0) slice(data_address(tasks_at_), d_.runtime_tasks);
  }

  void put_module_data() {
    const std::uint64_t begin = data_address(data_.bytes.size());
    put_tasks();
    const std::uint64_t end = data_address(data_.bytes.size());
    const std::uint64_t table = table_address(table_at_);
    data_pointer(table);
    slice(table + names_at_, 1);
    for (int i = 0; i < 4; ++i)
      slice(table, 0);
    slice(table + functions_at_, d_.functions.size() + 1);
    data_.u64(0);
    for (const std::uint64_t pc :
         {text(), text() + code_size_, text(), text() + code_size_, begin, end, end, end}) {
      data_pointer(pc);
    }
    for (int word = 28; word < 50; ++word)
      data_.u64(0);
    if (!d_.init_graph && !d_.tasks.empty()) slice(data_address(tasks_at_), d_.tasks.size());
    data_.raw(std::string(512, '\0'));
  }

  void put_files() {
    if (d_.files.empty()) return;
    const std::uint64_t header = data_address(data_.bytes.size());
    slice(header + 3 * kPointer, d_.files.size());
    for (std::size_t i = 0; i < d_.files.size(); ++i) {
      const auto& file = d_.files[i];
      const bool is_directory = file.name.ends_with('/');
      data_pointer(table_address(strings_[i]));
      data_.u64(file.name.size());
      if (is_directory) {
        data_.u64(0);
      } else {
        data_pointer(table_address(strings_[i]) + file.name.size());
      }
      data_.u64(file.content.size());
      data_.raw(file.hash);
    }
  }

  const GoDescription& d_;
  ElfDescription elf_;
  std::uint64_t base_;
  ElfWriter table_;
  ElfWriter data_;
  std::string framed_;
  std::uint64_t version_at_ = 0;
  std::uint64_t modules_at_ = 0;
  std::vector<std::uint64_t> strings_;
  std::vector<std::uint64_t> starts_;
  std::uint64_t code_size_ = 0;
  std::uint64_t table_at_ = 0;
  std::uint64_t names_at_ = 0;
  std::uint64_t functions_at_ = 0;
  std::uint64_t tasks_at_ = 0;
};

inline std::string build_go(const GoDescription& description) {
  return GoBuilder(description).build();
}

}  // namespace imgslim::testing
