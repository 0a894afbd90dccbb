#include "cluster/accounts/reservation.hpp"

#include <algorithm>
#include <numeric>

namespace reeve::cluster {
namespace {

using Texts = std::vector<std::string>;
using TextList = flatbuffers::Vector<flatbuffers::Offset<flatbuffers::String>>;

template <class Values, class Value>
bool contains(const Values& values, const Value& value) {
  return std::find(values.begin(), values.end(), value) != values.end();
}

Texts texts_of(const TextList* list) {
  Texts out;
  if (!list) return out;
  for (const auto* text : *list) out.push_back(text->str());
  return out;
}

flatbuffers::Offset<TextList> build(flatbuffers::FlatBufferBuilder& builder,
                                    const Texts& texts) {
  if (texts.empty()) return 0;
  return builder.CreateVectorOfStrings(texts);
}

std::uint64_t length_of(const ReservedTime& window) {
  return window.to.value - window.from.value;
}

bool cross(const ReservedTime& a, const ReservedTime& b) {
  return a.from < b.to && b.from < a.to;
}

// A window of `often` begins at its first and then again and again.
bool meets_one(const Reservation& often, const ReservedTime& once) {
  const ReservedTime& first = often.first;
  if (once.to <= first.from) return false;
  // The last one that begins before `once` is over.
  const std::uint64_t times =
      (once.to.value - 1 - first.from.value) / often.every_ns;
  const std::uint64_t shift = times * often.every_ns;
  return cross({Time{first.from.value + shift}, Time{first.to.value + shift}},
               once);
}

}  // namespace

bool Reservation::covers(std::string_view node) const {
  return contains(nodes, node);
}

bool Reservation::covers_device(std::uint32_t device) const {
  return devices.empty() || contains(devices, device);
}

std::optional<ReservedTime> Reservation::window_at(Time now) const {
  if (now < first.to) return first;
  if (every_ns == 0) return std::nullopt;
  // How often it has ended.
  const std::uint64_t times = (now.value - first.to.value) / every_ns + 1;
  const std::uint64_t shift = times * every_ns;
  return ReservedTime{Time{first.from.value + shift},
                      Time{first.to.value + shift}};
}

bool Reservation::holds_at(Time now) const {
  const auto window = window_at(now);
  return window && window->from <= now;
}

bool Reservation::is_over(Time now) const {
  return every_ns == 0 && first.to <= now;
}

bool meet(const Reservation& a, const Reservation& b) {
  if (a.every_ns == 0 && b.every_ns == 0) return cross(a.first, b.first);
  if (a.every_ns == 0) return meets_one(b, a.first);
  if (b.every_ns == 0) return meets_one(a, b.first);
  // The distances between a window of one and a window of the other are all
  // the numbers that leave the same rest when divided by this.
  const std::uint64_t step = std::gcd(a.every_ns, b.every_ns);
  const std::uint64_t from_a = a.first.from.value % step;
  const std::uint64_t from_b = b.first.from.value % step;
  const std::uint64_t behind = (from_b + step - from_a) % step;
  return behind < length_of(a.first) || step - behind < length_of(b.first);
}

bool share_room(const Reservation& a, const Reservation& b) {
  const bool same_node =
      std::any_of(a.nodes.begin(), a.nodes.end(),
                  [&](const std::string& node) { return b.covers(node); });
  if (!same_node) return false;
  if (a.devices.empty() || b.devices.empty()) return true;
  return std::any_of(
      a.devices.begin(), a.devices.end(),
      [&](std::uint32_t device) { return b.covers_device(device); });
}

bool is_for(const Reservation& reservation, const Accounts& accounts,
            std::string_view user, std::string_view project) {
  if (reservation.is_maintenance()) return false;
  if (contains(reservation.users, user)) return true;
  const Account* at = accounts.find(AccountKind::project, project);
  while (at) {
    if (contains(reservation.projects, at->name)) return true;
    at = at->parent == no_account ? nullptr : &accounts.at(at->parent);
  }
  return false;
}

bool Reservations::apply(const schema::Event& event) {
  if (const auto* set_one = event.body_as_ReservationSet()) {
    set(*set_one->reservation());
    return true;
  }
  if (const auto* removed = event.body_as_ReservationRemoved()) {
    by_name_.erase(removed->name()->str());
    return true;
  }
  return false;
}

void Reservations::set(const schema::ReservationSpec& spec) {
  Reservation reservation = reservation_of(spec);
  std::string name = reservation.name;
  by_name_.insert_or_assign(std::move(name), std::move(reservation));
}

const Reservation* Reservations::find(std::string_view name) const {
  const auto found = by_name_.find(name);
  return found == by_name_.end() ? nullptr : &found->second;
}

flatbuffers::Offset<
    flatbuffers::Vector<flatbuffers::Offset<schema::ReservationSpec>>>
Reservations::build(flatbuffers::FlatBufferBuilder& builder) const {
  if (by_name_.empty()) return 0;
  std::vector<flatbuffers::Offset<schema::ReservationSpec>> list;
  for (const auto& [name, reservation] : by_name_)
    list.push_back(build_reservation(builder, reservation));
  return builder.CreateVector(list);
}

Reservation reservation_of(const schema::ReservationSpec& spec) {
  Reservation out;
  out.name = spec.name()->str();
  out.kind = spec.kind();
  out.nodes = texts_of(spec.nodes());
  if (spec.devices())
    out.devices.assign(spec.devices()->begin(), spec.devices()->end());
  out.users = texts_of(spec.users());
  out.projects = texts_of(spec.projects());
  out.first = {Time{spec.from_at()}, Time{spec.to_at()}};
  out.every_ns = spec.every_ns();
  if (spec.reason()) out.reason = spec.reason()->str();
  return out;
}

flatbuffers::Offset<schema::ReservationSpec> build_reservation(
    flatbuffers::FlatBufferBuilder& builder, const Reservation& reservation) {
  const auto name = builder.CreateString(reservation.name);
  const auto nodes = builder.CreateVectorOfStrings(reservation.nodes);
  const auto devices = reservation.devices.empty()
                           ? 0
                           : builder.CreateVector(reservation.devices);
  const auto users = build(builder, reservation.users);
  const auto projects = build(builder, reservation.projects);
  const auto reason =
      reservation.reason.empty() ? 0 : builder.CreateString(reservation.reason);
  return schema::CreateReservationSpec(
      builder, name, reservation.kind, nodes, devices, users, projects,
      reservation.first.from.value, reservation.first.to.value,
      reservation.every_ns, reason);
}

}  // namespace reeve::cluster
