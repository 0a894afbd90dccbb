// What the tests of this folder share: a directory that goes away, events
// with recognisable bytes, a log with known content.
#pragma once

#include <stdlib.h>

#include <cstring>
#include <filesystem>
#include <string>
#include <vector>

#include "cluster/check.hpp"
#include "store/log.hpp"

namespace reeve::store::test {

class TemporaryDirectory {
 public:
  TemporaryDirectory() {
    std::string name =
        (std::filesystem::temp_directory_path() / "reeve-store-XXXXXX")
            .string();
    REEVE_CHECK(::mkdtemp(name.data()) != nullptr, name);
    path_ = name;
  }
  TemporaryDirectory(const TemporaryDirectory&) = delete;
  TemporaryDirectory& operator=(const TemporaryDirectory&) = delete;
  ~TemporaryDirectory() {
    std::error_code ignored;
    std::filesystem::remove_all(path_, ignored);
  }
  const std::filesystem::path& path() const { return path_; }

 private:
  std::filesystem::path path_;
};

// Bytes that differ with every number, so that neighbours do not look alike.
inline void append_event(std::vector<std::byte>& to, std::uint64_t number,
                         std::size_t size_bytes = 256) {
  REEVE_CHECK(size_bytes % 8 == 0 && size_bytes >= 16, "event size");
  const std::size_t start = to.size();
  to.resize(start + size_bytes);
  const auto length = static_cast<std::uint32_t>(size_bytes - 4);
  std::memcpy(to.data() + start, &length, 4);
  std::uint64_t word = number * 0x9e3779b97f4a7c15u + 1;
  for (std::size_t at = 8; at + 8 <= size_bytes; at += 8) {
    std::memcpy(to.data() + start + at, &word, 8);
    word = word * 6364136223846793005u + 1442695040888963407u;
  }
}

// Events numbered first, first + 1, ...
inline std::vector<std::byte> make_events(std::uint64_t first,
                                          std::uint32_t count,
                                          std::size_t size_bytes = 256) {
  std::vector<std::byte> events;
  for (std::uint32_t i = 0; i < count; ++i)
    append_event(events, first + i, size_bytes);
  return events;
}

inline LogOptions small_log(const std::filesystem::path& directory) {
  LogOptions options;
  options.directory = directory;
  options.create_if_missing = true;
  options.floor_bytes = 1u << 20;
  return options;
}

// The value, or the end of the test with the error's sentence.
template <class T>
T must(Expected<T> result) {
  REEVE_CHECK(result.has_value(), result.error().text);
  return std::move(*result);
}
inline void must(const Status& status) {
  REEVE_CHECK(status.has_value(), status.error().text);
}

// Appends `records` commits of `count` events, numbered by their sequence.
inline Head fill(Log& log, std::uint32_t records, std::uint32_t count = 3,
                 std::size_t event_bytes = 256) {
  for (std::uint32_t i = 0; i < records; ++i)
    must(log.append(1, count,
                    make_events(log.head().sequence + 1, count, event_bytes)));
  return log.head();
}

// Counts the events in [from, to]; fails the program when one has not the
// bytes that its sequence demands.
inline Expected<std::uint64_t> count_whole(const LogReader& reader,
                                           std::uint64_t from, std::uint64_t to,
                                           std::size_t event_bytes = 256) {
  std::uint64_t seen = 0;
  const Status scanned = reader.scan(from, to, [&](const Record& record) {
    const auto expected =
        make_events(record.first_sequence, record.count, event_bytes);
    REEVE_CHECK(std::ranges::equal(expected, record.events),
                "event " + std::to_string(record.first_sequence) +
                    " has other bytes than were appended");
    seen += record.count;
    return true;
  });
  if (!scanned) return tl::unexpected(scanned.error());
  return seen;
}

}  // namespace reeve::store::test
