// From the bus into mailboxes: verified, bounded, with the sender's name.
#pragma once

#include <atomic>
#include <caf/actor.hpp>
#include <cstddef>
#include <cstdint>
#include <functional>

#include "actors/system/gate.hpp"
#include "bus/connection.hpp"
#include "bus/quarantine.hpp"
#include "bus/subject.hpp"
#include "cluster/error.hpp"
#include "schema/command_generated.h"

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
  // A verified schema::NodeStats, on a thread of the bus; may be null.
  std::function<void(const bus::Message&)> on_node_stats = nullptr;
  // Whether nobody else can lead yet; null: nobody ever can. While it is not
  // sure, who is not taken is told nothing: another may have taken it before.
  std::function<bool()> leads = nullptr;
};

// Who joins or leaves, a quarantine, a verdict: what tokens send, and agents
// but for their nodes and facts.
inline constexpr std::size_t short_command_bytes_max = 16 << 10;

// Of a command of one kind. A longer one is refused.
std::size_t command_bytes_max_of(schema::CommandBody kind);

// Facts and cancels free what others wait for: they are taken until this many
// times as much waits.
inline constexpr std::uint64_t urgent_room_max = 4;

// How many unread messages may wait for the manager when one of this kind
// comes. Over it the sender is told to try again, and all of them do.
std::uint64_t unread_max(schema::CommandBody kind,
                         std::uint64_t mailbox_messages_max);

// Subscribes. `ingress` outlives the connections.
Status open_ingress(const Ingress& ingress);

}  // namespace reeve::tools
