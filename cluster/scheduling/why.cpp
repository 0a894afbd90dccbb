// Why a session waits: the same answers about room that the passes use, asked
// of each node of its queue.
#include "cluster/scheduling/core.hpp"
#include "cluster/scheduling/gang_room.hpp"

namespace reeve::cluster {

using namespace scheduling;

namespace {

std::uint32_t devices_serving(const Node& node, const Need& need) {
  std::uint32_t count = 0;
  for (const auto& device : node.devices) {
    count += device_slots(device, need, 1);
  }
  return count;
}

std::uint64_t lack(std::uint64_t need, std::uint64_t free) {
  return need > free ? need - free : 0;
}

NearestNode nearness(const Node& node, const Need& need) {
  NearestNode near;
  near.node = node.id;
  near.cpu_free_milli = node.cpu_free_milli();
  near.memory_free_bytes = node.memory_free_bytes();
  near.gpus_free = devices_serving(node, need);
  if (need.gpus > 0)
    for (const auto& device : node.devices)
      near.gpus_quarantined += device.quarantined && need.allows(device.model);
  near.cpu_lacking_milli =
      lack(need.cpu_milli + node.cpu_used_milli, node.cpu_capacity_milli);
  near.memory_lacking_bytes = lack(need.memory_bytes + node.memory_used_bytes,
                                   node.memory_capacity_bytes);
  near.gpus_lacking =
      static_cast<std::uint32_t>(lack(need.gpus, near.gpus_free));
  return near;
}

// The sum of the lacking parts of what is needed, in thousandths of each; GPUs
// weigh more than all else, for they are what clusters run out of.
std::uint64_t distance(const NearestNode& near, const Need& need) {
  const auto part = [](std::uint64_t lacking, std::uint64_t whole) {
    if (lacking == 0) return std::uint64_t{0};
    whole = std::max<std::uint64_t>(whole, 1);
    const auto scaled = static_cast<unsigned __int128>(lacking) * 1000 / whole;
    return static_cast<std::uint64_t>(scaled) + 1;
  };
  return part(near.gpus_lacking, need.gpus) * 4 +
         part(near.cpu_lacking_milli, need.cpu_milli) +
         part(near.memory_lacking_bytes, need.memory_bytes);
}

// When something that runs is expected to have ended; the earliest first in a
// heap.
struct End {
  Time at;
  const Session* session = nullptr;
  bool operator<(const End& other) const {
    return std::pair(other.at, other.session->key.session) <
           std::pair(at, session->key.session);
  }
};

// Nodes as they are when something on them has ended.
using Later = std::unordered_map<std::uint32_t, Node>;

// How many tasks of a class each node takes as what runs ends, and the first
// moment at which a session of it fits by that.
class Forecast {
 public:
  Forecast(const Scheduler::Core& core, const Class& wanted, const Later& then)
      : core_(core),
        wanted_(wanted),
        then_(then),
        label_(core.kept_within(wanted)),
        room_(wanted.request),
        room_on_(core.nodes.size(), not_there) {
    for (const auto number : core.pools[wanted.pool].nodes) {
      const auto& node = core.nodes[number];
      if (!core.welcome(wanted, node) || !fits_emptied(node, wanted.need))
        continue;
      look(number, core.pass_at);
      if (!node.bookings.empty()) booked_.push_back(number);
      for (const auto at : core.window_moments(node, wanted))
        windows_.emplace_back(at, number);
    }
    std::sort(windows_.begin(), windows_.end());
    changed_ = false;
  }

  Time start() const { return start_; }  // 0: nothing tells
  bool counts(std::uint32_t number) const {
    return room_on_[number] != not_there;
  }

  // The node is another one from then on.
  void look(std::uint32_t number, Time at) {
    const auto& node = core_.nodes[number];
    const auto known = then_.find(number);
    const auto& now = known == then_.end() ? node : known->second;
    const auto* place = label_ ? core_.place_of(node, *label_) : nullptr;
    const auto before = counts(number) ? room_on_[number] : 0;
    room_on_[number] = core_.slots_from(now, node, wanted_, at);
    room_.change(place ? *place : std::string(), before, room_on_[number]);
    changed_ = true;
  }

  // Reservations let go of nodes, or begin to keep them.
  void pass_windows(Time until) {
    for (; next_ < windows_.size() && windows_[next_].first <= until; ++next_) {
      look(windows_[next_].second, windows_[next_].first);
      settle(windows_[next_].first);
    }
  }

  // After all that changed at that moment.
  void settle(Time at) {
    if (start_.value != 0 || !std::exchange(changed_, false)) return;
    if (!room_.enough()) return;
    // Windows that begin soon may have come too near meanwhile.
    for (const auto number : booked_) look(number, at);
    if (room_.enough()) start_ = at;
  }

