// show.
#include <fmt/format.h>

#include "cluster/session_id.hpp"
#include "cluster/units.hpp"
#include "schema/wire.hpp"
#include "tools/args/exit_code.hpp"
#include "tools/cli/answers.hpp"
#include "tools/cli/session/outcome.hpp"
#include "tools/cli/session/session_text.hpp"

namespace reeve::tools {
namespace {

using std::string;
using Align = Table::Align;

string ending_text(const schema::SessionView& view) {
  if (!view.ended()) return {};
  const Outcome outcome{view.state(), view.reason(), view.exit_code(),
                        view.signal(), string(schema::text(view.detail()))};
  const string why = explain(outcome);
  return why.empty() ? fmt::format("exit code {}", view.exit_code()) : why;
}

// What differs from what was asked for; an end by itself has no other detail.
string note_text(const schema::SessionView& view) {
  const bool by_itself = view.reason() == schema::EndReason::none ||
                         view.reason() == schema::EndReason::exited;
  return by_itself ? string(schema::text(view.detail())) : string();
}

string after_text(const schema::SessionView& view) {
  string out;
  if (view.after() == nullptr) return out;
  for (const auto* one : *view.after())
    out += fmt::format("{}{}:{}", out.empty() ? "" : ", ",
                       to_text(SessionId{one->session()}),
                       EnumNameDependencyKind(one->kind()));
  return out;
}

string pairs_text(
    const flatbuffers::Vector<flatbuffers::Offset<schema::KeyValue>>* pairs) {
  string out;
  if (pairs == nullptr) return out;
  for (const auto* pair : *pairs)
    out += fmt::format("{}{}={}", out.empty() ? "" : " ", pair->key()->str(),
                       pair->value()->str());
  return out;
}

string array_text(const schema::SessionView& view) {
  if (view.array_session() == 0) return {};
  string out = fmt::format("index {} of {}", view.array_index(),
                           to_text(SessionId{view.array_session()}));
  if (view.array_running_max() != 0)
    out += fmt::format(", {} at once", view.array_running_max());
  return out;
}

Sheet session_sheet(const schema::SessionView& view) {
  const auto text = [](const flatbuffers::String* value) {
    return string(schema::text(value));
  };
  Sheet sheet;
  sheet.add("session", to_text(SessionId{view.session()}));
  sheet.add("name", text(view.name()));
  sheet.add("state", EnumNameSessionState(view.state()));
  sheet.add("ended", ending_text(view));
  sheet.add("failed first", first_failed_text(view));
  sheet.add("note", note_text(view));
  sheet.add("command", command_text(view));
  sheet.add("user", text(view.user()));
  sheet.add("project", text(view.project()));
  sheet.add("group", text(view.group()));
  sheet.add("each task", request_text(view.request()));
  sheet.add("tasks", fmt::format("{}", view.tasks_wanted()));
  sheet.add("attempt", view.requeue_max() == 0 && view.attempt() <= 1
                           ? string()
                           : fmt::format("{} of {}", view.attempt(),
                                         view.requeue_max() + 1));
  if (view.priority() != 0)
    sheet.add("priority", fmt::format("{}", view.priority()));
  sheet.add("on node", text(view.on_node()));
  sheet.add("constraint", text(view.constraint()));
  if (view.prefer() != nullptr)
    for (const auto* wish : *view.prefer()) sheet.add("rather", wish->str());
  sheet.add("together with", text(view.together()));
  sheet.add("apart from", text(view.apart()));
  sheet.add("within one", text(view.within()));
  sheet.add("reservation", text(view.reservation()));
  sheet.add("array", array_text(view));
  sheet.add("after", after_text(view));
  sheet.add("not before", local_time(view.not_before_at()));
  if (view.time_limit_ns() != 0)
    sheet.add("time limit", format_duration(view.time_limit_ns()));
  if (view.warn_signal() != 0)
    sheet.add("warning", fmt::format("signal {}, {} before", view.warn_signal(),
                                     format_duration(view.warn_ns())));
  sheet.add("grace", format_duration(view.grace_ns()));
  if (view.cut_off_ns() != 0)
    sheet.add("cut off", fmt::format("ends on a host that hears nothing of the "
                                     "cell for {}",
                                     format_duration(view.cut_off_ns())));
  if (view.on_preempt() != schema::OnPreempt::requeue)
    sheet.add("to make room", EnumNameOnPreempt(view.on_preempt()));
  sheet.add("directory", text(view.workdir()));
  sheet.add("labels", pairs_text(view.labels()));
  sheet.add("submitted", local_time(view.submitted_at()));
  sheet.add("placed", local_time(view.placed_at()));
  sheet.add("started", local_time(view.started_at()));
  sheet.add("over since", local_time(view.ended_at()));
  if (view.started_at() != 0 && view.ended_at() >= view.started_at())
    sheet.add("ran for", format_duration(view.ended_at() - view.started_at()));
  if (!view.ended()) sheet.add("due", local_time(view.deadline_at()));
  sheet.add("events",
            fmt::format("{} to {}", view.submitted_seq(), view.last_seq()));
  return sheet;
}

Table task_table(const schema::SessionView& view) {
  Table table({{"RANK", Align::right},
               {"STATE"},
               {"NODE", Align::left, 1},
               {"PID", Align::right, 6},
               {"EXIT", Align::right, 2},
               {"PEAK MEMORY", Align::right, 4},
               {"CPU TIME", Align::right, 5},
               {"GPUS", Align::left, 3}});
  for (const auto* task : *view.tasks()) {
    const string state(schema::text(task->state()));
    string exit;
    if (task->signal() != 0)
      exit = fmt::format("signal {}", task->signal());
    else if (const auto code = task_exit_code(task->reason(), task->exit_code(),
                                              task->signal()))
      exit = fmt::format("{}", *code);
    table.add({fmt::format("{}", task->rank()), state,
               string(schema::text(task->node())),
               task->pid() > 0 ? fmt::format("{}", task->pid()) : string(),
               exit,
               task->peak_memory_bytes() != 0
                   ? format_bytes(task->peak_memory_bytes())
                   : string(),
               task->cpu_ns() != 0 ? format_duration(task->cpu_ns()) : string(),
               devices_text(*task)});
    table.tone(1, tone_of(state));
  }
  return table;
}

}  // namespace

Shown show_session(const Context& context, const Arguments& arguments,
                   const Answers& answers) {
  const auto id = parse_session_id(arguments.words[0]);
  if (!id) return tl::unexpected(id.error());
  flatbuffers::FlatBufferBuilder builder(128);
  const auto body = schema::CreateSessionQuery(builder, id->value);
  const auto answer =
      answers.ask(builder, schema::QueryBody::SessionQuery, body.Union());
  if (!answer) return tl::unexpected(answer.error());
  const auto* view = (*answer)->body_as_SessionView();
  if (view == nullptr)
    return fail(Errc::internal, "the cell answered another question");
  if (context.json) {
    print(session_json(*view) + '\n');
    return 0;
  }
  string out = session_sheet(*view).text(context.terminal);
  if (view->tasks() != nullptr && view->tasks()->size() > 0)
    out += '\n' + task_table(*view).text(context.terminal);
  print(out);
  return 0;
}

}  // namespace reeve::tools
