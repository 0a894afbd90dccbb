// How the parts of the agent's core make commands. Included by them alone.
#pragma once

#include "actors/agent/core.hpp"
#include "schema/wire.hpp"

namespace reeve::agent {

// Given an id of its own, and not sent yet.
template <class Body>
void Core::make(PendingCommand& command, const char* kind,
                flatbuffers::FlatBufferBuilder& builder,
                flatbuffers::Offset<Body> body) {
  command.waiting = true;
  command.id = next_command_id();
  command.kind = kind;
  const auto root = schema::CreateCommand(
      builder, &command.id, schema::CommandBodyTraits<Body>::enum_value,
      body.Union(), &options_.program.protocol);
  const schema::Bytes bytes = schema::finish(builder, root);
  command.bytes = {bytes.begin(), bytes.end()};
}

// Whether the same may be accepted later, under another id: the manager
// remembers what it refused.
inline bool passes(const schema::Rejection& rejection) {
  return rejection.code() == schema::RejectCode::try_again ||
         rejection.code() == schema::RejectCode::no_space;
}

}  // namespace reeve::agent
