// State::apply for devices: quarantines and tests.
#include <algorithm>
#include <utility>

#include "cluster/apply.hpp"
#include "cluster/device_tests.hpp"
#include "schema/wire.hpp"

namespace reeve::cluster {
namespace {

// The oldest of a device that is away; there is one, for more are kept than a
// node has devices.
void forget_oldest(Node& node) {
  static_assert(tests_per_node_max >= devices_per_node_max);
  auto oldest = node.tested.end();
  for (auto it = node.tested.begin(); it != node.tested.end(); ++it) {
    const bool is_there =
        std::any_of(node.devices.begin(), node.devices.end(),
                    [&](const Device& one) { return one.uuid == it->first; });
    if (is_there) continue;
    if (oldest == node.tested.end() ||
        it->second.told_at < oldest->second.told_at)
      oldest = it;
  }
  if (oldest != node.tested.end()) node.tested.erase(oldest);
}

}  // namespace

Status State::apply_quarantined(const schema::Event& event,
                                const schema::DeviceQuarantined& body) {
  if (body.node() >= nodes_.size())
    return contradiction(event, "there is no such node");
  const Quarantine made{body.device(), std::string(schema::text(body.reason())),
                        Time{event.time_at()}, body.by_agent(),
                        body.for_test()};
  Node& node = nodes_[body.node()];
  const auto [known, fresh] =
      node.quarantined.try_emplace(body.uuid()->str(), made);
  if (fresh) return {};
  const Quarantine& before = known->second;
  const bool renewed =
      before.by_agent && made.by_agent && node.testing.contains(known->first);
  if (made.for_test || (!before.for_test && !renewed))
    return contradiction(event, "the device is quarantined already");
  known->second = made;
  return {};
}

Status State::apply_released(const schema::Event& event,
                             const schema::DeviceReleased& body) {
  if (body.node() >= nodes_.size())
    return contradiction(event, "there is no such node");
  Node& node = nodes_[body.node()];
  if (node.quarantined.erase(body.uuid()->str()) == 0)
    return contradiction(event, "the device is not quarantined");
  node.testing.erase(body.uuid()->str());
  return {};
}

Status State::apply_test_requested(const schema::Event& event,
                                   const schema::DeviceTestRequested& body) {
  if (body.node() >= nodes_.size())
    return contradiction(event, "there is no such node");
  DeviceTest test;
  test.id = Sequence{event.seq()};
  test.full = body.full();
  test.asked_at = Time{event.time_at()};
  if (!nodes_[body.node()]
           .testing.try_emplace(body.uuid()->str(), std::move(test))
           .second)
    return contradiction(event, "the device is being tested already");
  return {};
}

Status State::apply_tested(const schema::Event& event,
                           const schema::DeviceTested& body) {
  if (body.node() >= nodes_.size())
    return contradiction(event, "there is no such node");
  Node& node = nodes_[body.node()];
  const auto asked = node.testing.find(body.uuid()->str());
  if (asked == node.testing.end() || asked->second.id.value != body.test())
    return contradiction(event, "nobody asked for this test of the device");
  DeviceTest& test = node.tested[asked->first];
  test = std::move(asked->second);
  node.testing.erase(asked);
  test.told_at = Time{event.time_at()};
  test.verdict = body.verdict();
  test.text = schema::text(body.text());
  test.figures = figures_of(body.figures());
  if (node.tested.size() > tests_per_node_max) forget_oldest(node);
  mark_slow(node);
  return {};
}

}  // namespace reeve::cluster
