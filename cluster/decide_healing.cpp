// What managers tell of their logs.
#include "cluster/decide_internal.hpp"
#include "cluster/rejecting.hpp"
#include "schema/wire.hpp"

namespace reeve::cluster {
namespace {

Check check(const Healing& healing) {
  if (healing.kind > HealingKind::MAX)
    return reject(RejectCode::malformed, "healing_kind",
                  "this program does not know what was healed: it is older "
                  "than the manager that tells it");
  for (const std::string* one :
       {&healing.manager, &healing.other, &healing.file})
    if (auto no = bound("healing_text_bytes_max",
                        "the length of a name or path in a healing",
                        one->size(), healing_text_bytes_max))
      return no;
  if (healing.manager.empty())
    return reject(RejectCode::malformed, "healing_manager",
                  "a healing names no manager");
  return std::nullopt;
}

}  // namespace

Decision decide_healing(const State& state,
                        const schema::ReportHealing& command,
                        const Origin& origin, EventWriter& writer) {
  const Healing healing = healing_of(*command.healing());
  if (auto no = check(healing)) return tl::unexpected(*no);
  if (state.healings().knows(healing))
    return Accepted{state.last_sequence(), {}};
  return Accepted{write_healing(healing, origin, writer), {}};
}

Sequence write_healing(const Healing& healing, const Origin& origin,
                       EventWriter& writer) {
  writer.begin(origin);
  auto& builder = writer.builder();
  return writer.add(
      schema::CreateLogHealed(builder, build_healing(builder, healing)),
      Sequence{});
}

}  // namespace reeve::cluster
