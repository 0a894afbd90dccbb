// Where messages go that failed verification: counted, the newest kept in
// memory and in files for a person to look at, both within bounds. They never
// reach a handler. Thread-safe.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <filesystem>
#include <functional>
#include <mutex>
#include <string>
#include <string_view>
#include <vector>

#include "bus/buffer.hpp"

namespace reeve::bus {

struct QuarantineOptions {
  std::filesystem::path directory;  // empty: no files
  std::size_t recent_max = 64;
  std::uint64_t files_max = 256;
  std::size_t file_bytes_max = 64 << 10;
  // A flood costs no more disk writes than this; all of it is counted.
  std::size_t files_per_second_max = 16;
};

struct Quarantined {
  std::uint64_t number = 0;  // counted from 1 in this process
  std::string kind;          // what was expected: "Command"
  std::string subject;
  std::size_t bytes = 0;
  std::string reason;
  std::string head_hex;  // its first bytes
};

class Quarantine {
 public:
  explicit Quarantine(QuarantineOptions options = {});

  void add(std::string_view kind, std::string_view subject, Bytes bytes,
           std::string_view reason);
  std::uint64_t count() const;
  std::vector<Quarantined> recent() const;  // newest last

 private:
  bool may_write();
  void write(std::uint64_t file, const Quarantined& entry, Bytes bytes) const;

  const QuarantineOptions options_;
  mutable std::mutex mutex_;
  std::uint64_t count_ = 0;
  std::uint64_t next_file_ = 0;
  std::chrono::steady_clock::time_point second_{};
  std::size_t written_this_second_ = 0;
  std::deque<Quarantined> recent_;
};

}  // namespace reeve::bus
