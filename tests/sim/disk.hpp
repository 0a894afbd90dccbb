// A virtual disk: what is written is seen at once and is safe after a sync.
// Losing power keeps a part of what was not synced, with the last write torn.
// A failed sync leaves unknown what is safe, and nothing after it ever is
// until the file is written anew (as Linux has it).
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "tests/sim/loop.hpp"
#include "tests/sim/probes.hpp"
#include "tests/sim/random.hpp"

namespace reeve::sim {

class Disk {
 public:
  enum class Sync { done, failed };
  using Bytes = std::vector<std::byte>;

  Disk(Random& random, Probes& probes, Loop& loop)
      : random_(random), probes_(probes), loop_(loop) {}

  void append(const std::string& file, std::span<const std::byte> bytes);
  // Truncates and writes anew, not yet safe.
  void rewrite(const std::string& file, Bytes bytes);
  Sync sync(const std::string& file);
  const Bytes& read(const std::string& file) const;
  bool exists(const std::string& file) const { return files_.contains(file); }
  void remove(const std::string& file) { files_.erase(file); }
  // Names and sizes, in the order of the names.
  std::vector<std::pair<std::string, std::uint64_t>> list(
      const std::string& prefix) const;

  void lose_power();
  // Flips a byte of a file that is there.
  void damage(const std::string& file);

  void fail_syncs(std::uint32_t per_million) { fails_ppm_ = per_million; }
  // Below its floor, or without any room.
  enum class Room { enough, low, none };
  void set_room(Room room) { room_ = room; }
  Room room() const { return room_; }

 private:
  struct File {
    Bytes bytes;           // as a process sees it
    std::size_t safe = 0;  // of them
    bool broken = false;   // a sync failed: no later one makes more safe
    Bytes before;          // the safe content that a rewrite replaces
    bool rewritten = false;
  };
  Random& random_;
  Probes& probes_;
  Loop& loop_;
  std::map<std::string, File> files_;
  std::uint32_t fails_ppm_ = 0;
  Room room_ = Room::enough;
};

}  // namespace reeve::sim
