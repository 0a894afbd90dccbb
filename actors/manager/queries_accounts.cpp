// Accounts and what they hold; members and their tokens.
#include <fmt/format.h>

#include <algorithm>

#include "actors/manager/queries.hpp"
#include "schema/wire.hpp"

namespace reeve::manager {
namespace {

using cluster::Account;

constexpr std::uint64_t hour_ms = 3'600'000;

flatbuffers::Offset<schema::AccountView> account_view(
    flatbuffers::FlatBufferBuilder& builder, const cluster::Accounts& accounts,
    const Account& account, Time now) {
  const auto spec = cluster::build_account(builder, accounts, account);
  const auto limits =
      account.quota ? cluster::build_quota(builder, *account.quota) : 0;
  const auto& held = account.held;
  return schema::CreateAccountView(
      builder, spec, limits, held.sessions, held.waiting, held.cpu_milli,
      held.memory_bytes, held.gpu_milli,
      accounts.used_milli_ms(account, now) / hour_ms);
}

}  // namespace

std::vector<std::byte> AnswerWriter::accounts(
    const schema::AccountsQuery& query, Time now) {
  const cluster::Accounts& accounts = state_.accounts();
  const std::string_view name = schema::text(query.name());
  std::vector<const Account*> found;
  for (const Account& account : accounts.all())
    if (account.kind == query.kind() && !account.removed &&
        (name.empty() ? account.name > schema::text(query.after_name())
                      : account.name == name))
      found.push_back(&account);
  if (!name.empty() && found.empty())
    return not_found(fmt::format("there is no {} '{}'",
                                 schema::EnumNameAccountKind(query.kind()),
                                 name));
  std::sort(found.begin(), found.end(), [](const Account* a, const Account* b) {
    return a->name < b->name;
  });
  std::vector<flatbuffers::Offset<schema::AccountView>> list;
  for (const Account* account : found) {
    if (list.size() >= answer_rows_max || builder_.GetSize() > answer_bytes_max)
      break;
    list.push_back(account_view(builder_, accounts, *account, now));
  }
  const bool more = list.size() < found.size();
  const auto body =
      schema::CreateAccountsAnswer(builder_, builder_.CreateVector(list), more);
  return finish(body);
}

std::vector<std::byte> AnswerWriter::identities(
    const schema::IdentitiesQuery& query) {
  const cluster::Identities& known = state_.identities();
  bool more = false;
  std::vector<flatbuffers::Offset<schema::TokenRecord>> tokens;
  std::vector<flatbuffers::Offset<schema::IdentityRecord>> identities;
  // One page of what comes behind `at`.
  const auto page = [&](auto& list, auto at, auto end, auto build) {
    for (; at != end; ++at) {
      more = list.size() >= answer_rows_max ||
             builder_.GetSize() > answer_bytes_max;
      if (more) return;
      list.push_back(build(builder_, at->second));
    }
  };
  if (query.tokens()) {
    page(tokens, known.tokens().upper_bound(query.after_token()),
         known.tokens().end(), cluster::build_token);
  } else {
    const std::string_view after = schema::text(query.after_principal());
    page(identities, known.all().upper_bound(after), known.all().end(),
         cluster::build_identity);
  }
  const auto token_list = builder_.CreateVector(tokens);
  const auto identity_list = builder_.CreateVector(identities);
  return finish(schema::CreateIdentitiesAnswer(builder_, token_list,
                                               identity_list, more));
}

}  // namespace reeve::manager
