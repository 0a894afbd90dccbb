// Devices are tested, and what follows from the verdict.
#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "cluster/decide_internal.hpp"
#include "cluster/device_tests.hpp"
#include "cluster/rejecting.hpp"
#include "schema/wire.hpp"

namespace reeve::cluster {
namespace {

using schema::text;

// Sessions that a refusal names; the rest is counted.
constexpr std::size_t holders_named_max = 8;

// "s-3, s-4 and 2 more".
std::string holders_text(const State& state, const Node& node,
                         std::uint32_t device) {
  std::vector<SessionId> all;
  for (const SessionId id : node.holders)
    for (const Task& task : state.session(id)->tasks)
      if (task.phase != TaskPhase::exited && task.node == node.id &&
          std::any_of(task.devices.begin(), task.devices.end(),
                      [&](const auto& s) { return s.device() == device; }))
        all.push_back(id);
  std::sort(all.begin(), all.end());
  all.erase(std::unique(all.begin(), all.end()), all.end());
  std::string out;
  for (std::size_t i = 0; i < std::min(all.size(), holders_named_max); ++i)
    out += fmt::format("{}s-{}", i == 0 ? "" : ", ", all[i].value);
  if (all.size() > holders_named_max)
    out += fmt::format(" and {} more", all.size() - holders_named_max);
  return out;
}

// The event that asks for the test is the first: its sequence names it.
Sequence write_request(const Node& node, const NamedDevice& named, bool full,
                       bool by_agent, EventWriter& writer) {
  auto& builder = writer.builder();
  const auto uuid = builder.CreateString(named.uuid);
  const Sequence asked = writer.add(
      schema::CreateDeviceTestRequested(builder, node.id.value, named.device,
                                        uuid, full, by_agent),
      Sequence{});
  if (node.quarantined.contains(named.uuid)) return asked;
  const auto again = builder.CreateString(named.uuid);
  const auto reason = builder.CreateString("it is being tested");
  writer.add(
      schema::CreateDeviceQuarantined(builder, node.id.value, named.device,
                                      again, reason, by_agent, true),
      asked);
  return asked;
}

Check check_testable(const State& state, const Node& node,
                     const NamedDevice& named) {
  const Device& device = node.devices[named.device];
  if (node.simulated)
    return reject(RejectCode::wrong_state, "node_simulated",
                  fmt::format("node {} is simulated: there is nothing to test",
                              node.name));
  if (node.lost)
    return reject(RejectCode::wrong_state, "node_lost",
                  fmt::format("node {} is lost: nobody there can test a device",
                              node.name));
  if (device.uuid != named.uuid)
    return reject(RejectCode::wrong_state, "card_is_cut",
                  fmt::format("{} is cut into instances: test those, each by "
                              "its index or uuid (reeve node show {})",
                              named.uuid, node.name));
  if (device.used_milli > 0)
    return reject(RejectCode::wrong_state, "device_in_use",
                  fmt::format("{} is held by {}: quarantine it and wait for "
                              "their end, or cancel them",
                              device_text(node, named),
                              holders_text(state, node, named.device)),
                  0, named.device);
  if (node.quarantined.contains(named.uuid)) return std::nullopt;
  return bound("quarantines_per_node_max",
               "the number of quarantines of node " + node.name,
               node.quarantined.size() + 1, quarantines_per_node_max);
}

Check check_report(const schema::ReportTest& report) {
  if (report.verdict() > DeviceVerdict::MAX)
    return reject(RejectCode::malformed, "test_verdict",
                  fmt::format("{} is no verdict of a test",
                              static_cast<int>(report.verdict())));
  if (auto no = bound("test_text_bytes_max", "the length of the text of a test",
                      text(report.text()).size(), test_text_bytes_max))
    return no;
  if (!report.figures()) return std::nullopt;
  if (auto no = bound("test_figures_max", "the number of figures of a test",
                      report.figures()->size(), test_figures_max))
    return no;
  for (const auto* figure : *report.figures())
    if (auto no = bound("test_figure_name_bytes_max",
                        "the length of the name of a figure",
                        figure->name()->size(), test_figure_name_bytes_max))
      return no;
  return std::nullopt;
}

}  // namespace

Decision decide_test(const State& state, const schema::TestDevice& command,
                     const Origin& origin, EventWriter& writer) {
  const auto asked = asked_by(state, text(command.node()), origin);
  if (!asked) return tl::unexpected(asked.error());
  const Node& node = *asked->node;
  const auto named = find_device(node, text(command.device()));
  if (!named) return tl::unexpected(named.error());
  if (auto no = check_testable(state, node, *named))
    return tl::unexpected(std::move(*no));
  if (const auto known = node.testing.find(named->uuid);
      known != node.testing.end()) {
    if (known->second.full || !command.full())
      return Accepted{known->second.id, {}};
    return tl::unexpected(
        reject(RejectCode::wrong_state, "device_in_test",
               fmt::format("{} is in a quick test: ask for a full one when "
                           "that is over",
                           device_text(node, *named)),
               0, named->device));
  }
  writer.begin(origin);
  return Accepted{
      write_request(node, *named, command.full(), asked->by_agent, writer), {}};
}

Decision decide_tested(const State& state, const schema::ReportTest& command,
                       const Origin& origin, EventWriter& writer) {
  const auto asked = asked_by(state, text(command.node()), origin);
  if (!asked) return tl::unexpected(asked.error());
  if (!asked->by_agent)
    return tl::unexpected(
        reject(RejectCode::forbidden, "agent_foreign",
               fmt::format("only the agent of node {} tells what it found",
                           text(command.node()))));
  if (auto no = check_report(command)) return tl::unexpected(std::move(*no));
  const Node& node = *asked->node;
  const std::string uuid(text(command.device()));
  const auto test = node.testing.find(uuid);
  if (test == node.testing.end() || test->second.id.value != command.test())
    return tl::unexpected(
        reject(RejectCode::not_found, "test_unknown",
               fmt::format("nobody waits for test {} of {} of node {} (any "
                           "more)",
                           command.test(), uuid, node.name)));
  const Quarantine& held = node.quarantined.find(uuid)->second;
  const DeviceVerdict verdict = command.verdict();
  writer.begin(origin);
  auto& builder = writer.builder();
  const auto name = builder.CreateString(uuid);
  const auto said = build_text(builder, text(command.text()));
  const auto figures = build_figures(builder, figures_of(command.figures()));
  const Sequence told =
      writer.add(schema::CreateDeviceTested(
                     builder, node.id.value, held.device, name, command.test(),
                     test->second.full, verdict, said, figures),
                 test->second.id);
  // What was found while it was tested outlasts the test.
  const bool lifts = held.by_agent && held.since <= test->second.asked_at &&
                     test->second.full && passed(verdict);
  const bool released = held.for_test ? !failed(verdict) : lifts;
  if (released) {
    const auto again = builder.CreateString(uuid);
    writer.add(schema::CreateDeviceReleased(builder, node.id.value, held.device,
                                            again, true),
               told);
  } else if (held.for_test) {
    const auto again = builder.CreateString(uuid);
    const auto reason = build_text(builder, text(command.text()));
    writer.add(schema::CreateDeviceQuarantined(
                   builder, node.id.value, held.device, again, reason, true),
               told);
  }
  return Accepted{told, {}};
}

void decide_own_tests(const Node& node, OwnTests wanted, const Origin& origin,
                      EventWriter& writer) {
  if (node.simulated || node.lost || node.removed) return;
  bool begun = false;
  std::size_t quarantines = node.quarantined.size();
  for (std::uint32_t i = 0; i < node.devices.size(); ++i) {
    const Device& device = node.devices[i];
    if (device.uuid.empty() || device.used_milli > 0 ||
        node.testing.contains(device.uuid))
      continue;
    const auto last = node.tested.find(device.uuid);
    const auto* out = node.quarantine_of(device);
    bool full = false;
    if (out) {
      // Once for each quarantine; then it is left to people. One of a card as a
      // whole is not lifted by what its instances do.
      full = wanted.of_quarantined && out->first == device.uuid &&
             out->second.by_agent &&
             (last == node.tested.end() ||
              last->second.told_at < out->second.since);
      if (!full) continue;
    } else if (!wanted.of_new || last != node.tested.end() ||
               quarantines++ >= quarantines_per_node_max) {
      continue;
    }
    if (!std::exchange(begun, true)) writer.begin(origin);
    write_request(node, {i, device.uuid}, full, true, writer);
  }
}

}  // namespace reeve::cluster
