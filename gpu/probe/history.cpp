#include "gpu/probe/history.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <sstream>

namespace reeve::gpu::probe {
namespace {

constexpr std::size_t enough = 3;

void append(std::vector<double>& values, double value) {
  values.push_back(value);
  if (values.size() > history_probes_max) values.erase(values.begin());
}

}  // namespace

void History::add(const std::vector<Result>& results) {
  for (const Result& result : results)
    for (const Figure& figure : result.figures)
      append(values_[figure.name], figure.value);
}

std::optional<double> History::median(const std::string& figure) const {
  const auto at = values_.find(figure);
  if (at == values_.end() || at->second.size() < enough) return std::nullopt;
  std::vector<double> sorted = at->second;
  const auto middle =
      sorted.begin() + static_cast<std::ptrdiff_t>(sorted.size() / 2);
  std::nth_element(sorted.begin(), middle, sorted.end());
  return *middle;
}

std::string History::to_text() const {
  std::string text;
  for (const auto& [figure, values] : values_) {
    text += figure;
    for (const double value : values) text += fmt::format(" {}", value);
    text += "\n";
  }
  return text;
}

History History::from_text(std::string_view text) {
  History history;
  std::istringstream lines{std::string(text)};
  for (std::string line; std::getline(lines, line);) {
    std::istringstream words(line);
    std::string figure;
    words >> figure;
    for (double value = 0; words >> value;)
      if (value > 0) append(history.values_[figure], value);
  }
  return history;
}

}  // namespace reeve::gpu::probe
