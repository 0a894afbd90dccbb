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

// When something that runs is expected to have ended, or (without a session) a
// reservation lets go of a node; the earlier first in a heap.
struct Release {
  Time at;
  const Session* session = nullptr;
  std::uint32_t node = 0;
  bool operator<(const Release& other) const {
    const auto id = [](const Release& of) {
      return of.session ? of.session->key.session : 0;
    };
    return std::tuple(other.at, id(other), other.node) <
           std::tuple(at, id(*this), node);
  }
};

}  // namespace

// Whether a task would fit but for reservations.
bool Scheduler::Core::is_reserved(const Node& node, const Class& wanted) const {
  if (node.bookings.empty() && wanted.request.reservation.empty()) return false;
  const auto left = unreserved(node, wanted);
  return !left || (fits(node, wanted.need) && !fits(*left, wanted.need));
}

void Scheduler::Core::count_nodes(const Session& session, Why& answer) const {
  const auto& wanted = classes[session.request_class];
  const auto& need = wanted.need;
  const auto key = effective(pools[wanted.pool], wanted.owner, session.key);
  auto& count = answer.nodes;
  std::uint64_t nearest_distance = UINT64_MAX;
  for (const auto number : pools[wanted.pool].nodes) {
    const auto& node = nodes[number];
    ++count.total;
    const auto& named = wanted.request.on_node;
    if (!node.offered()) {
      ++count.away;
    } else if (!named.empty() && !is_named(node, named)) {
      ++count.other_node;
    } else if (!fits_emptied(node, need)) {
      ++count.too_small;
    } else if (!as_wished(wanted, node)) {
      ++count.unwished;
    } else if (is_reserved(node, wanted)) {
      ++count.reserved;
    } else if (fits(node, need)) {
      const bool kept =
          (node.earmarked && key > guard_key(pools[wanted.pool])) ||
          (!node.holds.empty() && !beside_holds(node, wanted, 1, key));
      ++(kept ? count.earmarked : count.fitting);
      if (kept) continue;
      const auto left = answer.tasks - answer.tasks_fitting;
      answer.tasks_fitting += slots(node, need, left);
    } else {
      const auto near = nearness(node, need);
      ++(near.gpus_lacking > 0        ? count.devices_busy
         : near.cpu_lacking_milli > 0 ? count.cpu_short
                                      : count.memory_short);
      const auto away = distance(near, need);
      if (away >= nearest_distance) continue;
      nearest_distance = away;
      answer.nearest = near;
      answer.nearest->name = node.name;
    }
  }
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
  const auto stand_beside = [&](const auto& lines) {
    for (const auto& [of, line] : lines)
      for (const auto& beside : line) {
        const auto& kind = classes[sessions.at(beside.session).request_class];
        if (kind.pool != own.pool) continue;
        ++answer.queue_length;
        ahead += effective(pool, kind.owner, beside) < key ? 1 : 0;
      }
  };
  stand_beside(over_quota);
  stand_beside(array_lines);
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
  if (session.ends_at.value != 0) return session.ends_at;
  if (session.time_limit_ns == 0) return no_time;
  return Time(session.started_at.value + session.time_limit_ns);
}

