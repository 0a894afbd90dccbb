// The fixed parts of a segment file, as FORMAT.md draws them. For
// segment*.cpp.
#pragma once

#include <array>
#include <cstdint>

#include "store/segment.hpp"

namespace reeve::store {

inline constexpr std::array<char, 8> segment_magic{'R', 'E', 'E', 'V',
                                                   'E', 'S', 'E', 'G'};
inline constexpr std::array<char, 8> segment_end_magic{'R', 'E', 'E', 'V',
                                                       'E', 'E', 'N', 'D'};

struct SegmentHeader {
  std::array<char, 8> magic = segment_magic;
  std::uint32_t format = segment_format;
  std::uint32_t compression = 0;
  LogId log_id{};
  std::uint64_t first_sequence = 0;
  std::uint64_t last_sequence = 0;
  std::uint64_t last_epoch = 0;
  Hash previous{};
  Hash last{};
  Hash hash{};  // of all before it
};
static_assert(sizeof(SegmentHeader) == 152);

struct SegmentTrailer {
  std::uint64_t index_offset = 0;
  std::uint64_t block_count = 0;
  Hash hash{};  // of header, index and the two fields above
  std::array<char, 8> magic = segment_end_magic;
};
static_assert(sizeof(SegmentTrailer) == 56);

inline std::span<const std::byte> bytes_of(const SegmentHeader& header) {
  return std::as_bytes(std::span(&header, 1));
}

Hash header_hash(const SegmentHeader& header);
Hash seal_hash(const SegmentHeader& header, std::span<const SegmentBlock> index,
               const SegmentTrailer& trailer);
SegmentHeader header_of(const SegmentInfo& info);

}  // namespace reeve::store
