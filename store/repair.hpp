// Repair: puts a whole log together from what can still be read of a damaged
// one and from sources a person names, beside the damaged one, and then takes
// its place. Records are taken only where the chain proves that they follow;
// nothing is removed: the damaged files go to a directory of their own.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

#include "cluster/error.hpp"
#include "store/export.hpp"
#include "store/head_mark.hpp"
#include "store/layout.hpp"

namespace reeve::store {

// A run of records and where it comes from.
struct RepairPiece {
  std::uint64_t from = 0;
  std::uint64_t to = 0;
  std::string source;
  friend bool operator==(const RepairPiece&, const RepairPiece&) = default;
};

// What a repair would do, found without changing anything.
struct RepairPlan {
  Layout layout;
  Mark mark;
  std::vector<std::filesystem::path> sources;
  // What is wrong; empty: the log is whole.
  std::vector<std::string> problems;
  // Archives that are replaced by whole ones, or else kept as they are.
  std::vector<RepairPiece> archives;
  std::vector<RepairPiece> pieces;  // of the new database
  Head start;                       // the record before its first
  Head head;                        // where the mended log ends
  // Acknowledged events that none of the sources has; from 0: none.
  std::uint64_t lost_from = 0;
  std::uint64_t lost_to = 0;
  // Readable events of the damaged database that do not follow from the rest.
  std::uint64_t cut_from = 0;
  std::uint64_t cut_to = 0;
  // Names this plan and no other.
  std::string id;
  std::filesystem::path quarantine;

  bool needed() const { return !problems.empty(); }
};

// Looks at all of the log and at the sources where the log fails. Errc::busy
// when the log is in use; Errc::damaged when not even the log's identity can
// be read, or a source is damaged or of another log.
Expected<RepairPlan> plan_repair(
    const std::filesystem::path& log,
    const std::vector<std::filesystem::path>& sources, const Advance& advance);

// Carries out this plan and no other: it is made again first, and refused
// (Errc::rejected) when it comes out different. Cut short anywhere, the
// damaged log is still there, or the mended one; the same repair goes on.
Status carry_out(const RepairPlan& plan, const Advance& advance);

}  // namespace reeve::store
