// What became of managers' logs that were not the same as the cell's: the last
// of each kind of each manager. See HealingSpec in schema/types.fbs.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <utility>

#include "cluster/error.hpp"
#include "cluster/types.hpp"
#include "schema/types_generated.h"

namespace reeve::cluster {

using schema::HealingKind;

struct Healing {
  std::string manager;
  HealingKind kind = HealingKind::tail_published;
  std::uint64_t first = 0;
  std::uint64_t last = 0;
  std::uint64_t epoch = 0;
  std::string other;
  std::uint64_t other_epoch = 0;
  std::uint64_t other_last = 0;
  std::string file;
  friend bool operator==(const Healing&, const Healing&) = default;
};

Healing healing_of(const schema::HealingSpec& spec);
flatbuffers::Offset<schema::HealingSpec> build_healing(
    flatbuffers::FlatBufferBuilder& builder, const Healing& healing);

class Healings {
 public:
  struct Kept {
    Healing healing;
    Sequence seq;  // of the event that told it
    Time at;
  };
  using ByManager = std::map<std::pair<std::string, HealingKind>, Kept>;

  // In place of the one of its kind before. At most healings_max are kept.
  void set(Healing healing, Sequence seq, Time at);
  bool knows(const Healing& healing) const;
  // The newest of that manager; null: none.
  const Kept* last_of(std::string_view manager) const;
  const ByManager& all() const { return kept_; }
  // Against `last`, the newest event of the state.
  Status check(Sequence last) const;

 private:
  ByManager kept_;
};

flatbuffers::Offset<schema::HealingRecord> build_record(
    flatbuffers::FlatBufferBuilder& builder, const Healings::Kept& kept);

}  // namespace reeve::cluster
