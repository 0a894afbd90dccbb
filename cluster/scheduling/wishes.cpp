// Places that a session may or would rather have: by the labels of nodes, by
// the company of other sessions, and by what reservations leave.
#include "cluster/limits.hpp"
#include "cluster/scheduling/core.hpp"
#include "schema/event_generated.h"

namespace reeve::cluster {

using namespace scheduling;

namespace {

// Labels that say how nodes are connected, the closest first: gangs keep to
// one value of them where they can.
constexpr std::array<const char*, 2> near_labels = {"switch", "rack"};

// Of the places that may have room for a gang so many are tried.
constexpr std::size_t places_tried_max = 8;

// The same words of one user mean one company, for each of the two relations.
std::string company_key(char relation, const Request& request,
                        const std::string& text) {
  return relation + request.user + '\0' + text;
}

Company company_of(const std::string& text) {
  return parse_company(text).value_or(Company{text, {}});
}

void block(scheduling::Device& device) {
  device.used_milli = device.capacity_milli;
  device.used_memory_bytes = device.memory_bytes;
}

}  // namespace

// Texts were checked when the session was submitted; what a later program wrote
// and this one cannot read holds nowhere.
std::unique_ptr<Wishes> Scheduler::Core::wishes_of(const Request& request) {
  const bool none = request.constraint.empty() && request.prefer.empty() &&
                    request.within.empty() && request.together.empty() &&
                    request.apart.empty();
  if (none) return nullptr;
  auto wishes = std::make_unique<Wishes>();
  if (!request.constraint.empty()) {
    auto parsed = Constraint::parse(request.constraint);
    wishes->nowhere = !parsed;
    if (parsed) wishes->constraint = std::move(*parsed);
  }
  for (const auto& text : request.prefer)
    if (auto parsed = Constraint::parse(text))
      wishes->prefer.push_back(std::move(*parsed));
  if (!request.together.empty()) {
    wishes->together = company_key('+', request, request.together);
    wishes->together_by = company_of(request.together).label;
  }
  if (!request.apart.empty()) {
    wishes->apart = company_key('-', request, request.apart);
    wishes->apart_by = company_of(request.apart).label;
  }
  return wishes;
}

// The value of the label, or the node's own name for no label; null: none.
const std::string* Scheduler::Core::place_of(const Node& node,
                                             const std::string& label) const {
  return label.empty() ? &node.name : find_label(node.labels, label);
}

bool Scheduler::Core::matches(const Constraint& constraint,
                              const Node& node) const {
  NodeFacts facts{node.name, &node.labels, node.cpu_capacity_milli, 0, {}};
  facts.gpus = static_cast<std::uint32_t>(node.model_names.size());
  facts.gpu_models.assign(node.model_names.begin(), node.model_names.end());
  return constraint.matches(facts);
}

// Whether the node's labels are as the class asks; remembered for each node.
bool Scheduler::Core::admitted(const Class& wanted, const Node& node) const {
  auto& wishes = *wanted.wishes;
  if (wishes.known_at != inventory_version) {
    wishes.known.assign(nodes.size(), Wishes::Verdict::unknown);
    wishes.known_at = inventory_version;
  }
  auto& verdict = wishes.known[node.id.value];
  if (verdict == Wishes::Verdict::unknown) {
    const bool yes =
        !wishes.nowhere && matches(wishes.constraint, node) &&
        (wanted.request.within.empty() ||
         find_label(node.labels, wanted.request.within) != nullptr);
    verdict = yes ? Wishes::Verdict::yes : Wishes::Verdict::no;
  }
  return verdict == Wishes::Verdict::yes;
}

bool Scheduler::Core::in_company(const Class& wanted, const Node& node) const {
  const auto& wishes = *wanted.wishes;
  if (!wishes.together.empty()) {
    const auto* place = place_of(node, wishes.together_by);
    if (!place) return false;
    const auto it = companies.find(wishes.together);
    if (it != companies.end() && !it->second.contains(*place)) return false;
  }
  if (!wishes.apart.empty()) {
    const auto* place = place_of(node, wishes.apart_by);
    if (!place) return false;
    const auto it = companies.find(wishes.apart);
    if (it != companies.end() && it->second.contains(*place)) return false;
  }
  return true;
}

bool Scheduler::Core::as_wished(const Class& wanted, const Node& node) const {
  return !wanted.wishes || (admitted(wanted, node) && in_company(wanted, node));
}

void Scheduler::Core::join_company(const Class& of, const Node& node) {
  if (!of.wishes) return;
  const auto join = [&](const std::string& key, const std::string& label) {
    if (key.empty()) return;
    if (const auto* place = place_of(node, label)) ++companies[key][*place];
  };
  join(of.wishes->together, of.wishes->together_by);
  join(of.wishes->apart, of.wishes->apart_by);
}

void Scheduler::Core::join_companies(ClassId id) {
  const auto& wishes = classes[id].wishes;
  if (!wishes) return;
  for (const auto* key : {&wishes->together, &wishes->apart})
    if (!key->empty()) company_classes[*key].insert(id);
}

void Scheduler::Core::leave_companies(ClassId id) {
  const auto& wishes = classes[id].wishes;
  if (!wishes) return;
  for (const auto* key : {&wishes->together, &wishes->apart}) {
    const auto it = company_classes.find(*key);
    if (it == company_classes.end()) continue;
    it->second.erase(id);
    if (it->second.empty()) company_classes.erase(it);
  }
}

// Places are open that were not: its classes are looked at anew.
void Scheduler::Core::company_opened(const std::string& key) {
  for (const auto id : company_classes.at(key)) {
    if (classes[id].standing != Class::Standing::refused) continue;
    plan_broken(pools[classes[id].pool]);
    unlist(id);
    list(id, Class::Standing::ready);
  }
}

// A place that loses its last one is open to others again.
void Scheduler::Core::leave_company(const Class& of, const Node& node) {
  if (!of.wishes) return;
  const auto leave = [&](const std::string& key, const std::string& label) {
    if (key.empty()) return;
    const auto company = companies.find(key);
    const auto* place = place_of(node, label);
    if (company == companies.end() || !place) return;
    const auto at = company->second.find(*place);
    if (at == company->second.end() || --at->second > 0) return;
    company->second.erase(at);
    if (company->second.empty()) companies.erase(company);
    company_opened(key);
  };
  leave(of.wishes->together, of.wishes->together_by);
  leave(of.wishes->apart, of.wishes->apart_by);
}

// ---- narrowed searches

bool Scheduler::Core::within_narrowing(const Class& wanted,
                                       const Node& node) const {
  for (std::size_t i = 0; i < narrowing.prefer; ++i)
    if (!matches(wanted.wishes->prefer[i], node)) return false;
  if (narrowing.place.empty()) return true;
  const auto* place = place_of(node, narrowing.label);
  return place && *place == narrowing.place;
}

const PlaceIndex& Scheduler::Core::places_by(Pool& pool,
                                             const std::string& label) {
  if (const auto it = pool.places.find(label); it != pool.places.end())
    return it->second;
  std::vector<std::string> names;
  names.reserve(pool.nodes.size());
  for (const auto number : pool.nodes) {
    const auto* place = place_of(nodes[number], label);
    names.push_back(place ? *place : std::string());
  }
  return pool.places.try_emplace(label, nodes, pool.nodes, names).first->second;
}

// Tries places with one value of the label where it fits, those with the least
// room first.
bool Scheduler::Core::place_near(Class& wanted, const OrderKey& key,
                                 const std::string& label, Tasks& tasks) {
  // Of a node's own place: several nodes never share it.
  if (label.empty())
    return wanted.request.nodes == 1 && place_anywhere(wanted, key, tasks);
  const auto count = wanted.request.tasks;
  const auto& index = places_by(pools[wanted.pool], label);
  bool placed = false;
  std::size_t tried = 0;
  Places gathered;
  for (const auto number : index.roomy(wanted.need, count)) {
    const auto& place = index.places()[number];
    std::map<std::uint32_t, std::uint32_t> room;
    for (const auto member : place.nodes) {
      const auto& node = nodes[member];
      if (node.offered() && usable(node, wanted, 1, key))
        room[member] = slots(node, wanted.need, count);
    }
    if (!gather(wanted, room, gathered)) continue;
    narrowing.label = label;
    narrowing.place = place.name;
    placed = place_anywhere(wanted, key, tasks);
    if (placed || ++tried == places_tried_max) break;
  }
  narrowing.label.clear();
  narrowing.place.clear();
  return placed;
}

// A gang keeps to one place where it has to, and where it can.
bool Scheduler::Core::place_close(Class& wanted, const OrderKey& key,
                                  Tasks& tasks) {
  const auto& request = wanted.request;
  if (request.tasks == 1) return place_anywhere(wanted, key, tasks);
  if (request.nodes == 0) {
    if (auto* node = find(wanted, request.tasks, key)) {
      take(*node, wanted, request.tasks, tasks);
      return true;
    }
  }
  if (!request.within.empty())
    return place_near(wanted, key, request.within, tasks);
  if (wanted.wishes && !wanted.wishes->together.empty())
    return place_near(wanted, key, wanted.wishes->together_by, tasks);
  if (request.nodes != 1)
    for (const std::string label : near_labels)
      if (pools[wanted.pool].labels.contains(label) &&
          place_near(wanted, key, label, tasks))
        return true;
  return place_anywhere(wanted, key, tasks);
}

// What it prefers first, then less and less of it.
bool Scheduler::Core::place_preferred(Class& wanted, const OrderKey& key,
                                      Tasks& tasks) {
  narrowing = {};
  if (wanted.wishes) narrowing.prefer = wanted.wishes->prefer.size();
  while (true) {
    if (place_close(wanted, key, tasks)) break;
    if (narrowing.prefer == 0) return false;
    --narrowing.prefer;
  }
  narrowing = {};
  return true;
}

// ---- reservations

// Takes from `left`, a copy of the node, what reservations keep from the
// class's sessions that start then; false: they keep all of it. What may run
// into a window counts, so the limit decides and no estimate.
bool Scheduler::Core::leave_reserved(Node& left, const Node& node,
                                     const Class& wanted, Time from) const {
  const Time end(from.value + (wanted.limit_ns == no_length ? running_ns_max
                                                            : wanted.limit_ns));
  const auto& own = wanted.request.reservation;
  bool inside = own.empty();
  const auto block_those = [&](const Reservation& reservation, bool covered) {
    for (std::uint32_t i = 0; i < left.devices.size(); ++i)
      if (reservation.covers_device(i) == covered) block(left.devices[i]);
  };
  for (const auto* reservation : node.bookings) {
    if (!own.empty() && reservation->name == own) {
      if (!reservation->holds_at(from)) return false;
      inside = true;
      if (!reservation->devices.empty()) block_those(*reservation, false);
      continue;
    }
    const auto window = reservation->window_at(from);
    if (!window || window->from >= end) continue;
    if (reservation->devices.empty()) return false;
    block_those(*reservation, true);
  }
  return inside;
}

// How many tasks that start then fit on the node, were it as `then`, beside
// what reservations keep.
std::uint32_t Scheduler::Core::slots_unreserved(Node then, const Node& node,
                                                const Class& wanted,
                                                std::uint32_t limit,
                                                Time from) const {
  return leave_reserved(then, node, wanted, from)
             ? slots(then, wanted.need, limit)
             : 0;
}

// What reservations leave of the node from now on; nothing: they keep it.
std::optional<scheduling::Node> Scheduler::Core::unreserved(
    const Node& node, const Class& wanted) const {
  Node left = bare(node);
  if (!leave_reserved(left, node, wanted, pass_at)) return std::nullopt;
  return left;
}

// Whether it may be there at all, at some time, whatever has room.
bool Scheduler::Core::welcome(const Class& wanted, const Node& node) const {
  const auto& name = wanted.request.on_node;
  const auto& own = wanted.request.reservation;
  const auto is_own = [&](const auto* one) { return one->name == own; };
  return node.offered() && node.pool == wanted.pool &&
         (name.empty() || is_named(node, name)) &&
         (own.empty() ||
          std::any_of(node.bookings.begin(), node.bookings.end(), is_own)) &&
         as_wished(wanted, node);
}

// When reservations are to let go of the node, or begin to keep it for the
// class's sessions.
std::vector<Time> Scheduler::Core::window_moments(const Node& node,
                                                  const Class& wanted) const {
  std::vector<Time> moments;
  for (const auto* reservation : node.bookings) {
    const auto window = reservation->window_at(pass_at);
    if (!window) continue;
    const bool own = reservation->name == wanted.request.reservation;
    const Time at = own ? window->from : window->to;
    if (at > pass_at) moments.push_back(at);
  }
  return moments;
}

// When the reservation that the class asks for begins to hold; nothing: it
// does, or none is asked for; 0: that is not known.
std::optional<Time> Scheduler::Core::opens_at(const Class& wanted) const {
  const auto& name = wanted.request.reservation;
  if (name.empty()) return std::nullopt;
  const auto* own = reservations.find(name);
  const auto window = own ? own->window_at(windows_at) : std::nullopt;
  if (!window) return Time{};
  if (window->from <= windows_at) return std::nullopt;
  return window->from;
}

// When a window next begins or ends; 0: never.
Time Scheduler::Core::next_window(Time now) const {
  Time next;
  for (const auto& [name, reservation] : reservations.all()) {
    const auto window = reservation.window_at(now);
    if (!window) continue;
    const Time at = window->from > now ? window->from : window->to;
    if (next.value == 0 || at < next) next = at;
  }
  return next;
}

void Scheduler::Core::pass_windows(Time now) {
  if (window_at.value == 0 || now < window_at) return;
  for (auto& node : nodes)
    if (!node.bookings.empty()) node_freed(node);
  windows_changed(now);
}

// Who asks for a reservation is in the queue while that holds, and held else:
// so it is in nobody's way before.
void Scheduler::Core::windows_changed(Time now) {
  windows_at = now;
  window_at = next_window(now);
  const auto reserves = [this](ClassId id) {
    return !classes[id].request.reservation.empty();
  };
  const auto asked = [&](const auto& known) { return reserves(known.second); };
  if (std::none_of(class_numbers.begin(), class_numbers.end(), asked)) return;
  for (auto& [id, session] : sessions) {
    if (!reserves(session.request_class)) continue;
    const bool queues = session.standing == Session::Standing::waiting ||
                        session.standing == Session::Standing::over_quota ||
                        session.standing == Session::Standing::array_full;
    const bool closed = opens_at(classes[session.request_class]).has_value();
    if (!session.awaits_window && !(queues && closed)) continue;
    leave_queue(id, session);
    admit(id, session);
  }
}

// Sessions of a queue whose nodes are reserved at times are told apart by
// their limits.
void Scheduler::Core::book(Node& node) {
  node.bookings.clear();
  for (const auto& [name, reservation] : reservations.all())
    if (reservation.covers(node.name)) node.bookings.push_back(&reservation);
}

void Scheduler::Core::reservations_changed(const schema::Event& event) {
  reservations.apply(event);
  std::set<std::uint32_t> booked;
  for (auto& node : nodes) {
    const bool before = !node.bookings.empty();
    book(node);
    if (!node.bookings.empty()) booked.insert(node.pool);
    if (!node.known || (!before && node.bookings.empty())) continue;
    plan_broken(pools[node.pool]);
    node_freed(node);
  }
  for (std::uint32_t number = 0; number < pools.size(); ++number)
    if (pools[number].booked != booked.contains(number))
      rebuild_pool(number, [&](Pool& pool) { pool.booked = !pool.booked; });
  windows_changed(Time(event.time_at()));
}

// ---- arrays

bool Scheduler::Core::array_is_full(const Session& session) const {
  if (session.array_running_max == 0) return false;
  const auto it = array_running.find(session.array);
  return it != array_running.end() && it->second >= session.array_running_max;
}

void Scheduler::Core::count_in_array(const Session& session) {
  if (session.array_running_max > 0) ++array_running[session.array];
}

void Scheduler::Core::leave_array(const Session& session) {
  if (session.array_running_max == 0) return;
  const auto it = array_running.find(session.array);
  if (it == array_running.end()) return;
  if (--it->second == 0) array_running.erase(it);
  let_in_of_array(session);
}

// The next of its array, in place of one that holds or waits for a place no
// more.
void Scheduler::Core::let_in_of_array(const Session& session) {
  const auto line = array_lines.find(session.array);
  if (line == array_lines.end()) return;
  auto& next = sessions.at(line->second.begin()->session);
  leave_array_line(next);
  enqueue(next);
}

void Scheduler::Core::join_array_line(Session& session) {
  dequeue(session);
  set_standing(session, Session::Standing::array_full);
  array_lines[session.array].insert(session.key);
}

void Scheduler::Core::leave_array_line(Session& session) {
  const auto line = array_lines.find(session.array);
  line->second.erase(session.key);
  if (line->second.empty()) array_lines.erase(line);
}

}  // namespace reeve::cluster
