// logs.
#include <fmt/format.h>
#include <signal.h>

#include "cluster/session_id.hpp"
#include "cluster/units.hpp"
#include "tools/cli/cell.hpp"
#include "tools/cli/handlers.hpp"
#include "tools/cli/interrupts.hpp"
#include "tools/cli/session/follow.hpp"

namespace reeve::tools {
namespace {

struct LogsOptions {
  SessionId session;
  StreamKey key;
  std::uint32_t attempt = 0;  // 0: the newest
};

Expected<LogsOptions> logs_options(const Arguments& arguments) {
  LogsOptions out;
  const auto id = parse_session_id(arguments.words[0]);
  if (!id) return tl::unexpected(id.error());
  out.session = *id;
  out.key.stream = arguments.has("--stderr") ? 2 : 1;
  if (const auto task = arguments.find("--task")) {
    const auto rank = parse_count(*task, "rank of a task", 0, UINT32_MAX);
    if (!rank)
      return fail(Errc::usage, fmt::format("--task: {}", rank.error().text));
    out.key.rank = static_cast<std::uint32_t>(*rank);
  }
  if (const auto attempt = arguments.find("--attempt")) {
    const auto number = parse_count(*attempt, "attempt", 1, UINT32_MAX);
    if (!number)
      return fail(Errc::usage,
                  fmt::format("--attempt: {}", number.error().text));
    out.attempt = static_cast<std::uint32_t>(*number);
  }
  return out;
}

const schema::TaskView* find_task(const schema::SessionView& view,
                                  std::uint32_t rank) {
  if (view.tasks() == nullptr) return nullptr;
  for (const auto* task : *view.tasks())
    if (task->rank() == rank) return task;
  return nullptr;
}

Status check_task(const schema::SessionView& view, const LogsOptions& options) {
  if (options.attempt > view.attempt())
    return fail(
        Errc::not_found,
        fmt::format("{} is at attempt {}; there is no attempt {}",
                    to_text(options.session), view.attempt(), options.attempt));
  if (options.key.rank < view.tasks_wanted()) return {};
  return fail(
      Errc::not_found,
      fmt::format("{} has tasks 0 to {}, not {}", to_text(options.session),
                  view.tasks_wanted() - 1, options.key.rank));
}

Result show_output(Cell& cell, const schema::SessionView& view,
                   const LogsOptions& options, bool quiet) {
  const auto* task = find_task(view, options.key.rank);
  if (task == nullptr || task->agent() == nullptr) {
    if (!quiet)
      say(fmt::format("reeve: {} is {}: it has no output yet",
                      to_text(options.session),
                      EnumNameSessionState(view.state())));
    return 0;
  }
  if (view.simulated()) {
    if (!quiet) say("reeve: a simulated task has no output");
    return 0;
  }
  OutputStreams streams;
  streams.begin_attempt(options.attempt != 0 ? options.attempt
                                             : view.attempt());
  OutputWriter writer(false);
  const auto good = read_output(cell, task->agent()->string_view(),
                                options.session, options.key, streams,
                                [&](StreamKey key, std::string_view data) {
                                  return writer.write({key.rank, 1}, data);
                                });
  if (!good) return tl::unexpected(good.error());
  return 0;
}

}  // namespace

Result command_logs(const Context& context, const Arguments& arguments) {
  Interrupts interrupts;
  const auto options = logs_options(arguments);
  if (!options) return tl::unexpected(options.error());
  auto cell = Cell::connect(context);
  if (!cell) return tl::unexpected(cell.error());
  const auto view = (*cell)->session(options->session);
  if (!view) return tl::unexpected(view.error());
  if (auto good = check_task(**view, *options); !good)
    return tl::unexpected(good.error());
  const bool follow = arguments.has("--follow") && options->attempt == 0 &&
                      !has_ended((*view)->state());
  if (!follow) return show_output(**cell, **view, *options, context.quiet);
  Follower follower(**cell, interrupts, options->session, {true, options->key});
  const auto outcome = follower.follow([](int) { return OnSignal::leave; });
  if (!outcome) return tl::unexpected(outcome.error());
  return *outcome ? 0 : 128 + SIGINT;
}

}  // namespace reeve::tools
