// Numbers as people write them: sizes, durations, times, counts. Pure; the
// moment and the time zone come in as arguments. Every error says what was
// wrong with the text and shows one that works.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "cluster/error.hpp"

namespace reeve {

// "4G", "512Mi", "1.5 GiB", "4096": bytes. K, M, G, T and P are powers of
// 1024, with or without "i" and "B"; a number alone is bytes.
Expected<std::uint64_t> parse_bytes(std::string_view text);

// Memory of a task or a node: less than this is a slip, "512" for "512M".
inline constexpr std::uint64_t memory_bytes_min = 1 << 20;
Expected<std::uint64_t> parse_memory(std::string_view text);

// "90s", "1h30m", "2d", "250ms", "1.5h", "01:30:00", "2-12:00:00":
// nanoseconds. A number without a unit is refused, "0" is not.
Expected<std::uint64_t> parse_duration(std::string_view text);

// What a time without a zone, or relative to now, is measured against.
struct TimeFrame {
  std::uint64_t now_at = 0;
  std::int64_t utc_offset_s = 0;
};

// "2026-11-20T14:00:00.5Z", "2026-11-20 14:00", "2026-11-20", "now", "-2h",
// "+30m": nanoseconds since the Unix epoch.
Expected<std::uint64_t> parse_time(std::string_view text,
                                   const TimeFrame& frame);

// A whole number in [least, most]; `what` names it in the error.
Expected<std::uint64_t> parse_count(std::string_view text,
                                    std::string_view what,
                                    std::uint64_t least = 0,
                                    std::uint64_t most = UINT64_MAX);

Expected<std::int64_t> parse_integer(std::string_view text,
                                     std::string_view what, std::int64_t least,
                                     std::int64_t most);

// "2", "0.25": thousandths. More than three decimals are refused, not rounded.
Expected<std::uint32_t> parse_milli(std::string_view text,
                                    std::string_view what);
// The same of sums, up to `most`, in thousandths as well.
Expected<std::uint64_t> parse_milli_sum(std::string_view text,
                                        std::string_view what,
                                        std::uint64_t most = UINT64_MAX);

// "1.5 GiB", "340 MiB", "17 B".
std::string format_bytes(std::uint64_t bytes);

// "1d 2h", "3m 20s", "1.50s", "12ms": two units at most.
std::string format_duration(std::uint64_t duration_ns);

// "2", "0.25", "1.5".
std::string format_milli(std::uint64_t milli);

// "1 GPU", "2 GPUs", "0 GPUs": every count of things in a text.
std::string counted(std::uint64_t count, std::string_view noun);
// The same of thousandths: "1.5 GPUs", "0.5 GPU".
std::string counted_milli(std::uint64_t milli, std::string_view noun);

// "2026-11-20 14:00:05" in the zone of the frame.
std::string format_time(std::uint64_t time_at, std::int64_t utc_offset_s);

}  // namespace reeve
