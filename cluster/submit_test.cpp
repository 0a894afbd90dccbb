// What may be submitted: every bound at it and one beyond, every rule with
// its numbers.
#include <boost/test/unit_test.hpp>
#include <functional>

#include "cluster/testing.hpp"

namespace submit_test {

using namespace reeve;
using namespace reeve::cluster;
using namespace reeve::cluster::testing;

namespace {

constexpr std::uint32_t many = 10'000;

struct Fixture : Cell {
  Fixture() {
    add({.name = "n0",
         .cpu_milli = many * 1000,
         .memory_bytes = many * gib,
         .devices = devices_per_node_max});
  }

  std::string submit_of(const std::function<void(Spec&)>& change,
                        std::string_view principal = "root") {
    Spec spec = one_task();
    change(spec);
    return verdict(try_submit(spec, principal));
  }
  void refuses(const std::string& expected,
               const std::function<void(Spec&)>& change) {
    const auto before = state.last_sequence();
    BOOST_CHECK_EQUAL(submit_of(change), expected);
    BOOST_CHECK(state.last_sequence() == before);
  }
  void accepts(const std::function<void(Spec&)>& change) {
    BOOST_CHECK_EQUAL(submit_of(change), "accepted");
  }
};

}  // namespace

BOOST_FIXTURE_TEST_SUITE(submit, Fixture)

BOOST_AUTO_TEST_CASE(a_session_may_be_cut_off_neither_too_short_nor_too_long) {
  for (const std::uint64_t ns :
       {std::uint64_t{0}, cut_off_ns_min, cut_off_ns_max})
    accepts([&](Spec& spec) { spec.cut_off_ns = ns; });
  refuses("malformed cut_off_ns_min 10000000000 9999999999",
          [](Spec& spec) { spec.cut_off_ns = cut_off_ns_min - 1; });
  refuses("over_limit cut_off_ns_max 2592000000000000 2592000000000001",
          [](Spec& spec) { spec.cut_off_ns = cut_off_ns_max + 1; });
}

BOOST_AUTO_TEST_CASE(counts_are_accepted_at_their_bound_and_not_beyond) {
  const std::string name(name_bytes_max + 1, 'n');
  accepts([&](Spec& spec) { spec.name = std::string_view(name).substr(1); });
  refuses("over_limit name_bytes_max 128 129",
          [&](Spec& spec) { spec.name = name; });
  accepts([](Spec& spec) { spec.argv.assign(argv_count_max, "a"); });
  refuses("over_limit argv_count_max 4096 4097",
          [](Spec& spec) { spec.argv.assign(argv_count_max + 1, "a"); });
  accepts([](Spec& spec) { spec.env.assign(env_count_max, {"k", "v"}); });
  refuses("over_limit env_count_max 4096 4097", [](Spec& spec) {
    spec.env.assign(env_count_max + 1, {"k", "v"});
  });
  accepts([](Spec& spec) { spec.labels.assign(labels_count_max, {"k", "v"}); });
  refuses("over_limit labels_count_max 64 65", [](Spec& spec) {
    spec.labels.assign(labels_count_max + 1, {"k", "v"});
  });
  accepts([](Spec& spec) { spec.requeue_max = requeue_count_max; });
  refuses("over_limit requeue_count_max 1000 1001",
          [](Spec& spec) { spec.requeue_max = requeue_count_max + 1; });
}

BOOST_AUTO_TEST_CASE(tasks_and_devices_are_bounded) {
  accepts([](Spec& spec) { spec.tasks = tasks_per_session_max; });
  refuses("over_limit tasks_per_session_max 4096 4097",
          [](Spec& spec) { spec.tasks = tasks_per_session_max + 1; });
  refuses("malformed tasks_min 1 0", [](Spec& spec) { spec.tasks = 0; });
  accepts([](Spec& spec) { spec.nodes = 1; });
  refuses("over_limit nodes_max 1 2", [](Spec& spec) { spec.nodes = 2; });
  accepts([](Spec& spec) { spec.gpus = gpus_per_task_max; });
  refuses("over_limit gpus_per_task_max 64 65",
          [](Spec& spec) { spec.gpus = gpus_per_task_max + 1; });
  accepts([](Spec& spec) { spec.gpus = 1, spec.gpu_milli = 1; });
  refuses("malformed gpu_share_min 1 0",
          [](Spec& spec) { spec.gpus = 1, spec.gpu_milli = 0; });
  refuses("over_limit gpu_share_max 1000 1001",
          [](Spec& spec) { spec.gpus = 1, spec.gpu_milli = 1001; });
  refuses("malformed gpu_share_single 1 2",
          [](Spec& spec) { spec.gpus = 2, spec.gpu_milli = 500; });
}

BOOST_AUTO_TEST_CASE(times_are_bounded) {
  accepts([](Spec& spec) { spec.time_limit_ns = time_limit_ns_max; });
  refuses("over_limit time_limit_ns_max 31536000000000000 31536000000000001",
          [](Spec& spec) { spec.time_limit_ns = time_limit_ns_max + 1; });
  accepts(
      [&](Spec& spec) { spec.not_before_at = now.value + not_before_ns_max; });
  refuses("over_limit not_before_ns_max 31536000000000000 31536000000000001",
          [&](Spec& spec) {
            spec.not_before_at = now.value + not_before_ns_max + 1;
          });
  accepts([](Spec& spec) { spec.not_before_at = 1; });
}

BOOST_AUTO_TEST_CASE(texts_are_bounded_all_together) {
  const std::string text(spec_bytes_max - 27, 'x');
  accepts([&](Spec& spec) {
    spec.name = "", spec.user = "";
    spec.argv = {text, "123456789"};
  });
  const std::string half(spec_bytes_max / 2, 'x');
  refuses("over_limit spec_bytes_max 262144 262166", [&](Spec& spec) {
    spec.argv = {half};
    spec.env = {{"k", half}};
  });
}

BOOST_AUTO_TEST_CASE(dependencies_are_bounded_and_must_exist) {
  const SessionId id = submit(one_task());
  const auto after = [](std::uint64_t session, std::size_t count = 1) {
    return [=](Spec& spec) {
      spec.after.assign(count, {session, schema::DependencyKind::ok});
    };
  };
  accepts(after(id.value, dependencies_count_max));
  refuses("over_limit dependencies_count_max 256 257",
          after(id.value, dependencies_count_max + 1));
  refuses("not_found dependency_unknown 0 0",
          after(state.next_session().value));
  refuses("not_found dependency_unknown 0 0", after(0));
}

BOOST_AUTO_TEST_CASE(opposite_dependencies_are_refused_and_equal_ones_are_one) {
  using schema::DependencyKind;
  const std::uint64_t id = submit(one_task()).value;
  refuses("malformed dependency_opposite 0 0", [&](Spec& spec) {
    spec.after = {{id, DependencyKind::ok}, {id, DependencyKind::failed}};
  });
  refuses("malformed dependency_opposite 0 0", [&](Spec& spec) {
    spec.after = {{id, DependencyKind::failed},
                  {id, DependencyKind::any},
                  {id, DependencyKind::ok}};
  });
  Spec spec = one_task();
  spec.after = {{id, DependencyKind::any},
                {id, DependencyKind::ok},
                {id, DependencyKind::any}};
  const SessionId other = submit(spec);
  const auto kept = state.spec(session(other)).after;
  BOOST_REQUIRE_EQUAL(kept.size(), 1);
  BOOST_CHECK(kept[0].kind() == DependencyKind::ok);
  place(SessionId{id}, {"n0"});
  exit(SessionId{id}, 0, 1);
  BOOST_CHECK(dependent(other, SessionId{id}));
}

BOOST_AUTO_TEST_CASE(a_session_needs_a_command_unless_it_is_simulated) {
  refuses("malformed command_missing 0 0", [](Spec& spec) { spec.argv = {}; });
  refuses("malformed command_missing 0 0",
          [](Spec& spec) { spec.argv = {""}; });
  add({.name = "s0", .simulated = true});
  accepts([](Spec& spec) { spec.argv = {}, spec.simulated = true; });
}

BOOST_AUTO_TEST_CASE(a_name_has_no_control_characters) {
  for (const char* name : {"train #2", "", "\xC3\xA4 \xE2\x80\xA6", "\xC2\xA0"})
    accepts([&](Spec& spec) { spec.name = name; });
  for (const char* name :
       {"a\nb", "\033[2J", "tab\t", "\x7F", "\xC2\x9B", "\x9B"})
    refuses("malformed name_control 0 0",
            [&](Spec& spec) { spec.name = name; });
}

BOOST_AUTO_TEST_CASE(names_must_be_known) {
  refuses("not_found group_unknown 0 0",
          [](Spec& spec) { spec.group = "fast"; });
  refuses("not_found project_unknown 0 0",
          [](Spec& spec) { spec.project = "moon"; });
  refuses("not_found node_unknown 0 0",
          [](Spec& spec) { spec.on_node = "n9"; });
  accepts([](Spec& spec) {
    spec.group = "default", spec.project = "default", spec.on_node = "n0";
  });
}

BOOST_AUTO_TEST_CASE(what_is_not_given_is_filled_in) {
  Spec spec = one_task();
  spec.user = "";
  const SessionId id = submit(spec);
  const Spec kept = state.spec(session(id));
  BOOST_CHECK_EQUAL(kept.user, "root");
  BOOST_CHECK_EQUAL(kept.project, "default");
  BOOST_CHECK_EQUAL(kept.group, "default");
  BOOST_CHECK_EQUAL(state.user(session(id)), "root");
}

BOOST_AUTO_TEST_CASE(nobody_but_admins_submit_for_others) {
  const auto as_bob = [](Spec& spec) { spec.user = "bob", spec.uid = 1000; };
  Spec bobs = one_task();
  as_bob(bobs);
  BOOST_CHECK_EQUAL(try_submit(bobs, "eve").error().text,
                    "only root and admins submit for others; eve may not "
                    "submit for bob");
  BOOST_CHECK_EQUAL(submit_of(as_bob, "eve"), "forbidden user_foreign 0 0");
  BOOST_CHECK_EQUAL(submit_of(as_bob, "bob"), "forbidden user_unknown 0 0");
  BOOST_CHECK_EQUAL(submit_of(as_bob, "root"), "accepted");
  BOOST_CHECK_EQUAL(kinds, "UserCreated SessionSubmitted");
  BOOST_CHECK_EQUAL(submit_of(as_bob, "bob"), "accepted");
  BOOST_CHECK_EQUAL(kinds, "SessionSubmitted");
  BOOST_CHECK_EQUAL(
      submit_of([](Spec& spec) { spec.user = "bob", spec.uid = 0; }, "bob"),
      "forbidden uid_foreign 1000 0");
}

BOOST_AUTO_TEST_CASE(a_first_submission_makes_no_user_of_any_name) {
  for (const char* name : {"a b", "-x", "a/b"})
    refuses("malformed account_name 128 " +
                std::to_string(std::string_view(name).size()),
            [&](Spec& spec) { spec.user = name; });
}

BOOST_AUTO_TEST_CASE(nothing_new_is_admitted_without_room) {
  admission.open = false;
  refuses("no_space disk_floor 0 0", [](Spec&) {});
  admission.room = "the disk under log has 1 MiB free";
  const auto no = try_submit(one_task());
  BOOST_CHECK(no.error().text.find("space: " + admission.room + "; nothing") !=
              std::string::npos);
  admission.open = true;
  admission.waiting_max = 2;
  accepts([](Spec&) {});
  accepts([](Spec&) {});
  refuses("try_again sessions_waiting_max 2 2", [](Spec&) {});
  place(SessionId{1}, {"n0"});
  accepts([](Spec&) {});
}

BOOST_AUTO_TEST_CASE(what_no_node_could_ever_run_is_refused_at_once) {
  refuses("impossible never_fits 0 0",
          [](Spec& spec) { spec.cpu_milli = many * 1000 + 1; });
  refuses("impossible never_fits 0 0",
          [](Spec& spec) { spec.memory_bytes = many * gib + 1; });
  refuses("impossible never_fits 0 0",
          [](Spec& spec) { spec.gpus = 1, spec.gpu_models = {"A100"}; });
  refuses("impossible never_fits 0 0",
          [](Spec& spec) { spec.simulated = true; });
  add({.name = "small", .cpu_milli = 500});
  refuses("impossible never_fits 0 0",
          [](Spec& spec) { spec.on_node = "small"; });
  Spec spec = one_task();
  spec.cpu_milli = many * 1000 + 1;
  const auto no = try_submit(spec);
  BOOST_CHECK(no.error().text.find("10000") != std::string::npos);
}

BOOST_AUTO_TEST_CASE(a_share_of_what_no_device_has_is_refused_at_once) {
  const auto never = [&](std::uint64_t memory_bytes, const char* model) {
    return submit_of([&](Spec& spec) {
             spec.gpus = 1, spec.gpu_milli = 500;
             spec.gpu_memory_bytes = memory_bytes;
             if (*model != '\0') spec.gpu_models = {model};
           })
        .starts_with("impossible never_fits");
  };
  BOOST_TEST(!never(80 * gib, ""));
  BOOST_TEST(never(80 * gib + 1, ""));
  // No card is cut so.
  add({.name = "cut",
       .devices = 2,
       .device_memory_bytes = 10 * gib,
       .model = "H100 MIG 1g.10gb",
       .mig_of = "GPU-x"});
  BOOST_TEST(!never(10 * gib, "H100 MIG 1g.10gb"));
  BOOST_TEST(never(10 * gib + 1, "H100 MIG 1g.10gb"));
  BOOST_TEST(never(10 * gib, "H100 MIG 3g.40gb"));
}

BOOST_AUTO_TEST_CASE(a_removed_node_makes_nothing_possible_any_more) {
  add({.name = "big", .cpu_milli = 2 * many * 1000});
  const auto large = [](Spec& spec) { spec.cpu_milli = many * 2000; };
  accepts(large);
  remove("big");
  refuses("impossible never_fits 0 0", large);
}

BOOST_AUTO_TEST_SUITE_END()

BOOST_FIXTURE_TEST_SUITE(place, Fixture)

BOOST_AUTO_TEST_CASE(a_placement_that_does_not_fit_any_more_is_refused) {
  add({.name = "n1", .cpu_milli = 1500, .memory_bytes = gib, .devices = 1});
  const std::string stale = "wrong_state placement_stale 0 0";
  const auto refused = [&](SessionId id, const std::vector<std::string>& nodes,
                           const std::vector<DeviceGrant>& devices = {}) {
    return verdict(try_place(id, nodes, devices)) == stale && kinds.empty();
  };
  const SessionId one = submit(one_task());
  const SessionId two = submit(tasks_of(2));
  BOOST_CHECK(refused(SessionId{99}, {"n0"}));
  BOOST_CHECK(refused(two, {"n0"}));
  BOOST_CHECK(refused(two, {"n1", "n1"}));
  BOOST_CHECK(refused(one, {"n1"}, {{.device = 1, .milli = 1}}));
  BOOST_CHECK(refused(one, {"n1"}, {{.device = 0, .milli = 0}}));
  BOOST_CHECK(refused(one, {"n1"}, {{.device = 0, .milli = 1001}}));
  BOOST_CHECK(refused(
      one, {"n1"}, {{.device = 0, .milli = 1, .memory_bytes = 80 * gib + 1}}));
  place(one, {"n1"}, {{.device = 0, .milli = 600}});
  BOOST_CHECK(refused(one, {"n0"}));
  const SessionId three = submit(one_task());
  BOOST_CHECK(refused(three, {"n1"}));
  BOOST_CHECK(
      refused(three, {"n0"},
              {{.device = 0, .milli = 600}, {.device = 0, .milli = 401}}));
}

BOOST_AUTO_TEST_CASE(nothing_is_placed_on_a_node_that_is_not_offered) {
  add({.name = "n1"});
  add({.name = "s0", .simulated = true});
  const SessionId id = submit(one_task());
  const std::string stale = "wrong_state placement_stale 0 0";
  BOOST_CHECK_EQUAL(verdict(try_place(id, {"s0"})), stale);
  drain("n1");
  BOOST_CHECK_EQUAL(verdict(try_place(id, {"n1"})), stale);
  resume("n1");
  lose("n1");
  BOOST_CHECK_EQUAL(verdict(try_place(id, {"n1"})), stale);
  register_node({.name = "n1"}, true);
  BOOST_CHECK_EQUAL(verdict(try_place(id, {"n1"})), "accepted");
}

BOOST_AUTO_TEST_CASE(shares_of_one_device_add_up_to_the_whole_of_it) {
  std::vector<SessionId> ids;
  for (int i = 0; i < 4; ++i) {
    ids.push_back(submit(one_task()));
    place(ids.back(), {"n0"},
          {{.device = 3, .milli = 250, .memory_bytes = 20 * gib}});
  }
  const Device& device = state.node("n0")->devices[3];
  BOOST_CHECK_EQUAL(device.used_milli, 1000);
  BOOST_CHECK_EQUAL(device.used_memory_bytes, 80 * gib);
  BOOST_CHECK(
      !try_place(submit(one_task()), {"n0"}, {{.device = 3, .milli = 1}}));
  start(ids[0]);
  exit(ids[0]);
  BOOST_CHECK_EQUAL(device.used_milli, 750);
  place(submit(one_task()), {"n0"}, {{.device = 3, .milli = 250}});
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace submit_test
