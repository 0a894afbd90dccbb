#include "tools/cli/member/manager_text.hpp"

#include <fmt/format.h>

#include "cluster/identities/managers.hpp"
#include "cluster/types.hpp"
#include "cluster/units.hpp"
#include "schema/json.hpp"
#include "schema/wire.hpp"
#include "tools/args/event_text.hpp"
#include "tools/args/output.hpp"
#include "tools/cli/context.hpp"

namespace reeve::tools {
namespace {

// Managers say how they are each second.
constexpr std::uint64_t silent_ns = 5 * second_ns;

}  // namespace

std::string manager_state(const schema::ManagerView& manager) {
  if (!manager.heard()) return "not heard";
  if (manager.silent_ns() > silent_ns)
    return fmt::format("silent for {} s", manager.silent_ns() / second_ns);
  return schema::EnumNameManagerRole(manager.role());
}

bool is_missing(const schema::ManagerView& manager) {
  return !manager.heard() || manager.silent_ns() > silent_ns;
}

std::string majority_sentence(std::size_t managers) {
  const std::size_t needed = cluster::majority_of(managers);
  std::string text = fmt::format(
      "{} of {} managers are needed for each commit, so {} may fail", needed,
      managers,
      managers == needed ? "none" : std::to_string(managers - needed));
  if (managers % 2 != 0) return text;
  return text + fmt::format(
                    ", as of {}: one more (reeve token create --role manager) "
                    "lets {} fail",
                    managers - 1, (managers + 1) / 2);
}

std::string manager_healing(const schema::ManagerView& manager) {
  const auto* healed = manager.healing();
  if (!healed) return {};
  return fmt::format("{}  {}", local_time(healed->at()),
                     healing_text(*healed->healing()));
}

std::string manager_json(const schema::ManagerView& manager) {
  JsonObject object;
  object.text("principal", std::string(schema::text(manager.name())))
      .text("role", "manager")
      .text("address", std::string(schema::text(manager.address())))
      .text("state", manager_state(manager))
      .number("silent_ns", manager.silent_ns())
      .number("epoch", manager.epoch())
      .number("head_seq", manager.sequence())
      .text("version", std::string(schema::text(manager.version())))
      .number("protocol",
              manager.protocol() ? manager.protocol()->number() : 0);
  if (const auto* healed = manager.healing()) {
    std::string text;
    schema::append_json(text, healed, schema::HealingRecordTypeTable());
    object.raw("healing", text);
  }
  return object.done();
}

}  // namespace reeve::tools
