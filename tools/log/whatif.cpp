// whatif: the sessions of a log, or of a trace, on another cluster or by
// another policy, beside what really happened.
#include <fmt/format.h>

#include "cluster/simulation/from_trace.hpp"
#include "cluster/simulation/measure.hpp"
#include "tools/log/handlers.hpp"
#include "tools/log/simulate.hpp"
#include "tools/log/whatif_source.hpp"
#include "tools/page/whole_file.hpp"
#include "tools/trace/trace_file.hpp"

namespace reeve::tools {
namespace {

using namespace cluster::simulation;
using std::string;

Status check_words(const Context& context, const Arguments& arguments) {
  const bool traced = arguments.has("--trace");
  for (const char* option : {"--log", "--from", "--to"})
    if (traced && arguments.has(option))
      return fail(
          Errc::usage,
          fmt::format("{} is of a log: leave it out with --trace", option));
  if (!traced && arguments.has("--format"))
    return fail(Errc::usage, "--format is of a trace: name it with --trace");
  if (context.json && arguments.text("--html") == "-")
    return fail(Errc::usage,
                "--json and --html - cannot both have standard output");
  return {};
}

Status change_nodes(const Arguments& arguments, Workload& work) {
  const auto more = more_nodes(arguments);
  if (!more) return tl::unexpected(more.error());
  if (*more != 0) return add_nodes(work, *more);
  const auto nodes = read_node_lists(arguments.all("--nodes"));
  if (!nodes) return tl::unexpected(nodes.error());
  if (!nodes->empty()) replace_nodes(work, *nodes);
  return {};
}

void add_waiting(const Workload& work, const std::vector<Outcome>& outcomes,
                 Time until, Side& side) {
  if (side.use)
    side.waiting =
        waiting_series(work, outcomes, until, side.use->series().piece_ns());
}

Result tell(const Context& context, const Arguments& arguments,
            const Comparison& all, std::optional<WholeFile>& file) {
  const string path(arguments.text("--html"));
  if (file) {
    const string page = comparison_page(all);
    if (auto written = file->finish(page); !written)
      return tl::unexpected(written.error());
    if (path == "-") return 0;
    if (!context.quiet)
      say(fmt::format("{}: {}", path, format_bytes(page.size())));
  }
  print(context.json ? comparison_json(all) + '\n'
                     : comparison_text(all, context.terminal));
  return 0;
}

}  // namespace

Result log_whatif(const Context& context, const Arguments& arguments) {
  if (auto good = check_words(context, arguments); !good)
    return tl::unexpected(good.error());
  const auto options = cell_options(arguments);
  if (!options) return tl::unexpected(options.error());
  auto past = arguments.has("--trace") ? past_of_trace(context, arguments)
                                       : past_of_log(context, arguments);
  if (!past) return tl::unexpected(past.error());
  Workload work = past->work;
  if (auto good = change_nodes(arguments, work); !good)
    return tl::unexpected(good.error());
  std::optional<WholeFile> file;
  if (arguments.has("--html")) {
    auto opened = WholeFile::open(string(arguments.text("--html")));
    if (!opened) return tl::unexpected(opened.error());
    file.emplace(std::move(*opened));
  }

  Comparison all;
  all.of = past->of;
  all.really = past->really;
  all.dated = past->dated;
  all.from = past->work.from;
  all.to = past->work.to;
  all.work = &past->work;
  all.withdrawn = past->withdrawn;
  all.unknown_length = past->unknown_length;
  all.was = std::move(past->side);
  all.would.policy = arguments.text("--policy");
  const auto run = run_and_measure(work, *options, context.quiet, all.would);
  if (!run) return tl::unexpected(run.error());
  align(all);
  add_waiting(past->work, past->outcomes, past->until, all.was);
  add_waiting(work, run->outcomes, run->until, all.would);
  return tell(context, arguments, all, file);
}

}  // namespace reeve::tools
