// Managers join a cell and are taken out of it while it runs.
#include <boost/test/unit_test.hpp>

#include "cluster/decide_manager.hpp"
#include "cluster/testing.hpp"

namespace manager_test {

using namespace reeve;
using namespace reeve::cluster;
using namespace reeve::cluster::testing;

namespace {

// m0 leads a cell of m0, m1 and m2, whom its settings named.
struct Managers : Cell {
  ManagersNow now_heard{true, "m0", {"m1", "m2"}};

  Managers() { name({{"m0", "10.0.0.10"}, {"m1", "h1"}, {"m2", "h2"}}); }

  void name(const std::vector<std::pair<std::string, std::string>>& settings) {
    decide_managers(state, settings, origin(), writer);
    settle();
  }
  std::string joins(const std::string& name, const std::string& address) {
    create_token({.role = IdentityRole::manager});
    JoinOptions options;
    options.token = state.identities().next_token() - 1;
    options.name = name;
    options.key = key_of("manager " + name);
    options.address = address;
    return verdict(join(options));
  }
  Decision removal(std::string_view named) {
    flatbuffers::FlatBufferBuilder builder;
    builder.Finish(schema::CreateRemoveIdentityDirect(
        builder, std::string(named).c_str(), "its disk is lost"));
    auto decision =
        decide_remove_manager(state,
                              *flatbuffers::GetRoot<schema::RemoveIdentity>(
                                  builder.GetBufferPointer()),
                              now_heard, origin("root"), writer);
    settle();
    return decision;
  }
  std::string names() const {
    std::string out;
    for (const ManagerIdentity& one : managers_of(state.identities()))
      out += (out.empty() ? "" : " ") + bus_server_of(one.name, one.token) +
             "=" + one.address;
    return out;
  }
};

}  // namespace

BOOST_FIXTURE_TEST_SUITE(managers, Managers)

BOOST_AUTO_TEST_CASE(those_of_the_settings_are_in_the_log_once) {
  BOOST_TEST(names() == "m0=10.0.0.10 m1=h1 m2=h2");
  BOOST_TEST(kinds == "IdentityAdded IdentityAdded IdentityAdded");
  const Sequence before = state.last_sequence();
  name({{"m7", "h7"}});
  BOOST_TEST((state.last_sequence() == before));
  BOOST_TEST(state.check_invariants().has_value());
  // Their servers know their keys: the bus is told of none.
  BOOST_TEST(state.identities().for_bus().empty());
  const auto copy = State::decode_snapshot(state.encode_snapshot());
  BOOST_REQUIRE(copy);
  BOOST_TEST(copy->digest_hex() == state.digest_hex());
}

BOOST_AUTO_TEST_CASE(one_joins_by_a_token_with_its_address) {
  BOOST_TEST(joins("m3", "h3") == "accepted");
  BOOST_TEST(names() == "m0=10.0.0.10 m1=h1 m2=h2 m3#1=h3");
  BOOST_TEST(state.identities().for_bus().size() == 2u);  // and the token
}

BOOST_AUTO_TEST_CASE(addresses_that_no_server_can_be_told_are_refused) {
  for (const char* address : {"", "h3:4222", "a b", "-h", "h\"3", "h/3"})
    BOOST_TEST_CONTEXT(address)
  BOOST_TEST(joins("m3", address) == "malformed identity_address 0 0");
  BOOST_TEST(joins("m3", "h1") == "wrong_state address_taken 0 0");
}

BOOST_AUTO_TEST_CASE(names_that_somebody_has_are_refused) {
  BOOST_TEST(joins("m0", "h3") == "wrong_state identity_taken 0 0");
  BOOST_TEST(joins("m1", "h3") == "wrong_state identity_taken 0 0");
  create_token();
  JoinOptions agent;
  agent.token = state.identities().next_token() - 1;
  agent.name = "n7";
  BOOST_TEST(verdict(join(agent)) == "accepted");
  BOOST_TEST(joins("n7", "h3") == "wrong_state identity_taken 0 0");
  create_token();
  agent.token = state.identities().next_token() - 1;
  agent.name = "m1";
  BOOST_TEST(verdict(join(agent)) == "wrong_state identity_taken 0 0");
}

BOOST_AUTO_TEST_CASE(no_more_than_managers_max_join) {
  BOOST_TEST(joins("m3", "h3") == "accepted");
  BOOST_TEST(joins("m4", "h4") == "accepted");
  BOOST_TEST(managers_of(state.identities()).size() == managers_max);
  BOOST_TEST(joins("m5", "h5") == "over_limit managers_max 5 5");
}

BOOST_AUTO_TEST_CASE(one_that_is_lost_is_removed_by_its_name) {
  now_heard.living = {"m1"};
  BOOST_TEST(verdict(removal("m2")) == "accepted");
  BOOST_TEST(kinds == "IdentityRemoved");
  BOOST_TEST(names() == "m0=10.0.0.10 m1=h1");
  BOOST_TEST(verdict(removal("m2")) == "not_found identity_unknown 0 0");
  // It comes back as another server.
  BOOST_TEST(joins("m2", "h2") == "accepted");
  BOOST_TEST(names() == "m0=10.0.0.10 m1=h1 m2#1=h2");
  BOOST_TEST(verdict(removal("manager-m2")) == "accepted");
}

BOOST_AUTO_TEST_CASE(whom_the_majority_of_the_rest_needs_stays) {
  // Of m0 and m1, which would be left, both are needed.
  now_heard.living = {"m2"};
  BOOST_TEST(verdict(removal("m2")) == "wrong_state managers_majority 2 1");
  BOOST_TEST(verdict(removal("m1")) == "accepted");
}

BOOST_AUTO_TEST_CASE(whoever_was_taken_out_does_not_count_as_living) {
  BOOST_TEST(joins("m3", "h3") == "accepted");
  now_heard.living = {"m2", "gone"};
  BOOST_TEST(verdict(removal("m2")) == "wrong_state managers_majority 2 1");
}

BOOST_AUTO_TEST_CASE(the_leader_and_the_last_two_stay) {
  BOOST_TEST(verdict(removal("m0")) == "wrong_state manager_leads 0 0");
  now_heard.living = {"m1"};
  BOOST_TEST(verdict(removal("m2")) == "accepted");
  BOOST_TEST(verdict(removal("m1")) == "wrong_state managers_min 2 1");
}

BOOST_AUTO_TEST_CASE(one_that_never_came_is_removed_by_whoever_is_alone) {
  now_heard = {false, "m0", {}};
  BOOST_TEST(verdict(removal("m1")) == "accepted");
  BOOST_TEST(verdict(removal("m2")) == "accepted");
  BOOST_TEST(verdict(removal("m0")) == "wrong_state manager_leads 0 0");
}

BOOST_AUTO_TEST_CASE(a_manager_does_not_leave_by_itself) {
  BOOST_TEST(verdict(leave("manager-m1")) == "wrong_state manager_leaves 0 0");
}

BOOST_AUTO_TEST_CASE(most_of_so_many_are_needed) {
  const std::size_t needed[] = {1, 2, 2, 3, 3};
  for (std::size_t n = 1; n <= managers_max; ++n)
    BOOST_TEST(majority_of(n) == needed[n - 1]);
}

BOOST_AUTO_TEST_SUITE_END()

BOOST_FIXTURE_TEST_SUITE(one_manager, Cell)

BOOST_AUTO_TEST_CASE(a_cell_that_is_not_set_up_for_several_takes_no_manager) {
  create_token({.role = IdentityRole::manager});
  JoinOptions options;
  options.name = "m2";
  options.address = "h2";
  BOOST_TEST(verdict(join(options)) == "wrong_state one_manager 0 0");
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace manager_test
