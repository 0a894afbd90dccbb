#include "tools/cli/account/accounts.hpp"

#include <fmt/format.h>

namespace reeve::tools {
namespace {

Expected<Held<schema::Answer>> ask(Cell& cell, AccountKind kind,
                                   const std::string& name,
                                   const std::string& after) {
  flatbuffers::FlatBufferBuilder builder(128);
  const auto body = schema::CreateAccountsQueryDirect(
      builder, kind, name.empty() ? nullptr : name.c_str(),
      after.empty() ? nullptr : after.c_str());
  return cell.ask(builder, schema::QueryBody::AccountsQuery, body.Union());
}

}  // namespace

AccountRow row_of(const schema::AccountView& view) {
  const auto& spec = *view.account();
  AccountRow row;
  row.kind = spec.kind();
  row.name = schema::text(spec.name());
  row.parent = schema::text(spec.parent());
  row.weight_milli = spec.weight_milli();
  row.priority_max = spec.priority_max();
  if (spec.members())
    for (const auto* member : *spec.members())
      row.members.emplace_back(schema::text(member));
  row.policy = schema::text(spec.policy());
  row.uid = spec.uid();
  row.admin = spec.admin();
  row.gpu_sharing = spec.gpu_sharing();
  row.has_quota = view.limits() != nullptr;
  if (row.has_quota) row.quota = cluster::quota_of(*view.limits());
  return row;
}

Status each_account(
    Cell& cell, AccountKind kind,
    const std::function<void(const schema::AccountView&)>& visit) {
  std::string after;
  while (true) {
    const auto answer = ask(cell, kind, {}, after);
    if (!answer) return tl::unexpected(answer.error());
    const auto* body = (*answer)->body_as_AccountsAnswer();
    if (!body || !body->accounts()) return {};
    for (const auto* view : *body->accounts()) {
      visit(*view);
      after = schema::text(view->account()->name());
    }
    if (!body->more() || body->accounts()->size() == 0) return {};
  }
}

Expected<AccountRow> find_account(Cell& cell, AccountKind kind,
                                  const std::string& name) {
  const auto answer = ask(cell, kind, name, {});
  if (!answer) return tl::unexpected(answer.error());
  const auto* body = (*answer)->body_as_AccountsAnswer();
  if (!body || !body->accounts() || body->accounts()->size() != 1)
    return fail(Errc::internal, "the cell's answer is about something else");
  return row_of(*body->accounts()->Get(0));
}

Expected<std::pair<AccountKind, std::string>> parse_account(
    std::string_view text) {
  const auto colon = text.find(':');
  const std::string_view word = text.substr(0, colon);
  if (colon != std::string_view::npos && colon + 1 < text.size())
    for (const AccountKind kind : schema::EnumValuesAccountKind())
      if (word == schema::EnumNameAccountKind(kind))
        return std::pair(kind, std::string(text.substr(colon + 1)));
  return fail(Errc::usage,
              fmt::format("'{}' is no account: it is user:NAME, project:NAME "
                          "or group:NAME",
                          text));
}

Result change_account(const Context& context, Cell& cell, AccountKind kind,
                      const std::string& name,
                      flatbuffers::FlatBufferBuilder& builder,
                      schema::CommandBody command,
                      flatbuffers::Offset<void> body, std::string_view done) {
  const auto reply = cell.command(builder, command, body);
  if (!reply) return tl::unexpected(reply.error());
  if (context.json) {
    print(JsonObject()
              .text(schema::EnumNameAccountKind(kind), name)
              .number("seq", (*reply)->seq())
              .done() +
          '\n');
  } else if (!context.quiet) {
    say(fmt::format("{} {} {}", schema::EnumNameAccountKind(kind), name, done));
  }
  return 0;
}

}  // namespace reeve::tools
