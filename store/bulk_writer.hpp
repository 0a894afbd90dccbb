// Many records into a database that nobody else uses, for import and repair:
// one sync for some megabytes of them.
#pragma once

#include <rocksdb/write_batch.h>

#include <cstddef>

#include "store/database.hpp"
#include "store/head_mark.hpp"

namespace reeve::store {

class BulkWriter {
 public:
  // `head` is where the database ends; `mark`, when there is one, follows
  // each sync.
  BulkWriter(Database& database, const Head& head, HeadMark* mark)
      : database_(database), mark_(mark), head_(head) {}

  // Refuses a record that does not follow the one before it.
  Status add(const Record& record);
  // Makes all that was added durable.
  Status sync();
  const Head& head() const { return head_; }

  static constexpr std::size_t batch_bytes = 8u << 20;

 private:
  Database& database_;
  HeadMark* mark_;
  Head head_;
  rocksdb::WriteBatch batch_;
};

}  // namespace reeve::store
