// The cluster at one sequence: a pure fold of the log.
//
// `apply` takes events in order and no decision. It knows no clock: times come
// in events. One thread at a time; a moved-from state is empty.
#pragma once

#include <array>
#include <boost/unordered/unordered_flat_map.hpp>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "cluster/accounts/accounts.hpp"
#include "cluster/accounts/reservation.hpp"
#include "cluster/accounts/sharers.hpp"
#include "cluster/command_ring.hpp"
#include "cluster/constraint.hpp"
#include "cluster/error.hpp"
#include "cluster/healing.hpp"
#include "cluster/identities/identities.hpp"
#include "cluster/interner.hpp"
#include "cluster/limits.hpp"
#include "cluster/scheduling/capacity.hpp"
#include "cluster/spec.hpp"
#include "cluster/types.hpp"
#include "schema/event_generated.h"

namespace reeve::cluster {

using schema::DeviceVerdict;
using schema::EndReason;
using schema::SessionState;

inline constexpr std::size_t session_states = 9;

constexpr bool has_ended(SessionState state) {
  return state >= SessionState::succeeded;
}

// Whether an attempt that ended so uses up one of those that a session may
// have: making room, and a GPU in nobody's order, are no fault of its own.
constexpr bool counts_as_attempt(EndReason reason) {
  return reason != EndReason::preempted && reason != EndReason::device_unclean;
}

struct Device {
  std::string uuid;
  std::string model;
  std::uint64_t memory_bytes = 0;
  std::int16_t numa_node = -1;
  std::vector<schema::DeviceLink> links;  // to each device of the node
  std::string mig_of;
  std::uint32_t used_milli = 0;
  std::uint64_t used_memory_bytes = 0;
  // Whose shares it holds, by either: the setting of its group may change.
  Sharers users;
  Sharers projects;
  bool slow = false;  // its last test found it slower than its model
};

// Why a device is offered to nobody; see DeviceQuarantine in schema/types.fbs.
struct Quarantine {
  std::uint32_t device = 0;  // its index then
  std::string reason;
  Time since;
  bool by_agent = false;
  bool for_test = false;
};
using Quarantines = std::map<std::string, Quarantine, std::less<>>;  // by uuid

// See DeviceFigure and DeviceTest in schema/types.fbs.
struct TestFigure {
  std::string name;
  std::uint64_t per_second = 0;
  std::uint32_t share_milli = 0;
};
struct DeviceTest {
  Sequence id;
  bool full = false;
  Time asked_at;
  Time told_at;
  DeviceVerdict verdict = DeviceVerdict::not_tested;
  std::string text;
  std::vector<TestFigure> figures;
};
using DeviceTests = std::map<std::string, DeviceTest, std::less<>>;  // by uuid

struct Node {
  NodeId id;
  std::string name;
  std::string agent;
  std::string group;
  std::uint32_t cpu_milli = 0;
  std::uint64_t memory_bytes = 0;
  std::vector<Device> devices;
  bool simulated = false;
  std::vector<std::string> limits;
  Labels labels;
  std::string version;  // of its agent's program; empty and 0: not told
  std::uint32_t protocol = 0;

  bool lost = false;
  bool removed = false;
  bool barred = false;  // removed, and its name may not register again
  bool draining = false;
  std::string drain_reason;
  Time drain_deadline;
  bool refused = false;     // drained for the program of its agent
  Quarantines quarantined;  // also of cards that are away
  DeviceTests testing;      // asked for, not answered; each in quarantine
  DeviceTests tested;       // the last of each, also of those that are away

  std::uint64_t used_cpu_milli = 0;
  std::uint64_t used_memory_bytes = 0;
  // One entry for each task that holds something here.
  std::vector<SessionId> holders;
  std::uint32_t shape = ~std::uint32_t{0};  // its index in State::shapes

