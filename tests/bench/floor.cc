// SPDX-License-Identifier: Apache-2.0
// The floors that speed is measured against, and pass 1 beside them.
//   imgslim_floor read BLOB...       read, inflate with ISA-L, hash compressed and plain bytes
//   imgslim_floor scan BLOB...       scan_layers() over the same blobs
//   imgslim_floor full --source BLOB... --result BLOB...
//                                    read of the sources, then gzip of the results' plain bytes
// -j N: threads, default all CPUs. One line of JSON on stdout.
#include <fcntl.h>
#include <fmt/format.h>
#include <isa-l/igzip_lib.h>
#include <openssl/evp.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <condition_variable>
#include <cstdio>
#include <cstdlib>
#include <deque>
#include <memory>
#include <mutex>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

#include "layers/compression.h"
#include "layers/scan.h"

namespace {

using namespace imgslim;
using Clock = std::chrono::steady_clock;

constexpr std::size_t kPlainPiece = std::size_t{512} << 10;
constexpr std::size_t kBlobPiece = std::size_t{256} << 10;
constexpr std::size_t kWaiting = 4;

struct Piece {
  std::vector<unsigned char> bytes;
  std::size_t size = 0;  // used of them
};

// Passes pieces from one thread to another and empty ones back.
class Channel {
 public:
  explicit Channel(std::size_t piece_size) : piece_size_(piece_size) {}

  Piece fresh() {
    std::unique_lock lock(mutex_);
    changed_.wait(lock, [&] { return full_.size() < kWaiting; });
    if (free_.empty()) return {std::vector<unsigned char>(piece_size_), 0};
    Piece piece = std::move(free_.back());
    free_.pop_back();
    piece.size = 0;
    return piece;
  }
  void push(Piece piece) {
    const std::lock_guard lock(mutex_);
    full_.push_back(std::move(piece));
    changed_.notify_all();
  }
  // A piece of no size is the end.
  Piece pop() {
    std::unique_lock lock(mutex_);
    changed_.wait(lock, [&] { return !full_.empty(); });
    Piece piece = std::move(full_.front());
    full_.pop_front();
    changed_.notify_all();
    return piece;
  }
  void recycle(Piece piece) {
    const std::lock_guard lock(mutex_);
    free_.push_back(std::move(piece));
  }

