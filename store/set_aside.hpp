// Setting aside: the end of a log that is not what the cell went on with (this
// copy and the cell's stream differ from some record on) goes into a segment
// of its own and out of the database. Nothing is dropped: the segment is read
// by all that reads exports.
#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string_view>

#include "cluster/error.hpp"
#include "store/record.hpp"

namespace rocksdb {
class Env;
}

namespace reeve::store {

struct SetAside {
  std::filesystem::path file;  // <log>/set-aside/..., its reason beside it
  std::uint64_t from = 0;
  std::uint64_t to = 0;
  std::uint64_t epoch = 0;  // of the last of them
  Head head;                // where the log ends now
};

// The records from event `from` on, out of a log that nobody holds (`directory`
// as for LogReader::open). `why` is a sentence for people, kept beside the
// segment. Errc::usage: `from` is no record's first event. Errc::rejected: it
// is in an archive. Errc::not_found: it is beyond the head. Errc::busy and
// Errc::damaged as Log::open; with any of these nothing was changed.
//
// Cut short anywhere, the log is whole, ends with a commit that it had, and all
// behind it is in the file; the same call goes on. Slow: reads what is set
// aside three times. `env` is for the faults of tests.
Expected<SetAside> set_aside(const std::filesystem::path& directory,
                             std::uint64_t from, std::string_view why,
                             rocksdb::Env* env = nullptr);

// What was set aside last, by the time of its file; nothing: nothing ever was.
// `head` is not filled in.
Expected<std::optional<SetAside>> newest_set_aside(
    const std::filesystem::path& directory);

}  // namespace reeve::store
