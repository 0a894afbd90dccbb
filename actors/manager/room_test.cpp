// Arrays, making room, warnings, reservations, the queue and dry runs: what the
// manager decides and whom it tells.
#include <boost/test/unit_test.hpp>
#include <functional>

#include "actors/manager/messages.hpp"
#include "actors/manager/test_harness.hpp"
#include "schema/wire.hpp"

namespace room_test {

using namespace reeve;
using namespace reeve::manager;
using namespace reeve::manager::testing;
using cluster::Spec;
using cluster::testing::one_task;
using schema::SessionState;

namespace {

using Names = std::vector<std::string>;

struct Fixture : Harness {
  Fixture() {
    commit();
    join({.name = "n0"});
    orders();
  }

  SessionState state_of(std::uint64_t session) const {
    return core->state().session(SessionId{session})->state;
  }
  std::uint64_t running(const Spec& spec) {
    const auto id = submit(spec);
    commit();
    const std::uint64_t session = session_of(id);
    BOOST_REQUIRE(session != 0);
    place(session, {"n0"});
    start(session);
    commit();
    orders();
    return session;
  }
  void wait(std::uint64_t duration_ns) {
    for (std::uint64_t at = 0; at < duration_ns; at += second_ns) {
      core->on_heartbeat("n0", now);
      tick(std::min(second_ns, duration_ns - at));
      commit();
    }
  }
  const schema::Reply& answer_to(const schema::Id128& id) {
    return *flatbuffers::GetRoot<schema::Reply>(replies.at(text_of(id)).data());
  }
  void submit_array(const schema::Id128& id, std::uint32_t from,
                    std::uint32_t to) {
    Builder builder;
    const auto packed = cluster::build_spec(builder, one_task());
    core->on_command(command_of(builder, id,
                                schema::CreateSubmitSession(builder, packed,
                                                            true, from, to)),
                     "root", text_of(id), now);
    commit();
  }
  static cluster::Reservation wanted(std::uint64_t from_at, std::uint64_t to_at,
                                     const Names& users,
                                     const Names& projects) {
    cluster::Reservation out;
    out.name = "r";
    out.nodes = {"n0"};
    out.users = users;
    out.projects = projects;
    out.first = {Time{from_at}, Time{to_at}};
    return out;
  }
  schema::Id128 reserve(std::uint64_t from_at, std::uint64_t to_at,
                        std::string_view principal = "root",
                        const Names& users = {"root"},
                        const Names& projects = {}) {
    Builder builder;
    const auto spec = cluster::build_reservation(
        builder, wanted(from_at, to_at, users, projects));
    return send(builder, schema::CreateSetReservation(builder, spec),
                principal);
  }
  void unreserve() {
    Builder builder;
    send(builder, schema::CreateRemoveReservationDirect(builder, "r"));
  }
  void set_project(const char* name, const char* parent) {
    Builder builder;
    const auto spec = schema::CreateAccountSpecDirect(
        builder, schema::AccountKind::project, name, parent);
    send(builder, schema::CreateSetAccount(builder, spec));
  }
  template <class Body>
  schema::Id128 send(Builder& builder, flatbuffers::Offset<Body> body,
                     std::string_view principal = "root") {
    const auto id = next_id();
    core->on_command(command_of(builder, id, body), principal, text_of(id),
                     now);
    commit();
    return id;
  }
  std::string why(std::uint64_t session) {
    const auto* answer = ask<schema::WhyQuery>(
        [=](Builder& b) { return schema::CreateWhyQuery(b, session); });
    return answer ? answer->body_as_WhyAnswer()->summary()->str() : "waits";
  }

