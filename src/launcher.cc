// SPDX-License-Identifier: Apache-2.0
// bin/imgslim of the packages that run on any distribution: linked statically, it starts
// ../lib/imgslim/imgslim with the loader, the C library and the libraries that are in that folder. Said by
// arguments of the loader, as an environment would go on to the programs that imgslim starts. No C++ library:
// this is read and started before each run.
#include <sys/auxv.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <climits>
#include <cstdlib>
#include <cstring>

namespace {

constexpr char kLibraries[] = "/lib/imgslim";
constexpr char kLoader[] = "/lib/imgslim/ld.so";
constexpr char kProgram[] = "/lib/imgslim/imgslim";

using Path = std::array<char, PATH_MAX>;

[[noreturn]] void fail(const char* what, const char* path, const char* why) {
  for (const char* part : {"imgslim: ", what, " ", path, ": ", why, "\n"}) {
    if (::write(STDERR_FILENO, part, std::strlen(part)) < 0) break;
  }
  std::_Exit(1);
}

// Where this file is, all links resolved. Without /proc it is what the kernel was asked to start.
void find_self(Path& self) {
  const ssize_t length = ::readlink("/proc/self/exe", self.data(), self.size());
  if (length > 0 && static_cast<std::size_t>(length) < self.size()) {
    self[static_cast<std::size_t>(length)] = '\0';
    return;
  }
  // The kernel gives addresses as numbers.
  const char* started =
      reinterpret_cast<const char*>(::getauxval(AT_EXECFN));  // NOLINT(performance-no-int-to-ptr)
  if (started == nullptr || ::realpath(started, self.data()) == nullptr)
    fail("cannot find", "the program's own folder", "/proc is not mounted");
}

// PREFIX of PREFIX/bin/imgslim, with `rest` behind it.
void set_path(Path& out, const Path& self, const char* rest) {
  std::size_t length = std::strlen(self.data());
  for (int parts = 0; parts < 2; ++parts) {
    while (length > 0 && self[length - 1] != '/')
      --length;
    if (length > 0) --length;
  }
  const std::size_t added = std::strlen(rest) + 1;
  if (length + added > out.size()) fail("cannot start", self.data(), "the path is too long");
  std::memcpy(out.data(), self.data(), length);
  std::memcpy(out.data() + length, rest, added);
}

// Libraries of the host's that would be loaded into the program, which has a C library of its own.
bool is_for_another_loader(const char* variable) {
  return std::strncmp(variable, "LD_PRELOAD=", 11) == 0 || std::strncmp(variable, "LD_AUDIT=", 9) == 0;
}

}  // namespace

int main(int argc, char** argv) {
  Path self{};
  Path libraries{};
  Path loader{};
  Path program{};
  find_self(self);
  set_path(libraries, self, kLibraries);
  set_path(loader, self, kLoader);
  set_path(program, self, kProgram);
  // The loader would take these for separators and for names of its own.
  if (std::strpbrk(libraries.data(), ":;$") != nullptr)
    fail("cannot start from", libraries.data(),
         "a folder's name has ':', ';' or '$'; move imgslim elsewhere");

  char option_cache[] = "--inhibit-cache";
  char option_libraries[] = "--library-path";
  char option_name[] = "--argv0";
  std::array<char*, 7> first{loader.data(), option_cache, option_libraries, libraries.data(),
                             option_name,   self.data(),  program.data()};
  const std::size_t given = argc > 0 ? static_cast<std::size_t>(argc) - 1 : 0;
  auto** arguments = static_cast<char**>(std::calloc(first.size() + given + 1, sizeof(char*)));
  if (arguments == nullptr) fail("cannot start", program.data(), "out of memory");
  std::memcpy(arguments, first.data(), sizeof(first));
  for (std::size_t i = 0; i < given; ++i)
    arguments[first.size() + i] = argv[i + 1];

  char** kept = environ;
  for (char** variable = environ; *variable != nullptr; ++variable) {
    if (!is_for_another_loader(*variable)) *kept++ = *variable;
  }
  *kept = nullptr;
  ::execve(loader.data(), arguments, environ);
  fail("cannot start", loader.data(), std::strerror(errno));
}
