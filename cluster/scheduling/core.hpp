// The inside of the scheduler: nodes, sessions, classes and pools, and the
// passes over them. The parts: scheduler.cpp (events), classes.cpp (queues),
// order.cpp (ranks), propose.cpp (who is next), search.cpp and weigh.cpp
// (where), wishes.cpp (where not; place_index.hpp: which racks have room),
// plan.cpp (places kept from a moment on), guard.cpp (patience), preempt.cpp
// (who makes room), quotas.cpp (who may not), why.cpp and queue.cpp (for
// people).
#pragma once

#include <array>
#include <deque>
#include <functional>
#include <map>
#include <queue>
#include <set>
#include <tuple>
#include <unordered_map>
#include <utility>

#include "cluster/accounts/accounts.hpp"
#include "cluster/accounts/reservation.hpp"
#include "cluster/constraint.hpp"
#include "cluster/scheduling/free_index.hpp"
#include "cluster/scheduling/line.hpp"
#include "cluster/scheduling/outlook.hpp"
#include "cluster/scheduling/place_index.hpp"
#include "cluster/scheduling/request.hpp"

namespace reeve::schema {
struct NodeSpec;
struct SessionSpec;
}  // namespace reeve::schema

namespace reeve::cluster::scheduling {

using ClassId = std::uint32_t;

// Whose sessions stand together, where their place depends on what they hold.
struct Owner {
  AccountIndex user = no_account;
  AccountIndex project = no_account;
  auto operator<=>(const Owner&) const = default;
};

// GPUs of a task, milli and memory of each, models, whose shares these are,
// named node, owner.
using DemandKey =
    std::tuple<std::uint32_t, std::uint32_t, std::uint64_t,
               std::vector<ModelId>, AccountIndex, std::string, Owner>;

// Of a session whose end nobody knows.
inline constexpr std::uint64_t no_length = UINT64_MAX;
inline constexpr Time no_time{UINT64_MAX};

struct ClassKey {
  Request request;
  Owner owner;                       // where the order looks at accounts
  std::uint64_t length_ns = 0;       // where the backfill looks at lengths
  std::uint64_t limit_ns = 0;        // where nodes are reserved at times
  AccountIndex sharer = any_sharer;  // of a share, by the group's setting
  bool operator==(const ClassKey&) const = default;
};

struct ClassKeyHash {
  std::size_t operator()(const ClassKey& key) const {
    const std::size_t rest = (key.owner.user * 0x9E3779B97F4A7C15ULL) ^
                             (key.owner.project * 0xC2B2AE3D27D4EB4FULL) ^
                             (key.length_ns * 0x165667B19E3779F9ULL) ^
                             (key.limit_ns * 0x27D4EB2F165667C5ULL) ^
                             (key.sharer * 0x2545F4914F6CDD1DULL);
    return std::hash<Request>{}(key.request) ^ rest ^ (rest >> 31);
  }
};

// Where sessions of a class may be, and would rather; see wishes.cpp.
struct Wishes {
  enum class Verdict : std::uint8_t { unknown, yes, no };

  Constraint constraint;
  std::vector<Constraint> prefer;
  bool nowhere = false;
  // Keys of companies, and the labels that tell their places.
  std::string together;
  std::string together_by;
  std::string apart;
  std::string apart_by;
  // Of each node, since the inventory last changed.
  std::vector<Verdict> known;
  std::uint64_t known_at = 0;
};

// What a search is limited to for a while.
struct Narrowing {
  std::size_t prefer = 0;  // so many of the class's preferences hold
  std::string label;       // of its value `place`, unless that is empty
  std::string place;
  bool no_slow = false;  // of devices
};

// Sessions with equal requests (and owners, and lengths, where these count).
struct Class {
  // idle: nobody waits. ready: to be looked at. refused: fits on no node but
  // those marked `freed` and those earmarked for a guard before it.
  enum class Standing { idle, ready, refused };

