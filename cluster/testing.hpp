// For tests and benchmarks: a cell without manager or bus. Decisions go
// through decide, what they write is applied at once, and the whole log is
// kept, so that a replay can be compared at any moment.
#pragma once

#include <initializer_list>
#include <string>
#include <string_view>
#include <vector>

#include "cluster/decide.hpp"

namespace reeve::cluster::testing {

inline constexpr std::uint64_t gib = std::uint64_t{1} << 30;

struct NodeOptions {
  std::string name = "n0";
  std::uint32_t cpu_milli = 16'000;
  std::uint64_t memory_bytes = 64 * gib;
  std::uint32_t devices = 0;
  std::uint64_t device_memory_bytes = 80 * gib;
  std::string model = "H100";
  std::string mig_of{};
  std::string uuid{};       // of each device; empty: one of its own
  std::uint32_t links = 0;  // of each device
  std::string group{};
  std::string agent{};  // empty: the node's name
  bool simulated = false;
  std::uint32_t limits = 0;  // sentences about what it cannot do
  Labels labels{};
};

// The indexes of an array.
struct ArrayRange {
  std::uint32_t from = 0;
  std::uint32_t to = 0;
};

// A fact about a task that the session has now.
struct FactOptions {
  schema::FactKind kind = schema::FactKind::exited;
  std::uint32_t rank = 0;
  std::int32_t exit_code = 0;
  EndReason reason = EndReason::exited;
  std::uint32_t attempt = 0;  // 0: the present one
  std::string agent{};        // empty: the one that runs the task
  std::uint64_t started_at = 0;
  std::uint64_t ended_at = 0;
  std::string detail{};
};

// A token that admins make.
struct TokenOptions {
  IdentityRole role = IdentityRole::agent;
  std::string name{};
  std::uint32_t uses = 1;
  std::uint64_t expires_ns = 3600 * second_ns;
  std::string key{};  // empty: that of the token's number
};

struct JoinOptions {
  std::uint64_t token = 1;
  std::string name = "n1";
  std::string key{};  // empty: that of the name
  std::string address{};
  const char* role = nullptr;  // null: it is not told
};

// A public key that belongs to the word.
std::string key_of(std::string_view word);

// One task of a command: 1 CPU, 1 GiB.
Spec one_task();
Spec tasks_of(std::uint32_t count);

schema::Id128 id_of(std::uint64_t number);

class Cell {
 public:
  explicit Cell(Time begun = Time{1'000 * second_ns});

  State state;
  EventWriter writer;
  Time now;
  Admission admission;
  LocalNames local{"m0", {"sim"}};

  void pass(std::uint64_t duration_ns) { now.value += duration_ns; }
  Origin origin(std::string_view principal = {}, schema::Id128 id = {}) const {
    return {now, principal, id};
  }

  Decision register_node(const NodeOptions& node, bool reconciled = false,
                         std::string_view principal = {});
  NodeId add(const NodeOptions& node);
  Decision drain(std::string_view node, std::uint64_t deadline_ns = 0);
  Decision resume(std::string_view node);
  Decision remove(std::string_view node);
  void lose(std::string_view node);
  // The device by its index or uuid.
  Decision quarantine(std::string_view node, std::string_view device,
                      std::string_view principal = "root",
                      std::string_view reason = "hot");
  Decision release(std::string_view node, std::string_view device,
                   std::string_view principal = "root", bool force = false);
  Decision test(std::string_view node, std::string_view device,
                bool full = true, std::string_view principal = "root");
  // The verdict of the test of that uuid that is asked for, or of number `id`.
  Decision tested(std::string_view node, std::string_view uuid,
                  DeviceVerdict verdict, std::string_view text = {},
                  Sequence id = {}, std::string_view principal = {});
  // As at a registration of the node.
  void own_tests(std::string_view node, OwnTests wanted);

  // A fresh command id when none is given.
  Decision try_submit(const Spec& spec, std::string_view principal = "root",
                      schema::Id128 id = {});
  SessionId submit(const Spec& spec);
  Decision try_submit_array(const Spec& spec, const ArrayRange& range,
                            std::string_view principal = "root",
                            schema::Id128 id = {});
  Decision cancel_array(SessionId first, std::string_view principal = "root");
  Decision cancel(SessionId session, std::string_view principal = "root",
                  schema::Id128 id = {});
  // Each task on the named node, by rank, with the devices given for it.
  Decision try_place(SessionId session, const std::vector<std::string>& nodes,
                     const std::vector<DeviceGrant>& devices = {});
  void place(SessionId session, const std::vector<std::string>& nodes,
             const std::vector<DeviceGrant>& devices = {});
  FactOutcome fact(SessionId session, const FactOptions& fact);
  void start(SessionId session, std::uint32_t rank = 0);
  void exit(SessionId session, std::uint32_t rank = 0,
            std::int32_t exit_code = 0);
  bool deadline(SessionId session);
  bool task_lost(SessionId session);
  bool evict(SessionId session);
  bool dependent(SessionId waiting, SessionId ended);
  bool preempt(SessionId victim, SessionId for_session);
  bool warn(SessionId session);
  Decision set_reservation(const Reservation& reservation);
  Decision remove_reservation(std::string_view name);
  // Drops those that are over.
  void tick_reservations();
  bool unreserved(SessionId waiting, const ReservationChange& change = {});

  Decision create_token(const TokenOptions& token = {},
                        std::string_view principal = "root");
  Decision revoke_token(std::uint64_t token);
  Decision join(const JoinOptions& options);
  Decision leave(std::string_view principal, bool force = false);
  Decision remove_identity(std::string_view principal,
                           std::string_view reason = "");
  // A user account.
  void add_user(std::string_view name);

  // Submitted, placed on n0 and started.
  SessionId running(const Spec& spec);

  const Session& session(SessionId id) const { return *state.session(id); }
  SessionState state_of(SessionId id) const { return session(id).state; }

  // Applies what was written since; keeps the kinds in `kinds`. Every
  // invariant is checked.
  void settle();
  // Kinds of the events of the last decision, with blanks between.
  std::string kinds;

  const std::vector<std::byte>& log() const { return log_; }
  const schema::Event& event(Sequence sequence) const;
  std::size_t offset_of(Sequence sequence) const {
    return offsets_[sequence.value - 1];
  }

  // Turned off where a test is about the amount.
  bool checks = true;
  bool keeps_log = true;
  // Gets every event as well.
  State* deliver_to = nullptr;

 private:
  std::vector<std::byte> log_;
  std::vector<std::size_t> offsets_;
  std::uint64_t commands_ = 0;
};

// The events from `from` on, applied; ends the test at an error.
void replay(State& state, const Cell& cell, Sequence from);

// The digest of a replay of everything from the first event.
std::string replayed_digest(const Cell& cell);

// Of n0, for root, from an hour from now for two hours.
Reservation a_reservation(const Cell& cell);

// "over_limit tasks_per_session_max 4096 4097", or "accepted".
std::string verdict(const Decision& decision);

}  // namespace reeve::cluster::testing
