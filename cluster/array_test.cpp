// Arrays: many sessions by one command, and where sessions want to be.
#include <boost/test/unit_test.hpp>

#include "cluster/testing.hpp"

namespace array_test {

using namespace reeve;
using namespace reeve::cluster;
using namespace reeve::cluster::testing;

namespace {

struct Fixture : Cell {
  Fixture() { add({.name = "n0", .devices = 4, .labels = {{"rack", "r1"}}}); }

  std::string array_of(std::uint32_t from, std::uint32_t to) {
    return verdict(try_submit_array(one_task(), {from, to}));
  }
};

}  // namespace

BOOST_FIXTURE_TEST_SUITE(arrays, Fixture)

BOOST_AUTO_TEST_CASE(each_index_is_a_session_of_one_decision) {
  submit(one_task());
  Spec spec = one_task();
  spec.array_running_max = 2;
  const auto decision = try_submit_array(spec, {5, 7}, "root", id_of(1));
  BOOST_REQUIRE(decision);
  BOOST_TEST(kinds == "SessionSubmitted SessionSubmitted SessionSubmitted");
  BOOST_TEST(decision->session.value == 2);
  BOOST_TEST(decision->sessions == 3);
  for (std::uint32_t i = 0; i < 3; ++i) {
    const Spec one = state.spec(session(SessionId{2 + i}));
    BOOST_TEST(one.array_session == 2);
    BOOST_TEST(one.array_index == 5 + i);
    BOOST_TEST(one.array_running_max == 2);
  }
  BOOST_TEST(state.array_size(SessionId{2}) == 3);
  BOOST_TEST(state.array_size(SessionId{1}) == 1);
  const auto known = state.answered(id_of(1));
  BOOST_REQUIRE(known);
  BOOST_TEST(known->session.value == 2);
  BOOST_TEST(state.digest_hex() == replayed_digest(*this));
  const auto copy = State::decode_snapshot(state.encode_snapshot());
  BOOST_TEST(copy->digest_hex() == state.digest_hex());
  BOOST_TEST(copy->spec(*copy->session(SessionId{4})).array_index == 7);
}

BOOST_AUTO_TEST_CASE(two_arrays_in_a_row_are_two) {
  BOOST_TEST(array_of(0, 2) == "accepted");
  BOOST_TEST(array_of(0, 3) == "accepted");
  BOOST_TEST(state.array_size(SessionId{1}) == 3);
  BOOST_TEST(state.array_size(SessionId{4}) == 4);
}

BOOST_AUTO_TEST_CASE(a_client_does_not_say_that_a_session_is_of_an_array) {
  Spec spec = one_task();
  spec.array_session = 7;
  spec.array_index = 8;
  spec.array_running_max = 9;
  const Spec kept = state.spec(session(submit(spec)));
  BOOST_TEST(kept.array_session == 0);
  BOOST_TEST(kept.array_index == 0);
  BOOST_TEST(kept.array_running_max == 0);
}

BOOST_AUTO_TEST_CASE(the_size_of_an_array_is_bounded) {
  checks = false;
  BOOST_TEST(array_of(1, array_size_max) == "accepted");
  BOOST_TEST(array_of(1, array_size_max + 1) ==
             "over_limit array_size_max 10000 10001");
  BOOST_TEST(array_of(array_index_max, array_index_max) == "accepted");
  BOOST_TEST(array_of(array_index_max, array_index_max + 1) ==
             "over_limit array_index_max 1000000000 1000000001");
  BOOST_TEST(array_of(0, UINT32_MAX) ==
             "over_limit array_index_max 1000000000 4294967295");
  BOOST_TEST(array_of(3, 2) == "malformed array_range 3 2");
  Spec spec = one_task();
  const std::string word(array_bytes_max / array_size_max, 'x');
  spec.argv = {word};
  BOOST_TEST(verdict(try_submit_array(spec, {1, array_size_max})) ==
             "over_limit array_bytes_max 4194304 4400000");
}

BOOST_AUTO_TEST_CASE(all_of_an_array_have_to_find_room_among_those_that_wait) {
  admission.waiting_max = 5;
  BOOST_TEST(array_of(1, 6) == "try_again sessions_waiting_max 5 0");
  BOOST_TEST(array_of(1, 5) == "accepted");
  BOOST_TEST(array_of(1, 1) == "try_again sessions_waiting_max 5 5");
  BOOST_TEST(state.count(SessionState::pending) == 5);
}

BOOST_AUTO_TEST_CASE(one_or_all_of_an_array_are_cancelled) {
  BOOST_TEST(array_of(1, 4) == "accepted");
  place(SessionId{2}, {"n0"});
  start(SessionId{2});
  BOOST_TEST(cancel(SessionId{1}).has_value());
  BOOST_TEST(kinds == "SessionEnded");
  const auto all = cancel_array(SessionId{1});
  BOOST_REQUIRE(all);
  BOOST_TEST(all->sessions == 4);
  BOOST_TEST(kinds == "SessionStopping SessionEnded SessionEnded");
  exit(SessionId{2}, 0, 143);
  BOOST_TEST(verdict(cancel_array(SessionId{1})) ==
             "wrong_state session_ended 0 0");
  BOOST_TEST(verdict(cancel_array(SessionId{2})) ==
             "not_found array_unknown 0 0");
  BOOST_TEST(verdict(cancel_array(submit(one_task()))) ==
             "not_found array_unknown 0 0");
  BOOST_TEST(verdict(cancel_array(SessionId{99})) ==
             "not_found session_unknown 0 0");
  BOOST_TEST(state.digest_hex() == replayed_digest(*this));
}

BOOST_AUTO_TEST_CASE(an_array_is_cancelled_whose_ended_ones_are_forgotten) {
  BOOST_TEST(array_of(1, 4) == "accepted");
  BOOST_TEST(array_of(1, 4) == "accepted");
  for (const std::uint64_t id : {2, 3, 5}) cancel(SessionId{id});
  checks = keeps_log = false;
  for (std::size_t i = 0; i < ended_sessions_max; ++i)
    cancel(submit(one_task()));
  for (const std::uint64_t id : {2, 3, 5})
    BOOST_REQUIRE(!state.session(SessionId{id}));
  BOOST_TEST(state.array_size(SessionId{1}) == 2);
  const auto middle = cancel_array(SessionId{1});
  BOOST_REQUIRE(middle);
  BOOST_TEST(middle->sessions == 2);
  BOOST_TEST(kinds == "SessionEnded SessionEnded");
  BOOST_TEST((state_of(SessionId{4}) == SessionState::cancelled));
  BOOST_TEST((state_of(SessionId{6}) == SessionState::pending));
  // Nor is the first one needed, and it is the only one that names the array.
  BOOST_TEST(verdict(cancel_array(SessionId{2})) ==
             "not_found session_unknown 0 0");
  BOOST_TEST(verdict(cancel_array(SessionId{5}, "bob")) ==
             "forbidden session_foreign 0 0");
  const auto rest = cancel_array(SessionId{5});
  BOOST_REQUIRE(rest);
  BOOST_TEST(rest->sessions == 3);
  BOOST_TEST(rest->session.value == 5);
  BOOST_TEST(kinds == "SessionEnded SessionEnded SessionEnded");
  BOOST_TEST(verdict(cancel_array(SessionId{5})) ==
             "wrong_state session_ended 0 0");
}

BOOST_AUTO_TEST_CASE(a_commit_takes_a_whole_array_or_nothing_of_it) {
  flatbuffers::FlatBufferBuilder builder;
  const auto submit_array = [&](std::uint32_t size) {
    builder.Clear();
    const auto packed = build_spec(builder, one_task());
    builder.Finish(schema::CreateSubmitSession(builder, packed, true, 1, size));
    const auto* command =
        flatbuffers::GetRoot<schema::SubmitSession>(builder.GetBufferPointer());
    return decide_submit(state, *command, admission, origin("root"), writer);
  };
  BOOST_TEST(submit_array(3).has_value());
  const std::size_t one = writer.bytes().size();
  BOOST_TEST(submit_array(3).has_value());
  BOOST_TEST(writer.take(one + one / 2).count == 3);
  BOOST_TEST(writer.take(1).count == 3);
  BOOST_TEST(writer.take(1).count == 0);
}

BOOST_AUTO_TEST_SUITE_END()

BOOST_FIXTURE_TEST_SUITE(constraints, Fixture)

BOOST_AUTO_TEST_CASE(a_place_that_no_node_offers_is_refused) {
  add({.name = "n1", .devices = 1, .labels = {{"rack", "r2"}}});
  const auto with = [&](const char* constraint, std::uint32_t gpus = 0,
                        const char* on_node = "") {
    Spec spec = one_task();
    spec.constraint = constraint;
    spec.gpus = gpus;
    spec.on_node = on_node;
    return verdict(try_submit(spec));
  };
  BOOST_TEST(with("rack=r1") == "accepted");
  BOOST_TEST(with("rack=r2") == "accepted");
  BOOST_TEST(with("rack=r3") == "impossible constraint_never 0 2");
  BOOST_TEST(with("rack=r2", 1) == "accepted");
  BOOST_TEST(with("rack=r2", 2) == "impossible never_fits 1 2");
  BOOST_TEST(with("rack=r1", 2, "n0") == "accepted");
  BOOST_TEST(with("rack=r2", 0, "n0") == "impossible constraint_never 0 2");
  BOOST_TEST(with("rack=") == "malformed constraint 0 0");
}

BOOST_AUTO_TEST_CASE(all_nodes_of_a_session_can_share_a_label) {
  add({.name = "n1", .labels = {{"rack", "r2"}}});
  add({.name = "n2", .labels = {{"rack", "r2"}}});
  const auto spread = [&](std::uint32_t nodes, const char* within) {
    Spec spec = tasks_of(nodes);
    spec.nodes = nodes;
    spec.within = within;
    return verdict(try_submit(spec));
  };
  BOOST_TEST(spread(2, "rack") == "accepted");
  BOOST_TEST(spread(3, "") == "accepted");
  BOOST_TEST(spread(3, "rack") == "impossible never_fits 3 3");
  BOOST_TEST(spread(1, "row") == "impossible constraint_never 0 3");
}

BOOST_AUTO_TEST_CASE(company_by_a_label_that_no_node_has_is_refused) {
  add({.name = "n1"});
  std::string said;
  const auto with = [&](auto change) {
    Spec spec = one_task();
    change(spec);
    const auto decision = try_submit(spec);
    if (!decision) said = decision.error().text;
    return verdict(decision);
  };
  BOOST_TEST(with([](Spec& spec) { spec.together = "x@rack"; }) == "accepted");
  BOOST_TEST(with([](Spec& spec) { spec.together = "x@row"; }) ==
             "impossible constraint_never 0 2");
  BOOST_TEST(said ==
             "0 of 2 nodes of group default satisfy label row of together "
             "x@row");
  BOOST_TEST(with([](Spec& spec) { spec.apart = "x@rack"; }) == "accepted");
  BOOST_TEST(with([](Spec& spec) { spec.apart = "x@row"; }) ==
             "impossible constraint_never 0 2");
  BOOST_TEST(with([](Spec& spec) {
               spec.constraint = "node=n1", spec.apart = "x@rack";
             }) == "impossible constraint_never 0 2");
}

BOOST_AUTO_TEST_CASE(a_gang_that_is_together_has_room_in_one_place) {
  add({.name = "n1", .labels = {{"rack", "r1"}}});
  const auto gang = [&](std::uint32_t tasks, const char* together) {
    Spec spec = tasks_of(tasks);
    spec.together = together;
    return verdict(try_submit(spec));
  };
  BOOST_TEST(gang(16, "x") == "accepted");
  BOOST_TEST(gang(17, "x") == "impossible never_fits 2 2");
  BOOST_TEST(gang(32, "y@rack") == "accepted");
  BOOST_TEST(gang(33, "y@rack") == "impossible never_fits 0 0");
}

BOOST_AUTO_TEST_CASE(a_place_that_was_not_asked_for_is_refused) {
  add({.name = "n1", .labels = {{"rack", "r2"}}});
  Spec spec = tasks_of(2);
  spec.constraint = "rack=r1";
  const SessionId first = submit(spec);
  BOOST_TEST(verdict(try_place(first, {"n0", "n1"})) ==
             "wrong_state placement_stale 0 0");
  place(first, {"n0", "n0"});
  spec.constraint = {};
  spec.within = "rack";
  const SessionId second = submit(spec);
  BOOST_TEST(verdict(try_place(second, {"n0", "n1"})) ==
             "wrong_state placement_stale 0 0");
  place(second, {"n1", "n1"});
}

BOOST_AUTO_TEST_CASE(wishes_that_do_not_read_are_refused) {
  const auto with = [&](auto change) {
    Spec spec = one_task();
    change(spec);
    return verdict(try_submit(spec));
  };
  BOOST_TEST(with([](Spec& spec) {
               spec.prefer = {"rack=r1", "disk"};
             }) == "accepted");
  BOOST_TEST(with([](Spec& spec) {
               spec.prefer = {"rack=r1", "&&"};
             }) == "malformed prefer 0 0");
  BOOST_TEST(with([](Spec& spec) {
               spec.prefer.assign(prefer_count_max, "rack");
             }) == "accepted");
  BOOST_TEST(with([](Spec& spec) {
               spec.prefer.assign(prefer_count_max + 1, "rack");
             }) == "over_limit prefer_count_max 8 9");
  BOOST_TEST(with([](Spec& spec) { spec.together = "train@rack"; }) ==
             "accepted");
  BOOST_TEST(with([](Spec& spec) { spec.apart = "a b"; }) ==
             "malformed company 0 0");
  BOOST_TEST(with([](Spec& spec) { spec.apart = spec.together = "a"; }) ==
             "malformed company 0 0");
  const std::string longest(name_bytes_max, 'a');
  const std::string longer = longest + 'a';
  BOOST_TEST(with([&](Spec& spec) { spec.apart = longest; }) == "accepted");
  BOOST_TEST(with([&](Spec& spec) { spec.apart = longer; }) ==
             "over_limit name_bytes_max 128 129");
}

BOOST_AUTO_TEST_CASE(labels_of_a_node_are_bounded_and_named_once) {
  const auto with = [&](Labels labels) {
    auto decision =
        register_node({.name = "m", .labels = std::move(labels)}, true);
    return verdict(decision);
  };
  Labels many;
  for (std::uint32_t i = 0; i < node_labels_max; ++i)
    many.emplace_back("k" + std::to_string(i), "v");
  BOOST_TEST(with(many) == "accepted");
  BOOST_TEST(with({{"rack", "r1"}}) == "accepted");
  BOOST_TEST(kinds == "NodeRegistered");
  BOOST_TEST(with({{"rack", "r1"}}) == "accepted");
  BOOST_TEST(kinds == "");
  many.emplace_back("more", "v");
  BOOST_TEST(with(many) == "over_limit node_labels_max 64 65");
  BOOST_TEST(with({{"rack", "a"}, {"rack", "b"}}) ==
             "malformed node_label 0 0");
  BOOST_TEST(with({{"gpus", "4"}}) == "malformed node_label 0 0");
  BOOST_TEST(with({{"rack", std::string(name_bytes_max + 1, 'r')}}) ==
             "over_limit name_bytes_max 128 129");
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace array_test