  Request request;
  Owner owner;
  std::uint64_t length_ns = 0;
  std::uint64_t limit_ns = 0;
  Need need;
  std::unique_ptr<Wishes> wishes;  // null: none
  std::uint32_t pool = 0;
  std::uint32_t demand = 0;
  std::uint32_t sessions = 0;  // that refer to it
  Line waiting;
  Standing standing = Standing::idle;
  OrderKey key;        // its front, under which it is listed, unless idle
  OrderKey listed_as;  // in `ready`: that with its rank of then
  std::vector<std::uint32_t> kinds;  // of nodes that may serve it
  std::size_t kinds_seen = 0;
  std::uint64_t gang_refused_at = 0;  // the pool's `room_version` then
};

// Refused classes with the same wish for devices, in order of their heads.
struct Demand {
  std::uint32_t classes = 0;
  Need devices;  // without CPU and memory
  std::string on_node;
  Owner owner;
  std::set<std::pair<OrderKey, ClassId>> refused;
  // No class here needs less, so a node with less is passed over quickly.
  std::uint64_t cpu_least_milli = UINT64_MAX;
  std::uint64_t memory_least_bytes = UINT64_MAX;
};

// Sessions at the head of a queue that fit nowhere, and are passed by.
inline constexpr std::size_t stuck_heads_max = 8;

// Places that are kept for a session that waits.
struct Planned {
  OrderKey key;
  ClassId of_class = 0;
  Time start;  // no_time: the lengths do not tell
  std::vector<std::pair<std::uint32_t, std::uint32_t>> places;  // node, tasks
  bool stuck = false;  // fits nowhere, and takes nobody's turn
};

// One queue and the nodes that serve it.
struct Pool {
  std::string group;
  bool simulated = false;
  bool ours = true;  // its sessions are for this scheduler to place
  Policy policy;
  GpuSharing gpu_sharing = GpuSharing::project;
  std::vector<FreeIndex> kinds;
  std::vector<std::uint32_t> nodes;
  std::map<std::string, std::uint32_t> labels;  // with how many nodes
  std::map<std::string, PlaceIndex> places;     // of labels that were asked for
  bool booked = false;  // some of its nodes are reserved at times
  std::vector<Demand> demands;
  std::vector<OrderKey> demand_heads;  // beside `demands`, for a quick walk
  std::map<DemandKey, std::uint32_t> demand_numbers;
  std::vector<std::uint32_t> demands_unused;
  std::uint64_t room_version = 1;     // counts up whenever a node gets room
  OrderKey guard = OrderKey::last();  // nobody is behind last(): no guard
  Owner guard_owner;
  bool guard_made_room = false;  // others go for it
  std::uint64_t stuck_head = 0;  // for which all nodes would not do
  std::vector<std::uint32_t> earmarked;
  std::unique_ptr<Outlook> outlook;  // with packing=fragmentation

  // What its nodes have, and what users hold of it (order.cpp).
  Amounts capacity;
  std::uint32_t slow_devices = 0;
  std::unordered_map<AccountIndex, Amounts> held;
  bool ranks_eased = false;  // some may be less than when they were listed
  Time fair_at;              // when use was last summed up
  std::unordered_map<AccountIndex, double> fair_used;
  double fair_total = 0;
  double fair_weights = 0;

  // The head for which others were last looked at, and when (preempt.cpp).
  std::uint64_t preempted_for = 0;
  Time preempted_at;

  // Sessions that hold something, by their expected ends; what is kept for
  // whom (plan.cpp).
  std::set<std::pair<Time, std::uint64_t>> ends;
  std::vector<Planned> plan;
  bool plan_stale = false;
  bool plan_due = false;        // whatever `plan_rest` is
  std::uint64_t plan_rest = 0;  // changes to pass before it is made again
};

// Sessions that a quota of an account holds back, each in the order of the
// queue.
struct QuotaLine {
  std::set<OrderKey> next;  // wait until others have ended
  // That would not help: they wait for the next period, or another quota.
  std::set<OrderKey> aside;
};

struct Holding {
  TaskProposal task;
  bool freed = false;
};

struct Session {
  enum class Standing {
    held,
    waiting,
    over_quota,
    array_full,
    proposed,
    placed
  };

