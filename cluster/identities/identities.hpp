// Who may connect to the cell's bus: members that joined, and the tokens that
// let them. Kept by the state. A principal is a name on the bus: `agent-n1`,
// `manager-m2`, `token-7`, or of a user its name.
//
// Not here: the processes of the managers' own hosts, to whom their manager
// hands credentials itself.
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "cluster/error.hpp"
#include "cluster/types.hpp"
#include "schema/event_generated.h"

namespace reeve::cluster {

using schema::IdentityRole;

// A token that is over is remembered for so long, so that who comes with it is
// told why it lets nobody in. It goes when another is made.
inline constexpr std::uint64_t token_kept_ns = 7ull * 24 * 3600 * second_ns;

struct Token {
  std::uint64_t id = 0;
  IdentityRole role = IdentityRole::agent;
  std::string public_key;
  Sequence created_seq;
  Time created_at;
  std::string created_by;
  Time expires_at;
  std::uint32_t uses = 0;
  std::string name;  // of the only one who may join by it; empty: anyone
  std::uint32_t used = 0;
  std::string last_used_by;  // the name of who joined last
  Time last_used_at;
  Time revoked_at;

  bool used_up() const { return used >= uses; }
  // The first moment at which it let nobody in any more, as known by now.
  Time over_at() const;
  bool is_kept(Time now) const {
    return now.value < token_kept_ns ||
           over_at().value > now.value - token_kept_ns;
  }
};

struct Identity {
  std::string principal;
  IdentityRole role = IdentityRole::agent;
  std::string public_key;
  std::uint64_t token = 0;
  std::string name;
  std::string address;  // empty: it has none
  Time added_at;
};

// One who may connect, as the bus has to know it.
enum class BusRole : std::uint8_t { agent, manager, user, token };
struct BusIdentity {
  std::string principal;
  BusRole role = BusRole::user;
  std::string public_key;
  std::string name;  // of an agent or manager its own; else empty

  bool operator==(const BusIdentity&) const = default;
};

std::string principal_of(IdentityRole role, std::string_view name);
std::string token_principal(std::uint64_t token);
// The number in the principal of a token; nothing for any other principal.
std::optional<std::uint64_t> token_of(std::string_view principal);
// The name in the principal of an agent; nothing for any other principal.
std::optional<std::string_view> agent_of(std::string_view principal);
// Whether the bus gives such a name to others than users: no user has it.
bool is_reserved_principal(std::string_view name);

class Identities {
 public:
  using Tokens = std::map<std::uint64_t, Token>;
  using ByPrincipal = std::map<std::string, Identity, std::less<>>;

  // Takes in events about tokens and identities only. Errors: what it says
  // contradicts what is known.
  Status apply(const schema::Event& event);

  std::uint64_t next_token() const { return last_token_ + 1; }
  // By number. Some of them are over.
  const Tokens& tokens() const { return tokens_; }
  const ByPrincipal& all() const { return by_principal_; }
  // Null where there is none (any more).
  const Token* token(std::uint64_t id) const;
  const Identity* find(std::string_view principal) const;
  // Made by the event at `created`; null: that is not kept.
  const Token* token_made_at(Sequence created) const;
  // Tokens that would be kept if one were made at `now`.
  std::size_t tokens_kept(Time now) const;
  // Whose key it is; nothing: nobody's.
  std::optional<std::string> holder_of(std::string_view public_key) const;

  // All who may connect, tokens last.
  std::vector<BusIdentity> for_bus() const;

  // For a snapshot.
  std::uint64_t last_token() const { return last_token_; }
  void restore(std::uint64_t last_token) { last_token_ = last_token; }
  void restore(const schema::TokenRecord& record);
  void restore(const schema::IdentityRecord& record);

  // One sentence on the first thing that does not hold.
  Status check() const;

 private:
  Status created(const schema::Event& event, const schema::TokenCreated& body);
  Status added(const schema::Event& event, const schema::IdentityAdded& body);

  std::uint64_t last_token_ = 0;
  Tokens tokens_;
  ByPrincipal by_principal_;
};

flatbuffers::Offset<schema::TokenRecord> build_token(
    flatbuffers::FlatBufferBuilder& builder, const Token& token);
flatbuffers::Offset<schema::IdentityRecord> build_identity(
    flatbuffers::FlatBufferBuilder& builder, const Identity& identity);

}  // namespace reeve::cluster
