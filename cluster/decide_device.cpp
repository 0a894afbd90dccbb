// Devices that are offered to nobody for a while, and again.
#include <fmt/format.h>

#include <algorithm>
#include <charconv>

#include "cluster/decide_internal.hpp"
#include "cluster/node_spec.hpp"
#include "cluster/rejecting.hpp"
#include "schema/wire.hpp"

namespace reeve::cluster {
namespace {

using schema::text;

std::optional<std::uint32_t> index_of(std::string_view word) {
  std::uint32_t index = 0;
  const char* end = word.data() + word.size();
  const auto [at, error] = std::from_chars(word.data(), end, index);
  if (error != std::errc() || at != end) return std::nullopt;
  return index;
}

std::optional<NamedDevice> look_for(const Node& node, std::string_view word) {
  for (const auto uuid : {&Device::uuid, &Device::mig_of})
    for (std::uint32_t i = 0; i < node.devices.size(); ++i)
      if (!word.empty() && node.devices[i].*uuid == word)
        return NamedDevice{i, std::string(word)};
  const auto index = index_of(word);
  if (!index || *index >= node.devices.size()) return std::nullopt;
  return NamedDevice{*index, node.devices[*index].uuid};
}

std::string because(const Quarantine& quarantine) {
  return quarantine.reason.empty() ? std::string() : ": " + quarantine.reason;
}

// Of a card its own; of a device also that of its card.
const Quarantine* known_quarantine(const Node& node, const NamedDevice& named) {
  const Device& device = node.devices[named.device];
  if (device.uuid == named.uuid) {
    const auto* found = node.quarantine_of(device);
    return found ? &found->second : nullptr;
  }
  const auto card = node.quarantined.find(named.uuid);
  return card == node.quarantined.end() ? nullptr : &card->second;
}

// The entry that a release means, and what keeps it from being taken away.
tl::expected<NamedDevice, Rejection> find_quarantined(const Node& node,
                                                      std::string_view word) {
  // A card that is away is known by its uuid only.
  if (const auto away = node.quarantined.find(word);
      away != node.quarantined.end())
    return NamedDevice{away->second.device, away->first};
  const auto named = find_device(node, word);
  if (!named) return named;
  if (node.quarantined.contains(named->uuid)) return *named;
  if (known_quarantine(node, *named))
    return tl::unexpected(
        reject(RejectCode::wrong_state, "card_quarantined",
               fmt::format("{} is a part of {}, which is quarantined as a "
                           "whole: release that",
                           device_text(node, *named),
                           node.devices[named->device].mig_of),
               0, named->device));
  return tl::unexpected(
      reject(RejectCode::wrong_state, "device_not_quarantined",
             fmt::format("{} is not quarantined", device_text(node, *named)), 0,
             named->device));
}

}  // namespace

tl::expected<NamedDevice, Rejection> find_device(const Node& node,
                                                 std::string_view word) {
  if (auto named = look_for(node, word)) return *named;
  return tl::unexpected(
      reject(RejectCode::not_found, "device_unknown",
             fmt::format("node {} has no device '{}': it has {} (reeve node "
                         "show {} lists them)",
                         node.name, word, node.devices.size(), node.name),
             node.devices.size()));
}

std::string device_text(const Node& node, const NamedDevice& named) {
  return fmt::format("device {} of node {} ({})", named.device, node.name,
                     named.uuid);
}

tl::expected<Asked, Rejection> asked_by(const State& state,
                                        std::string_view name,
                                        const Origin& origin) {
  const Node* node = state.node(name);
  if (state.may_administer(origin.principal)) {
    if (!node) return tl::unexpected(unknown_node(state, name));
    return Asked{node, false};
  }
  if (node && origin.principal == "agent-" + node->agent)
    return Asked{node, true};
  return tl::unexpected(
      reject(RejectCode::forbidden, "device_foreign",
             fmt::format("only {}, admins and the agent of node {} may do this",
                         state.owner(), name)));
}

Decision decide_quarantine(const State& state,
                           const schema::QuarantineDevice& command,
                           const Origin& origin, EventWriter& writer) {
  const auto asked = asked_by(state, text(command.node()), origin);
  if (!asked) return tl::unexpected(asked.error());
  const Node& node = *asked->node;
  const auto named = find_device(node, text(command.device()));
  if (!named) return tl::unexpected(named.error());
  const Quarantine* known = known_quarantine(node, *named);
  // The first that the agent finds during a test counts beside what it had
  // found before, or the test would lift both.
  const auto test = node.testing.find(named->uuid);
  const bool renewed = known && known->by_agent && asked->by_agent &&
                       test != node.testing.end() &&
                       known->since <= test->second.asked_at;
  if (known && !known->for_test && !renewed) {
    const Time since = std::min(origin.now, known->since);
    return tl::unexpected(reject(
        RejectCode::wrong_state, "device_quarantined",
        fmt::format(
            "{} is quarantined already, for {}{}", device_text(node, *named),
            format_duration(origin.now.value - since.value), because(*known)),
        0, named->device));
  }
  const std::string_view reason = text(command.reason());
  if (auto no = bound("quarantine_reason_bytes_max", "the length of the reason",
                      reason.size(), quarantine_reason_bytes_max))
    return tl::unexpected(std::move(*no));
  if (auto no = bound("quarantines_per_node_max",
                      "the number of quarantines of node " + node.name,
                      node.quarantined.size() + (known ? 0 : 1),
                      quarantines_per_node_max))
    return tl::unexpected(std::move(*no));
  writer.begin(origin);
  auto& builder = writer.builder();
  const auto uuid = builder.CreateString(named->uuid);
  const auto why = build_text(builder, reason);
  return Accepted{writer.add(schema::CreateDeviceQuarantined(
                                 builder, node.id.value, named->device, uuid,
                                 why, asked->by_agent),
                             Sequence{}),
                  {}};
}

Decision decide_release(const State& state,
                        const schema::ReleaseDevice& command,
                        const Origin& origin, EventWriter& writer) {
  const auto asked = asked_by(state, text(command.node()), origin);
  if (!asked) return tl::unexpected(asked.error());
  const Node& node = *asked->node;
  const auto named = find_quarantined(node, text(command.device()));
  if (!named) return tl::unexpected(named.error());
  const Quarantine& known = node.quarantined.find(named->uuid)->second;
  if (const auto test = node.testing.find(named->uuid);
      test != node.testing.end() && !command.force())
    return tl::unexpected(reject(
        RejectCode::wrong_state, "device_in_test",
        fmt::format(
            "{} is being tested, for {}: wait for the verdict, or give "
            "the test up with --force",
            device_text(node, *named),
            format_duration(origin.now.value -
                            std::min(origin.now, test->second.asked_at).value)),
        0, named->device));
  if (asked->by_agent && !known.by_agent)
    return tl::unexpected(
        reject(RejectCode::wrong_state, "quarantine_by_hand",
               fmt::format("{} was quarantined by hand{}; an agent does not "
                           "release it",
                           device_text(node, *named), because(known)),
               0, named->device));
  const bool against = !asked->by_agent && known.by_agent;
  if (against && !command.force())
    return tl::unexpected(reject(
        RejectCode::wrong_state, "quarantine_by_agent",
        fmt::format("{} was quarantined by its agent{}; it comes back after a "
                    "passed test, or with --force",
                    device_text(node, *named), because(known)),
        0, named->device));
  writer.begin(origin);
  auto& builder = writer.builder();
  const auto uuid = builder.CreateString(named->uuid);
  return Accepted{writer.add(schema::CreateDeviceReleased(
                                 builder, node.id.value, named->device, uuid,
                                 asked->by_agent, against),
                             Sequence{}),
                  {}};
}

}  // namespace reeve::cluster
