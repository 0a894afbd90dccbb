#include "cluster/event_writer.hpp"

#include <algorithm>
#include <utility>

#include "cluster/check.hpp"
#include "schema/wire.hpp"

namespace reeve::cluster {

EventWriter::EventWriter(Sequence next, Epoch epoch)
    : first_(next), next_(next), epoch_(epoch) {}

Sequence EventWriter::add(schema::EventBody type,
                          flatbuffers::Offset<void> body, Sequence cause) {
  flatbuffers::Offset<flatbuffers::String> principal;
  if (!origin_.principal.empty())
    principal = builder_.CreateString(origin_.principal.data(),
                                      origin_.principal.size());
  time_floor_ = std::max(time_floor_, origin_.now);
  schema::EventBuilder event(builder_);
  event.add_seq(next_.value);
  event.add_time_at(time_floor_.value);
  event.add_epoch(epoch_.value);
  event.add_cause(cause.value);
  if (origin_.command_id.high() != 0 || origin_.command_id.low() != 0)
    event.add_command_id(&origin_.command_id);
  if (!principal.IsNull()) event.add_principal(principal);
  event.add_body_type(type);
  event.add_body(body);
  builder_.FinishSizePrefixed(event.Finish(),
                              schema::Wire<schema::Event>::identifier);
  REEVE_CHECK(builder_.GetSize() % 8 == 0, "an event is not 8-aligned");
  const auto* data =
      reinterpret_cast<const std::byte*>(builder_.GetBufferPointer());
  last_offset_ = bytes_.size();
  bytes_.insert(bytes_.end(), data, data + builder_.GetSize());
  builder_.Clear();
  const Sequence sequence = next_;
  ++next_.value;
  return sequence;
}

const schema::Event& EventWriter::last() const {
  return schema::event_of(
      {bytes_.data() + last_offset_, bytes_.size() - last_offset_});
}

void EventWriter::begin(const Origin& origin) {
  origin_ = origin;
  if (!bytes_.empty() && (starts_.empty() || starts_.back() != bytes_.size()))
    starts_.push_back(bytes_.size());
}

EventWriter::Taken EventWriter::take(std::size_t bytes_max) {
  last_offset_ = 0;
  if (bytes_.size() <= bytes_max || starts_.empty()) {
    Taken all{first_, count(), std::exchange(bytes_, {})};
    first_ = next_;
    starts_.clear();
    return all;
  }
  auto next = std::upper_bound(starts_.begin(), starts_.end(), bytes_max);
  if (next != starts_.begin()) --next;
  const std::size_t cut = *next;
  Taken part{first_, 0, {}};
  for (std::size_t at = 0; at < cut; ++part.count)
    at += sizeof(flatbuffers::uoffset_t) +
          flatbuffers::GetPrefixedSize(
              reinterpret_cast<const std::uint8_t*>(bytes_.data() + at));
  const auto end = bytes_.begin() + static_cast<std::ptrdiff_t>(cut);
  part.bytes.assign(bytes_.begin(), end);
  bytes_.erase(bytes_.begin(), end);
  starts_.erase(starts_.begin(), next + 1);
  for (std::size_t& start : starts_) start -= cut;
  first_.value += part.count;
  return part;
}

}  // namespace reeve::cluster
