// Who may connect, as a fold: what tokens and members come to.
#include "cluster/identities/identities.hpp"

#include <boost/test/unit_test.hpp>
#include <functional>

#include "schema/wire.hpp"

namespace identities_test {

using namespace reeve;
using namespace reeve::cluster;

namespace {

using Builder = flatbuffers::FlatBufferBuilder;

struct Fold {
  Identities identities;
  std::uint64_t seq = 0;
  Time now{1'000 * hour_ns};

  template <class Body>
  Status apply(const std::function<flatbuffers::Offset<Body>(Builder&)>& make) {
    Builder builder;
    const auto body = make(builder);
    const auto by = builder.CreateString("root");
    builder.Finish(schema::CreateEvent(
        builder, ++seq, now.value, 1, 0, nullptr, by,
        schema::EventBodyTraits<Body>::enum_value, body.Union()));
    return identities.apply(
        *flatbuffers::GetRoot<schema::Event>(builder.GetBufferPointer()));
  }

  Status create(std::uint64_t id, std::uint32_t uses = 1) {
    return apply<schema::TokenCreated>([&](Builder& b) {
      const std::string key = "key of " + token_principal(id);
      return schema::CreateTokenCreatedDirect(
          b, id, IdentityRole::agent, key.c_str(), now.value + hour_ns, uses);
    });
  }
  Status revoke(std::uint64_t id) {
    return apply<schema::TokenRevoked>(
        [&](Builder& b) { return schema::CreateTokenRevoked(b, id); });
  }
  Status add(const std::string& name, std::uint64_t token = 1,
             IdentityRole role = IdentityRole::agent) {
    return apply<schema::IdentityAdded>([&](Builder& b) {
      return schema::CreateIdentityAddedDirect(
          b, principal_of(role, name).c_str(), role, ("key of " + name).c_str(),
          token, name.c_str(), "10.0.0.1:7000");
    });
  }
  Status remove(const std::string& principal) {
    return apply<schema::IdentityRemoved>([&](Builder& b) {
      return schema::CreateIdentityRemovedDirect(b, principal.c_str());
    });
  }

  // As a snapshot keeps it.
  Identities copied() const {
    Identities out;
    out.restore(identities.last_token());
    Builder builder;
    for (const auto& [id, token] : identities.tokens()) {
      builder.Clear();
      builder.Finish(build_token(builder, token));
      out.restore(*flatbuffers::GetRoot<schema::TokenRecord>(
          builder.GetBufferPointer()));
    }
    for (const auto& [principal, identity] : identities.all()) {
      builder.Clear();
      builder.Finish(build_identity(builder, identity));
      out.restore(*flatbuffers::GetRoot<schema::IdentityRecord>(
          builder.GetBufferPointer()));
    }
    return out;
  }
};

}  // namespace

BOOST_FIXTURE_TEST_SUITE(identities_fold, Fold)

BOOST_AUTO_TEST_CASE(a_role_and_a_name_make_a_principal) {
  BOOST_TEST(principal_of(IdentityRole::agent, "n1") == "agent-n1");
  BOOST_TEST(principal_of(IdentityRole::manager, "m2") == "manager-m2");
  BOOST_TEST(principal_of(IdentityRole::user, "ann") == "ann");
  BOOST_TEST(token_principal(7) == "token-7");
}

BOOST_AUTO_TEST_CASE(only_the_principal_of_a_token_has_its_number) {
  BOOST_TEST(token_of("token-7").value_or(0) == 7u);
  BOOST_TEST(token_of("token-18446744073709551615").has_value());
  for (const char* other :
       {"token-", "token-07", "token-7x", "token-+7", "token--7", "Token-7",
        "agent-7", "7", "", "token-18446744073709551616"})
    BOOST_TEST(!token_of(other).has_value(), other);
}

BOOST_AUTO_TEST_CASE(only_the_principal_of_an_agent_has_its_name) {
  BOOST_TEST(agent_of("agent-n1").value_or("") == "n1");
  BOOST_TEST(agent_of("agent-agent-1").value_or("") == "agent-1");
  for (const char* other : {"manager-n1", "agent", "n1", "Agent-n1", ""})
    BOOST_TEST(!agent_of(other).has_value(), other);
}

BOOST_AUTO_TEST_CASE(no_user_has_a_name_that_the_bus_gives_to_others) {
  for (const char* name :
       {"reeved", "agent-n1", "agent-", "manager-m", "token-x"})
    BOOST_TEST(is_reserved_principal(name), name);
  for (const char* name : {"ann", "agent", "agents-1", "tokens", "root"})
    BOOST_TEST(!is_reserved_principal(name), name);
}

BOOST_AUTO_TEST_CASE(a_token_counts_who_joined_by_it) {
  BOOST_REQUIRE(create(1, 2));
  BOOST_TEST(identities.token(1)->created_by == "root");
  BOOST_TEST((identities.token_made_at(Sequence{1}) == identities.token(1)));
  BOOST_TEST(!identities.token_made_at(Sequence{2}));
  now.value += second_ns;
  BOOST_REQUIRE(add("n1"));
  const Token& token = *identities.token(1);
  BOOST_TEST(token.used == 1u);
  BOOST_TEST(token.last_used_by == "n1");
  BOOST_TEST((token.last_used_at == now));
  BOOST_TEST(!token.used_up());
  BOOST_TEST((token.over_at() == token.expires_at));
  BOOST_REQUIRE(add("n2"));
  BOOST_TEST(token.used_up());
  BOOST_TEST((token.over_at() == now));
  BOOST_TEST(identities.check().has_value());
}

BOOST_AUTO_TEST_CASE(a_token_that_is_over_for_a_week_goes_with_the_next) {
  BOOST_REQUIRE(create(1));  // expires
  BOOST_REQUIRE(create(2));  // is revoked
  BOOST_REQUIRE(create(3));  // is used up
  BOOST_REQUIRE(create(4));  // expires later than those
  BOOST_REQUIRE(revoke(2));
  BOOST_REQUIRE(add("n3", 3));
  now.value += token_kept_ns;
  BOOST_TEST(identities.tokens_kept(now) == 2u);
  BOOST_TEST(identities.tokens().size() == 4u);
  BOOST_REQUIRE(create(5));
  BOOST_TEST(identities.tokens().size() == 3u);
  BOOST_TEST(!identities.token(2));
  BOOST_TEST(!identities.token(3));
  now.value += hour_ns;
  BOOST_REQUIRE(create(6));
  BOOST_TEST(!identities.token(1));
  BOOST_TEST(!identities.token(4));
  BOOST_TEST(identities.tokens().size() == 2u);
  // Who joined by one that is forgotten stays, and no number is given twice.
  BOOST_TEST(identities.find("agent-n3"));
  BOOST_TEST(identities.next_token() == 7u);
}

BOOST_AUTO_TEST_CASE(the_bus_is_told_members_and_tokens_with_their_keys) {
  BOOST_REQUIRE(create(1, 3));
  BOOST_REQUIRE(add("n1"));
  BOOST_REQUIRE(add("ann", 1, IdentityRole::user));
  BOOST_REQUIRE(add("m2", 1, IdentityRole::manager));
  const std::vector<BusIdentity> wanted = {
      {"agent-n1", BusRole::agent, "key of n1", "n1"},
      {"ann", BusRole::user, "key of ann", ""},
      {"manager-m2", BusRole::manager, "key of m2", "m2"},
      {"token-1", BusRole::token, "key of token-1", ""},
  };
  BOOST_TEST((identities.for_bus() == wanted));
  BOOST_TEST(identities.holder_of("key of n1").value_or("") == "agent-n1");
  BOOST_TEST(identities.holder_of("key of token-1").value_or("") == "token-1");
  BOOST_REQUIRE(remove("agent-n1"));
  BOOST_TEST(identities.for_bus().size() == 3u);
  BOOST_TEST(!identities.holder_of("key of n1").has_value());
}

BOOST_AUTO_TEST_CASE(what_contradicts_is_refused) {
  BOOST_REQUIRE(create(1));
  BOOST_TEST(!create(3).has_value());
  BOOST_TEST(!create(1).has_value());
  BOOST_TEST(!revoke(2).has_value());
  BOOST_TEST(!remove("agent-n1").has_value());
  BOOST_REQUIRE(add("n1"));
  BOOST_TEST(!add("n1").has_value());
}

BOOST_AUTO_TEST_CASE(a_copy_of_its_records_is_the_same) {
  BOOST_REQUIRE(create(1, 2));
  BOOST_REQUIRE(create(2));
  BOOST_REQUIRE(revoke(2));
  BOOST_REQUIRE(add("n1"));
  const Identities copy = copied();
  BOOST_TEST(copy.next_token() == identities.next_token());
  BOOST_TEST((copy.for_bus() == identities.for_bus()));
  const Token& token = *copy.token(1);
  BOOST_TEST(token.used == 1u);
  BOOST_TEST(token.last_used_by == "n1");
  BOOST_TEST((token.created_seq == Sequence{1}));
  BOOST_TEST((token.over_at() == identities.token(1)->over_at()));
  BOOST_TEST((copy.token(2)->revoked_at == now));
  BOOST_TEST(copy.find("agent-n1")->address == "10.0.0.1:7000");
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace identities_test
