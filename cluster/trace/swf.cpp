// The Standard Workload Format of the Parallel Workloads Archive: 18 numbers a
// line, -1 for what is not known, comments after ";".
#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>

#include "cluster/trace/rows.hpp"
#include "cluster/trace/trace.hpp"
#include "cluster/types.hpp"

namespace reeve {
namespace {

using std::string_view;
using trace::Lines;

enum Field {
  number,
  submitted,
  waited,
  ran,
  processors_used,
  cpu_time,
  memory_used,
  processors_asked,
  time_asked,
  memory_asked,
  status,
  user,
  group,
  executable,
  queue,
  partition,
  preceding,
  think_time,
  fields
};

struct Row {
  std::array<double, fields> value{};
  std::array<std::size_t, fields> offset{};
};

constexpr std::uint64_t kibibyte = 1024;
constexpr double largest = 1e15;

Expected<Row> read_row(const Lines& lines) {
  Row out;
  const string_view line = lines.line();
  std::size_t at = 0;
  std::size_t count = 0;
  for (;;) {
    at = line.find_first_not_of(" \t", at);
    if (at == string_view::npos) break;
    const std::size_t end =
        std::min(line.find_first_of(" \t", at), line.size());
    if (count == fields)
      return lines.error_at(
          at, fmt::format("more than {} fields", static_cast<int>(fields)));
    double value = 0;
    const auto taken =
        std::from_chars(line.data() + at, line.data() + end, value);
    if (taken.ec != std::errc{} || taken.ptr != line.data() + end ||
        !(value >= -1 && value <= largest))
      return lines.error_at(
          at, fmt::format("\"{}\" is no number of -1 and above",
                          trace::shown(line.substr(at, end - at))));
    out.value[count] = value;
    out.offset[count] = at;
    ++count;
    at = end;
  }
  if (count != fields)
    return lines.error(fmt::format("{} fields; a job has {}", count,
                                   static_cast<int>(fields)));
  return out;
}

// A task for each processor, as long as a session may have so many.
Status shape(const Lines& lines, const Row& row, TraceRequest& out) {
  const bool asked = row.value[processors_asked] > 0;
  const Field field = asked ? processors_asked : processors_used;
  const double processors = row.value[field];
  const double each =
      processors <= trace_tasks_max
          ? 1
          : std::ceil(processors / static_cast<double>(trace_tasks_max));
  if (each * 1000 > UINT32_MAX)
    return lines.error_at(row.offset[field],
                          fmt::format("{:.0f} processors", processors));
  out.cpu_milli = static_cast<std::uint32_t>(each) * 1000;
  out.tasks = static_cast<std::uint32_t>(std::ceil(processors / each));
  const double memory = row.value[memory_asked] > 0 ? row.value[memory_asked]
                                                    : row.value[memory_used];
  if (memory > 0)
    out.memory_bytes = static_cast<std::uint64_t>(memory * each) * kibibyte;
  return {};
}

std::string named(const char* what, double value) {
  return value < 0 ? std::string() : fmt::format("{}{:.0f}", what, value);
}

Expected<TraceRequest> read_job(const Lines& lines, const Row& row) {
  TraceRequest out;
  out.name = named("job-", row.value[number]);
  out.user = named("user-", row.value[user]);
  out.project = named("group-", row.value[group]);
  out.group = named("partition-", row.value[partition]);
  for (const Field field : {submitted, waited, ran, time_asked})
    if (row.value[field] > trace::trace_seconds_max)
      return lines.error_at(row.offset[field],
                            fmt::format("{:.0f} seconds", row.value[field]));
  if (row.value[submitted] < 0)
    return lines.error_at(row.offset[submitted],
                          "the time of submission is expected");
  if (auto good = shape(lines, row, out); !good)
    return tl::unexpected(good.error());
  out.arrival_ns = trace::nanoseconds(row.value[submitted]);
  out.duration_ns = trace::nanoseconds(row.value[ran]);
  if (row.value[waited] >= 0)
    out.waited_ns = trace::nanoseconds(row.value[waited]);
  if (row.value[time_asked] > 0)
    out.time_limit_ns = trace::nanoseconds(row.value[time_asked]);
  out.succeeded = row.value[status] < 0 || row.value[status] == 1;
  return out;
}

// "; MaxNodes: 128" among the comments at the head.
void read_comment(string_view line, std::string_view name, std::uint64_t& out) {
  const std::size_t at = line.find(name);
  if (at == string_view::npos) return;
  line = line.substr(at + name.size());
  line = line.substr(std::min(line.find_first_not_of(" \t:"), line.size()));
  std::uint64_t value = 0;
  const auto taken =
      std::from_chars(line.data(), line.data() + line.size(), value);
  if (taken.ec == std::errc{}) out = value;
}

// So many nodes with so many processors in all.
std::vector<TraceNode> told_nodes(std::uint64_t nodes, std::uint64_t cpus) {
  if (cpus == 0) return {};
  if (nodes == 0 || nodes > cpus) nodes = 1;
  const std::uint64_t each = (cpus + nodes - 1) / nodes;
  if (nodes > trace_nodes_max || each * 1000 > UINT32_MAX) return {};
  std::vector<TraceNode> out;
  for (std::uint64_t i = 0; i < nodes; ++i) {
    TraceNode node;
    node.name = fmt::format("node-{:04}", i);
    node.cpu_milli = static_cast<std::uint32_t>(each) * 1000;
    node.memory_bytes = std::uint64_t{1} << 50;  // the header does not tell
    out.push_back(std::move(node));
  }
  return out;
}

}  // namespace

Expected<Trace> parse_swf(string_view text, string_view file) {
  Lines lines(text, file);
  Trace out;
  std::uint64_t nodes = 0;
  std::uint64_t processors = 0;
  bool any = false;
  for (;;) {
    const auto more = lines.next();
    if (!more) return tl::unexpected(more.error());
    if (!*more) break;
    const string_view line = lines.line();
    const std::size_t first = line.find_first_not_of(" \t");
    if (first == string_view::npos) continue;
    any = true;
    if (line[first] == ';') {
      read_comment(line, "MaxNodes", nodes);
      read_comment(line, "MaxProcs", processors);
      continue;
    }
    const auto row = read_row(lines);
    if (!row) return tl::unexpected(row.error());
    const bool has_run =
        row->value[ran] >= 0 &&
        (row->value[processors_asked] > 0 || row->value[processors_used] > 0);
    if (!has_run) {
      ++out.never_ran;
      continue;
    }
    auto job = read_job(lines, *row);
    if (!job) return tl::unexpected(job.error());
    out.requests.push_back(std::move(*job));
  }
  if (!any)
    return fail(Errc::usage, fmt::format("{}: the file is empty", file));
  out.nodes = told_nodes(nodes, processors == 0 ? nodes : processors);
  return out;
}

}  // namespace reeve
