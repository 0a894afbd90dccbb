// The JSON form of any table, from its reflection data: one mechanism for
// events, views and answers. Keys are the field names; `*_at` fields become
// RFC 3339 times with nanoseconds, ids hexadecimal text, enums their names,
// a union its kind as `<field>_type` and its fields in place. A number that may
// be null is left out where it is.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "schema/wire.hpp"

namespace reeve::schema {

// Appends `text` as a JSON string, quotes included. Bytes that are no UTF-8
// become U+FFFD.
void append_json_string(std::string& out, std::string_view text);

// "2026-11-20T14:00:00.000000000Z"; nanoseconds since the Unix epoch.
std::string rfc3339(std::uint64_t time_at);

std::string hex(const Id128& id);

// Of a table in the document: whether what its number `field` tells is nothing,
// which reads null.
using IsNull = bool (*)(const void* table, const flatbuffers::TypeTable* type,
                        std::string_view field);

// `table` points to verified data of the type that `type` describes.
void append_json(std::string& out, const void* table,
                 const flatbuffers::TypeTable* type, IsNull is_null = nullptr);

std::string to_json(const Event& event);
std::string to_json(const SessionView& view);
std::string to_json(const NodeView& view);
std::string to_json(const WhyAnswer& answer);
std::string to_json(const StatusAnswer& answer);
std::string to_json(const Command& command);
std::string to_json(const NodeStats& stats);

// "SessionSubmitted" -> "session_submitted".
std::string snake_case(std::string_view name);

}  // namespace reeve::schema
