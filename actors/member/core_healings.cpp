#include "actors/member/core_healings.hpp"

#include <fmt/format.h>

#include "schema/wire.hpp"

namespace reeve::member {
namespace {

bool is(const schema::Id128& one, const schema::Id128& other) {
  return one.high() == other.high() && one.low() == other.low();
}

std::vector<std::byte> command_of(const cluster::Healing& healing,
                                  const schema::Id128& id) {
  flatbuffers::FlatBufferBuilder builder(512);
  const auto body = schema::CreateReportHealing(
      builder, cluster::build_healing(builder, healing));
  const auto bytes = schema::finish(
      builder,
      schema::CreateCommand(builder, &id, schema::CommandBody::ReportHealing,
                            body.Union()));
  return {bytes.begin(), bytes.end()};
}

}  // namespace

void HealingReports::add(cluster::Healing healing, const schema::Id128& id) {
  const auto kind = healing.kind;
  waiting_[kind] = {std::move(healing), id, Time{}};
}

void HealingReports::drop_known(const cluster::Healings& known) {
  std::erase_if(waiting_, [&](const auto& one) {
    return known.knows(one.second.healing);
  });
}

std::vector<cluster::Healing> HealingReports::untold(
    const cluster::Healings& known) {
  drop_known(known);
  std::vector<cluster::Healing> all;
  for (const auto& [kind, one] : waiting_) all.push_back(one.healing);
  return all;
}

std::vector<std::vector<std::byte>> HealingReports::due(
    const cluster::Healings& known, Time now) {
  drop_known(known);
  std::vector<std::vector<std::byte>> commands;
  for (auto& [kind, one] : waiting_) {
    if (now < one.due) continue;
    one.due = Time{now.value + report_ns};
    commands.push_back(command_of(one.healing, one.id));
  }
  return commands;
}

std::optional<std::string> HealingReports::on_reply(
    const schema::Reply& reply) {
  using schema::RejectCode;
  const auto* no = reply.rejection();
  if (!no || !reply.command_id() || no->code() == RejectCode::try_again ||
      no->code() == RejectCode::no_space)
    return std::nullopt;
  const auto refused = std::find_if(
      waiting_.begin(), waiting_.end(),
      [&](const auto& one) { return is(one.second.id, *reply.command_id()); });
  if (refused == waiting_.end()) return std::nullopt;
  waiting_.erase(refused);
  return fmt::format("the leader does not take what became of the log here: {}",
                     schema::text(no->text()));
}

}  // namespace reeve::member
