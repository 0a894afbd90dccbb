#include "bus/server.hpp"

#include <signal.h>
#include <sys/stat.h>

#include <atomic>
#include <boost/test/unit_test.hpp>
#include <fstream>
#include <thread>

#include "bus/child.hpp"
#include "bus/jetstream_support.hpp"
#include "bus/nkey.hpp"
#include "bus/private_file.hpp"
#include "bus/server_config.hpp"
#include "bus/server_files.hpp"
#include "bus/server_program.hpp"
#include "bus/test_support.hpp"
#include "tests/paths.hpp"

namespace reeve::bus::server_test {
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
  to.credentials = credentials;
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
  to.credentials = *client;
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
  const std::string text = server_config({});
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

// Nobody loses a connection for it.
BOOST_AUTO_TEST_CASE(a_released_server_learns_who_its_user_is_now) {
  const TemporaryDirectory directory;
  auto first = start(options_for(directory));
  const auto before = first->credentials(Role::user);
  first->release();
  auto options = options_for(directory);
  options.principal = "ann";
  auto second = start(options);
  BOOST_TEST(second->adopted());
  BOOST_TEST(connects(second->credentials(Role::user)));
  BOOST_TEST(!connects(before));
}

BOOST_AUTO_TEST_CASE(a_released_server_with_other_settings_is_replaced) {
  const TemporaryDirectory directory;
  auto first = start(options_for(directory));
  const int pid = first->pid();
  first->release();
  auto options = options_for(directory);
  options.server_name = "other";
  auto second = start(options);
  BOOST_TEST(!second->adopted());
  BOOST_TEST(second->pid() != pid);
  BOOST_TEST(eventually([&] { return !alive(pid); }));
  BOOST_TEST(connects(second->credentials(Role::user)));
}

// Its daemon may have been killed between starting and recording it.
BOOST_AUTO_TEST_CASE(a_server_that_is_not_recorded_keeps_no_port) {
  for (const bool older : {false, true}) {
    const TemporaryDirectory directory;
    const auto record = directory.path() / "bus" / "server.json";
    auto first =
        Child::spawn({reeve::testing::binary_dir() + "/tests/bus_server_holder",
                      directory.path().string()},
                     directory.path() / "output");
    BOOST_REQUIRE(first.has_value());
    BOOST_REQUIRE(eventually([&] {
      return read_private_file(directory.path() / "ready").has_value();
    }));
    const int pid = std::stoi(*read_private_file(directory.path() / "ready"));
    first->signal(SIGKILL);
    BOOST_REQUIRE(first->ended(testing::patience));
    auto text = read_private_file(record).value();
    const auto number = text.find(std::to_string(pid));
    BOOST_REQUIRE(number != std::string::npos);
    // That of the one before at the same port, or none.
    text.replace(number, std::to_string(pid).size(), "999999999");
    if (older)
      BOOST_REQUIRE(write_private_file(record, text).has_value());
    else
      std::filesystem::remove(record);
    auto second = start(options_for(directory));
    BOOST_TEST(second->adopted() == older);
    BOOST_TEST((second->pid() == pid) == older);
    BOOST_TEST(eventually([&] { return alive(pid) == older; }));
    BOOST_TEST(connects(second->credentials(Role::user)));
    if (!older) continue;
    const auto now = read_private_file(record).value();
    BOOST_TEST(now.find(std::to_string(pid)) != std::string::npos);
  }
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
  for (const char* name :
       {"server.json", "client.json", "reeved.json", "users.json"})
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

std::vector<ServerUser> agents(int count) {
  std::vector<ServerUser> users;
  for (int i = 0; i < count; ++i) {
    const std::string name = "n" + std::to_string(i);
    users.push_back(
        {"agent-" + name, Role::agent, make_user_key().public_key, name});
  }
  return users;
}

BOOST_AUTO_TEST_CASE(who_is_admitted_may_connect_and_who_is_not_may_not) {
  Cell cell;
  auto unknown = cell.server->credentials(Role::user);
  unknown.principal = "ann";
  unknown.seed = make_user_key().seed;
  BOOST_TEST(!connects(unknown));
  const auto ann = cell.admit("ann", Role::user);
  BOOST_TEST(connects(ann));
  BOOST_TEST(connects(cell.server->credentials(Role::user)));
}

BOOST_AUTO_TEST_CASE(who_is_removed_is_sent_away_at_once_and_others_stay) {
  Cell cell;
  auto local = cell.connect(Role::user);
  const auto bob = cell.admit("bob", Role::user);
  const auto bobs = cell.users;
  const auto ann = cell.admit("ann", Role::user);
  std::atomic<int> closed{0};
  std::atomic<int> told{0};
  ConnectionOptions to;
  to.credentials = ann;
  to.on_state = [&](State state) {
    if (state == State::closed) ++closed;
  };
  to.on_error = [&](const Error& error) {
    if (error.text.find("does not know the key of ann") != std::string::npos)
      ++told;
  };
  auto anns = Connection::connect(to);
  BOOST_REQUIRE(anns.has_value());
  ConnectionOptions to_bob;
  to_bob.credentials = bob;
  auto stays = Connection::connect(to_bob);
  BOOST_REQUIRE_MESSAGE(stays, (stays ? std::string() : stays.error().text));
  cell.set_users(bobs);
  BOOST_TEST(eventually([&] { return closed == 1; }));
  BOOST_TEST(told >= 1);
  BOOST_TEST(!connects(ann));
  for (const Connection* one : {local.get(), stays->get()}) {
    BOOST_TEST(one->connected());
    BOOST_TEST(one->stats().reconnects == 0u);
  }
}

BOOST_AUTO_TEST_CASE(the_next_server_knows_who_was_admitted_last) {
  TemporaryDirectory directory;
  auto server = start(options_for(directory));
  const UserKey key = make_user_key();
  BOOST_REQUIRE(
      server->set_users({{"ann", Role::user, key.public_key, {}}}).has_value());
  BOOST_REQUIRE(eventually([&] { return server->reloads() == 1; }));
  auto ann = server->credentials(Role::user);
  ann.principal = "ann";
  ann.seed = key.seed;
  server->stop();
  auto again = start(options_for(directory));
  BOOST_TEST(connects(ann));
  again->release();
  auto adopting = start(options_for(directory));
  BOOST_TEST(adopting->adopted());
  BOOST_TEST(connects(ann));
}

BOOST_AUTO_TEST_CASE(the_last_of_many_lists_is_what_counts) {
  Cell cell;
  const auto users = agents(20);
  for (std::size_t some = 0; some <= users.size(); ++some)
    BOOST_REQUIRE(
        cell.server
            ->set_users({users.begin(),
                         users.begin() + static_cast<std::ptrdiff_t>(some)})
            .has_value());
  const auto ann = cell.admit("ann", Role::user);
  BOOST_TEST(eventually([&] { return connects(ann); }));
  const auto text =
      read_private_file(cell.directory.path() / "bus" / "server.conf");
  BOOST_REQUIRE(text.has_value());
  BOOST_TEST(text->find("agent-n0") == std::string::npos);
}

// The server sends away whoever is in the middle of coming in just then.
BOOST_AUTO_TEST_CASE(who_comes_while_the_list_changes_is_let_in) {
  Cell cell;
  const auto users = agents(2);
  std::atomic<bool> over{false};
  std::thread others([&] {
    for (std::size_t turn = 0; !over; ++turn) {
      (void)cell.server->set_users({users[turn % 2]});
      std::this_thread::sleep_for(std::chrono::milliseconds(200));
    }
  });
  ConnectionOptions to;
  to.credentials = cell.server->credentials(Role::user);
  // However fast they come in, they come over several changes.
  constexpr int connections_max = 100'000;
  int i = 0;
  for (; (i < 1'000 || cell.server->reloads() <= 5) && i < connections_max;
       ++i) {
    const auto in = Connection::connect(to);
    BOOST_TEST(in.has_value(), i << ": " << in.error().text);
  }
  over = true;
  others.join();
  BOOST_TEST(cell.server->reloads() > 5u);
}

// As it says itself when its disk is full, and when files of a group that it is
// in went away under it.
BOOST_AUTO_TEST_CASE(a_server_that_ended_its_streams_begins_anew,
                     *testing::needs_jetstream()) {
  for (const char* says : {"JetStream out of resources, will be DISABLED",
                           "RAFT [x - _meta_] Critical write error: error "
                           "opening msg block file"}) {
    Cell cell([](ServerOptions& options) {
      options.jetstream = JetStreamOptions{1 << 20, 16 << 20};
    });
    const int pid = cell.server->pid();
    std::ofstream(cell.directory.path() / "bus" / "server.log", std::ios::app)
        << "[1] 2026/01/01 00:00:00.000000 [ERR] " << says << "\n";
    BOOST_REQUIRE(eventually([&] { return cell.server->restarts() == 1; }));
    BOOST_TEST(cell.server->pid() != pid);
    BOOST_TEST(connects(cell.server->credentials(Role::user)));
  }
}

BOOST_AUTO_TEST_CASE(a_server_that_dies_comes_back_with_who_was_admitted) {
  Cell cell;
  const auto ann = cell.admit("ann", Role::user);
  ::kill(cell.server->pid(), SIGKILL);
  BOOST_REQUIRE(eventually([&] { return cell.server->restarts() == 1; }));
  BOOST_TEST(connects(ann));
}

BOOST_AUTO_TEST_CASE(a_list_that_cannot_stand_is_refused_as_a_whole) {
  Cell cell;
  const std::string key = make_user_key().public_key;
  const std::vector<std::vector<ServerUser>> lists = {
      {{"a b", Role::user, key, {}}},
      {{"ann", Role::user, "U234", {}}},
      {{std::string(daemon_principal), Role::user, key, {}}},
      {{"ann", Role::daemon, key, {}}},
      {{"agent-n1", Role::agent, key, {}}},
      {{"ann", Role::user, key, "n1"}},
      {{"ann", Role::user, key, {}}, {"bob", Role::user, key, {}}},
  };
  for (const auto& list : lists) {
    const auto refused = cell.server->set_users(list);
    BOOST_REQUIRE(!refused.has_value());
    BOOST_TEST((refused.error().code == Errc::usage));
  }
  BOOST_TEST(cell.server->reloads() == 0u);
}

BOOST_AUTO_TEST_CASE(the_most_principals_fit_into_the_files) {
  const std::string name(64, 'A');  // three bytes each in a subject
  const ServerUser longest{"agent-" + name, Role::agent,
                           make_user_key().public_key, name};
  const std::vector<ServerUser> users(server_users_max, longest);
  BOOST_TEST(users_text(users).size() < users_file_bytes_max);
  ServerConfig config;
  config.users = users;
  const std::string text = server_config(config);
  BOOST_TEST(text.size() < users_file_bytes_max);
  BOOST_TEST(text.find("max: " + std::to_string(responses_max) +
                       ", expires: \"" + std::to_string(response_seconds_max) +
                       "s\"") != std::string::npos);
}

// Keys are the same here, for making so many takes a while.
BOOST_AUTO_TEST_CASE(more_principals_than_the_bound_are_refused) {
  const ServerUser one{"ann", Role::user, make_user_key().public_key, {}};
  const auto refused =
      check_users(std::vector<ServerUser>(server_users_max + 1, one));
  BOOST_REQUIRE(!refused.has_value());
  BOOST_TEST(refused.error().text.find("20001 principals") !=
             std::string::npos);
  const auto passed =
      check_users(std::vector<ServerUser>(server_users_max, one));
  BOOST_REQUIRE(!passed.has_value());
  BOOST_TEST(passed.error().text.find("another principal's") !=
             std::string::npos);
}

BOOST_AUTO_TEST_CASE(who_may_connect_comes_back_as_it_was_written) {
  auto users = agents(3);
  users.push_back({"ann", Role::user, make_user_key().public_key, {}});
  users.push_back({"token-7", Role::token, make_user_key().public_key, {}});
  users.push_back(
      {"manager-m2", Role::manager, make_user_key().public_key, {}});
  BOOST_TEST((parse_users(users_text(users)) == users));
  for (const char* text : {"", "{", "{}", "[1]", "[{\"role\":\"user\"}]"})
    BOOST_TEST(parse_users(text).empty(), text);
}

BOOST_AUTO_TEST_CASE(a_configuration_opens_no_other_door) {
  ServerConfig config;
  config.cell = "c";
  config.listen = {"10.0.0.1", 4222};
  config.tls = tls_files("/d");
  config.cluster = ClusterOptions{{"10.0.0.1", 6222}, {{"10.0.0.2", 6222}}};
  config.jetstream = JetStreamOptions{};
  const std::string text = server_config(config);
  for (const char* door :
       {"http", "monitor", "mqtt", "websocket", "leafnodes", "gateway",
        "no_auth_user", "profiling", "allow_non_tls", "password"})
    BOOST_TEST(text.find(door) == std::string::npos, door);
  for (const char* part :
       {"verify: true", "sync_interval: always", "nats-route://10.0.0.2:6222"})
    BOOST_TEST(text.find(part) != std::string::npos, part);
}

BOOST_AUTO_TEST_CASE(versions_are_compared_number_by_number) {
  BOOST_TEST(version_in("nats-server: v2.10.27\n") == "2.10.27");
  BOOST_TEST(version_in("nats-server: v2.11.0-dev") == "2.11.0");
  BOOST_TEST(version_in("something else") == "");
  BOOST_TEST(older("2.9.10", jetstream_server_version_min));
  BOOST_TEST(older("2.10.22", jetstream_server_version_min));
  BOOST_TEST(older("2", jetstream_server_version_min));
  BOOST_TEST(!older("2.10.23", jetstream_server_version_min));
  BOOST_TEST(!older("2.11", jetstream_server_version_min));
  BOOST_TEST(!older("10.0", jetstream_server_version_min));
}

// Stands for an old server: a script that tells its version.
BOOST_AUTO_TEST_CASE(streams_want_a_server_that_syncs_them) {
  const TemporaryDirectory directory;
  const auto old = directory.path() / "old-server";
  std::ofstream(old) << "#!/bin/sh\necho 'nats-server: v2.9.10'\n";
  ::chmod(old.c_str(), 0700);
  auto options = options_for(directory);
  options.program = old.string();
  options.jetstream = JetStreamOptions{};
  const auto refused = Server::start_or_adopt(options);
  BOOST_REQUIRE(!refused.has_value());
  BOOST_TEST((refused.error().code == Errc::unsupported));
  for (const char* part : {"2.9.10", "2.10.23", "deploy/packages cluster"})
    BOOST_TEST(refused.error().text.find(part) != std::string::npos,
               refused.error().text);
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
  options = options_for(directory);
  options.advertised = {"a b"};
  BOOST_TEST((Server::start_or_adopt(options).error().code == Errc::usage));
  options = options_for(directory);
  options.cluster = ClusterOptions{};
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
}  // namespace reeve::bus::server_test
