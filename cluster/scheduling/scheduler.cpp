// Events: what the log says becomes capacity, queues and holdings.
#include "cluster/scheduling/scheduler.hpp"

#include <fmt/format.h>

#include "cluster/check.hpp"
#include "cluster/scheduling/core.hpp"
#include "schema/event_generated.h"
#include "schema/wire.hpp"

namespace reeve::cluster {

using namespace scheduling;

// A number beyond this in the log is damage, not a cell.
constexpr std::uint32_t node_number_max = (1 << 20) - 1;

Node* Scheduler::Core::node_at(std::uint32_t number) {
  if (number >= nodes.size() || !nodes[number].known) return nullptr;
  return &nodes[number];
}

Session* Scheduler::Core::session_at(std::uint64_t id) {
  const auto it = sessions.find(id);
  return it == sessions.end() ? nullptr : &it->second;
}

// Devices by index: what is held of them stays held, also of those that the
// new inventory no longer has.
void Scheduler::Core::take_inventory(Node& node, const schema::NodeSpec& spec) {
  node.name = spec.name()->str();
  node.labels = labels_of(spec.labels());
  node.model_names.clear();
  auto links = std::make_shared<const Links>(spec);
  node.links = links->uniform() ? nullptr : std::move(links);
  node.cpu_capacity_milli = spec.cpu_milli();
  node.memory_capacity_bytes = spec.memory_bytes();
  list_devices(node, spec);
  for (std::size_t i = 0; i < node.device_names.size(); ++i) {
    const auto* listed =
        spec.devices()->Get(static_cast<flatbuffers::uoffset_t>(i));
    node.devices[i].model = model_of(lower_case(listed->model()->c_str()));
    node.model_names.push_back(listed->model()->str());
  }
  const std::string group = spec.group() ? spec.group()->str() : "";
  node.pool = pool_of(group.empty() ? default_group : group, spec.simulated());
  node.kind = kind_of(pools[node.pool], node);
}

void Scheduler::Core::register_node(const schema::Event& event) {
  const auto& body = *event.body_as_NodeRegistered();
  const auto number = body.node();
  REEVE_CHECK(number <= node_number_max, fmt::format("node {}", number));
  if (number >= nodes.size()) nodes.resize(number + 1);
  auto& node = nodes[number];
  const bool was_offered = node.offered();
  std::optional<std::uint32_t> was_in;  // the pool
  std::vector<ClassId> company;
  if (node.known) {
    if (labels_of(body.spec()->labels()) != node.labels)
      company = company_on(node);
    for (const auto id : company) leave_company(classes[id], node);
    auto& before = pools[node.pool];
    was_in = node.pool;
    if (node.earmarked) drop_guard(before);
    before.kinds[node.kind].remove(nodes, node);
    if (before.outlook) before.outlook->left(node.id);
    std::erase(before.nodes, number);
    before.places.clear();
    uncount_capacity(node);
    for (const auto& [label, value] : node.labels)
      if (--before.labels[label] == 0) before.labels.erase(label);
    if (is_named(node, node.name)) node_names.erase(node.name);
  }
  node.id = NodeId(number);
  node.known = true;
  take_inventory(node, *body.spec());
  ++inventory_version;
  for (const auto id : company) {
    join_company(classes[id], node);
    const auto& key = classes[id].wishes->together;
    if (!key.empty()) company_opened(key);
  }
  pools[node.pool].nodes.push_back(number);
  pools[node.pool].places.clear();
  for (const auto& [label, value] : node.labels)
    ++pools[node.pool].labels[label];
  node_names[node.name] = number;
  book(node);
  if (!node.bookings.empty() && !pools[node.pool].booked)
    rebuild_pool(node.pool, [](Pool& pool) { pool.booked = true; });
  if (was_in && *was_in != node.pool) recount_sharers({number});
  offer_changed(node, was_offered);
}

// The class of each task there that keeps company.
std::vector<ClassId> Scheduler::Core::company_on(const Node& node) const {
  std::vector<ClassId> found;
  if (companies.empty()) return found;
  for (const auto& [id, session] : sessions) {
    if (!classes[session.request_class].wishes) continue;
    for (const auto& holding : session.holdings)
      if (!holding.freed && holding.task.node == node.id)
        found.push_back(session.request_class);
  }
  return found;
}

void Scheduler::Core::offer_changed(Node& node, bool was_offered) {
  counts.nodes += (node.offered() ? 1 : 0) - (was_offered ? 1 : 0);
  uncount_capacity(node);
  if (node.offered()) count_capacity(node);
  if (!node.offered() && node.earmarked) drop_guard(pools[node.pool]);
  node_freed(node);
}

void Scheduler::Core::count_capacity(Node& node) {
  node.counted.cpu_milli = node.cpu_capacity_milli;
  node.counted.memory_bytes = node.memory_capacity_bytes;
  for (const auto& device : node.devices)
    node.counted.gpu_milli += device.capacity_milli;
  auto& pool = pools[node.pool];
  pool.slow_devices += node.slow_counted = node.slow_devices;
  pool.capacity += node.counted;
  pool.ranks_eased = true;
}

void Scheduler::Core::uncount_capacity(Node& node) {
  auto& pool = pools[node.pool];
  pool.slow_devices -= std::exchange(node.slow_counted, 0);
  pool.capacity -= node.counted;
  pool.ranks_eased = true;
  node.counted = {};
  plan_broken(pool);
}

void Scheduler::Core::change_node(const schema::Event& event) {
  using Body = schema::EventBody;
  const auto change = [this](std::uint32_t number, bool Node::*flag,
                             bool value) {
    auto* node = node_at(number);
    if (!node) return;
    const bool was_offered = node->offered();
    node->*flag = value;
    offer_changed(*node, was_offered);
  };
  switch (event.body_type()) {
    case Body::NodeLost:
      return change(event.body_as_NodeLost()->node(), &Node::lost, true);
    case Body::NodeReturned:
      return change(event.body_as_NodeReturned()->node(), &Node::lost, false);
    case Body::NodeDrained:
      return change(event.body_as_NodeDrained()->node(), &Node::drained, true);
    case Body::NodeResumed:
      return change(event.body_as_NodeResumed()->node(), &Node::drained, false);
    default:
      return change(event.body_as_NodeRemoved()->node(), &Node::removed, true);
  }
}

// Its node is offered with another number of devices from now on.
void Scheduler::Core::change_device(const schema::Event& event) {
  const auto change = [this](const auto& body, bool quarantined) {
    auto* node = node_at(body.node());
    if (!node) return;
    set_quarantine(*node, body.uuid()->str(), quarantined);
    if (node->earmarked) drop_guard(pools[node->pool]);
    offer_changed(*node, node->offered());
  };
  if (const auto* body = event.body_as_DeviceQuarantined()) change(*body, true);
  if (const auto* body = event.body_as_DeviceReleased()) change(*body, false);
}

// Only the order among devices depends on it.
void Scheduler::Core::device_tested(const schema::Event& event) {
  const auto& body = *event.body_as_DeviceTested();
  auto* node = node_at(body.node());
  if (!node) return;
  set_slow(*node, body.uuid()->str(),
           body.verdict() == schema::DeviceVerdict::slow);
  auto& pool = pools[node->pool];
  pool.slow_devices += node->slow_devices;
  pool.slow_devices -= std::exchange(node->slow_counted, node->slow_devices);
}

void Scheduler::Core::set_standing(Session& session,
                                   Session::Standing standing) {
  const auto counter = [this](Session::Standing of) -> std::size_t* {
    switch (of) {
      case Session::Standing::held: return &counts.held;
      case Session::Standing::waiting: return &counts.waiting;
      case Session::Standing::over_quota: return &counts.over_quota;
      case Session::Standing::array_full: return &counts.array_full;
      case Session::Standing::proposed: return &counts.proposed;
      case Session::Standing::placed: return nullptr;
    }
    return nullptr;
  };
  if (auto* before = counter(session.standing)) --*before;
  session.standing = standing;
  if (auto* after = counter(standing)) ++*after;
}

// A session as its spec has it, in the class of its request.
Session Scheduler::Core::session_of(std::uint64_t id,
                                    const schema::SessionSpec& spec, Time at) {
  Session session;
  session.key = {spec.priority(), 0, id};
  session.submitted_at = at;
  session.not_before = Time(spec.not_before_at());
  session.time_limit_ns = spec.time_limit_ns();
  session.array = spec.array_session();
  session.array_running_max = spec.array_running_max();
  session.owners =
      accounts.owners(schema::text(spec.user()), schema::text(spec.project()),
                      schema::text(spec.group()));
  session.likeness =
      spec.name() ? std::hash<std::string_view>{}(spec.name()->string_view()) ^
                        (session.owners.user * 0x9E3779B97F4A7C15ULL)
                  : session.owners.user;
  auto request = request_of(spec);
  const auto pool = pool_of(request.group, request.simulated);
  session.length_ns = expected_length(session, pools[pool].policy);
  join_class(session, std::move(request));
  return session;
}

void Scheduler::Core::submit(const schema::Event& event) {
  const auto& body = *event.body_as_SessionSubmitted();
  const auto& spec = *body.spec();
  const auto [it, added] = sessions.try_emplace(body.session());
  REEVE_CHECK(added,
              fmt::format("session {} is submitted twice", body.session()));
  auto& session = it->second;
  ++counts.held;  // as which a session begins
  session = session_of(body.session(), spec, Time(event.time_at()));
  const auto& joined = classes[session.request_class];
  if (auto& outlook = pools[joined.pool].outlook)
    outlook->submitted(joined.need, joined.request.tasks);
  wait_for_others(body.session(), session, spec);
  admit(body.session(), session);
}

void Scheduler::Core::wait_for_others(std::uint64_t id, Session& session,
                                      const schema::SessionSpec& spec) {
  if (!spec.after()) return;
  for (const auto* dependency : *spec.after()) {
    // Known are all that live: this one has ended, and as asked, or the
    // session would not have been let in.
    if (!sessions.contains(dependency->session())) continue;
    dependents[dependency->session()].push_back(
        {id, static_cast<std::uint8_t>(dependency->kind())});
    session.waits_for.push_back(SessionId(dependency->session()));
  }
}

void Scheduler::Core::release_dependents(std::uint64_t id, bool succeeded) {
  const auto it = dependents.find(id);
  if (it == dependents.end()) return;
  const auto waiting = std::move(it->second);
  dependents.erase(it);
  for (const auto& dependent : waiting) {
    const auto kind = static_cast<schema::DependencyKind>(dependent.kind);
    const bool met = kind == schema::DependencyKind::any ||
                     succeeded == (kind == schema::DependencyKind::ok);
    auto* session = session_at(dependent.session);
    if (!met || !session) continue;
    auto& open = session->waits_for;
    const auto one = std::find(open.begin(), open.end(), SessionId(id));
    if (one != open.end()) open.erase(one);
    if (open.empty() && session->standing == Session::Standing::held) {
      estimate_anew(*session);
      admit(dependent.session, *session);
    }
  }
}

// By the lengths that have been learned since; for a session that is in no
// queue and holds nothing.
void Scheduler::Core::estimate_anew(Session& session) {
  const auto before = session.request_class;
  const auto& policy = pools[classes[before].pool].policy;
  const auto length_ns = expected_length(session, policy);
  if (std::exchange(session.length_ns, length_ns) == length_ns) return;
  join_class(session, Request(classes[before].request));
  leave_class(before);
}

// Whose the session's shares are there. A node may have moved to another group
// since they were placed, and its setting counts.
AccountIndex Scheduler::Core::sharer_on(const Node& node,
                                        const Session& session) const {
  return sharer_of(pools[nodes[node.id.value].pool].gpu_sharing,
                   session.owners);
}

// Of a node, or of a copy of it.
void Scheduler::Core::give_back(Node& node, const Session& session,
                                const std::vector<DeviceGrant>& devices) const {
  release(node, classes[session.request_class].need, devices,
          sharer_on(node, session));
}

// By the present settings of the groups of these nodes, which were others when
// they were counted.
void Scheduler::Core::recount_sharers(
    const std::vector<std::uint32_t>& numbers) {
  std::vector<bool> counted(nodes.size());
  for (const auto number : numbers) {
    counted[number] = true;
    for (auto& device : nodes[number].devices) device.sharers = {};
  }
  for (const auto& [id, session] : sessions)
    for (const auto& holding : session.holdings) {
      auto& node = nodes[holding.task.node.value];
      if (holding.freed || !counted[node.id.value]) continue;
      for (const auto& grant : holding.task.devices)
        if (grant.milli != milli_per_device)
          node.devices[grant.device].sharers.add(sharer_on(node, session));
    }
  for (const auto number : numbers) node_freed(nodes[number]);
}

void Scheduler::Core::hold(Session& session, const Tasks& tasks) {
  charge(session, tasks);
  const auto& need = classes[session.request_class].need;
  for (const auto& task : tasks) {
    auto* node = node_at(task.node.value);
    REEVE_CHECK(node, fmt::format("a task is placed on node {}, unknown",
                                  task.node.value));
    claim(*node, need, task.devices, sharer_on(*node, session));
    capacity_changed(*node);
    session.holdings.push_back({task, false});
    join_company(classes[session.request_class], *node);
  }
  count_in_array(session);
  move_in(session);
}

void Scheduler::Core::free_holding(Session& session, Holding& holding) {
  if (holding.freed) return;
  holding.freed = true;
  auto& node = nodes[holding.task.node.value];
  give_back(node, session, holding.task.devices);
  node_freed(node);
  leave_company(classes[session.request_class], node);
  move_out(session, holding);
  discharge(session, holding);
}

void Scheduler::Core::free_holdings(Session& session) {
  if (session.holdings.empty()) return;
  for (auto& holding : session.holdings) free_holding(session, holding);
  session.holdings.clear();
  leave_array(session);
  expect_no_end(session);
  discharge_session(session);
}

// Out of whatever it waits in, with nothing held.
void Scheduler::Core::leave_queue(std::uint64_t id, Session& session) {
  if (session.standing == Session::Standing::waiting) {
    dequeue(session);
    ease(session.owners);
    let_in_of_array(session);
  }
  if (session.standing == Session::Standing::over_quota) {
    leave_quota_line(session);
    ease(session.owners);
    let_in_of_array(session);
  }
  if (session.standing == Session::Standing::array_full)
    leave_array_line(session);
  sleeping.erase({session.not_before, id});
  if (std::exchange(session.awaits_window, false)) session.not_before = Time{};
  free_holdings(session);
}

void Scheduler::Core::placed(const schema::Event& event) {
  const auto& body = *event.body_as_SessionPlaced();
  auto* session = session_at(body.session());
  if (!session) return;
  Tasks tasks;
  for (const auto* placed : *body.tasks()) {
    auto& task = tasks.emplace_back();
    task.node = NodeId(placed->node());
    if (!placed->devices()) continue;
    for (const auto* share : *placed->devices()) {
      task.devices.push_back(
          {share->device(), share->milli(), share->memory_bytes()});
    }
  }
  const auto& held = session->holdings;
  const bool as_proposed =
      session->standing == Session::Standing::proposed &&
      std::equal(held.begin(), held.end(), tasks.begin(), tasks.end(),
                 [](const Holding& holding, const TaskProposal& task) {
                   return holding.task == task;
                 });
  if (!as_proposed) {
    leave_queue(body.session(), *session);
    hold(*session, tasks);
  }
  set_standing(*session, Session::Standing::placed);
  session->attempt = body.attempt();
  session->started_at = Time(event.time_at());
  expect_end(*session, session->started_at);
}

void Scheduler::Core::task_exited(std::uint64_t id, std::uint32_t attempt,
                                  std::uint32_t rank) {
  auto* session = session_at(id);
  if (!session || session->standing != Session::Standing::placed) return;
  if (session->attempt != attempt) return;
  if (rank < session->holdings.size()) {
    free_holding(*session, session->holdings[rank]);
  }
}

void Scheduler::Core::avoid_last_nodes(Session& session) {
  session.nodes_to_avoid.clear();
  for (const auto& holding : session.holdings) {
    session.nodes_to_avoid.push_back(holding.task.node);
  }
}

void Scheduler::Core::requeue(const schema::Event& event) {
  const auto& body = *event.body_as_SessionRequeued();
  auto* session = session_at(body.session());
  if (!session) return;
  if (!session->holdings.empty()) avoid_last_nodes(*session);
  leave_queue(body.session(), *session);
  session->attempt = body.attempt();
  session->not_before = Time(body.not_before_at());
  session->started_at = Time{};
  session->preempted_at = Time{};
  estimate_anew(*session);
  admit(body.session(), *session);
}

void Scheduler::Core::refused(std::uint64_t id, std::uint32_t attempt) {
  auto* session = session_at(id);
  if (!session || session->standing != Session::Standing::proposed) return;
  if (session->attempt != attempt) return;
  avoid_last_nodes(*session);
  free_holdings(*session);
  admit(id, *session);
}

void Scheduler::Core::ended(const schema::Event& event) {
  const auto& body = *event.body_as_SessionEnded();
  const auto id = body.session();
  const bool succeeded = body.state() == schema::SessionState::succeeded;
  if (auto* session = session_at(id)) {
    if (succeeded) remember_length(*session, Time(event.time_at()));
    leave_queue(id, *session);
    set_standing(*session, Session::Standing::placed);  // counted no more
    leave_class(session->request_class);
    sessions.erase(id);
  }
  release_dependents(id, succeeded);
}

void Scheduler::Core::apply(const schema::Event& event) {
  using Body = schema::EventBody;
  accounts.advance(Time(event.time_at()));
  switch (event.body_type()) {
    case Body::GroupCreated:
    case Body::ProjectCreated:
    case Body::UserCreated:
    case Body::AccountChanged:
    case Body::AccountRemoved:
    case Body::QuotaSet:
    case Body::QuotaRemoved: return account_changed(event);
    case Body::ReservationSet:
    case Body::ReservationRemoved: return reservations_changed(event);
    case Body::NodeRegistered: return register_node(event);
    case Body::NodeLost:
    case Body::NodeReturned:
    case Body::NodeDrained:
    case Body::NodeResumed:
    case Body::NodeRemoved: return change_node(event);
    case Body::DeviceQuarantined:
    case Body::DeviceReleased: return change_device(event);
    case Body::DeviceTested: return device_tested(event);
    case Body::SessionSubmitted: return submit(event);
    case Body::SessionPlaced: return placed(event);
    case Body::SessionRequeued: return requeue(event);
    case Body::SessionEnded: return ended(event);
    case Body::TaskExited: {
      const auto& body = *event.body_as_TaskExited();
      return task_exited(body.session(), body.attempt(), body.rank());
    }
    case Body::TaskStarted: {
      const auto& body = *event.body_as_TaskStarted();
      auto* session = session_at(body.session());
      if (session && session->attempt == body.attempt()) {
        // By the manager's clock: that of its agent may be wrong by hours.
        session->started_at =
            std::max(session->started_at, Time(event.time_at()));
        expect_end(*session, session->started_at);
      }
      return;
    }
    default: return;
  }
}

void Scheduler::Core::set_policy(const std::string& group,
                                 const Policy& policy) {
  for (const bool simulated : {false, true}) {
    const auto number = pool_of(group, simulated);
    change_pool(number, policy);
    look_ahead(number);
  }
}

// An outlook for a pool that has come to need one: from the sessions there are.
void Scheduler::Core::look_ahead(std::uint32_t pool_number) {
  auto& pool = pools[pool_number];
  const bool wanted =
      pool.ours && pool.policy.packing == Packing::fragmentation;
  if (wanted == (pool.outlook != nullptr)) return;
  pool.outlook.reset();
  if (!wanted) return;
  pool.outlook = std::make_unique<Outlook>();
  for (const auto number : pool.nodes) pool.outlook->changed(NodeId(number));
  for (const auto& known : classes) {
    if (known.sessions == 0 || known.pool != pool_number) continue;
    pool.outlook->submitted(
        known.need, std::uint64_t{known.sessions} * known.request.tasks);
  }
}

Scheduler::Scheduler(SchedulerShare share) : core_(std::make_unique<Core>()) {
  REEVE_CHECK(share.number < share.of && share.of <= schedulers_max,
              fmt::format("scheduler {} of {}", share.number, share.of));
  core_->own_share = share;
}
Scheduler::~Scheduler() = default;
Scheduler::Scheduler(Scheduler&&) noexcept = default;
Scheduler& Scheduler::operator=(Scheduler&&) noexcept = default;

void Scheduler::apply(const schema::Event& event) {
  core_->apply(event);
}

void Scheduler::set_policy(const std::string& group, const Policy& policy) {
  core_->set_policy(group, policy);
}

bool Scheduler::serves(SessionId session) const {
  const auto* known = core_->session_at(session.value);
  if (!known) return core_->own_share.number == 0;
  return core_->pools[core_->classes[known->request_class].pool].ours;
}

bool Scheduler::serves(const std::string& group) const {
  const auto found = core_->group_numbers.find(group);
  const auto number = found == core_->group_numbers.end() ? 0 : found->second;
  return core_->is_ours(number);
}

std::vector<Proposal> Scheduler::propose(Time now, std::size_t max) {
  return core_->propose(now, max);
}

std::vector<Preemption> Scheduler::preempt(Time now) {
  return core_->preempt(now);
}

void Scheduler::refused(SessionId session, std::uint32_t attempt) {
  core_->refused(session.value, attempt);
}

Time Scheduler::next_wakeup() const {
  const auto first = [](const auto& set) {
    return set.empty() ? Time{} : set.begin()->first;
  };
  Time next;
  for (const Time at : {first(core_->sleeping), first(core_->renewals),
                        core_->next_preemption(), core_->window_at})
    if (next.value == 0 || (at.value != 0 && at < next)) next = at;
  return next;
}

void Scheduler::time_is(Time now) {
  core_->pass_at = std::max(core_->pass_at, now);
}

Why Scheduler::why(SessionId session) const {
  return core_->why(session.value);
}

SchedulerSizes Scheduler::sizes() const {
  auto sizes = core_->counts;
  sizes.sessions = core_->sessions.size();
  sizes.classes = core_->class_numbers.size();
  return sizes;
}

}  // namespace reeve::cluster
