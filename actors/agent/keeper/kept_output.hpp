// What ended tasks wrote, within bounds: over them the output of those that
// ended longest ago goes. For a while an empty file tells readers so; a task
// that wrote nothing has no file.
#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
#include <functional>
#include <string>

#include "actors/agent/keeper/types.hpp"

namespace reeve::keeper {

inline constexpr std::uint64_t kept_output_bytes_default = 8ull << 30;
// Tasks that have files, those that only tell included.
inline constexpr std::size_t kept_outputs_max = 100'000;

class KeptOutput {
 public:
  explicit KeptOutput(std::string directory,
                      std::size_t outputs_max = kept_outputs_max);

  // Looks through the directory once, for what an earlier keeper left; what
  // `is_held` knows is added later.
  void find(const std::function<bool(const TaskKey&)>& is_held);
  // The task has ended and nobody writes for it any more.
  void add(const TaskKey& key);
  // The output of the newest task stays, however large it is.
  void set_bytes_max(std::uint64_t bytes_max);

  std::uint64_t bytes() const { return bytes_; }

 private:
  struct Kept {
    TaskKey key;
    std::uint64_t bytes = 0;
  };
  void trim();

  std::string directory_;
  std::size_t outputs_max_;
  std::uint64_t bytes_max_ = kept_output_bytes_default;
  std::uint64_t bytes_ = 0;
  std::deque<TaskKey> emptied_;  // ended longer ago than all that is kept
  std::deque<Kept> kept_;        // the oldest first
};

}  // namespace reeve::keeper
