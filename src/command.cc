// SPDX-License-Identifier: Apache-2.0
#include "src/command.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <thread>

#include "layers/error.h"

namespace imgslim {

unsigned CommonOptions::thread_count() const {
  if (threads > 0) return threads;
  const unsigned processors = std::thread::hardware_concurrency();
  return processors > 0 ? processors : 1;
}

std::vector<std::string> formats_of(const CommandRow& row) {
  std::vector<std::string> formats;
  for (std::string_view rest = row.formats; !rest.empty();) {
    const std::string_view word = rest.substr(0, rest.find(' '));
    formats.emplace_back(word);
    rest.remove_prefix(std::min(word.size() + 1, rest.size()));
  }
  return formats;
}

std::string cache_directory() {
  if (const char* cache = std::getenv("XDG_CACHE_HOME"); cache != nullptr && *cache == '/')
    return std::string(cache) + "/imgslim";
  if (const char* home = std::getenv("HOME"); home != nullptr && *home == '/')
    return std::string(home) + "/.cache/imgslim";
  return {};
}

std::string spool_directory() {
  const std::string directory = cache_directory();
  return directory.empty() ? "." : directory;
}

void write_file(const std::string& path, const std::string& text) {
  // A device, a pipe or an open file ("/dev/stdout") can't be replaced, only written.
  std::string target = path + ".XXXXXX";
  struct stat found = {};
  const bool special = path.starts_with("/dev/fd/") || path == "/dev/stdout" || path == "/dev/stderr" ||
                       (stat(path.c_str(), &found) == 0 && !S_ISREG(found.st_mode));
  const int file = special ? open(path.c_str(), O_WRONLY | O_CLOEXEC) : mkstemp(target.data());
  if (file < 0) throw_io("cannot write " + path, errno);
  std::size_t done = 0;
  int failed = 0;
  while (done < text.size() && failed == 0) {
    const ssize_t wrote = write(file, text.data() + done, text.size() - done);
    if (wrote > 0) done += static_cast<std::size_t>(wrote);
    if (wrote < 0 && errno != EINTR) failed = errno;
  }
  if (!special) {
    const mode_t mask = umask(0);
    umask(mask);
    if (failed == 0 && fchmod(file, 0666 & ~mask) != 0) failed = errno;
    if (failed == 0 && fsync(file) != 0) failed = errno;
  }
  close(file);
  if (!special && failed == 0 && std::rename(target.c_str(), path.c_str()) != 0) failed = errno;
  if (failed != 0) {
    if (!special) unlink(target.c_str());
    throw_io("cannot write " + path, failed);
  }
}

}  // namespace imgslim
