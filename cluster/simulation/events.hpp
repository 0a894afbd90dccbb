// The events of a virtual cell, in the form of those of a real log.
#pragma once

#include <span>

#include "cluster/event_writer.hpp"
#include "cluster/scheduling/scheduler.hpp"
#include "cluster/simulation/workload.hpp"
#include "schema/event_generated.h"

namespace reeve::cluster::simulation {

// What one function returns lives until the next is called.
class EventMaker {
 public:
  const schema::Event& changed(const NodeChange& change, const Node& inventory);
  // Without the dependencies that are met already.
  const schema::Event& submitted(const Session& session, const Workload& work,
                                 const std::vector<schema::Dependency>& after,
                                 Time at, std::uint64_t time_limit_ns);
  const schema::Event& placed(const Proposal& proposal, Time at);
  const schema::Event& exited(SessionId session, std::uint32_t attempt,
                              std::uint32_t rank, schema::EndReason reason,
                              Time at);
  const schema::Event& stopping(SessionId session, std::uint32_t attempt,
                                SessionId for_session, Time at);
  const schema::Event& requeued(SessionId session, std::uint32_t attempt,
                                schema::EndReason reason, Time not_before,
                                Time at);
  const schema::Event& ended(SessionId session, std::uint32_t attempt,
                             schema::SessionState state,
                             schema::EndReason reason, Time at);

  // The event that was made last, as a log would have it.
  std::span<const std::byte> bytes() const;

 private:
  template <class Body>
  const schema::Event& finish(Time at, flatbuffers::Offset<Body> body);

  EventWriter writer_{Sequence{1}, Epoch{1}};
  flatbuffers::FlatBufferBuilder& builder_ = writer_.builder();
};

}  // namespace reeve::cluster::simulation
