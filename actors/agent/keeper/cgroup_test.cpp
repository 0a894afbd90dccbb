#include "actors/agent/keeper/cgroup.hpp"

#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <boost/test/unit_test.hpp>
#include <filesystem>
#include <fstream>
#include <iterator>

#include "actors/agent/keeper/types.hpp"

namespace reeve::keeper::cgroup_test {
namespace {

namespace fs = std::filesystem;

std::string read(const std::string& path) {
  std::ifstream in(path);
  return {std::istreambuf_iterator<char>(in), {}};
}

void write(const std::string& path, const std::string& text) {
  std::ofstream(path) << text;
}

struct Place {
  Place() {
    char made[] = "/tmp/keeper-cgroup-XXXXXX";
    BOOST_REQUIRE(::mkdtemp(made));
    path = made;
  }
  ~Place() { fs::remove_all(path); }
  std::string path;
};

std::string v2_mount(const std::string& point) {
  return "31 23 0:28 / " + point + " rw shared:4 - cgroup2 cgroup2 rw\n";
}

// Plain files in the place of a v2 hierarchy. The kernel would make those of a
// group itself; here they are laid out for the first one.
struct FakeV2 : Place {
  FakeV2() {
    own = path + "/system.slice/reeved.service";
    group = own + "/reeve-x/t0";
    fs::create_directories(group);
    write(own + "/cgroup.controllers", "cpuset cpu io memory pids\n");
    write(own + "/cgroup.subtree_control", "cpu memory pids\n");
    write(own + "/reeve-x/cgroup.subtree_control", "");
    for (const char* name :
         {"memory.max", "memory.swap.max", "memory.oom.group", "memory.peak",
          "memory.current", "pids.max", "cpu.max", "cgroup.procs"}) {
      write(group + "/" + name, "");
    }
    write(group + "/memory.events", "low 0\nmax 3\noom 1\noom_kill 2\n");
    write(group + "/cpu.stat", "usage_usec 500\nuser_usec 300\n");
    layout = find_cgroups(v2_mount(path), "0::/system.slice/reeved.service\n");
  }
  std::string own;
  std::string group;
  CgroupLayout layout;
};

BOOST_AUTO_TEST_CASE(v1_controllers_are_found_where_this_process_is) {
  auto layout = find_cgroups(
      "31 23 0:28 / /sys/fs/cgroup rw - tmpfs tmpfs rw\n"
      "32 31 0:29 / /sys/fs/cgroup/cpu,cpuacct rw - cgroup c rw,cpu,cpuacct\n"
      "36 31 0:32 / /sys/fs/cgroup/memory rw shared:9 - cgroup c rw,memory\n"
      "40 31 0:36 / /sys/fs/cgroup/pids rw - cgroup c rw,pids\n",
      "8:pids:/\n4:memory:/a/b\n1:cpu,cpuacct:/c\n0::/\n");
  BOOST_CHECK_EQUAL(layout.devices.directory, "");
  BOOST_CHECK_EQUAL(layout.memory.directory, "/sys/fs/cgroup/memory/a/b");
  BOOST_CHECK_EQUAL(layout.pids.directory, "/sys/fs/cgroup/pids");
  BOOST_CHECK_EQUAL(layout.cpu.directory, "/sys/fs/cgroup/cpu,cpuacct/c");
  BOOST_CHECK(!layout.memory.v2);
}

BOOST_AUTO_TEST_CASE(v2_controllers_are_those_the_group_is_given) {
  FakeV2 fake;
  BOOST_CHECK_EQUAL(fake.layout.memory.directory, fake.own);
  BOOST_CHECK_EQUAL(fake.layout.cpu.directory, fake.own);
  BOOST_CHECK(fake.layout.pids.v2);
}

BOOST_AUTO_TEST_CASE(devices_are_guarded_on_v1_where_it_does_or_else_on_v2) {
  FakeV2 fake;
  const std::string self = "5:devices:/d\n0::/system.slice/reeved.service\n";
  const std::string v1 =
      "36 31 0:33 / /sys/fs/cgroup/devices rw - cgroup c rw,devices\n";
  for (const auto& mounts :
       {v1 + v2_mount(fake.path), v2_mount(fake.path) + v1}) {
    auto layout = find_cgroups(mounts, self);
    BOOST_CHECK_EQUAL(layout.devices.directory, "/sys/fs/cgroup/devices/d");
    BOOST_CHECK(!layout.devices.v2);
  }
  auto layout = find_cgroups(v2_mount(fake.path), self);
  BOOST_CHECK_EQUAL(layout.devices.directory, fake.own);
  BOOST_CHECK(layout.devices.v2);
}

BOOST_AUTO_TEST_CASE(on_a_hybrid_host_each_controller_is_where_it_really_is) {
  Place place;
  write(place.path + "/cgroup.controllers", "pids\n");
  auto layout = find_cgroups(
      "36 31 0:32 / /sys/fs/cgroup/memory rw - cgroup c rw,memory\n" +
          v2_mount(place.path),
      "4:memory:/m\n0::/\n");
  BOOST_CHECK_EQUAL(layout.memory.directory, "/sys/fs/cgroup/memory/m");
  BOOST_CHECK(!layout.memory.v2);
  BOOST_CHECK_EQUAL(layout.pids.directory, place.path);
  BOOST_CHECK(layout.pids.v2);
  BOOST_CHECK_EQUAL(layout.cpu.directory, "");
}

BOOST_AUTO_TEST_CASE(a_mount_that_shows_a_part_of_the_hierarchy_is_understood) {
  auto layout = find_cgroups(
      "36 31 0:32 /docker/abc /sys/fs/cgroup/memory rw - cgroup c rw,memory\n",
      "4:memory:/docker/abc/inner\n");
  BOOST_CHECK_EQUAL(layout.memory.directory, "/sys/fs/cgroup/memory/inner");
}

BOOST_AUTO_TEST_CASE(a_daemon_that_was_moved_to_its_leaf_finds_its_group) {
  FakeV2 fake;
  auto again = find_cgroups(v2_mount(fake.path),
                            "0::/system.slice/reeved.service/reeve-daemon\n");
  BOOST_CHECK_EQUAL(again.memory.directory, fake.own);
}

BOOST_AUTO_TEST_CASE(v2_limits_are_written_as_the_kernel_reads_them) {
  FakeV2 fake;
  CgroupPool pool(fake.layout, "reeve-x", 0);
  for (const auto& limit : pool.limits()) BOOST_TEST_MESSAGE(limit);
  // No kernel takes a program for a plain directory.
  BOOST_REQUIRE_EQUAL(pool.limits().size(), 1);
  BOOST_CHECK(pool.limits()[0].starts_with(
      "which devices a task may open is limited by its /dev alone: "));
  auto group = pool.take({1u << 20, 1500, 30});
  BOOST_REQUIRE(group);
  BOOST_CHECK_EQUAL(read(fake.group + "/memory.max"), "1048576");
  BOOST_CHECK_EQUAL(read(fake.group + "/memory.swap.max"), "0");
  BOOST_CHECK_EQUAL(read(fake.group + "/memory.oom.group"), "1");
  BOOST_CHECK_EQUAL(read(fake.group + "/pids.max"), "31");
  BOOST_CHECK_EQUAL(read(fake.group + "/cpu.max"), "150000 100000");
  auto entries = pool.entries(*group);
  BOOST_REQUIRE_EQUAL(entries.size(), 1);
  BOOST_CHECK_EQUAL(entries[0], fake.group + "/cgroup.procs");
}

BOOST_AUTO_TEST_CASE(a_group_whose_limit_was_refused_gets_all_of_them_anew) {
  FakeV2 fake;
  CgroupPool pool(fake.layout, "reeve-x", 0);
  const CgroupLimits limits{1u << 20, 1500, 30};
  auto group = pool.take({});
  BOOST_REQUIRE(group);
  fs::remove(fake.group + "/pids.max");
  BOOST_CHECK(!pool.limit(*group, limits));
  pool.release(*group);
  for (const char* name : {"memory.max", "pids.max", "cpu.max"}) {
    write(fake.group + "/" + name, "");
  }
  auto again = pool.take(limits);
  BOOST_REQUIRE(again);
  BOOST_CHECK_EQUAL(*again, *group);
  BOOST_CHECK_EQUAL(read(fake.group + "/memory.max"), "1048576");
  BOOST_CHECK_EQUAL(read(fake.group + "/pids.max"), "31");
  BOOST_CHECK_EQUAL(read(fake.group + "/cpu.max"), "150000 100000");
  // Nor does it count as one without limits.
  fs::remove(fake.group + "/pids.max");
  BOOST_CHECK(!pool.limit(*again, {}));
  pool.release(*again);
  write(fake.group + "/pids.max", "");
  again = pool.take({});
  BOOST_REQUIRE(again);
  BOOST_CHECK_EQUAL(read(fake.group + "/pids.max"), "max");
  BOOST_CHECK(read(fake.group + "/cpu.max").starts_with("max"));
}

// A daemon that a login started shares its group with others' processes.
struct SharedV2 : Place {
  explicit SharedV2(const std::string& other) {
    own = path + "/user.slice/session-1.scope";
    fs::create_directories(own);
    fs::create_directories(path + "/reeve-x/t0");
    for (const auto& group : {path, own}) {
      write(group + "/cgroup.controllers", "cpuset cpu io memory pids\n");
    }
    write(own + "/cgroup.subtree_control", "");
    write(own + "/cgroup.procs", other + "\n");
    // As systemd leaves it: not all are given on.
    write(path + "/cgroup.subtree_control", "cpuset memory pids\n");
    write(path + "/reeve-x/cgroup.subtree_control", "");
    for (const char* name : {"memory.max", "memory.swap.max", "pids.max",
                             "memory.oom.group", "cpu.max"}) {
      write(path + "/reeve-x/t0/" + name, "");
    }
  }
  CgroupLayout layout() const {
    return find_cgroups(v2_mount(path), "0::/user.slice/session-1.scope\n");
  }
  std::string own;
};

BOOST_AUTO_TEST_CASE(below_a_login_the_groups_of_tasks_are_below_the_root) {
  SharedV2 host("1");
  CgroupPool pool(host.layout(), "reeve-x", 0);
  BOOST_CHECK_EQUAL(pool.limits().size(), 1);  // devices: no real kernel
  auto group = pool.take({1u << 20, 1500, 30});
  BOOST_REQUIRE(group);
  const auto entries = pool.entries(*group);
  BOOST_REQUIRE_EQUAL(entries.size(), 1);
  BOOST_CHECK_EQUAL(entries[0], host.path + "/reeve-x/t0/cgroup.procs");
  BOOST_CHECK_EQUAL(read(host.path + "/reeve-x/t0/memory.max"), "1048576");
  BOOST_CHECK_EQUAL(read(host.path + "/reeve-x/t0/cpu.max"), "150000 100000");
  // "cpuset" is not "cpu".
  BOOST_CHECK(read(host.path + "/cgroup.subtree_control").starts_with("+cpu"));
  BOOST_CHECK_EQUAL(read(host.own + "/cgroup.subtree_control"), "");
}

BOOST_AUTO_TEST_CASE(a_part_of_the_hierarchy_has_no_root_to_go_to) {
  SharedV2 host("1");
  write(host.path + "/cgroup.type", "domain\n");
  BOOST_CHECK_EQUAL(host.layout().v2_root, "");
  CgroupPool pool(host.layout(), "reeve-x", 0);
  BOOST_REQUIRE_GE(pool.limits().size(), 3);
  for (std::size_t at = 0; at < 3; ++at) {
    BOOST_CHECK_NE(
        pool.limits()[at].find("process 1 in " + host.own + " is not ours"),
        std::string::npos);
  }
  BOOST_CHECK_EQUAL(read(host.own + "/cgroup.subtree_control"), "");
}

BOOST_AUTO_TEST_CASE(v2_accounts_of_a_group_used_again_start_at_nothing) {
  FakeV2 fake;
  write(fake.group + "/memory.events", "oom 0\noom_kill 2\n");
  write(fake.group + "/cpu.stat", "usage_usec 500\n");
  CgroupPool pool(fake.layout, "reeve-x", 0);
  auto first = pool.take({1u << 20, 0, 0});
  BOOST_REQUIRE(first);
  BOOST_CHECK_EQUAL(pool.usage(*first).memory_kills, 2);
  BOOST_CHECK_EQUAL(pool.usage(*first).cpu_ns, 500'000);
  pool.release(*first);
  auto again = pool.take({1u << 20, 0, 0});
  BOOST_REQUIRE(again && *again == *first);
  write(fake.group + "/memory.events", "oom 2\noom_kill 5\n");
  write(fake.group + "/cpu.stat", "usage_usec 2500\n");
  write(fake.group + "/memory.peak", "777216\n");
  auto usage = pool.usage(*again);
  BOOST_CHECK_EQUAL(usage.memory_kills, 3);
  BOOST_CHECK_EQUAL(usage.cpu_ns, 2'000'000);
  BOOST_CHECK_EQUAL(usage.peak_memory_bytes, 777216);
}

BOOST_AUTO_TEST_CASE(a_group_that_still_holds_memory_is_not_used_again) {
  FakeV2 fake;
  CgroupPool pool(fake.layout, "reeve-x", 0);
  auto first = pool.take({});
  BOOST_REQUIRE(first);
  write(fake.group + "/memory.current",
        std::to_string(group_residue_bytes_max));
  pool.release(*first);
  auto again = pool.take({});
  BOOST_REQUIRE(again);
  BOOST_CHECK_EQUAL(*again, *first);
  write(fake.group + "/memory.current",
        std::to_string(group_residue_bytes_max + 1));
  pool.release(*again);
  auto other = pool.take({});
  BOOST_REQUIRE(other);
  BOOST_CHECK_NE(*other, *first);
}

BOOST_AUTO_TEST_CASE(only_so_many_idle_groups_are_kept_for_the_next_task) {
  Place place;
  auto layout = find_cgroups(
      "36 31 0:32 / " + place.path + " rw - cgroup c rw,pids\n", "8:pids:/\n");
  CgroupPool pool(layout, "reeve-x", 0);
  std::vector<int> groups;
  for (std::size_t at = 0; at <= idle_groups_max; ++at) {
    fs::create_directories(place.path + "/reeve-x/t" + std::to_string(at));
    write(place.path + "/reeve-x/t" + std::to_string(at) + "/pids.max", "");
    auto group = pool.take({0, 0, 0});
    BOOST_REQUIRE(group);
    groups.push_back(*group);
  }
  for (int group : groups) pool.release(group);
  // The kept ones are taken again; the one past the bound is not.
  std::vector<int> again;
  for (std::size_t at = 0; at < idle_groups_max; ++at) {
    again.push_back(*pool.take({0, 0, 0}));
  }
  std::sort(again.begin(), again.end());
  for (std::size_t at = 0; at < idle_groups_max; ++at) {
    BOOST_CHECK_EQUAL(again[at], groups[at]);
  }
}

BOOST_AUTO_TEST_CASE(a_cpu_limit_below_what_the_kernel_takes_is_raised) {
  FakeV2 fake;
  CgroupPool pool(fake.layout, "reeve-x", 0);
  for (const auto& [asked, quota] :
       {std::pair{1u, "1000"}, std::pair{cpu_milli_min - 1, "1000"},
        std::pair{cpu_milli_min, "1000"},
        std::pair{cpu_milli_min + 1, "1100"}}) {
    auto group = pool.take({0, asked, 0});
    BOOST_REQUIRE(group);
    BOOST_CHECK_EQUAL(read(fake.group + "/cpu.max"),
                      std::string(quota) + " 100000");
    pool.release(*group);
  }
}

// A v1 hierarchy of devices whose files are pipes: what is written is heard.
struct FakeDevices : Place {
  FakeDevices() {
    fs::create_directories(path + "/reeve-x/t0");
    pipe("/reeve-x/devices.allow");
    allowed = pipe("/reeve-x/t0/devices.allow");
    denied = pipe("/reeve-x/t0/devices.deny");
    layout = find_cgroups(
        "36 31 0:33 / " + path + " rw - cgroup c rw,devices\n", "5:devices:/");
  }
  ~FakeDevices() {
    for (int fd : pipes) ::close(fd);
  }
  int pipe(const std::string& name) {
    BOOST_REQUIRE_EQUAL(::mkfifo((path + name).c_str(), 0600), 0);
    pipes.push_back(::open((path + name).c_str(), O_RDWR | O_NONBLOCK));
    return pipes.back();
  }
  static std::string heard(int fd) {
    char text[4096];
    const auto got = ::read(fd, text, sizeof text);
    return {text, static_cast<std::size_t>(std::max<ssize_t>(got, 0))};
  }

  CgroupLayout layout;
  std::vector<int> pipes;
  int allowed = -1;
  int denied = -1;
};

std::string every_line(const std::vector<DeviceNumber>& given) {
  std::string all;
  for (const auto& line : device_lines(given)) all += line;
  return all;
}

BOOST_AUTO_TEST_CASE(v1_denies_all_devices_and_allows_those_of_the_task) {
  FakeDevices fake;
  CgroupPool pool(fake.layout, "reeve-x", 0);
  BOOST_CHECK_EQUAL(pool.limits().size(), 3);  // memory, pids, cpu
  CgroupLimits limits;
  limits.devices = {{195, 0}, {195, 255}};
  auto group = pool.take(limits);
  BOOST_REQUIRE(group);
  BOOST_CHECK_EQUAL(fake.heard(fake.denied), "a\n");
  BOOST_CHECK_EQUAL(fake.heard(fake.allowed), every_line(limits.devices));
  // An init that waited there for another order, then the group of the next.
  BOOST_CHECK(pool.limit(*group, {}));
  BOOST_CHECK_EQUAL(fake.heard(fake.denied), "a\n");
  BOOST_CHECK_EQUAL(fake.heard(fake.allowed), every_line({}));
  pool.release(*group);
  BOOST_REQUIRE(pool.take({}));
  BOOST_CHECK_EQUAL(fake.heard(fake.denied), "");
  BOOST_CHECK_EQUAL(fake.heard(fake.allowed), "");
}

BOOST_AUTO_TEST_CASE(one_device_too_many_is_refused_with_the_bound) {
  FakeDevices fake;
  CgroupPool pool(fake.layout, "reeve-x", 0);
  CgroupLimits limits;
  for (std::uint32_t i = 0; i < devices_per_group_max; ++i) {
    limits.devices.push_back({500, i});
  }
  auto group = pool.take(limits);
  BOOST_REQUIRE(group);
  limits.devices.push_back({501, 0});
  auto refused = pool.limit(*group, limits);
  BOOST_REQUIRE(!refused);
  BOOST_CHECK_EQUAL(refused.error().text,
                    "513 device nodes are too many for one task: at most 512 "
                    "are allowed");
}

BOOST_AUTO_TEST_CASE(a_host_without_groups_gets_a_sentence_for_each_loss) {
  CgroupPool pool(CgroupLayout{}, "reeve-x", 0);
  BOOST_REQUIRE_EQUAL(pool.limits().size(), 4);
  BOOST_CHECK_EQUAL(pool.limits()[3],
                    "which devices a task may open is limited by its /dev "
                    "alone: the host has no devices controller of control "
                    "groups");
  BOOST_CHECK_EQUAL(pool.limits()[0],
                    "memory limits are not enforced and peak memory is not "
                    "known: the host has no memory controller of control "
                    "groups");
  auto group = pool.take({1u << 20, 100, 10});
  BOOST_REQUIRE(group);
  BOOST_CHECK(pool.entries(*group).empty());
  BOOST_CHECK_EQUAL(pool.usage(*group).peak_memory_bytes, 0);
}

}  // namespace
}  // namespace reeve::keeper::cgroup_test
