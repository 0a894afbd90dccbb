// Records of a segment into a log: a new one with the same id, or one that the
// segment continues.
#pragma once

#include <cstdint>

#include "cluster/error.hpp"
#include "store/export.hpp"
#include "store/log.hpp"
#include "store/segment.hpp"

namespace reeve::store {

// What an import would do. Found without changing anything.
struct ImportPlan {
  bool makes_log = false;
  std::uint64_t from = 1;  // the first event to write
  std::uint64_t to = 0;    // before `from`: all of it is there
};

// Reads the segment whole and looks at the log in `directory`. Errc::damaged
// when the segment is, or belongs to another log or history; Errc::rejected
// when events are missing between the log's end and its beginning.
Expected<ImportPlan> plan_import(const SegmentFile& segment,
                                 const std::filesystem::path& directory,
                                 const Advance& proved);

// Carries out the plan. What is cut short leaves a log that says so and that
// the same import continues; see Layout::importing. Errc::busy when the log is
// held by another process.
Status import_segment(const SegmentFile& segment, const ImportPlan& plan,
                      const LogOptions& options, const Advance& written);

}  // namespace reeve::store
