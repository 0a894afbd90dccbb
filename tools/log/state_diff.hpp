// What differs between two states of a cell. Pure; holds no more than the two
// states and one change.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "cluster/state.hpp"

namespace reeve::tools {

struct FieldChange {
  std::string_view name;  // snake_case
  std::string before;
  std::string after;
};

struct Change {
  enum class Kind { added, removed, changed };
  Kind kind = Kind::changed;
  std::string_view what;  // node, device, session, user, project, group
  std::string id;         // "sim-0001", "sim-0001/3", "s-12", "ann"
  std::vector<FieldChange> fields;
};

struct DiffSums {
  std::uint64_t submitted = 0;  // sessions, after `a` and up to `b`
  std::uint64_t ended = 0;
  // Of the submitted ones, those that ended so long before `b` that only the
  // log knows them.
  std::uint64_t forgotten = 0;
  std::uint64_t changes = 0;
};

// Calls visit for every change from `a` to the later `b`: names, nodes with
// their devices, then sessions.
DiffSums diff_states(const cluster::State& a, const cluster::State& b,
                     const std::function<void(const Change&)>& visit);

std::string_view kind_name(Change::Kind kind);

}  // namespace reeve::tools