  // Answered by a scheduler that was told the log, unless refused before.
  const schema::DryRunAnswer* dry_run(
      const std::function<flatbuffers::Offset<schema::DryRunQuery>(Builder&)>&
          make) {
    const auto* answer = ask<schema::DryRunQuery>(make);
    if (asked) {
      cluster::Scheduler scheduler;
      for (const Batch& batch : log)
        for_each(batch,
                 [&](const schema::Event& event) { scheduler.apply(event); });
      core->on_scheduler(*asked, *ask_scheduler(scheduler, *asked, now), "q");
      collect();
      answer = flatbuffers::GetRoot<schema::Answer>(replies.at("q").data());
    }
    BOOST_REQUIRE(answer);
    return answer->body_as_DryRunAnswer();
  }
};

}  // namespace

BOOST_FIXTURE_TEST_SUITE(manager_room, Fixture)

BOOST_AUTO_TEST_CASE(an_array_is_answered_with_its_first_and_its_size) {
  const auto id = next_id();
  submit_array(id, 3, 5);
  const Bytes first = replies.at(text_of(id));
  BOOST_TEST(answer_to(id).session() == 1u);
  BOOST_TEST(answer_to(id).sessions() == 3u);
  replies.clear();
  submit_array(id, 3, 5);
  BOOST_CHECK(replies.at(text_of(id)) == first);
  restart();
  replies.clear();
  submit_array(id, 3, 5);
  BOOST_CHECK(replies.at(text_of(id)) == first);
  BOOST_TEST(core->state().count(SessionState::pending) == 3u);
}

BOOST_AUTO_TEST_CASE(a_task_of_an_array_is_told_its_index) {
  submit_array(next_id(), 3, 5);
  place(2, {"n0"});
  commit();
  const auto* launch = sent.back().order().body_as_LaunchOrder();
  BOOST_REQUIRE(launch);
  std::string env;
  for (const auto* pair : *launch->tasks()->Get(0)->env())
    env += pair->key()->str() + "=" + pair->value()->str() + " ";
  BOOST_TEST(env ==
             "REEVE_ARRAY_INDEX=4 REEVE_ARRAY_FIRST=3 "
             "REEVE_ARRAY_SESSION_ID=s-1 ");
}

BOOST_AUTO_TEST_CASE(a_session_is_stopped_with_its_own_grace) {
  Spec spec = one_task();
  spec.grace_ns = 90 * second_ns;
  cancel(running(spec));
  commit();
  const auto* stop = sent.back().order().body_as_StopOrder();
  BOOST_REQUIRE(stop);
  BOOST_TEST(stop->grace_ns() == 90 * second_ns);
  wait(90 * second_ns);
  BOOST_TEST((state_of(1) == SessionState::stopping));
  wait(cluster::stopping_ns_max);
  BOOST_TEST((state_of(1) == SessionState::lost));
}

BOOST_AUTO_TEST_CASE(a_warning_leaves_at_its_time_and_again_after_a_restart) {
  Spec spec = one_task();
  spec.time_limit_ns = 60 * second_ns;
  spec.warn_signal = 10;
  spec.warn_ns = 20 * second_ns;
  running(spec);
  wait(39 * second_ns);
  BOOST_TEST(orders() == "");
  wait(2 * second_ns);
  BOOST_TEST(orders() == "n0 signal 10 1.1.0");
  wait(5 * second_ns);
  BOOST_TEST(orders() == "");
  restart();
  commit();
  BOOST_TEST(orders().find("signal 10 1.1.0") != std::string::npos);
  wait(20 * second_ns);
  BOOST_TEST((state_of(1) == SessionState::stopping));
}

BOOST_AUTO_TEST_CASE(who_makes_room_is_stopped_and_waits_again) {
  const std::uint64_t victim = running(one_task());
  submit(one_task());
  commit();
  core->on_preemptions({{SessionId{victim}, 1, SessionId{2}},
                        {SessionId{victim}, 1, SessionId{2}}},
                       now);
  commit();
  BOOST_TEST(orders() == "n0 stop 1.1.0");
  BOOST_TEST(core->counters().preemptions == 1u);
  report("n0", victim, {.exit_code = 143});
  commit();
  BOOST_TEST((state_of(victim) == SessionState::pending));
}

BOOST_AUTO_TEST_CASE(only_admins_reserve_and_what_is_over_goes) {
  BOOST_TEST(verdict(reserve(now.value, now.value + hour_ns, "ann")) ==
             "forbidden owner_only");
  BOOST_TEST(verdict(reserve(now.value, now.value + 10 * second_ns)) ==
             "accepted");
  const auto count = [&] {
    const auto* answer = ask<schema::ReservationsQuery>(
        [](Builder& b) { return schema::CreateReservationsQuery(b); });
    const auto* list = answer->body_as_ReservationsAnswer()->reservations();
    return list ? list->size() : 0u;
  };
  BOOST_TEST(count() == 1u);
  const auto* nodes = ask<schema::NodesQuery>([](Builder& b) {
                        return schema::CreateNodesQueryDirect(b, "n0");
                      })->body_as_NodesAnswer();
  BOOST_TEST(nodes->nodes()->Get(0)->reservations()->Get(0)->str() == "r");
  wait(9 * second_ns);
  BOOST_TEST(count() == 1u);
  wait(2 * second_ns);
  BOOST_TEST(count() == 0u);
}

BOOST_AUTO_TEST_CASE(who_waits_for_a_reservation_that_goes_ends) {
  reserve(now.value + hour_ns, now.value + 2 * hour_ns);
  Spec spec = one_task();
  spec.reservation = "r";
  submit(spec);
  submit(one_task());
  Spec after = one_task();
  after.after = {{1, schema::DependencyKind::ok}};
  submit(after);
  commit();
  unreserve();
  BOOST_TEST((state_of(1) == SessionState::cancelled));
  BOOST_TEST((state_of(2) == SessionState::pending));
  BOOST_TEST((state_of(3) == SessionState::cancelled));
  BOOST_TEST(why(1).find("cancelled: reservation_gone (its reservation r was "
                         "removed at ") != std::string::npos);
  // By its time.
  reserve(now.value, now.value + 3 * second_ns);
  submit(spec);
  commit();
  wait(2 * second_ns);
  BOOST_TEST((state_of(4) == SessionState::pending));
  wait(2 * second_ns);
  BOOST_TEST(why(4).find("its reservation r is over since ") !=
             std::string::npos);
}

BOOST_AUTO_TEST_CASE(who_lost_the_right_to_a_reservation_ends) {
  Spec anns = one_task();
  anns.user = "ann";
  submit(anns);
  set_project("top", "");
  set_project("below", "top");
  reserve(now.value + hour_ns, now.value + 2 * hour_ns, "root", {}, {"top"});
  Spec spec = one_task();
  spec.reservation = "r";
  spec.project = "below";
  const auto id = submit(spec);
  commit();
  BOOST_TEST(verdict(id) == "accepted s-2");
  set_project("below", "");
  BOOST_TEST((state_of(2) == SessionState::cancelled));
  set_project("below", "top");
  submit(spec);
  commit();
  reserve(now.value + hour_ns, now.value + 2 * hour_ns, "root", {"ann"});
  BOOST_TEST(why(3).find("is not for root in project below any more") !=
             std::string::npos);
}

BOOST_AUTO_TEST_CASE(one_that_is_tried_again_without_its_reservation_ends) {
  reserve(now.value, now.value + hour_ns);
  Spec spec = one_task();
  spec.reservation = "r";
  spec.requeue_max = 1;
  const std::uint64_t id = running(spec);
  unreserve();
  BOOST_TEST((state_of(id) == SessionState::running));
  report("n0", id, {.exit_code = 1});
  commit();
  BOOST_TEST((state_of(id) == SessionState::cancelled));
}

// Each decision is a commit, and the daemon dies after the first.
BOOST_AUTO_TEST_CASE(who_waits_in_vain_ends_after_a_restart) {
  Harness small(Options{.batch_bytes_max = 1});
  const auto settle = [&] {
    while (small.begin_commit(), small.in_flight) small.finish_commit();
  };
  settle();
  small.register_nodes("n0", {{.name = "n0"}}, true);
  settle();
  const auto send = [&](auto make) {
    Builder builder;
    const auto id = small.next_id();
    small.core->on_command(command_of(builder, id, make(builder)), "root",
                           text_of(id), small.now);
  };
  send([&](Builder& b) {
    return schema::CreateSetReservation(
        b, cluster::build_reservation(
               b, wanted(small.now.value + hour_ns,
                         small.now.value + 2 * hour_ns, {"root"}, {})));
  });
  Spec spec = one_task();
  spec.reservation = "r";
  small.submit(spec);
  settle();
  send(
      [](Builder& b) { return schema::CreateRemoveReservationDirect(b, "r"); });
  small.begin_commit();
  small.finish_commit();
  BOOST_REQUIRE(
      (small.replayed().session(SessionId{1})->state == SessionState::pending));
  small.restart();
  settle();
  const auto ended = small.replayed();
  BOOST_TEST((ended.session(SessionId{1})->reason ==
              schema::EndReason::reservation_gone));
}

BOOST_AUTO_TEST_CASE(a_queue_is_asked_of_the_scheduler) {
  submit(one_task());
  commit();
  const auto queue_of = [&](const char* group) {
    return ask<schema::QueueQuery>([&](Builder& b) {
      return schema::CreateQueueQueryDirect(b, group, false, 7);
    });
  };
  BOOST_TEST(queue_of("nobody")->not_found());
  BOOST_CHECK(queue_of("") == nullptr);
  BOOST_REQUIRE(asked);
  cluster::Scheduler scheduler;
  for (const Batch& batch : log)
    for_each(batch,
             [&](const schema::Event& event) { scheduler.apply(event); });
  core->on_scheduler(*asked, *ask_scheduler(scheduler, *asked, now), "q");
  collect();
  const auto* answer =
      flatbuffers::GetRoot<schema::Answer>(replies.at("q").data())
          ->body_as_QueueAnswer();
  BOOST_REQUIRE(answer);
  BOOST_TEST(answer->group()->str() == "default");
  BOOST_TEST(answer->length() == 1u);
  BOOST_REQUIRE(answer->entries()->size() == 1u);
  BOOST_TEST(answer->entries()->Get(0)->session() == 1u);
  BOOST_TEST(answer->entries()->Get(0)->reason()->str() == "next");
}

BOOST_AUTO_TEST_CASE(a_dry_run_says_where_or_why_not_and_changes_nothing) {
  const auto seq = core->state().last_sequence();
  const auto run = [&](std::uint32_t cpu_milli) {
    return dry_run([&](Builder& b) {
      Spec spec = one_task();
      spec.cpu_milli = cpu_milli;
      return schema::CreateDryRunQuery(b, cluster::build_spec(b, spec));
    });
  };
  const auto* fits = run(1000);
  BOOST_TEST(schema::text(fits->rejection()) == "");
  BOOST_REQUIRE(fits->nodes()->size() == 1u);
  BOOST_TEST(fits->nodes()->Get(0)->str() == "n0");
  BOOST_TEST(schema::text(run(1'000'000)->rule()) == "never_fits");
  Spec whole = one_task();
  whole.cpu_milli = 16'000;
  running(whole);
  const auto after = core->state().last_sequence();
  const auto* waits = run(1000);
  BOOST_CHECK(waits->nodes() == nullptr);
  BOOST_TEST(waits->why()->summary()->str().find("0 of 1 task fits") == 0u);
  BOOST_TEST(core->state().last_sequence().value == after.value);
  BOOST_TEST(seq.value < after.value);
}

// All of an array count, in the manager's bounds and in the scheduler.
BOOST_AUTO_TEST_CASE(a_dry_run_of_an_array_counts_all_of_it) {
  const auto run = [&](std::uint32_t to, std::uint32_t running_max) {
    return dry_run([&](Builder& b) {
      Spec spec = one_task();
      spec.array_running_max = running_max;
      return schema::CreateDryRunQuery(b, cluster::build_spec(b, spec), true, 0,
                                       to);
    });
  };
  const auto* all = run(99, 10);
  BOOST_TEST(all->sessions() == 100u);
  BOOST_TEST(all->starting() == 10u);
  BOOST_TEST(all->nodes()->size() == 10u);
  BOOST_TEST(all->why()->summary()->str() ==
             "as many of its array run as may at once");
  all = run(99, 0);
  BOOST_TEST(all->starting() == 16u);
  Builder builder;
  cluster::Quota limits;
  limits.waiting = 5;
  const auto packed = cluster::build_quota(builder, limits);
  core->on_command(
      command_of(builder, next_id(),
                 schema::CreateSetQuotaDirect(
                     builder, schema::AccountKind::user, "root", packed)),
      "root", "quota", now);
  commit();
  BOOST_TEST(run(4, 0)->sessions() == 5u);
  BOOST_TEST(schema::text(run(99, 10)->rule()) == "quota_waiting");
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace room_test
