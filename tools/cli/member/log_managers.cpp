#include "tools/cli/member/log_managers.hpp"

#include <algorithm>

#include "tools/cli/member/manager_text.hpp"

namespace reeve::tools {

Status each_identity(
    Cell& cell,
    const std::function<void(const schema::IdentityRecord&)>& visit) {
  std::string after;
  for (;;) {
    flatbuffers::FlatBufferBuilder builder(128);
    const auto body =
        schema::CreateIdentitiesQueryDirect(builder, false, after.c_str());
    const auto answer =
        cell.ask(builder, schema::QueryBody::IdentitiesQuery, body.Union());
    if (!answer) return tl::unexpected(answer.error());
    const auto* page = (*answer)->body_as_IdentitiesAnswer();
    if (!page || !page->identities()) return {};
    for (const auto* identity : *page->identities()) {
      visit(*identity);
      after = schema::text(identity->principal());
    }
    if (!page->more() || page->identities()->size() == 0) return {};
  }
}

bool LogManagers::has(std::string_view name) const {
  return std::any_of(named.begin(), named.end(),
                     [&](const auto& one) { return one.first == name; });
}

// The status has those of the settings where the log names none, so it does not
// tell whether one was ever there.
Expected<LogManagers> log_managers(Cell& cell) {
  const auto status = cell.status();
  if (!status) return tl::unexpected(status.error());
  LogManagers out;
  if ((*status)->managers())
    for (const auto* one : *(*status)->managers())
      if (!is_missing(*one)) out.living.emplace(schema::text(one->name()));
  // An empty log has no owner either, and nobody may ask it for more.
  if (status->seq() == 0) return out;
  const Status done =
      each_identity(cell, [&](const schema::IdentityRecord& identity) {
        if (identity.role() == schema::IdentityRole::manager)
          out.named.emplace_back(schema::text(identity.name()),
                                 schema::text(identity.address()));
      });
  if (!done) return tl::unexpected(done.error());
  return out;
}

}  // namespace reeve::tools
