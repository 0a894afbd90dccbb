// Tokens are made and revoked; members join by them, leave and are removed.
#include <fmt/format.h>

#include <algorithm>
#include <set>

#include "cluster/decide_internal.hpp"
#include "cluster/decide_manager.hpp"
#include "cluster/nkey.hpp"
#include "cluster/rejecting.hpp"
#include "schema/json.hpp"
#include "schema/wire.hpp"

namespace reeve::cluster {
namespace {

using schema::text;

Check check_role(IdentityRole role) {
  if (role <= IdentityRole::MAX) return std::nullopt;
  return reject(RejectCode::malformed, "identity_role",
                "this program does not know that role: it is older than the "
                "one that asks");
}

Check check_member_name(std::string_view name) {
  return check_name(name, "identity_name", "a member's name",
                    identity_name_bytes_max);
}

Check check_key(const State& state, std::string_view key) {
  if (!parse_user_key(key))
    return reject(RejectCode::malformed, "identity_key",
                  fmt::format("'{}' is no public key of a user: it begins with "
                              "U and has {} characters",
                              key.substr(0, user_key_chars), user_key_chars));
  if (const auto holder = state.identities().holder_of(key))
    return reject(
        RejectCode::wrong_state, "key_taken",
        fmt::format("{} has that key: make a new pair of keys", *holder));
  return std::nullopt;
}

Check check_user(const State& state, std::string_view name) {
  if (is_reserved_principal(name))
    return reject(RejectCode::malformed, "user_reserved",
                  fmt::format("the bus knows members of the cell by names like "
                              "'{}': no user has such a name",
                              name));
  if (name == state.owner())
    return reject(RejectCode::wrong_state, "identity_taken",
                  fmt::format("{} owns the cell and has credentials from its "
                              "start: no token is needed",
                              name));
  if (state.accounts().find(AccountKind::user, name)) return std::nullopt;
  return reject(RejectCode::not_found, "user_unknown",
                fmt::format("there is no user '{0}': an admin makes it first "
                            "(reeve user set {0} --uid N)",
                            name));
}

// "n3 is a member already, since ...".
Check check_not_member(const State& state, IdentityRole role,
                       std::string_view name) {
  const Identity* known = state.identities().find(principal_of(role, name));
  if (!known) return std::nullopt;
  return reject(
      RejectCode::wrong_state, "identity_taken",
      fmt::format("{0} is a member of the cell already, since {1}: choose "
                  "another name, or take that one out first (reeve members "
                  "remove {0})",
                  known->principal, schema::rfc3339(known->added_at.value)));
}

Check name_taken(std::string_view what, std::string_view name) {
  return reject(RejectCode::wrong_state, "identity_taken",
                fmt::format("{0} {1} runs on the manager's own host: choose "
                            "another name",
                            what, name));
}

// Those of managers' hosts are there for good.
Check check_local_agent(const State& state, std::string_view name,
                        const LocalNames& local) {
  const auto& own = local.agents;
  if (std::find(own.begin(), own.end(), name) != own.end() ||
      find_manager(state.identities(), name))
    return name_taken("agent", name);
  return std::nullopt;
}

Check check_agent(const State& state, std::string_view name,
                  const LocalNames& local) {
  if (auto no = check_local_agent(state, name, local)) return no;
  if (state.barred_node(name)) return unknown_node(state, name);
  const Node* node = state.node(name);
  // One that is lost, and whose agent is no member any more, may come back.
  if (!node || (node->lost && node->agent == name)) return std::nullopt;
  return reject(RejectCode::wrong_state, "node_taken",
                fmt::format("node {0} is in the cell already, run by agent "
                            "{1}: choose another name, or take it out first "
                            "(reeve node remove {0})",
                            name, node->agent));
}

Check check_address(std::string_view address) {
  if (auto no = bound("identity_address_bytes_max", "the length of the address",
                      address.size(), identity_address_bytes_max))
    return no;
  const bool plain = std::all_of(address.begin(), address.end(),
                                 [](char c) { return c > ' ' && c < 0x7F; });
  if (plain) return std::nullopt;
  return reject(RejectCode::malformed, "identity_address",
                "an address has no blanks and nothing but ASCII in it: "
                "host:port");
}

Check check_new_identity(const State& state, IdentityRole role,
                         const schema::Join& command, const LocalNames& local) {
  const std::string_view name = text(command.name());
  if (auto no = check_member_name(name)) return no;
  if (auto no = check_address(text(command.address()))) return no;
  if (auto no = check_key(state, text(command.public_key()))) return no;
  if (auto no = check_not_member(state, role, name)) return no;
  const auto own = [&]() -> Check {
    switch (role) {
      case IdentityRole::agent: return check_agent(state, name, local);
      case IdentityRole::manager:
        return check_new_manager(state, name, text(command.address()), local);
      case IdentityRole::user: return check_user(state, name);
    }
    return check_role(role);
  };
  if (auto no = own()) return no;
  const std::size_t count = state.identities().all().size();
  if (count < identities_max) return std::nullopt;
  return reject(RejectCode::over_limit, "identities_max",
                fmt::format("{} members have joined the cell, its bound: take "
                            "one out first (reeve members remove NAME)",
                            count),
                identities_max, count);
}

// "reeve token create --role agent", for those who need another.
std::string another(const Token& token) {
  return fmt::format(
      "ask an admin for a new one (reeve token create --role "
      "{})",
      schema::EnumNameIdentityRole(token.role));
}

Check check_token(const Token& token, std::string_view name, Time now) {
  const auto no = [&](const char* rule, std::string what) {
    return reject(
        RejectCode::wrong_state, rule,
        fmt::format("token {} {}: {}", token.id, what, another(token)));
  };
  if (token.revoked_at.value != 0)
    return no("token_revoked",
              "was revoked at " + schema::rfc3339(token.revoked_at.value));
  if (token.used_up())
    return no("token_used_up",
              fmt::format("was used up by {} at {}", token.last_used_by,
                          schema::rfc3339(token.last_used_at.value)));
  if (token.expires_at <= now)
    return no("token_expired",
              "expired at " + schema::rfc3339(token.expires_at.value));
  if (!token.name.empty() && token.name != name)
    return no("token_name",
              fmt::format("is for {} alone, not for {}", token.name,
                          name.substr(0, identity_name_bytes_max)));
  return std::nullopt;
}

// Who asks as something else has a token that was changed. It is not used up:
// what its host would be is not what the cell would have of it.
Check check_told_role(const Token& token, const schema::Join& command) {
  const char* role = schema::EnumNameIdentityRole(token.role);
  if (!command.role() || text(command.role()) == role) return std::nullopt;
  return reject(
      RejectCode::wrong_state, "token_role",
      fmt::format("token {} is for one more {}, and its text says something "
                  "else: it was changed; {}",
                  token.id, role, another(token)));
}

bool is_same_join(const Identity* known, const Token& token,
                  const schema::Join& command) {
  return known && known->token == token.id &&
         known->public_key == text(command.public_key());
}

Check check_create(const State& state, const schema::CreateToken& command,
                   const LocalNames& local, Time now) {
  if (auto no = check_role(command.role())) return no;
  const std::string_view name = text(command.name());
  if (!name.empty())
    if (auto no = check_member_name(name)) return no;
  if (!name.empty() && command.role() == IdentityRole::user)
    if (auto no = check_user(state, name)) return no;
  // What else is in the way of a node's name may be gone when it joins.
  if (command.role() == IdentityRole::agent)
    if (auto no = check_local_agent(state, name, local)) return no;
  if (auto no = check_key(state, text(command.public_key()))) return no;
  const std::uint64_t lasts_ns = command.expires_ns();
  if (auto no = bound_time("token_ns_max", "the time until it expires",
                           lasts_ns, token_ns_max))
    return no;
  if (lasts_ns < token_ns_min)
    return reject(
        RejectCode::over_limit, "token_ns_min",
        fmt::format("the time until it expires is {}; at least {} is "
                    "needed",
                    format_duration(lasts_ns), format_duration(token_ns_min)),
        token_ns_min, lasts_ns);
  if (command.uses() == 0)
    return reject(RejectCode::malformed, "token_uses",
                  "a token of no uses lets nobody in: give it 1 or more");
  if (auto no = bound("token_uses_max", "the number of uses", command.uses(),
                      token_uses_max))
    return no;
  const std::size_t kept = state.identities().tokens_kept(now);
  if (kept < tokens_max) return std::nullopt;
  return reject(RejectCode::over_limit, "tokens_max",
                fmt::format("the cell has {} tokens, its bound: one goes {} "
                            "after it was used up, revoked or has expired",
                            kept, format_duration(token_kept_ns)),
                tokens_max, kept);
}

std::size_t sessions_held(const State& state, std::string_view agent) {
  std::set<SessionId> sessions;
  for (const Node& node : state.nodes())
    if (node.agent == agent && !node.removed)
      sessions.insert(node.holders.begin(), node.holders.end());
  return sessions.size();
}

// Removed and let back in at once: an agent that left may come again.
void write_nodes_left(const State& state, std::string_view agent,
                      EventWriter& writer) {
  auto& builder = writer.builder();
  for (const Node& node : state.nodes()) {
    if (node.agent != agent || node.removed) continue;
    if (!node.holders.empty()) {
      if (!node.lost)
        writer.add(schema::CreateNodeLost(builder, node.id.value), Sequence{});
      continue;
    }
    const Sequence removed = writer.add(
        schema::CreateNodeRemoved(builder, node.id.value), Sequence{});
    writer.add(schema::CreateNodeResumed(builder, node.id.value), removed);
  }
}

Rejection unknown_identity(std::string_view principal) {
  return reject(RejectCode::not_found, "identity_unknown",
                fmt::format("no member '{}' has joined the cell (reeve members "
                            "lists them)",
                            principal));
}

}  // namespace

void write_identity_removed(const State& state, std::string_view principal,
                            std::string_view reason, Sequence cause,
                            EventWriter& writer) {
  const Identity* known = state.identities().find(principal);
  if (!known) return;
  auto& builder = writer.builder();
  const auto name = builder.CreateString(known->principal);
  const auto why = build_text(builder, reason);
  writer.add(schema::CreateIdentityRemoved(builder, name, why), cause);
}

Check check_principal(const State& state, std::string_view principal,
                      const std::vector<std::string>& local_agents) {
  const Identities& members = state.identities();
  if (principal == state.owner() || members.find(principal) ||
      token_of(principal))
    return std::nullopt;
  const auto agent = agent_of(principal);
  if (agent && (members.find(principal_of(IdentityRole::manager, *agent)) ||
                std::find(local_agents.begin(), local_agents.end(), *agent) !=
                    local_agents.end()))
    return std::nullopt;
  // Who keeps the cell alone has the only bus server, and tells it.
  if (managers_of(members).size() < 2) return std::nullopt;
  return reject(
      RejectCode::forbidden, "not_a_member",
      fmt::format("{} is no member of the cell, or not any more: run \"reeve "
                  "leave\" on its host, and join again by a new token (reeve "
                  "token create --role {}) in an empty directory",
                  principal, agent ? "agent" : "user"));
}

Decision decide_create_token(const State& state,
                             const schema::CreateToken& command,
                             const LocalNames& local, const Origin& origin,
                             EventWriter& writer) {
  if (auto no = check_create(state, command, local, origin.now))
    return tl::unexpected(std::move(*no));
  writer.begin(origin);
  auto& builder = writer.builder();
  const auto key = build_text(builder, text(command.public_key()));
  const auto name = build_text(builder, text(command.name()));
  return Accepted{
      writer.add(
          schema::CreateTokenCreated(
              builder, state.identities().next_token(), command.role(), key,
              origin.now.value + command.expires_ns(), command.uses(), name),
          Sequence{}),
      {}};
}

Decision decide_revoke_token(const State& state,
                             const schema::RevokeToken& command,
                             const Origin& origin, EventWriter& writer) {
  const Token* token = state.identities().token(command.token());
  if (!token)
    return tl::unexpected(
        reject(RejectCode::not_found, "token_unknown",
               fmt::format("there is no token {} (reeve token list shows those "
                           "that are kept)",
                           command.token())));
  if (token->revoked_at.value != 0) return Accepted{state.last_sequence(), {}};
  writer.begin(origin);
  return Accepted{
      writer.add(schema::CreateTokenRevoked(writer.builder(), token->id),
                 Sequence{}),
      {}};
}

Decision decide_remove_identity(const State& state,
                                const schema::RemoveIdentity& command,
                                const Origin& origin, EventWriter& writer) {
  const std::string_view principal = text(command.principal());
  if (auto no = bound("identity_reason_bytes_max", "the length of the reason",
                      text(command.reason()).size(), identity_reason_bytes_max))
    return tl::unexpected(std::move(*no));
  if (!state.identities().find(principal))
    return tl::unexpected(unknown_identity(principal));
  writer.begin(origin);
  const Sequence first = writer.next();
  write_identity_removed(state, principal, text(command.reason()), Sequence{},
                         writer);
  return Accepted{first, {}};
}

Decision decide_join(const State& state, const schema::Join& command,
                     const LocalNames& local, const Origin& origin,
                     EventWriter& writer) {
  const auto id = token_of(origin.principal);
  if (!id)
    return tl::unexpected(
        reject(RejectCode::forbidden, "not_a_token",
               fmt::format("{} joins nothing: a member joins with a token that "
                           "an admin made (reeve token create)",
                           origin.principal)));
  const Token* token = state.identities().token(*id);
  if (!token)
    return tl::unexpected(
        reject(RejectCode::not_found, "token_unknown",
               fmt::format("token {} is not known, or was over long ago: ask "
                           "an admin for a new one (reeve token create)",
                           *id)));
  if (auto no = check_told_role(*token, command))
    return tl::unexpected(std::move(*no));
  const std::string_view name = text(command.name());
  const std::string principal = principal_of(token->role, name);
  if (is_same_join(state.identities().find(principal), *token, command))
    return Accepted{state.last_sequence(), {}};
  if (auto no = check_token(*token, name, origin.now))
    return tl::unexpected(std::move(*no));
  if (auto no = check_new_identity(state, token->role, command, local))
    return tl::unexpected(std::move(*no));
  writer.begin(origin);
  auto& builder = writer.builder();
  const auto who = builder.CreateString(principal);
  const auto key = build_text(builder, text(command.public_key()));
  const auto name_text = build_text(builder, name);
  const auto address = build_text(builder, text(command.address()));
  return Accepted{
      writer.add(schema::CreateIdentityAdded(builder, who, token->role, key,
                                             token->id, name_text, address),
                 Sequence{}),
      {}};
}

Decision decide_leave(const State& state, const schema::Leave& command,
                      const Origin& origin, EventWriter& writer) {
  const Identity* known = state.identities().find(origin.principal);
  if (!known) return tl::unexpected(unknown_identity(origin.principal));
  if (known->role == IdentityRole::manager)
    return tl::unexpected(
        reject(RejectCode::wrong_state, "manager_leaves",
               fmt::format("{0} is a manager: an admin takes it out (reeve "
                           "members remove {0})",
                           known->name)));
  const bool agent = known->role == IdentityRole::agent;
  const std::size_t held = agent ? sessions_held(state, known->name) : 0;
  if (held > 0 && !command.force())
    return tl::unexpected(
        reject(RejectCode::wrong_state, "agent_in_use",
               fmt::format("nodes of agent {0} hold {1}: drain them first "
                           "(reeve node drain {0} --deadline 1h) and wait, or "
                           "leave with --force, by which they are lost here",
                           known->name, counted(held, "session")),
               0, held));
  writer.begin(origin);
  const Sequence first = writer.next();
  if (agent) write_nodes_left(state, known->name, writer);
  write_identity_removed(state, origin.principal, "it left", Sequence{},
                         writer);
  return Accepted{first, {}};
}

}  // namespace reeve::cluster
