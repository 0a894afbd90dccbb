#include "actors/journal/entities.hpp"

#include "cluster/event_filter.hpp"
#include "schema/wire.hpp"

namespace reeve::journal {
namespace {

// Null when the event is not about a node alone.
template <class... Bodies>
const std::uint32_t* node_number(const schema::Event& event,
                                 std::uint32_t& number) {
  const auto one = [&](const auto* body) {
    if (body != nullptr) number = body->node();
    return body != nullptr;
  };
  return (one(event.template body_as<Bodies>()) || ...) ? &number : nullptr;
}

}  // namespace

void find_entities(std::span<const std::byte> bytes,
                   std::vector<store::Entity>& to) {
  const schema::Event& event = schema::event_of(bytes);
  if (const std::uint64_t session = session_of(event); session != 0) {
    to.push_back({session_entity, session});
    return;
  }
  std::uint32_t number = 0;
  if (node_number<schema::NodeRegistered, schema::NodeLost,
                  schema::NodeReturned, schema::NodeDrained,
                  schema::NodeResumed, schema::NodeRemoved,
                  schema::DeviceQuarantined, schema::DeviceReleased,
                  schema::DeviceTestRequested, schema::DeviceTested>(event,
                                                                     number))
    to.push_back({node_entity, number});
}

}  // namespace reeve::journal