 private:
  const std::size_t piece_size_;
  std::mutex mutex_;
  std::condition_variable changed_;
  std::deque<Piece> full_;
  std::vector<Piece> free_;
};

void hash_pieces(Channel& channel) {
  const std::unique_ptr<EVP_MD_CTX, decltype(&EVP_MD_CTX_free)> context(EVP_MD_CTX_new(), EVP_MD_CTX_free);
  EVP_DigestInit_ex(context.get(), EVP_sha256(), nullptr);
  while (true) {
    Piece piece = channel.pop();
    if (piece.size == 0) break;
    EVP_DigestUpdate(context.get(), piece.bytes.data(), piece.size);
    channel.recycle(std::move(piece));
  }
  unsigned char digest[EVP_MAX_MD_SIZE];
  EVP_DigestFinal_ex(context.get(), digest, nullptr);
}

// Inflates all members of a gzip file; returns the plain bytes there were. No checks but ISA-L's own.
std::uint64_t read_gzip(const std::string& path) {
  const int file = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
  if (file < 0) throw std::runtime_error("cannot open " + path);
  Channel blob(kBlobPiece);
  Channel plain(kPlainPiece);
  std::uint64_t total = 0;
  {
    std::jthread blob_hash([&] { hash_pieces(blob); });
    std::jthread plain_hash([&] { hash_pieces(plain); });
    const auto state = std::make_unique<inflate_state>();
    isal_inflate_init(state.get());
    state->crc_flag = ISAL_GZIP;
    Piece out = plain.fresh();
    while (true) {
      Piece in = blob.fresh();
      const ssize_t count = ::read(file, in.bytes.data(), in.bytes.size());
      if (count <= 0) break;
      in.size = static_cast<std::size_t>(count);
      state->next_in = in.bytes.data();
      state->avail_in = static_cast<std::uint32_t>(in.size);
      bool more = true;
      while (more) {
        const std::size_t room = kPlainPiece - out.size;
        state->next_out = out.bytes.data() + out.size;
        state->avail_out = static_cast<std::uint32_t>(room);
        if (isal_inflate(state.get()) < 0) throw std::runtime_error("cannot inflate " + path);
        out.size += room - state->avail_out;
        total += room - state->avail_out;
        const bool full = state->avail_out == 0;
        if (full) {
          plain.push(std::move(out));
          out = plain.fresh();
        }
        if (state->block_state == ISAL_BLOCK_FINISH && state->avail_in > 0) {
          isal_inflate_reset(state.get());
          state->crc_flag = ISAL_GZIP;
        } else {
          more = full || state->avail_in > 0;
        }
      }
      blob.push(std::move(in));
    }
    if (out.size > 0) plain.push(std::move(out));
    blob.push({});
    plain.push({});
  }
  ::close(file);
  return total;
}

Compression compression_of(const Blob& blob) {
  std::vector<std::byte> head(std::min<std::uint64_t>(blob.size(), 16));
  blob.read_at(0, head);
  return sniff_compression(head);
}

// What is no gzip goes through the product's decoder.
std::uint64_t read_other(const BlobPtr& blob, Compression compression) {
  Hasher blob_hash;
  Hasher plain_hash;
  const auto tap = sink_to([&](std::span<const std::byte> bytes) { blob_hash.update(bytes); });
  Decoder decoder(blob, compression, {}, tap.get());
  std::vector<std::byte> buffer(kPlainPiece);
  while (const std::size_t count = decoder.read(buffer))
    plain_hash.update(std::span(buffer).first(count));
  return decoder.plain_offset();
}

// Runs `work(i)` for all i below `count`, on `threads` threads, in order of the index.
template <class Work>
void in_parallel(std::size_t count, unsigned threads, const Work& work) {
  std::atomic<std::size_t> next{0};
  const auto run = [&] {
    for (std::size_t i = next++; i < count; i = next++)
      work(i);
  };
  std::vector<std::jthread> helpers;
  for (unsigned i = 1; i < std::min<std::size_t>(threads, count); ++i)
    helpers.emplace_back(run);
  run();
}

void sort_largest_first(std::vector<std::string>& paths) {
  std::sort(paths.begin(), paths.end(), [](const std::string& a, const std::string& b) {
    return open_file_blob(a)->size() > open_file_blob(b)->size();
  });
}

std::uint64_t read_all_blobs(const std::vector<std::string>& paths, unsigned threads) {
  std::atomic<std::uint64_t> plain{0};
  in_parallel(paths.size(), threads, [&](std::size_t i) {
    const BlobPtr blob = open_file_blob(paths[i]);
    const Compression compression = compression_of(*blob);
    plain += compression == Compression::kGzip ? read_gzip(paths[i]) : read_other(blob, compression);
  });
  return plain;
}

std::vector<ScanJob> jobs_for(const std::vector<std::string>& paths) {
  std::vector<ScanJob> jobs;
  for (const std::string& path : paths) {
    const BlobPtr blob = open_file_blob(path);
    Hasher hasher;
    std::vector<std::byte> buffer(kBlobPiece);
    const auto source = read_blob(blob);
    while (const std::size_t count = source->read(buffer))
      hasher.update(std::span(buffer).first(count));
    jobs.push_back({blob, hasher.finish(), blob->size(), std::nullopt, path});
  }
  return jobs;
}

std::string plain_bytes_of(const std::string& path) {
  const BlobPtr blob = open_file_blob(path);
  Decoder decoder(blob, compression_of(*blob));
  std::string plain;
  std::vector<std::byte> buffer(kPlainPiece);
  while (const std::size_t count = decoder.read(buffer))
    plain += as_text(std::span(buffer).first(count));
  return plain;
}

double cpu_seconds() {
  rusage usage{};
  ::getrusage(RUSAGE_SELF, &usage);
  const auto seconds = [](const timeval& time) {
    return static_cast<double>(time.tv_sec) + time.tv_usec / 1e6;
  };
  return seconds(usage.ru_utime) + seconds(usage.ru_stime);
}

// When a measurement began. On a machine that is shared, CPU time says more than the clock.
struct Start {
  Clock::time_point time = Clock::now();
  double cpu = cpu_seconds();
};

void print(std::string_view mode, const Start& start, std::uint64_t plain, unsigned threads) {
  const std::chrono::duration<double> seconds = Clock::now() - start.time;
  const double cpu = cpu_seconds() - start.cpu;
  rusage usage{};
  ::getrusage(RUSAGE_SELF, &usage);
  fmt::print(
      "{{\"mode\":\"{}\",\"seconds\":{:.3f},\"cpu_seconds\":{:.3f},\"threads\":{},\"plain_bytes\":{},\"max_"
      "rss_kib\":{}}}\n",
      mode, seconds.count(), cpu, threads, plain, usage.ru_maxrss);
}

int run(const std::vector<std::string>& arguments) {
  unsigned threads = std::max(1u, std::thread::hardware_concurrency());
  std::string mode;
  std::vector<std::string> sources;
  std::vector<std::string> results;
  std::vector<std::string>* list = &sources;
  for (std::size_t i = 0; i < arguments.size(); ++i) {
    if (i == 0) {
      mode = arguments[i];
    } else if (arguments[i] == "-j" && i + 1 < arguments.size()) {
      threads = static_cast<unsigned>(std::max(1, std::atoi(arguments[++i].c_str())));
    } else if (arguments[i] == "--source") {
      list = &sources;
    } else if (arguments[i] == "--result") {
      list = &results;
    } else {
      list->push_back(arguments[i]);
    }
  }
  sort_largest_first(sources);
  sort_largest_first(results);
  if (mode == "read") {
    const Start start;
    const std::uint64_t plain = read_all_blobs(sources, threads);
    print(mode, start, plain, threads);
  } else if (mode == "scan") {
    const std::vector<ScanJob> jobs = jobs_for(sources);
    ScanOptions options;
    options.threads = threads;
    const Start start;
    std::uint64_t plain = 0;
    for (const LayerTablePtr& table : scan_layers(jobs, options))
      plain += table->plain_size;
    print(mode, start, plain, threads);
  } else if (mode == "full") {
    std::vector<std::string> texts;
    for (const std::string& path : results)
      texts.push_back(plain_bytes_of(path));
    const Start start;
    const std::uint64_t plain = read_all_blobs(sources, threads);
    in_parallel(texts.size(), threads, [&](std::size_t i) {
      const auto sink = sink_to([](std::span<const std::byte>) {});
      const auto encoder = make_encoder(Compression::kGzip, 0, threads, *sink);
      encoder->write(as_bytes(texts[i]));
      encoder->finish();
    });
    print(mode, start, plain, threads);
  } else {
    std::fputs("usage: imgslim_floor read|scan|full [-j N] [--source] BLOB... [--result BLOB...]\n", stderr);
    return 2;
  }
  return 0;
}

}  // namespace

int main(int argc, char** argv) {
  try {
    return run({argv + 1, argv + argc});
  } catch (const std::exception& error) {
    fmt::print(stderr, "imgslim_floor: {}\n", error.what());
    return 1;
  }
}
