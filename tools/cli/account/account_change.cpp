// user, project and group: set and remove; quota: set and remove.
#include <fmt/format.h>

#include "cluster/units.hpp"
#include "tools/cli/account/accounts.hpp"

namespace reeve::tools {
namespace {

Status take_weight(const Arguments& arguments, AccountRow& row) {
  const auto text = arguments.find("--weight");
  if (!text) return {};
  const auto weight = parse_milli(*text, "--weight");
  if (!weight) return tl::unexpected(weight.error());
  row.weight_milli = *weight;
  return {};
}

Status take_priority(const Arguments& arguments, AccountRow& row) {
  const auto text = arguments.find("--priority-max");
  if (!text) return {};
  if (*text == "none") {
    row.priority_max = INT32_MAX;
    return {};
  }
  const auto priority =
      parse_integer(*text, "--priority-max", INT32_MIN, INT32_MAX);
  if (!priority) return tl::unexpected(priority.error());
  row.priority_max = static_cast<std::int32_t>(*priority);
  return {};
}

// Those given are all there are; "all" alone lets everybody in.
void take_members(const Arguments& arguments, const char* option,
                  AccountRow& row) {
  if (!arguments.has(option)) return;
  row.members = arguments.all(option);
  if (row.members == std::vector<std::string>{"all"}) row.members.clear();
}

Status take_own(const Arguments& arguments, AccountRow& row) {
  switch (row.kind) {
    case AccountKind::user: {
      if (const auto text = arguments.find("--uid")) {
        const auto uid = parse_count(*text, "--uid", 0, UINT32_MAX);
        if (!uid) return tl::unexpected(uid.error());
        row.uid = static_cast<std::uint32_t>(*uid);
      }
      if (arguments.has("--admin"))
        row.admin = arguments.text("--admin") == "yes";
      return {};
    }
    case AccountKind::project:
      if (arguments.has("--parent")) row.parent = arguments.text("--parent");
      if (row.parent == "none") row.parent.clear();
      take_members(arguments, "--member", row);
      return {};
    case AccountKind::group:
      if (arguments.has("--policy")) row.policy = arguments.text("--policy");
      if (row.policy == "default") row.policy.clear();
      if (const auto who = arguments.find("--gpu-sharing"))
        for (const auto setting : schema::EnumValuesGpuSharing())
          if (*who == schema::EnumNameGpuSharing(setting))
            row.gpu_sharing = setting;
      take_members(arguments, "--for-project", row);
      return {};
  }
  return {};
}

// What is not named stays as it is.
Result set_account(const Context& context, const Arguments& arguments,
                   AccountKind kind) {
  const std::string& name = arguments.words[0];
  AccountRow words;
  words.kind = kind;
  for (const auto take : {take_weight, take_priority, take_own})
    if (const Status status = take(arguments, words); !status)
      return tl::unexpected(status.error());
  auto cell = Cell::connect(context);
  if (!cell) return tl::unexpected(cell.error());
  auto row = find_account(**cell, kind, name);
  const bool is_new = !row && row.error().code == Errc::not_found;
  if (!row && !is_new) return tl::unexpected(row.error());
  if (is_new) {
    row = AccountRow{};
    row->kind = kind;
    row->name = name;
    if (kind == AccountKind::user && !arguments.has("--uid"))
      return fail(Errc::usage, fmt::format("{} is new: say which user id their "
                                           "sessions have (--uid N)",
                                           name));
  }
  for (const auto take : {take_weight, take_priority, take_own})
    if (const Status status = take(arguments, *row); !status)
      return tl::unexpected(status.error());
  flatbuffers::FlatBufferBuilder builder;
  const auto spec = schema::CreateAccountSpec(
      builder, kind, builder.CreateString(name),
      row->parent.empty() ? 0 : builder.CreateString(row->parent),
      row->weight_milli, row->priority_max,
      row->members.empty() ? 0 : builder.CreateVectorOfStrings(row->members),
      row->policy.empty() ? 0 : builder.CreateString(row->policy), row->uid,
      row->admin, 0, row->gpu_sharing);
  const auto body = schema::CreateSetAccount(builder, spec);
  return change_account(context, **cell, kind, name, builder,
                        schema::CommandBody::SetAccount, body.Union(),
                        is_new ? "is there now" : "is changed");
}

Result remove_account(const Context& context, const Arguments& arguments,
                      AccountKind kind) {
  auto cell = Cell::connect(context);
  if (!cell) return tl::unexpected(cell.error());
  const std::string& name = arguments.words[0];
  flatbuffers::FlatBufferBuilder builder;
  const auto body =
      schema::CreateRemoveAccountDirect(builder, kind, name.c_str());
  return change_account(context, **cell, kind, name, builder,
                        schema::CommandBody::RemoveAccount, body.Union(),
                        "is removed");
}

// "none" takes the limit away.
template <class Parse>
Status take_limit(const Arguments& arguments, const char* option, Parse parse,
                  std::uint64_t& limit) {
  const auto text = arguments.find(option);
  if (!text) return {};
  if (*text == "none") {
    limit = cluster::no_limit;
    return {};
  }
  if (text->starts_with('-'))
    return fail(Errc::usage,
                fmt::format("{}: a quota is 0 or more, not {}", option, *text));
  const auto value = parse(*text, "limit");
  if (!value)
    return fail(value.error().code,
                fmt::format("{}: {}", option, value.error().text));
  limit = *value;
  return {};
}

Expected<cluster::Quota> merged(const Arguments& arguments,
                                cluster::Quota quota) {
  const auto count = [](std::string_view text, std::string_view what) {
    return parse_count(text, what);
  };
  const auto milli = [](std::string_view text, std::string_view what) {
    return parse_milli_sum(text, what, cluster::no_limit - 1);
  };
  const auto bytes = [](std::string_view text, std::string_view) {
    return parse_bytes(text);
  };
  const Status all[] = {
      take_limit(arguments, "--sessions", count, quota.sessions),
      take_limit(arguments, "--waiting", count, quota.waiting),
      take_limit(arguments, "--cpus", milli, quota.cpu_milli),
      take_limit(arguments, "--mem", bytes, quota.memory_bytes),
      take_limit(arguments, "--gpus", milli, quota.gpu_milli),
      take_limit(arguments, "--gpu-hours", milli, quota.gpu_milli_hours)};
  for (const Status& status : all)
    if (!status) return tl::unexpected(status.error());
  if (const auto per = arguments.find("--per"))
    for (const auto period : schema::EnumValuesQuotaPeriod())
      if (*per == schema::EnumNameQuotaPeriod(period)) quota.period = period;
  return quota;
}

}  // namespace

Result command_user_set(const Context& context, const Arguments& arguments) {
  return set_account(context, arguments, AccountKind::user);
}
Result command_project_set(const Context& context, const Arguments& arguments) {
  return set_account(context, arguments, AccountKind::project);
}
Result command_group_set(const Context& context, const Arguments& arguments) {
  return set_account(context, arguments, AccountKind::group);
}
Result command_user_remove(const Context& context, const Arguments& arguments) {
  return remove_account(context, arguments, AccountKind::user);
}
Result command_project_remove(const Context& context,
                              const Arguments& arguments) {
  return remove_account(context, arguments, AccountKind::project);
}
Result command_group_remove(const Context& context,
                            const Arguments& arguments) {
  return remove_account(context, arguments, AccountKind::group);
}

// What is not named stays as it is.
Result command_quota_set(const Context& context, const Arguments& arguments) {
  const auto account = parse_account(arguments.words[0]);
  if (!account) return tl::unexpected(account.error());
  if (const auto words = merged(arguments, {}); !words)
    return tl::unexpected(words.error());
  auto cell = Cell::connect(context);
  if (!cell) return tl::unexpected(cell.error());
  const auto& [kind, name] = *account;
  const auto row = find_account(**cell, kind, name);
  if (!row) return tl::unexpected(row.error());
  const auto quota = merged(arguments, row->quota);
  if (!quota) return tl::unexpected(quota.error());
  flatbuffers::FlatBufferBuilder builder;
  const auto text = builder.CreateString(name);
  const auto limits = cluster::build_quota(builder, *quota);
  const auto body = schema::CreateSetQuota(builder, kind, text, limits);
  return change_account(
      context, **cell, kind, name, builder, schema::CommandBody::SetQuota,
      body.Union(), fmt::format("may have {} now", cluster::to_text(*quota)));
}

Result command_quota_remove(const Context& context,
                            const Arguments& arguments) {
  const auto account = parse_account(arguments.words[0]);
  if (!account) return tl::unexpected(account.error());
  auto cell = Cell::connect(context);
  if (!cell) return tl::unexpected(cell.error());
  const auto& [kind, name] = *account;
  flatbuffers::FlatBufferBuilder builder;
  const auto body =
      schema::CreateRemoveQuotaDirect(builder, kind, name.c_str());
  return change_account(context, **cell, kind, name, builder,
                        schema::CommandBody::RemoveQuota, body.Union(),
                        "has no quota now");
}

}  // namespace reeve::tools
