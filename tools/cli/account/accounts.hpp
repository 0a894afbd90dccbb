// Accounts and quotas as the commands about them share them.
#pragma once

#include <flatbuffers/flatbuffers.h>

#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "cluster/accounts/quota.hpp"
#include "tools/cli/cell.hpp"
#include "tools/cli/handlers.hpp"

namespace reeve::tools {

using schema::AccountKind;

// One account to be set or shown, apart from its message.
struct AccountRow {
  AccountKind kind = AccountKind::user;
  std::string name;
  std::string parent;
  std::uint32_t weight_milli = 1000;
  std::int32_t priority_max = INT32_MAX;
  std::vector<std::string> members;
  std::string policy;
  std::uint32_t uid = 0;
  bool admin = false;
  schema::GpuSharing gpu_sharing = schema::GpuSharing::project;  // of a group
  bool has_quota = false;
  cluster::Quota quota;
};

AccountRow row_of(const schema::AccountView& view);

// All of a kind, in order of their names.
Status each_account(
    Cell& cell, AccountKind kind,
    const std::function<void(const schema::AccountView&)>& visit);

// The account as it is; Errc::not_found when there is none of that name.
Expected<AccountRow> find_account(Cell& cell, AccountKind kind,
                                  const std::string& name);

// "user:ann", "project:ml", "group:train".
Expected<std::pair<AccountKind, std::string>> parse_account(
    std::string_view text);

Result change_account(const Context& context, Cell& cell, AccountKind kind,
                      const std::string& name,
                      flatbuffers::FlatBufferBuilder& builder,
                      schema::CommandBody command,
                      flatbuffers::Offset<void> body, std::string_view done);

}  // namespace reeve::tools
