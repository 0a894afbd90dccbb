// The log on the virtual disk: the records, chain and head mark of store/, the
// journal's recovery and choice of snapshots. In the place of RocksDB stands
// one file of records; opening it writes it anew, as RocksDB does with what
// its write-ahead log held.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "cluster/error.hpp"
#include "store/record.hpp"
#include "store/snapshots.hpp"
#include "tests/sim/disk.hpp"

namespace reeve::sim {

class Log {
 public:
  // Errc::io: a sync failed, try again. Errc::damaged: the log is short of
  // what was acknowledged, or not whole.
  static Expected<Log> open(Disk& disk, Probes& probes);

  store::Head head() const { return head_; }

  // Refused without effect: rejected (an older epoch), no_space.
  Status write(std::uint64_t epoch, std::uint32_t count,
               std::span<const std::byte> events);
  // Makes safe what was written; an error means unknown.
  Status sync();
  // How far the log was acknowledged; lags behind as store::MarkKeeper does.
  Status mark();

  bool admission_open() const { return disk_->room() == Disk::Room::enough; }

  Status put_snapshot(std::uint64_t sequence, const store::Hash& digest,
                      std::span<const std::byte> bytes);

  void damage_snapshot(std::uint64_t sequence);

  // As store::LogReader.
  Expected<std::optional<store::Snapshot>> snapshot_at(std::uint64_t at);
  Status scan(std::uint64_t from, std::uint64_t to,
              const std::function<bool(const store::Record&)>& visit) const;
  // The hash of the record that ends with this event.
  std::optional<store::Hash> hash_at(std::uint64_t sequence) const;

 private:
  Log(Disk& disk, Probes& probes) : disk_(&disk), probes_(&probes) {}
  Status read_records();
  Status check_mark() const;
  Expected<store::Record> record_at(std::size_t offset,
                                    std::uint64_t* bytes) const;
  std::vector<store::KeptSnapshot> snapshots() const;

  Disk* disk_;
  Probes* probes_;
  store::Head written_;
  store::Head head_;
  std::map<std::uint64_t, std::size_t> records_;  // first sequence -> offset
};

}  // namespace reeve::sim
