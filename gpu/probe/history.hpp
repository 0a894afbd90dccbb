// What a device reached in earlier probes: it may be slow for itself while
// still good enough for its model.
#pragma once

#include <cstddef>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "gpu/probe/result.hpp"

namespace reeve::gpu::probe {

constexpr std::size_t history_probes_max = 16;  // the oldest are forgotten

class History {
 public:
  // Only of probes that found nothing wrong: a sick device sets no standard.
  void add(const std::vector<Result>& results);
  // The middle of what is known; empty for fewer than three values.
  std::optional<double> median(const std::string& figure) const;

  // To keep it between runs; what is not understood is left out.
  std::string to_text() const;
  static History from_text(std::string_view text);

 private:
  std::map<std::string, std::vector<double>> values_;
};

}  // namespace reeve::gpu::probe
