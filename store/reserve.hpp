// The floor of free space under the log. A ballast file holds `floor_bytes`
// in reserve. Admission is open while the ballast is held and `floor_bytes`
// are free beside it. Below half the floor the ballast is given up, so that
// the small facts (exits, cancels, lost nodes) of what already runs still fit;
// admission stays closed until there is room to lay the ballast again.
//
// Others may take what the ballast gave, to the last byte. A second file, the
// reserve, is given up only then, for the commit at hand and some after it, or
// for the opening of the log (log_open.cpp).
#pragma once

#include <cstdint>
#include <filesystem>
#include <mutex>
#include <string>

#include "cluster/error.hpp"

namespace reeve::store {

class Reserve {
 public:
  // Lays the ballast if there is room for it and the floor beside it; with
  // less room the log opens with admission closed.
  Reserve(std::filesystem::path ballast, std::filesystem::path reserve,
          std::uint64_t floor_bytes, std::uint64_t kept_bytes);
  Reserve(const Reserve&) = delete;
  Reserve& operator=(const Reserve&) = delete;

  // Looks at the disk again at most every `look_interval_ms`.
  bool admission_open();
  // How the disk stood at the last look, for people.
  std::string room();

  // Errc::no_space, before anything is written, when `bytes` more would leave
  // less than `kept_bytes` even without ballast and reserve: the room the
  // database needs to write out what it holds in memory.
  Status allow(std::uint64_t bytes);

  // No look is older than this.
  static constexpr std::int64_t look_interval_ms = 20;
  // Commits that the reserve has room for, beside twice `kept_bytes`.
  static constexpr std::uint64_t reserve_facts_bytes = 1 << 20;

 private:
  std::uint64_t look();
  std::uint64_t look_and_lay();
  std::uint64_t free_bytes();
  bool lay_ballast();
  void drop_ballast();
  bool drop_reserve();

  std::mutex mutex_;
  std::filesystem::path ballast_;
  std::filesystem::path reserve_;
  std::uint64_t floor_bytes_;
  std::uint64_t kept_bytes_;
  std::uint64_t reserve_bytes_;
  bool ballast_held_ = false;
  bool reserve_held_ = false;
  bool admission_open_ = false;
  std::uint64_t seen_free_bytes_ = 0;
  std::int64_t looked_at_ms_ = 0;
};

}  // namespace reeve::store
