// The index: which events speak of an entity (a session, a node). Derived from
// the log and written behind the commits, in runs of events that follow each
// other from event 1. It is never trusted alone: a run counts only while the
// log still has the record that the run names, and what it lists is read and
// looked at again.
#pragma once

#include <compare>
#include <cstdint>
#include <functional>
#include <optional>
#include <vector>

#include "cluster/error.hpp"
#include "store/record.hpp"
#include "store/scan.hpp"

namespace reeve::store {

class Database;

// The store knows no kinds of entities; whoever extends the index does.
struct Entity {
  char kind = 0;
  std::uint64_t id = 0;
  auto operator<=>(const Entity&) const = default;
};

// Adds the entities that one event (with its length prefix) speaks of.
using FindEntities = std::function<void(std::span<const std::byte> event,
                                        std::vector<Entity>& to)>;

inline constexpr std::uint8_t index_format = 1;

// The end of the indexed part of the log, and what is there.
struct IndexEnd {
  std::uint64_t sequence = 0;
  Hash hash{};
};

// Nothing indexed, or not of this log: sequence 0.
Expected<IndexEnd> index_end(const Database& database);

// Indexes the records in (index_end, to], `to` being the end of a record.
Status write_index_run(const Database& database, const IndexEnd& after,
                       std::uint64_t to, const FindEntities& entities);

// Removes all of it.
Status clear_index(const Database& database);

// The events of this entity up to the index's end, in order.
Expected<std::vector<std::uint64_t>> indexed_events(const Database& database,
                                                    const Entity& entity);

}  // namespace reeve::store
