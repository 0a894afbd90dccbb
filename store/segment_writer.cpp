#include <zstd.h>

#include <cstring>
#include <utility>

#include "cluster/check.hpp"
#include "store/record_run.hpp"
#include "store/segment_format.hpp"

namespace reeve::store {

namespace {

// Three times faster than the library's default for a tenth more bytes.
constexpr int compression_level = 1;

}  // namespace

Hash header_hash(const SegmentHeader& header) {
  const std::array<std::span<const std::byte>, 1> parts{
      bytes_of(header).first(offsetof(SegmentHeader, hash))};
  return hash_parts(parts);
}

Hash seal_hash(const SegmentHeader& header, std::span<const SegmentBlock> index,
               const SegmentTrailer& trailer) {
  const std::array<std::span<const std::byte>, 3> parts{
      bytes_of(header), std::as_bytes(index),
      std::as_bytes(std::span(&trailer, 1))
          .first(offsetof(SegmentTrailer, hash))};
  return hash_parts(parts);
}

SegmentHeader header_of(const SegmentInfo& info) {
  SegmentHeader header;
  header.compression = static_cast<std::uint32_t>(info.compression);
  header.log_id = info.log_id;
  header.first_sequence = info.first_sequence;
  header.last_sequence = info.last.sequence;
  header.last_epoch = info.last.epoch;
  header.previous = info.previous;
  header.last = info.last.hash;
  header.hash = header_hash(header);
  return header;
}

std::string range_text(const SegmentInfo& info) {
  return "events " + std::to_string(info.first_sequence) + " to " +
         std::to_string(info.last.sequence);
}

struct SegmentWriter::Compressor {
  Compressor() : context(ZSTD_createCCtx()) {
    REEVE_CHECK(context != nullptr, "no memory for a compressor");
  }
  ~Compressor() { ZSTD_freeCCtx(context); }
  Compressor(const Compressor&) = delete;
  Compressor& operator=(const Compressor&) = delete;

  // What is stored for `raw`.
  Expected<std::span<const std::byte>> shrink(std::span<const std::byte> raw) {
    out.resize(ZSTD_compressBound(raw.size()));
    const std::size_t size =
        ZSTD_compressCCtx(context, out.data(), out.size(), raw.data(),
                          raw.size(), compression_level);
    if (ZSTD_isError(size) != 0)
      return fail(Errc::internal, std::string("cannot compress a block: ") +
                                      ZSTD_getErrorName(size));
    return std::span<const std::byte>(out).first(size);
  }

  ZSTD_CCtx* context;
  std::vector<std::byte> out;
};

SegmentWriter::SegmentWriter(const SegmentInfo& info, ByteSink sink)
    : info_(info),
      sink_(std::move(sink)),
      compressor_(std::make_unique<Compressor>()) {
  written_ = Head{info.first_sequence - 1, 0, info.previous};
}

SegmentWriter::~SegmentWriter() = default;

Status SegmentWriter::put(std::span<const std::byte> bytes) {
  offset_ += bytes.size();
  return sink_(bytes);
}

Status SegmentWriter::start() {
  return offset_ == 0 ? put(bytes_of(header_of(info_))) : Status();
}

Status SegmentWriter::flush_block() {
  if (raw_.empty()) return {};
  std::span<const std::byte> stored(raw_);
  if (info_.compression == Compression::zstd) {
    const auto shrunk = compressor_->shrink(raw_);
    if (!shrunk) return tl::unexpected(shrunk.error());
    stored = *shrunk;
  }
  block_.offset = offset_;
  block_.stored_bytes = static_cast<std::uint32_t>(stored.size());
  block_.raw_bytes = static_cast<std::uint32_t>(raw_.size());
  block_.hash = hash_parts(std::span(&stored, 1));
  index_.push_back(block_);
  Status done = put(stored);
  raw_.clear();
  block_ = SegmentBlock{};
  return done;
}

Status SegmentWriter::add(const Record& record) {
  REEVE_CHECK(record.first_sequence == written_.sequence + 1,
              "a segment's records must follow each other");
  if (Status started = start(); !started) return started;
  if (!raw_.empty() && raw_.size() + bytes_in_run(record) > segment_block_bytes)
    if (Status flushed = flush_block(); !flushed) return flushed;
  if (raw_.empty()) block_.first_sequence = record.first_sequence;
  ++block_.record_count;
  append_to_run(raw_, record);
  written_ = head_of(record);
  return {};
}

Status SegmentWriter::finish() {
  if (Status flushed = flush_block(); !flushed) return flushed;
  if (written_ != info_.last)
    return fail(Errc::internal, "a segment of " + range_text(info_) +
                                    " got its last record " + "at event " +
                                    std::to_string(written_.sequence));
  SegmentTrailer trailer;
  trailer.index_offset = offset_;
  trailer.block_count = index_.size();
  trailer.hash = seal_hash(header_of(info_), index_, trailer);
  if (Status done = put(std::as_bytes(std::span(index_))); !done) return done;
  return put(std::as_bytes(std::span(&trailer, 1)));
}

}  // namespace reeve::store