  // The nodes that take the most tasks.
  std::vector<std::uint32_t> roomiest() const {
    std::uint32_t most = 0;
    for (const auto times : room_on_)
      if (times != not_there) most = std::max(most, times);
    std::vector<std::uint32_t> numbers;
    for (std::uint32_t number = 0; number < room_on_.size(); ++number)
      if (room_on_[number] == most) numbers.push_back(number);
    return numbers;
  }

 private:
  static constexpr std::uint32_t not_there = UINT32_MAX;

  const Scheduler::Core& core_;
  const Class& wanted_;
  const Later& then_;
  const std::string* label_;  // of which its tasks share one value
  GangRooms room_;
  std::vector<std::uint32_t> room_on_;
  std::vector<std::uint32_t> booked_;
  std::vector<std::pair<Time, std::uint32_t>> windows_;
  std::size_t next_ = 0;
  bool changed_ = false;
  Time start_;
};

// Frees what runs in the order of its ends until all of these know their start,
// or everything has ended.
void pass_ends(const Scheduler::Core& core,
               const std::vector<const Session*>& ending, Later& then,
               std::vector<Forecast*> open) {
  std::vector<End> ends;
  ends.reserve(ending.size());
  for (const auto* session : ending)
    ends.push_back({core.limit_of(*session), session});
  std::make_heap(ends.begin(), ends.end());
  for (auto rest = ends.end(); rest != ends.begin() && !open.empty(); --rest) {
    std::pop_heap(ends.begin(), rest);
    const auto& next = *std::prev(rest);
    for (auto* one : open) one->pass_windows(next.at);
    for (const auto& holding : next.session->holdings) {
      const auto number = holding.task.node.value;
      const auto counts = [&](auto* one) { return one->counts(number); };
      if (holding.freed || std::none_of(open.begin(), open.end(), counts))
        continue;
      auto it = then.find(number);
      if (it == then.end())
        it = then.emplace(number, bare(core.nodes[number])).first;
      core.give_back(it->second, *next.session, holding.task.devices);
      for (auto* one : open)
        if (counts(one)) one->look(number, next.at);
    }
    for (auto* one : open) one->settle(next.at);
    std::erase_if(open, [](auto* one) { return one->start().value != 0; });
  }
  for (auto* one : open) one->pass_windows(no_time);
}

}  // namespace

// How many tasks that start then fit on the node, were it as `then`.
std::uint32_t Scheduler::Core::slots_from(const Node& then, const Node& node,
                                          const Class& wanted,
                                          Time from) const {
  const auto tasks = wanted.request.tasks;
  if (node.bookings.empty() && wanted.request.reservation.empty())
    return slots(then, wanted.need, tasks);
  return slots_unreserved(bare(then), node, wanted, tasks, from);
}

void Scheduler::Core::count_nodes(const Session& session, Why& answer) const {
  const auto& wanted = classes[session.request_class];
  const auto& need = wanted.need;
  const auto key = effective(pools[wanted.pool], wanted.owner, session.key);
  auto& count = answer.nodes;
  std::uint64_t nearest_distance = UINT64_MAX;
  const auto* label = kept_within(wanted);
  std::map<std::string, std::vector<std::uint32_t>> room;  // by place
  for (const auto number : pools[wanted.pool].nodes) {
    const auto& node = nodes[number];
    if (node.removed) continue;
    ++count.total;
    const auto& named = wanted.request.on_node;
    const bool may_be_kept =
        !node.bookings.empty() || !wanted.request.reservation.empty();
    const auto left = may_be_kept ? unreserved(node, wanted) : std::nullopt;
    const auto& now = left ? *left : node;
    if (!node.offered()) {
      ++count.away;
    } else if (!named.empty() && !is_named(node, named)) {
      ++count.other_node;
    } else if (need.sharer == no_sharer) {
      ++count.not_shared;
    } else if (!fits_emptied(node, need)) {
      ++(fits_released(node, need) ? count.quarantined : count.too_small);
    } else if (!as_wished(wanted, node)) {
      ++count.unwished;
    } else if (may_be_kept &&
               (!left || (fits(node, need) && !fits(now, need)))) {
      ++count.reserved;
    } else if (fits(now, need)) {
      const bool kept =
          (node.earmarked && key > guard_key(pools[wanted.pool])) ||
          (!node.holds.empty() && !beside_holds(node, wanted, 1, key));
      ++(kept ? count.earmarked : count.fitting);
      if (kept) continue;
      const auto* place = label ? place_of(node, *label) : nullptr;
      room[place ? *place : std::string()].push_back(
          slots(now, need, answer.tasks));
    } else {
      const auto near = nearness(now, need);
      const bool alone = near.gpus_lacking > 0 && devices_fit_alone(now, need);
      ++(alone                        ? count.not_shared
         : near.gpus_lacking > 0      ? count.devices_busy
         : near.cpu_lacking_milli > 0 ? count.cpu_short
                                      : count.memory_short);
      const auto away = distance(near, need);
      if (away >= nearest_distance) continue;
      nearest_distance = away;
      answer.nearest = near;
      answer.nearest->name = node.name;
    }
  }
  for (auto& [place, rooms] : room)
    answer.tasks_fitting = std::max(answer.tasks_fitting,
                                    tasks_on(std::move(rooms), wanted.request));
}

void Scheduler::Core::count_queue(const Session& session, Why& answer) const {
  const auto& own = classes[session.request_class];
  const auto& pool = pools[own.pool];
  const auto key = effective(pool, own.owner, session.key);
  OrderKey head = key;
  std::size_t ahead = 0;
  for (const auto& other : classes) {
    if (other.waiting.empty() || other.pool != own.pool) continue;
    answer.queue_length += other.waiting.size();
    head = std::min(head, effective(other));
    const auto& line = other.waiting;
    const auto before_it = [&](const OrderKey& front) {
      return effective(pool, other.owner, front) < key;
    };
    ahead += static_cast<std::size_t>(
        std::partition_point(line.begin(), line.end(), before_it) -
        line.begin());
  }
  const auto stand_beside = [&](const std::set<OrderKey>& line) {
    for (const auto& beside : line) {
      const auto& kind = classes[sessions.at(beside.session).request_class];
      if (kind.pool != own.pool) continue;
      ++answer.queue_length;
      ahead += effective(pool, kind.owner, beside) < key ? 1 : 0;
    }
  };
  for (const auto& [account, line] : over_quota) {
    stand_beside(line.next);
    stand_beside(line.aside);
  }
  for (const auto& [array, line] : array_lines) stand_beside(line);
  answer.place_in_queue = ahead + 1;
  if (session.standing == Session::Standing::over_quota ||
      session.standing == Session::Standing::array_full)
    return;
  const auto guard = guard_key(pool);
  const bool guarded = answer.nodes.earmarked > 0 && guard < key;
  if (guarded) head = guard;
  if (head != key) answer.blocked_by = SessionId(head.session);
}

// What ends on these nodes up to then, the latest last.
void Scheduler::Core::await_ends(const std::vector<const Session*>& among,
                                 const std::vector<std::uint32_t>& numbers,
                                 Time until, Why& answer) const {
  auto& awaited = answer.awaited;
  for (const auto* one : among) {
    const auto& other = *one;
    if (other.holdings.empty() || other.started_at.value == 0) continue;
    const auto at = limit_of(other);
    if (at == no_time || at > until) continue;
    for (const auto& holding : other.holdings) {
      const auto node = holding.task.node;
      if (holding.freed ||
          !std::binary_search(numbers.begin(), numbers.end(), node.value))
        continue;
      std::uint32_t milli = 0;
      for (const auto& grant : holding.task.devices) milli += grant.milli;
      awaited.push_back({SessionId(other.key.session), node,
                         nodes[node.value].name, at, milli});
    }
  }
  std::sort(awaited.begin(), awaited.end(),
            [](const AwaitedEnd& a, const AwaitedEnd& b) {
              return std::tuple(a.at, a.session, a.node) <
                     std::tuple(b.at, b.session, b.node);
            });
  if (awaited.size() > awaited_ends_max)
    awaited.erase(awaited.begin(), awaited.end() - awaited_ends_max);
}

// When what holds something is expected to have ended.
Time Scheduler::Core::limit_of(const Session& session) const {
  if (session.ends_at.value != 0) return yet_to_come(session.ends_at);
  if (session.time_limit_ns == 0) return no_time;
  return yet_to_come(Time(session.started_at.value + session.time_limit_ns));
}

// What runs and is expected to end.
std::vector<const Session*> Scheduler::Core::ending() const {
  std::vector<const Session*> found;
  for (const auto& [id, session] : sessions) {
    if (session.holdings.empty() || session.started_at.value == 0) continue;
    if (limit_of(session) != no_time) found.push_back(&session);
  }
  return found;
}

// The place that is kept for it from a known moment on; null: none.
const Planned* Scheduler::Core::planned_for(const Session& session) const {
  for (const auto& planned : pools[classes[session.request_class].pool].plan)
    if (planned.key == session.key && planned.start != no_time) return &planned;
  return nullptr;
}

// From the plan, or by what runs and when it ends.
void Scheduler::Core::expect_start(const Session& session, Why& answer) const {
  if (const auto* planned = planned_for(session)) {
    answer.expected_start = yet_to_come(planned->start);
    answer.basis = StartBasis::plan;
    std::vector<std::uint32_t> numbers;
    for (const auto& place : planned->places) numbers.push_back(place.first);
    std::sort(numbers.begin(), numbers.end());
    std::vector<const Session*> among;
    for (const auto number : numbers)
      for (const auto& tenant : nodes[number].tenants)
        among.push_back(&sessions.at(tenant.session));
    std::sort(among.begin(), among.end());
    among.erase(std::unique(among.begin(), among.end()), among.end());
    return await_ends(among, numbers, answer.expected_start, answer);
  }
  Later then;
  Forecast own(*this, classes[session.request_class], then);
  const auto among = ending();
  pass_ends(*this, among, then, {&own});
  if (own.start().value == 0) return;
  answer.expected_start = own.start();
  answer.basis = StartBasis::limits;
  await_ends(among, own.roomiest(), own.start(), answer);
}

// Whether a session that starts then fits on what is free now.
bool Scheduler::Core::has_room_from(const Class& wanted, Time from) const {
  std::map<std::uint32_t, std::uint32_t> room;
  for (const auto number : pools[wanted.pool].nodes) {
    const auto& node = nodes[number];
    if (!welcome(wanted, node)) continue;
    if (const auto times = slots_from(node, node, wanted, from))
      room[number] = times;
  }
  Places places;
  return gather(wanted, room, places);
}

// Of one that only its time holds back: then, if there is room now, else when
// there is, but not before its time.
void Scheduler::Core::expect_after_hold(const Session& session,
                                        Why& answer) const {
  if (has_room_from(classes[session.request_class], session.not_before)) {
    answer.expected_start = session.not_before;
    answer.basis = StartBasis::room;
    return;
  }
  expect_start(session, answer);
  if (answer.expected_start.value != 0)
    answer.expected_start = std::max(answer.expected_start, session.not_before);
}

// The same as these two say of each, for several at the cost of little more
// than one: what runs ends once for all of them, and those of a class share
// their answers.
std::vector<Time> Scheduler::Core::expected_starts(
    const std::vector<const Session*>& asked) const {
  std::vector<Time> starts(asked.size());
  Later then;
  std::map<ClassId, Forecast> forecasts;
  std::map<std::pair<ClassId, Time>, bool> room_from;
  for (std::size_t i = 0; i < asked.size(); ++i) {
    const auto id = asked[i]->request_class;
    const auto from = asked[i]->not_before;
    if (asked[i]->standing == Session::Standing::held) {
      const auto [room, is_new] = room_from.try_emplace({id, from});
      if (is_new) room->second = has_room_from(classes[id], from);
      if (room->second) starts[i] = from;
    } else if (const auto* planned = planned_for(*asked[i])) {
      starts[i] = yet_to_come(planned->start);
    }
    if (starts[i].value == 0)
      forecasts.try_emplace(id, *this, classes[id], then);
  }
  std::vector<Forecast*> open;
  for (auto& [id, forecast] : forecasts) open.push_back(&forecast);
  if (!open.empty()) pass_ends(*this, ending(), then, std::move(open));
  for (std::size_t i = 0; i < asked.size(); ++i) {
    if (starts[i].value != 0) continue;
    const auto start = forecasts.at(asked[i]->request_class).start();
    if (start.value != 0) starts[i] = std::max(start, asked[i]->not_before);
  }
  return starts;
}

Why Scheduler::Core::why(std::uint64_t id) const {
  Why answer;
  const auto it = sessions.find(id);
  if (it == sessions.end()) return answer;
  const auto& session = it->second;
  answer.tasks = classes[session.request_class].request.tasks;
  switch (session.standing) {
    case Session::Standing::placed:
      answer.reason = WaitReason::placed;
      return answer;
    case Session::Standing::proposed:
      answer.reason = WaitReason::queued;
      return answer;
    case Session::Standing::held:
      answer.held_until = session.not_before;
      answer.reason = session.waits_for.empty() ? WaitReason::not_before
                                                : WaitReason::dependency;
      break;
    case Session::Standing::over_quota:
      answer.quota = excess_of(session);
      answer.reason =
          answer.quota ? WaitReason::quota : reason_in_line(session);
      if (!answer.quota) answer.blocked_by = before_in_line(session);
      break;
    case Session::Standing::array_full:
      answer.reason = WaitReason::array_full;
      break;
    case Session::Standing::waiting: {
      const auto& own = classes[session.request_class];
      answer.reason = own.standing == Class::Standing::refused
                          ? WaitReason::no_room
                          : WaitReason::queued;
      break;
    }
  }
  answer.waits_for = session.waits_for;
  count_nodes(session, answer);
  if (session.standing == Session::Standing::held) {
    if (session.waits_for.empty()) expect_after_hold(session, answer);
    return answer;
  }
  count_queue(session, answer);
  if (session.standing != Session::Standing::waiting) return answer;
  answer.rank = rank_parts(session, pass_at);
  expect_start(session, answer);
  return answer;
}

}  // namespace reeve::cluster
