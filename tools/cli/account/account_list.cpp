// user list, project list, group list.
#include <fmt/format.h>

#include "cluster/scheduling/policy.hpp"
#include "cluster/units.hpp"
#include "schema/json.hpp"
#include "tools/cli/account/accounts.hpp"

namespace reeve::tools {
namespace {

using Align = Table::Align;
using std::string;

string held_text(std::uint64_t held, std::uint64_t limit,
                 string (*format)(std::uint64_t)) {
  if (limit == cluster::no_limit) return format(held);
  return fmt::format("{}/{}", format(held), format(limit));
}

string count_text(std::uint64_t count) {
  return fmt::format("{}", count);
}

string hours_text(const schema::AccountView& view, const AccountRow& row) {
  if (row.quota.gpu_milli_hours == cluster::no_limit) return {};
  string out = held_text(view.gpu_milli_hours(), row.quota.gpu_milli_hours,
                         format_milli);
  if (row.quota.period != schema::QuotaPeriod::none)
    out += fmt::format(" a {}", EnumNameQuotaPeriod(row.quota.period));
  return out;
}

string priority_text(const AccountRow& row) {
  return row.priority_max == INT32_MAX ? string()
                                       : fmt::format("{}", row.priority_max);
}

const char* special_title(AccountKind kind) {
  switch (kind) {
    case AccountKind::user: return "ADMIN";
    case AccountKind::project: return "BELOW";
    case AccountKind::group: return "POLICY";
  }
  return "";
}

string special_text(const AccountRow& row) {
  switch (row.kind) {
    case AccountKind::user: return row.admin ? "yes" : "";
    case AccountKind::project: return row.parent;
    case AccountKind::group:
      return row.policy.empty()
                 ? "default: " + cluster::to_text(cluster::Policy{})
                 : row.policy;
  }
  return {};
}

Table table_of(AccountKind kind) {
  std::vector<Table::Column> columns = {{"NAME"},
                                        {special_title(kind), Align::left, 1},
                                        {"WEIGHT", Align::right, 5},
                                        {"PRIORITY UP TO", Align::right, 7},
                                        {"SESSIONS", Align::right},
                                        {"WAITING", Align::right},
                                        {"CPUS", Align::right, 2},
                                        {"MEMORY", Align::right, 4},
                                        {"GPUS", Align::right},
                                        {"GPU HOURS", Align::right, 3},
                                        {"MEMBERS", Align::left, 6}};
  if (kind == AccountKind::group)
    columns.push_back({"GPU SHARED BY", Align::left, 8});
  return Table(std::move(columns));
}

void add(Table& table, const schema::AccountView& view) {
  const AccountRow row = row_of(view);
  const auto& quota = row.quota;
  std::vector<string> cells = {
      row.name,
      special_text(row),
      format_milli(row.weight_milli),
      priority_text(row),
      held_text(view.sessions(), quota.sessions, count_text),
      held_text(view.waiting(), quota.waiting, count_text),
      held_text(view.cpu_milli(), quota.cpu_milli, format_milli),
      held_text(view.memory_bytes(), quota.memory_bytes, format_bytes),
      held_text(view.gpu_milli(), quota.gpu_milli, format_milli),
      hours_text(view, row),
      fmt::format("{}", fmt::join(row.members, " "))};
  if (row.kind == AccountKind::group)
    cells.emplace_back(schema::EnumNameGpuSharing(row.gpu_sharing));
  table.add(std::move(cells));
}

Result list(const Context& context, AccountKind kind) {
  auto cell = Cell::connect(context);
  if (!cell) return tl::unexpected(cell.error());
  Table table = table_of(kind);
  std::vector<string> json;
  const Status status =
      each_account(**cell, kind, [&](const schema::AccountView& view) {
        if (!context.json) return add(table, view);
        string& one = json.emplace_back();
        schema::append_json(one, &view, schema::AccountViewTypeTable());
      });
  if (!status) return tl::unexpected(status.error());
  print(context.json ? json_array(json) + '\n' : table.text(context.terminal));
  return 0;
}

}  // namespace

Result command_user_list(const Context& context, const Arguments&) {
  return list(context, AccountKind::user);
}
Result command_project_list(const Context& context, const Arguments&) {
  return list(context, AccountKind::project);
}
Result command_group_list(const Context& context, const Arguments&) {
  return list(context, AccountKind::group);
}

Result command_quota_list(const Context& context, const Arguments&) {
  auto cell = Cell::connect(context);
  if (!cell) return tl::unexpected(cell.error());
  Table table({{"ACCOUNT"}, {"MAY HAVE", Align::left, 2}, {"HAS"}});
  std::vector<string> json;
  for (const AccountKind kind : schema::EnumValuesAccountKind()) {
    const Status status =
        each_account(**cell, kind, [&](const schema::AccountView& view) {
          if (view.limits() == nullptr) return;
          if (context.json) {
            string& one = json.emplace_back();
            schema::append_json(one, &view, schema::AccountViewTypeTable());
            return;
          }
          const AccountRow row = row_of(view);
          table.add({fmt::format("{}:{}", EnumNameAccountKind(kind), row.name),
                     cluster::to_text(row.quota),
                     cluster::held_text(
                         row.quota,
                         {view.sessions(), view.waiting(), view.cpu_milli(),
                          view.memory_bytes(), view.gpu_milli()},
                         view.gpu_milli_hours())});
        });
    if (!status) return tl::unexpected(status.error());
  }
  print(context.json ? json_array(json) + '\n' : table.text(context.terminal));
  return 0;
}

}  // namespace reeve::tools
