// What a task's control group keeps it from opening, whatever its /dev shows,
// and what it gets of the MPS that a site runs.
#include <fcntl.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <filesystem>
#include <fstream>

#include "actors/agent/keeper/cgroup.hpp"
#include "actors/agent/keeper/files.hpp"
#include "actors/agent/keeper/runtime_fixture.hpp"
#include "gpu/share/ledger.hpp"

namespace reeve::keeper::test::runtime_devices_test {
namespace {

namespace fs = std::filesystem;

// A device that no task has by itself and root can open; empty: none is here.
std::string some_device() {
  for (const char* path : {"/dev/fuse", "/dev/kmsg", "/dev/net/tun"}) {
    Fd fd(::open(path, O_RDONLY | O_NONBLOCK | O_CLOEXEC));
    if (fd) return path;
  }
  return "";
}

// errno of root's opening a node inside the group; 0: it is open.
int open_inside(const std::string& group, const std::string& path) {
  const int pid = ::fork();
  BOOST_REQUIRE_GE(pid, 0);
  if (pid == 0) {
    constexpr int not_entered = 255;
    if (!write_kernel_file(group + "/cgroup.procs", "0")) ::_exit(not_entered);
    const int fd = ::open(path.c_str(), O_RDONLY | O_NONBLOCK | O_CLOEXEC);
    ::_exit(fd < 0 ? errno : 0);
  }
  int status = 0;
  BOOST_REQUIRE_EQUAL(::waitpid(pid, &status, 0), pid);
  BOOST_REQUIRE(WIFEXITED(status));
  return WEXITSTATUS(status);
}

std::string file_text(const std::string& path) {
  return read_file(path).value_or("");
}

// Where a process is guarded.
std::string guarded_group(int pid) {
  return find_cgroups(file_text("/proc/self/mountinfo"),
                      file_text("/proc/" + std::to_string(pid) + "/cgroup"))
      .devices.directory;
}

BOOST_FIXTURE_TEST_SUITE(guarded_devices, RuntimeFixture,
                         *boost::unit_test::precondition(as_root))

bool guards_devices(Client& client) {
  for (const auto& limit : client.limits()) {
    if (limit.starts_with("which devices a task may open")) {
      BOOST_TEST_MESSAGE(limit);
      return false;
    }
  }
  return true;
}

BOOST_AUTO_TEST_CASE(the_group_of_a_task_refuses_what_it_was_not_given) {
  const auto device = some_device();
  if (!guards_devices(client()) || device.empty()) {
    BOOST_TEST_MESSAGE("this host has no controller of devices, or no device");
    return;
  }
  // Twice each: inits wait in groups that had other devices before.
  for (const bool given : {false, true, true, false}) {
    auto spec = script("sleep 600");
    if (given) spec.device_paths = {device};
    BOOST_REQUIRE(client().launch(spec));
    await_started(spec.key);
    const auto group = guarded_group(status(spec.key).pid);
    BOOST_TEST_CONTEXT(group << (given ? ", given" : "")) {
      BOOST_CHECK_EQUAL(open_inside(group, device), given ? 0 : EPERM);
      BOOST_CHECK_EQUAL(open_inside(group, "/dev/urandom"), 0);
      BOOST_CHECK_EQUAL(open_inside(group, "/dev/ptmx"), 0);
    }
    BOOST_REQUIRE(client().stop(spec.key, 0));
    await(spec.key);
  }
}

BOOST_AUTO_TEST_CASE(a_task_uses_its_pseudo_devices) {
  auto spec = script(
      "for d in null zero full random urandom; do "
      "head -c 1 /dev/$d > /dev/null || exit 1; done; "
      "echo x > /dev/zero && exec 3<> /dev/ptmx");
  BOOST_CHECK_EQUAL(run(spec).facts.exit_code, 0);
  BOOST_CHECK_EQUAL(output(spec.key, Stream::err), "");
}

// ---- MPS

// What the control daemon of a site leaves: its pipes, its pid, and itself.
class Mps {
 public:
  explicit Mps(const std::string& parent) : directory_(parent + "/mps") {
    fs::create_directory(directory_);
    ::chmod(directory_.c_str(), 0755);
    BOOST_REQUIRE_EQUAL(::mkfifo((directory_ + "/log").c_str(), 0666), 0);
    ::chmod((directory_ + "/log").c_str(), 0666);
    daemon_ = ::fork();
    BOOST_REQUIRE_GE(daemon_, 0);
    if (daemon_ == 0) {
      ::prctl(PR_SET_PDEATHSIG, SIGKILL);
      ::prctl(PR_SET_NAME, "nvidia-cuda-mps-control");
      for (;;) ::pause();
    }
    std::ofstream(directory_ + "/nvidia-cuda-mps-control.pid")
        << daemon_ << '\n';
    const auto name = "/proc/" + std::to_string(daemon_) + "/comm";
    BOOST_REQUIRE(
        eventually([&] { return file_text(name) == "nvidia-cuda-mps\n"; }));
  }
  ~Mps() { end(); }
  void end() {
    if (daemon_ <= 0) return;
    ::kill(daemon_, SIGKILL);
    ::waitpid(daemon_, nullptr, 0);
    daemon_ = 0;
  }
  const std::string& directory() const { return directory_; }

