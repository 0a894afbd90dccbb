#include "store/scan.hpp"

#include <cstring>
#include <memory>
#include <vector>

#include "store/scan_pipeline.hpp"
#include "store/scan_source.hpp"

namespace reeve::store {

Status scan_records_inline(const Database& database, ScanRange range,
                           const RecordVisitor& visit) {
  ScanSource source(database, range);
  // RocksDB promises no alignment, and events are read in place.
  std::vector<std::uint64_t> copy;
  while (true) {
    const auto more = source.next();
    if (!more) return tl::unexpected(more.error());
    if (!*more) return {};
    const auto value = source.value();
    copy.resize((value.size() + 7) / 8);
    std::memcpy(copy.data(), value.data(), value.size());
    Record record = source.record();
    record.events = std::as_bytes(std::span(copy))
                        .subspan(record_header_bytes, record.events.size());
    const Hash hash = chain_hash(source.previous_hash(), record);
    if (hash != record.hash)
      return fail_hash(record.first_sequence, record.hash, hash);
    if (!visit(record)) return {};
  }
}

Status scan_records(const Database& database, ScanRange range,
                    const RecordVisitor& visit) {
  const bool short_range =
      range.to < range.from || range.to - range.from < threaded_scan_events_min;
  if (short_range) return scan_records_inline(database, range, visit);
  return ScanPipeline(database, range).run(visit);
}

}  // namespace reeve::store
