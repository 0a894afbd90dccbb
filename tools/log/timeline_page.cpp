// The timeline as one HTML page: columns of numbers for web/timeline/.
#include <fmt/format.h>

#include <map>

#include "schema/json.hpp"
#include "tools/log/timeline_assets.hpp"
#include "tools/log/timeline_view.hpp"
#include "tools/page/html_page.hpp"
#include "tools/page/page_data.hpp"

namespace reeve::tools {
namespace {

using namespace cluster::accounting;
using std::string;

constexpr double never = -1;

string json_texts(const std::vector<string>& texts) {
  std::vector<string> out;
  for (const auto& text : texts) {
    out.emplace_back();
    schema::append_json_string(out.back(), text);
  }
  return json_array(out);
}

string json_names(const char* const* names) {
  std::vector<string> out;
  for (; *names != nullptr; ++names) out.emplace_back(*names);
  return json_texts(out);
}

// Nodes of the picture by their number in the page.
class NodeNumbers {
 public:
  explicit NodeNumbers(const Timeline& timeline) {
    for (const auto& span : timeline.spans) number_[span.node.value] = 0;
    for (const auto& one : timeline.allocations) number_[one.node.value] = 0;
    std::uint32_t next = 0;
    for (auto& [node, number] : number_) number = next++;
  }
  std::uint32_t operator[](NodeId node) const { return number_.at(node.value); }
  const std::map<std::uint32_t, std::uint32_t>& all() const { return number_; }

 private:
  std::map<std::uint32_t, std::uint32_t> number_;
};

class Packer {
 public:
  explicit Packer(const TimelineView& view)
      : view_(view), numbers_(view.timeline), data_(meta()) {
    nodes();
    spans();
    runs();
    allocations();
  }
  string packed() const { return data_.packed(); }

 private:
  string meta() const {
    const Timeline& all = view_.timeline;
    return JsonObject()
        .text("cell", view_.ledger.cell())
        .raw("from_ns", fmt::format("\"{}\"", view_.from.value))
        .raw("to_ns", fmt::format("\"{}\"", view_.to.value))
        .raw("users", json_texts(all.users.all()))
        .raw("projects", json_texts(all.projects.all()))
        .raw("groups", json_texts(all.groups.all()))
        .raw("states", json_names(schema::EnumNamesSessionState()))
        .raw("reasons", json_names(schema::EnumNamesEndReason()))
        .raw("phases", json_texts({"up", "drained", "lost"}))
        .done();
  }

  // Nanoseconds since the window's beginning; before it, they are negative.
  double relative(Time at) const {
    if (at.value == 0) return never;
    return static_cast<double>(
        static_cast<std::int64_t>(at.value - view_.from.value));
  }

  void nodes() {
    std::vector<string> names, groups, models, uuids;
    std::vector<std::uint32_t> cpus, ends;
    std::vector<double> memory;
    for (const auto& [id, number] : numbers_.all()) {
      const LedgerNode& node = view_.ledger.nodes()[id];
      names.push_back(node.name);
      groups.push_back(node.group);
      cpus.push_back(node.cpu_milli);
      memory.push_back(static_cast<double>(node.memory_bytes));
      for (const auto& device : node.devices) {
        models.push_back(device.model);
        uuids.push_back(device.uuid);
      }
      ends.push_back(static_cast<std::uint32_t>(models.size()));
    }
    data_.texts("node_name", names);
    data_.texts("node_group", groups);
    data_.column("node_cpu_milli", cpus);
    data_.column("node_memory_bytes", memory);
    data_.column("node_devices_end", ends);
    data_.texts("device_model", models);
    data_.texts("device_uuid", uuids);
  }