 private:
  std::string directory_;
  int daemon_ = 0;
};

TaskSpec with_mps(TaskSpec spec, const Mps& mps) {
  spec.share_library = REEVE_SHARE_LIBRARY;
  spec.gpus = {{"GPU-a", 1u << 30, 300, 200}};
  spec.mps_directory = mps.directory();
  return spec;
}

BOOST_AUTO_TEST_CASE(a_share_through_mps_meets_its_server) {
  Mps mps(directory());
  const auto work = directory() + "/work";
  fs::create_directory(work);
  fs::permissions(work, fs::perms(0777));
  const auto shared = "/dev/shm/reeve-mps-" + std::to_string(::getpid());
  std::ofstream(shared) << "x";
  auto spec = with_mps(script("test -p /dev/reeve/mps/log && "
                              "test -w /dev/reeve/mps/log && "
                              "test -e " +
                              shared + " && cp /dev/reeve/ledger ledger"),
                       mps);
  spec.workdir = work;
  BOOST_CHECK_EQUAL(run(spec).facts.exit_code, 0);
  BOOST_CHECK_EQUAL(output(spec.key, Stream::err), "");
  fs::remove(shared);
  // Its part of the multiprocessors it has all the time.
  auto ledger = gpu::share::Ledger::open(work + "/ledger");
  BOOST_REQUIRE(ledger.has_value());
  BOOST_CHECK_EQUAL(ledger->device(0).compute_milli, gpu::share::whole_milli);
  BOOST_CHECK_EQUAL(ledger->device(0).memory_bytes, 1u << 30);
}

BOOST_AUTO_TEST_CASE(a_share_without_mps_sees_nothing_of_the_hosts) {
  const auto shared = "/dev/shm/reeve-mps-" + std::to_string(::getpid());
  std::ofstream(shared) << "x";
  auto spec = script("test ! -e /dev/reeve/mps && test ! -e " + shared);
  spec.share_library = REEVE_SHARE_LIBRARY;
  spec.gpus = {{"GPU-a", 1u << 30, 300}};
  BOOST_CHECK_EQUAL(run(spec).facts.exit_code, 0);
  fs::remove(shared);
}

BOOST_AUTO_TEST_CASE(where_mps_does_not_run_its_shares_do_not_start) {
  Mps mps(directory());
  mps.end();
  BOOST_CHECK_EQUAL(run(with_mps(script("true"), mps)).start_error,
                    "looking for the control daemon of MPS "
                    "(agent.gpu_mps_dir): No such process");
}

BOOST_AUTO_TEST_SUITE_END()

// ---- both kinds of groups, where the host has them

struct Kind {
  const char* type;
  const char* option;  // of the mount; of v1 its controllers
  bool v2;
};

// Our group of that kind of hierarchy; empty: the host does not have it.
std::string own_group(const Kind& kind) {
  std::ifstream mounts("/proc/self/mountinfo");
  std::string chosen;
  for (std::string line; std::getline(mounts, line);) {
    const auto type = std::string(" - ") + kind.type + " ";
    if (line.find(type) != line.npos && line.find(kind.option) != line.npos) {
      chosen += line + "\n";
    }
  }
  return find_cgroups(chosen, file_text("/proc/self/cgroup")).devices.directory;
}

BOOST_AUTO_TEST_CASE(groups_of_both_kinds_guard_and_change_their_devices,
                     *boost::unit_test::precondition(as_root)) {
  const auto device = some_device();
  for (const auto& kind :
       {Kind{"cgroup", ",devices", false}, Kind{"cgroup2", "", true}}) {
    const auto own = own_group(kind);
    const auto parent = own + "/reeve-guard-" + std::to_string(::getpid());
    const auto group = parent + "/t0";
    if (own.empty() || device.empty() || ::mkdir(parent.c_str(), 0755) != 0) {
      BOOST_TEST_MESSAGE("no " << kind.type << " groups of devices here");
      continue;
    }
    BOOST_TEST_CONTEXT(group) {
      auto guard = DeviceGuard::open(parent, kind.v2);
      BOOST_CHECK_EQUAL(::mkdir(group.c_str(), 0755), 0);
      if (guard) {
        std::optional<DeviceGuard::Told> told;
        const auto given = device_numbers({device, device, "/dev", "/nowhere"});
        BOOST_CHECK_EQUAL(given.size(), 1);
        // The parent is as it was.
        BOOST_CHECK_EQUAL(open_inside(parent, device), 0);
        BOOST_CHECK(guard->set(group, {}, told));
        BOOST_CHECK_EQUAL(open_inside(group, device), EPERM);
        BOOST_CHECK_EQUAL(open_inside(group, "/dev/zero"), 0);
        BOOST_CHECK(guard->set(group, given, told));
        BOOST_CHECK_EQUAL(open_inside(group, device), 0);
        BOOST_CHECK(guard->set(group, given, told));
        BOOST_CHECK(guard->set(group, {}, told));
        BOOST_CHECK_EQUAL(open_inside(group, device), EPERM);
      } else {
        BOOST_TEST_MESSAGE(guard.error().text);
      }
      // What was in it is gone once it was waited for.
      BOOST_CHECK(eventually([&] { return ::rmdir(group.c_str()) == 0; }));
      BOOST_CHECK(eventually([&] { return ::rmdir(parent.c_str()) == 0; }));
    }
  }
}

}  // namespace
}  // namespace reeve::keeper::test::runtime_devices_test
