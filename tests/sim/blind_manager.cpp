// The manager of the program with planted bugs: it asks the real decision, and
// goes on where a bug has it not see why it was refused.
#include "tests/sim/planted.hpp"
#include "tests/sim/saboteur.hpp"

namespace reeve::cluster {
namespace {

void write_placed(const Proposal& proposal, EventWriter& writer) {
  auto& builder = writer.builder();
  std::vector<flatbuffers::Offset<schema::TaskPlacement>> tasks;
  for (const TaskProposal& task : proposal.tasks) {
    std::vector<schema::DeviceShare> shares;
    for (const DeviceGrant& grant : task.devices)
      shares.emplace_back(grant.device, grant.milli, grant.memory_bytes);
    tasks.push_back(schema::CreateTaskPlacement(
        builder, task.node.value, builder.CreateVectorOfStructs(shares)));
  }
  const auto list = builder.CreateVector(tasks);
  writer.add(schema::CreateSessionPlaced(builder, proposal.session.value,
                                         proposal.attempt, list),
             Sequence{});
}

}  // namespace

Decision decide_place(const State& state, const Proposal& proposal,
                      const Origin& origin, EventWriter& writer) {
  auto decision = decide_place_checked(state, proposal, origin, writer);
  sim::Saboteur* saboteur = sim::planted_saboteur();
  if (decision || !saboteur || saboteur->refuses(decision.error()))
    return decision;
  writer.begin(origin);
  const Sequence first = writer.next();
  write_placed(proposal, writer);
  return Accepted{first, proposal.session};
}

}  // namespace reeve::cluster