  ClassId request_class = 0;
  OrderKey key;
  std::uint32_t attempt = 1;
  Standing standing = Standing::held;
  std::vector<SessionId> waits_for;  // dependencies that are not met yet
  Time not_before;
  bool awaits_window = false;  // not_before: when its reservation begins
  Time headed_at;  // when it first was the refused head of its queue
  Time started_at;
  std::uint64_t time_limit_ns = 0;
  std::uint64_t length_ns = no_length;  // expected
  std::uint64_t likeness = 0;           // equal for those of one user and name
  Time submitted_at;
  Time ends_at;             // expected, while it holds something; 0 otherwise
  Time preempted_at;        // when it was told to make room; 0: it was not
  std::uint64_t array = 0;  // its first session
  std::uint32_t array_running_max = 0;
  Owners owners;
  AccountIndex held_back_by = no_account;  // while it is over_quota
  bool let_in_again = false;               // and not looked at since
  std::vector<Holding> holdings;           // by rank
  std::vector<NodeId> nodes_to_avoid;      // where it was before

  std::uint64_t limit_ns() const {
    return time_limit_ns == 0 ? no_length : time_limit_ns;
  }
};

// Nodes that a search compares.
struct Candidates {
  std::uint32_t times = 0;  // tasks, together
  OrderKey key;
  bool emptiest_first = false;
  int of_a_cell_max = 0;
  std::vector<std::uint32_t> nodes{};
  std::size_t nodes_max = 0;  // for the present part of the walk
};

// What ends with a session that makes room: the later in this order, the
// dearer.
struct Cost {
  std::int32_t priority = INT32_MIN;
  double lost = 0;  // GPUs (and what counts as such) times seconds
  auto operator<=>(const Cost&) const = default;
};

struct Victim {
  Cost cost;
  std::uint64_t session = 0;
};

// Who may go for a head, by node, and the nodes that it gets by it.
struct Eviction {
  Time at;
  std::map<std::uint32_t, Node> nodes;
  std::map<std::uint32_t, std::vector<Victim>> on_node;
  std::map<std::uint64_t, Victim> all;
  std::vector<std::uint32_t> chosen;
};

// Who goes for a head, and the nodes that it gets by it; empty: nobody.
struct Vacancy {
  std::vector<Victim> victims;
  std::vector<std::uint32_t> nodes;
};

struct Dependent {
  std::uint64_t session = 0;
  std::uint8_t kind = 0;
};

// The freed nodes to look at, first those whose best waiting class is first.
// An entry counts only while it carries the node's newest ticket.
struct FreedNode {
  OrderKey key;
  std::uint32_t node = 0;
  std::uint64_t ticket = 0;
  bool operator>(const FreedNode& other) const {
    return std::pair(key, node) > std::pair(other.key, other.node);
  }
};
using FreedQueue = std::priority_queue<FreedNode, std::vector<FreedNode>,
                                       std::greater<FreedNode>>;

}  // namespace reeve::cluster::scheduling

namespace reeve::cluster {

struct Scheduler::Core {
  using Node = scheduling::Node;
  using Need = scheduling::Need;
  using Class = scheduling::Class;
  using ClassId = scheduling::ClassId;
  using Pool = scheduling::Pool;
  using Session = scheduling::Session;
  using Owner = scheduling::Owner;
  using OrderKey = scheduling::OrderKey;
  using Tasks = std::vector<TaskProposal>;

  // Events (scheduler.cpp).
  void apply(const schema::Event& event);
  void register_node(const schema::Event& event);
  std::vector<ClassId> company_on(const Node& node) const;
  Node* node_at(std::uint32_t number);
  void take_inventory(Node& node, const schema::NodeSpec& spec);
  void offer_changed(Node& node, bool was_offered);
  void change_node(const schema::Event& event);
  void change_device(const schema::Event& event);
  void device_tested(const schema::Event& event);
  Session session_of(std::uint64_t id, const schema::SessionSpec& spec,
                     Time at);
  void submit(const schema::Event& event);
  void wait_for_others(std::uint64_t id, Session& session,
                       const schema::SessionSpec& spec);
  Session* session_at(std::uint64_t id);
  void placed(const schema::Event& event);
  void task_exited(std::uint64_t id, std::uint32_t attempt, std::uint32_t rank);
  void requeue(const schema::Event& event);
  void ended(const schema::Event& event);
  void release_dependents(std::uint64_t id, bool succeeded);
  void estimate_anew(Session& session);
  void refused(std::uint64_t id, std::uint32_t attempt);

