#include "store/bulk_writer.hpp"

#include <string>

namespace reeve::store {

Status BulkWriter::add(const Record& record) {
  const bool follows = record.first_sequence == head_.sequence + 1 &&
                       record.epoch >= head_.epoch &&
                       chain_hash(head_.hash, record) == record.hash;
  if (!follows)
    return fail(Errc::damaged,
                "the record of event " + std::to_string(record.first_sequence) +
                    " does not follow event " + std::to_string(head_.sequence) +
                    " with hash " + short_hex(head_.hash) + "...");
  const RecordKey key = make_record_key(record.first_sequence);
  const RecordHeader header = record_header(record);
  const rocksdb::Slice key_part(key.data(), key.size());
  const rocksdb::Slice value_parts[] = {slice_of(header),
                                        slice_of(record.events)};
  const rocksdb::Status put =
      batch_.Put(database_.log(), rocksdb::SliceParts(&key_part, 1),
                 rocksdb::SliceParts(value_parts, 2));
  if (!put.ok()) return fail_status(put, "cannot lay out a record");
  head_ = head_of(record);
  return batch_.GetDataSize() < batch_bytes ? Status() : sync();
}

Status BulkWriter::sync() {
  if (batch_.Count() == 0) return {};
  rocksdb::WriteOptions write;
  write.sync = true;
  const rocksdb::Status status = database_.db().Write(write, &batch_);
  if (!status.ok())
    return fail_status(
        status, "cannot write up to event " + std::to_string(head_.sequence));
  batch_.Clear();
  return mark_ != nullptr ? mark_->write(head_) : Status();
}

}  // namespace reeve::store
