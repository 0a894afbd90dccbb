// logs.
#include <fmt/format.h>

#include "cluster/session_id.hpp"
#include "cluster/units.hpp"
#include "tools/cli/cell.hpp"
#include "tools/cli/handlers.hpp"
#include "tools/cli/interrupts.hpp"
#include "tools/cli/session/attempt_place.hpp"
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

struct Source {
  std::string agent;
  std::uint32_t attempt = 0;
};

Expected<NodeId> node_of(Cell& cell, const schema::SessionView& view,
                         const AttemptTask& task, bool quiet) {
  Progress progress(quiet);
  const auto read = [&](std::uint64_t from, std::uint64_t to,
                        const auto& visit) -> Status {
    const auto head = cell.read_log(
        from, to, [&](const schema::Event& event, const bus::Buffer&) {
          if (progress.due())
            progress.show(fmt::format("looking for attempt {}: event {}",
                                      task.attempt, event.seq()));
          return visit(event);
        });
    if (!head) return tl::unexpected(head.error());
    return {};
  };
  const auto node =
      node_of_attempt(read, view.submitted_seq(), view.last_seq(), task);
  progress.clear();
  if (!node) return tl::unexpected(node.error());
  if (!*node)
    return fail(Errc::not_found,
                fmt::format("the log does not tell where attempt {} of {} ran",
                            task.attempt, to_text(task.session)));
  return **node;
}

Expected<std::string> agent_of(Cell& cell, NodeId id, const AttemptTask& task) {
  flatbuffers::FlatBufferBuilder builder(128);
  const auto body = schema::CreateNodesQuery(builder, 0, id.value, 1);
  const auto answer =
      cell.ask(builder, schema::QueryBody::NodesQuery, body.Union());
  if (!answer) return tl::unexpected(answer.error());
  const auto* nodes = (*answer)->body_as_NodesAnswer();
  if (nodes != nullptr && nodes->nodes() != nullptr)
    for (const auto* node : *nodes->nodes())
      if (node->node() == id.value && node->agent() != nullptr)
        return node->agent()->str();
  return fail(Errc::not_found,
              fmt::format("the node where attempt {} of {} ran was removed",
                          task.attempt, to_text(task.session)));
}

// Nothing: the attempt has no place yet.
Expected<std::optional<Source>> source_of(Cell& cell,
                                          const schema::SessionView& view,
                                          const LogsOptions& options,
                                          bool quiet) {
  const auto* task = find_task(view, options.key.rank);
  const bool is_placed = task != nullptr && task->agent() != nullptr;
  const std::uint32_t newest = is_placed ? view.attempt() : view.attempt() - 1;
  const std::uint32_t attempt = options.attempt != 0 ? options.attempt : newest;
  if (attempt == 0 || attempt > newest) return std::nullopt;
  if (is_placed && attempt == newest)
    return Source{task->agent()->str(), attempt};
  const AttemptTask wanted{options.session, attempt, options.key.rank};
  const auto node = node_of(cell, view, wanted, quiet);
  if (!node) return tl::unexpected(node.error());
  const auto agent = agent_of(cell, *node, wanted);
  if (!agent) return tl::unexpected(agent.error());
  return Source{*agent, attempt};
}

Result show_output(Cell& cell, const schema::SessionView& view,
                   const LogsOptions& options, bool quiet) {
  if (view.simulated()) {
    if (!quiet) say("reeve: a simulated task has no output");
    return 0;
  }
  const auto source = source_of(cell, view, options, quiet);
  if (!source) return tl::unexpected(source.error());
  const auto state = fmt::format("reeve: {} is {}", to_text(options.session),
                                 EnumNameSessionState(view.state()));
  if (!*source) {
    if (!quiet) say(state + ": it has no output yet");
    return 0;
  }
  if (!quiet && options.attempt == 0 && (*source)->attempt != view.attempt())
    say(fmt::format("{}: this is the output of attempt {}", state,
                    (*source)->attempt));
  OutputStreams streams;
  streams.begin_attempt((*source)->attempt);
  OutputWriter writer(false);
  const auto good =
      read_output(cell, (*source)->agent, options.session, options.key, streams,
                  [&](StreamKey key, std::string_view data) {
                    return writer.write({key.rank, 1}, data);
                  });
  if (!good) return tl::unexpected(good.error());
  return 0;
}

}  // namespace

Result command_logs(const Context& context, const Arguments& arguments) {
  // What does not follow just ends, even where nobody reads what it writes.
  std::optional<Interrupts> interrupts;
  if (arguments.has("--follow")) interrupts.emplace();
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
  if (!follow) {
    interrupts.reset();
    return show_output(**cell, **view, *options, context.quiet);
  }
  Follower follower(**cell, *interrupts, options->session,
                    {true, options->key});
  int signal = 0;
  const auto outcome = follower.follow([&](int number) {
    signal = number;
    return OnSignal::leave;
  });
  if (!outcome) return tl::unexpected(outcome.error());
  return *outcome ? 0 : 128 + signal;
}

}  // namespace reeve::tools
