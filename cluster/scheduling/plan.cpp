// Places that are kept, from a moment on, for sessions that wait: for the head
// of the queue (EASY: Lifka, "The ANL/IBM SP Scheduling System", JSSPP 1995) or
// for the first `depth` of it (conservative: Mu'alem and Feitelson, TPDS 2001).
// The moment is the earliest at which it fits when everything that runs ends as
// expected. Sessions behind it start meanwhile on whatever leaves it its place
// then: where they end before, or beside it.
//
// A plan is made anew when its sessions change, and when what runs has changed
// as often as a fair share of the steps that the last one took; an old plan is
// still kept, only perhaps later than need be. Where that may keep nothing, it
// is made anew before anybody passes: when what there is has changed, or who
// may have it, and when something ended of which nobody knew when.
#include "cluster/scheduling/core.hpp"
#include "cluster/scheduling/gang_room.hpp"

namespace reeve::cluster {

using namespace scheduling;

namespace {

// What runs longer than expected is expected to end so much later than now.
constexpr std::uint64_t overdue_ns = 60 * second_ns;
// Steps of planning that one change pays for; a plan of few is always renewed.
constexpr std::uint64_t steps_per_change = 16;
constexpr std::uint64_t few_steps = 128;
// Ends that are passed over cost as much as one look at a node.
constexpr std::uint64_t passed_per_step = 8;

// How many of those that wait have places kept.
std::size_t depth_of(const Pool& pool) {
  return pool.policy.backfill == Backfill::easy ? 1 : pool.policy.depth;
}

Time after(Time at, std::uint64_t length_ns) {
  return at.value > UINT64_MAX - length_ns ? no_time
                                           : Time(at.value + length_ns);
}

}  // namespace

// ---- who holds what, until when

void Scheduler::Core::expect_no_end(Session& session) {
  if (session.ends_at.value == 0) return;
  auto& pool = pools[classes[session.request_class].pool];
  pool.ends.erase({session.ends_at, session.key.session});
  session.ends_at = Time{};
}

void Scheduler::Core::expect_end(Session& session, Time started_at) {
  expect_no_end(session);
  auto& pool = pools[classes[session.request_class].pool];
  if (!pool.policy.tracked()) return;
  session.ends_at = after(started_at, session.length_ns);
  pool.ends.emplace(session.ends_at, session.key.session);
}

void Scheduler::Core::move_in(Session& session) {
  const auto& pool = pools[classes[session.request_class].pool];
  if (!pool.policy.tracked()) return;
  for (std::uint32_t rank = 0; rank < session.holdings.size(); ++rank) {
    const auto& holding = session.holdings[rank];
    if (holding.freed) continue;
    nodes[holding.task.node.value].tenants.push_back(
        {session.key.session, rank});
  }
  if (session.ends_at.value == 0 && !session.holdings.empty())
    expect_end(session,
               session.started_at.value == 0 ? pass_at : session.started_at);
}

void Scheduler::Core::move_out(Session& session, const Holding& holding) {
  auto& tenants = nodes[holding.task.node.value].tenants;
  const auto rank =
      static_cast<std::uint32_t>(&holding - session.holdings.data());
  for (auto& tenant : tenants) {
    if (tenant.session != session.key.session || tenant.rank != rank) continue;
    tenant = tenants.back();
    tenants.pop_back();
    auto& pool = pools[classes[session.request_class].pool];
    if (!pool.policy.planned()) return;
    plan_changed(pool);
    pool.plan_due |= session.ends_at == no_time && awaits_unknown_end(pool);
    return;
  }
}

// An end as it is expected now.
Time Scheduler::Core::yet_to_come(Time end) const {
  return end >= pass_at ? end : after(pass_at, overdue_ns);
}

Time Scheduler::Core::end_of(std::uint64_t id) const {
  return yet_to_come(sessions.at(id).ends_at);
}

OrderKey Scheduler::Core::key_of(const Hold& hold) const {
  const auto& session = sessions.at(hold.session);
  const auto& own = classes[session.request_class];
  return effective(pools[own.pool], own.owner, session.key);
}

// The node when all that is expected to have ended by then has.
Node Scheduler::Core::later(const Node& node, Time at) const {
  Node then = bare(node);
  for (const auto& tenant : node.tenants) {
    if (end_of(tenant.session) > at) continue;
    const auto& session = sessions.at(tenant.session);
    give_back(then, session, session.holdings[tenant.rank].task.devices);
  }
  return then;
}

// Takes what is kept at that moment for sessions before `before`; false: there
// is not enough.
bool Scheduler::Core::claim_holds(Node& then, const Node& node, Time at,
                                  const OrderKey& before) const {
  for (const auto& hold : node.holds) {
    if (at < hold.from || at >= hold.to || key_of(hold) >= before) continue;
    const auto& kept = classes[hold.of_class];
    for (std::uint32_t i = 0; i < hold.times; ++i) {
      if (!fits(then, kept.need)) return false;
      claim(then, kept.need, choose_devices(then, kept));
    }
  }
  return true;
}

// Whether what is kept on the node for sessions before it still fits when this
// one starts there now.
bool Scheduler::Core::beside_holds(const Node& node, const Class& wanted,
                                   std::uint32_t times,
                                   const OrderKey& key) const {
  const auto end = after(pass_at, wanted.length_ns);
  std::vector<std::vector<DeviceGrant>> grants;
  for (const auto& hold : node.holds) {
    if (hold.from >= end || key_of(hold) >= key) continue;
    if (grants.empty()) {
      Node now =
          node.bookings.empty() ? bare(node) : unreserved(node, wanted).value();
      for (std::uint32_t i = 0; i < times; ++i) {
        grants.push_back(choose_devices(now, wanted));
        claim(now, wanted.need, grants.back());
      }
    }
    Node then = later(node, hold.from);
    for (const auto& devices : grants) claim(then, wanted.need, devices);
    if (!claim_holds(then, node, hold.from, key)) return false;
  }
  return true;
}

// ---- making a plan

// How many tasks fit from then on for their whole length, beside what is kept
// already.
std::uint32_t Scheduler::Core::slots_later(const Node& node,
                                           const Class& wanted,
                                           std::uint32_t limit,
                                           Time from) const {
  const auto room = [&](Time at) -> std::uint32_t {
    Node then = later(node, at);
    if (!claim_holds(then, node, at, OrderKey::last())) return 0;
    return slots_unreserved(std::move(then), node, wanted, limit, from);
  };
  auto least = room(from);
  const auto end = after(from, wanted.length_ns);
  for (const auto& hold : node.holds)
    if (least > 0 && hold.from > from && hold.from < end)
      least = std::min(least, room(hold.from));
  return least;
}

namespace {

// Nodes (here: room, node) for all tasks, those with the most room first.
bool gather_from(std::vector<std::pair<std::uint32_t, std::uint32_t>> order,
                 const Request& request,
                 std::vector<std::pair<std::uint32_t, std::uint32_t>>& places) {
  std::sort(order.begin(), order.end(), [](const auto& a, const auto& b) {
    return std::pair(b.first, a.second) < std::pair(a.first, b.second);
  });
  const auto tasks = request.tasks;
  const auto over = request.nodes;
  places.clear();
  if (over > 0) {
    if (order.size() < over) return false;
    for (std::uint32_t i = 0; i < over; ++i) {
      const auto times = tasks / over + (i < tasks % over ? 1 : 0);
      if (order[i].first < times) return false;
      places.emplace_back(order[i].second, times);
    }
    return true;
  }
  std::uint32_t left = tasks;
  for (const auto& [times, node] : order) {
    if (left == 0) break;
    places.emplace_back(node, std::min(times, left));
    left -= places.back().second;
  }
  return left == 0;
}

}  // namespace

// The label of which all tasks have to share one value; null: none.
const std::string* Scheduler::Core::kept_within(const Class& wanted) const {
  if (wanted.request.tasks == 1) return nullptr;
  if (!wanted.request.within.empty()) return &wanted.request.within;
  if (wanted.wishes && !wanted.wishes->together.empty())
    return &wanted.wishes->together_by;
  return nullptr;
}

// Chooses nodes for all tasks, of one place where the class asks for that.
bool Scheduler::Core::gather(const Class& wanted,
                             const std::map<std::uint32_t, std::uint32_t>& room,
                             Places& places) const {
  std::map<std::string, Places> by_place;
  const auto* label = kept_within(wanted);
  for (const auto& [number, times] : room) {
    const auto* place = label ? place_of(nodes[number], *label) : nullptr;
    by_place[place ? *place : std::string()].emplace_back(times, number);
  }
  return std::any_of(by_place.begin(), by_place.end(), [&](auto& at) {
    return gather_from(std::move(at.second), wanted.request, places);
  });
}

namespace {

// Moments at which a node gets room.
using Moments = std::vector<std::pair<Time, std::uint32_t>>;

}  // namespace

// When and where the head of the class fits first. Goes through the ends of
// what runs, in order; what runs for too long, to the next one that gives room.
Planned Scheduler::Core::earliest(const Pool& pool, const OrderKey& key,
                                  ClassId id, std::uint64_t& steps) {
  Planned planned{key, id, no_time, {}, false};
  const auto& wanted = classes[id];
  const auto tasks = wanted.request.tasks;
  const bool several = tasks > 1 && wanted.request.nodes != 1;
  const auto* label = several ? kept_within(wanted) : nullptr;
  std::map<std::uint32_t, std::uint32_t> room;
  GangRooms rooms(wanted.request);
  const auto look = [&](std::uint32_t number, Time at) {
    ++steps;
    const auto& node = nodes[number];
    const auto times =
        welcome(wanted, node) ? slots_later(node, wanted, tasks, at) : 0;
    const auto before = room.find(number);
    if (several) {
      const auto* place = label ? place_of(node, *label) : nullptr;
      rooms.change(place ? *place : std::string(),
                   before == room.end() ? 0 : before->second, times);
    }
    if (times > 0)
      room[number] = times;
    else if (before != room.end())
      room.erase(before);
  };
  // Devices given back on each node so far: with fewer than it needs there is
  // nothing to look at.
  const bool whole = wanted.need.gpus > 0 && !wanted.need.share();
  std::vector<std::uint32_t> given_back(whole && !several ? nodes.size() : 0);
  std::uint64_t passed = 0;
  const auto look_at_end = [&](std::uint64_t ended, Time at) {
    for (const auto& holding : sessions.at(ended).holdings) {
      if (holding.freed) continue;
      const auto number = holding.task.node.value;
      if (whole && !several) {
        auto& back = given_back[number];
        back += static_cast<std::uint32_t>(holding.task.devices.size());
        if (nodes[number].whole_devices + back < wanted.need.gpus) {
          if (++passed % passed_per_step == 0) ++steps;
          continue;
        }
      }
      look(number, at);
    }
  };
  const auto found_at = [&](Time at) {
    if (several) {
      for (const auto& other : pool.plan)
        for (const auto& place : other.places) look(place.first, at);
      if (!rooms.enough()) return false;
    }
    if (!gather(wanted, room, planned.places)) return false;
    planned.start = at;
    return true;
  };
  if (several)
    for (const auto number : pool.nodes) look(number, pass_at);

  Moments others;
  for (const auto& other : pool.plan)
    for (const auto& place : other.places)
      others.emplace_back(after(other.start, classes[other.of_class].length_ns),
                          place.first);
  if (pool.booked)
    for (const auto number : pool.nodes)
      for (const auto at : window_moments(nodes[number], wanted))
        others.emplace_back(at, number);
  std::sort(others.begin(), others.end());
  auto other = others.begin();
  const auto in_time = pool.ends.lower_bound({pass_at, 0});
  auto overdue = pool.ends.begin();
  auto next = in_time;
  const auto overdue_at = after(pass_at, overdue_ns);
  while (true) {
    auto at = next == pool.ends.end() ? no_time : next->first;
    if (other != others.end()) at = std::min(at, other->first);
    if (overdue != in_time) at = std::min(at, overdue_at);
    if (at == no_time) return planned;
    if (!several) room.clear();
    for (; other != others.end() && other->first == at; ++other)
      look(other->second, at);
    for (; next != pool.ends.end() && next->first == at; ++next)
      look_at_end(next->second, at);
    for (; at == overdue_at && overdue != in_time; ++overdue) {
      if (!several && !room.empty()) break;
      look_at_end(overdue->second, at);
    }
    if (found_at(at)) return planned;
  }
}

// The first sessions of the refused classes, in order.
std::vector<std::pair<OrderKey, ClassId>> Scheduler::Core::first_waiting(
    const Pool& pool, std::size_t count) const {
  struct Next {
    OrderKey key;  // with its rank of now
    OrderKey front;
    ClassId id = 0;
    std::size_t place = 0;
    const Demand* demand = nullptr;
    bool operator>(const Next& other) const { return key > other.key; }
  };
  std::priority_queue<Next, std::vector<Next>, std::greater<Next>> heap;
  const auto push = [&](const Demand& demand, OrderKey front, ClassId id,
                        std::size_t place) {
    heap.push(
        {effective(pool, demand.owner, front), front, id, place, &demand});
  };
  for (const auto& demand : pool.demands)
    if (!demand.refused.empty())
      push(demand, demand.refused.begin()->first,
           demand.refused.begin()->second, 0);
  std::vector<std::pair<OrderKey, ClassId>> found;
  while (found.size() < count && !heap.empty()) {
    const auto top = heap.top();
    heap.pop();
    found.emplace_back(top.front, top.id);
    const auto& line = classes[top.id].waiting;
    if (top.place + 1 < line.size())
      push(*top.demand,
           line.begin()[static_cast<std::ptrdiff_t>(top.place + 1)], top.id,
           top.place + 1);
    if (top.place > 0) continue;
    const auto next = std::next(top.demand->refused.find({top.front, top.id}));
    if (next != top.demand->refused.end())
      push(*top.demand, next->first, next->second, 0);
  }
  return found;
}

// Whether it would not fit if all nodes were idle.
bool Scheduler::Core::is_stuck(const Class& wanted) const {
  std::map<std::uint32_t, std::uint32_t> room;
  for (const auto number : pools[wanted.pool].nodes) {
    const auto& node = nodes[number];
    if (!welcome(wanted, node) || !fits_emptied(node, wanted.need)) continue;
    room[number] = slots(emptied(node), wanted.need, wanted.request.tasks);
  }
  Places places;
  return !gather(wanted, room, places);
}

// The head, or the first behind it that is not stuck.
std::pair<OrderKey, ClassId> Scheduler::Core::first_hopeful(
    const Pool& pool, const std::pair<OrderKey, ClassId>& head) const {
  if (!is_stuck(classes[head.second])) return head;
  for (const auto& next : first_waiting(pool, stuck_heads_max))
    if (!is_stuck(classes[next.second])) return next;
  return head;
}

void Scheduler::Core::make_plan(Pool& pool) {
  settle(pool, depth_of(pool));
  std::map<std::uint32_t, std::vector<Hold>> before;
  for (const auto& planned : pool.plan)
    for (const auto& place : planned.places)
      if (auto& holds = nodes[place.first].holds; !holds.empty())
        before[place.first] = std::exchange(holds, {});
  pool.plan.clear();
  pool.plan_stale = false;
  pool.plan_due = false;
  std::uint64_t steps = 0;
  const auto depth = depth_of(pool);
  std::size_t kept = 0;
  for (const auto& [key, id] : first_waiting(pool, depth + stuck_heads_max)) {
    if (kept == depth) break;
    auto planned = earliest(pool, key, id, steps);
    if (planned.start == no_time) {
      planned.stuck = is_stuck(classes[id]);
      steps += pool.nodes.size();
    }
    kept += planned.stuck ? 0 : 1;
    if (planned.start == no_time) planned.places.clear();
    const auto end = after(planned.start, classes[id].length_ns);
    for (const auto& [node, times] : planned.places) {
      before.try_emplace(node);
      nodes[node].holds.push_back({key.session, planned.start, end, id, times});
    }
    pool.plan.push_back(std::move(planned));
  }
  pool.plan_rest = steps < few_steps ? 0 : steps / steps_per_change;
  for (const auto& [number, holds] : before)
    if (nodes[number].holds != holds) node_freed(nodes[number]);
}

// ---- keeping it

void Scheduler::Core::drop_plan(Pool& pool) {
  for (const auto& planned : pool.plan)
    for (const auto& place : planned.places) {
      nodes[place.first].holds.clear();
      node_freed(nodes[place.first]);
    }
  pool.plan.clear();
}

// What runs changed.
void Scheduler::Core::plan_changed(Pool& pool) {
  pool.plan_stale = true;
  if (pool.plan_rest > 0) --pool.plan_rest;
}

// So did what there is, or who may have it: a place that is kept may be gone,
// and who fitted nowhere may have one.
void Scheduler::Core::plan_broken(Pool& pool) {
  pool.plan_due |= pool.policy.planned();
}

// A session that waits found no place.
void Scheduler::Core::refused_in_plan(Pool& pool, const OrderKey& key) {
  const auto depth = depth_of(pool);
  const auto known = [&](const Planned& one) {
    return one.key.session == key.session;
  };
  if (std::any_of(pool.plan.begin(), pool.plan.end(), known)) return;
  const auto kept =
      std::count_if(pool.plan.begin(), pool.plan.end(),
                    [](const Planned& one) { return !one.stuck; });
  if (static_cast<std::size_t>(kept) < depth) pool.plan_due = true;
  if (pool.plan.empty()) return;
  const auto& last = pool.plan.back();
  if (key < effective(pool, classes[last.of_class].owner, last.key))
    pool.plan_due = true;
}

// One that the plan keeps a place for waits no more.
void Scheduler::Core::leave_plan(Pool& pool, const OrderKey& key) {
  const auto planned =
      std::find_if(pool.plan.begin(), pool.plan.end(),
                   [&](const Planned& one) { return one.key == key; });
  if (planned == pool.plan.end()) return;
  for (const auto& place : planned->places) {
    auto& node = nodes[place.first];
    std::erase_if(node.holds, [&](const Hold& hold) {
      return hold.session == key.session;
    });
    node_freed(node);
  }
  pool.plan.erase(planned);
  pool.plan_due = true;
}

// Whether these are on nodes that keep room for others behind them, which may
// have lost their places by it; or one behind has no place that is known, and
// perhaps a later one now.
bool Scheduler::Core::takes_planned(const Pool& pool, const Tasks& tasks,
                                    const OrderKey& key) const {
  const auto behind = [&](const Planned& one) {
    return one.start == no_time &&
           effective(pool, classes[one.of_class].owner, one.key) > key;
  };
  if (std::any_of(pool.plan.begin(), pool.plan.end(), behind)) return true;
  return std::any_of(tasks.begin(), tasks.end(), [&](const auto& task) {
    const auto& holds = nodes[task.node.value].holds;
    return std::any_of(holds.begin(), holds.end(), [&](const Hold& hold) {
      return hold.session != key.session && key_of(hold) > key;
    });
  });
}

// Whether one would fit and is promised nothing, since nobody knows when what
// is in its way will end.
bool Scheduler::Core::awaits_unknown_end(const Pool& pool) const {
  return std::any_of(
      pool.plan.begin(), pool.plan.end(),
      [](const Planned& one) { return one.start == no_time && !one.stuck; });
}

bool Scheduler::Core::plan_is_old(const Pool& pool) const {
  const bool late = !pool.plan.empty() && pool.plan.front().start < pass_at;
  return pool.plan_due || late || (pool.plan_stale && pool.plan_rest == 0);
}

// At the end of a pass, so that what was promised is what holds.
bool Scheduler::Core::renew_plans() {
  bool any = false;
  for (auto& pool : pools) {
    if (!pool.policy.planned()) continue;
    settle(pool, depth_of(pool));
    if (const auto head = head_of(pool); head && head_moved(pool, *head))
      pool.plan_due = true;
    if (!plan_is_old(pool)) continue;
    make_plan(pool);
    any = true;
  }
  return any;
}

// Whether another session is the head since accounts came to hold more.
bool Scheduler::Core::head_moved(
    const Pool& pool, const std::pair<OrderKey, ClassId>& head) const {
  return pool.policy.by_account() &&
         (pool.plan.empty() ||
          pool.plan.front().key.session != head.first.session);
}

// Before a session at `key` may start: whether those before it have no plan.
bool Scheduler::Core::plan_is_due(const Pool& pool, const OrderKey& key) const {
  if (!pool.policy.by_account() && !plan_is_old(pool)) return false;
  const auto head = head_of(pool);
  return head && head->first < key &&
         (plan_is_old(pool) || head_moved(pool, *head));
}

}  // namespace reeve::cluster
