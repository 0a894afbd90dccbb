#include "actors/agent/core_handover.hpp"

#include <boost/test/unit_test.hpp>

namespace reeve::agent::core_handover_test {
namespace {

using keeper::TaskKey;

constexpr Time noon{1'000 * second_ns};
const TaskKey one{5, 1, 0};
const TaskKey two{6, 1, 0};
const TaskKey three{7, 1, 0};

struct Desk {
  explicit Desk(Handover::Owners owners = {}) : handover(std::move(owners)) {}

  void wait(const TaskKey& key, const std::string& owner,
            const std::vector<std::string>& uuids, Time due = noon) {
    keeper::TaskSpec spec;
    spec.key = key;
    for (const std::string& uuid : uuids) spec.gpus.push_back({uuid, 1, 300});
    grants.give(key, spec.gpus);
    handover.wait(std::move(spec), owner, due);
  }
  // "GPU-a for ann", or "GPU-a noted" where nothing is cleaned.
  std::string needed() const {
    std::string text;
    for (const GpuJob& job : handover.needed(grants, jobs)) {
      if (!text.empty()) text += ", ";
      text += job.uuid;
      text += job.work == GpuWork::note ? " noted" : " for " + job.owner;
    }
    return text;
  }
  // All that is needed is begun.
  void begin() {
    for (GpuJob& job : handover.needed(grants, jobs))
      begun.push_back(jobs.begin(std::move(job), noon));
  }
  // What was begun has ended well.
  void finish() {
    for (const GpuJob& job : std::exchange(begun, {})) {
      GpuJobDone done;
      done.id = job.id;
      done.uuid = job.uuid;
      BOOST_REQUIRE(jobs.end(done));
      handover.done(job.uuid, job.owner);
    }
  }
  std::vector<TaskKey> ready() {
    std::vector<TaskKey> keys;
    for (const auto& spec : handover.take_ready(grants, jobs))
      keys.push_back(spec.key);
    return keys;
  }
  using Keys = std::vector<TaskKey>;

  GpuGrants grants{{}};
  GpuJobs jobs;
  Handover handover;
  std::vector<GpuJob> begun;
};

BOOST_FIXTURE_TEST_CASE(a_device_is_cleaned_for_another_owner, Desk) {
  wait(one, "ann", {"GPU-a"});
  BOOST_TEST(ready().empty());
  BOOST_TEST(needed() == "GPU-a for ann");
  begin();
  BOOST_TEST(needed() == "");
  BOOST_TEST(ready().empty());
  finish();
  BOOST_TEST((ready() == Keys{one}));
  BOOST_TEST(!handover.waits(one));
}

BOOST_AUTO_TEST_CASE(the_same_owner_again_waits_for_nothing) {
  Desk desk(Handover::Owners{{"GPU-a", "ann"}});
  desk.wait(one, "ann", {"GPU-a"});
  BOOST_TEST(desk.needed() == "");
  BOOST_TEST((desk.ready() == Desk::Keys{one}));
  desk.grants.take_back(one);
  desk.wait(two, "bob", {"GPU-a"});
  BOOST_TEST(desk.needed() == "GPU-a for bob");
}

BOOST_FIXTURE_TEST_CASE(a_task_waits_for_all_of_its_devices, Desk) {
  wait(one, "ann", {"GPU-a", "GPU-b"});
  BOOST_TEST(needed() == "GPU-a for ann, GPU-b for ann");
  begin();
  const GpuJob last = begun.back();
  begun.pop_back();
  finish();
  BOOST_TEST(ready().empty());
  begun = {last};
  finish();
  BOOST_TEST((ready() == Keys{one}));
}

BOOST_FIXTURE_TEST_CASE(tasks_of_one_owner_wait_for_one_cleaning, Desk) {
  wait(one, "ann", {"GPU-a"});
  wait(two, "ann", {"GPU-a"});
  BOOST_TEST(needed() == "GPU-a for ann");
  begin();
  finish();
  BOOST_TEST((ready() == Keys{one, two}));
}

BOOST_FIXTURE_TEST_CASE(who_comes_beside_another_cleans_nothing, Desk) {
  wait(one, "ann", {"GPU-a"});
  begin();
  finish();
  ready();
  wait(two, "bob", {"GPU-a"});
  BOOST_TEST(needed() == "GPU-a noted");
  begin();
  finish();
  BOOST_TEST((ready() == Keys{two}));
  // From then on it is nobody's: not even of those who were there.
  wait(three, "ann", {"GPU-a"});
  BOOST_TEST((ready() == Keys{three}));
  for (const TaskKey& key : {one, two, three}) grants.take_back(key);
  wait({8, 1, 0}, "ann", {"GPU-a"});
  BOOST_TEST(needed() == "GPU-a for ann");
}

BOOST_FIXTURE_TEST_CASE(two_owners_at_once_come_one_after_the_other, Desk) {
  wait(one, "ann", {"GPU-a"});
  wait(two, "bob", {"GPU-a"});
  BOOST_TEST(needed() == "GPU-a for ann");
  begin();
  finish();
  BOOST_TEST((ready() == Keys{one}));
  BOOST_TEST(needed() == "GPU-a noted");
  begin();
  finish();
  BOOST_TEST((ready() == Keys{two}));
}

BOOST_FIXTURE_TEST_CASE(a_device_that_is_worked_on_is_for_nobody, Desk) {
  GpuJob test;
  test.uuid = "GPU-a";
  test.work = GpuWork::quick_test;
  test = jobs.begin(test, noon);
  handover.done("GPU-a", "ann");
  wait(one, "ann", {"GPU-a"});
  BOOST_TEST(ready().empty());
  BOOST_TEST(needed() == "");
  GpuJobDone done;
  done.id = test.id;
  done.uuid = "GPU-a";
  jobs.end(done);
  BOOST_TEST((ready() == Keys{one}));
}

BOOST_FIXTURE_TEST_CASE(who_waits_for_a_device_that_fails_waits_no_more, Desk) {
  wait(one, "ann", {"GPU-a", "GPU-b"});
  wait(two, "ann", {"GPU-b"});
  wait(three, "ann", {"GPU-c"});
  BOOST_TEST((handover.failed("GPU-b") == Keys{one, two}));
  BOOST_TEST(!handover.waits(one));
  BOOST_TEST(needed() == "GPU-c for ann");
}

BOOST_FIXTURE_TEST_CASE(a_device_that_failed_is_nobodys, Desk) {
  handover.done("GPU-a", "ann");
  handover.failed("GPU-a");
  wait(one, "ann", {"GPU-a"});
  BOOST_TEST(needed() == "GPU-a for ann");
}

// ---- other devices

NodeDevice card(const char* uuid) {
  NodeDevice device;
  device.uuid = uuid;
  return device;
}

NodeDevice part(const char* uuid, const char* of, const char* model = "1g") {
  NodeDevice device = card(uuid);
  device.model = model;
  device.mig_of = of;
  return device;
}

BOOST_AUTO_TEST_CASE(a_card_that_was_cut_meanwhile_is_nobodys) {
  Desk desk(Handover::Owners{{"GPU-a", "ann"}, {"GPU-b", "ann"}});
  const std::vector<NodeDevice> whole = {card("GPU-a"), card("GPU-b")};
  const std::vector<NodeDevice> cut = {part("MIG-a", "GPU-a"), card("GPU-b")};
  desk.handover.offer({}, whole);
  BOOST_TEST(desk.needed() == "");
  desk.handover.offer(whole, cut);
  BOOST_TEST(desk.needed() == "GPU-a noted");
  desk.begin();
  BOOST_TEST(desk.needed() == "");
  desk.finish();
  BOOST_TEST(desk.needed() == "");
  desk.handover.done("MIG-a", "bob");
  desk.handover.offer(cut, whole);
  BOOST_TEST(desk.needed() == "MIG-a noted");
  desk.begin();
  desk.finish();
  desk.wait(one, "ann", {"GPU-a", "GPU-b"});
  BOOST_TEST(desk.needed() == "GPU-a for ann");
}

BOOST_AUTO_TEST_CASE(a_card_that_was_cut_while_nobody_looked_is_nobodys) {
  Desk desk(Handover::Owners{{"GPU-a", "ann"}, {"MIG-b", "bob"}});
  desk.handover.offer({}, {part("MIG-b", "GPU-a")});
  BOOST_TEST(desk.needed() == "GPU-a noted");
  desk.begin();
  desk.finish();
  desk.wait(one, "bob", {"MIG-b"});
  BOOST_TEST(desk.needed() == "");
}

BOOST_AUTO_TEST_CASE(of_a_card_that_is_cut_otherwise_no_part_has_an_owner) {
  Desk desk(Handover::Owners{
      {"MIG-a", "ann"}, {"MIG-b", "bob"}, {"MIG-c", "ann"}, {"MIG-d", ""}});
  const std::vector<NodeDevice> before = {
      part("MIG-a", "GPU-a"), part("MIG-b", "GPU-a"), part("MIG-c", "GPU-c"),
      part("MIG-d", "GPU-a")};
  desk.handover.offer({}, before);
  BOOST_TEST(desk.needed() == "");
  auto after = before;
  after[1].model = "2g";
  desk.handover.offer(before, after);
  BOOST_TEST(desk.needed() == "MIG-a noted, MIG-b noted");
  // Whoever comes first waits for that.
  desk.wait(one, "ann", {"MIG-a"});
  BOOST_TEST(desk.needed() == "MIG-a noted, MIG-b noted");
  BOOST_TEST(desk.ready().empty());
  desk.begin();
  desk.finish();
  BOOST_TEST(desk.needed() == "MIG-a for ann");
}

BOOST_AUTO_TEST_CASE(what_cannot_be_forgotten_on_disk_is_not_tried_for_ever) {
  Desk desk(Handover::Owners{{"GPU-a", "ann"}});
  desk.handover.offer({}, {});
  BOOST_TEST(desk.needed() == "GPU-a noted");
  desk.handover.failed("GPU-a");
  BOOST_TEST(desk.needed() == "");
}

BOOST_FIXTURE_TEST_CASE(who_waits_too_long_waits_no_more, Desk) {
  BOOST_TEST(!handover.due());
  wait(one, "ann", {"GPU-a"}, Time{noon.value + 2});
  wait(two, "ann", {"GPU-a"}, Time{noon.value + 1});
  BOOST_TEST(handover.due()->value == noon.value + 1);
  BOOST_TEST(handover.take_overdue(noon).empty());
  BOOST_TEST((handover.take_overdue(Time{noon.value + 1}) == Keys{two}));
  BOOST_TEST(handover.drop(one));
  BOOST_TEST(!handover.drop(one));
  BOOST_TEST(!handover.due());
}

// ---- jobs

BOOST_FIXTURE_TEST_CASE(so_many_jobs_at_once_and_not_one_more, Desk) {
  for (std::size_t i = 0; i < gpu_jobs_max; ++i) {
    BOOST_TEST(!jobs.full());
    GpuJob job;
    job.uuid = "GPU-" + std::to_string(i);
    jobs.begin(job, noon);
  }
  BOOST_TEST(jobs.full());
}

BOOST_FIXTURE_TEST_CASE(a_job_that_does_not_end_is_given_up, Desk) {
  GpuJob job;
  job.uuid = "GPU-a";
  job.work = GpuWork::full_test;
  job = jobs.begin(job, noon);
  const Time due{noon.value + job_ns_max(GpuWork::full_test)};
  BOOST_TEST(jobs.due()->value == due.value);
  BOOST_TEST(jobs.overdue(Time{due.value - 1}).empty());
  BOOST_REQUIRE_EQUAL(jobs.overdue(due).size(), 1u);
  BOOST_TEST(jobs.overdue(due).empty());
  BOOST_TEST(!jobs.due());
  // Somebody may still be in the driver.
  BOOST_TEST(jobs.busy("GPU-a"));
  GpuJobDone late;
  late.id = job.id;
  late.uuid = "GPU-a";
  BOOST_TEST(!jobs.end(late));
  BOOST_TEST(!jobs.busy("GPU-a"));
}

BOOST_FIXTURE_TEST_CASE(the_end_of_another_job_is_not_heard, Desk) {
  GpuJob job;
  job.uuid = "GPU-a";
  job = jobs.begin(job, noon);
  GpuJobDone other;
  other.id = job.id + 1;
  other.uuid = "GPU-a";
  BOOST_TEST(!jobs.end(other));
  BOOST_TEST(jobs.busy("GPU-a"));
}

// Whoever does a job has given up before the core does.
BOOST_AUTO_TEST_CASE(a_job_may_take_what_its_probe_may_and_more) {
  constexpr std::uint64_t ns_per_ms = 1'000'000;
  const std::pair<GpuWork, std::uint64_t> cases[] = {
      {GpuWork::quick_test, quick_test_ms_max},
      {GpuWork::full_test, full_test_ms_max},
      {GpuWork::hand_over, clear_ms_max}};
  for (const auto& [work, probe_ms] : cases) {
    const std::uint64_t least_ns = (probe_ms + processes_ms_max) * ns_per_ms;
    BOOST_TEST(job_ns_max(work) > least_ns);
    BOOST_TEST(job_ns_max(work) < least_ns + 60 * second_ns);
  }
}

// The longest wait for a device is over before the launch fails for it.
static_assert(job_ns_max(GpuWork::hand_over) < handover_ns_max);

}  // namespace
}  // namespace reeve::agent::core_handover_test
