// The timeline as lines of JSON.
#include "cluster/session_id.hpp"
#include "tools/args/exit_code.hpp"
#include "tools/log/timeline_view.hpp"

namespace reeve::tools {

using namespace cluster::accounting;
using std::string;

string timeline_json(const TimelineView& view) {
  const Timeline& all = view.timeline;
  string out;
  for (const TimelineSpan& span : all.spans)
    out += JsonObject()
               .text("type", "node")
               .text("node", view.ledger.nodes()[span.node.value].name)
               .text("state", phase_name(span.phase))
               .time("from_at", span.from.value)
               .time("to_at", span.to.value)
               .number("gpus", span.devices)
               .done() +
           '\n';
  for (const TimelineAllocation& one : all.allocations) {
    const TimelineRun& run = all.runs[one.run];
    std::vector<string> devices;
    for (const auto& share : one.devices)
      devices.push_back(JsonObject()
                            .number("device", share.device())
                            .number("gpu_milli", share.milli())
                            .number("memory_bytes", share.memory_bytes())
                            .done());
    out += JsonObject()
               .text("type", "allocation")
               .text("session_id", to_text(run.session))
               .number("attempt", run.attempt)
               .number("rank", one.rank)
               .text("name", run.name)
               .text("user", all.users.all()[run.user])
               .text("project", all.projects.all()[run.project])
               .text("group", all.groups.all()[run.group])
               .text("node", view.ledger.nodes()[one.node.value].name)
               .time("from_at", one.from.value)
               .time("to_at", one.to.value)
               .time("placed_at", one.placed_at.value)
               .time("started_at", one.started_at.value)
               .truth("ended", one.ended)
               .text("state", state_name(run))
               .text("reason", schema::EnumNameEndReason(run.reason))
               .integer("exit_code",
                        session_exit_code(run.state, run.exit_code, run.signal))
               .integer("signal", run.signal)
               .number("cpu_milli", one.cpu_milli)
               .number("memory_bytes", one.memory_bytes)
               .raw("devices", json_array(devices))
               .done() +
           '\n';
  }
  return out;
}

std::string_view state_name(const TimelineRun& run) {
  if (run.state == schema::SessionState::pending) return "requeued";
  return schema::EnumNameSessionState(run.state);
}

std::string_view phase_name(NodePhase phase) {
  static constexpr std::string_view names[] = {"up", "drained", "lost"};
  return names[static_cast<int>(phase)];
}

}  // namespace reeve::tools
