// A segment: a run of whole records in one file, compressed in blocks and
// sealed with hashes. Exports and archives are segments. FORMAT.md says what
// the bytes are.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "cluster/error.hpp"
#include "store/file.hpp"
#include "store/head_mark.hpp"
#include "store/record.hpp"

namespace reeve::store {

inline constexpr std::uint32_t segment_format = 1;
// Events of one block, before compression; one larger record is a block alone.
inline constexpr std::size_t segment_block_bytes = 256u << 10;
// What a block may claim to hold: the largest record and its header.
inline constexpr std::size_t segment_block_bytes_max =
    record_events_bytes_max + (1u << 10);

enum class Compression : std::uint32_t { none = 0, zstd = 1 };

// What a segment holds: its first line, so to speak.
struct SegmentInfo {
  LogId log_id{};
  Compression compression = Compression::zstd;
  std::uint64_t first_sequence = 0;
  Hash previous{};  // of the record before the first; zero for event 1
  Head last;        // of the last record

  std::uint64_t events() const { return last.sequence - first_sequence + 1; }
};

// Where one block lies.
struct SegmentBlock {
  std::uint64_t offset = 0;
  std::uint32_t stored_bytes = 0;
  std::uint32_t raw_bytes = 0;
  std::uint64_t first_sequence = 0;
  std::uint64_t record_count = 0;
  Hash hash{};  // of the stored bytes
};
static_assert(sizeof(SegmentBlock) == 64);

using ByteSink = std::function<Status(std::span<const std::byte>)>;

// Writes a segment front to back into a sink that may be a pipe.
class SegmentWriter {
 public:
  SegmentWriter(const SegmentInfo& info, ByteSink sink);
  ~SegmentWriter();
  // Whole records, in order, from info.first_sequence to info.last.
  Status add(const Record& record);
  // The index and the seal. Errc::internal when the records were not those
  // that `info` promised.
  Status finish();
  std::uint64_t bytes_written() const { return offset_; }

 private:
  Status put(std::span<const std::byte> bytes);
  Status start();
  Status flush_block();

  SegmentInfo info_;
  ByteSink sink_;
  struct Compressor;
  std::unique_ptr<Compressor> compressor_;
  std::uint64_t offset_ = 0;
  Head written_;
  std::vector<std::byte> raw_;
  SegmentBlock block_;
  std::vector<SegmentBlock> index_;
};

// The records of one block, in memory.
struct SegmentRecords {
  std::vector<std::uint64_t> bytes;  // aligned for events
  std::vector<Record> records;       // point into `bytes`
  std::vector<std::span<const std::byte>> values;
  std::vector<std::byte> stored;  // scratch
};

// An open segment file; any number of threads may read it.
class SegmentFile {
 public:
  // Reads header, index and seal and checks them against each other.
  // Errc::damaged names the file and what is wrong; Errc::not_found.
  static Expected<std::shared_ptr<const SegmentFile>> open(
      const std::filesystem::path& path);

  const std::filesystem::path& path() const { return path_; }
  const SegmentInfo& info() const { return info_; }
  const std::vector<SegmentBlock>& blocks() const { return blocks_; }
  std::uint64_t size_bytes() const { return size_bytes_; }

  // The block with this event, which must be in the segment.
  std::size_t block_holding(std::uint64_t sequence) const;
  // One block with its hash and form proved; not yet the chain.
  Status read_block(std::size_t index, SegmentRecords& to) const;

  // Every record in order, with the chain proved from `info().previous` to
  // `info().last`. Ends without an error when `visit` says false.
  Status scan(const std::function<bool(const Record&)>& visit) const;

 private:
  SegmentFile() = default;
  Status read_at(std::uint64_t offset, std::span<std::byte> to) const;
  Status read_header();
  Status read_index();
  tl::unexpected<Error> damaged(const std::string& what) const;

  FileHandle file_;
  std::filesystem::path path_;
  std::uint64_t size_bytes_ = 0;
  SegmentInfo info_;
  std::vector<SegmentBlock> blocks_;
};

// "events 1 to 500".
std::string range_text(const SegmentInfo& info);

}  // namespace reeve::store
