// Nodes, or devices of nodes, that are kept for some for a time, or for nobody:
// which there are, when they hold, and for whom. Kept by the state and by the
// scheduler, fed by the same events. Times repeat by their length in
// nanoseconds: a day has 24 hours here, whatever clocks do.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "cluster/accounts/accounts.hpp"
#include "schema/event_generated.h"

namespace reeve::cluster {

using schema::ReservationKind;

// From `from` on, and no more at `to`.
struct ReservedTime {
  Time from;
  Time to;
  bool operator==(const ReservedTime&) const = default;
};

struct Reservation {
  std::string name;
  ReservationKind kind = ReservationKind::reservation;
  std::vector<std::string> nodes;
  std::vector<std::uint32_t> devices;  // none: the whole node
  std::vector<std::string> users;
  std::vector<std::string> projects;
  ReservedTime first;
  std::uint64_t every_ns = 0;  // 0: once
  std::string reason;

  bool is_maintenance() const { return kind == ReservationKind::maintenance; }
  bool covers(std::string_view node) const;
  // All of the node when it names no devices.
  bool covers_device(std::uint32_t device) const;
  // The window that `now` lies in, or the next one; nothing: it is over.
  std::optional<ReservedTime> window_at(Time now) const;
  bool holds_at(Time now) const;
  // Whether it will never hold again.
  bool is_over(Time now) const;
};

// Whether some window of one and some window of the other have a moment in
// common, however far off.
bool meet(const Reservation& a, const Reservation& b);
// Whether they want the same device of the same node.
bool share_room(const Reservation& a, const Reservation& b);

// Whether these owners may use what it keeps: the user is named, or the
// project or one above it.
bool is_for(const Reservation& reservation, const Accounts& accounts,
            std::string_view user, std::string_view project);

class Reservations {
 public:
  using ByName = std::map<std::string, Reservation, std::less<>>;

  // Takes in events about reservations; others are none of its business.
  // Returns whether it was one.
  bool apply(const schema::Event& event);
  void set(const schema::ReservationSpec& spec);

  const Reservation* find(std::string_view name) const;
  const ByName& all() const { return by_name_; }

  // For a snapshot: all of them by name.
  flatbuffers::Offset<
      flatbuffers::Vector<flatbuffers::Offset<schema::ReservationSpec>>>
  build(flatbuffers::FlatBufferBuilder& builder) const;

 private:
  ByName by_name_;
};

Reservation reservation_of(const schema::ReservationSpec& spec);
flatbuffers::Offset<schema::ReservationSpec> build_reservation(
    flatbuffers::FlatBufferBuilder& builder, const Reservation& reservation);

}  // namespace reeve::cluster
