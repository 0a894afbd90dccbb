// What a host remembers of its GPUs over restarts, a small file for each: whose
// it was last, and what it reached in earlier tests. Reads and writes files.
#pragma once

#include <cstddef>
#include <map>
#include <string>

#include "cluster/error.hpp"
#include "gpu/probe/history.hpp"

namespace reeve::agent {

// Cards that were replaced stay known for a while; the oldest are forgotten.
inline constexpr std::size_t gpu_records_max = 256;

class GpuRecords {
 public:
  // Made with the first record.
  explicit GpuRecords(std::string directory);

  // By uuid. What cannot be read is nobody's. Forgets what is over the bound.
  std::map<std::string, std::string> owners() const;

  gpu::probe::History history(const std::string& uuid) const;
  Status set_history(const std::string& uuid,
                     const gpu::probe::History& history) const;
  // On a disk that is full it is nobody's from then on, which needs no room;
  // an error where not even that can be kept.
  Status set_owner(const std::string& uuid, const std::string& owner) const;

 private:
  struct Record {
    std::string uuid;
    std::string owner;
    gpu::probe::History history;
  };
  std::string path_of(const std::string& uuid) const;
  Record read(const std::string& uuid) const;
  static Record parse(const std::string& text);
  Status write(const Record& record) const;

  const std::string directory_;
};

}  // namespace reeve::agent
