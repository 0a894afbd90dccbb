#include "cluster/trace.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>
#include <span>
#include <unordered_set>

#include "cluster/types.hpp"

namespace reeve {
namespace {

using std::string_view;

constexpr std::uint64_t mebibyte = 1 << 20;
constexpr std::uint64_t gibibyte = 1 << 30;
// Ten thousand years of seconds: far above any trace, safe in nanoseconds.
constexpr double seconds_max = 1.8e10;

// Reads a CSV by the names in its first line, one row at a time.
class Rows {
 public:
  Rows(string_view text, string_view file) : rest_(text), file_(file) {}

  // Finds the columns; those in `required` must be there.
  Status header(std::span<const string_view> known,
                std::span<const string_view> required) {
    if (!next_line())
      return fail(Errc::usage, fmt::format("{}: the file is empty; a header "
                                           "line with column names is "
                                           "expected",
                                           file_));
    split();
    width_ = cells_.size();
    columns_.assign(known.size(), -1);
    for (std::size_t i = 0; i < known.size(); ++i)
      for (std::size_t j = 0; j < cells_.size(); ++j)
        if (cells_[j] == known[i]) columns_[i] = static_cast<int>(j);
    for (const string_view name : required)
      if (std::find(cells_.begin(), cells_.end(), name) == cells_.end())
        return fail(Errc::usage,
                    fmt::format("{}:1: column \"{}\" is missing; the header "
                                "is \"{}\"",
                                file_, name, line_));
    return {};
  }

  // False at the end of the text. Blank lines are passed over.
  Expected<bool> next() {
    do {
      if (!next_line()) return false;
    } while (line_.empty());
    split();
    if (cells_.size() != width_)
      return fail(Errc::usage,
                  fmt::format("{}:{}: {} columns where the header has {}",
                              file_, number_, cells_.size(), width_));
    return true;
  }

  string_view text(std::size_t column) const {
    return columns_[column] < 0
               ? string_view()
               : cells_[static_cast<std::size_t>(columns_[column])];
  }

  Expected<std::uint64_t> number(std::size_t column, std::uint64_t most) const {
    const string_view cell = text(column);
    std::uint64_t value = 0;
    const char* end = cell.data() + cell.size();
    const auto taken = std::from_chars(cell.data(), end, value);
    if (taken.ec != std::errc{} || taken.ptr != end || value > most)
      return error(column, fmt::format("\"{}\" is no whole number up to {}",
                                       cell, most));
    return value;
  }

  // Seconds, whole or with decimals; an empty cell is -1.
  Expected<double> seconds(std::size_t column) const {
    const string_view cell = text(column);
    if (cell.empty()) return -1.0;
    double value = 0;
    const char* end = cell.data() + cell.size();
    const auto taken = std::from_chars(cell.data(), end, value);
    if (taken.ec != std::errc{} || taken.ptr != end || !(value >= 0) ||
        value > seconds_max)
      return error(column, fmt::format("\"{}\" is no time in seconds", cell));
    return value;
  }

  tl::unexpected<Error> error(std::size_t column, string_view what) const {
    std::size_t offset = 1;
    if (columns_[column] >= 0)
      offset = static_cast<std::size_t>(text(column).data() - line_.data()) + 1;
    return fail(Errc::usage,
                fmt::format("{}:{}:{}: {}", file_, number_, offset, what));
  }

 private:
  bool next_line() {
    if (rest_.empty()) return false;
    const std::size_t end = std::min(rest_.find('\n'), rest_.size());
    line_ = rest_.substr(0, end);
    rest_.remove_prefix(std::min(end + 1, rest_.size()));
    if (!line_.empty() && line_.back() == '\r') line_.remove_suffix(1);
    ++number_;
    return true;
  }

  void split() {
    cells_.clear();
    string_view rest = line_;
    for (;;) {
      const std::size_t comma = rest.find(',');
      cells_.push_back(rest.substr(0, comma));
      if (comma == string_view::npos) return;
      rest.remove_prefix(comma + 1);
    }
  }

