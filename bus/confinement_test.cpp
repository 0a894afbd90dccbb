#include "bus/confinement.hpp"

#include <linux/capability.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <boost/test/unit_test.hpp>
#include <fstream>
#include <sstream>
#include <thread>

#include "bus/child.hpp"
#include "bus/server_program.hpp"
#include "bus/test_support.hpp"

namespace reeve::bus::confinement_test {
namespace {

namespace fs = std::filesystem;
namespace ut = boost::unit_test;

using testing::Cell;
using testing::patience;
using testing::TemporaryDirectory;

constexpr uid_t another_user = 65534;
constexpr Capabilities search = 1u << CAP_DAC_READ_SEARCH;
constexpr Capabilities override_all = 1u << CAP_DAC_OVERRIDE;
constexpr Capabilities low_ports = 1u << CAP_NET_BIND_SERVICE;

// What /proc says of a process: "NoNewPrivs", "CapEff".
std::string said_of(int pid, const std::string& name) {
  std::istringstream status(proc_file(pid, "status"));
  for (std::string line; std::getline(status, line);)
    if (line.starts_with(name + ":\t")) return line.substr(name.size() + 2);
  return {};
}

Capabilities set_of(int pid, const std::string& name) {
  return std::stoull(said_of(pid, name), nullptr, 16);
}

// Root that may give capabilities up, and become another user.
bool is_full_root() {
  constexpr Capabilities wanted = 1u << CAP_SETPCAP | 1u << CAP_SETUID |
                                  1u << CAP_CHOWN | override_all | search;
  return ::geteuid() == 0 && (set_of(::getpid(), "CapEff") & wanted) == wanted;
}

boost::test_tools::assertion_result has_full_root(ut::test_unit_id) {
  boost::test_tools::assertion_result result(is_full_root());
  if (!result) result.message() << "needs root with its capabilities";
  return result;
}

ut::decorator::precondition needs_root() {
  return ut::decorator::precondition(has_full_root);
}

void give_away(const fs::path& file) {
  BOOST_REQUIRE(::chown(file.c_str(), another_user, another_user) == 0);
}

ServerOptions options_for(const fs::path& directory) {
  ServerOptions options;
  options.data_directory = directory;
  options.cell = "c";
  return options;
}

std::unique_ptr<Server> start(const fs::path& directory) {
  auto started = Server::start_or_adopt(options_for(directory));
  BOOST_REQUIRE_MESSAGE(started,
                        (started ? std::string() : started.error().text));
  return std::move(*started);
}

// It reads its configuration again, too.
void must_reload(Server& server) {
  const auto before = server.reloads();
  BOOST_REQUIRE(server.set_users({}).has_value());
  BOOST_TEST(testing::eventually([&] { return server.reloads() > before; }));
}

BOOST_AUTO_TEST_SUITE(confinement)

BOOST_AUTO_TEST_CASE(the_bus_server_gets_no_new_privileges) {
  const std::string before = said_of(::getpid(), "NoNewPrivs");
  Cell cell;
  BOOST_TEST(said_of(cell.server->pid(), "NoNewPrivs") == "1");
  BOOST_TEST(is_confined(cell.server->pid()));
  BOOST_TEST(set_of(cell.server->pid(), "CapInh") == 0u);
  BOOST_TEST(set_of(cell.server->pid(), "CapAmb") == 0u);
  BOOST_TEST(said_of(::getpid(), "NoNewPrivs") == before);
}

BOOST_AUTO_TEST_CASE(the_bus_server_of_root_has_no_capability, *needs_root()) {
  const Capabilities before = set_of(::getpid(), "CapBnd");
  Cell cell;
  for (const char* set : {"CapPrm", "CapEff", "CapBnd"})
    BOOST_TEST(set_of(cell.server->pid(), set) == 0u, set);
  BOOST_TEST(set_of(::getpid(), "CapBnd") == before);
  must_reload(*cell.server);
  ::kill(cell.server->pid(), SIGKILL);
  BOOST_REQUIRE(
      testing::eventually([&] { return cell.server->restarts() == 1; }));
  BOOST_TEST(set_of(cell.server->pid(), "CapEff") == 0u);
}

// As of `sudo reeve up` in a home directory.
BOOST_AUTO_TEST_CASE(below_a_closed_directory_it_can_search_and_no_more,
                     *needs_root()) {
  const TemporaryDirectory home;
  give_away(home.path());
  BOOST_REQUIRE(::chmod(home.path().c_str(), 0700) == 0);
  const auto server = start(home.path() / "cell");
  for (const char* set : {"CapPrm", "CapEff", "CapBnd"})
    BOOST_TEST(set_of(server->pid(), set) == search, set);
  must_reload(*server);
}

BOOST_AUTO_TEST_CASE(a_directory_that_another_can_close_counts_as_closed,
                     *needs_root()) {
  const TemporaryDirectory home;
  const fs::path directory = home.path() / "bus";
  fs::create_directory(directory);
  BOOST_REQUIRE(::chmod(home.path().c_str(), 0755) == 0);
  BOOST_TEST(needed_capabilities(directory, {4222}) == 0u);
  give_away(home.path());
  BOOST_TEST(needed_capabilities(directory, {4222}) == search);
}

// As after a cell that ran as another user.
BOOST_AUTO_TEST_CASE(in_a_directory_of_another_user_it_can_write,
                     *needs_root()) {
  const TemporaryDirectory data;
  const fs::path directory = data.path() / "bus";
  fs::create_directory(directory);
  std::ofstream(directory / "server.log") << "old\n";
  BOOST_TEST(needed_capabilities(directory, {4222}) == 0u);
  give_away(directory / "server.log");
  BOOST_TEST(needed_capabilities(directory, {4222}) == override_all);
  give_away(directory);
  const auto server = start(data.path());
  BOOST_TEST(set_of(server->pid(), "CapEff") == override_all);
  must_reload(*server);
}

BOOST_AUTO_TEST_CASE(a_low_port_needs_the_capability_for_it) {
  const TemporaryDirectory directory;
  int first = 1'024;
  std::ifstream("/proc/sys/net/ipv4/ip_unprivileged_port_start") >> first;
  const auto needed = [&](int port) {
    return needed_capabilities(directory.path(), {4222, port}) & low_ports;
  };
  BOOST_TEST(needed(first) == 0u);
  if (first > 1) BOOST_TEST(needed(first - 1) == low_ports);
}

// Rights are a thread's own: this one becomes another user, we do not.
BOOST_AUTO_TEST_CASE(who_has_no_privileges_starts_it_all_the_same,
                     *needs_root()) {
  const TemporaryDirectory directory;
  give_away(directory.path());
  Expected<Child> child{Child()};
  std::thread([&] {
    if (::syscall(SYS_setresuid, another_user, another_user, another_user) == 0)
      child = Child::spawn_confined({"/bin/sleep", "600"},
                                    directory.path() / "output", search);
  }).join();
  ::prctl(PR_SET_DUMPABLE, 1, 0, 0, 0);
  BOOST_REQUIRE_MESSAGE(child, (child ? std::string() : child.error().text));
  BOOST_REQUIRE(child->valid());
  const int pid = child->identity().pid;
  BOOST_TEST(said_of(pid, "NoNewPrivs") == "1");
  BOOST_TEST(set_of(pid, "CapEff") == 0u);
  child->signal(SIGKILL);
  BOOST_TEST(child->ended(patience));
}

// As an older program started it.
BOOST_AUTO_TEST_CASE(a_server_with_more_rights_is_replaced) {
  if (said_of(::getpid(), "NoNewPrivs") != "0") return;
  const TemporaryDirectory directory;
  start(directory.path())->stop();
  const fs::path bus = directory.path() / "bus";
  const auto program = find_server_program(ServerOptions{}.program);
  BOOST_REQUIRE(program.has_value());
  auto older = Child::spawn({*program, "-c", (bus / "server.conf").string()},
                            bus / "server.out");
  BOOST_REQUIRE(older.has_value());
  BOOST_TEST(!is_confined(older->identity().pid));
  const auto server = start(directory.path());
  BOOST_TEST(!server->adopted());
  BOOST_TEST(older->ended(patience));
  BOOST_TEST(is_confined(server->pid()));
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace
}  // namespace reeve::bus::confinement_test
