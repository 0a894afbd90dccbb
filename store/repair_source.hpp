// Where a repair takes records from: the damaged log itself, read as far as it
// can be, exports and archives, other copies of the log. For repair.cpp.
#pragma once

#include <filesystem>
#include <memory>
#include <optional>
#include <string>

#include "store/database.hpp"
#include "store/layout.hpp"

namespace reeve::store {

class RepairSource {
 public:
  virtual ~RepairSource() = default;
  RepairSource(const RepairSource&) = delete;
  RepairSource& operator=(const RepairSource&) = delete;

  // The record that starts at this event, if there is one that can be read.
  // Nothing is proved of it. A view until the next call.
  virtual std::optional<Record> at(std::uint64_t sequence) = 0;
  // The highest event that it may have.
  virtual std::uint64_t last_sequence() = 0;
  const std::string& name() const { return name_; }

 protected:
  explicit RepairSource(std::string name) : name_(std::move(name)) {}

 private:
  std::string name_;
};

// The database of a log and its archives; damage in the write-ahead log is
// skipped, which is safe because the chain is proved afterwards.
Expected<std::unique_ptr<RepairSource>> open_database_source(
    const Layout& layout, const LogId& log_id, std::string name);

// An export or archive, a directory of archives, or a log. Errc::damaged when
// it is of another log than `log_id`.
Expected<std::unique_ptr<RepairSource>> open_repair_source(
    const std::filesystem::path& path, const LogId& log_id);

}  // namespace reeve::store