// From the plan, or by freeing what runs in the order of its ends until the
// session fits.
void Scheduler::Core::expect_start(const Session& session, Why& answer) const {
  const auto& wanted = classes[session.request_class];
  for (const auto& planned : pools[wanted.pool].plan)
    if (planned.key == session.key && planned.start != no_time) {
      answer.expected_start = planned.start;
      answer.basis = StartBasis::plan;
      std::vector<std::uint32_t> numbers;
      for (const auto& place : planned.places) numbers.push_back(place.first);
      std::sort(numbers.begin(), numbers.end());
      std::vector<const Session*> among;
      for (const auto number : numbers)
        for (const auto& tenant : nodes[number].tenants)
          among.push_back(&sessions.at(tenant.session));
      std::sort(among.begin(), among.end());
      among.erase(std::unique(among.begin(), among.end()), among.end());
      return await_ends(among, numbers, planned.start, answer);
    }
  const auto tasks = wanted.request.tasks;
  constexpr auto not_there = UINT32_MAX;
  std::unordered_map<std::uint32_t, Node> then;  // where something has ended
  const auto room_at = [&](std::uint32_t number, Time at) -> std::uint32_t {
    const auto& node = nodes[number];
    const auto known = then.find(number);
    const auto& now = known == then.end() ? node : known->second;
    if (node.bookings.empty() && wanted.request.reservation.empty())
      return slots(now, wanted.need, tasks);
    Node left = bare(now);
    return leave_reserved(left, node, wanted, at)
               ? slots(left, wanted.need, tasks)
               : 0;
  };
  std::vector<std::uint32_t> room_on(nodes.size(), not_there);
  std::vector<std::uint32_t> booked;
  std::vector<Release> releases;
  const auto* label = kept_within(wanted);
  GangRooms room(wanted.request);
  const auto change = [&](std::uint32_t number, std::uint32_t times) {
    const auto* place = label ? place_of(nodes[number], *label) : nullptr;
    const auto before = room_on[number] == not_there ? 0 : room_on[number];
    room.change(place ? *place : std::string(), before, times);
    room_on[number] = times;
  };
  for (const auto number : pools[wanted.pool].nodes) {
    const auto& node = nodes[number];
    if (!welcome(wanted, node) || !fits_emptied(node, wanted.need)) continue;
    change(number, room_at(number, pass_at));
    if (!node.bookings.empty()) booked.push_back(number);
    for (const auto at : window_moments(node, wanted))
      releases.push_back({at, nullptr, number});
  }
  for (const auto& [id, other] : sessions) {
    if (other.holdings.empty() || other.started_at.value == 0) continue;
    if (const auto at = limit_of(other); at != no_time)
      releases.push_back({at, &other, 0});
  }
  std::make_heap(releases.begin(), releases.end());
  const auto look = [&](std::uint32_t number, Time at) {
    change(number, room_at(number, at));
  };
  std::vector<const Session*> ended;
  while (!releases.empty()) {
    std::pop_heap(releases.begin(), releases.end());
    const auto next = releases.back();
    releases.pop_back();
    if (answer.basis == StartBasis::limits && next.at > answer.expected_start)
      break;
    if (next.session) ended.push_back(next.session);
    if (answer.basis == StartBasis::limits) continue;
    bool changed = !next.session;
    if (!next.session) look(next.node, next.at);
    const auto count = next.session ? next.session->holdings.size() : 0;
    for (std::size_t i = 0; i < count; ++i) {
      const auto& holding = next.session->holdings[i];
      const auto number = holding.task.node.value;
      if (holding.freed || room_on[number] == not_there) continue;
      auto it = then.find(number);
      if (it == then.end())
        it = then.emplace(number, bare(nodes[number])).first;
      release(it->second, classes[next.session->request_class].need,
              holding.task.devices);
      look(number, next.at);
      changed = true;
    }
    if (!changed || !room.enough()) continue;
    // Windows that begin soon may have come too near meanwhile.
    for (const auto number : booked) look(number, next.at);
    if (!room.enough()) continue;
    answer.expected_start = next.at;
    answer.basis = StartBasis::limits;
  }
  if (answer.basis != StartBasis::limits) return;
  std::uint32_t most = 0;
  for (const auto times : room_on)
    if (times != not_there) most = std::max(most, times);
  std::vector<std::uint32_t> numbers;
  for (std::uint32_t number = 0; number < room_on.size(); ++number)
    if (room_on[number] == most) numbers.push_back(number);
  await_ends(ended, numbers, answer.expected_start, answer);
}

// Of one that only its time holds back: then, if there is room now, else when
// there is, but not before its time.
void Scheduler::Core::expect_after_hold(const Session& session,
                                        Why& answer) const {
  const auto& wanted = classes[session.request_class];
  const auto tasks = wanted.request.tasks;
  std::map<std::uint32_t, std::uint32_t> room;
  for (const auto number : pools[wanted.pool].nodes) {
    const auto& node = nodes[number];
    if (!welcome(wanted, node)) continue;
    Node left = bare(node);
    if (!leave_reserved(left, node, wanted, session.not_before)) continue;
    if (const auto times = slots(left, wanted.need, tasks))
      room[number] = times;
  }
  Places places;
  if (gather(wanted, room, places)) {
    answer.expected_start = session.not_before;
    answer.basis = StartBasis::room;
    return;
  }
  expect_start(session, answer);
  if (answer.expected_start.value != 0)
    answer.expected_start = std::max(answer.expected_start, session.not_before);
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
      answer.quota =
          accounts.excess(session.owners, wanted_by(session), pass_at);
      answer.reason = answer.quota ? WaitReason::quota : WaitReason::queued;
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
