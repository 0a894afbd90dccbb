// The helios format (CSV, after the traces of SenseTime's clusters): jobs that
// ask for GPUs alone, each virtual cluster ("tenant") with nodes of its own.
#include <fmt/format.h>

#include <algorithm>
#include <charconv>

#include "cluster/trace/rows.hpp"
#include "cluster/trace/trace.hpp"
#include "cluster/units.hpp"

namespace reeve {
namespace {

using std::string_view;
using trace::Rows;

constexpr std::uint32_t gpus_per_node = 8;

namespace job {
enum {
  id,
  user,
  tenant,
  submitted,
  chips,
  duration,
  chip,
  nodes,
  limit,
  status
};
constexpr string_view columns[] = {
    "job_id",     "user",      "tenant",    "submit_time",      "num_chips",
    "duration_s", "chip_type", "num_nodes", "walltime_limit_s", "final_status"};
constexpr std::size_t required = chip;
}  // namespace job

constexpr std::uint64_t microtrace_seconds_max = 18'000'000'000'000'000;

// Whole nodes above eight GPUs, else one task.
Status read_shape(const Rows& rows, TraceRequest& out) {
  const auto chips =
      rows.number(job::chips, std::uint64_t{trace_gpus_max} * trace_tasks_max);
  if (!chips) return tl::unexpected(chips.error());
  std::uint64_t nodes = 0;
  if (!rows.text(job::nodes).empty()) {
    const auto told = rows.number(job::nodes, trace_tasks_max);
    if (!told) return tl::unexpected(told.error());
    nodes = *told;
  }
  if (nodes == 0) nodes = (*chips + gpus_per_node - 1) / gpus_per_node;
  nodes = std::clamp<std::uint64_t>(nodes, 1, trace_tasks_max);
  const std::uint64_t each = (*chips + nodes - 1) / nodes;
  if (each > trace_gpus_max)
    return rows.error(
        job::chips,
        fmt::format("{} on {}: {} on each; at most {}", counted(*chips, "GPU"),
                    counted(nodes, "node"), each, trace_gpus_max));
  out.tasks = static_cast<std::uint32_t>(nodes);
  out.nodes = nodes > 1 ? out.tasks : 0;
  out.gpus = static_cast<std::uint32_t>(each);
  return {};
}

Expected<TraceRequest> read_job(const Rows& rows) {
  TraceRequest out;
  out.name = rows.text(job::id);
  if (out.name.empty()) return rows.error(job::id, "a job id is expected");
  out.user = rows.text(job::user);
  out.project = out.group = rows.text(job::tenant);
  const auto submitted = rows.number(job::submitted, microtrace_seconds_max);
  if (!submitted) return tl::unexpected(submitted.error());
  out.arrival_ns = *submitted * 1000;
  if (auto good = read_shape(rows, out); !good)
    return tl::unexpected(good.error());
  if (out.gpus > 0 && !rows.text(job::chip).empty())
    out.gpu_models.emplace_back(rows.text(job::chip));
  const auto duration = rows.seconds(job::duration);
  if (!duration) return tl::unexpected(duration.error());
  if (*duration < 0) return rows.error(job::duration, "a length is expected");
  out.duration_ns = trace::nanoseconds(*duration);
  const auto limit = rows.seconds(job::limit);
  if (!limit) return tl::unexpected(limit.error());
  if (*limit > 0) out.time_limit_ns = trace::nanoseconds(*limit);
  const string_view status = rows.text(job::status);
  out.succeeded = status.empty() || status == "COMPLETED";
  return out;
}

// "per-VC pool sizes (nodes, 8 GPU/node): vcvGl=20, vcvlY=2" in a comment.
std::vector<TraceNode> told_nodes(string_view comments) {
  std::vector<TraceNode> out;
  const std::size_t mark = comments.find("pool sizes (nodes, 8 GPU/node):");
  if (mark == string_view::npos) return out;
  string_view rest = comments.substr(mark);
  rest = rest.substr(rest.find(':') + 1);
  rest = rest.substr(0, rest.find('\n'));
  while (!rest.empty()) {
    const std::size_t end = std::min(rest.find(','), rest.size());
    string_view one = rest.substr(0, end);
    rest.remove_prefix(std::min(end + 1, rest.size()));
    while (one.starts_with(' ')) one.remove_prefix(1);
    const std::size_t equals = std::min(one.find('='), one.size());
    const string_view number = one.substr(std::min(equals + 1, one.size()));
    std::uint32_t count = 0;
    const auto taken =
        std::from_chars(number.data(), number.data() + number.size(), count);
    if (equals == 0 || taken.ec != std::errc{} ||
        count > trace_nodes_max -
                    std::min<std::size_t>(out.size(), trace_nodes_max))
      return {};
    const string_view pool = one.substr(0, equals);
    for (auto& node :
         made_up_nodes(count, fmt::format("{}-", pool), "GPU", pool))
      out.push_back(std::move(node));
  }
  return out;
}

}  // namespace

Expected<Trace> parse_helios(string_view text, string_view file) {
  Rows rows(text, file);
  if (auto good = rows.header(job::columns, job::required); !good)
    return tl::unexpected(good.error());
  Trace out;
  out.nodes = told_nodes(rows.comments());
  for (;;) {
    const auto more = rows.next();
    if (!more) return tl::unexpected(more.error());
    if (!*more) return out;
    auto job = read_job(rows);
    if (!job) return tl::unexpected(job.error());
    out.requests.push_back(std::move(*job));
  }
}

}  // namespace reeve
