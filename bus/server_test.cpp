#include "bus/server.hpp"

#include <signal.h>
#include <sys/stat.h>

#include <boost/test/unit_test.hpp>
#include <fstream>

#include "bus/child.hpp"
#include "bus/private_file.hpp"
#include "bus/server_config.hpp"
#include "bus/test_support.hpp"
#include "tests/paths.hpp"

namespace reeve::bus {
namespace {

using testing::Cell;
using testing::eventually;
using testing::TemporaryDirectory;

ServerOptions options_for(const TemporaryDirectory& directory) {
  ServerOptions options;
  options.data_directory = directory.path();
  options.cell = "c";
  return options;
}

std::unique_ptr<Server> start(const ServerOptions& options) {
  auto started = Server::start_or_adopt(options);
  BOOST_REQUIRE_MESSAGE(started,
                        (started ? std::string() : started.error().text));
  return std::move(*started);
}

bool alive(int pid) {
  return ::kill(pid, 0) == 0;
}

bool connects(const Credentials& credentials) {
  ConnectionOptions to;
  to.url = credentials.url;
  to.user = credentials.principal;
  to.password = credentials.password;
  return Connection::connect(to).has_value();
}

BOOST_AUTO_TEST_CASE(the_files_are_private_and_the_cli_can_use_its_own) {
  Cell cell;
  for (const auto& entry :
       std::filesystem::directory_iterator(cell.directory.path() / "bus")) {
    struct stat info {};
    BOOST_REQUIRE(::stat(entry.path().c_str(), &info) == 0);
    if (entry.path().filename() == "server.log") continue;
    BOOST_TEST((info.st_mode & 077) == 0u, entry.path());
  }
  const auto credentials =
      load_credentials(client_credentials_path(cell.directory.path()));
  BOOST_REQUIRE(credentials.has_value());
  BOOST_TEST(credentials->principal == "local");
  BOOST_TEST(credentials->cell == "c");
  BOOST_TEST(connects(*credentials));
}

BOOST_AUTO_TEST_CASE(a_stopped_server_is_gone_and_starts_on_its_old_port) {
  const TemporaryDirectory directory;
  auto server = start(options_for(directory));
  const int pid = server->pid();
  const int port = server->port();
  const auto credentials = server->credentials(Role::user);
  server->stop();
  BOOST_TEST(!alive(pid));
  auto again = start(options_for(directory));
  BOOST_TEST(!again->adopted());
  BOOST_TEST(again->port() == port);
  BOOST_TEST(connects(credentials));
}

// The first daemon is a process of its own that is killed without warning.
BOOST_AUTO_TEST_CASE(a_server_outlives_its_killed_daemon_and_is_adopted) {
  const TemporaryDirectory directory;
  auto first =
      Child::spawn({reeve::testing::binary_dir() + "/tests/bus_server_holder",
                    directory.path().string()},
                   directory.path() / "output");
  BOOST_REQUIRE(first.has_value());
  BOOST_REQUIRE(eventually([&] {
    return read_private_file(directory.path() / "ready").has_value();
  }));
  const int pid = std::stoi(*read_private_file(directory.path() / "ready"));
  const auto client =
      load_credentials(client_credentials_path(directory.path()));
  BOOST_REQUIRE(client.has_value());
  ConnectionOptions to;
  to.url = client->url;
  to.user = client->principal;
  to.password = client->password;
  auto connection = Connection::connect(to);
  BOOST_REQUIRE(connection.has_value());

  first->signal(SIGKILL);
  BOOST_REQUIRE(first->ended(testing::patience));
  BOOST_TEST(alive(pid));

  auto second = start(options_for(directory));
  BOOST_TEST(second->adopted());
  BOOST_TEST(second->pid() == pid);
  BOOST_TEST((*connection)->stats().reconnects == 0u);
  BOOST_TEST((*connection)->connected());
  // Not our child, yet its death is seen.
  ::kill(pid, SIGKILL);
  BOOST_TEST(eventually([&] { return second->restarts() == 1; }));
  BOOST_TEST(second->pid() != pid);
  BOOST_TEST(eventually([&] {
    return (*connection)->stats().reconnects == 1 && (*connection)->connected();
  }));
}

BOOST_AUTO_TEST_CASE(the_server_is_told_its_bounds) {
  const std::string text = server_config("c", 4222, "/d/server.log", {});
  const auto says = [&](const char* key, std::size_t value) {
    return text.find(std::string(key) + ": " + std::to_string(value) + "\n") !=
           std::string::npos;
  };
  BOOST_TEST(says("max_connections", server_connections_max));
  BOOST_TEST(says("max_pending", server_pending_bytes_max));
  BOOST_TEST(says("logfile_size_limit", server_log_bytes_max));
  BOOST_TEST(says("max_payload", message_bytes_max));
}

BOOST_AUTO_TEST_CASE(a_server_that_a_dead_daemon_left_is_ended) {
  TemporaryDirectory directory;
  auto server = start(options_for(directory));
  const int pid = server->pid();
  server->release();
  BOOST_TEST(alive(pid));
  BOOST_TEST(Server::end_orphan(directory.path()) == pid);
  BOOST_TEST(eventually([&] { return !alive(pid); }));
  BOOST_TEST(Server::end_orphan(directory.path()) == 0);
}

BOOST_AUTO_TEST_CASE(a_released_server_with_other_settings_is_replaced) {
  const TemporaryDirectory directory;
  auto first = start(options_for(directory));
  const int pid = first->pid();
  first->release();
  auto options = options_for(directory);
  options.principal = "ann";
  auto second = start(options);
  BOOST_TEST(!second->adopted());
  BOOST_TEST(second->pid() != pid);
  BOOST_TEST(eventually([&] { return !alive(pid); }));
  BOOST_TEST(connects(second->credentials(Role::user)));
}

// Another process of the same number must be neither adopted nor killed.
BOOST_AUTO_TEST_CASE(a_foreign_process_in_the_record_is_left_alone) {
  const TemporaryDirectory directory;
  auto other = Child::spawn({"/bin/sleep", "600"}, directory.path() / "output");
  BOOST_REQUIRE(other.has_value());
  const int other_pid = other->identity().pid;
  std::filesystem::create_directories(directory.path() / "bus");
  BOOST_REQUIRE(write_private_file(directory.path() / "bus" / "server.json",
                                   "{\"pid\":" + std::to_string(other_pid) +
                                       ",\"start_ticks\":1,\"port\":0}")
                    .has_value());
  auto server = start(options_for(directory));
  BOOST_TEST(!server->adopted());
  BOOST_TEST(!other->ended(std::chrono::milliseconds(0)));
  other->signal(SIGKILL);
  BOOST_TEST(other->ended(testing::patience));
}

BOOST_AUTO_TEST_CASE(a_broken_record_or_broken_credentials_do_not_stop_it) {
  const TemporaryDirectory directory;
  std::filesystem::create_directories(directory.path() / "bus");
  for (const char* name : {"server.json", "client.json", "reeved.json"})
    BOOST_REQUIRE(
        write_private_file(directory.path() / "bus" / name, "{").has_value());
  auto server = start(options_for(directory));
  BOOST_TEST(connects(server->credentials(Role::user)));
}

BOOST_AUTO_TEST_CASE(a_port_in_use_is_an_error_that_names_it) {
  Cell cell;
  const TemporaryDirectory directory;
  auto options = options_for(directory);
  options.port = cell.server->port();
  const auto server = Server::start_or_adopt(options);
  BOOST_REQUIRE(!server.has_value());
  BOOST_TEST(
      server.error().text.find("address already in use") != std::string::npos,
      server.error().text);
  BOOST_TEST(server.error().text.find(std::to_string(options.port)) !=
                 std::string::npos,
             server.error().text);
}

BOOST_AUTO_TEST_CASE(a_missing_program_and_bad_names_are_explained) {
  const TemporaryDirectory directory;
  auto options = options_for(directory);
  options.program = "no-such-server";
  auto missing = Server::start_or_adopt(options);
  BOOST_REQUIRE(!missing.has_value());
  BOOST_TEST((missing.error().code == Errc::unsupported));
  options = options_for(directory);
  options.cell = "a\"b";
  BOOST_TEST((Server::start_or_adopt(options).error().code == Errc::usage));
  options = options_for(directory);
  options.principal = std::string(daemon_principal);
  BOOST_TEST((Server::start_or_adopt(options).error().code == Errc::usage));
}

BOOST_AUTO_TEST_CASE(only_two_old_logs_are_kept) {
  const TemporaryDirectory directory;
  std::filesystem::create_directories(directory.path() / "bus");
  for (int i = 0; i < 6; ++i)
    std::ofstream(directory.path() / "bus" /
                  ("server.log.2026.01.0" + std::to_string(i)))
        << "old";
  auto server = start(options_for(directory));
  int left = 0;
  for (const auto& entry :
       std::filesystem::directory_iterator(directory.path() / "bus"))
    if (entry.path().filename().string().rfind("server.log.", 0) == 0) ++left;
  BOOST_TEST(left == 2);
  BOOST_TEST(std::filesystem::exists(directory.path() / "bus" /
                                     "server.log.2026.01.05"));
}

}  // namespace
}  // namespace reeve::bus