  bool offered() const { return !lost && !removed && !draining; }
  // Of the device, or of the card it is a part of, with the uuid that it goes
  // by; null: it may be offered.
  const Quarantines::value_type* quarantine_of(const Device& device) const;
};

// A task holds its allocation until it has exited.
enum class TaskPhase : std::uint8_t { placed = 0, started = 1, exited = 2 };

struct Task {
  NodeId node;
  TaskPhase phase = TaskPhase::placed;
  EndReason reason = EndReason::none;
  std::int32_t pid = 0;
  schema::ExitFacts facts;
  std::vector<schema::DeviceShare> devices;
};

struct Session {
  SessionId id;
  std::unique_ptr<char[]> own;  // its name and command, see spec.hpp
  std::uint32_t own_bytes = 0;
  Interner::Id request = 0;
  Interner::Id context = 0;
  Owners owners;
  std::int32_t priority = 0;
  std::uint32_t cpu_milli = 0;
  std::uint64_t memory_bytes = 0;
  std::uint32_t tasks_wanted = 1;
  std::uint32_t tasks_started = 0;
  std::uint32_t tasks_exited = 0;
  std::uint32_t requeue_max = 0;
  std::uint32_t attempt = 1;
  SessionState state = SessionState::pending;
  EndReason reason = EndReason::none;
  bool simulated = false;
  bool depends = false;
  bool reserves = false;  // asks for a reservation
  bool warns = false;     // wants a signal before its time limit
  bool warned = false;    // and got it in this attempt
  schema::OnPreempt on_preempt = schema::OnPreempt::requeue;
  std::uint32_t preemptions = 0;  // attempts that do not count, of any cause
  std::int32_t exit_code = 0;
  std::int32_t signal = 0;
  std::uint64_t time_limit_ns = 0;
  std::uint64_t sim_duration_ns = 0;
  std::uint64_t grace_ns = 0;  // 0: the default
  SessionId stopping_for;      // while it makes room for another
  Sequence submitted_seq;
  Sequence last_seq;
  Time state_at;
  Time submitted_at;
  Time placed_at;
  Time started_at;
  Time ended_at;
  Time not_before;
  std::vector<Task> tasks;
  std::unique_ptr<std::string> detail;
};

using Digest = std::array<std::byte, 32>;

class State {
 public:
  State();
  State(State&&) noexcept;
  State& operator=(State&&) noexcept;
  ~State();

  // Errors: `damaged` for a sequence out of turn, an event of an unknown kind
  // ("this log is newer than this program") or one that contradicts the
  // state. After an error the state must not be used.
  Status apply(const schema::Event& event);

  Sequence last_sequence() const { return last_sequence_; }
  Time last_time() const { return last_time_; }
  Epoch epoch() const { return epoch_; }
  const std::string& cell() const { return cell_; }
  const std::string& owner() const { return owner_; }
  SessionId next_session() const { return SessionId{next_session_}; }

  const std::vector<Node>& nodes() const { return nodes_; }
  const Node* node(NodeId id) const;
  // The node that bears the name now; removed ones are not found.
  const Node* node(std::string_view name) const;
  // The removed node whose name may not register again, if there is one.
  const Node* barred_node(std::string_view name) const;

  // The sorts of nodes there are, with how many of each (0 is possible).
  const std::vector<Shape>& shapes() const { return shapes_; }

  // Null for sessions that never were, or ended so long ago that only the log
  // knows them.
  const Session* session(SessionId id) const;
  // Sessions in order of their ids from `from` on; stops when `visit` says
  // false.
  template <class Visit>
  void visit_sessions(SessionId from, Visit&& visit) const {
    std::uint64_t id =
        from.value > first_session_ ? from.value : first_session_;
    for (; id < first_session_ + slots_.size(); ++id)
      if (const Session* found = session(SessionId{id}))
        if (!visit(*found)) return;
  }
  // The same downwards, from below `before` (0: from the newest).
  template <class Visit>
  void visit_sessions_down(SessionId before, Visit&& visit) const {
    std::uint64_t id = first_session_ + slots_.size();
    if (before.value != 0 && before.value < id) id = before.value;
    while (id-- > first_session_)
      if (const Session* found = session(SessionId{id}))
        if (!visit(*found)) return;
  }
  std::uint64_t count(SessionState state) const {
    return counts_[static_cast<std::size_t>(state)];
  }
  std::uint64_t live_sessions() const;

  // The whole specification of a session; views live as long as it does.
  Spec spec(const Session& session) const;
  std::string_view name(const Session& session) const {
    return unpack_name({session.own.get(), session.own_bytes});
  }
  std::string_view user(const Session& session) const;
  // Those that are known of the array whose first session this is or was, in
  // order.
  void visit_array(SessionId first,
                   const std::function<void(const Session&)>& visit) const;
  // How many they are; 1 for a session of none.
  std::uint32_t array_size(SessionId first) const;

  const Accounts& accounts() const { return accounts_; }
  const Reservations& reservations() const { return reservations_; }
  const Identities& identities() const { return identities_; }
  const Healings& healings() const { return healings_; }
  // The owner, and users who were made admins.
  bool may_administer(std::string_view principal) const;
  std::optional<CommandAnswer> answered(const schema::Id128& command) const;

  // The sums of holdings recounted from scratch against what is kept; one
  // sentence with the numbers on the first difference.
  Status check_invariants() const;

