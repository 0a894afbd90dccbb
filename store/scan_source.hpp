// One pass over the records of a range with the checks that need no hash:
// form, continuity of sequences, epochs that do not fall. For scan*.cpp.
#pragma once

#include <cstdint>

#include "store/database.hpp"
#include "store/scan.hpp"

namespace reeve::store {

class ScanSource {
 public:
  ScanSource(const Database& database, ScanRange range);

  // Moves to the next record: true with `record()` and `value()` set, false
  // at the end of the range, or the damage.
  Expected<bool> next();

  const Record& record() const { return record_; }
  std::span<const std::byte> value() const { return iterator_.value(); }
  // Stored hash of the record before record().
  const Hash& previous_hash() const { return previous_.hash; }

 private:
  Status start();
  Status check_follows() const;

  RecordIterator iterator_;
  ScanRange range_;
  Head previous_;
  Record record_;
  bool started_ = false;
};

// Errc::damaged for a record whose hash is not what the chain demands.
tl::unexpected<Error> fail_hash(std::uint64_t first_sequence,
                                const Hash& stored, const Hash& computed);

}  // namespace reeve::store
