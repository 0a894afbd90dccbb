// Builds the events of decisions: back to back in one buffer, in the bytes
// that go to disk and onto the bus. Each is a size-prefixed FlatBuffer whose
// length is a multiple of 8.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>
#include <vector>

#include "cluster/types.hpp"
#include "schema/event_generated.h"

namespace reeve::cluster {

// Who asked, and when; goes into each event of one decision.
struct Origin {
  Time now;
  std::string_view principal;
  schema::Id128 command_id;
};

class EventWriter {
 public:
  // The first event gets sequence `next`.
  EventWriter(Sequence next, Epoch epoch);

  // The events of a decision stay together, see `take`.
  void begin(const Origin& origin);
  // Times never run backwards in the log: `now` is raised to `floor`.
  void set_time_floor(Time floor) { time_floor_ = floor; }

  // The builder for the next event's body; finish it with `add`.
  flatbuffers::FlatBufferBuilder& builder() { return builder_; }

  // Completes the event whose body was built last. Returns its sequence.
  template <class Body>
  Sequence add(flatbuffers::Offset<Body> body, Sequence cause) {
    return add(schema::EventBodyTraits<Body>::enum_value, body.Union(), cause);
  }

  Sequence next() const { return next_; }
  Sequence first() const { return first_; }
  std::uint32_t count() const {
    return static_cast<std::uint32_t>(next_.value - first_.value);
  }
  std::span<const std::byte> bytes() const { return bytes_; }
  // The event that `add` completed last.
  const schema::Event& last() const;
  std::size_t last_offset() const { return last_offset_; }

  // Hands over what was written, whole decisions of at most `bytes_max` bytes
  // (one is always taken); what is left goes with the next call.
  struct Taken {
    Sequence first;
    std::uint32_t count = 0;
    std::vector<std::byte> bytes;
  };
  Taken take(std::size_t bytes_max = ~std::size_t{0});
  Epoch epoch() const { return epoch_; }
  void set_epoch(Epoch epoch) { epoch_ = epoch; }

 private:
  Sequence add(schema::EventBody type, flatbuffers::Offset<void> body,
               Sequence cause);

  flatbuffers::FlatBufferBuilder builder_;
  std::vector<std::byte> bytes_;
  std::size_t last_offset_ = 0;
  // Where each decision after the first begins in the bytes.
  std::vector<std::size_t> starts_;
  Sequence first_;
  Sequence next_;
  Epoch epoch_;
  Origin origin_;
  Time time_floor_;
};

}  // namespace reeve::cluster
