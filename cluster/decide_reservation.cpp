// Reservations are made, changed and removed.
#include <fmt/format.h>

#include <algorithm>

#include "cluster/decide_internal.hpp"
#include "cluster/rejecting.hpp"
#include "cluster/units.hpp"
#include "schema/json.hpp"
#include "schema/wire.hpp"

namespace reeve::cluster {
namespace {

template <class Values>
bool repeats(const Values& values) {
  auto sorted = values;
  std::sort(sorted.begin(), sorted.end());
  return std::adjacent_find(sorted.begin(), sorted.end()) != sorted.end();
}

Check check_bounds(const Reservation& asked) {
  if (auto no =
          check_name(asked.name, "reservation_name", "a name", name_bytes_max))
    return no;
  const Check checks[] = {
      bound("reservation_nodes_max", "the number of nodes", asked.nodes.size(),
            reservation_nodes_max),
      bound("devices_per_node_max", "the number of devices",
            asked.devices.size(), devices_per_node_max),
      bound("reservation_owners_max", "the number of users and projects",
            asked.users.size() + asked.projects.size(), reservation_owners_max),
      bound("reservation_reason_bytes_max", "the length of the reason",
            asked.reason.size(), reservation_reason_bytes_max),
  };
  for (const Check& check : checks)
    if (check) return check;
  if (asked.kind > ReservationKind::MAX)
    return reject(RejectCode::malformed, "reservation_kind",
                  "this program does not know that kind of reservation");
  if (asked.nodes.empty())
    return reject(RejectCode::malformed, "reservation_empty",
                  "a reservation is of one node at least");
  if (repeats(asked.nodes) || repeats(asked.devices))
    return reject(RejectCode::malformed, "reservation_twice",
                  "it names a node or a device twice");
  return std::nullopt;
}

Check check_times(const Reservation& asked, Time now) {
  const std::uint64_t from = asked.first.from.value;
  const std::uint64_t to = asked.first.to.value;
  if (from >= to)
    return reject(RejectCode::malformed, "reservation_range",
                  fmt::format("it would be from {} to {}: it has to end after "
                              "it begins",
                              schema::rfc3339(from), schema::rfc3339(to)),
                  from, to);
  if (asked.is_over(now))
    return reject(RejectCode::malformed, "reservation_past",
                  fmt::format("it would be over since {}; it is {} now",
                              schema::rfc3339(to), schema::rfc3339(now.value)),
                  now.value, to);
  const std::uint64_t ahead = from > now.value ? from - now.value : 0;
  for (const auto& [what, value] :
       {std::pair("the time until it begins", ahead),
        std::pair("its length", to - from),
        std::pair("its period", asked.every_ns)})
    if (auto no =
            bound_time("reservation_ns_max", what, value, reservation_ns_max))
      return no;
  if (asked.every_ns == 0) return std::nullopt;
  if (asked.every_ns < reservation_every_ns_min)
    return reject(RejectCode::malformed, "reservation_every_ns_min",
                  fmt::format("its period is {}; at least {} is needed",
                              format_duration(asked.every_ns),
                              format_duration(reservation_every_ns_min)),
                  reservation_every_ns_min, asked.every_ns);
  if (asked.every_ns < to - from)
    return reject(RejectCode::malformed, "reservation_period",
                  fmt::format("it lasts {} and would come again every {}: it "
                              "would meet itself",
                              format_duration(to - from),
                              format_duration(asked.every_ns)),
                  to - from, asked.every_ns);
  return std::nullopt;
}

Check check_nodes(const State& state, const Reservation& asked) {
  for (const std::string& name : asked.nodes) {
    const Node* node = state.node(name);
    if (!node)
      return reject(
          RejectCode::not_found, "node_unknown",
          fmt::format("there is no node '{}' (reeve nodes lists them)", name));
    for (const std::uint32_t device : asked.devices)
      if (device >= node->devices.size())
        return reject(RejectCode::not_found, "device_unknown",
                      fmt::format("node {} has no device {}; it has {}", name,
                                  device, node->devices.size()),
                      node->devices.size(), device);
  }
  return std::nullopt;
}

Check check_owners(const State& state, const Reservation& asked) {
  const bool nobody = asked.users.empty() && asked.projects.empty();
  if (asked.is_maintenance() && !nobody)
    return reject(RejectCode::malformed, "reservation_owners",
                  "nobody runs there during maintenance: it names no users "
                  "and no projects");
  if (!asked.is_maintenance() && nobody)
    return reject(RejectCode::malformed, "reservation_owners",
                  "a reservation names users or projects that it is for; one "
                  "for nobody is maintenance");
  const auto unknown = [&](AccountKind kind,
                           const std::vector<std::string>& names) -> Check {
    for (const std::string& name : names)
      if (!state.accounts().find(kind, name))
        return reject(
            RejectCode::not_found, "account_unknown",
            fmt::format("there is no {} '{}'; there are: {}",
                        schema::EnumNameAccountKind(kind), name,
                        fmt::join(state.accounts().names(kind), ", ")));
    return std::nullopt;
  };
  if (auto no = unknown(AccountKind::user, asked.users)) return no;
  return unknown(AccountKind::project, asked.projects);
}

Check check_others(const State& state, const Reservation& asked) {
  const auto& all = state.reservations().all();
  for (const auto& [name, other] : all)
    if (name != asked.name && share_room(asked, other) && meet(asked, other))
      return reject(
          RejectCode::wrong_state, "reservation_overlap",
          fmt::format("reservation {} has some of it at a time that both "
                      "want: it is from {} to {}{}",
                      name, schema::rfc3339(other.first.from.value),
                      schema::rfc3339(other.first.to.value),
                      other.every_ns
                          ? ", every " + format_duration(other.every_ns)
                          : std::string()));
  if (!state.reservations().find(asked.name) && all.size() >= reservations_max)
    return reject(
        RejectCode::over_limit, "reservations_max",
        fmt::format("the cell has {} reservations, its bound", all.size()),
        reservations_max, all.size());
  return std::nullopt;
}

Sequence write_removed(const std::string& name, EventWriter& writer) {
  auto& builder = writer.builder();
  return writer.add(
      schema::CreateReservationRemoved(builder, builder.CreateString(name)),
      Sequence{});
}

}  // namespace

Decision decide_set_reservation(const State& state,
                                const schema::SetReservation& command,
                                const Origin& origin, EventWriter& writer) {
  const Reservation asked = reservation_of(*command.reservation());
  if (auto no = check_bounds(asked)) return tl::unexpected(std::move(*no));
  if (auto no = check_times(asked, origin.now))
    return tl::unexpected(std::move(*no));
  if (auto no = check_nodes(state, asked))
    return tl::unexpected(std::move(*no));
  if (auto no = check_owners(state, asked))
    return tl::unexpected(std::move(*no));
  if (auto no = check_others(state, asked))
    return tl::unexpected(std::move(*no));
  writer.begin(origin);
  auto& builder = writer.builder();
  return Accepted{writer.add(schema::CreateReservationSet(
                                 builder, build_reservation(builder, asked)),
                             Sequence{}),
                  {}};
}

Decision decide_remove_reservation(const State& state,
                                   const schema::RemoveReservation& command,
                                   const Origin& origin, EventWriter& writer) {
  const std::string_view name = schema::text(command.name());
  const Reservation* found = state.reservations().find(name);
  if (!found)
    return tl::unexpected(
        reject(RejectCode::not_found, "reservation_unknown",
               fmt::format("there is no reservation '{}' (\"reeve reservation "
                           "list\" names them)",
                           name)));
  writer.begin(origin);
  return Accepted{write_removed(found->name, writer), {}};
}

bool decide_reservation_over(const Reservation& reservation,
                             const Origin& origin, EventWriter& writer) {
  if (!reservation.is_over(origin.now)) return false;
  writer.begin(origin);
  write_removed(reservation.name, writer);
  return true;
}

}  // namespace reeve::cluster
