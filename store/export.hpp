// A piece of a log as a segment: into a pipe or a file.
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>

#include "cluster/error.hpp"
#include "store/log_reader.hpp"
#include "store/segment.hpp"

namespace rocksdb {
class Env;
}

namespace reeve::store {

// Called now and then with the event that was reached.
using Advance = std::function<void(std::uint64_t sequence)>;

// The segment of the whole records that hold these events.
Expected<SegmentInfo> segment_of(const LogReader& log, std::uint64_t from,
                                 std::uint64_t to, Compression compression);

// The records that `info` names, proved as they are read.
Status write_segment(const LogReader& log, const SegmentInfo& info,
                     const ByteSink& sink, const Advance& advance);

// The same into a file: written under another name, synced, read back whole,
// then renamed and the directory synced. Errc::rejected when `file` is there
// already. Cut short anywhere it leaves at most FILE.part.
struct SegmentFileSteps {
  Advance written;
  Advance proved;
  rocksdb::Env* env = nullptr;  // faults for tests
};
Status write_segment_file(const LogReader& log, const SegmentInfo& info,
                          const std::filesystem::path& file,
                          const SegmentFileSteps& steps);

}  // namespace reeve::store
