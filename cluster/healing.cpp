#include "cluster/healing.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "cluster/limits.hpp"
#include "schema/wire.hpp"

namespace reeve::cluster {

using schema::text;

Healing healing_of(const schema::HealingSpec& spec) {
  return {std::string(text(spec.manager())),
          spec.kind(),
          spec.first(),
          spec.last(),
          spec.epoch(),
          std::string(text(spec.other())),
          spec.other_epoch(),
          spec.other_last(),
          std::string(text(spec.file()))};
}

flatbuffers::Offset<schema::HealingSpec> build_healing(
    flatbuffers::FlatBufferBuilder& builder, const Healing& healing) {
  const auto optional = [&](const std::string& value) {
    return value.empty() ? flatbuffers::Offset<flatbuffers::String>()
                         : builder.CreateString(value);
  };
  const auto manager = builder.CreateString(healing.manager);
  const auto other = optional(healing.other);
  const auto file = optional(healing.file);
  return schema::CreateHealingSpec(
      builder, manager, healing.kind, healing.first, healing.last,
      healing.epoch, other, healing.other_epoch, healing.other_last, file);
}

flatbuffers::Offset<schema::HealingRecord> build_record(
    flatbuffers::FlatBufferBuilder& builder, const Healings::Kept& kept) {
  const auto healing = build_healing(builder, kept.healing);
  return schema::CreateHealingRecord(builder, healing, kept.seq.value,
                                     kept.at.value);
}

void Healings::set(Healing healing, Sequence seq, Time at) {
  std::pair key{healing.manager, healing.kind};
  kept_[std::move(key)] = {std::move(healing), seq, at};
  if (kept_.size() <= healings_max) return;
  kept_.erase(std::ranges::min_element(
      kept_, {}, [](const auto& one) { return one.second.seq; }));
}

bool Healings::knows(const Healing& healing) const {
  const auto found = kept_.find({healing.manager, healing.kind});
  return found != kept_.end() && found->second.healing == healing;
}

const Healings::Kept* Healings::last_of(std::string_view manager) const {
  const Kept* last = nullptr;
  for (const auto& [key, kept] : kept_)
    if (key.first == manager && (!last || kept.seq > last->seq)) last = &kept;
  return last;
}

Status Healings::check(Sequence last) const {
  if (kept_.size() > healings_max)
    return fail(Errc::internal,
                fmt::format("broken invariant: {} healings are kept, at most "
                            "{} may be",
                            kept_.size(), healings_max));
  for (const auto& [key, kept] : kept_)
    if (key != std::pair(kept.healing.manager, kept.healing.kind) ||
        kept.seq > last)
      return fail(Errc::internal,
                  fmt::format("broken invariant: a healing of {} is kept as "
                              "one of {}, of event {} of {}",
                              kept.healing.manager, key.first, kept.seq.value,
                              last.value));
  return {};
}

}  // namespace reeve::cluster
