// trace simulate: a recorded workload on a virtual clock, without a cell.
#include <fmt/format.h>

#include "cluster/simulation/fill.hpp"
#include "cluster/simulation/from_trace.hpp"
#include "cluster/simulation/measure.hpp"
#include "cluster/units.hpp"
#include "tools/log/handlers.hpp"
#include "tools/log/simulate.hpp"
#include "tools/trace/trace_file.hpp"

namespace reeve::tools {
namespace {

using namespace cluster::simulation;
using std::string;

// Of --fill; 0: a queueing replay.
Expected<double> load_of(const Arguments& arguments) {
  const auto text = arguments.find("--fill");
  if (!text) return 0.0;
  const auto milli = parse_milli(*text, "load");
  if (!milli || *milli == 0 || *milli > fill_load_max * 1000)
    return fail(Errc::usage,
                fmt::format("--fill: \"{}\" is no load up to {}; write how "
                            "often the GPUs are asked for, as in 1.3",
                            *text, fill_load_max));
  return *milli / 1000.0;
}

Expected<std::uint64_t> seed_of(const Arguments& arguments) {
  const auto text = arguments.find("--seed");
  if (!text) return std::uint64_t{1};
  const auto seed = parse_count(*text, "seed");
  if (!seed)
    return fail(Errc::usage, fmt::format("--seed: {}", seed.error().text));
  return *seed;
}

struct Simulated {
  string policy;
  std::uint64_t seed = 0;
  std::uint64_t nodes = 0;
  std::uint64_t gpus = 0;
  bool filled = false;
  double at_100 = -1;  // of all GPUs; negative: not reached
  double at_130 = -1;
  Figures figures;
  double wall_s = 0;

  double decisions_per_s() const {
    const auto decisions =
        static_cast<double>(figures.started + figures.refused);
    return wall_s > 0 ? decisions / wall_s : 0;
  }
};

string number_or_null(bool there, double value) {
  return there ? fmt::format("{:.3f}", value) : "null";
}

string json_of(const Simulated& done) {
  const Figures& figures = done.figures;
  const bool queued = !done.filled;
  JsonObject allocated;
  allocated.raw("at_100", number_or_null(done.at_100 >= 0, 100 * done.at_100))
      .raw("at_130", number_or_null(done.at_130 >= 0, 100 * done.at_130));
  return JsonObject()
      .text("policy", done.policy)
      .number("seed", done.seed)
      .number("nodes", done.nodes)
      .number("gpus", done.gpus)
      .number("sessions", figures.sessions)
      .number("placed", figures.started)
      .number("dropped", figures.refused)
      .raw("allocated_gpu_pct", allocated.done())
      .raw("mean_completion_s",
           number_or_null(queued && figures.completion.count > 0,
                          figures.completion.mean_ns / 1e9))
      .raw("mean_queueing_s",
           number_or_null(queued && figures.waiting.count > 0,
                          figures.waiting.mean_ns / 1e9))
      .raw("p99_queueing_s",
           number_or_null(queued && figures.waiting.count > 0,
                          static_cast<double>(figures.waiting.p99_ns) / 1e9))
      .raw("largest_gangs_mean_queueing_s",
           number_or_null(queued && figures.gang_waiting.count > 0,
                          figures.gang_waiting.mean_ns / 1e9))
      .real("decisions_per_s", done.decisions_per_s())
      .real("wall_s", done.wall_s)
      .done();
}

string text_of(const Simulated& done, const Terminal& terminal) {
  const Figures& figures = done.figures;
  const auto mean = [](const Distribution& of) {
    return format_duration(static_cast<std::uint64_t>(of.mean_ns));
  };
  Sheet sheet;
  sheet.add("policy", done.policy);
  sheet.add("nodes",
            fmt::format("{} with {}", done.nodes, counted(done.gpus, "GPU")));
  sheet.add("sessions", fmt::format("{}", figures.sessions));
  sheet.add("placed", fmt::format("{}", figures.started));
  if (figures.refused > 0)
    sheet.add("dropped", fmt::format("{} that fit nowhere", figures.refused));
  if (figures.waiting_still > 0 && !done.filled)
    sheet.add("never placed", fmt::format("{}", figures.waiting_still));
  if (done.filled) {
    sheet.add("seed", fmt::format("{}", done.seed));
    if (done.at_100 >= 0)
      sheet.add("GPUs held at 100 %",
                fmt::format("{:.2f} %", 100 * done.at_100));
    if (done.at_130 >= 0)
      sheet.add("GPUs held at 130 %",
                fmt::format("{:.2f} %", 100 * done.at_130));
  } else {
    sheet.add("completion", fmt::format("mean {}", mean(figures.completion)));
    sheet.add("queueing",
              fmt::format("mean {}, p50 {}, p95 {}, p99 {}, longest {}",
                          mean(figures.waiting),
                          format_duration(figures.waiting.p50_ns),
                          format_duration(figures.waiting.p95_ns),
                          format_duration(figures.waiting.p99_ns),
                          format_duration(figures.waiting.max_ns)));
    if (figures.gang_waiting.count > 0)
      sheet.add("largest gangs",
                fmt::format("queueing mean {}, longest {} ({})",
                            mean(figures.gang_waiting),
                            format_duration(figures.gang_waiting.max_ns),
                            counted(figures.gang_waiting.count, "gang")));
  }
  sheet.add("took", fmt::format("{:.2f} s, {:.0f} decisions/s", done.wall_s,
                                done.decisions_per_s()));
  return sheet.text(terminal);
}

}  // namespace

Result trace_simulate(const Context& context, const Arguments& arguments) {
  auto options = cell_options(arguments);
  if (!options) return tl::unexpected(options.error());
  const auto load = load_of(arguments);
  if (!load) return tl::unexpected(load.error());
  const auto seed = seed_of(arguments);
  if (!seed) return tl::unexpected(seed.error());
  if (*load > 0 && options->round_ns > 0)
    return fail(Errc::usage, "--fill has no clock: leave out --round-s");
  const auto trace = read_trace(arguments.words[0],
                                arguments.find("--format").value_or("openb"));
  if (!trace) return tl::unexpected(trace.error());
  const auto nodes = nodes_of(*trace, arguments);
  if (!nodes) return tl::unexpected(nodes.error());
  if (trace->never_ran > 0 && !context.quiet)
    say(fmt::format("left out: {} of the trace that never ran",
                    counted(trace->never_ran, "job")));

  const bool fills = *load > 0;
  const Workload work = fills ? filled(*trace, *nodes, *load, *seed)
                              : workload_of(*trace, *nodes);
  if (fills) options->unplaced = Unplaced::is_refused;
  const std::uint64_t begun_ns = monotonic_ns();
  VirtualCell cell(work, *options);
  run_cell(work, context.quiet, cell);
  Simulated done;
  done.wall_s = static_cast<double>(monotonic_ns() - begun_ns) / 1e9;
  done.policy = arguments.find("--policy").value_or(to_text(cluster::Policy{}));
  done.seed = *seed;
  done.nodes = nodes->size();
  done.gpus = gpu_milli_of_nodes(work) / milli_per_device;
  done.filled = fills;
  if (fills) {
    done.at_100 = held_share(work, cell.outcomes(), 1.0);
    done.at_130 = held_share(work, cell.outcomes(), 1.3);
  }
  done.figures = measure(work, cell.outcomes(), cell.moment());
  print(context.json ? json_of(done) + '\n' : text_of(done, context.terminal));
  return 0;
}

}  // namespace reeve::tools
