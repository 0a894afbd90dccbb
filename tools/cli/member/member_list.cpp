// members, members remove.
#include <fmt/format.h>

#include <map>

#include "schema/json.hpp"
#include "tools/cli/answers.hpp"
#include "tools/cli/cell.hpp"
#include "tools/cli/handlers.hpp"
#include "tools/cli/member/log_managers.hpp"
#include "tools/cli/member/manager_text.hpp"

namespace reeve::tools {
namespace {

using schema::IdentityRole;
using std::string;

struct NodeState {
  string name;
  string state;
};
// By the agent that runs them.
using NodesByAgent = std::map<string, std::vector<NodeState>, std::less<>>;

Expected<NodesByAgent> nodes_by_agent(Cell& cell) {
  NodesByAgent out;
  const auto more =
      each_node(answers_of(cell), UINT64_MAX, [&](const auto& node) {
        out[string(schema::text(node.agent()))].push_back(
            {string(schema::text(node.name())),
             string(schema::text(node.state()))});
      });
  if (!more) return tl::unexpected(more.error());
  return out;
}

const std::vector<NodeState>& nodes_of(const NodesByAgent& nodes,
                                       const schema::IdentityRecord& identity) {
  static const std::vector<NodeState> none;
  if (identity.role() != IdentityRole::agent) return none;
  const auto found = nodes.find(schema::text(identity.name()));
  return found == nodes.end() ? none : found->second;
}

// "up", of a node of the agent's name; else "n4 up, n5 lost".
string nodes_text(const std::vector<NodeState>& nodes,
                  const schema::IdentityRecord& identity) {
  if (nodes.empty())
    return identity.role() == IdentityRole::agent ? "none yet" : "";
  if (nodes.size() == 1 && nodes[0].name == schema::text(identity.name()))
    return nodes[0].state;
  string out;
  for (const NodeState& node : nodes)
    out +=
        fmt::format("{}{} {}", out.empty() ? "" : ", ", node.name, node.state);
  return out;
}

string member_json(const schema::IdentityRecord& identity,
                   const std::vector<NodeState>& nodes) {
  std::vector<string> list;
  for (const NodeState& node : nodes)
    list.push_back(
        JsonObject().text("name", node.name).text("state", node.state).done());
  string out;
  schema::append_json(out, &identity, schema::IdentityRecordTypeTable());
  out.pop_back();  // its last brace
  return out + fmt::format(",\"nodes\":{}}}", json_array(list));
}

// Of several managers how each is, and how far its log is behind.
Expected<string> managers_text(const Context& context, Cell& cell,
                               std::vector<string>& json) {
  const auto status = cell.status();
  if (!status) return tl::unexpected(status.error());
  if (!(*status)->managers() || (*status)->managers()->size() == 0)
    return string();
  Table table({{"MANAGER"},
               {"STATE"},
               {"HEAD", Table::Align::right},
               {"BEHIND", Table::Align::right},
               {"ADDRESS", Table::Align::left, 1},
               {"VERSION", Table::Align::left, 2}});
  const std::uint64_t head = status->seq();
  string healings;
  for (const auto* one : *(*status)->managers()) {
    json.push_back(manager_json(*one));
    if (const string healed = manager_healing(*one); !healed.empty())
      healings += healed + '\n';
    const std::uint64_t own = one->sequence();
    table.add(
        {string(schema::text(one->name())), manager_state(*one),
         one->heard() ? fmt::format("{}", own) : "",
         one->heard() ? fmt::format("{}", head > own ? head - own : 0) : "",
         string(schema::text(one->address())),
         string(schema::text(one->version()))});
  }
  if (!healings.empty())
    healings = "\nlast healed of each manager's log:\n" + healings;
  const std::size_t count = (*status)->managers()->size();
  return table.text(context.terminal) +
         (count % 2 == 0 ? majority_sentence(count) + "\n" : "") + healings +
         '\n';
}

// The members that the settings named have no token.
string token_text(const schema::IdentityRecord& identity) {
  return identity.token() == 0 ? "" : fmt::format("{}", identity.token());
}

// "; 2 of 2 managers are needed ..." where `removed` is one of several; else
// nothing. Asked before it goes.
string left_text(Cell& cell, std::string_view removed) {
  const auto status = cell.status();
  if (!status || !(*status)->managers()) return {};
  const auto& managers = *(*status)->managers();
  for (const auto* one : managers) {
    const string name(schema::text(one->name()));
    if (removed == name || removed == "manager-" + name)
      return "; " + majority_sentence(managers.size() - 1);
  }
  return {};
}

}  // namespace

Result command_members(const Context& context, const Arguments&) {
  auto cell = Cell::connect(context);
  if (!cell) return tl::unexpected(cell.error());
  const auto nodes = nodes_by_agent(**cell);
  if (!nodes) return tl::unexpected(nodes.error());
  Table table({{"PRINCIPAL"},
               {"ROLE"},
               {"JOINED", Table::Align::left, 2},
               {"TOKEN", Table::Align::right, 4},
               {"ADDRESS", Table::Align::left, 3},
               {"NODES", Table::Align::left, 1}});
  std::vector<string> json;
  const Status status =
      each_identity(**cell, [&](const schema::IdentityRecord& identity) {
        const auto& own = nodes_of(*nodes, identity);
        if (context.json) {
          json.push_back(member_json(identity, own));
          return;
        }
        table.add({string(schema::text(identity.principal())),
                   schema::EnumNameIdentityRole(identity.role()),
                   local_time(identity.added_at()), token_text(identity),
                   string(schema::text(identity.address())),
                   nodes_text(own, identity)});
        if (own.size() == 1) table.tone(5, tone_of(own[0].state));
      });
  if (!status) return tl::unexpected(status.error());
  const auto managers = managers_text(context, **cell, json);
  if (!managers) return tl::unexpected(managers.error());
  print(context.json ? json_array(json) + '\n'
                     : *managers + table.text(context.terminal));
  return 0;
}

Result command_members_remove(const Context& context,
                              const Arguments& arguments) {
  auto cell = Cell::connect(context);
  if (!cell) return tl::unexpected(cell.error());
  const string& principal = arguments.words[0];
  const string reason(arguments.text("--reason"));
  const string left = left_text(**cell, principal);
  flatbuffers::FlatBufferBuilder builder;
  const auto body = schema::CreateRemoveIdentityDirect(
      builder, principal.c_str(), reason.c_str());
  const auto reply = (*cell)->command(
      builder, schema::CommandBody::RemoveIdentity, body.Union());
  if (!reply) return tl::unexpected(reply.error());
  if (context.json) {
    print(JsonObject()
              .text("principal", principal)
              .number("seq", (*reply)->seq())
              .done() +
          '\n');
  } else if (!context.quiet) {
    say(fmt::format("{} is no member any more; its key is worth nothing{}",
                    principal, left));
  }
  return 0;
}

}  // namespace reeve::tools
