// One event as a line for people. Pure.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>

namespace reeve::schema {
struct Event;
struct HealingSpec;
enum class DeviceVerdict : std::uint8_t;
}  // namespace reeve::schema

namespace reeve::tools {

// How far in a line goes on that is wider than the terminal.
inline constexpr std::size_t event_indent = 10;

// What happened, in words with the numbers: "s-12 was placed on node 3".
std::string event_sentence(const schema::Event& event);

// "    17  2026-11-20 14:00:05.123  session_placed  s-12 was placed ...  (16)";
// the number in parentheses is the cause.
std::string event_line(const schema::Event& event, std::int64_t utc_offset_s);

// "m1: the events 7 to 9 of epoch 3, which it alone had, are set aside ...".
std::string healing_text(const schema::HealingSpec& healing);

// "not tested", "healthy".
std::string verdict_text(schema::DeviceVerdict verdict);

}  // namespace reeve::tools
