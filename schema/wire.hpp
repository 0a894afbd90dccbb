// What may travel and what is kept: each root table with its identifier and
// its bound. Everything that came from outside passes `verified` first.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

#include "schema/agent_generated.h"
#include "schema/command_generated.h"
#include "schema/event_generated.h"
#include "schema/query_generated.h"
#include "schema/snapshot_generated.h"
#include "schema/stat_generated.h"

namespace reeve::schema {

using Bytes = std::span<const std::byte>;

// The bus carries no message above this (nats-server: max_payload).
inline constexpr std::size_t message_bytes_max = 1 << 20;
// Room for a submission with more text than it may have, so that the rule of
// that bound is what answers.
inline constexpr std::size_t command_bytes_max = 512 << 10;
inline constexpr std::size_t event_bytes_max = 512 << 10;
inline constexpr std::size_t query_bytes_max = 64 << 10;
inline constexpr std::size_t snapshot_bytes_max = std::size_t{2} << 30;

// The rule of a rejection of what is decided and could not be kept: it may
// take effect later, so it is neither done nor refused.
inline constexpr const char* not_kept_rule = "not_kept";

// Of an answer's `behind_ns`: it cannot be told.
inline constexpr std::uint64_t unknown_ns = ~std::uint64_t{0};

template <class Table>
struct Wire;

#define REEVE_WIRE(Table, id, bound)                \
  template <>                                       \
  struct Wire<Table> {                              \
    static constexpr const char* identifier = id;   \
    static constexpr const char* name = #Table;     \
    static constexpr std::size_t bytes_max = bound; \
  };
REEVE_WIRE(Event, "RVE1", event_bytes_max)
REEVE_WIRE(Command, "RVC1", command_bytes_max)
REEVE_WIRE(Reply, "RVR1", command_bytes_max)
REEVE_WIRE(Query, "RVQ1", query_bytes_max)
REEVE_WIRE(Answer, "RVA1", message_bytes_max)
REEVE_WIRE(AgentOrder, "RVO1", message_bytes_max)
REEVE_WIRE(OutputRead, "RVP1", query_bytes_max)
REEVE_WIRE(OutputChunk, "RVT1", message_bytes_max)
REEVE_WIRE(Heartbeat, "RVH1", query_bytes_max)
REEVE_WIRE(NodeStats, "RVG1", query_bytes_max)
REEVE_WIRE(MemberBeat, "RVB1", query_bytes_max)
REEVE_WIRE(LogRead, "RVL1", query_bytes_max)
REEVE_WIRE(LogChunk, "RVK1", message_bytes_max)
REEVE_WIRE(StateSnapshot, "RVS1", snapshot_bytes_max)
#undef REEVE_WIRE

// Depth and table bounds hold the verifier's own cost within the message's.
inline constexpr unsigned verify_depth_max = 32;
inline constexpr unsigned verify_tables_max = 50'000'000;

// The table in `bytes`, or null: wrong identifier, over its bound, misaligned
// (8 bytes are required) or structurally broken. Lives as long as `bytes`.
template <class Table>
const Table* verified(Bytes bytes) {
  if (bytes.size() < 8 || bytes.size() > Wire<Table>::bytes_max) return nullptr;
  if (reinterpret_cast<std::uintptr_t>(bytes.data()) % 8 != 0) return nullptr;
  const auto* data = reinterpret_cast<const std::uint8_t*>(bytes.data());
  flatbuffers::Verifier verifier(data, bytes.size(), verify_depth_max,
                                 verify_tables_max);
  if (!verifier.VerifyBuffer<Table>(Wire<Table>::identifier)) return nullptr;
  return flatbuffers::GetRoot<Table>(data);
}

// The same for one size-prefixed event as the log holds it; `bytes` starts at
// an 8-aligned prefix and ends with the event.
const Event* verified_event(Bytes bytes);

// For bytes of our own that were verified before.
inline const Event& event_of(Bytes bytes) {
  return *flatbuffers::GetSizePrefixedRoot<Event>(bytes.data());
}

template <class Table>
Bytes finish(flatbuffers::FlatBufferBuilder& builder,
             flatbuffers::Offset<Table> root) {
  builder.Finish(root, Wire<Table>::identifier);
  return {reinterpret_cast<const std::byte*>(builder.GetBufferPointer()),
          builder.GetSize()};
}

// Text of an optional string field; empty when absent.
inline std::string_view text(const flatbuffers::String* string) {
  return string ? std::string_view(string->c_str(), string->size())
                : std::string_view();
}

}  // namespace reeve::schema
