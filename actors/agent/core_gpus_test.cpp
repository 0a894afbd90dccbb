#include "actors/agent/core_gpus.hpp"

#include <boost/test/unit_test.hpp>
#include <map>

#include "actors/agent/core.hpp"
#include "actors/agent/test_orders.hpp"

namespace reeve::agent::core_gpus_test {
namespace {

using gpu::share::DeviceShare;
using testing::Heard;
using testing::Orders;

constexpr std::uint64_t gib = 1ull << 30;
constexpr Time noon{1'000 * second_ns};
const TaskKey one{5, 1, 0};
const TaskKey two{6, 1, 0};
const TaskKey three{7, 1, 0};

DeviceShare share(const char* uuid, std::uint32_t milli,
                  std::uint64_t memory_bytes) {
  return {uuid, memory_bytes, milli};
}

// ---- when each share has its time

struct Grants : GpuGrants {
  Grants() : GpuGrants({{"GPU-a", "A100", 80 * gib, 0, {}}}) {}
  std::uint32_t begin_of(const TaskKey& task, std::uint32_t milli,
                         const char* uuid = "GPU-a") {
    Shares shares{share(uuid, milli, gib)};
    give(task, shares);
    return shares[0].begin_milli;
  }
};

BOOST_FIXTURE_TEST_CASE(shares_of_one_device_take_turns, Grants) {
  BOOST_TEST(begin_of(one, 300) == 0u);
  BOOST_TEST(begin_of(two, 300) == 300u);
  BOOST_TEST(begin_of({8, 1, 0}, 500, "GPU-b") == 0u);
  BOOST_TEST(begin_of(three, 400) == 600u);
  take_back(two);
  BOOST_TEST(begin_of({9, 1, 0}, 200) == 300u);
}

BOOST_FIXTURE_TEST_CASE(what_the_runtime_remembers_is_taken, Grants) {
  auto first = share("GPU-a", 300, gib);
  first.begin_milli = 100;
  take_up(one, {first});
  take_up(two, {});
  BOOST_TEST(!holds(two));
  BOOST_TEST(begin_of(two, 300) == 400u);
}

BOOST_FIXTURE_TEST_CASE(who_has_the_whole_device_waits_for_nobody, Grants) {
  BOOST_TEST(begin_of(one, 1000) == 0u);
  BOOST_TEST(begin_of(two, 1000, "GPU-b") == 0u);
}

// ---- who uses more

struct Looks {
  explicit Looks(const std::vector<NodeDevice>& devices = {})
      : grants(devices) {}

  // Pids are those of their task, times ten.
  std::vector<TaskKey> look(const std::vector<GpuUse>& uses) {
    return grants.look(uses, [](int pid) -> std::optional<TaskKey> {
      if (pid < 10) return std::nullopt;
      return TaskKey{static_cast<std::uint64_t>(pid / 10), 1, 0};
    });
  }

  GpuGrants grants;
};

BOOST_FIXTURE_TEST_CASE(a_task_may_hold_its_share_and_what_processes_need,
                        Looks) {
  grants.take_up(one, {share("GPU-a", 300, 8 * gib)});
  const std::uint64_t most = 8 * gib + 2 * process_extra_bytes_max;
  std::vector<GpuUse> uses{{"GPU-a", {{50, gib}, {51, most - gib}, {1, most}}}};
  for (unsigned i = 0; i < 2 * overuse_looks_max; ++i)
    BOOST_TEST(look(uses).empty());
  ++uses[0].processes[1].memory_bytes.value();
  for (unsigned i = 1; i < overuse_looks_max; ++i)
    BOOST_TEST(look(uses).empty());
  BOOST_TEST(grants.why_stopped(one) == "");
  BOOST_REQUIRE(look(uses).size() == 1u);
  BOOST_TEST(grants.why_stopped(one) ==
             "it held 10.0 GiB of GPU-a in 2 programs; its share is 8 GiB, and "
             "1 GiB more for each program");
}

BOOST_FIXTURE_TEST_CASE(who_holds_too_much_at_one_look_alone_goes_on, Looks) {
  grants.take_up(one, {share("GPU-a", 300, gib)});
  for (unsigned i = 0; i < 2 * overuse_looks_max; ++i)
    BOOST_TEST(look({{"GPU-a", {{50, i % overuse_looks_max ? gib : 9 * gib}}}})
                   .empty());
}

BOOST_FIXTURE_TEST_CASE(a_share_without_its_library_is_ended, Looks) {
  grants.take_up(one, {share("GPU-a", 300, 8 * gib)});
  grants.take_up(two, {share("GPU-a", 300, 8 * gib)});
  const std::vector<GpuUse> uses{
      {"GPU-a", {{50, gib}, {51, gib}, {60, gib}}, {51}}};
  for (unsigned i = 1; i < overuse_looks_max; ++i)
    BOOST_TEST(look(uses).empty());
  BOOST_TEST((look(uses) == std::vector{one}));
  BOOST_TEST(grants.why_stopped(one) ==
             "it used its share of GPU-a in 1 program without "
             "/dev/reeve/libreeve-gpu-share.so: programs that are linked "
             "statically, or started without LD_PRELOAD as it was, need a "
             "whole device");
  BOOST_TEST(grants.why_stopped(two) == "");
}

BOOST_FIXTURE_TEST_CASE(a_server_of_the_site_counts_to_no_task, Looks) {
  grants.take_up(one, {share("GPU-a", 300, 8 * gib)});
  GpuUse use{"GPU-a", {{50, gib}, {51, 70 * gib}}, {51}, {51}};
  for (unsigned i = 0; i < 2 * overuse_looks_max; ++i)
    BOOST_TEST(look({use}).empty());
  use.servers.clear();
  for (unsigned i = 1; i < overuse_looks_max; ++i)
    BOOST_TEST(look({use}).empty());
  BOOST_TEST((look({use}) == std::vector{one}));
}

BOOST_FIXTURE_TEST_CASE(a_whole_device_needs_no_library, Looks) {
  grants.take_up(one, {share("GPU-a", 1000, 8 * gib)});
  for (unsigned i = 0; i < 2 * overuse_looks_max; ++i)
    BOOST_TEST(look({{"GPU-a", {{50, gib}}, {50}}}).empty());
}

BOOST_FIXTURE_TEST_CASE(a_device_of_others_is_for_nobody_else, Looks) {
  grants.take_up(one, {share("GPU-a", 1000, gib)});
  const std::vector<GpuUse> uses{{"GPU-a", {{50, 70 * gib}}},
                                 {"GPU-b", {{51, std::nullopt}, {60, gib}}}};
  BOOST_TEST(look(uses).empty());
  const auto stopped = look(uses);
  BOOST_REQUIRE(stopped.size() == 2u);
  BOOST_TEST((stopped[0] == one && stopped[1] == two));
  BOOST_TEST(grants.why_stopped(one) ==
             "it used GPU-b, which it was not given: 1 program with 0 B");
  grants.take_back(one);
  BOOST_TEST(grants.why_stopped(one) == "");
}

BOOST_AUTO_TEST_CASE(an_instance_is_counted_to_the_device_it_is_cut_from) {
  NodeDevice instance;
  instance.uuid = "MIG-1";
  instance.mig_of = "GPU-a";
  Looks looks({instance});
  looks.grants.take_up(one, {share("MIG-1", 1000, gib)});
  looks.grants.take_up(two, {share("MIG-1", 500, gib)});
  const std::vector<GpuUse> uses{{"GPU-a", {{50, 9 * gib}, {60, 9 * gib}}}};
  BOOST_TEST(looks.look(uses).empty());
  const auto stopped = looks.look(uses);
  BOOST_REQUIRE(stopped.size() == 1u);
  BOOST_TEST((stopped[0] == two));
}

BOOST_AUTO_TEST_CASE(an_error_ends_all_that_hold_a_part_of_the_device) {
  NodeDevice instance;
  instance.uuid = "MIG-1";
  instance.mig_of = "GPU-b";
  GpuGrants grants({instance});
  grants.take_up(one, {share("GPU-a", 300, gib)});
  grants.take_up(two, {share("GPU-a", 300, gib), share("GPU-c", 1000, gib)});
  grants.take_up(three, {share("MIG-1", 1000, gib)});
  BOOST_TEST((grants.fail("GPU-a", "a") == std::vector{one, two}));
  BOOST_TEST((grants.fail("GPU-b", "b") == std::vector{three}));
  BOOST_TEST(grants.fail("GPU-d", "d").empty());
  BOOST_TEST(grants.why_stopped(two) == "a");
  BOOST_TEST(grants.why_stopped(three) == "b");
}

BOOST_AUTO_TEST_CASE(what_is_held_is_kept_where_it_is_and_as_it_is) {
  const std::vector<NodeDevice> before = {{"GPU-a", "A100", gib, 0, {}},
                                          {"GPU-b", "A100", gib, 0, {}}};
  auto after = before;
  GpuGrants grants(before);
  grants.take_up(one, {share("GPU-a", 300, gib)});
  after.pop_back();
  BOOST_TEST(grants.keep(before, after));
  after = {before[1], before[0]};
  BOOST_TEST(!grants.keep(before, after));
  for (const auto change : {+[](NodeDevice& of) { of.model = "H100"; },
                            +[](NodeDevice& of) { of.memory_bytes = 1; },
                            +[](NodeDevice& of) { of.numa_node = 1; },
                            +[](NodeDevice& of) { of.mig_of = "GPU-c"; },
                            +[](NodeDevice& of) { of.uuid = "GPU-c"; }}) {
    after = before;
    change(after[1]);
    BOOST_TEST(grants.keep(before, after));
    change(after[0]);
    BOOST_TEST(!grants.keep(before, after));
  }
  grants.take_back(one);
  BOOST_TEST(grants.keep(before, {}));
}

// ---- the agent

struct Sharing {
  explicit Sharing(std::string library = "/lib/share.so")
      : Sharing(options(std::move(library))) {}
  explicit Sharing(Options options) : core(std::move(options)) { ready(); }

  static Options options(std::string library) {
    Options all;
    all.agent = "n1";
    all.node.name = "n1";
    all.node.devices = {{"GPU-a", "A100", 80 * gib, 0, {"/dev/nvidia3"}}};
    all.node.share_library = std::move(library);
    return all;
  }
  void ready(const std::vector<keeper::TaskStatus>& tasks = {}) {
    core.on_runtime_ready(tasks, {}, {}, noon);
    step();
  }
  void registered() {
    answer(heard.registration_id);
    core.on_order(testing::order_of(Orders(1).list(heard.boot, {})), now);
    step();
    answer(heard.registration_id);
    BOOST_REQUIRE(core.registered());
  }
  void answer(const schema::Id128& id) { reply(testing::make_reply(id, true)); }
  void reply(const std::vector<std::byte>& bytes) {
    core.on_reply(testing::reply_of(bytes), now);
    step();
  }
  void tick(std::uint64_t ns) {
    now.value += ns;
    core.on_tick(now);
    step();
  }
  void order(const Orders& orders, const TaskKey& key) {
    core.on_order(testing::order_of(orders.launch({key})), now);
    step();
  }
  void find(gpu::Action action, const char* reason,
            const char* uuid = "GPU-a") {
    core.on_gpu_health({{uuid, {action, reason}}});
    step();
  }
  void has(std::vector<NodeDevice> devices) {
    Node node = core.node();
    node.devices = std::move(devices);
    core.on_node(std::move(node));
    step();
  }
  void start(const TaskKey& key, int pid) {
    order(Orders(1).with_share(300, 8 * gib), key);
    core.on_started(key, pid, 10, "");
    step();
  }
  // Process 40 + n is a child of process 30 + n, that one of 20 + n.
  void look(std::uint32_t pid, std::uint64_t bytes) {
    core.on_gpu_use({{"GPU-a", {{pid, bytes}}}},
                    [](int of) { return of >= 30 ? of - 10 : 0; });
    step();
  }
  void step() {
    Effects effects = core.take_effects(now);
    core.check_invariants();
    for (auto& command : effects.commands) heard.take(command);
    for (auto& spec : effects.launches) launched.push_back(std::move(spec));
    for (auto& each : effects.stops) stopped.push_back(each);
    for (auto& text : effects.messages) messages.push_back(std::move(text));
  }

  Time now = noon;
  Core core;
  Heard heard;
  std::vector<TaskSpec> launched;
  std::vector<StopTask> stopped;
  std::vector<std::string> messages;
};

std::map<std::string, std::string> env_of(const TaskSpec& spec) {
  std::map<std::string, std::string> all;
  for (const std::string& line : spec.env)
    all[line.substr(0, line.find('='))] = line.substr(line.find('=') + 1);
  return all;
}

BOOST_FIXTURE_TEST_CASE(a_share_comes_with_its_limits_and_the_library,
                        Sharing) {
  order(Orders(1).with_share(300, 8 * gib), one);
  order(Orders(1).with_share(200, gib).with_env("LD_PRELOAD", "/x.so /y.so"),
        two);
  BOOST_REQUIRE(launched.size() == 2u);
  const TaskSpec& spec = launched[0];
  BOOST_TEST(spec.share_library == "/lib/share.so");
  BOOST_REQUIRE(spec.gpus.size() == 1u);
  BOOST_TEST(spec.gpus[0].uuid == "GPU-a");
  BOOST_TEST(spec.gpus[0].memory_bytes == 8 * gib);
  BOOST_TEST(spec.gpus[0].compute_milli == 300u);
  BOOST_TEST(spec.gpus[0].begin_milli == 0u);
  BOOST_TEST(launched[1].gpus.at(0).begin_milli == 300u);
  auto env = env_of(spec);
  BOOST_TEST(env["REEVE_GPU_LEDGER"] == keeper::share_ledger_path);
  BOOST_TEST(env["LD_PRELOAD"] == keeper::share_library_path);
  BOOST_TEST(env["CUDA_VISIBLE_DEVICES"] == "GPU-a");
  BOOST_TEST(env_of(launched[1])["LD_PRELOAD"] ==
             std::string(keeper::share_library_path) + ":/x.so /y.so");
}

BOOST_AUTO_TEST_CASE(a_share_goes_through_the_mps_of_the_site) {
  Options options = Sharing::options("/lib/share.so");
  options.node.mps_directory = "/run/mps";
  Sharing site(std::move(options));
  site.order(Orders(1)
                 .with_share(125, 8 * gib + 1)
                 .with_env("CUDA_MPS_PIPE_DIRECTORY", "/tmp/mine"),
             one);
  site.order(Orders(1), two);
  BOOST_REQUIRE(site.launched.size() == 2u);
  BOOST_TEST(site.launched[0].mps_directory == "/run/mps");
  // What it was given stays what it is accounted for.
  BOOST_TEST(site.launched[0].gpus.at(0).compute_milli == 125u);
  auto env = env_of(site.launched[0]);
  BOOST_TEST(env["CUDA_MPS_PIPE_DIRECTORY"] == keeper::share_mps_path);
  BOOST_TEST(env["CUDA_MPS_ACTIVE_THREAD_PERCENTAGE"] == "13");
  BOOST_TEST(env["CUDA_MPS_PINNED_DEVICE_MEM_LIMIT"] == "0=8193M");
  BOOST_TEST(site.launched[1].mps_directory == "");
  BOOST_TEST(env_of(site.launched[1]).count("CUDA_MPS_PIPE_DIRECTORY") == 0u);
}

BOOST_AUTO_TEST_CASE(a_share_of_an_instance_does_not_go_through_mps) {
  Options options = Sharing::options("/lib/share.so");
  options.node.mps_directory = "/run/mps";
  options.node.devices[0].mig_of = "GPU-whole";
  Sharing site(std::move(options));
  site.order(Orders(1).with_share(300, gib), one);
  BOOST_REQUIRE(site.launched.size() == 1u);
  BOOST_TEST(site.launched[0].share_library == "/lib/share.so");
  BOOST_TEST(site.launched[0].mps_directory == "");
}

BOOST_FIXTURE_TEST_CASE(a_whole_device_comes_without_the_library, Sharing) {
  order(Orders(1).with_env("LD_PRELOAD", "/x.so"), one);
  BOOST_REQUIRE(launched.size() == 1u);
  BOOST_TEST(launched[0].share_library == "");
  BOOST_TEST(launched[0].gpus.size() == 1u);
  auto env = env_of(launched[0]);
  BOOST_TEST(env.count("REEVE_GPU_LEDGER") == 0u);
  BOOST_TEST(env["LD_PRELOAD"] == "/x.so");
}

BOOST_AUTO_TEST_CASE(without_the_library_a_share_does_not_start) {
  Sharing bare("");
  bare.order(Orders(1).with_share(300, gib), one);
  BOOST_TEST(bare.launched.empty());
  BOOST_REQUIRE(bare.heard.facts.size() == 1u);
  BOOST_TEST((bare.heard.facts[0].kind == schema::FactKind::start_failed));
  BOOST_TEST(bare.heard.facts[0].detail ==
             "0.3 GPU of GPU-a was granted, but node n1 gives GPUs whole: the "
             "library for shares is not installed beside its programs");
  bare.order(Orders(1), two);
  BOOST_TEST(bare.launched.size() == 1u);
}

BOOST_FIXTURE_TEST_CASE(an_agent_that_comes_back_knows_whose_time_it_is,
                        Sharing) {
  keeper::TaskStatus kept;
  kept.key = one;
  kept.state = keeper::TaskState::running;
  kept.pid = 20;
  kept.gpus = {share("GPU-a", 300, gib)};
  keeper::TaskStatus over = kept;
  over.key = three;
  over.state = keeper::TaskState::exited;
  ready({kept, over});
  order(Orders(1).with_share(300, gib), two);
  BOOST_TEST(launched.at(0).gpus.at(0).begin_milli == 300u);
  look(20, 9 * gib);
  look(20, 9 * gib);
  BOOST_REQUIRE(stopped.size() == 1u);
  BOOST_TEST((stopped[0].key == one));
}

BOOST_FIXTURE_TEST_CASE(the_time_of_a_task_is_free_when_it_ends, Sharing) {
  start(one, 20);
  start(two, 21);
  core.on_exited(one, {});
  core.on_start_failed({8, 1, 0}, "");
  step();
  order(Orders(1).with_share(300, gib), three);
  BOOST_TEST(launched.at(1).gpus.at(0).begin_milli == 300u);
  BOOST_TEST(launched.at(2).gpus.at(0).begin_milli == 0u);
}

BOOST_FIXTURE_TEST_CASE(a_launch_that_never_arrived_has_no_time, Sharing) {
  order(Orders(1).with_share(300, gib), one);
  ready();
  order(Orders(1).with_share(300, gib), two);
  BOOST_TEST(launched.at(1).gpus.at(0).begin_milli == 0u);
}

BOOST_FIXTURE_TEST_CASE(a_launch_that_waits_for_room_has_no_time, Sharing) {
  order(Orders(1).with_share(300, gib), one);
  core.on_refused(one, Errc::no_space, "");
  order(Orders(1).with_share(300, gib), two);
  BOOST_TEST(launched.at(1).gpus.at(0).begin_milli == 0u);
  order(Orders(1).with_share(300, gib), one);
  BOOST_TEST(launched.at(2).gpus.at(0).begin_milli == 300u);
}

BOOST_FIXTURE_TEST_CASE(a_task_that_goes_round_its_share_is_ended_and_told_why,
                        Sharing) {
  start(one, 20);
  start(two, 21);
  look(40, 20 * gib);  // a grandchild of the first
  BOOST_TEST(stopped.empty());
  look(40, 20 * gib);
  BOOST_REQUIRE(stopped.size() == 1u);
  BOOST_TEST((stopped[0].key == one));
  BOOST_TEST(stopped[0].grace_ms == 0u);
  BOOST_TEST(core.counters().overuse_stopped == 1u);
  const std::string why =
      "it held 20 GiB of GPU-a in 1 program; its share is 8 GiB, and 1 GiB "
      "more for each program";
  BOOST_TEST(messages.back() == "task 5.1.0 is ended: " + why);
  const auto bytes = testing::make_reply(heard.report_id, true);
  core.on_reply(testing::reply_of(bytes), noon);
  keeper::ExitFacts killed;
  killed.signal = 9;
  killed.exit_code = 137;
  killed.detail = "killed by order, at the end of its time to stop";
  core.on_exited(one, killed);
  step();
  BOOST_REQUIRE(!heard.facts.empty());
  BOOST_TEST(heard.facts.back().detail == why);
  BOOST_TEST((heard.facts.back().reason == schema::EndReason::signalled));
}

BOOST_FIXTURE_TEST_CASE(processes_of_no_task_are_nobodys, Sharing) {
  start(one, 20);
  for (int i = 0; i < 4; ++i) look(35, 70 * gib);
  BOOST_TEST(stopped.empty());
}

BOOST_FIXTURE_TEST_CASE(ancestors_are_looked_for_so_far_and_no_further,
                        Sharing) {
  start(one, 20);
  const auto look_up = [&](int distance) {
    for (unsigned i = 0; i < overuse_looks_max; ++i) {
      int steps = 0;
      core.on_gpu_use({{"GPU-a", {{99, 70 * gib}}}},
                      [&](int) { return ++steps < distance ? 99 : 20; });
    }
    step();
    return !stopped.empty();
  };
  BOOST_TEST(!look_up(ancestors_max + 1));
  BOOST_TEST(look_up(ancestors_max));
}

// ---- what is wrong with a device

using enum gpu::Action;

struct Registered : Sharing {
  Registered() { registered(); }
  std::size_t asked() const { return heard.quarantines.size(); }
  void refuse(schema::RejectCode code, const char* rule) {
    reply(testing::make_refusal(heard.quarantine_id, code, rule));
  }
};

BOOST_FIXTURE_TEST_CASE(an_unfit_device_is_asked_into_quarantine, Registered) {
  start(one, 20);
  find(quarantine, "Xid 48: an ECC error");
  BOOST_REQUIRE(asked() == 1u);
  BOOST_TEST(heard.quarantines[0].node == "n1");
  BOOST_TEST(heard.quarantines[0].device == "GPU-a");
  BOOST_TEST(heard.quarantines[0].reason == "Xid 48: an ECC error");
  BOOST_TEST(messages.back() ==
             "GPU-a goes into quarantine: Xid 48: an ECC error");
  BOOST_TEST(core.counters().quarantines == 1u);
  BOOST_TEST(stopped.empty());  // what runs there goes on
}

BOOST_FIXTURE_TEST_CASE(what_calls_for_nothing_is_left_alone, Registered) {
  start(one, 20);
  find(nothing, "Xid 13: an exception");
  find(quarantine, "Xid 48: an ECC error", "GPU-of-no-node");
  find(quarantine, "the driver cannot reach it", "");
  BOOST_TEST(asked() == 0u);
  BOOST_TEST(stopped.empty());
}

BOOST_FIXTURE_TEST_CASE(a_quarantine_is_asked_for_until_it_is_answered,
                        Registered) {
  find(quarantine, "too hot");
  const auto id = heard.quarantine_id;
  find(quarantine, "Xid 48: an ECC error");  // it is on its way already
  BOOST_TEST(asked() == 1u);
  tick(0);
  BOOST_TEST(core.wait_ns() <= retry_first_ns);
  tick(retry_first_ns);
  BOOST_TEST(asked() == 2u);
  BOOST_TEST(heard.quarantine_id.low() == id.low());
  BOOST_TEST(heard.quarantines[1].reason == "too hot");
  answer(id);
  for (int i = 0; i < 10; ++i) tick(retry_longest_ns / 2);
  BOOST_TEST(asked() == 2u);
  // Somebody may have released it meanwhile.
  find(quarantine, "Xid 48: an ECC error");
  BOOST_TEST(asked() == 3u);
  BOOST_TEST(heard.quarantine_id.low() != id.low());
}

BOOST_FIXTURE_TEST_CASE(a_refused_quarantine_is_not_asked_for_again,
                        Registered) {
  const auto before = messages.size();
  find(quarantine, "too hot");
  refuse(schema::RejectCode::wrong_state, "device_quarantined");
  BOOST_TEST(messages.size() == before + 1);
  find(quarantine, "too hot");
  refuse(schema::RejectCode::not_found, "device_unknown");
  BOOST_TEST(messages.back() ==
             "the manager refuses quarantine_device of agent n1: "
             "device_unknown");
  for (int i = 0; i < 10; ++i) tick(retry_longest_ns / 2);
  BOOST_TEST(asked() == 2u);
}

BOOST_FIXTURE_TEST_CASE(a_manager_without_room_is_asked_again_by_another_id,
                        Registered) {
  find(quarantine, "too hot");
  for (const auto code :
       {schema::RejectCode::no_space, schema::RejectCode::try_again}) {
    const auto id = heard.quarantine_id;
    const auto before = asked();
    refuse(code, "no_room");
    BOOST_TEST(asked() == before);
    tick(retry_longest_ns);
    BOOST_TEST(asked() == before + 1);
    BOOST_TEST(heard.quarantine_id.low() != id.low());
    BOOST_TEST(heard.quarantines.back().reason == "too hot");
  }
  answer(heard.quarantine_id);
  tick(retry_longest_ns);
  BOOST_TEST(asked() == 3u);
}

BOOST_FIXTURE_TEST_CASE(an_unfit_device_waits_until_its_node_is_known,
                        Sharing) {
  find(quarantine, "the driver cannot reach it");
  find(drain, "Xid 79: restart the host");
  find(quarantine, "too hot");
  tick(retry_first_ns);
  BOOST_TEST(heard.quarantines.empty());
  registered();
  BOOST_REQUIRE(heard.quarantines.size() == 1u);
  // The gravest of them.
  BOOST_TEST(heard.quarantines[0].reason == "Xid 79: restart the host");
}

BOOST_AUTO_TEST_CASE(a_card_that_is_cut_goes_into_quarantine_as_a_whole) {
  Sharing cut;
  NodeDevice instance;
  instance.uuid = "MIG-1";
  instance.mig_of = "GPU-b";
  cut.registered();
  cut.has({instance});
  cut.find(quarantine, "too hot", "GPU-b");
  BOOST_REQUIRE(cut.heard.quarantines.size() == 1u);
  BOOST_TEST(cut.heard.quarantines[0].device == "GPU-b");
}

BOOST_FIXTURE_TEST_CASE(an_error_within_a_program_ends_who_holds_the_device,
                        Registered) {
  start(one, 20);
  find(fail_session, "Xid 94: an ECC error");
  BOOST_REQUIRE(stopped.size() == 1u);
  BOOST_TEST((stopped[0].key == one));
  BOOST_TEST(stopped[0].grace_ms == 0u);
  BOOST_TEST(asked() == 0u);
  BOOST_TEST(core.counters().failed_stopped == 1u);
  const std::string why = "an error of GPU-a: Xid 94: an ECC error";
  BOOST_TEST(messages.back() == "task 5.1.0 is ended: " + why);
  answer(heard.report_id);
  keeper::ExitFacts killed;
  killed.signal = 9;
  core.on_exited(one, killed);
  step();
  BOOST_REQUIRE(!heard.facts.empty());
  BOOST_TEST(heard.facts.back().detail == why);
}

// ---- other devices than before

struct Changing : Registered {
  NodeDevice device(const char* uuid) {
    return {uuid, "A100", 80 * gib, 0, {"/dev/nvidia4"}};
  }
  using Uuids = std::vector<std::string>;
};

BOOST_FIXTURE_TEST_CASE(a_device_that_appeared_is_offered_at_once, Changing) {
  start(one, 20);
  answer(heard.report_id);
  const auto before = heard.registrations;
  has({core.node().devices[0], device("GPU-b")});
  BOOST_TEST(heard.registrations == before + 1);
  BOOST_TEST((heard.devices == Uuids{"GPU-a", "GPU-b"}));
  order(Orders(1).with_device("GPU-b"), two);
  BOOST_TEST(launched.back().gpus.at(0).uuid == "GPU-b");
}

BOOST_FIXTURE_TEST_CASE(a_device_that_a_task_holds_is_offered_until_its_end,
                        Changing) {
  start(one, 20);
  answer(heard.report_id);
  const auto before = heard.registrations;
  has({device("GPU-b")});
  tick(second_ns);
  BOOST_TEST(heard.registrations == before);
  core.on_exited(one, {});
  step();
  answer(heard.report_id);
  BOOST_TEST(heard.registrations == before + 1);
  BOOST_TEST((heard.devices == Uuids{"GPU-b"}));
}

// While an instance is held the old cut stands, also for the others.
BOOST_FIXTURE_TEST_CASE(a_card_that_is_cut_anew_is_registered_when_it_is_free,
                        Changing) {
  const auto instance = [&](const char* uuid, const char* model) {
    NodeDevice part = device(uuid);
    part.model = model;
    part.mig_of = "GPU-b";
    return part;
  };
  has({instance("MIG-1", "A100 MIG 1g.10gb"),
       instance("MIG-2", "A100 MIG 1g.10gb")});
  BOOST_TEST((heard.devices == Uuids{"MIG-1", "MIG-2"}));
  answer(heard.registration_id);
  order(Orders(1).with_device("MIG-1"), one);
  core.on_started(one, 20, 10, "");
  step();
  answer(heard.report_id);
  const auto before = heard.registrations;
  has({instance("MIG-3", "A100 MIG 3g.40gb")});
  tick(second_ns);
  BOOST_TEST(heard.registrations == before);
  core.on_exited(one, {});
  step();
  answer(heard.report_id);
  BOOST_TEST(heard.registrations == before + 1);
  BOOST_TEST((heard.devices == Uuids{"MIG-3"}));
}

BOOST_FIXTURE_TEST_CASE(a_device_is_in_quarantine_before_it_is_gone, Changing) {
  const auto before = heard.registrations;
  Node empty = core.node();
  empty.devices.clear();
  core.on_node(std::move(empty));
  find(quarantine, "the driver cannot reach it");
  BOOST_TEST(asked() == 1u);
  BOOST_TEST(heard.registrations == before);
  answer(heard.quarantine_id);
  BOOST_TEST(heard.registrations == before + 1);
  BOOST_TEST(heard.devices.empty());
}

// ---- a driver that does not answer at the start

struct Awaiting : Sharing {
  Awaiting() : Sharing(unknown()) {}

  static Options unknown() {
    Options all = options("/lib/share.so");
    all.node.devices.clear();
    all.node.gpus_awaited = true;
    return all;
  }
  static keeper::TaskStatus running(const TaskKey& key) {
    keeper::TaskStatus status;
    status.key = key;
    status.state = keeper::TaskState::running;
    status.pid = 20;
    status.started_at = 10;
    status.gpus = {{"GPU-a", 80 * gib, 1000}};
    return status;
  }
  // A daemon that starts again beside the keeper it left.
  void finds(const TaskKey& key) {
    ready({running(key)});
    answer(heard.report_id);
  }
  void answers() {
    Node node = options("/lib/share.so").node;
    core.on_node(std::move(node));
    step();
  }
};

BOOST_FIXTURE_TEST_CASE(a_launch_on_gpus_that_are_not_known_yet_is_not_answered,
                        Awaiting) {
  registered();
  order(Orders(1), one);
  order(Orders(1).command({"true"}), two);
  BOOST_TEST(heard.facts.empty());
  BOOST_REQUIRE_EQUAL(launched.size(), 1u);
  BOOST_TEST((launched[0].key == two));
  BOOST_TEST(core.counters().launches_awaiting == 1u);
  answers();
  order(Orders(1), one);
  BOOST_REQUIRE_EQUAL(launched.size(), 2u);
  BOOST_TEST((launched[1].key == one));
}

BOOST_FIXTURE_TEST_CASE(a_node_whose_tasks_hold_gpus_is_registered_with_them,
                        Awaiting) {
  const int before = heard.registrations;
  finds(one);
  tick(second_ns);
  tick(second_ns);
  BOOST_TEST(heard.registrations == before);
  BOOST_TEST(std::count_if(messages.begin(), messages.end(),
                           [](const std::string& text) {
                             return text.starts_with("tasks hold GPUs");
                           }) == 1);
  answers();
  BOOST_TEST(heard.registrations == before + 1);
  BOOST_TEST(heard.devices == std::vector<std::string>{"GPU-a"},
             boost::test_tools::per_element());
}

BOOST_FIXTURE_TEST_CASE(a_node_is_registered_when_no_task_holds_gpus_any_more,
                        Awaiting) {
  const int before = heard.registrations;
  finds(one);
  core.on_exited(one, {});
  step();
  answer(heard.report_id);
  BOOST_TEST(heard.registrations == before + 1);
  BOOST_TEST(heard.devices.empty());
}

BOOST_FIXTURE_TEST_CASE(a_test_of_gpus_that_are_not_known_yet_waits, Awaiting) {
  Options can = unknown();
  can.gpu_jobs = true;
  Sharing agent(std::move(can));
  agent.registered();
  agent.core.on_order(testing::order_of(Orders(1).probe({{"GPU-a", 7, false}})),
                      agent.now);
  agent.step();
  BOOST_TEST(agent.heard.tests.empty());
}

}  // namespace
}  // namespace reeve::agent::core_gpus_test
