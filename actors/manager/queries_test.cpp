// Questions and their answers.
#include "actors/manager/queries.hpp"

#include <boost/test/unit_test.hpp>

#include "actors/manager/test_harness.hpp"
#include "schema/wire.hpp"

namespace queries_test {

using namespace reeve;
using namespace reeve::manager;
using namespace reeve::manager::testing;
using cluster::Spec;
using cluster::testing::one_task;
using cluster::testing::tasks_of;

namespace {

struct Fixture : Harness {
  Fixture() {
    commit();
    join({.name = "n0",
          .cpu_milli = 5'000'000,
          .memory_bytes = 5'000 * cluster::testing::gib,
          .devices = 2});
  }
  std::uint64_t submitted(const Spec& spec) {
    const auto id = submit(spec);
    commit();
    return session_of(id);
  }
  const schema::SessionsAnswer* sessions(std::uint64_t after,
                                         std::uint32_t limit, bool all = false,
                                         const char* user = "") {
    return ask<schema::SessionsQuery>([=](Builder& b) {
             return schema::CreateSessionsQueryDirect(b, all, nullptr, user,
                                                      after, limit);
           })
        ->body_as_SessionsAnswer();
  }
  const schema::Answer* session(std::uint64_t id) {
    return ask<schema::SessionQuery>(
        [=](Builder& b) { return schema::CreateSessionQuery(b, id); });
  }
  // What it is told with this answer of the scheduler.
  const schema::WhyAnswer* waiting(std::uint64_t id, const cluster::Why& why) {
    core->answer_why(SessionId{id}, why, "w");
    collect();
    return flatbuffers::GetRoot<schema::Answer>(replies.at("w").data())
        ->body_as_WhyAnswer();
  }
  std::string why(std::uint64_t id) {
    const auto* answer = ask<schema::WhyQuery>(
        [=](Builder& b) { return schema::CreateWhyQuery(b, id); });
    if (for_scheduler) return "scheduler";
    if (answer->error()) return answer->error()->str();
    return answer->body_as_WhyAnswer()->summary()->str();
  }
};

}  // namespace

BOOST_FIXTURE_TEST_SUITE(queries, Fixture)

BOOST_AUTO_TEST_CASE(sessions_come_in_pages) {
  for (int i = 0; i < 5; ++i) submitted(one_task());
  const auto* page = sessions(0, 2);
  BOOST_REQUIRE_EQUAL(page->sessions()->size(), 2);
  BOOST_CHECK(page->more());
  BOOST_CHECK_EQUAL(page->sessions()->Get(1)->session(), 2);
  page = sessions(4, 2);
  BOOST_REQUIRE_EQUAL(page->sessions()->size(), 1);
  BOOST_CHECK(!page->more());
  BOOST_CHECK_EQUAL(sessions(5, 2)->sessions()->size(), 0);
}

BOOST_AUTO_TEST_CASE(the_newest_sessions_come_first_when_asked_for) {
  for (int i = 0; i < 5; ++i) submitted(one_task());
  const auto down = [&](std::uint64_t before, std::uint32_t limit) {
    return ask<schema::SessionsQuery>([=](Builder& b) {
             return schema::CreateSessionsQueryDirect(b, false, nullptr, "", 0,
                                                      limit, true, before);
           })
        ->body_as_SessionsAnswer();
  };
  const auto* page = down(0, 2);
  BOOST_REQUIRE_EQUAL(page->sessions()->size(), 2);
  BOOST_CHECK_EQUAL(page->sessions()->Get(0)->session(), 5);
  BOOST_CHECK_EQUAL(page->sessions()->Get(1)->session(), 4);
  BOOST_CHECK(page->more());
  page = down(4, 5);
  BOOST_REQUIRE_EQUAL(page->sessions()->size(), 3);
  BOOST_CHECK_EQUAL(page->sessions()->Get(2)->session(), 1);
  BOOST_CHECK(!page->more());
  BOOST_CHECK_EQUAL(down(1, 5)->sessions()->size(), 0);
}

BOOST_AUTO_TEST_CASE(no_page_is_longer_than_its_bound) {
  for (std::uint32_t i = 0; i < answer_rows_max + 1; ++i) submit(one_task());
  commit();
  const auto* page = sessions(0, 0);
  BOOST_CHECK_EQUAL(page->sessions()->size(), answer_rows_max);
  BOOST_CHECK(page->more());
  BOOST_CHECK_EQUAL(sessions(0, 5'000)->sessions()->size(), answer_rows_max);
}

BOOST_AUTO_TEST_CASE(no_answer_is_over_the_bound_of_a_message) {
  Spec spec = tasks_of(cluster::tasks_per_session_max);
  const std::uint64_t large = submitted(spec);
  const std::string name(cluster::name_bytes_max, 'n');
  join({.name = name,
        .cpu_milli = 5'000'000,
        .memory_bytes = 5'000 * cluster::testing::gib});
  place(large, std::vector<std::string>(spec.tasks, name));
  const std::string word(50'000, 'w');
  Spec wordy = one_task();
  wordy.argv = {word, word, word, word, word};
  for (int i = 0; i < 20; ++i) submit(wordy);
  commit();
  const auto* one = session(large)->body_as_SessionView();
  BOOST_REQUIRE(one);
  BOOST_CHECK_GT(one->tasks()->size(), 100);
  BOOST_CHECK_LT(one->tasks()->size(), cluster::tasks_per_session_max);
  BOOST_CHECK_GT(replies.at("q").size(), answer_detail_bytes_max);
  BOOST_CHECK_EQUAL(one->tasks_wanted(), cluster::tasks_per_session_max);
  BOOST_CHECK_LT(replies.at("q").size(), schema::message_bytes_max);
  const auto* page = sessions(large, 0);
  BOOST_CHECK(page->more());
  // It is closed by the session that reaches the bound.
  BOOST_CHECK_GT(replies.at("q").size(), answer_bytes_max);
  BOOST_CHECK_LT(replies.at("q").size(), schema::message_bytes_max);
  sessions(0, 0);
  BOOST_CHECK_LT(replies.at("q").size(), schema::message_bytes_max);
}

BOOST_AUTO_TEST_CASE(ended_sessions_are_shown_when_asked_for) {
  const std::uint64_t id = submitted(one_task());
  cancel(id);
  submitted(one_task());
  commit();
  BOOST_CHECK_EQUAL(sessions(0, 0)->sessions()->size(), 1);
  BOOST_CHECK_EQUAL(sessions(0, 0, true)->sessions()->size(), 2);
  BOOST_CHECK_EQUAL(sessions(0, 0, true, "root")->sessions()->size(), 2);
  BOOST_CHECK_EQUAL(sessions(0, 0, true, "bob")->sessions()->size(), 0);
  const auto* cancelled = ask<schema::SessionsQuery>([](Builder& b) {
                            const std::vector<schema::SessionState> states{
                                schema::SessionState::cancelled};
                            const auto list = b.CreateVector(states);
                            return schema::CreateSessionsQuery(b, false, list);
                          })->body_as_SessionsAnswer();
  BOOST_REQUIRE_EQUAL(cancelled->sessions()->size(), 1);
  BOOST_CHECK_EQUAL(cancelled->sessions()->Get(0)->session(), id);
}

BOOST_AUTO_TEST_CASE(an_unknown_session_or_node_is_not_found) {
  const auto* answer = session(99);
  BOOST_CHECK(answer->not_found());
  BOOST_CHECK_EQUAL(answer->error()->str(), "there is no session s-99");
  BOOST_CHECK(session(0)->not_found());
  answer = ask<schema::NodesQuery>(
      [](Builder& b) { return schema::CreateNodesQueryDirect(b, "n9"); });
  BOOST_CHECK(answer->not_found());
  BOOST_CHECK_EQUAL(why(99), "there is no session s-99");
}

BOOST_AUTO_TEST_CASE(nodes_show_what_is_free_and_who_holds_the_rest) {
  const std::uint64_t id = submitted(one_task());
  Proposal proposal{SessionId{id}, 1, {{NodeId{0}, {{1, 300, 7}}}}};
  BOOST_CHECK(core->on_proposals({proposal}, now).empty());
  commit();
  join({.name = "n1"});
  const auto* nodes = ask<schema::NodesQuery>([](Builder& b) {
                        return schema::CreateNodesQueryDirect(b, "", 0, 1);
                      })->body_as_NodesAnswer();
  BOOST_REQUIRE_EQUAL(nodes->nodes()->size(), 1);
  BOOST_CHECK(nodes->more());
  const auto* node = nodes->nodes()->Get(0);
  BOOST_CHECK_EQUAL(node->free_cpu_milli(), 4'999'000);
  BOOST_CHECK_EQUAL(node->tasks(), 1);
  BOOST_CHECK_EQUAL(node->state()->str(), "up");
  const auto* device = node->devices()->Get(1);
  BOOST_CHECK_EQUAL(device->free_milli(), 700);
  BOOST_CHECK_EQUAL(device->holders()->Get(0)->session(), id);
  BOOST_CHECK_EQUAL(device->holders()->Get(0)->milli(), 300);
  nodes = ask<schema::NodesQuery>([](Builder& b) {
            return schema::CreateNodesQueryDirect(b, "", 1, 0);
          })->body_as_NodesAnswer();
  BOOST_REQUIRE_EQUAL(nodes->nodes()->size(), 1);
  BOOST_CHECK(!nodes->more());
  BOOST_CHECK_EQUAL(nodes->nodes()->Get(0)->name()->str(), "n1");
}

BOOST_AUTO_TEST_CASE(a_device_in_quarantine_has_nothing_free_and_says_why) {
  quarantine("n0", "1", "agent-n0");
  quarantine("n0", "0");
  commit();
  const auto node = [&] {
    return ask<schema::NodesQuery>([](Builder& b) {
             return schema::CreateNodesQueryDirect(b, "n0");
           })
        ->body_as_NodesAnswer()
        ->nodes()
        ->Get(0);
  };
  const auto* device = node()->devices()->Get(1);
  BOOST_CHECK_EQUAL(device->free_milli(), 0);
  BOOST_CHECK_EQUAL(device->free_memory_bytes(), 0);
  BOOST_REQUIRE(device->quarantine());
  BOOST_CHECK_EQUAL(device->quarantine()->reason()->str(), "hot");
  BOOST_CHECK_EQUAL(device->quarantine()->since_at(), now.value);
  BOOST_CHECK(device->quarantine()->by_agent());
  BOOST_CHECK(!node()->quarantined_away());
  register_nodes("n0", {{.name = "n0", .devices = 1}}, true);
  release("n0", "0");
  commit();
  BOOST_CHECK(!node()->devices()->Get(0)->quarantine());
  BOOST_REQUIRE(node()->quarantined_away());
  BOOST_CHECK_EQUAL(node()->quarantined_away()->Get(0)->uuid()->str(),
                    "GPU-n0-1");
}

BOOST_AUTO_TEST_CASE(the_tests_of_a_device_are_told) {
  test("n0", "0");
  tested("n0", "GPU-n0-0", schema::DeviceVerdict::slow);
  test("n0", "0", false);
  commit();
  const auto* device = ask<schema::NodesQuery>([](Builder& b) {
                         return schema::CreateNodesQueryDirect(b, "n0");
                       })
                           ->body_as_NodesAnswer()
                           ->nodes()
                           ->Get(0)
                           ->devices()
                           ->Get(0);
  BOOST_REQUIRE(device->testing());
  BOOST_CHECK(!device->testing()->full());
  BOOST_CHECK(device->quarantine()->for_test());
  BOOST_REQUIRE(device->tested());
  BOOST_CHECK(device->tested()->full());
  BOOST_CHECK(device->tested()->verdict() == schema::DeviceVerdict::slow);
  BOOST_CHECK_EQUAL(device->tested()->text()->str(), "as it is");
  BOOST_CHECK_EQUAL(device->tested()->told_at(), now.value);
}

BOOST_AUTO_TEST_CASE(why_tells_of_devices_in_quarantine) {
  const std::uint64_t id = submitted(one_task());
  cluster::Why why;
  why.reason = cluster::WaitReason::no_room;
  why.tasks = 1;
  why.nodes.total = 3;
  why.nodes.quarantined = 2;
  why.nodes.devices_busy = 1;
  why.nearest.emplace();
  why.nearest->name = "n0";
  why.nearest->gpus_lacking = 2;
  why.nearest->gpus_free = 1;
  why.nearest->gpus_quarantined = 1;
  const auto* answer = waiting(id, why);
  BOOST_CHECK_EQUAL(answer->summary()->str(),
                    "0 of 1 task fits on the 3 nodes now; the nearest, n0, "
                    "lacks 2 GPUs (has 1 free and 1 quarantined)");
  BOOST_CHECK_EQUAL(answer->reasons()->Get(0)->reason()->str(),
                    "suitable GPUs are quarantined or being tested");
  BOOST_CHECK_EQUAL(answer->reasons()->Get(0)->nodes(), 2);
}

BOOST_AUTO_TEST_CASE(why_tells_of_gpus_that_others_share) {
  const std::uint64_t id = submitted(one_task());
  cluster::Why why;
  why.reason = cluster::WaitReason::no_room;
  why.tasks = 1;
  why.nodes.total = 3;
  why.nodes.not_shared = 3;
  const auto* answer = waiting(id, why);
  BOOST_REQUIRE_EQUAL(answer->reasons()->size(), 1);
  BOOST_CHECK_EQUAL(answer->reasons()->Get(0)->reason()->str(),
                    "free shares are on GPUs that other projects use");
  BOOST_CHECK_EQUAL(answer->reasons()->Get(0)->nodes(), 3);
}

BOOST_AUTO_TEST_CASE(a_device_that_is_gone_does_not_hurt_its_history) {
  const std::uint64_t id = submitted(one_task());
  Proposal proposal{SessionId{id}, 1, {{NodeId{0}, {{1, 300, 7}}}}};
  BOOST_CHECK(core->on_proposals({proposal}, now).empty());
  start(id);
  report("n0", id, {});
  register_nodes("n0", {{.name = "n0"}}, true);
  commit();
  BOOST_CHECK_EQUAL(core->state().node("n0")->devices.size(), 0);
  const auto* view = session(id)->body_as_SessionView();
  BOOST_CHECK_EQUAL(view->tasks()->Get(0)->devices()->Get(0)->device(), 1);
}

BOOST_AUTO_TEST_CASE(why_has_a_sentence_for_each_state) {
  const std::uint64_t id = submitted(tasks_of(2));
  BOOST_CHECK_EQUAL(why(id), "scheduler");
  place(id, {"n0", "n0"});
  commit();
  BOOST_CHECK_EQUAL(why(id),
                    "it has its place and waits for its node to start it");
  start(id, 0);
  commit();
  BOOST_CHECK_EQUAL(why(id), "1 of 2 tasks started");
  start(id, 1);
  commit();
  BOOST_CHECK_EQUAL(why(id).substr(0, 13), "it runs since");
  report("n0", id, {.rank = 0, .exit_code = 4});
  commit();
  BOOST_CHECK_EQUAL(why(id),
                    "it is being stopped (peer_failed): 1 of 2 tasks ended");
  BOOST_CHECK(session(id)->body_as_SessionView()->first_failed() == 0U);
  report("n0", id, {.rank = 1, .exit_code = 1});
  commit();
  BOOST_CHECK_EQUAL(why(id),
                    "it has ended as failed: exit code 4 (task 0 failed)");
}

BOOST_AUTO_TEST_CASE(why_of_one_that_waits_comes_from_the_scheduler) {
  const std::uint64_t id = submitted(one_task());
  cluster::Why why;
  why.reason = cluster::WaitReason::no_room;
  why.tasks = 1;
  why.nodes.total = 3;
  why.nodes.cpu_short = 3;
  why.nearest.emplace();
  why.nearest->name = "n0";
  why.nearest->cpu_free_milli = 500;
  why.nearest->cpu_lacking_milli = 1500;
  core->answer_why(SessionId{id}, why, "w");
  collect();
  const auto* answer =
      flatbuffers::GetRoot<schema::Answer>(replies.at("w").data())
          ->body_as_WhyAnswer();
  BOOST_CHECK_EQUAL(answer->summary()->str(),
                    "0 of 1 task fits on the 3 nodes now; the nearest, n0, "
                    "lacks 1.5 CPUs (has 0.5 free)");
  BOOST_CHECK_EQUAL(answer->reasons()->Get(0)->nodes(), 3);
}

// The state has it in the queue, the scheduler does not know that yet.
BOOST_AUTO_TEST_CASE(why_of_one_that_was_queued_just_now) {
  const std::uint64_t id = submitted(one_task());
  using cluster::WaitReason;
  for (const auto reason : {WaitReason::placed, WaitReason::unknown}) {
    cluster::Why why;
    why.reason = reason;
    BOOST_CHECK_EQUAL(waiting(id, why)->summary()->str(),
                      "it came to the queue just now and was not looked at "
                      "yet");
  }
}

BOOST_AUTO_TEST_CASE(why_names_the_one_before_it_in_the_line_of_its_account) {
  const std::uint64_t id = submitted(one_task());
  cluster::Why why;
  why.reason = cluster::WaitReason::quota_line;
  why.blocked_by = SessionId{7};
  BOOST_CHECK_EQUAL(waiting(id, why)->summary()->str(),
                    "s-7, which waits for the same quota, is before it");
}

BOOST_AUTO_TEST_CASE(why_says_on_what_a_gang_has_to_be) {
  join({.name = "n1", .labels = {{"rack", "r1"}}});
  join({.name = "n2", .labels = {{"rack", "r1"}}});
  cluster::Why why;
  why.reason = cluster::WaitReason::no_room;
  why.tasks = 2;
  why.tasks_fitting = 1;
  why.nodes.total = 3;
  why.nearest.emplace();
  why.nearest->name = "n1";
  why.nearest->cpu_lacking_milli = 1000;
  const struct {
    std::uint32_t nodes;
    const char* within;
    const char* together;
    const char* place;
  } cases[] = {{0, "", "", "on the 3 nodes now"},
               {2, "", "", "on the 3 nodes now; it needs 2 nodes"},
               {1, "", "", "on one node now"},
               {0, "rack", "", "in one rack now"},
               {2, "rack", "", "in one rack now; it needs 2 nodes"},
               {0, "", "x@rack", "in one rack now"},
               {0, "", "x", "on one node now"}};
  for (const auto& c : cases) {
    Spec spec = tasks_of(2);
    spec.nodes = c.nodes;
    spec.within = c.within;
    spec.together = c.together;
    BOOST_CHECK_EQUAL(waiting(submitted(spec), why)->summary()->str(),
                      std::string("1 of 2 tasks fit ") + c.place +
                          "; the nearest, n1, lacks 1 CPU (has 0 free)");
  }
}

BOOST_AUTO_TEST_CASE(why_names_the_ends_that_are_waited_for) {
  using schema::DependencyKind;
  for (int i = 0; i < 4; ++i) submitted(one_task());
  Spec spec = one_task();
  spec.after = {{1, DependencyKind::ok},
                {2, DependencyKind::failed},
                {3, DependencyKind::any},
                {4, DependencyKind::ok}};
  const std::uint64_t id = submitted(spec);
  cluster::Why why;
  why.reason = cluster::WaitReason::dependency;
  why.waits_for = {SessionId{1}, SessionId{2}, SessionId{3}};
  BOOST_CHECK_EQUAL(waiting(id, why)->summary()->str(),
                    "it waits for s-1 to succeed, s-2 to fail, s-3 to end");
}

BOOST_AUTO_TEST_CASE(why_names_the_label_that_no_node_has) {
  join({.name = "n1", .labels = {{"rack", "r1"}}});
  Spec spec = one_task();
  spec.together = "x@rack";
  const std::uint64_t id = submitted(spec);
  cluster::Why why;
  why.reason = cluster::WaitReason::no_room;
  why.tasks = 1;
  why.nodes.total = 2;
  why.nodes.unwished = 2;
  const auto* answer = waiting(id, why);
  BOOST_CHECK_EQUAL(answer->summary()->str(),
                    "0 of 1 task fits on the 2 nodes now");
  BOOST_CHECK_EQUAL(answer->reasons()->Get(0)->reason()->str(),
                    "not as it asks: together x@rack");
  join({.name = "n1"});
  BOOST_CHECK_EQUAL(waiting(id, why)->summary()->str(),
                    "no node of group default has label rack, which together "
                    "x@rack needs");
}

BOOST_AUTO_TEST_CASE(why_says_when_its_reservation_begins) {
  Builder builder;
  cluster::Reservation kept;
  kept.name = "r";
  kept.nodes = {"n0"};
  kept.users = {"root"};
  kept.first = {Time{7200 * second_ns}, Time{10'800 * second_ns}};
  kept.every_ns = 86'400 * second_ns;
  core->on_command(
      command_of(builder, next_id(),
                 schema::CreateSetReservation(
                     builder, cluster::build_reservation(builder, kept))),
      "root", "", now);
  Spec spec = one_task();
  spec.reservation = "r";
  const std::uint64_t id = submitted(spec);
  cluster::Why why;
  why.reason = cluster::WaitReason::no_room;
  why.nodes.total = why.nodes.reserved = 1;
  const auto* answer = waiting(id, why);
  BOOST_CHECK_EQUAL(answer->summary()->str().substr(0, 49),
                    "its reservation r begins at 1970-01-01T02:00:00.0");
  BOOST_CHECK_EQUAL(answer->reasons()->Get(0)->reason()->str(),
                    "not kept for it by reservation r now");
  // Until then it is held; unless its own time comes later.
  auto held = why;
  held.reason = cluster::WaitReason::not_before;
  held.held_until = held.expected_start = kept.first.from;
  BOOST_CHECK_EQUAL(waiting(id, held)->summary()->str(),
                    "its reservation r begins at "
                    "1970-01-01T02:00:00.000000000Z, expected then");
  held.held_until = Time{7'201 * second_ns};
  BOOST_CHECK_EQUAL(waiting(id, held)->summary()->str(),
                    "it may not start before 1970-01-01T02:00:01.000000000Z");
  tick(10'800 * second_ns);
  commit();
  BOOST_CHECK_EQUAL(waiting(id, why)->summary()->str().substr(0, 55),
                    "its reservation r begins again at 1970-01-02T02:00:00.0");
}

BOOST_AUTO_TEST_CASE(one_whose_time_has_not_come_is_expected_then) {
  const std::uint64_t id = submitted(one_task());
  const auto summary = [&](std::uint64_t expected_at) {
    cluster::Why why;
    why.reason = cluster::WaitReason::not_before;
    why.held_until = Time{7'200 * second_ns};
    why.expected_start = Time{expected_at};
    return waiting(id, why)->summary()->str();
  };
  const std::string held =
      "it may not start before 1970-01-01T02:00:00.000000000Z";
  BOOST_CHECK_EQUAL(summary(0), held);
  BOOST_CHECK_EQUAL(summary(7'200 * second_ns), held + ", expected then");
  BOOST_CHECK_EQUAL(summary(9'000 * second_ns), held);
}

BOOST_AUTO_TEST_CASE(held_sessions_are_listed_behind_the_queue) {
  const std::uint64_t first = submitted(one_task());
  Spec spec = one_task();
  spec.after = {{first, schema::DependencyKind::failed}};
  const std::uint64_t second = submitted(spec);
  cluster::Queue queue;
  queue.length = 1;
  queue.entries.push_back({.session = SessionId{first}});
  queue.held_length = 4;
  queue.held.push_back({.session = SessionId{second},
                        .reason = cluster::WaitReason::dependency,
                        .waits_for = {SessionId{first}}});
  queue.held.push_back({.session = SessionId{second},
                        .reason = cluster::WaitReason::not_before,
                        .expected_start = Time{7'200 * second_ns},
                        .held_until = Time{7'200 * second_ns}});
  AnswerWriter writer(core->state());
  const auto bytes = writer.queue("default", queue);
  const auto* answer =
      flatbuffers::GetRoot<schema::Answer>(bytes.data())->body_as_QueueAnswer();
  BOOST_CHECK_EQUAL(answer->length(), 1);
  BOOST_CHECK_EQUAL(answer->held(), 4);
  BOOST_REQUIRE_EQUAL(answer->entries()->size(), 3);
  BOOST_CHECK(!answer->entries()->Get(0)->held());
  const auto* waits = answer->entries()->Get(1);
  BOOST_CHECK(waits->held());
  BOOST_CHECK_EQUAL(waits->reason()->str(), "s-1 to fail");
  BOOST_CHECK_EQUAL(waits->after()->Get(0), first);
  const auto* later = answer->entries()->Get(2);
  BOOST_CHECK(later->held() && later->after() == nullptr);
  BOOST_CHECK_EQUAL(later->not_before_at(), 7'200 * second_ns);
  BOOST_CHECK_EQUAL(later->expected_start_at(), 7'200 * second_ns);
  BOOST_CHECK_EQUAL(later->reason()->str(),
                    "not before 1970-01-01T02:00:00.000000000Z");
}

BOOST_AUTO_TEST_CASE(the_status_counts_and_the_digest_is_the_states) {
  submitted(one_task());
  const auto* status = ask<schema::StatusQuery>([](Builder& b) {
                         return schema::CreateStatusQuery(b);
                       })->body_as_StatusAnswer();
  BOOST_CHECK_EQUAL(status->cell()->str(), "cell");
  BOOST_CHECK_EQUAL(status->nodes_up(), 1);
  BOOST_CHECK_EQUAL(status->sessions()->Get(0)->count(), 1);
  const auto* answer = ask<schema::DigestQuery>(
      [](Builder& b) { return schema::CreateDigestQuery(b); });
  BOOST_CHECK_EQUAL(answer->body_as_DigestAnswer()->digest()->str(),
                    core->state().digest_hex());
}

BOOST_AUTO_TEST_CASE(an_answer_waits_for_the_commit_it_tells_of) {
  submit(one_task());
  BOOST_CHECK(session(1) == nullptr);
  commit();
  BOOST_CHECK(replies.contains("q"));
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace queries_test
