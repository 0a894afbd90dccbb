// What shells say to one another inside the daemon. Payloads are shared and
// never changed after they were sent.
#pragma once

#include <caf/allowed_unsafe_message_type.hpp>
#include <caf/atom.hpp>
#include <cstdint>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "actors/manager/core.hpp"
#include "bus/buffer.hpp"
#include "cluster/scheduling/scheduler.hpp"

namespace reeve::actors {

// A message from the bus whose bytes were verified as the table it names.
struct FromBus {
  enum class Kind { command, query, heartbeat, log_read };
  Kind kind = Kind::command;
  std::string principal;
  bus::Message message;
};

// Decided events: for the journal to keep, for the scheduler to know.
struct Decided {
  std::shared_ptr<const manager::Batch> batch;
};

// The journal's word: all up to `sequence` is on disk.
struct Committed {
  std::uint64_t sequence = 0;
  bool admission_open = true;
  std::string no_room;  // why nothing can be kept; empty: it can
  bool alone = false;   // for want of other managers, not of disk space
  std::string room;     // while admission is closed, for people
};

// What this manager is among those of the cell, as it is now.
struct MembershipIs {
  std::shared_ptr<const manager::Membership> now;
};

// What became of a question for a hand-over.
struct HandOverSays {
  std::string reply_to;
  std::shared_ptr<const Expected<std::string>> to;
};

// A hand-over to another manager begins: admit nothing more, finish what is
// under way; and it was given up.
struct Admission {
  bool open = true;
};

// A write whose outcome is unknown: the process must end and read again.
struct CommitFailed {
  std::string text;
};

struct Proposals {
  std::shared_ptr<const std::vector<cluster::Proposal>> list;
};

struct Refused {
  std::shared_ptr<const std::vector<std::pair<SessionId, std::uint32_t>>> list;
};

// The manager's time, from time to time.
struct TimeIs {
  Time now;
};

struct Preemptions {
  std::shared_ptr<const std::vector<cluster::Preemption>> list;
};

// A question that the scheduler answers, and what it says.
struct AskScheduler {
  std::shared_ptr<const manager::ForScheduler> question;
  std::string reply_to;
};

struct SchedulerSays {
  std::shared_ptr<const manager::ForScheduler> question;
  std::string reply_to;
  std::shared_ptr<const manager::FromScheduler> answer;
};

// A figure for `reeve status`.
struct Reported {
  std::string name;
  std::uint64_t value = 0;
};

using tick_atom = caf::atom_constant<caf::atom("tick")>;
using wake_atom = caf::atom_constant<caf::atom("wake")>;
using drain_atom = caf::atom_constant<caf::atom("drain")>;

}  // namespace reeve::actors

CAF_ALLOW_UNSAFE_MESSAGE_TYPE(reeve::actors::FromBus)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(reeve::actors::Decided)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(reeve::actors::Committed)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(reeve::actors::MembershipIs)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(reeve::actors::HandOverSays)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(reeve::actors::Admission)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(reeve::actors::CommitFailed)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(reeve::actors::Proposals)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(reeve::actors::Refused)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(reeve::actors::TimeIs)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(reeve::actors::Preemptions)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(reeve::actors::AskScheduler)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(reeve::actors::SchedulerSays)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(reeve::actors::Reported)
