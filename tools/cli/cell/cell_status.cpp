// status.
#include <fmt/format.h>

#include "schema/wire.hpp"
#include "tools/cli/cell.hpp"
#include "tools/cli/cell/answer_age.hpp"
#include "tools/cli/handlers.hpp"
#include "tools/cli/member/manager_text.hpp"

namespace reeve::tools {
namespace {

using std::string;

string sessions_json(const schema::StatusAnswer& status) {
  JsonObject out;
  if (status.sessions() != nullptr)
    for (const auto* one : *status.sessions())
      out.number(EnumNameSessionState(one->state()), one->count());
  return out.done();
}

string counters_json(const schema::StatusAnswer& status) {
  JsonObject out;
  if (status.counters() != nullptr)
    for (const auto* one : *status.counters())
      out.number(one->name()->string_view(), one->value());
  return out.done();
}

string managers_json(const schema::StatusAnswer& status) {
  std::vector<string> list;
  if (status.managers() != nullptr)
    for (const auto* one : *status.managers())
      list.push_back(manager_json(*one));
  return json_array(list);
}

string behind_json(const schema::StatusAnswer& status) {
  return status.behind_ns() == schema::unknown_ns
             ? "null"
             : std::to_string(status.behind_ns());
}

// What a manager that stands by says of who leads.
string leader_text(const schema::StatusAnswer& status) {
  const auto leader = schema::text(status.leader());
  if (leader.empty()) return "it knows of none that leads";
  return fmt::format("{} {}", leader,
                     status.leader_unheard() ? "led last" : "leads");
}

string status_json(const Held<schema::StatusAnswer>& status) {
  return JsonObject()
      .text("cell", schema::text(status->cell()))
      .integer("daemon_pid", status->daemon_pid())
      .integer("bus_pid", status->bus_pid())
      .number("head_seq", status.seq())
      .number("epoch", status->epoch())
      .number("nodes", status->nodes())
      .number("nodes_up", status->nodes_up())
      .truth("admission_open", status->admission_open())
      .text("role", EnumNameManagerRole(status->role()))
      .text("leader", string(schema::text(status->leader())))
      .raw("behind_ns", behind_json(*status))
      .truth("leader_unheard", status->leader_unheard())
      .raw("managers", managers_json(*status))
      .raw("sessions", sessions_json(*status))
      .raw("counters", counters_json(*status))
      .done();
}

string status_text(const Context& context,
                   const Held<schema::StatusAnswer>& status) {
  Sheet sheet;
  sheet.add("cell", string(schema::text(status->cell())));
  sheet.add("data", context.data.string());
  sheet.add("daemon", fmt::format("pid {}, epoch {}", status->daemon_pid(),
                                  status->epoch()));
  if (status->managers() != nullptr && status->managers()->size() > 0) {
    string list;
    for (const auto* one : *status->managers())
      list += fmt::format("{}{} {}", list.empty() ? "" : ", ",
                          schema::text(one->name()), manager_state(*one));
    sheet.add("managers", list);
  }
  sheet.add("bus", fmt::format("pid {}", status->bus_pid()));
  sheet.add("log", counted(status.seq(), "event"));
  if (status->role() != schema::ManagerRole::leading)
    sheet.add(
        "answered by",
        fmt::format("a manager that does not lead ({}), {}; {}",
                    EnumNameManagerRole(status->role()),
                    answer_age(status->behind_ns(), status->leader_unheard()),
                    leader_text(*status)));
  sheet.add("nodes",
            fmt::format("{}, {} up", status->nodes(), status->nodes_up()));
  if (!status->admission_open())
    sheet.add("admission", "closed: the disk is below its floor");
  string sessions;
  if (status->sessions() != nullptr)
    for (const auto* one : *status->sessions())
      if (one->count() > 0)
        sessions +=
            fmt::format("{}{} {}", sessions.empty() ? "" : ", ", one->count(),
                        EnumNameSessionState(one->state()));
  sheet.add("sessions", sessions.empty() ? "none yet" : sessions);
  return sheet.text(context.terminal);
}

}  // namespace

Result command_status(const Context& context, const Arguments&) {
  auto cell = Cell::connect(context);
  if (!cell) return tl::unexpected(cell.error());
  const auto status = (*cell)->status();
  if (!status) return tl::unexpected(status.error());
  print(context.json ? status_json(*status) + '\n'
                     : status_text(context, *status));
  return 0;
}

}  // namespace reeve::tools
