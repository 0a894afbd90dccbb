#include "cluster/identities/identities.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <set>

#include "schema/wire.hpp"

namespace reeve::cluster {
namespace {

using schema::text;

constexpr std::string_view agent_prefix = "agent-";
constexpr std::string_view manager_prefix = "manager-";
constexpr std::string_view token_prefix = "token-";

flatbuffers::Offset<flatbuffers::String> build(
    flatbuffers::FlatBufferBuilder& builder, const std::string& value) {
  return value.empty() ? 0 : builder.CreateString(value);
}

Status contradiction(std::string what) {
  return fail(Errc::damaged, std::move(what));
}

Status broken(std::string what) {
  return fail(Errc::internal, "broken invariant: " + std::move(what));
}

}  // namespace

Time Token::over_at() const {
  Time over = expires_at;
  if (used_up()) over = std::min(over, last_used_at);
  if (revoked_at.value != 0) over = std::min(over, revoked_at);
  return over;
}

std::string principal_of(IdentityRole role, std::string_view name) {
  switch (role) {
    case IdentityRole::agent: return fmt::format("{}{}", agent_prefix, name);
    case IdentityRole::manager:
      return fmt::format("{}{}", manager_prefix, name);
    case IdentityRole::user: break;
  }
  return std::string(name);
}

std::string token_principal(std::uint64_t token) {
  return fmt::format("{}{}", token_prefix, token);
}

std::optional<std::uint64_t> token_of(std::string_view principal) {
  if (!principal.starts_with(token_prefix)) return std::nullopt;
  const std::string_view digits = principal.substr(token_prefix.size());
  std::uint64_t id = 0;
  const char* end = digits.data() + digits.size();
  const auto [at, error] = std::from_chars(digits.data(), end, id);
  // One number has one principal.
  if (error != std::errc() || at != end || token_principal(id) != principal)
    return std::nullopt;
  return id;
}

std::optional<std::string_view> agent_of(std::string_view principal) {
  if (!principal.starts_with(agent_prefix)) return std::nullopt;
  return principal.substr(agent_prefix.size());
}

bool is_reserved_principal(std::string_view name) {
  return name == "reeved" || name.starts_with(agent_prefix) ||
         name.starts_with(manager_prefix) || name.starts_with(token_prefix);
}

const Token* Identities::token(std::uint64_t id) const {
  const auto found = tokens_.find(id);
  return found == tokens_.end() ? nullptr : &found->second;
}

const Identity* Identities::find(std::string_view principal) const {
  const auto found = by_principal_.find(principal);
  return found == by_principal_.end() ? nullptr : &found->second;
}

const Token* Identities::token_made_at(Sequence created) const {
  const auto found = std::ranges::find_if(tokens_, [&](const auto& one) {
    return one.second.created_seq == created;
  });
  return found == tokens_.end() ? nullptr : &found->second;
}

std::size_t Identities::tokens_kept(Time now) const {
  return static_cast<std::size_t>(std::ranges::count_if(
      tokens_, [&](const auto& one) { return one.second.is_kept(now); }));
}

std::optional<std::string> Identities::holder_of(
    std::string_view public_key) const {
  for (const auto& [principal, identity] : by_principal_)
    if (identity.public_key == public_key) return principal;
  for (const auto& [id, token] : tokens_)
    if (token.public_key == public_key) return token_principal(id);
  return std::nullopt;
}

std::vector<BusIdentity> Identities::for_bus() const {
  std::vector<BusIdentity> out;
  out.reserve(by_principal_.size() + tokens_.size());
  for (const auto& [principal, identity] : by_principal_) {
    // A manager that the settings named (cluster/identities/managers.hpp).
    if (identity.public_key.empty()) continue;
    switch (identity.role) {
      case IdentityRole::agent:
        out.push_back(
            {principal, BusRole::agent, identity.public_key, identity.name});
        break;
      case IdentityRole::manager:
        out.push_back(
            {principal, BusRole::manager, identity.public_key, identity.name});
        break;
      case IdentityRole::user:
        out.push_back({principal, BusRole::user, identity.public_key, {}});
        break;
    }
  }
  for (const auto& [id, token] : tokens_)
    out.push_back({token_principal(id), BusRole::token, token.public_key, {}});
  return out;
}

// ---- events

Status Identities::apply(const schema::Event& event) {
  if (const auto* body = event.body_as_TokenCreated())
    return created(event, *body);
  if (const auto* body = event.body_as_IdentityAdded())
    return added(event, *body);
  if (const auto* body = event.body_as_TokenRevoked()) {
    const auto found = tokens_.find(body->token());
    if (found == tokens_.end()) return contradiction("there is no such token");
    found->second.revoked_at = Time{event.time_at()};
    return {};
  }
  if (const auto* body = event.body_as_IdentityRemoved())
    if (by_principal_.erase(body->principal()->str()) == 0)
      return contradiction("there is no such identity");
  return {};
}

Status Identities::created(const schema::Event& event,
                           const schema::TokenCreated& body) {
  if (body.token() != next_token())
    return contradiction(
        fmt::format("token {} is made, but the next new one is {}",
                    body.token(), next_token()));
  const Time now{event.time_at()};
  std::erase_if(tokens_,
                [&](const auto& one) { return !one.second.is_kept(now); });
  last_token_ = body.token();
  Token token;
  token.id = body.token();
  token.role = body.role();
  token.public_key = text(body.public_key());
  token.created_seq = Sequence{event.seq()};
  token.created_at = now;
  token.created_by = text(event.principal());
  token.expires_at = Time{body.expires_at()};
  token.uses = body.uses();
  token.name = text(body.name());
  tokens_.emplace(token.id, std::move(token));
  return {};
}

Status Identities::added(const schema::Event& event,
                         const schema::IdentityAdded& body) {
  const Time now{event.time_at()};
  Identity identity;
  identity.principal = text(body.principal());
  identity.role = body.role();
  identity.public_key = text(body.public_key());
  identity.token = body.token();
  identity.name = text(body.name());
  identity.address = text(body.address());
  identity.added_at = now;
  if (by_principal_.contains(identity.principal))
    return contradiction("that identity is there already");
  if (const auto token = tokens_.find(body.token()); token != tokens_.end()) {
    ++token->second.used;
    token->second.last_used_by = identity.name;
    token->second.last_used_at = now;
  }
  std::string principal = identity.principal;
  by_principal_.emplace(std::move(principal), std::move(identity));
  return {};
}

// ---- snapshots

void Identities::restore(const schema::TokenRecord& record) {
  Token token;
  token.id = record.token();
  token.role = record.role();
  token.public_key = text(record.public_key());
  token.created_seq = Sequence{record.created_seq()};
  token.created_at = Time{record.created_at()};
  token.created_by = text(record.created_by());
  token.expires_at = Time{record.expires_at()};
  token.uses = record.uses();
  token.name = text(record.name());
  token.used = record.used();
  token.last_used_by = text(record.last_used_by());
  token.last_used_at = Time{record.last_used_at()};
  token.revoked_at = Time{record.revoked_at()};
  tokens_.insert_or_assign(token.id, std::move(token));
}

void Identities::restore(const schema::IdentityRecord& record) {
  Identity identity;
  identity.principal = text(record.principal());
  identity.role = record.role();
  identity.public_key = text(record.public_key());
  identity.token = record.token();
  identity.name = text(record.name());
  identity.address = text(record.address());
  identity.added_at = Time{record.added_at()};
  std::string principal = identity.principal;
  by_principal_.insert_or_assign(std::move(principal), std::move(identity));
}

flatbuffers::Offset<schema::TokenRecord> build_token(
    flatbuffers::FlatBufferBuilder& builder, const Token& token) {
  const auto key = builder.CreateString(token.public_key);
  const auto by = build(builder, token.created_by);
  const auto name = build(builder, token.name);
  const auto last = build(builder, token.last_used_by);
  return schema::CreateTokenRecord(
      builder, token.id, token.role, key, token.created_seq.value,
      token.created_at.value, by, token.expires_at.value, token.uses, name,
      token.used, last, token.last_used_at.value, token.revoked_at.value);
}

flatbuffers::Offset<schema::IdentityRecord> build_identity(
    flatbuffers::FlatBufferBuilder& builder, const Identity& identity) {
  const auto principal = builder.CreateString(identity.principal);
  const auto key = builder.CreateString(identity.public_key);
  const auto name = build(builder, identity.name);
  const auto address = build(builder, identity.address);
  return schema::CreateIdentityRecord(builder, principal, identity.role, key,
                                      identity.token, name, address,
                                      identity.added_at.value);
}

Status Identities::check() const {
  std::set<std::string_view> keys;
  for (const auto& [id, token] : tokens_) {
    if (id > last_token_)
      return broken(
          fmt::format("token {} is there, the newest is {}", id, last_token_));
    if (token.used > token.uses)
      return broken(fmt::format("token {} was used {} times of {}", id,
                                token.used, token.uses));
    if (!keys.insert(token.public_key).second)
      return broken(fmt::format("token {} has the key of another", id));
  }
  for (const auto& [principal, identity] : by_principal_) {
    if (principal != principal_of(identity.role, identity.name))
      return broken(
          fmt::format("{} is the principal of {}", principal, identity.name));
    if (identity.public_key.empty()) {
      if (identity.role == IdentityRole::manager && identity.token == 0)
        continue;
      return broken(fmt::format("{} has no key", principal));
    }
    if (!keys.insert(identity.public_key).second)
      return broken(fmt::format("{} has the key of another", principal));
  }
  return {};
}

}  // namespace reeve::cluster
