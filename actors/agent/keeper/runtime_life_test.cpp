// How tasks begin and end, and what is told about it.
#include <fcntl.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>

#include "actors/agent/keeper/files.hpp"
#include "actors/agent/keeper/runtime_fixture.hpp"
#include "actors/agent/keeper/server.hpp"
#include "actors/agent/keeper/supervisor.hpp"
#include "actors/agent/keeper/supervisor_task.hpp"

namespace reeve::keeper::test::runtime_life_test {
namespace {

BOOST_FIXTURE_TEST_SUITE(life, RuntimeFixture,
                         *boost::unit_test::precondition(as_root))

BOOST_AUTO_TEST_CASE(an_exit_code_comes_through_as_it_was) {
  for (int code : {0, 1, 42, 255}) {
    auto outcome = run(script("exit " + std::to_string(code)));
    BOOST_REQUIRE(outcome.exited);
    BOOST_CHECK_EQUAL(outcome.facts.exit_code, code);
    BOOST_CHECK_EQUAL(outcome.facts.signal, 0);
    BOOST_CHECK(!outcome.facts.lost);
    BOOST_CHECK(!outcome.facts.memory_killed);
    BOOST_CHECK_GE(outcome.facts.ended_at, outcome.facts.started_at);
    BOOST_CHECK_GT(outcome.facts.cpu_ns, 0);
  }
}

std::uint64_t ago(std::uint64_t ns) {
  return boot_now_ns() - ns;
}

BOOST_AUTO_TEST_CASE(a_task_that_is_cut_off_for_too_long_ends) {
  auto limited = script("sleep 600");
  limited.cut_off_ns = 2 * second_ns;
  auto other = script("sleep 600");
  BOOST_REQUIRE(client().heard(boot_now_ns()));
  BOOST_REQUIRE(client().launch(limited));
  BOOST_REQUIRE(client().launch(other));
  await_started(limited.key);
  await_started(other.key);
  const std::uint64_t last = boot_now_ns();
  BOOST_REQUIRE(client().heard(last));
  const auto outcome = await(limited.key);
  BOOST_REQUIRE(outcome.exited);
  BOOST_CHECK_GE(boot_now_ns(), last + limited.cut_off_ns);
  BOOST_CHECK_EQUAL(outcome.facts.signal, SIGTERM);
  BOOST_CHECK_EQUAL(outcome.facts.detail,
                    "this host has heard nothing of the cell for 2 s, longer "
                    "than its session allows");
  BOOST_CHECK(status(other.key).state == TaskState::running);
  BOOST_REQUIRE(client().stop(other.key, 0));
  await(other.key);
}

BOOST_AUTO_TEST_CASE(who_is_cut_off_and_ends_well_is_not_done) {
  auto spec = script("trap 'exit 0' TERM; echo ready; sleep 600 & wait");
  spec.cut_off_ns = second_ns;
  BOOST_REQUIRE(client().heard(boot_now_ns()));
  BOOST_REQUIRE(client().launch(spec));
  const auto outcome = await(spec.key);
  BOOST_REQUIRE(outcome.exited);
  BOOST_CHECK_EQUAL(outcome.facts.signal, SIGTERM);
  BOOST_CHECK_EQUAL(outcome.facts.exit_code, 128 + SIGTERM);
}

// Nobody is there to say so: the agent has died, too.
BOOST_AUTO_TEST_CASE(a_task_that_is_cut_off_ends_without_an_agent) {
  auto spec = script("trap '' TERM; echo ready; sleep 600");
  spec.cut_off_ns = second_ns;
  BOOST_REQUIRE(client().heard(boot_now_ns()));
  BOOST_REQUIRE(client().launch(spec));
  await_output(spec.key, "ready");
  const int pid = status(spec.key).pid;
  drop_client();
  BOOST_CHECK(eventually([&] { return !process_lives(pid); }));
  reconnect();
  BOOST_CHECK_EQUAL(status(spec.key).exit.signal, SIGKILL);
}

BOOST_AUTO_TEST_CASE(a_launch_that_comes_too_late_is_not_started) {
  auto spec = script("echo started");
  spec.cut_off_ns = second_ns;
  BOOST_REQUIRE(client().heard(ago(2 * second_ns)));
  const auto outcome = run(spec);
  BOOST_CHECK(!outcome.exited);
  BOOST_CHECK(outcome.start_error.starts_with("this host has heard nothing"));
}

// A time to come is none at which it was heard.
BOOST_AUTO_TEST_CASE(nobody_was_heard_in_the_time_to_come) {
  auto spec = script("sleep 600");
  spec.cut_off_ns = second_ns;
  BOOST_REQUIRE(client().heard(boot_now_ns() + 3600 * second_ns));
  BOOST_CHECK(run(spec).exited);
}

BOOST_AUTO_TEST_CASE(a_signal_that_ends_the_command_is_told_exactly) {
  for (int signo : {SIGTERM, SIGINT, SIGSEGV, SIGKILL}) {
    auto outcome = run(script("kill -" + std::to_string(signo) + " $$"));
    BOOST_REQUIRE(outcome.exited);
    BOOST_CHECK_EQUAL(outcome.facts.signal, signo);
    BOOST_CHECK_EQUAL(outcome.facts.exit_code, 128 + signo);
  }
}

BOOST_AUTO_TEST_CASE(a_command_that_does_not_exist_is_named) {
  auto spec = script("");
  spec.argv = {"no-such-command-here"};
  auto outcome = run(spec);
  BOOST_CHECK(!outcome.exited);
  BOOST_CHECK_EQUAL(outcome.start_error,
                    "command \"no-such-command-here\" was not found in "
                    "PATH=/usr/sbin:/usr/bin:/sbin:/bin");
  BOOST_CHECK(status(spec.key).state == TaskState::start_failed);
}

BOOST_AUTO_TEST_CASE(a_file_without_the_right_to_execute_is_refused) {
  auto spec = script("");
  spec.argv = {"/etc/passwd"};
  auto outcome = run(spec);
  BOOST_CHECK_EQUAL(outcome.start_error,
                    "command \"/etc/passwd\" cannot be executed: Permission "
                    "denied");
}

BOOST_AUTO_TEST_CASE(a_script_without_an_interpreter_line_runs_in_the_shell) {
  auto path = directory() + "/script";
  std::ofstream(path) << "echo \"$0 got $1\"\n";
  std::filesystem::permissions(path, std::filesystem::perms(0755));
  auto spec = script("");
  spec.workdir = directory();
  spec.argv = {"./script", "this"};
  BOOST_CHECK_EQUAL(run(spec).facts.exit_code, 0);
  BOOST_CHECK_EQUAL(output(spec.key), "./script got this\n");
}

BOOST_AUTO_TEST_CASE(identity_groups_and_environment_are_those_ordered) {
  auto spec = script("id -u; id -g; id -G; echo $GREETING; ulimit -n");
  spec.uid = 12345;
  spec.gid = 2345;
  spec.groups = {77, 88};
  spec.env.push_back("GREETING=good day");
  spec.open_files_max = 123;
  BOOST_CHECK_EQUAL(run(spec).facts.exit_code, 0);
  BOOST_CHECK_EQUAL(output(spec.key),
                    "12345\n2345\n2345 77 88\ngood day\n123\n");
}

BOOST_AUTO_TEST_CASE(stop_ends_the_whole_tree_with_sigterm) {
  auto mark = "31415.92" + std::to_string(::getpid());
  auto spec = script("setsid sleep " + mark + " & sleep " + mark +
                     " & echo ready; wait");
  BOOST_REQUIRE(client().launch(spec));
  await_output(spec.key, "ready");
  BOOST_CHECK(eventually([&] { return processes_with(mark) >= 3; }));
  BOOST_REQUIRE(client().stop(spec.key, patience_ms));
  auto outcome = await(spec.key);
  BOOST_CHECK_EQUAL(outcome.facts.signal, SIGTERM);
  BOOST_CHECK_EQUAL(outcome.facts.detail, "stopped by order");
  BOOST_CHECK_EQUAL(processes_with(mark), 0);
}

BOOST_AUTO_TEST_CASE(what_ignores_sigterm_is_killed_after_its_grace) {
  auto spec = script("trap '' TERM; echo ready; while :; do sleep 1; done");
  BOOST_REQUIRE(client().launch(spec));
  await_output(spec.key, "ready");
  BOOST_REQUIRE(client().stop(spec.key, 300));
  auto outcome = await(spec.key);
  BOOST_CHECK_EQUAL(outcome.facts.signal, SIGKILL);
  BOOST_CHECK_EQUAL(outcome.facts.detail,
                    "killed by order, at the end of its time to stop");
}

BOOST_AUTO_TEST_CASE(the_end_of_the_command_is_the_end_of_its_children) {
  auto mark = "27182.81" + std::to_string(::getpid());
  auto outcome = run(script("setsid sleep " + mark + " & exit 3"));
  BOOST_CHECK_EQUAL(outcome.facts.exit_code, 3);
  BOOST_CHECK_EQUAL(processes_with(mark), 0);
}

BOOST_AUTO_TEST_CASE(signals_reach_the_command) {
  auto spec = script(
      "trap 'echo caught; exit 9' USR1; echo ready; "
      "while :; do sleep 0.1; done");
  BOOST_REQUIRE(client().launch(spec));
  await_output(spec.key, "ready");
  BOOST_REQUIRE(client().signal(spec.key, SIGUSR1));
  BOOST_CHECK_EQUAL(await(spec.key).facts.exit_code, 9);
  BOOST_CHECK_EQUAL(output(spec.key), "ready\ncaught\n");
}

BOOST_AUTO_TEST_CASE(a_signal_to_nobody_is_refused) {
  TaskKey key{9999, 1, 0};
  BOOST_REQUIRE(client().signal(key, SIGTERM));
  auto outcome = await(key);
  BOOST_CHECK(outcome.refusal_code == Errc::not_found);
}

BOOST_AUTO_TEST_CASE(output_is_complete_and_live) {
  auto spec = script("seq 1 200000; echo problem >&2");
  std::string live;
  BOOST_REQUIRE(client().launch(spec));
  bool over = false;
  Handler handler;
  handler.output = [&](const Output& event) {
    if (event.stream != Stream::out) return;
    BOOST_CHECK_EQUAL(event.offset, live.size());
    live += event.bytes;
  };
  handler.exited = [&](const Exited&) { over = true; };
  while (!over) BOOST_REQUIRE(client().dispatch(handler, patience_ms));
  std::string expected;
  for (int at = 1; at <= 200000; ++at) expected += std::to_string(at) + "\n";
  BOOST_CHECK(output(spec.key) == expected);
  BOOST_CHECK(expected.starts_with(live) || live == expected);
  BOOST_CHECK_EQUAL(output(spec.key, Stream::err), "problem\n");
}

BOOST_AUTO_TEST_CASE(output_past_its_bound_keeps_beginning_and_end) {
  constexpr std::uint64_t bound = 1u << 20;
  auto spec = script("echo first; head -c 5000000 /dev/zero; echo last");
  spec.output_bytes_max = bound;
  BOOST_CHECK_EQUAL(run(spec).facts.exit_code, 0);
  auto head = client().read_output(spec.key, Stream::out, 0, bound);
  BOOST_REQUIRE(head);
  BOOST_CHECK_EQUAL(head->bytes.size(), bound / 2);
  BOOST_CHECK(head->bytes.starts_with("first\n"));
  std::string tail;
  std::uint64_t end = bound / 2;
  for (;;) {
    auto piece = client().read_output(spec.key, Stream::out, end, bound);
    BOOST_REQUIRE(piece);
    if (piece->bytes.empty()) break;
    end = piece->offset + piece->bytes.size();
    tail += piece->bytes;
  }
  BOOST_CHECK_EQUAL(end, 6 + 5000000 + 5);
  BOOST_CHECK(tail.ends_with("last\n"));
  BOOST_CHECK_LE(tail.size(), bound / 2);
  BOOST_CHECK_GE(tail.size(), bound / 4);
}

BOOST_AUTO_TEST_CASE(output_over_the_bound_goes_when_its_end_is_acknowledged) {
  constexpr std::size_t written = 4000;
  auto bounded = config();
  bounded.kept_output_bytes_max = written + written / 2;
  BOOST_REQUIRE(Client::open(bounded));
  const auto first = script("head -c 4000 /dev/zero");
  const auto second = script("head -c 4000 /dev/zero");
  run(first);
  run(second);
  BOOST_REQUIRE(client().forget(second.key));
  BOOST_REQUIRE(client().list());  // behind it
  BOOST_CHECK_EQUAL(output(first.key).size(), written);
  BOOST_CHECK_EQUAL(output(second.key).size(), written);
  BOOST_REQUIRE(client().forget(first.key));
  BOOST_REQUIRE(client().list());
  BOOST_CHECK_EQUAL(output(first.key).size(), written);
  BOOST_CHECK(output(second.key).empty());
}

BOOST_AUTO_TEST_CASE(a_key_is_started_once_however_often_it_is_ordered) {
  auto file = directory() + "/count";
  std::ofstream(file).close();
  std::filesystem::permissions(file, std::filesystem::perms(0666));
  auto spec = script("echo x >> count");
  spec.workdir = directory();
  BOOST_REQUIRE(client().launch(std::vector<TaskSpec>{spec, spec, spec}));
  await(spec.key);
  auto again = run(spec);
  BOOST_CHECK(again.exited);
  BOOST_CHECK_EQUAL(std::filesystem::file_size(file), 2);
  BOOST_REQUIRE(client().forget(spec.key));
  auto late = run(spec);
  BOOST_CHECK(late.refusal_code == Errc::rejected);
  BOOST_CHECK_EQUAL(std::filesystem::file_size(file), 2);
}

BOOST_AUTO_TEST_CASE(an_order_of_an_older_epoch_is_refused) {
  auto newer = script("exit 0");
  newer.epoch = 7;
  BOOST_CHECK(run(newer).exited);
  auto older = script("exit 0");
  older.epoch = 6;
  auto outcome = run(older);
  BOOST_CHECK(outcome.refusal_code == Errc::rejected);
  BOOST_CHECK_EQUAL(outcome.refusal,
                    "the order is of epoch 6, but epoch 7 has been seen: "
                    "another manager leads");
}

BOOST_AUTO_TEST_CASE(a_task_that_runs_cannot_be_forgotten) {
  auto spec = script("sleep 1000");
  BOOST_REQUIRE(client().launch(spec));
  await_started(spec.key);
  BOOST_REQUIRE(client().forget(spec.key));
  BOOST_CHECK(await(spec.key).refusal_code == Errc::rejected);
  BOOST_CHECK(status(spec.key).state == TaskState::running);
}

BOOST_AUTO_TEST_CASE(hundreds_of_tasks_at_once_all_end_well) {
  std::vector<TaskSpec> specs;
  for (int at = 0; at < 300; ++at) {
    specs.push_back(script("exit " + std::to_string(at % 7)));
  }
  BOOST_REQUIRE(client().launch(specs));
  for (int at = 0; at < 300; ++at) {
    auto outcome = await(specs[static_cast<std::size_t>(at)].key);
    BOOST_REQUIRE(outcome.exited);
    BOOST_CHECK_EQUAL(outcome.facts.exit_code, at % 7);
  }
  BOOST_CHECK_EQUAL(client().list()->size(), 300);
}

BOOST_AUTO_TEST_CASE(a_list_of_many_tasks_comes_in_several_messages) {
  std::vector<TaskSpec> all;
  for (std::size_t at = 0; at <= listed_per_frame_max; ++at) {
    all.push_back(script(""));
    all.back().argv = {"/no/such/program"};
  }
  BOOST_REQUIRE(client().launch(all));
  await(all.back().key);
  auto listed = client().list();
  BOOST_REQUIRE(listed);
  BOOST_CHECK_EQUAL(listed->size(), listed_per_frame_max + 1);
}

// The keeper's loop would hear of what it has closed until the removal ends.
BOOST_AUTO_TEST_CASE(a_removal_holds_no_descriptor_of_the_keeper) {
  const auto tree = directory() + "/tree";
  std::filesystem::create_directory(tree);
  const int pid = ::fork();
  if (pid == 0) {
    const int held = ::open(directory().c_str(), O_PATH | O_DIRECTORY);
    // Nobody finds a way through what is closed.
    remove_tree_and_exit("/proc/self/fd/" + std::to_string(held) + "/tree");
  }
  ::waitpid(pid, nullptr, 0);
  BOOST_CHECK(std::filesystem::exists(tree));
}

BOOST_AUTO_TEST_CASE(one_stream_gives_a_bounded_piece_at_a_time) {
  auto spec = script("seq 1 100000");
  BOOST_REQUIRE(client().launch(spec));
  bool over = false;
  std::size_t pieces = 0;
  Handler handler;
  handler.output = [&](const Output& event) {
    ++pieces;
    BOOST_CHECK_LE(event.bytes.size(), pump_bytes_max);
  };
  handler.exited = [&](const Exited&) { over = true; };
  BOOST_REQUIRE(
      eventually([&] { return !client().dispatch(handler, 20) || over; }));
  BOOST_CHECK_GT(pieces, 588'895 / pump_bytes_max);
}

BOOST_AUTO_TEST_CASE(one_client_past_the_bound_is_sent_away) {
  std::vector<Client> others;  // and the fixture's own
  while (others.size() + 1 < clients_max) {
    auto one = Client::open(config());
    BOOST_REQUIRE_MESSAGE(one, one.error().text);
    others.push_back(std::move(*one));
  }
  auto refused = Client::open(config());
  BOOST_REQUIRE(!refused);
  BOOST_CHECK(refused.error().code == Errc::unreachable);
  others.pop_back();
  BOOST_CHECK(eventually([&] { return Client::open(config()).has_value(); }));
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace
}  // namespace reeve::keeper::test::runtime_life_test
