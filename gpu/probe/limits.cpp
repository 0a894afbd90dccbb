#include "gpu/probe/limits.hpp"

#include <fmt/format.h>

#include <cerrno>
#include <charconv>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <sstream>

namespace reeve::gpu::probe {
namespace {

// Dense rates with fp32 sums, at the boost clock; memory by clock and width.
// Host copies: what PCIe carries in one direction.
constexpr std::string_view table = R"(
model NVIDIA A100-SXM4-40GB
memory_read 1.555e12 0.80
memory_write 1.555e12 0.75
memory_copy 1.555e12 0.75
to_device 3.15e10 0.60
to_host 3.15e10 0.60
fp32 1.95e13 0.80
fp64 9.7e12 0.80
bf16 3.12e14 0.60

model NVIDIA A100-SXM4-80GB
memory_read 2.039e12 0.80
memory_write 2.039e12 0.75
memory_copy 2.039e12 0.75
to_device 3.15e10 0.60
to_host 3.15e10 0.60
fp32 1.95e13 0.80
fp64 9.7e12 0.80
bf16 3.12e14 0.60

model NVIDIA H100 PCIe
memory_read 2.039e12 0.80
memory_write 2.039e12 0.75
memory_copy 2.039e12 0.75
to_device 6.3e10 0.60
to_host 6.3e10 0.60
fp32 5.1e13 0.60
fp64 2.6e13 0.60
bf16 7.56e14 0.45

model NVIDIA H100 80GB HBM3
memory_read 3.352e12 0.80
memory_write 3.352e12 0.75
memory_copy 3.352e12 0.75
to_device 6.3e10 0.60
to_host 6.3e10 0.60
fp32 6.69e13 0.75
fp64 3.35e13 0.75
bf16 9.89e14 0.55

model NVIDIA H200
memory_read 4.8e12 0.80
memory_write 4.8e12 0.75
memory_copy 4.8e12 0.75
to_device 6.3e10 0.60
to_host 6.3e10 0.60
fp32 6.69e13 0.75
fp64 3.35e13 0.75
bf16 9.89e14 0.55
)";

std::string_view next(std::string_view& text, char separator) {
  const auto at = text.find(separator);
  const auto part = text.substr(0, at);
  text.remove_prefix(at == text.npos ? text.size() : at + 1);
  return part;
}

bool number_of(std::string_view text, double& number) {
  const auto [end, error] =
      std::from_chars(text.data(), text.data() + text.size(), number);
  return error == std::errc() && end == text.data() + text.size();
}

std::string_view trimmed(std::string_view line) {
  line = line.substr(0, line.find('#'));
  while (!line.empty() && line.back() == ' ') line.remove_suffix(1);
  while (!line.empty() && line.front() == ' ') line.remove_prefix(1);
  return line;
}

// What is wrong with a line; empty when it was taken.
std::string take(std::string_view line, std::vector<Model>& models) {
  constexpr std::string_view begins = "model ";
  if (line.substr(0, begins.size()) == begins) {
    if (models.size() == models_max)
      return fmt::format("more than {} models", models_max);
    models.push_back({std::string(trimmed(line.substr(begins.size()))), {}});
    return "";
  }
  if (models.empty()) return "a figure before the first model";
  Limit limit;
  limit.figure = next(line, ' ');
  if (!number_of(next(line, ' '), limit.limit) || !(limit.limit > 0))
    return fmt::format("{} has no limit above 0", limit.figure);
  if (!number_of(line, limit.floor_share) || !(limit.floor_share > 0) ||
      !(limit.floor_share < 1))
    return fmt::format("the share of {} is not between 0 and 1", limit.figure);
  models.back().limits.push_back(limit);
  return "";
}

}  // namespace

const Models& Models::known() {
  static const Models models = *parse(table);
  return models;
}

tl::expected<Models, std::string> Models::parse(std::string_view text) {
  Models models;
  for (int number = 1; !text.empty(); ++number) {
    const auto line = trimmed(next(text, '\n'));
    if (line.empty()) continue;
    if (const auto problem = take(line, models.models_); !problem.empty())
      return tl::unexpected<std::string>(
          fmt::format("line {} of the table of models: {}", number, problem));
  }
  return models;
}

tl::expected<Models, std::string> Models::load(const std::string& path) {
  std::error_code error;
  const auto bytes = std::filesystem::file_size(path, error);
  if (error)
    return tl::unexpected<std::string>(
        fmt::format("{} cannot be read: {}", path, error.message()));
  if (bytes > models_bytes_max)
    return tl::unexpected<std::string>(
        fmt::format("{} has {} bytes; a table of models has at most {}", path,
                    bytes, models_bytes_max));
  std::ifstream file(path, std::ios::binary);
  std::ostringstream text;
  if (!(text << file.rdbuf()))
    return tl::unexpected<std::string>(fmt::format(
        "{} cannot be read, or is empty: {}", path, std::strerror(errno)));
  auto models = parse(text.view());
  if (!models)
    return tl::unexpected<std::string>(
        fmt::format("{}: {}", path, models.error()));
  return models;
}

const Model* Models::find(std::string_view device) const {
  const Model* best = nullptr;
  for (const Model& model : models_)
    if (device.substr(0, model.name.size()) == model.name &&
        (!best || model.name.size() > best->name.size()))
      best = &model;
  return best;
}

}  // namespace reeve::gpu::probe
