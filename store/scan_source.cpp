#include "store/scan_source.hpp"

#include <string>

namespace reeve::store {

tl::unexpected<Error> fail_hash(std::uint64_t first_sequence,
                                const Hash& stored, const Hash& computed) {
  return fail(Errc::damaged,
              "the chain breaks at event " + std::to_string(first_sequence) +
                  ": its record carries hash " + short_hex(stored) +
                  "... where " + short_hex(computed) +
                  "... must follow; events from there on were altered");
}

ScanSource::ScanSource(const Database& database, ScanRange range)
    : iterator_(database), range_(range) {
  if (range_.from == 0) range_.from = 1;
}

// Stands the iterator on the record that holds range.from and takes the head
// that goes before it from the record before.
Status ScanSource::start() {
  started_ = true;
  iterator_.seek_holding(range_.from);
  if (!iterator_.valid()) return iterator_.status();
  auto record = iterator_.record();
  if (!record) return tl::unexpected(record.error());
  if (record->first_sequence <= 1) return {};
  const std::uint64_t first = record->first_sequence;
  iterator_.previous();
  if (iterator_.valid()) {
    record = iterator_.record();
    if (!record) return tl::unexpected(record.error());
    previous_ = head_of(*record);
    iterator_.next();
    return iterator_.status();
  }
  if (Status status = iterator_.status(); !status) return status;
  return fail(Errc::damaged, "the log starts at event " +
                                 std::to_string(first) + " instead of 1");
}

Status ScanSource::check_follows() const {
  if (record_.first_sequence != previous_.sequence + 1)
    return fail(Errc::damaged,
                "event " + std::to_string(previous_.sequence + 1) +
                    " is missing: the record after event " +
                    std::to_string(previous_.sequence) + " starts at event " +
                    std::to_string(record_.first_sequence));
  if (record_.epoch < previous_.epoch)
    return fail(Errc::damaged,
                "event " + std::to_string(record_.first_sequence) +
                    " is of epoch " + std::to_string(record_.epoch) +
                    ", older than epoch " + std::to_string(previous_.epoch) +
                    " of the event before it");
  return {};
}

Expected<bool> ScanSource::next() {
  if (!started_) {
    if (range_.from > range_.to) return false;
    if (Status done = start(); !done) return tl::unexpected(done.error());
  } else {
    previous_ = head_of(record_);
    if (previous_.sequence >= range_.to) return false;
    iterator_.next();
  }
  if (!iterator_.valid()) {
    Status status = iterator_.status();
    if (status)
      return fail(Errc::damaged,
                  "the log ends at event " +
                      std::to_string(previous_.sequence) + " although event " +
                      std::to_string(range_.to) + " was acknowledged");
    status.error().text +=
        " (after event " + std::to_string(previous_.sequence) + ")";
    return tl::unexpected(status.error());
  }
  auto record = iterator_.record();
  if (!record) return tl::unexpected(record.error());
  record_ = *record;
  if (Status follows = check_follows(); !follows)
    return tl::unexpected(follows.error());
  return true;
}

}  // namespace reeve::store