  void spans() {
    std::vector<std::uint32_t> node;
    std::vector<std::uint8_t> phase, devices;
    std::vector<double> from, to;
    for (const auto& span : view_.timeline.spans) {
      node.push_back(numbers_[span.node]);
      phase.push_back(static_cast<std::uint8_t>(span.phase));
      devices.push_back(static_cast<std::uint8_t>(span.devices));
      from.push_back(relative(span.from));
      to.push_back(relative(span.to));
    }
    data_.column("span_node", node);
    data_.column("span_phase", phase);
    data_.column("span_devices", devices);
    data_.column("span_from", from);
    data_.column("span_to", to);
  }

  void runs() {
    std::vector<double> session;
    std::vector<std::uint32_t> user, project, group;
    std::vector<std::uint16_t> attempt;
    std::vector<std::uint8_t> state, reason;
    std::vector<std::int32_t> exit_code, signal;
    std::vector<string> names;
    for (const auto& run : view_.timeline.runs) {
      session.push_back(static_cast<double>(run.session.value));
      attempt.push_back(static_cast<std::uint16_t>(run.attempt));
      names.push_back(run.name);
      user.push_back(run.user);
      project.push_back(run.project);
      group.push_back(run.group);
      state.push_back(static_cast<std::uint8_t>(run.state));
      reason.push_back(static_cast<std::uint8_t>(run.reason));
      exit_code.push_back(run.exit_code);
      signal.push_back(run.signal);
    }
    data_.column("run_session", session);
    data_.column("run_attempt", attempt);
    data_.texts("run_name", names);
    data_.column("run_user", user);
    data_.column("run_project", project);
    data_.column("run_group", group);
    data_.column("run_state", state);
    data_.column("run_reason", reason);
    data_.column("run_exit_code", exit_code);
    data_.column("run_signal", signal);
  }

  void allocations() {
    std::vector<std::uint32_t> run, node, cpu, ends;
    std::vector<std::uint16_t> rank, milli;
    std::vector<std::uint8_t> ended, device;
    std::vector<double> placed, started, from, to, memory, device_memory;
    for (const auto& one : view_.timeline.allocations) {
      run.push_back(one.run);
      rank.push_back(static_cast<std::uint16_t>(one.rank));
      node.push_back(numbers_[one.node]);
      placed.push_back(relative(one.placed_at));
      started.push_back(one.started_at.value == 0
                            ? never
                            : static_cast<double>(one.started_at.value -
                                                  one.placed_at.value));
      from.push_back(relative(one.from));
      to.push_back(relative(one.to));
      ended.push_back(one.ended ? 1 : 0);
      cpu.push_back(one.cpu_milli);
      memory.push_back(static_cast<double>(one.memory_bytes));
      for (const auto& share : one.devices) {
        device.push_back(static_cast<std::uint8_t>(share.device()));
        milli.push_back(static_cast<std::uint16_t>(share.milli()));
        device_memory.push_back(static_cast<double>(share.memory_bytes()));
      }
      ends.push_back(static_cast<std::uint32_t>(device.size()));
    }
    data_.column("alloc_run", run);
    data_.column("alloc_rank", rank);
    data_.column("alloc_node", node);
    data_.column("alloc_placed", placed);
    // After the placement; -1: it never ran.
    data_.column("alloc_start_after", started);
    data_.column("alloc_from", from);
    data_.column("alloc_to", to);
    data_.column("alloc_ended", ended);
    data_.column("alloc_cpu_milli", cpu);
    data_.column("alloc_memory_bytes", memory);
    data_.column("alloc_shares_end", ends);
    data_.column("share_device", device);
    data_.column("share_milli", milli);
    data_.column("share_memory_bytes", device_memory);
  }

  const TimelineView& view_;
  NodeNumbers numbers_;
  PageData data_;
};

}  // namespace

string timeline_page(const TimelineView& view) {
  PageParts parts;
  parts.title = fmt::format("Timeline of {}", view.ledger.cell());
  parts.style = timeline_style;
  parts.body = timeline_body;
  parts.script = timeline_script;
  parts.data = Packer(view).packed();
  return html_page(parts);
}

}  // namespace reeve::tools