  void set_policy(const std::string& group, const Policy& policy);
  void count_capacity(Node& node);
  void uncount_capacity(Node& node);
  void look_ahead(std::uint32_t pool_number);

  // Holdings (scheduler.cpp).
  AccountIndex sharer_on(const Node& node, const Session& session) const;
  void give_back(Node& node, const Session& session,
                 const std::vector<DeviceGrant>& devices) const;
  void recount_sharers(const std::vector<std::uint32_t>& numbers);
  void set_standing(Session& session, Session::Standing standing);
  void leave_queue(std::uint64_t id, Session& session);
  void hold(Session& session, const Tasks& tasks);
  void avoid_last_nodes(Session& session);
  void free_holding(Session& session, scheduling::Holding& holding);
  void free_holdings(Session& session);

  // Queues (classes.cpp).
  bool is_ours(std::uint32_t group) const {
    return group % own_share.of == own_share.number;
  }
  std::uint32_t pool_of(const std::string& group, bool simulated);
  scheduling::ModelId model_of(const std::string& lower_case_name);
  std::uint32_t kind_of(Pool& pool, const Node& node);
  std::uint32_t demand_of(Pool& pool, const Class& wanted);
  ClassId class_of(scheduling::ClassKey key);
  void leave_class(ClassId id);
  void leave_demand(Pool& pool, std::uint32_t number);
  const std::vector<std::uint32_t>& kinds_for(Class& wanted);
  void admit(std::uint64_t id, Session& session);
  void enqueue(Session& session);
  void dequeue(Session& session);
  void list(ClassId id, Class::Standing standing);
  void unlist(ClassId id);
  void head_changed(ClassId id);
  void join_class(Session& session, Request request);
  void change_pool(std::uint32_t pool, const Policy& policy);
  void change_sharing(std::uint32_t pool, GpuSharing to);
  void rebuild_pool(std::uint32_t pool, const std::function<void(Pool&)>& to);

  // Ranks (order.cpp).
  void set_rank(Session& session, const Pool& pool, const Request& request);
  OrderKey effective(const Pool& pool, const Owner& owner, OrderKey key) const;
  OrderKey effective(const Class& of) const;
  OrderKey guard_key(const Pool& pool) const;
  std::uint64_t dominant_share(const Pool& pool, AccountIndex user) const;
  double share_of(const Pool& pool, AccountIndex user,
                  const Amounts& held) const;
  std::uint64_t fair_rank(const Pool& pool, const Owner& owner) const;
  double fair_use(const Pool& pool, AccountIndex account) const;
  double fair_factor(const Pool& pool, AccountIndex user) const;
  void refresh_ranks(Time now);
  void sum_up_use(Pool& pool, Time now);
  std::vector<RankPart> rank_parts(const Session& session, Time now) const;
  std::optional<std::pair<OrderKey, ClassId>> head_of(const Pool& pool) const;
  void remember_length(const Session& session, Time ended_at);
  std::uint64_t expected_length(const Session& session,
                                const Policy& policy) const;

  // Passes (propose.cpp, guard.cpp).
  std::vector<Proposal> propose(Time now, std::size_t max);
  void wake(Time now);
  void node_freed(Node& node);
  void capacity_changed(Node& node);
  void queue_freed(Node& node, const OrderKey& key);
  void rebuild_freed();
  std::optional<std::pair<OrderKey, ClassId>> next_freed();
  std::optional<std::pair<OrderKey, ClassId>> best_for(const Node& node);
  bool start_next(std::vector<Proposal>& proposals);
  void start_head(ClassId id, std::vector<Proposal>& proposals);
  std::optional<std::pair<OrderKey, ClassId>> head_for(const Node& node) const;
  bool look_again(ClassId id);
  void pass_over(ClassId id);
  void promote_head(Pool& pool);

