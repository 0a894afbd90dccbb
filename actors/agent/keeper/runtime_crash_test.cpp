// Deaths of the agent and of the keeper, and a keeper without root.
#include <signal.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>

#include "actors/agent/keeper/ending.hpp"
#include "actors/agent/keeper/runtime_fixture.hpp"
#include "actors/agent/keeper/socket.hpp"
#include "actors/agent/keeper/supervisor.hpp"

namespace reeve::keeper::test::runtime_crash_test {
namespace {

BOOST_FIXTURE_TEST_SUITE(crash, RuntimeFixture,
                         *boost::unit_test::precondition(as_root))

BOOST_AUTO_TEST_CASE(tasks_outlive_a_killed_agent_and_are_adopted_again) {
  auto spec = script("echo ready; sleep 1000");
  auto settings = config();
  drop_client();
  int agent = ::fork();
  if (agent == 0) {
    auto own = Client::open(settings);
    if (!own || !own->launch(spec)) ::_exit(1);
    ::pause();
  }
  reconnect();
  BOOST_REQUIRE(eventually([&] {
    auto all = client().list();
    return all && all->size() == 1 && all->front().state == TaskState::running;
  }));
  await_output(spec.key, "ready");
  int pid = status(spec.key).pid;
  ::kill(agent, SIGKILL);
  ::waitpid(agent, nullptr, 0);
  reconnect();
  BOOST_CHECK_EQUAL(status(spec.key).pid, pid);
  BOOST_CHECK(process_lives(pid));
  BOOST_REQUIRE(client().stop(spec.key, patience_ms));
  BOOST_CHECK_EQUAL(await(spec.key).facts.signal, SIGTERM);
}

BOOST_AUTO_TEST_CASE(an_end_while_no_agent_listens_is_told_to_the_next) {
  auto spec = script("sleep 0.2; exit 5");
  BOOST_REQUIRE(client().launch(spec));
  await_started(spec.key);
  drop_client();
  reconnect();
  BOOST_REQUIRE(
      eventually([&] { return status(spec.key).state == TaskState::exited; }));
  BOOST_CHECK_EQUAL(status(spec.key).exit.exit_code, 5);
}

BOOST_AUTO_TEST_CASE(a_keeper_holds_no_connection_of_its_agent) {
  int keeper = client().keeper_pid();
  ::kill(keeper, SIGKILL);
  BOOST_REQUIRE(eventually([&] { return !process_lives(keeper); }));
  int ends[2];
  BOOST_REQUIRE_EQUAL(::socketpair(AF_UNIX, SOCK_STREAM, 0, ends), 0);
  reconnect();
  ::close(ends[0]);
  char byte = 0;
  BOOST_CHECK_EQUAL(::recv(ends[1], &byte, 1, MSG_DONTWAIT), 0);
  ::close(ends[1]);
}

BOOST_AUTO_TEST_CASE(tasks_of_a_killed_keeper_are_lost_and_do_not_run_on) {
  auto mark = "16180.33" + std::to_string(::getpid());
  auto running =
      script("setsid sleep " + mark + " & echo ready; sleep " + mark);
  running.epoch = 5;
  auto ended = script("exit 4");
  ended.epoch = 5;
  BOOST_REQUIRE(client().launch(running));
  await_output(running.key, "ready");
  run(ended);
  int keeper = client().keeper_pid();
  ::kill(keeper, SIGKILL);
  BOOST_REQUIRE(eventually([&] { return !process_lives(keeper); }));
  reconnect();
  BOOST_CHECK_NE(client().keeper_pid(), keeper);
  auto lost = status(running.key);
  BOOST_CHECK(lost.state == TaskState::exited);
  BOOST_CHECK(lost.exit.lost);
  BOOST_CHECK_NE(lost.exit.detail.find("keeper"), std::string::npos);
  BOOST_CHECK_EQUAL(processes_with(mark), 0);
  auto known = status(ended.key);
  BOOST_CHECK(!known.exit.lost);
  BOOST_CHECK_EQUAL(known.exit.exit_code, 4);
  // Neither the fence nor the memory of keys died with it.
  BOOST_CHECK_EQUAL(client().newest_epoch(), 5);
  BOOST_CHECK_EQUAL(client().newest_session(), ended.key.session);
  auto again = run(running);
  BOOST_CHECK(again.exited && again.facts.lost);
  BOOST_CHECK_EQUAL(processes_with(mark), 0);
}

BOOST_AUTO_TEST_CASE(a_stopped_keeper_is_killed_with_all_that_it_runs) {
  auto mark = "14142.13" + std::to_string(::getpid());
  auto running =
      script("setsid sleep " + mark + " & echo ready; sleep " + mark);
  BOOST_REQUIRE(client().launch(running));
  await_output(running.key, "ready");
  int keeper = client().keeper_pid();
  BOOST_CHECK_EQUAL(living_keeper(config().directory), keeper);
  ::kill(keeper, SIGSTOP);
  drop_client();
  auto ended = end_keeper(config(), std::chrono::milliseconds(300));
  BOOST_REQUIRE_MESSAGE(ended, ended.error().text);
  BOOST_CHECK_EQUAL(ended->pid, keeper);
  BOOST_CHECK(ended->killed);
  BOOST_CHECK(!process_lives(keeper));
  BOOST_CHECK_EQUAL(processes_with(mark), 0);
  BOOST_CHECK_EQUAL(living_keeper(config().directory), 0);
  auto again = end_keeper(config());
  BOOST_CHECK(again && again->pid == 0);
}

BOOST_AUTO_TEST_CASE(who_finds_the_queue_of_a_stopped_keeper_full_is_told) {
  ::kill(client().keeper_pid(), SIGSTOP);
  std::vector<Fd> waiting;
  auto next = connect_in(config().directory);
  while (next && waiting.size() < 100) {
    waiting.push_back(std::move(*next));
    next = connect_in(config().directory);
  }
  ::kill(client().keeper_pid(), SIGCONT);
  BOOST_REQUIRE(!next);
  BOOST_CHECK(next.error().code == Errc::unreachable);
}

BOOST_AUTO_TEST_CASE(a_keeper_that_listens_ends_its_tasks_and_itself) {
  auto spec = script("echo ready; sleep 1000");
  BOOST_REQUIRE(client().launch(spec));
  await_output(spec.key, "ready");
  int keeper = client().keeper_pid();
  auto ended = end_keeper(config());
  BOOST_REQUIRE_MESSAGE(ended, ended.error().text);
  BOOST_CHECK_EQUAL(ended->pid, keeper);
  BOOST_CHECK(!ended->killed);
  BOOST_CHECK(!process_lives(keeper));
}

BOOST_AUTO_TEST_CASE(no_key_starts_twice_however_often_the_keeper_dies) {
  auto work = directory() + "/work";
  std::filesystem::create_directory(work);
  std::filesystem::permissions(work, std::filesystem::perms(0777));
  constexpr int rounds = 12;
  constexpr int per_round = 15;
  std::vector<TaskSpec> all;
  for (int round = 0; round < rounds; ++round) {
    for (int at = 0; at < per_round; ++at) {
      auto spec = script("");
      auto name = std::to_string(spec.key.session);
      spec.argv = {"sh", "-c", "echo x >> " + name + "; sleep 0.05"};
      spec.workdir = work;
      all.push_back(spec);
    }
    BOOST_REQUIRE(client().launch(all));
    // From "not one journalled" to "some have ended".
    ::usleep(static_cast<useconds_t>(round * round * 1500));
    int keeper = client().keeper_pid();
    ::kill(keeper, SIGKILL);
    BOOST_REQUIRE(eventually([&] { return !process_lives(keeper); }));
    reconnect();
  }
  BOOST_REQUIRE(client().launch(all));
  int lost = 0;
  for (const auto& spec : all) {
    auto outcome = await(spec.key);
    BOOST_REQUIRE(outcome.exited);
    lost += outcome.facts.lost;
    auto file = work + "/" + std::to_string(spec.key.session);
    std::error_code missing;
    auto size = std::filesystem::file_size(file, missing);
    if (missing) size = 0;
    // A lost one may have been killed with the file made and still empty.
    BOOST_CHECK_LE(size, 2);
    if (!outcome.facts.lost) BOOST_CHECK_EQUAL(size, 2);
  }
  BOOST_CHECK_GT(lost, 0);
}

// A command that is missing, with that many bytes of places to look for it.
TaskSpec missing(TaskSpec spec, std::size_t path_bytes) {
  const std::string place = ":/" + std::string(200, 'x');
  std::string path = "PATH=/";
  while (path.size() < path_bytes) path += place;
  spec.argv = {"no-such-command-here"};
  spec.env = {path};
  return spec;
}

BOOST_AUTO_TEST_CASE(long_errors_of_many_tasks_keep_no_later_agent_out) {
  std::vector<TaskSpec> all;
  constexpr int tasks = 40;
  for (int at = 0; at < tasks; ++at) {
    all.push_back(missing(script(""), 120'000));
  }
  BOOST_REQUIRE(client().launch(all));
  for (const auto& spec : all) {
    BOOST_CHECK(await(spec.key).start_error.starts_with(
        "command \"no-such-command-here\" was not found in PATH=/:/xx"));
  }
  reconnect();
  auto listed = client().list();
  BOOST_REQUIRE_MESSAGE(listed, listed.error().text);
  BOOST_CHECK_EQUAL(listed->size(), tasks);
}

// An older keeper wrote down all of it.
BOOST_AUTO_TEST_CASE(a_journal_with_long_texts_is_read_and_listed) {
  drop_client();
  BOOST_REQUIRE(end_keeper(config()));
  constexpr std::uint64_t tasks = 20;
  const std::string novel(150'000, 'n');
  {
    JournalState state;
    auto journal = Journal::open(config().directory + "/tasks.journal", state);
    BOOST_REQUIRE(journal);
    ExitFacts facts;
    facts.exit_code = 3;
    facts.detail = novel;
    for (std::uint64_t session = 1; session <= tasks; ++session) {
      journal->launched({session, 1, 0}, 1);
      journal->start_failed({session, 1, 0}, novel);
      journal->launched({session, 1, 1}, 1);
      journal->exited({session, 1, 1}, facts);
    }
    BOOST_REQUIRE(journal->flush());
  }
  reconnect();
  auto listed = client().list();
  BOOST_REQUIRE_MESSAGE(listed, listed.error().text);
  BOOST_CHECK_EQUAL(listed->size(), 2 * tasks);
  for (const auto& task : *listed) {
    const bool failed = task.key.rank == 0;
    BOOST_CHECK_EQUAL(to_string(task.state),
                      failed ? "start_failed" : "exited");
    BOOST_CHECK_EQUAL(task.exit.exit_code, failed ? 0 : 3);
    BOOST_CHECK((failed ? task.error : task.exit.detail).starts_with("nnn"));
  }
}

// The keeper and the inits that wait show the same command line.
constexpr int with_all_spares = 1 + static_cast<int>(spare_inits_max);

BOOST_AUTO_TEST_CASE(inits_that_wait_for_an_order_end_with_the_keeper) {
  auto place = config().directory;
  BOOST_REQUIRE(
      eventually([&] { return processes_with(place) == with_all_spares; }));
  int keeper = client().keeper_pid();
  ::kill(keeper, SIGKILL);
  BOOST_CHECK(eventually([&] { return processes_with(place) == 0; }));
  // A process that ends loses its command line first, its socket and lock next.
  BOOST_REQUIRE(eventually([&] { return !process_lives(keeper); }));
  reconnect();
}

BOOST_AUTO_TEST_CASE(an_init_that_was_killed_while_it_waited_is_replaced) {
  auto place = config().directory;
  BOOST_REQUIRE(
      eventually([&] { return processes_with(place) == with_all_spares; }));
  for (int pid : pids_with(place)) {
    if (pid == client().keeper_pid()) continue;
    ::kill(pid, SIGKILL);
    BOOST_REQUIRE(eventually([&] { return !process_lives(pid); }));
  }
  for (int at = 0; at < 8; ++at) {
    BOOST_CHECK_EQUAL(run(script("exit 7")).facts.exit_code, 7);
  }
  BOOST_CHECK(
      eventually([&] { return processes_with(place) == with_all_spares; }));
}

BOOST_AUTO_TEST_CASE(a_mount_made_while_inits_wait_is_seen_by_the_next_task) {
  BOOST_REQUIRE(eventually(
      [&] { return processes_with(config().directory) == with_all_spares; }));
  // Not below /tmp, of which each task has its own.
  auto place = "/var/tmp/keeper-mount-" + std::to_string(::getpid());
  std::filesystem::create_directory(place);
  BOOST_REQUIRE_EQUAL(::mount("m", place.c_str(), "tmpfs", 0, ""), 0);
  std::ofstream(place + "/here").close();
  auto outcome = run(script("test -e " + place + "/here"));
  BOOST_CHECK_EQUAL(::umount(place.c_str()), 0);
  std::filesystem::remove(place);
  BOOST_CHECK_EQUAL(outcome.facts.exit_code, 0);
}

BOOST_AUTO_TEST_CASE(a_second_keeper_of_a_directory_is_refused_with_the_pid) {
  int pid = ::fork();
  auto run_directory = config().directory;
  auto errors = directory() + "/errors";
  if (pid == 0) {
    (void)!::freopen(errors.c_str(), "w", stderr);
    ::execl(REEVE_KEEPER, "reeve-keeper", "--directory", run_directory.c_str(),
            nullptr);
    ::_exit(127);
  }
  int status = 0;
  ::waitpid(pid, &status, 0);
  BOOST_CHECK(WIFEXITED(status) && WEXITSTATUS(status) == 1);
  char text[512] = {};
  FILE* in = ::fopen(errors.c_str(), "r");
  BOOST_REQUIRE(in);
  (void)!::fread(text, 1, sizeof text - 1, in);
  ::fclose(in);
  auto expected = "with pid " + std::to_string(client().keeper_pid());
  BOOST_CHECK_NE(std::string(text).find(expected), std::string::npos);
}

BOOST_AUTO_TEST_CASE(shutdown_ends_all_tasks_and_the_keeper) {
  auto mark = "14142.13" + std::to_string(::getpid());
  auto spec = script("trap '' TERM; sleep " + mark);
  BOOST_REQUIRE(client().launch(spec));
  await_started(spec.key);
  int keeper = client().keeper_pid();
  BOOST_REQUIRE(client().shutdown(100));
  BOOST_CHECK(await(spec.key).exited);
  BOOST_CHECK(eventually([&] { return !process_lives(keeper); }));
  BOOST_CHECK_EQUAL(processes_with(mark), 0);
  reconnect();
  BOOST_CHECK(status(spec.key).state == TaskState::exited);
}

BOOST_AUTO_TEST_SUITE_END()

// What an ordinary user's keeper must do; in a child that is that user. The
// result is the first thing that went wrong.
std::string as_ordinary_user(const ClientConfig& settings, unsigned uid) {
  auto client = Client::open(settings);
  if (!client) return client.error().text;
  bool said = false;
  for (const auto& limit : client->limits()) {
    if (limit.find("tasks run as user") != limit.npos) said = true;
  }
  if (!said) return "it does not say that it has one user only";
  TaskSpec spec;
  spec.key = {1, 1, 0};
  spec.argv = {"sh", "-c",
               "id -u; touch /etc/x; touch /tmp/x && ls /tmp; "
               "echo /proc/[0-9]*; grep CapEff /proc/self/status; pwd; "
               "ls /dev | wc -l; exit 6"};
  spec.env = {"PATH=/usr/bin:/bin", "LC_ALL=C"};
  spec.uid = spec.gid = uid;
  auto other = spec;
  other.key.session = 2;
  other.uid = 0;
  std::string text;
  int code = -1;
  Handler handler;
  handler.exited = [&](const Exited& e) { code = e.facts.exit_code; };
  handler.start_failed = [&](const StartFailed& e) { text = e.error; };
  bool refused = false;
  handler.refused = [&](const Refused&) { refused = true; };
  if (!client->launch({spec, other})) return "launch";
  while ((code < 0 || !refused) && text.empty()) {
    if (!client->dispatch(handler, patience_ms)) return "the keeper is gone";
  }
  if (!text.empty()) return text;
  if (code != 6) return "exit code " + std::to_string(code);
  auto out = client->read_output(spec.key, Stream::out, 0, 4096)->bytes;
  auto err = client->read_output(spec.key, Stream::err, 0, 4096)->bytes;
  if (err != "touch: cannot touch '/etc/x': Read-only file system\n") {
    return "on stderr: " + err;
  }
  auto expected = std::to_string(uid) +
                  "\nwork\nx\n/proc/1 /proc/2\n"
                  "CapEff:\t0000000000000000\n/tmp/work\n13\n";
  if (out != expected) return "on stdout: " + out;
  (void)client->shutdown(0);
  while (client->dispatch({}, patience_ms)) {
  }
  return {};
}

BOOST_AUTO_TEST_CASE(an_ordinary_users_keeper_isolates_and_names_its_limits,
                     *boost::unit_test::precondition(as_root)) {
  constexpr unsigned uid = 65534;
  TempDirectory temp;
  std::filesystem::copy_file(REEVE_KEEPER, temp.path() + "/keeper");
  auto home = temp.path() + "/home";
  std::filesystem::create_directory(home);
  BOOST_REQUIRE_EQUAL(::chown(home.c_str(), uid, uid), 0);
  int said[2];
  BOOST_REQUIRE_EQUAL(::pipe(said), 0);
  int pid = ::fork();
  if (pid == 0) {
    if (::setgid(uid) != 0 || ::setuid(uid) != 0) ::_exit(1);
    auto wrong =
        as_ordinary_user({home + "/run", temp.path() + "/keeper", {}}, uid);
    (void)!::write(said[1], wrong.data(), wrong.size());
    ::_exit(0);
  }
  ::close(said[1]);
  std::string wrong;
  char buffer[512];
  for (ssize_t got; (got = ::read(said[0], buffer, sizeof buffer)) > 0;) {
    wrong.append(buffer, static_cast<std::size_t>(got));
  }
  ::close(said[0]);
  ::waitpid(pid, nullptr, 0);
  BOOST_CHECK_EQUAL(wrong, "");
}

}  // namespace
}  // namespace reeve::keeper::test::runtime_crash_test
