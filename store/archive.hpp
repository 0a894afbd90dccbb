// Archiving: old records leave the database for sealed segments in the log's
// archive directory. Sealing needs no lock and is done beside a running
// daemon; removing is done by whoever holds the log.
#pragma once

#include <cstdint>
#include <vector>

#include "cluster/error.hpp"
#include "store/export.hpp"
#include "store/layout.hpp"
#include "store/log_reader.hpp"

namespace reeve::store {

class Database;

inline constexpr std::uint64_t archive_events = 1'000'000;

// Segments of about `events_each` for what is not archived yet, in whole
// records up to event `to`, the newest record left out. A rest that is smaller
// is left or taken as a segment of its own.
enum class Rest { leave, take };
Expected<std::vector<SegmentInfo>> plan_archives(const LogReader& log,
                                                 std::uint64_t to,
                                                 std::uint64_t events_each,
                                                 Rest rest);

// Seals one of the plan. Errc::busy when another process archives this log.
Status seal_archive(const LogReader& log, const Layout& layout,
                    const SegmentInfo& info, const SegmentFileSteps& steps);

// See Log::drop_archived.
Expected<std::uint64_t> drop_archived(Database& database, const Layout& layout,
                                      const LogId& log_id);

}  // namespace reeve::store