  // Plans (plan.cpp).
  void expect_end(Session& session, Time started_at);
  void expect_no_end(Session& session);
  void move_in(Session& session);
  void move_out(Session& session, const scheduling::Holding& holding);
  Time yet_to_come(Time end) const;
  Time end_of(std::uint64_t session) const;
  OrderKey key_of(const scheduling::Hold& hold) const;
  Node later(const Node& node, Time at) const;
  bool claim_holds(Node& then, const Node& node, Time at,
                   const OrderKey& before) const;
  bool beside_holds(const Node& node, const Class& wanted, std::uint32_t times,
                    const OrderKey& key) const;
  std::uint32_t slots_later(const Node& node, const Class& wanted,
                            std::uint32_t limit, Time from) const;
  void plan_changed(Pool& pool);
  void plan_broken(Pool& pool);
  void refused_in_plan(Pool& pool, const OrderKey& key);
  void leave_plan(Pool& pool, const OrderKey& key);
  bool takes_planned(const Pool& pool, const Tasks& tasks,
                     const OrderKey& key) const;
  bool awaits_unknown_end(const Pool& pool) const;
  bool plan_is_old(const Pool& pool) const;
  bool is_stuck(const Class& wanted) const;
  std::pair<OrderKey, ClassId> first_hopeful(
      const Pool& pool, const std::pair<OrderKey, ClassId>& head) const;
  bool head_moved(const Pool& pool,
                  const std::pair<OrderKey, ClassId>& head) const;
  bool plan_is_due(const Pool& pool, const OrderKey& key) const;
  bool renew_plans();
  void make_plan(Pool& pool);
  void drop_plan(Pool& pool);
  std::vector<std::pair<OrderKey, ClassId>> first_waiting(
      const Pool& pool, std::size_t count) const;
  scheduling::Planned earliest(const Pool& pool, const OrderKey& key,
                               ClassId id, std::uint64_t& steps);
  using Places = std::vector<std::pair<std::uint32_t, std::uint32_t>>;
  const std::string* kept_within(const Class& wanted) const;
  bool gather(const Class& wanted,
              const std::map<std::uint32_t, std::uint32_t>& room,
              Places& places) const;

  // Who makes room (preempt.cpp).
  std::vector<Preemption> preempt(Time now);
  Time next_preemption() const;
  Time first_look(const Class& wanted, const Session& session, Time now) const;
  std::vector<Time> looks_from(const Pool& pool, Time first) const;
  void ask_for_room(const Session& session, DryRun& out, Time now) const;
  static Time ripe_at(const Pool& pool, const Session& victim);
  bool may_preempt(const Pool& pool, const Session& head, const Session& victim,
                   Time now) const;
  scheduling::Cost cost_of(const Session& victim, Time now) const;
  void give_all_back(Node& node, const Session& session) const;
  scheduling::Eviction eviction_for(const Pool& pool, const Session& head,
                                    Time now) const;
  double share_after(const Pool& pool, AccountIndex user, const Amounts& less,
                     const Amounts& more) const;
  bool stays_fair(const Pool& pool, const Session& head,
                  const std::vector<scheduling::Victim>& gone) const;
  std::vector<scheduling::Victim> victims_on_one(
      const Pool& pool, const Session& head, scheduling::Eviction& eviction,
      std::optional<scheduling::Cost>& best_cost, std::size_t& tries) const;
  std::vector<scheduling::Victim> victims_on_several(
      const Pool& pool, const Session& head, scheduling::Eviction& eviction,
      std::optional<scheduling::Cost>& best_cost, std::size_t& tries) const;
  scheduling::Vacancy room_for(const Pool& pool, const Session& head,
                               Time now) const;

  void watch_heads(Time now);
  bool drop_needless_guards();
  bool set_guard(Pool& pool, const Class& head);
  void guard_behind(Pool& pool, Time now);
  void earmark(Pool& pool, const Class& head,
               const std::vector<std::uint32_t>& numbers);
  void drop_guard(Pool& pool);

