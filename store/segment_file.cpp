#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>
#include <zstd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

#include "cluster/check.hpp"
#include "store/record_run.hpp"
#include "store/segment_format.hpp"

namespace reeve::store {

tl::unexpected<Error> SegmentFile::damaged(const std::string& what) const {
  return fail(Errc::damaged, path_.string() + " " + what);
}

Status SegmentFile::read_at(std::uint64_t offset,
                            std::span<std::byte> to) const {
  while (!to.empty()) {
    const ssize_t got =
        ::pread(file_.get(), to.data(), to.size(), static_cast<off_t>(offset));
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return fail_errno("cannot read", path_);
    if (got == 0) return damaged("was cut while it was read");
    offset += static_cast<std::uint64_t>(got);
    to = to.subspan(static_cast<std::size_t>(got));
  }
  return {};
}

Expected<std::shared_ptr<const SegmentFile>> SegmentFile::open(
    const std::filesystem::path& path) {
  std::shared_ptr<SegmentFile> opened(new SegmentFile);
  opened->path_ = path;
  opened->file_ = FileHandle(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
  if (!opened->file_.valid()) return fail_errno("cannot open", path);
  struct stat stat {};
  if (::fstat(opened->file_.get(), &stat) != 0)
    return fail_errno("cannot look at", path);
  if (!S_ISREG(stat.st_mode))
    return opened->damaged("is no file an export or archive could be in");
  opened->size_bytes_ = static_cast<std::uint64_t>(stat.st_size);
  if (Status read = opened->read_header(); !read)
    return tl::unexpected(read.error());
  if (Status read = opened->read_index(); !read)
    return tl::unexpected(read.error());
  return opened;
}

Status SegmentFile::read_header() {
  SegmentHeader header;
  if (size_bytes_ < sizeof(header))
    return damaged("has " + std::to_string(size_bytes_) +
                   " bytes, fewer than an export or archive of Reeve");
  Status read = read_at(0, std::as_writable_bytes(std::span(&header, 1)));
  if (!read) return read;
  if (header.magic != segment_magic)
    return damaged("is no export or archive of Reeve");
  if (header.format > segment_format)
    return damaged("has format " + std::to_string(header.format) +
                   ", newer than this program knows (" +
                   std::to_string(segment_format) +
                   "): use the version that wrote it");
  if (header_hash(header) != header.hash)
    return damaged("has a damaged header (its first " +
                   std::to_string(sizeof(header)) + " bytes)");
  if (header.format != segment_format || header.compression > 1)
    return damaged("has a header that this program does not know");
  info_ =
      SegmentInfo{header.log_id, static_cast<Compression>(header.compression),
                  header.first_sequence, header.previous,
                  Head{header.last_sequence, header.last_epoch, header.last}};
  if (info_.first_sequence == 0 || info_.last.sequence < info_.first_sequence)
    return damaged("claims an impossible range of events");
  return {};
}

Status SegmentFile::read_index() {
  SegmentTrailer trailer;
  const std::string cut =
      "is cut short or has a damaged end: its seal is not there";
  if (size_bytes_ < sizeof(SegmentHeader) + sizeof(trailer))
    return damaged(cut);
  const std::uint64_t trailer_at = size_bytes_ - sizeof(trailer);
  Status read =
      read_at(trailer_at, std::as_writable_bytes(std::span(&trailer, 1)));
  if (!read) return read;
  const std::uint64_t index_max =
      (trailer_at - sizeof(SegmentHeader)) / sizeof(SegmentBlock);
  if (trailer.magic != segment_end_magic || trailer.block_count == 0 ||
      trailer.block_count > index_max ||
      trailer.index_offset !=
          trailer_at - trailer.block_count * sizeof(SegmentBlock))
    return damaged(cut);
  blocks_.resize(trailer.block_count);
  read =
      read_at(trailer.index_offset, std::as_writable_bytes(std::span(blocks_)));
  if (!read) return read;
  if (seal_hash(header_of(info_), blocks_, trailer) != trailer.hash)
    return damaged("does not match its seal: its index (from byte " +
                   std::to_string(trailer.index_offset) + ") is damaged");
  // The seal proves what we once wrote; who made the file may be another.
  std::uint64_t offset = sizeof(SegmentHeader);
  std::uint64_t sequence = info_.first_sequence;
  for (const SegmentBlock& block : blocks_) {
    if (block.offset != offset || block.first_sequence < sequence ||
        block.first_sequence > info_.last.sequence ||
        block.raw_bytes > segment_block_bytes_max || block.record_count == 0)
      return damaged("has an index that contradicts itself");
    offset += block.stored_bytes;
    sequence = block.first_sequence + 1;
  }
  if (offset != trailer.index_offset ||
      blocks_.front().first_sequence != info_.first_sequence)
    return damaged("has an index that contradicts itself");
  return {};
}

std::size_t SegmentFile::block_holding(std::uint64_t sequence) const {
  REEVE_CHECK(
      sequence >= info_.first_sequence && sequence <= info_.last.sequence,
      "the event is not in the segment");
  const auto after =
      std::upper_bound(blocks_.begin(), blocks_.end(), sequence,
                       [](std::uint64_t value, const SegmentBlock& block) {
                         return value < block.first_sequence;
                       });
  return static_cast<std::size_t>(after - blocks_.begin()) - 1;
}

namespace {

// The records of a block's raw bytes; what is wrong with them otherwise.
Status split(const SegmentBlock& block, SegmentRecords& to) {
  const auto run = std::as_bytes(std::span(to.bytes)).first(block.raw_bytes);
  to.records.clear();
  to.values.clear();
  const Status whole = for_each_in_run(
      block.first_sequence, run,
      [&](const Record& record, std::span<const std::byte> value) {
        to.records.push_back(record);
        to.values.push_back(value);
      });
  if (!whole) return whole;
  if (to.records.size() != block.record_count)
    return fail(Errc::damaged, "holds another number of records");
  return {};
}

}  // namespace

Status SegmentFile::read_block(std::size_t index, SegmentRecords& to) const {
  const SegmentBlock& block = blocks_[index];
  const auto bad = [&](const std::string& what) {
    return damaged("is damaged at byte " + std::to_string(block.offset) +
                   " (from event " + std::to_string(block.first_sequence) +
                   "): " + what);
  };
  std::vector<std::byte>& stored = to.stored;
  stored.resize(block.stored_bytes);
  if (Status read = read_at(block.offset, stored); !read) return read;
  const std::span<const std::byte> part(stored);
  if (hash_parts(std::span(&part, 1)) != block.hash)
    return bad("the block does not match its hash");
  to.bytes.resize((block.raw_bytes + 7) / 8);
  if (info_.compression == Compression::none) {
    if (block.raw_bytes != block.stored_bytes) return bad("the sizes differ");
    std::memcpy(to.bytes.data(), stored.data(), stored.size());
  } else {
    const std::size_t size = ZSTD_decompress(to.bytes.data(), block.raw_bytes,
                                             stored.data(), stored.size());
    if (ZSTD_isError(size) != 0 || size != block.raw_bytes)
      return bad("the block cannot be decompressed");
  }
  if (Status sound = split(block, to); !sound) return bad(sound.error().text);
  return {};
}

Status SegmentFile::scan(
    const std::function<bool(const Record&)>& visit) const {
  Head before{info_.first_sequence - 1, 0, info_.previous};
  SegmentRecords block;
  for (std::size_t index = 0; index < blocks_.size(); ++index) {
    if (Status read = read_block(index, block); !read) return read;
    for (const Record& record : block.records) {
      const std::string at = std::to_string(before.sequence + 1);
      if (record.first_sequence != before.sequence + 1)
        return damaged("lacks event " + at);
      if (record.epoch < before.epoch ||
          chain_hash(before.hash, record) != record.hash)
        return damaged("breaks the chain at event " + at);
      before = head_of(record);
      if (!visit(record)) return {};
    }
  }
  if (before != info_.last)
    return damaged("ends at event " + std::to_string(before.sequence) +
                   " where its header promises event " +
                   std::to_string(info_.last.sequence) + ", or another hash");
  return {};
}

}  // namespace reeve::store