  // Equal states have equal bytes. See schema/snapshot.fbs.
  std::vector<std::byte> encode_snapshot() const;
  static Expected<State> decode_snapshot(std::span<const std::byte> bytes);
  // BLAKE2b-256 of the snapshot's bytes; hex as people see it.
  static Digest digest_of(std::span<const std::byte> snapshot);
  Digest digest() const;
  std::string digest_hex() const;

 private:
  friend struct SnapshotReader;
  Session* find(std::uint64_t id);
  Session& create_session(std::uint64_t id);
  void evict_oldest_ended();
  void set_state(Session& session, SessionState state, Time at);
  void count(const Session& session, SessionState state);
  void uncount(const Session& session);
  void hold(Session& session, Task& task);
  void release(Session& session, Task& task);
  void release_all(Session& session);
  void remember(const schema::Event& event);

  Status apply_epoch(const schema::Event& event,
                     const schema::EpochStarted& body);
  Status apply_cell_created(const schema::CellCreated& body);
  Status apply_node_registered(const schema::NodeRegistered& body);
  Status apply_submitted(const schema::Event& event,
                         const schema::SessionSubmitted& body);
  Status apply_placed(const schema::Event& event,
                      const schema::SessionPlaced& body);
  Status apply_started(const schema::Event& event,
                       const schema::TaskStarted& body);
  Status apply_exited(const schema::Event& event,
                      const schema::TaskExited& body);
  Status apply_stopping(const schema::Event& event,
                        const schema::SessionStopping& body);
  Status apply_requeued(const schema::Event& event,
                        const schema::SessionRequeued& body);
  Status apply_warned(const schema::Event& event,
                      const schema::SessionWarned& body);
  Status apply_ended(const schema::Event& event,
                     const schema::SessionEnded& body);
  Status apply_node_change(const schema::Event& event);
  Status apply_quarantined(const schema::Event& event,
                           const schema::DeviceQuarantined& body);
  Status apply_released(const schema::Event& event,
                        const schema::DeviceReleased& body);
  Status apply_test_requested(const schema::Event& event,
                              const schema::DeviceTestRequested& body);
  Status apply_tested(const schema::Event& event,
                      const schema::DeviceTested& body);
  void count_shape(Node& node, Shape shape);
  void uncount_shape(Node& node);
  void load_spec(Session& session, const schema::SessionSpec& spec);
  void load_node(Node& node, std::string_view agent,
                 const schema::NodeSpec& spec);

  static constexpr std::uint32_t no_slot = ~std::uint32_t{0};
  static constexpr std::uint32_t sessions_per_page = 64;
  using Page = std::array<Session, sessions_per_page>;
  Session& at_slot(std::uint32_t slot) const {
    return (*pages_[slot / sessions_per_page])[slot % sessions_per_page];
  }

  Sequence last_sequence_;
  Time last_time_;
  Epoch epoch_;
  std::string cell_;
  std::string owner_;
  Accounts accounts_;
  Reservations reservations_;
  Identities identities_;
  Healings healings_;

  std::vector<Node> nodes_;
  std::vector<Shape> shapes_;
  boost::unordered_flat_map<std::string, std::uint32_t> node_by_name_;

  std::uint64_t next_session_ = 1;
  std::uint64_t first_session_ = 1;  // the id of slots_[0]
  std::deque<std::uint32_t> slots_;
  std::vector<std::unique_ptr<Page>> pages_;
  std::vector<std::uint32_t> free_slots_;
  std::deque<std::uint64_t> ended_;  // oldest end first
  std::uint64_t ended_evicted_ = 0;
  std::array<std::uint64_t, session_states> counts_{};
  Interner texts_;
  std::vector<Owners> owners_by_context_;  // their users and projects
  std::string scratch_;

  CommandRing commands_;
};

// What one task holds, what a whole session asks for, and what it counts as in
// a state beside the holdings of its tasks.
Amounts amounts_of(const Session& session, const Task& task);
Amounts wanted_amounts(const Spec& spec);
Amounts amounts_of(SessionState state);

// The deadline of the session's present state; never 0 for one that lives.
Time deadline_of(const State& state, const Session& session);
// Between the polite signal to its tasks and the one that ends them.
std::uint64_t grace_of(const Session& session);
// Whoever stops a cell waits for the longest: half of what systemd leaves.
inline constexpr std::uint64_t cell_stop_grace_ns = 30 * second_ns;
// The same while the cell is being stopped, whatever the session ends for.
std::uint64_t grace_at_cell_stop(const Session& session);

}  // namespace reeve::cluster