  // Search (search.cpp).
  bool suits(const Node& node, const Class& wanted, std::uint32_t times,
             const OrderKey& key) const;
  bool usable(const Node& node, const Class& wanted, std::uint32_t times,
              const OrderKey& key) const;
  Node* find(Class& wanted, std::uint32_t times, const OrderKey& key);
  Node* find_any(Class& wanted, std::uint32_t times, const OrderKey& key);
  Node* find_in(const scheduling::Shelf& shelf, const Class& wanted,
                std::uint32_t times, const OrderKey& key);
  bool is_named(const Node& node, const std::string& name) const;
  Node* find_named(const Class& wanted, std::uint32_t times,
                   const OrderKey& key);
  Node* find_whole(Class& wanted, std::uint64_t least, std::uint32_t times,
                   const OrderKey& key);
  Node* find_share(Class& wanted, std::uint32_t times, const OrderKey& key);
  bool place(Class& wanted, const Session& session, Tasks& tasks);
  bool place_anywhere(Class& wanted, const OrderKey& key, Tasks& tasks);
  bool place_scattered(Class& wanted, const OrderKey& key, Tasks& tasks);
  bool place_spread(Class& wanted, const OrderKey& key, Tasks& tasks);
  void take(Node& node, const Class& wanted, std::uint32_t times, Tasks& tasks);
  void undo(const Class& wanted, Tasks& tasks);

  // Search that compares places (weigh.cpp).
  Node* find_weighed(Class& wanted, std::uint32_t times, const OrderKey& key);
  scheduling::Candidates candidates_for(Class& wanted, std::uint32_t times,
                                        const OrderKey& key);
  void gather_whole(scheduling::Candidates& found, Class& wanted,
                    std::uint64_t least);
  void gather_share(scheduling::Candidates& found, Class& wanted);
  void gather_in(scheduling::Candidates& found, const scheduling::Shelf& shelf,
                 const Class& wanted);
  Node* fullest(const scheduling::Candidates& found, const Need& need);
  Node* least_lost(const scheduling::Candidates& found, const Class& wanted);
  double worth_with(const Node& node, const Class& wanted, std::uint32_t times);
  std::vector<DeviceGrant> choose_devices(const Node& node,
                                          const Class& wanted) const;

  // Wishes (wishes.cpp).
  static std::unique_ptr<scheduling::Wishes> wishes_of(const Request& request);
  const std::string* place_of(const Node& node, const std::string& label) const;
  bool matches(const Constraint& constraint, const Node& node) const;
  bool admitted(const Class& wanted, const Node& node) const;
  bool in_company(const Class& wanted, const Node& node) const;
  bool as_wished(const Class& wanted, const Node& node) const;
  void join_company(const Class& of, const Node& node);
  void leave_company(const Class& of, const Node& node);
  void company_opened(const std::string& key);
  void join_companies(ClassId id);
  void leave_companies(ClassId id);
  const scheduling::PlaceIndex& places_by(Pool& pool, const std::string& label);
  bool within_narrowing(const Class& wanted, const Node& node) const;
  bool place_near(Class& wanted, const OrderKey& key, const std::string& label,
                  Tasks& tasks);
  bool place_close(Class& wanted, const OrderKey& key, Tasks& tasks);
  bool place_preferred(Class& wanted, const OrderKey& key, Tasks& tasks);
  bool welcome(const Class& wanted, const Node& node) const;
  bool leave_reserved(Node& left, const Node& node, const Class& wanted,
                      Time from) const;
  std::uint32_t slots_unreserved(Node then, const Node& node,
                                 const Class& wanted, std::uint32_t limit,
                                 Time from) const;
  std::optional<Node> unreserved(const Node& node, const Class& wanted) const;
  std::vector<Time> window_moments(const Node& node, const Class& wanted) const;
  std::optional<Time> opens_at(const Class& wanted) const;
  Time next_window(Time now) const;
  void pass_windows(Time now);
  void windows_changed(Time now);
  void book(Node& node);
  void reservations_changed(const schema::Event& event);
  bool array_is_full(const Session& session) const;
  void count_in_array(const Session& session);
  void leave_array(const Session& session);
  void let_in_of_array(const Session& session);
  void join_array_line(Session& session);
  void leave_array_line(Session& session);

  // Quotas (quotas.cpp).
  Amounts wanted_by(const Session& session) const;
  void charge(const Session& session, const Tasks& tasks);
  void discharge(const Session& session, const scheduling::Holding& holding);
  void discharge_session(const Session& session);
  bool hold_back(Session& session);
  std::optional<QuotaExcess> lasting_excess(const Session& session) const;
  std::optional<QuotaExcess> excess_of(const Session& session) const;
  void join_quota_line(Session& session, const QuotaExcess& excess,
                       bool lasting);
  void leave_quota_line(Session& session);
  SessionId before_in_line(const Session& session) const;
  WaitReason reason_in_line(const Session& session) const;
  void ease(const Owners& owners);
  void ease_whole(AccountIndex account);
  void let_in(Time now);
  void let_in_of(AccountIndex account);
  bool stands_back(Session& session);
  void settle(const Pool& pool, std::size_t count);
  void account_changed(const schema::Event& event);
  void group_changed(const schema::AccountSpec& group);

