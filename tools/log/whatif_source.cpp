#include "tools/log/whatif_source.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <filesystem>

#include "cluster/simulation/from_trace.hpp"
#include "cluster/simulation/observer.hpp"
#include "cluster/simulation/recorder.hpp"
#include "tools/log/simulate.hpp"
#include "tools/log/time_window.hpp"
#include "tools/trace/trace_file.hpp"

namespace reeve::tools {

using namespace cluster::simulation;
using std::string;

namespace {

// The log is read twice: the second time it is known what is typical of it.
Status read_log(const Context& context, store::LogReader& log,
                const TimeWindow& range, Past& out) {
  // How long it took what was submitted in the window is told later.
  TimeWindow whole = range;
  whole.events.to = log.head().sequence;
  Recorder recorder(range.from, range.to);
  const auto recorded = run_events(
      log, whole, context.quiet,
      [&](const schema::Event& event, std::span<const std::byte> bytes) {
        return recorder.apply(event, bytes);
      });
  if (!recorded) return recorded;
  out.until = std::max(range.to, range.log_to);
  auto seen = recorder.finish(out.until);
  out.work = std::move(seen.work);
  out.outcomes = std::move(seen.outcomes);
  out.withdrawn = seen.withdrawn;
  out.unknown_length = seen.unknown_length;
  if (out.work.sessions.empty())
    return fail(Errc::not_found,
                "no session that started, or whose length is known, lies in "
                "this range");
  Time end = range.to;
  for (std::size_t i = 0; i < out.outcomes.size(); ++i)
    if (out.work.sessions[i].counted)
      end = std::max(end, out.outcomes[i].ended_at);
  Observer observer(out.work);
  const auto observed = run_events(
      log, whole, context.quiet,
      [&](const schema::Event& event, std::span<const std::byte>) {
        return Time{event.time_at()} > end ? Status() : observer.apply(event);
      });
  if (!observed) return observed;
  observer.finish(end);
  out.side.use = observer.use();
  out.side.fragmentation = observer.fragmentation();
  out.of = observer.cell().empty() ? "a log"
                                   : fmt::format("cell {}", observer.cell());
  return {};
}

// What the recorded sessions held; the nodes were all up all the time.
UseMeter recorded_use(const Workload& work,
                      const std::vector<Outcome>& outcomes) {
  using namespace cluster::accounting;
  UseMeter out(work.from, work.to);
  for (std::size_t i = 0; i < outcomes.size(); ++i) {
    if (outcomes[i].started_at.value == 0) continue;
    const cluster::Request& request = work.requests[work.sessions[i].request];
    const schema::DeviceShare share(0, request.gpus * request.gpu_milli, 0);
    Holding held;
    held.from = outcomes[i].started_at;
    held.to = outcomes[i].ended_at.value > 0 ? outcomes[i].ended_at : work.to;
    held.cpu_milli = request.cpu_milli;
    held.memory_bytes = request.memory_bytes;
    held.devices = {&share, 1};
    held.user = work.users.all()[work.sessions[i].user];
    for (std::uint32_t task = 0; task < request.tasks; ++task) out.held(held);
  }
  for (const auto& change : work.changes) {
    const Node& node = work.inventories[change.inventory];
    NodeSpan span;
    span.from = work.from;
    span.to = work.to;
    span.capacity = {node.cpu_milli, node.memory_bytes,
                     std::uint64_t{milli_per_device} * node.devices.size()};
    out.node_was(span);
  }
  return out;
}

void take_record(const Trace& trace, Past& out) {
  out.really = "as recorded";
  out.outcomes = recorded_outcomes(trace, out.work);
  out.until = out.work.to;
  for (std::size_t i = 0; i < out.outcomes.size(); ++i) {
    out.until = std::max(out.until, out.outcomes[i].ended_at);
    out.work.sessions[i].cut = out.outcomes[i].ended_at.value == 0;
  }
  out.work.to = out.until;
  judge(out.work, out.outcomes, out.until, out.side);
  out.side.use = recorded_use(out.work, out.outcomes);
}

Expected<std::vector<TraceNode>> base_nodes(const Trace& trace,
                                            const Arguments& arguments) {
  const auto more = more_nodes(arguments);
  if (!more) return tl::unexpected(more.error());
  if (*more == 0) return nodes_of(trace, arguments);
  if (!trace.nodes.empty()) return trace.nodes;
  return fail(Errc::usage,
              fmt::format("--nodes {}: the trace does not tell of its nodes; "
                          "name them all",
                          arguments.text("--nodes")));
}

}  // namespace

Expected<Past> past_of_log(const Context& context, const Arguments& arguments) {
  auto log = open_log(context, arguments);
  if (!log) return tl::unexpected(log.error());
  const auto range = time_window(context, **log, arguments);
  if (!range) return tl::unexpected(range.error());
  Past out;
  out.really = "as it was";
  if (auto good = read_log(context, **log, *range, out); !good)
    return tl::unexpected(good.error());
  judge(out.work, out.outcomes, out.until, out.side);
  return out;
}

Expected<Past> past_of_trace(const Context& context,
                             const Arguments& arguments) {
  const string path(arguments.text("--trace"));
  auto trace = read_trace(path, arguments.find("--format").value_or("openb"));
  if (!trace) return tl::unexpected(trace.error());
  const auto nodes = base_nodes(*trace, arguments);
  if (!nodes) return tl::unexpected(nodes.error());
  Past out;
  out.of = std::filesystem::path(path).filename().string();
  out.dated = false;
  out.withdrawn = trace->never_ran;
  const bool told = std::any_of(trace->requests.begin(), trace->requests.end(),
                                [](const TraceRequest& request) {
                                  return request.waited_ns.has_value();
                                });
  if (told) out.withdrawn += leave_out_unstarted(*trace);
  out.work = workload_of(*trace, *nodes);
  if (told) {
    take_record(*trace, out);
    return out;
  }
  auto options = cell_options(arguments);
  if (!options) return tl::unexpected(options.error());
  options->policy.reset();
  out.really = "default policy";
  auto run = run_and_measure(out.work, *options, context.quiet, out.side);
  if (!run) return tl::unexpected(run.error());
  out.outcomes = std::move(run->outcomes);
  out.until = run->until;
  return out;
}

void judge(const Workload& work, const std::vector<Outcome>& outcomes,
           Time until, Side& side) {
  const Capacity all = capacity_of(work);
  side.nodes = all.nodes;
  side.gpus = all.devices;
  side.cpu_milli = all.cpu_milli;
  side.figures = measure(work, outcomes, until);
  for (const auto waited : waits(work, outcomes, until))
    if (waited != not_counted) side.waits_ns.push_back(waited);
}

Expected<Run> run_and_measure(const Workload& work, const CellOptions& options,
                              bool quiet, Side& side) {
  Observer observer(work);
  Status good;
  VirtualCell cell(work, options,
                   [&](const schema::Event& event, std::span<const std::byte>) {
                     if (good) good = observer.apply(event);
                   });
  run_cell(work, quiet, cell);
  // Its events are our own: no log is to blame.
  if (!good) return fail(Errc::internal, good.error().text);
  Run out{cell.outcomes(), std::max(cell.moment(), work.to)};
  observer.finish(out.until);
  judge(work, out.outcomes, out.until, side);
  side.use = observer.use();
  side.fragmentation = observer.fragmentation();
  return out;
}

Expected<std::int64_t> more_nodes(const Arguments& arguments) {
  const auto all = arguments.all("--nodes");
  if (all.empty()) return std::int64_t{0};
  const auto relative = [](std::string_view text) {
    return text.starts_with('+') || text.starts_with('-');
  };
  if (!std::any_of(all.begin(), all.end(), relative)) return std::int64_t{0};
  if (all.size() > 1)
    return fail(Errc::usage,
                "--nodes: one of +N and -N, or nodes; not several");
  const auto count = parse_count(std::string_view(all[0]).substr(1),
                                 "number of nodes", 1, trace_nodes_max);
  if (!count)
    return fail(Errc::usage, fmt::format("--nodes: {}", count.error().text));
  const auto number = static_cast<std::int64_t>(*count);
  return all[0][0] == '+' ? number : -number;
}

}  // namespace reeve::tools
