#include "cluster/decide_manager.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "cluster/decide_internal.hpp"
#include "cluster/rejecting.hpp"
#include "schema/wire.hpp"

namespace reeve::cluster {
namespace {

using schema::text;

// It is written into the settings of the bus servers.
bool is_host(std::string_view address) {
  return !address.empty() && address.front() != '-' &&
         std::all_of(address.begin(), address.end(), [](char c) {
           return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
                  (c >= '0' && c <= '9') || c == '.' || c == '-';
         });
}

// Whether this manager may go.
Check check_removal(const State& state, const Identity& manager,
                    const ManagersNow& now) {
  if (manager.name == now.leader)
    return reject(RejectCode::wrong_state, "manager_leads",
                  fmt::format("{} leads the cell: have another lead first "
                              "(reeve lead)",
                              manager.name));
  if (!now.several) return std::nullopt;
  const std::size_t left = managers_of(state.identities()).size() - 1;
  if (left < 2)
    return reject(RejectCode::wrong_state, "managers_min",
                  fmt::format("{} and {} are the last two managers, and their "
                              "bus servers are set up for several: let a third "
                              "join first (reeve token create --role manager)",
                              now.leader, manager.name),
                  2, left);
  const auto living =
      1 + static_cast<std::size_t>(std::count_if(
              now.living.begin(), now.living.end(), [&](const auto& one) {
                return one != manager.name &&
                       state.identities().find(
                           principal_of(IdentityRole::manager, one));
              }));
  const std::size_t needed = majority_of(left);
  if (living >= needed) return std::nullopt;
  return reject(
      RejectCode::wrong_state, "managers_majority",
      fmt::format("without {} there are {} managers, {} of them are needed for "
                  "each commit, and {} of those {}: start the others, or let "
                  "another join first",
                  manager.name, left, needed, living,
                  living == 1 ? "lives" : "live"),
      needed, living);
}

}  // namespace

Check check_new_manager(const State& state, std::string_view name,
                        std::string_view address, const LocalNames& local) {
  if (name == local.manager)
    return reject(RejectCode::wrong_state, "identity_taken",
                  fmt::format("{} leads the cell: choose another name", name));
  // Its host is a node by that name, too.
  const std::string agent = principal_of(IdentityRole::agent, name);
  if (state.identities().find(agent))
    return reject(RejectCode::wrong_state, "identity_taken",
                  fmt::format("{0} is a member of the cell, and the host of a "
                              "manager is a node of its name: choose another, "
                              "or take that one out first (reeve members "
                              "remove {0})",
                              agent));
  if (!is_host(address))
    return reject(RejectCode::malformed, "identity_address",
                  fmt::format("manager {} has to say at which address others "
                              "reach it, a name or an IPv4 address without a "
                              "port; '{}' is none",
                              name, address));
  const auto managers = managers_of(state.identities());
  if (managers.empty())
    return reject(
        RejectCode::wrong_state, "one_manager",
        "the cell has one manager and is not set up for several: give it "
        "manager.name and manager.members with its own address, which other "
        "hosts reach, and start it anew");
  for (const ManagerIdentity& other : managers)
    if (other.address == address)
      return reject(RejectCode::wrong_state, "address_taken",
                    fmt::format("manager {} is at {}: each manager has a host "
                                "of its own",
                                other.name, address));
  if (managers.size() < managers_max) return std::nullopt;
  return reject(RejectCode::over_limit, "managers_max",
                fmt::format("the cell has {} managers, its bound: take one out "
                            "first (reeve members remove NAME)",
                            managers.size()),
                managers_max, managers.size());
}

void decide_managers(
    const State& state,
    const std::vector<std::pair<std::string, std::string>>& settings,
    const Origin& origin, EventWriter& writer) {
  if (settings.empty() || !managers_of(state.identities()).empty()) return;
  writer.begin(origin);
  auto& builder = writer.builder();
  for (const auto& [name, address] : settings) {
    const auto who =
        builder.CreateString(principal_of(IdentityRole::manager, name));
    const auto key = builder.CreateString("");
    const auto name_text = build_text(builder, name);
    const auto address_text = build_text(builder, address);
    writer.add(schema::CreateIdentityAdded(builder, who, IdentityRole::manager,
                                           key, 0, name_text, address_text),
               Sequence{});
  }
}

Decision decide_remove_manager(const State& state,
                               const schema::RemoveIdentity& command,
                               const ManagersNow& managers,
                               const Origin& origin, EventWriter& writer) {
  const Identity* known =
      find_manager(state.identities(), text(command.principal()));
  if (known)
    if (auto no = check_removal(state, *known, managers))
      return tl::unexpected(std::move(*no));
  flatbuffers::FlatBufferBuilder builder(128);
  const auto who = builder.CreateString(
      known ? std::string_view(known->principal) : text(command.principal()));
  const auto why = build_text(builder, text(command.reason()));
  builder.Finish(schema::CreateRemoveIdentity(builder, who, why));
  return decide_remove_identity(
      state,
      *flatbuffers::GetRoot<schema::RemoveIdentity>(builder.GetBufferPointer()),
      origin, writer);
}

}  // namespace reeve::cluster
