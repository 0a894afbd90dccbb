// Several schedulers, each with some of the resource groups, propose at once:
// the manager refuses what is too much together, and they learn from it.
#include <boost/test/unit_test.hpp>
#include <random>

#include "actors/manager/test_harness.hpp"

namespace shares_test {

using namespace reeve;
using namespace reeve::manager;
using namespace reeve::manager::testing;
using cluster::Spec;

namespace {

constexpr std::uint32_t share_count = 3;

struct Shares : Harness {
  Shares() {
    for (std::uint32_t i = 0; i < share_count; ++i)
      schedulers.emplace_back(cluster::SchedulerShare{i, share_count});
    commit();
    join({.name = "n0"});
    for (const char* group : {"b", "c"}) make(group);
    join({.name = "n1", .group = "b"});
    join({.name = "n2", .group = "c"});
  }

  void tell() {
    for (; told < log.size(); ++told)
      for_each(log[told], [&](const schema::Event& event) {
        for (auto& scheduler : schedulers) scheduler.apply(event);
      });
  }

  void make(const char* group) {
    Builder builder;
    const auto id = next_id();
    const auto spec = schema::CreateAccountSpecDirect(
        builder, schema::AccountKind::group, group);
    core->on_command(
        command_of(builder, id, schema::CreateSetAccount(builder, spec)),
        "root", text_of(id), now);
    commit();
  }

  void quota(std::uint64_t sessions) {
    Builder builder;
    cluster::Quota limits;
    limits.sessions = sessions;
    const auto packed = cluster::build_quota(builder, limits);
    const auto id = next_id();
    core->on_command(
        command_of(builder, id,
                   schema::CreateSetQuotaDirect(
                       builder, schema::AccountKind::user, "root", packed)),
        "root", text_of(id), now);
    commit();
  }

  std::uint64_t submit_to(const std::string& group,
                          std::uint32_t cpu_milli = 1000) {
    Spec spec = cluster::testing::one_task();
    spec.group = group;
    spec.cpu_milli = cpu_milli;
    const auto id = submit(spec);
    commit();
    return session_of(id);
  }

  // All propose from what they know; the manager hears one after the other.
  // How many it takes, of each.
  std::vector<std::size_t> propose() {
    tell();
    std::vector<std::vector<cluster::Proposal>> proposals;
    for (auto& scheduler : schedulers)
      proposals.push_back(scheduler.propose(now, 1000));
    std::vector<std::size_t> taken;
    std::vector<std::pair<SessionId, std::uint32_t>> refused;
    for (const auto& list : proposals) {
      const auto some = core->on_proposals(list, now);
      taken.push_back(list.size() - some.size());
      refused.insert(refused.end(), some.begin(), some.end());
    }
    refused_count += refused.size();
    for (const auto& [session, attempt] : refused)
      for (auto& scheduler : schedulers) scheduler.refused(session, attempt);
    commit();
    return taken;
  }

  void end(std::uint64_t session) {
    const auto& live = *core->state().session(SessionId{session});
    const std::string node = core->state().node(live.tasks[0].node)->name;
    start(session);
    report(node, session, {.exit_code = 0});
    commit();
  }

  std::vector<cluster::Scheduler> schedulers;
  std::size_t told = 0;
  std::size_t refused_count = 0;
};

using Counts = std::vector<std::size_t>;

}  // namespace

BOOST_FIXTURE_TEST_SUITE(shares, Shares)

BOOST_AUTO_TEST_CASE(each_group_has_one_scheduler) {
  const auto a = submit_to("default");
  const auto b = submit_to("b");
  const auto c = submit_to("c");
  BOOST_TEST(propose() == Counts({1, 1, 1}), boost::test_tools::per_element());
  tell();
  for (const auto session : {a, b, c, std::uint64_t{99}}) {
    int serving = 0;
    for (const auto& scheduler : schedulers)
      serving += scheduler.serves(SessionId{session});
    BOOST_TEST(serving == 1);
  }
  for (const char* group : {"default", "b", "c", "nobody"}) {
    int serving = 0;
    for (const auto& scheduler : schedulers)
      serving += scheduler.serves(std::string(group));
    BOOST_TEST(serving == 1);
  }
}

BOOST_AUTO_TEST_CASE(a_question_is_answered_by_the_one_that_it_is_for) {
  const auto session = submit_to("b", 16'000);
  submit_to("b", 16'000);
  propose();
  tell();
  std::vector<ForScheduler> questions{WhyWaits{SessionId{session + 1}},
                                      QueueOf{"b", false, 10}};
  for (const auto& question : questions) {
    int answers = 0;
    for (auto& scheduler : schedulers) {
      const auto said = ask_scheduler(scheduler, question, now);
      answers += said.has_value();
      if (!said) continue;
      if (const auto* why = std::get_if<cluster::Why>(&*said))
        BOOST_CHECK(why->reason == cluster::WaitReason::no_room);
      else
        BOOST_TEST(std::get<cluster::Queue>(*said).length == 1u);
    }
    BOOST_TEST(answers == 1);
  }
}

BOOST_AUTO_TEST_CASE(what_is_too_much_together_is_refused_and_learned) {
  quota(1);
  const auto first = submit_to("default");
  const auto second = submit_to("b");
  BOOST_TEST(propose() == Counts({1, 0, 0}), boost::test_tools::per_element());
  BOOST_TEST(refused_count == 1u);
  // It knows now that the user holds what it may, and waits for that.
  BOOST_TEST(propose() == Counts({0, 0, 0}), boost::test_tools::per_element());
  BOOST_TEST(refused_count == 1u);
  BOOST_CHECK(schedulers[1].why(SessionId{second}).reason ==
              cluster::WaitReason::quota);
  end(first);
  BOOST_TEST(propose() == Counts({0, 1, 0}), boost::test_tools::per_element());
}

BOOST_AUTO_TEST_CASE(dependencies_cross_groups) {
  const auto first = submit_to("c");
  Spec spec = cluster::testing::one_task();
  spec.group = "b";
  spec.after = {{first, schema::DependencyKind::ok}};
  submit(spec);
  commit();
  BOOST_TEST(propose() == Counts({0, 0, 1}), boost::test_tools::per_element());
  end(first);
  BOOST_TEST(propose() == Counts({0, 1, 0}), boost::test_tools::per_element());
}

// With a quota that always binds, whatever they propose at once: no more run
// than may, and all of them end.
BOOST_AUTO_TEST_CASE(random_work_of_three_groups_ends_within_the_quota) {
  std::mt19937_64 random(7);
  quota(5);
  const char* groups[] = {"default", "b", "c"};
  std::vector<std::uint64_t> running;
  std::size_t open = 0;
  for (int step = 0; step < 300 || open > 0; ++step) {
    BOOST_REQUIRE(step < 2000);
    now.value += second_ns;
    for (std::size_t i = 0; step < 300 && i < random() % 3; ++i, ++open)
      submit_to(groups[random() % 3],
                1000 * static_cast<std::uint32_t>(1 + random() % 16));
    propose();
    running.clear();
    core->state().visit_sessions(SessionId{1}, [&](const auto& session) {
      if (!session.tasks.empty() && session.ended_at.value == 0)
        running.push_back(session.id.value);
      return true;
    });
    BOOST_REQUIRE(running.size() <= 5u);
    BOOST_REQUIRE(core->state().check_invariants().has_value());
    if (running.empty()) continue;
    end(running[random() % running.size()]);
    --open;
  }
  BOOST_TEST(refused_count > 0u);
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace shares_test
