#include "tools/member/host_files.hpp"

#include <boost/test/unit_test.hpp>
#include <iterator>
#include <set>
#include <sstream>

#include "tools/daemon/daemon.hpp"

namespace reeve::tools::host_files_test {
namespace {

BOOST_AUTO_TEST_SUITE(files_of_a_host_that_joined)

BOOST_AUTO_TEST_CASE(its_settings_say_what_it_was_told) {
  JoinedHost host;
  host.cell = "north";
  host.name = "n-1";
  host.group = "train";
  host.labels = {{"rack", "r1"}, {"disk", "a \"b\" \\ c"}};
  const auto config = parse_config(joined_settings(host), "cell.toml");
  BOOST_REQUIRE_MESSAGE(config, (config ? "" : config.error().text));
  BOOST_TEST((config->role == Config::Role::agent));
  BOOST_TEST(config->cell == "north");
  BOOST_TEST(config->agent.name == "n-1");
  BOOST_TEST(config->agent.group == "train");
  auto labels = config->agent.labels;
  std::sort(labels.begin(), labels.end());
  std::sort(host.labels.begin(), host.labels.end());
  BOOST_TEST((labels == host.labels));
}

BOOST_AUTO_TEST_CASE(those_of_a_user_name_no_node) {
  JoinedHost host;
  host.role = Config::Role::user;
  host.cell = "north";
  host.name = "ann";
  const auto config = parse_config(joined_settings(host), "cell.toml");
  BOOST_REQUIRE_MESSAGE(config, (config ? "" : config.error().text));
  BOOST_TEST((config->role == Config::Role::user));
  BOOST_TEST(config->agent.name.empty());
}

BOOST_AUTO_TEST_CASE(those_of_a_manager_name_all_of_them) {
  JoinedHost host;
  host.role = Config::Role::cell;
  host.cell = "north";
  host.name = "m2";
  host.port = 4333;
  host.cluster_port = 6333;
  host.members = {{"m1", "10.0.0.1"}, {"m2", "10.0.0.2"}, {"m3", "h3"}};
  const auto config = parse_config(joined_settings(host), "cell.toml");
  BOOST_REQUIRE_MESSAGE(config, (config ? "" : config.error().text));
  BOOST_TEST((config->role == Config::Role::cell));
  BOOST_TEST(config->cell == "north");
  BOOST_TEST(config->manager.name == "m2");
  BOOST_TEST((config->manager.members == host.members));
  BOOST_TEST(config->bus.listen == "10.0.0.2:4333");
  BOOST_TEST(config->bus.cluster_port == 6333u);
  BOOST_TEST(config->agent.name == "m2");
  const std::string text = joined_settings(host);
  BOOST_TEST(text.find("reeve members remove m2") != std::string::npos);
  BOOST_TEST(text.find("reeve leave") == std::string::npos);
}

BOOST_AUTO_TEST_CASE(one_that_joined_may_be_the_second_or_fourth) {
  JoinedHost host;
  host.role = Config::Role::cell;
  host.cell = "north";
  host.name = "m2";
  host.joined_by = 7;
  host.port = 4333;
  host.cluster_port = 6333;
  host.members = {{"m1", "10.0.0.1"}, {"m2", "10.0.0.2"}};
  const auto config = parse_config(joined_settings(host), "cell.toml");
  BOOST_REQUIRE_MESSAGE(config, (config ? "" : config.error().text));
  BOOST_TEST(config->manager.joined_by == 7u);
  host.joined_by = 0;
  BOOST_TEST(!parse_config(joined_settings(host), "cell.toml"));
}

BOOST_AUTO_TEST_CASE(the_unit_names_its_own_directory_and_program) {
  const std::string unit = unit_text("/srv/my cell", "/opt/reeve/bin/reeved");
  const auto has = [&](const std::string& text) {
    return unit.find(text) != std::string::npos;
  };
  BOOST_TEST(has("\nEnvironment=\"REEVE_DATA=/srv/my cell\"\n"));
  BOOST_TEST(
      has("\nExecStart=\"/opt/reeve/bin/reeved\" --data ${REEVE_DATA}\n"));
  BOOST_TEST(!has("StateDirectory"));
  BOOST_TEST(has("\nKillMode=process\n"));
  BOOST_TEST(has("\n[Install]\n"));
  BOOST_TEST(unit_text("/var/lib/reeve", "/usr/bin/reeved")
                 .find("\nStateDirectory=reeve\n") != std::string::npos);
}

// The number behind `key` in a line of the unit.
std::string value_in_unit(const std::string& key) {
  const std::string unit = unit_text("/srv/cell", "/usr/bin/reeved");
  const std::size_t at = unit.find("\n" + key + "=");
  BOOST_REQUIRE(at != std::string::npos);
  const std::size_t begin = at + key.size() + 2;
  return unit.substr(begin, unit.find('\n', begin) - begin);
}

BOOST_AUTO_TEST_CASE(what_no_start_mends_is_not_started_again) {
  std::istringstream codes(value_in_unit("RestartPreventExitStatus"));
  const std::set<int> given{std::istream_iterator<int>(codes), {}};
  const std::set<int> expected{exit_code(Errc::usage),
                               exit_code(Errc::not_found),
                               exit_code(Errc::damaged), removed_exit_code};
  BOOST_CHECK(given == expected);
}

// With as many starts in an interval as cannot be, systemd would never give up.
BOOST_AUTO_TEST_CASE(a_daemon_that_fails_at_once_is_given_up) {
  const int starts = std::stoi(value_in_unit("StartLimitBurst"));
  const int pause = std::stoi(value_in_unit("RestartSec"));
  BOOST_TEST(2 * starts * pause <
             60 * std::stoi(value_in_unit("StartLimitIntervalSec")));
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace
}  // namespace reeve::tools::host_files_test
