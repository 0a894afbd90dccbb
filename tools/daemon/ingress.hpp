// From the bus into mailboxes: verified, bounded, with the sender's name.
#pragma once

#include <atomic>
#include <caf/actor.hpp>
#include <cstdint>

#include "actors/system/gate.hpp"
#include "bus/connection.hpp"
#include "bus/quarantine.hpp"
#include "bus/subject.hpp"
#include "cluster/error.hpp"

namespace reeve::tools {

struct Ingress {
  bus::Connection& requests;
  bus::Connection& answers;
  bus::Quarantine& quarantine;
  const bus::Subjects& subjects;
  // Its own inbox, where agents of this process get their answers.
  std::string daemon_principal;
  caf::actor manager;
  caf::actor log_reader;
  actors::Gate& log_reads;
  // Commands and queries that may wait for the manager.
  std::uint64_t mailbox_messages_max;
};

// Subscribes. `ingress` outlives the connections.
Status open_ingress(const Ingress& ingress);

}  // namespace reeve::tools
