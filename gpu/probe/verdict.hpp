// What the results of a probe say of a device.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "gpu/probe/history.hpp"
#include "gpu/probe/limits.hpp"
#include "gpu/probe/result.hpp"

namespace reeve::gpu::probe {

// From the best to the worst.
enum class Grade {
  healthy,
  slow,        // right, but below what its model or itself should reach
  unfinished,  // not all checks could be made
  faulty,      // it keeps or computes something else than it should
};
std::string_view name(Grade grade);

struct Verdict {
  Grade grade = Grade::healthy;
  std::vector<std::string> reasons;  // the worst first
};

// A device is slow for itself below this share of its own median.
constexpr double own_share_min = 0.9;

// `model` is null for a model that is not in the table: then only the history
// tells what is slow.
Verdict judge(const std::vector<Result>& results, const Model* model,
              const History& history);

}  // namespace reeve::gpu::probe