  string_view rest_;
  string_view file_;
  string_view line_;
  std::size_t number_ = 0;
  std::size_t width_ = 0;
  std::vector<string_view> cells_;
  std::vector<int> columns_;
};

std::vector<std::string> split_models(string_view text) {
  std::vector<std::string> models;
  while (!text.empty()) {
    const std::size_t end = std::min(text.find('|'), text.size());
    std::string model(text.substr(0, end));
    if (!model.empty() &&
        std::find(models.begin(), models.end(), model) == models.end())
      models.push_back(std::move(model));
    text.remove_prefix(std::min(end + 1, text.size()));
  }
  return models;
}

std::uint64_t nanoseconds(double seconds) {
  return static_cast<std::uint64_t>(seconds) * second_ns +
         static_cast<std::uint64_t>((seconds - std::floor(seconds)) * 1e9);
}

namespace request {
enum { name, cpu, memory, gpus, share, models, created, deleted, scheduled };
constexpr string_view columns[] = {
    "name",     "cpu_milli",     "memory_mib",    "num_gpu",       "gpu_milli",
    "gpu_spec", "creation_time", "deletion_time", "scheduled_time"};
}  // namespace request

Status read_times(const Rows& rows, TraceRequest& out) {
  const auto created = rows.seconds(request::created);
  if (!created) return tl::unexpected(created.error());
  const auto deleted = rows.seconds(request::deleted);
  if (!deleted) return tl::unexpected(deleted.error());
  const auto scheduled = rows.seconds(request::scheduled);
  if (!scheduled) return tl::unexpected(scheduled.error());
  if (*created >= 0) out.arrival_ns = nanoseconds(*created);
  const double started = *scheduled >= 0 ? *scheduled : *created;
  if (started >= 0 && *deleted > started)
    out.duration_ns = nanoseconds(*deleted - started);
  return {};
}

Expected<TraceRequest> read_request(const Rows& rows) {
  TraceRequest out;
  out.name = rows.text(request::name);
  if (out.name.empty()) return rows.error(request::name, "a name is expected");
  const auto cpu = rows.number(request::cpu, UINT32_MAX);
  if (!cpu) return tl::unexpected(cpu.error());
  const auto memory = rows.number(request::memory, UINT64_MAX / mebibyte);
  if (!memory) return tl::unexpected(memory.error());
  const auto gpus = rows.number(request::gpus, trace_gpus_max);
  if (!gpus) return tl::unexpected(gpus.error());
  const auto share = rows.number(request::share, milli_per_device);
  if (!share) return tl::unexpected(share.error());
  if (*gpus > 0 && *share == 0)
    return rows.error(request::share, "a share of 0 of a GPU");
  out.cpu_milli = static_cast<std::uint32_t>(*cpu);
  out.memory_bytes = *memory * mebibyte;
  out.gpus = static_cast<std::uint32_t>(*gpus);
  if (*gpus > 0) out.gpu_milli = static_cast<std::uint32_t>(*share);
  if (*gpus > 0) out.gpu_models = split_models(rows.text(request::models));
  if (auto times = read_times(rows, out); !times)
    return tl::unexpected(times.error());
  return out;
}

namespace node {
enum { name, cpu, memory, gpus, model };
constexpr string_view columns[] = {"sn", "cpu_milli", "memory_mib", "gpu",
                                   "model"};
}  // namespace node

Expected<TraceNode> read_node(const Rows& rows) {
  TraceNode out;
  out.name = rows.text(node::name);
  if (out.name.empty()) return rows.error(node::name, "a name is expected");
  const auto cpu = rows.number(node::cpu, UINT32_MAX);
  if (!cpu) return tl::unexpected(cpu.error());
  const auto memory = rows.number(node::memory, UINT64_MAX / mebibyte);
  if (!memory) return tl::unexpected(memory.error());
  const auto gpus = rows.number(node::gpus, trace_gpus_max);
  if (!gpus) return tl::unexpected(gpus.error());
  out.cpu_milli = static_cast<std::uint32_t>(*cpu);
  out.memory_bytes = *memory * mebibyte;
  out.gpus = static_cast<std::uint32_t>(*gpus);
  out.gpu_model = rows.text(node::model);
  if (out.gpus > 0 && out.gpu_model.empty())
    return rows.error(node::model, "a node with GPUs needs their model");
  return out;
}

}  // namespace

Expected<std::vector<TraceRequest>> parse_openb_requests(string_view text,
                                                         string_view file) {
  Rows rows(text, file);
  const auto required = std::span(request::columns).first(request::models);
  if (auto good = rows.header(request::columns, required); !good)
    return tl::unexpected(good.error());
  std::vector<TraceRequest> out;
  for (;;) {
    const auto more = rows.next();
    if (!more) return tl::unexpected(more.error());
    if (!*more) return out;
    auto request = read_request(rows);
    if (!request) return tl::unexpected(request.error());
    out.push_back(std::move(*request));
  }
}

Expected<std::vector<TraceNode>> parse_openb_nodes(string_view text,
                                                   string_view file) {
  Rows rows(text, file);
  if (auto good = rows.header(node::columns, node::columns); !good)
    return tl::unexpected(good.error());
  std::vector<TraceNode> out;
  std::unordered_set<std::string> names;
  for (;;) {
    const auto more = rows.next();
    if (!more) return tl::unexpected(more.error());
    if (!*more) return out;
    auto read = read_node(rows);
    if (!read) return tl::unexpected(read.error());
    if (!names.insert(read->name).second)
      return rows.error(node::name,
                        fmt::format("node \"{}\" stands twice", read->name));
    out.push_back(std::move(*read));
  }
}

std::uint64_t device_memory_bytes(string_view model) {
  struct Known {
    string_view model;
    std::uint64_t gib;
  };
  // G2 and G3 are anonymous in the published trace: their figures are a guess.
  static constexpr Known known[] = {
      {"P100", 16}, {"T4", 16},   {"V100M16", 16}, {"V100M32", 32},
      {"G2", 24},   {"A10", 24},  {"G3", 32},      {"A100", 80},
      {"H100", 80}, {"H200", 141}};
  for (const auto& entry : known)
    if (entry.model == model) return entry.gib * gibibyte;
  return 16 * gibibyte;
}

}  // namespace reeve