  // Reasons (why.cpp).
  Why why(std::uint64_t id) const;
  void count_nodes(const Session& session, Why& answer) const;
  void count_queue(const Session& session, Why& answer) const;
  Time limit_of(const Session& session) const;
  std::vector<const Session*> ending() const;
  const scheduling::Planned* planned_for(const Session& session) const;
  std::uint32_t slots_from(const Node& then, const Node& node,
                           const Class& wanted, Time from) const;
  bool has_room_from(const Class& wanted, Time from) const;
  void expect_start(const Session& session, Why& answer) const;
  void expect_after_hold(const Session& session, Why& answer) const;
  std::vector<Time> expected_starts(
      const std::vector<const Session*>& asked) const;
  void await_ends(const std::vector<const Session*>& among,
                  const std::vector<std::uint32_t>& numbers, Time until,
                  Why& answer) const;

  // For people (queue.cpp).
  Queue queue(std::uint32_t pool, std::size_t limit) const;
  QueueEntry queue_entry(SessionId id) const;
  QueueEntry held_entry(const Session& session) const;
  void expect_starts(Queue& out) const;
  void add_held(std::uint32_t pool, std::size_t limit, Queue& out) const;
  bool may_start(const Class& wanted, const Session& session) const;
  Session imagined(const schema::SessionSpec& spec, Time now, Why& why);
  WaitReason try_start(const Session& session, Tasks& tasks, Why& why);
  void take_back(const Session& session, Tasks& tasks);
  DryRun dry_run(const schema::SessionSpec& spec, Time now,
                 std::uint32_t count);

  std::vector<Node> nodes;
  std::unordered_map<std::string, std::uint32_t> node_names;
  std::map<std::string, scheduling::ModelId> models;
  std::uint64_t inventory_version = 1;
  Reservations reservations;
  Time windows_at;  // when it was last looked at which of them hold
  Time window_at;   // when one of them next begins or ends
  scheduling::Narrowing narrowing;
  // How many tasks of a company are in each of its places.
  std::unordered_map<std::string, std::map<std::string, std::uint32_t>>
      companies;
  // Of each, the classes whose places it decides.
  std::unordered_map<std::string, std::set<scheduling::ClassId>>
      company_classes;
  std::unordered_map<std::uint64_t, std::uint32_t> array_running;
  std::map<std::uint64_t, std::set<OrderKey>> array_lines;
  std::vector<Pool> pools;
  SchedulerShare own_share;
  std::map<std::string, std::uint32_t> group_numbers;
  std::map<std::pair<std::string, bool>, std::uint32_t> pool_numbers;

  std::vector<Class> classes;
  std::vector<ClassId> classes_unused;
  std::unordered_map<scheduling::ClassKey, ClassId, scheduling::ClassKeyHash>
      class_numbers;
  std::unordered_map<std::uint64_t, Session> sessions;
  std::unordered_map<std::uint64_t, std::vector<scheduling::Dependent>>
      dependents;
  std::set<std::pair<Time, std::uint64_t>> sleeping;

  Accounts accounts;
  std::map<AccountIndex, scheduling::QuotaLine> over_quota;
  std::set<AccountIndex> eased;  // whose line is to be looked at again
  std::set<std::pair<Time, AccountIndex>> renewals;  // of quotas in the way
  Time pass_at;  // when the present pass began
  // How long the last sessions of one user and name took, newest first.
  std::unordered_map<std::uint64_t, std::array<std::uint64_t, 2>> lengths;
  std::deque<std::uint64_t> lengths_by_age;

  std::set<std::pair<OrderKey, ClassId>> ready;
  scheduling::FreedQueue freed;
  bool freed_stale = false;
  std::uint64_t freed_tickets = 0;
  std::uint64_t stamp = 0;
  mutable Node trial;  // a copy to try a placement on
  SchedulerSizes counts;
};

}  // namespace reeve::cluster
