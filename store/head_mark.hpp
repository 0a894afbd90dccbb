// The head mark: a small file outside the database that says how far the log
// was acknowledged. RocksDB opens silently short when its write-ahead log is
// cut, deleted or replaced by an older copy; the mark is what notices.
//
// Two slots of 4 KiB, written in turn, each with a checksum: a write that is
// torn by a crash leaves the other slot.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <memory>

#include "cluster/error.hpp"
#include "store/record.hpp"

namespace reeve::store {

// Drawn once per log; ties mark and database together.
using LogId = std::array<std::byte, 16>;

struct Mark {
  LogId log_id{};
  Head head;
};

inline constexpr std::size_t mark_slot_bytes = 4096;
inline constexpr std::uint32_t mark_format = 1;

// Reads without changing anything. Errc::not_found when there is no file,
// Errc::damaged when neither slot is whole or the format is newer.
Expected<Mark> read_head_mark(const std::filesystem::path& file);

// `error`, of a log that cannot be read up to its mark, with the event that it
// must reach.
Error with_acknowledged(Error error, const Mark& mark);

// The writing side; one thread.
class HeadMark {
 public:
  // Makes the file, both slots, synced together with its directory entry.
  static Expected<HeadMark> create(const std::filesystem::path& file,
                                   const Mark& mark);
  static Expected<HeadMark> open(const std::filesystem::path& file);

  HeadMark(HeadMark&& other) noexcept;
  HeadMark& operator=(HeadMark&&) = delete;
  ~HeadMark();

  const Mark& mark() const { return mark_; }

  // Writes one slot and syncs. After an error the file is not to be written
  // again by this process: what is on disk is unknown.
  Status write(const Head& head);
  // Both slots: at open and at close, when the mark is exact.
  Status write_both(const Head& head);

 private:
  HeadMark(int fd, std::filesystem::path file, const Mark& mark,
           std::uint64_t generation);

  int fd_;
  std::filesystem::path file_;
  Mark mark_;
  std::uint64_t generation_;
};

}  // namespace reeve::store
