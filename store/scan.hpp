// Reads a range of records in order and proves the chain between them, inline
// or with reading and hashing on threads ahead of the consumer.
#pragma once

#include <cstdint>
#include <functional>

#include "cluster/error.hpp"
#include "store/record.hpp"

namespace reeve::store {

class Database;

struct ScanRange {
  std::uint64_t from = 1;
  std::uint64_t to = 0;  // both included
};

// Returning false ends the scan without an error.
using RecordVisitor = std::function<bool(const Record&)>;

// A range of more events than this is worth the threads.
inline constexpr std::uint64_t threaded_scan_events_min = 8192;

// Every record whose events intersect the range, verified against the hash
// stored in the record before it; the first record of the log against zero.
// Errc::damaged naming the event at which the chain breaks, a record is
// missing, or the log ends before `range.to`. Records before the damage were
// passed to the visitor; none is passed unproved.
Status scan_records(const Database& database, ScanRange range,
                    const RecordVisitor& visit);

// The same on the calling thread alone.
Status scan_records_inline(const Database& database, ScanRange range,
                           const RecordVisitor& visit);

}  // namespace reeve::store
