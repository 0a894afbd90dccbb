// What a task can use, see and do, and what it cannot.
#include <sched.h>
#include <signal.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <iterator>

#include "actors/agent/keeper/ending.hpp"
#include "actors/agent/keeper/files.hpp"
#include "actors/agent/keeper/runtime_fixture.hpp"
#include "actors/agent/keeper/sandbox.hpp"

namespace reeve::keeper::test::runtime_isolation_test {
namespace {

BOOST_FIXTURE_TEST_SUITE(isolation, RuntimeFixture,
                         *boost::unit_test::precondition(as_root))

bool limits_name(Client& client, const std::string& word) {
  for (const auto& limit : client.limits()) {
    if (limit.find(word) != std::string::npos) return true;
  }
  return false;
}

BOOST_AUTO_TEST_CASE(a_memory_hog_is_killed_by_its_limit_and_told_so) {
  if (limits_name(client(), "memory limits are not enforced")) {
    BOOST_TEST_MESSAGE("this host gives no memory limits");
    return;
  }
  constexpr std::uint64_t limit = 64u << 20;
  auto spec = script("exec tail /dev/zero");
  spec.memory_bytes = limit;
  auto outcome = run(spec);
  BOOST_CHECK(outcome.facts.memory_killed);
  BOOST_CHECK_EQUAL(outcome.facts.signal, SIGKILL);
  BOOST_CHECK_GT(outcome.facts.peak_memory_bytes, limit / 2);
  BOOST_CHECK_LE(outcome.facts.peak_memory_bytes, limit);
  BOOST_CHECK_NE(outcome.facts.detail.find("67108864"), std::string::npos);
  // The group is used again; the next task must not inherit the verdict.
  auto next = script("exit 1");
  next.memory_bytes = limit;
  auto after = run(next);
  BOOST_CHECK(!after.facts.memory_killed);
  BOOST_CHECK_LT(after.facts.peak_memory_bytes, limit / 2);
}

BOOST_AUTO_TEST_CASE(children_killed_by_the_limit_are_told_of_a_good_exit) {
  if (limits_name(client(), "memory limits are not enforced")) return;
  auto spec = script("tail /dev/zero; exit 0");
  spec.memory_bytes = 64u << 20;
  const auto facts = run(spec).facts;
  // Control groups of version 2 end the whole task.
  BOOST_CHECK_EQUAL(facts.memory_killed, facts.exit_code != 0);
  BOOST_CHECK_NE(facts.detail.find("67108864"), std::string::npos);
}

BOOST_AUTO_TEST_CASE(a_fork_bomb_is_held_by_its_limit) {
  if (limits_name(client(), "number of processes")) {
    BOOST_TEST_MESSAGE("this host gives no limits of processes");
    return;
  }
  auto spec = script(
      "(for i in $(seq 100); do sleep 60 & done) 2>/dev/null; "
      "echo /proc/[0-9]*");
  spec.pids_max = 20;
  run(spec);
  auto text = output(spec.key);
  int count = 0;
  for (std::size_t at = 0; (at = text.find("/proc/", at)) != text.npos; ++at) {
    ++count;
  }
  BOOST_CHECK_LE(count, 21);  // with the task's init
  BOOST_CHECK_GE(count, 10);
}

BOOST_AUTO_TEST_CASE(a_cpu_limit_holds_back_a_busy_loop) {
  if (limits_name(client(), "cpu limits")) return;
  auto spec = script("exec timeout 1.5 sh -c 'while :; do :; done'");
  spec.cpu_milli = 200;
  auto facts = run(spec).facts;
  auto wall_ns = facts.ended_at - facts.started_at;
  BOOST_CHECK_LT(facts.cpu_ns, wall_ns * 4 / 10);
}

BOOST_AUTO_TEST_CASE(tmp_is_private_to_each_task) {
  auto name = "/tmp/keeper-private-" + std::to_string(::getpid());
  auto first = run(script("echo mine > " + name + " && ls -A /tmp"));
  BOOST_CHECK_EQUAL(first.facts.exit_code, 0);
  BOOST_CHECK(!std::filesystem::exists(name));
  auto spec = script("test -e " + name);
  BOOST_CHECK_EQUAL(run(spec).facts.exit_code, 1);
}

BOOST_AUTO_TEST_CASE(the_root_is_read_only_even_for_root) {
  auto spec = script(
      "touch /etc/keeper-was-here; touch /keeper-was-here; "
      "echo 1 > /proc/sys/vm/drop_caches");
  spec.uid = spec.gid = 0;
  run(spec);
  auto errors = output(spec.key, Stream::err);
  BOOST_CHECK_NE(errors.find("'/etc/keeper-was-here': Read-only file system"),
                 std::string::npos);
  BOOST_CHECK_NE(errors.find("'/keeper-was-here': Read-only file system"),
                 std::string::npos);
  BOOST_CHECK_NE(errors.find("drop_caches: Read-only"), std::string::npos);
  BOOST_CHECK(!std::filesystem::exists("/etc/keeper-was-here"));
}

BOOST_AUTO_TEST_CASE(the_working_directory_is_the_users_own_and_writable) {
  auto work = directory() + "/work";
  std::filesystem::create_directory(work);
  std::filesystem::permissions(work, std::filesystem::perms(0777));
  auto spec = script("pwd; echo $PWD; echo result > answer");
  spec.workdir = work;
  BOOST_CHECK_EQUAL(run(spec).facts.exit_code, 0);
  BOOST_CHECK_EQUAL(output(spec.key), work + "\n" + work + "\n");
  struct stat facts {};
  BOOST_REQUIRE_EQUAL(::stat((work + "/answer").c_str(), &facts), 0);
  BOOST_CHECK_EQUAL(facts.st_uid, 65534);
}

BOOST_AUTO_TEST_CASE(a_working_directory_out_of_reach_is_replaced_and_told) {
  auto closed = directory() + "/closed";
  std::filesystem::create_directory(closed);
  std::filesystem::permissions(closed, std::filesystem::perms(0700));
  auto spec = script("pwd; echo kept > here && cat here");
  spec.workdir = closed;
  spec.workdir_optional = true;
  auto outcome = run(spec);
  BOOST_CHECK_EQUAL(output(spec.key), "/tmp/work\nkept\n");
  BOOST_CHECK_EQUAL(output(spec.key, Stream::err),
                    "reeve: " + outcome.note + "\n");
  BOOST_CHECK_NE(outcome.note.find("Permission denied"), std::string::npos);
  auto scratch = directory() + "/run/scratch/" + to_string(spec.key);
  BOOST_CHECK(std::filesystem::exists(scratch + "/here"));
  BOOST_REQUIRE(client().forget(spec.key));
  BOOST_CHECK(eventually([&] { return !std::filesystem::exists(scratch); }));
}

BOOST_AUTO_TEST_CASE(a_working_directory_that_must_be_there_fails_the_start) {
  auto spec = script("touch /tmp/ran");
  spec.env.push_back("REEVE_NODE=host-7");
  spec.workdir = directory() + "/missing";
  BOOST_CHECK_EQUAL(run(spec).start_error, "working directory " + spec.workdir +
                                               " does not exist on host-7");
  auto closed = directory() + "/closed";
  std::filesystem::create_directory(closed);
  std::filesystem::permissions(closed, std::filesystem::perms(0700));
  auto other = script("true");
  other.workdir = closed;
  BOOST_CHECK_EQUAL(run(other).start_error,
                    "working directory " + closed +
                        " cannot be entered on this node: Permission denied");
}

BOOST_AUTO_TEST_CASE(no_task_has_privileges_whatever_its_user) {
  for (std::uint32_t uid : {0u, 65534u}) {
    auto spec = script(
        "grep -E '^(Cap|NoNewPrivs|Seccomp:)' "
        "/proc/self/status | tr -d '\\t '");
    spec.uid = spec.gid = uid;
    BOOST_CHECK_EQUAL(run(spec).facts.exit_code, 0);
    BOOST_CHECK_EQUAL(output(spec.key),
                      "CapInh:0000000000000000\nCapPrm:0000000000000000\n"
                      "CapEff:0000000000000000\nCapBnd:0000000000000000\n"
                      "CapAmb:0000000000000000\nNoNewPrivs:1\nSeccomp:2\n");
  }
}

BOOST_AUTO_TEST_CASE(mounts_and_namespaces_are_denied) {
  auto spec = script(
      "mount -t tmpfs none /tmp; echo $?; unshare -U true; "
      "echo $?; unshare -m true; echo $?; chroot / true; "
      "echo $?");
  spec.uid = spec.gid = 0;
  run(spec);
  auto text = output(spec.key);
  BOOST_CHECK_EQUAL(text.find("0\n") == 0, false);
  auto errors = output(spec.key, Stream::err);
  std::size_t denials = 0;
  for (std::size_t at = 0;
       (at = errors.find("Operation not permitted", at)) != errors.npos; ++at) {
    ++denials;
  }
  // mount(8) says it in words of its own.
  if (errors.find("permission denied") != errors.npos) ++denials;
  BOOST_CHECK_MESSAGE(denials == 4, text + errors);
}

BOOST_AUTO_TEST_CASE(only_its_own_processes_are_in_sight) {
  auto spec = script(
      "echo /proc/[0-9]*; kill -9 1; echo alive; "
      "cat /proc/1/environ 2>&1; ls /proc/1/fd 2>&1");
  spec.uid = spec.gid = 0;
  run(spec);
  auto text = output(spec.key);
  BOOST_CHECK_MESSAGE(text.starts_with("/proc/1 /proc/2\nalive\n"), text);
  BOOST_CHECK_MESSAGE(text.find("Permission denied") != text.npos, text);
}

BOOST_AUTO_TEST_CASE(device_nodes_that_were_not_allocated_are_hidden) {
  auto spec =
      script("ls /dev; echo x > /dev/null; head -c 4 /dev/zero | wc -c");
  BOOST_CHECK_EQUAL(run(spec).facts.exit_code, 0);
  BOOST_CHECK_EQUAL(output(spec.key),
                    "fd\nfull\nnull\nptmx\npts\nrandom\nshm\nstderr\nstdin\n"
                    "stdout\ntty\nurandom\nzero\n4\n");
}

BOOST_AUTO_TEST_CASE(an_allocated_device_is_there_and_nothing_else) {
  std::string device;
  for (const char* path : {"/dev/net/tun", "/dev/fuse", "/dev/kmsg"}) {
    if (std::filesystem::exists(path)) device = path;
  }
  if (device.empty()) return;
  auto spec = script("test -c " + device +
                     " && test -c /dev/null && "
                     "! test -e /dev/mem && touch /dev/shm/x");
  spec.device_paths = {device};
  BOOST_CHECK_EQUAL(run(spec).facts.exit_code, 0);
  BOOST_CHECK_EQUAL(output(spec.key, Stream::err), "");
  auto wrong = script("");
  wrong.device_paths = {"/dev/no-such-gpu"};
  BOOST_CHECK_EQUAL(run(wrong).start_error,
                    "placing the device nodes: No such file or directory");
  wrong = script("");
  wrong.device_paths = {"/etc/shadow"};
  BOOST_CHECK(run(wrong).refusal_code == Errc::usage);
}

// CUDA does not start where it cannot.
BOOST_AUTO_TEST_CASE(
    root_with_a_device_names_threads_and_nothing_of_the_kernel) {
  auto spec = script(
      "printf renamed > /proc/$$/task/$$/comm; cat /proc/$$/comm; "
      "for f in /proc/sys /proc/irq /proc/bus /proc/driver /proc/fs "
      "/proc/sysrq-trigger /proc/mtrr /proc/pressure; do "
      "find $f -type f -writable 2>/dev/null | head -n 1; done");
  spec.uid = spec.gid = 0;
  spec.device_paths = {"/dev/full"};
  BOOST_CHECK_EQUAL(run(spec).facts.exit_code, 0);
  BOOST_CHECK_EQUAL(output(spec.key, Stream::out), "renamed\n");
  BOOST_CHECK_EQUAL(output(spec.key, Stream::err), "");
}

// A program that asks the fake driver for what a session with 1,000,000,000
// bytes may have, and no more.
TaskSpec sharing(TaskSpec spec) {
  spec.argv = {REEVE_SHARE_PROGRAM, "proc", "plain"};
  spec.env.push_back(std::string("LD_PRELOAD=") + share_library_path);
  spec.env.push_back(std::string("REEVE_GPU_LEDGER=") + share_ledger_path);
  spec.uid = spec.gid = 0;  // others may not reach where it was built
  spec.share_library = REEVE_SHARE_LIBRARY;
  spec.gpus = {
      {"GPU-00010203-0405-0607-0809-0a0b0c0d0e0f", 1'000'000'000, 500, 500}};
  return spec;
}

BOOST_AUTO_TEST_CASE(a_task_with_a_share_of_a_gpu_is_held_to_it) {
  const auto spec = sharing(script(""));
  BOOST_CHECK_EQUAL(run(spec).facts.exit_code, 0);
  BOOST_CHECK_EQUAL(output(spec.key, Stream::err), "");
  auto larger = sharing(script(""));
  larger.gpus[0].memory_bytes *= 2;
  BOOST_CHECK_EQUAL(run(larger).facts.exit_code, 1);
  auto of_others = sharing(script(""));
  of_others.gpus[0].uuid = "GPU-of-others";
  BOOST_CHECK_EQUAL(run(of_others).facts.exit_code, 1);
}

BOOST_AUTO_TEST_CASE(a_share_does_not_hang_on_a_variable) {
  auto spec = sharing(script(""));
  for (const char* command :
       {"exec env -u REEVE_GPU_LEDGER ", "REEVE_GPU_LEDGER=/tmp/mine exec "}) {
    spec.key.session += 1000;
    spec.argv = {"sh", "-c",
                 std::string(command) + REEVE_SHARE_PROGRAM + " proc plain"};
    BOOST_CHECK_EQUAL(run(spec).facts.exit_code, 0);
  }
}

// That is what the agent looks for (runs_unheld in gpu_use.hpp).
BOOST_AUTO_TEST_CASE(who_is_held_to_a_share_is_seen_from_outside) {
  auto spec = sharing(script(""));
  spec.argv = {"sh", "-c", "sleep 601.617 & env -u LD_PRELOAD sleep 601.618"};
  BOOST_REQUIRE(client().launch(spec));
  await_started(spec.key);
  // Of the one process that sleeps so long: what it has mapped.
  const auto mapped = [](const char* word) {
    std::string maps;
    for (const int pid : pids_with(word)) {
      const std::string process = "/proc/" + std::to_string(pid);
      std::ifstream name(process + "/comm");
      std::string is;
      if (!std::getline(name, is) || is != "sleep") continue;
      BOOST_CHECK_EQUAL(
          ::access((process + "/root" + share_ledger_path).c_str(), F_OK), 0);
      std::ifstream file(process + "/maps");
      maps.assign(std::istreambuf_iterator<char>(file), {});
    }
    return maps;
  };
  // The last of what a program loads.
  const auto has = [&](const char* word, const char* library) {
    return mapped(word).find(library) != std::string::npos;
  };
  BOOST_REQUIRE(eventually([&] { return has("601.617", "/libc"); }));
  BOOST_REQUIRE(eventually([&] { return has("601.618", "/libc"); }));
  BOOST_CHECK(has("601.617", share_library_path));
  BOOST_CHECK(!has("601.618", share_library_path));
  BOOST_REQUIRE(client().stop(spec.key, 0));
  await(spec.key);
}

BOOST_AUTO_TEST_CASE(the_ledger_of_a_share_is_the_users_and_the_library_not) {
  auto spec = script(
      "cd /dev/reeve; stat -c '%u %a' ledger; ls; touch more; rm ledger");
  spec.share_library = REEVE_SHARE_LIBRARY;
  spec.gpus = {{"GPU-a", 1, 500}};
  BOOST_CHECK_NE(run(spec).facts.exit_code, 0);
  BOOST_CHECK_EQUAL(output(spec.key),
                    "65534 600\nledger\nlibreeve-gpu-share.so\n");
  auto as_root = sharing(script(""));
  as_root.argv = {
      "sh", "-c",
      std::string("chmod 777 ") + share_library_path + "; touch /dev/more"};
  BOOST_CHECK_NE(run(as_root).facts.exit_code, 0);
  const auto errors = output(as_root.key, Stream::err);
  std::size_t denials = 0;
  for (std::size_t at = 0;
       (at = errors.find("Read-only file system", at)) != errors.npos; ++at) {
    ++denials;
  }
  BOOST_CHECK_MESSAGE(denials == 2, errors);
}

BOOST_AUTO_TEST_CASE(what_a_task_was_given_is_listed_until_it_has_ended) {
  auto spec = sharing(script(""));
  spec.argv = {"sleep", "600"};
  BOOST_REQUIRE(client().launch(spec));
  await_started(spec.key);
  const auto gpus = status(spec.key).gpus;
  BOOST_REQUIRE_EQUAL(gpus.size(), 1);
  BOOST_CHECK_EQUAL(gpus[0].uuid, spec.gpus[0].uuid);
  BOOST_CHECK_EQUAL(gpus[0].begin_milli, 500);
  BOOST_REQUIRE(client().stop(spec.key, 0));
  await(spec.key);
  BOOST_CHECK(status(spec.key).gpus.empty());
}

BOOST_AUTO_TEST_CASE(a_share_that_cannot_be_does_not_start) {
  auto many = sharing(script(""));
  many.gpus.resize(gpu::share::share_devices_max + 1, many.gpus[0]);
  BOOST_CHECK_EQUAL(run(many).refusal,
                    "a session shares from 1 to 16 GPUs, not 17");
  auto gone = sharing(script(""));
  gone.share_library = directory() + "/gone.so";
  BOOST_CHECK_EQUAL(run(gone).start_error,
                    "placing what a share of a GPU needs: No such file or "
                    "directory");
  BOOST_CHECK(status(gone.key).gpus.empty());
}

BOOST_AUTO_TEST_CASE(the_keepers_directory_is_hidden) {
  auto spec = script("ls -A " + directory() + "/run 2>&1");
  spec.uid = spec.gid = 0;
  spec.workdir = "/";
  run(spec);
  auto text = output(spec.key);
  BOOST_CHECK_MESSAGE(text.find("keeper.sock") == text.npos, text);
  BOOST_CHECK_MESSAGE(text.find("tasks.journal") == text.npos, text);
}

BOOST_AUTO_TEST_CASE(hidden_stays_hidden_inside_the_working_directory) {
  auto spec = script("ls -A run 2>&1");
  spec.uid = spec.gid = 0;
  spec.workdir = directory();
  run(spec);
  auto text = output(spec.key);
  BOOST_CHECK_MESSAGE(text.find("keeper.sock") == text.npos, text);
  spec = script("pwd; ls -A");
  spec.uid = spec.gid = 0;
  spec.workdir = directory() + "/run/output";
  spec.workdir_optional = true;
  auto outcome = run(spec);
  BOOST_CHECK_EQUAL(output(spec.key), "/tmp/work\n");
  BOOST_CHECK_NE(outcome.note, "");
}

BOOST_AUTO_TEST_CASE(a_task_is_scheduled_as_any_other_process) {
  auto spec = script("cut -d' ' -f41 /proc/self/stat");
  run(spec);
  BOOST_CHECK_EQUAL(output(spec.key), std::to_string(SCHED_OTHER) + "\n");
}

BOOST_AUTO_TEST_CASE(each_start_has_the_limits_of_its_own_order) {
  if (limits_name(client(), "memory limits are not enforced")) return;
  // More of them than inits wait with the limits of the one before.
  for (std::uint64_t mib : {64u, 96u, 64u, 200u, 32u, 96u, 64u, 32u, 200u}) {
    auto spec = script("exec tail /dev/zero");
    spec.memory_bytes = mib << 20;
    auto facts = run(spec).facts;
    BOOST_CHECK(facts.memory_killed);
    BOOST_CHECK_LE(facts.peak_memory_bytes, spec.memory_bytes);
    BOOST_CHECK_GT(facts.peak_memory_bytes, spec.memory_bytes / 2);
  }
}

BOOST_AUTO_TEST_CASE(arguments_as_long_as_allowed_reach_the_command) {
  auto spec = script("echo ${#1} ${#LARGE}");
  constexpr std::size_t half = 120'000;  // the kernel's bound for one text
  spec.argv.push_back("script");
  spec.argv.push_back(std::string(half, 'x'));
  spec.env.push_back("LARGE=" + std::string(half, 'y'));
  for (int at = 0; at < 6; ++at) {
    spec.env.push_back("E" + std::to_string(at) + "=" + std::string(half, 'z'));
  }
  BOOST_CHECK_EQUAL(run(spec).facts.exit_code, 0);
  BOOST_CHECK_EQUAL(output(spec.key), "120000 120000\n");
}

// Of the signals that every program knows, as /proc shows them; those above
// are the library's and the user's.
std::uint64_t ignored_signals(const std::string& status) {
  constexpr std::string_view name = "SigIgn:\t";
  constexpr std::uint64_t plain = (std::uint64_t{1} << 31) - 1;
  const auto at = status.find(name);
  BOOST_REQUIRE(at != std::string::npos);
  return std::stoull(status.substr(at + name.size()), nullptr, 16) & plain;
}

// A pipe whose reader has gone would end no writer.
BOOST_AUTO_TEST_CASE(a_signal_that_the_keeper_ignores_is_not_ignored_by_tasks) {
  drop_client();
  BOOST_REQUIRE(end_keeper(config()));
  const auto place = config().directory;
  const int starting = ::fork();
  if (starting == 0) {
    ::signal(SIGPIPE, SIG_IGN);
    ::signal(SIGHUP, SIG_IGN);
    ::execl(REEVE_KEEPER, "reeve-keeper", "--directory", place.c_str(),
            nullptr);
    ::_exit(127);
  }
  ::waitpid(starting, nullptr, 0);
  reconnect();
  const auto keeper =
      read_file("/proc/" + std::to_string(client().keeper_pid()) + "/status");
  BOOST_REQUIRE(keeper);
  BOOST_CHECK_NE(ignored_signals(*keeper), 0);
  const auto spec = script("exec grep SigIgn /proc/self/status");
  BOOST_CHECK_EQUAL(run(spec).facts.exit_code, 0);
  BOOST_CHECK_EQUAL(ignored_signals(output(spec.key)), 0);
}

BOOST_AUTO_TEST_CASE(a_keeper_ignores_no_signal_that_its_daemon_ignores) {
  drop_client();
  BOOST_REQUIRE(end_keeper(config()));
  const auto before = ::signal(SIGPIPE, SIG_IGN);
  reconnect();
  ::signal(SIGPIPE, before);
  const auto keeper =
      read_file("/proc/" + std::to_string(client().keeper_pid()) + "/status");
  BOOST_REQUIRE(keeper);
  BOOST_CHECK_EQUAL(ignored_signals(*keeper), 0);
}

BOOST_AUTO_TEST_CASE(no_descriptor_of_the_keeper_is_inherited) {
  auto spec = script("ls /proc/self/fd | tr '\\n' ' '");
  run(spec);
  BOOST_CHECK_EQUAL(output(spec.key), "0 1 2 3 ");  // 3 is the listing's own
}

BOOST_AUTO_TEST_SUITE_END()

std::uint64_t namespace_of(int fd) {
  struct stat facts {};
  BOOST_REQUIRE_EQUAL(::fstat(fd, &facts), 0);
  return facts.st_ino;
}

// The kernel tells of a change once.
BOOST_AUTO_TEST_CASE(mounts_that_changed_are_not_forgotten_when_a_root_fails,
                     *boost::unit_test::precondition(as_root)) {
  const TempDirectory temp;
  const auto hidden = temp.path() + "/hidden";
  const auto place = temp.path() + "/place";
  std::filesystem::create_directory(hidden);
  std::filesystem::create_directory(place);
  RootTemplate root({hidden});
  auto first = root.current();
  BOOST_REQUIRE_MESSAGE(first, first.error().text);
  const auto before = namespace_of(*first);
  BOOST_REQUIRE_EQUAL(::mount("m", place.c_str(), "tmpfs", 0, ""), 0);
  std::filesystem::remove(hidden);
  std::ofstream(hidden).close();  // cannot be covered by a directory
  BOOST_CHECK(!root.current());
  std::filesystem::remove(hidden);
  std::filesystem::create_directory(hidden);
  auto later = root.current();
  BOOST_CHECK_EQUAL(::umount(place.c_str()), 0);
  BOOST_REQUIRE_MESSAGE(later, later.error().text);
  BOOST_CHECK_NE(namespace_of(*later), before);
}

}  // namespace
}  // namespace reeve::keeper::test::runtime_isolation_test
