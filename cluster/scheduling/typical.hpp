// What the tasks of a queue usually ask for, learned from those submitted to
// it. Only requests for GPUs count.
//
// Requests for the same GPUs (and of those who may share one) whose CPUs,
// memory and device memory are within a factor of two are one sort, and stand
// for themselves by their means. Counts halve now and then, so the last tens of
// thousands of tasks decide. Pure.
#pragma once

#include <array>
#include <map>
#include <tuple>
#include <vector>

#include "cluster/scheduling/node.hpp"

namespace reeve::cluster::scheduling {

// Sorts beyond the most common ones are rare enough to leave out.
inline constexpr std::size_t typical_sorts_max = 64;
// Counts halve when this many tasks have been counted; a task of which more
// came at once counts as this many.
inline constexpr std::uint64_t typical_tasks_max = 1 << 16;
inline constexpr std::uint64_t typical_tasks_at_once_max = 1 << 10;

struct Typical {
  Need need;
  double frequency = 0;  // of all of them together 1
  // Thousandths of GPUs that a thousandth of a CPU suffices for, and a byte.
  double milli_of_cpu = 0;
  double milli_of_memory = 0;
};

class TypicalRequests {
 public:
  void add(const Need& need, std::uint64_t tasks);

  // So much has come since the last renewal that it is worth another: half as
  // much as until then, or an eighth of `typical_tasks_max`.
  bool stale() const { return added_ >= renew_after_; }
  void renew();

  // As of the last renewal, the most common first.
  const std::vector<Typical>& most_common() const { return most_common_; }
  // What goes with a thousandth of a GPU, in the mean.
  double cpu_milli_each() const { return cpu_milli_each_; }
  double memory_bytes_each() const { return memory_bytes_each_; }

 private:
  // GPUs, thousandths, models, whose shares; magnitudes of CPUs, memory and
  // device memory.
  using Sort = std::tuple<std::uint32_t, std::uint32_t, std::vector<ModelId>,
                          AccountIndex, std::array<std::uint8_t, 3>>;
  struct Sum {
    double tasks = 0;
    double cpu_milli = 0;
    double memory_bytes = 0;
    double gpu_memory_bytes = 0;
  };

  void halve();

  std::map<Sort, Sum> sorts_;
  std::uint64_t counted_ = 0;
  std::uint64_t added_ = 0;  // since the last renewal
  std::uint64_t renew_after_ = 1;
  std::vector<Typical> most_common_;
  double cpu_milli_each_ = 0;
  double memory_bytes_each_ = 0;
};

}  // namespace reeve::cluster::scheduling
