#include "tools/member/kept_keys.hpp"

#include <unistd.h>

#include <boost/test/unit_test.hpp>
#include <fstream>

#include "bus/credentials.hpp"

namespace reeve::tools::kept_keys_test {
namespace {

namespace fs = std::filesystem;

struct Emptied {
  fs::path data = fs::temp_directory_path() /
                  ("reeve-kept-keys-" + std::to_string(::getpid()));
  Config config;

  Emptied() {
    fs::create_directories(data / "bus");
    config.cell = "north";
  }
  ~Emptied() { fs::remove_all(data); }

  // Empty: nothing is missed.
  std::string missed() const {
    const auto good = check_kept_keys(config, data);
    if (good) return {};
    BOOST_TEST((good.error().code == Errc::not_found));
    return good.error().text;
  }
  static void make(const fs::path& file) {
    fs::create_directories(file.parent_path());
    std::ofstream(file) << "a key\n";
  }
};

BOOST_FIXTURE_TEST_SUITE(keys_of_a_host_that_joined, Emptied)

BOOST_AUTO_TEST_CASE(a_node_without_its_key_is_told_how_to_join_again) {
  config.role = Config::Role::agent;
  config.agent.name = "n1";
  const fs::path key = bus::agent_credentials_path(data);
  BOOST_TEST(
      missed() ==
      data.string() +
          " has the settings of a node of the cell north, "
          "and not " +
          key.string() +
          ", by which it is one. To join again "
          "have an admin take out what it was (reeve node remove n1, "
          "reeve node resume n1) and make a token (reeve token create "
          "--role agent --name n1), move cell.toml away, which has what you "
          "set here, and run \"reeve join TOKEN --data " +
          data.string() + "\"");
  config.agent.name.clear();
  BOOST_TEST(missed().find("(reeve token create --role agent)") !=
             std::string::npos);
  make(key);
  BOOST_TEST(missed() == "");
}

BOOST_AUTO_TEST_CASE(a_manager_that_joined_makes_no_authority_of_its_own) {
  config.manager.name = "m3";
  config.manager.members = {{"m1", "10.0.0.1"}, {"m3", "10.0.0.3"}};
  config.manager.joined_by = 7;
  const std::string told = missed();
  BOOST_TEST(told.find("the manager m3 of the cell north") !=
             std::string::npos);
  BOOST_TEST(told.find("reeve members remove m3") != std::string::npos);
  BOOST_TEST(told.find("reeve token create --role manager --name m3") !=
             std::string::npos);
  make(data / "bus" / "ca.pem");
  BOOST_TEST(missed() == "");
}

BOOST_AUTO_TEST_CASE(who_begins_a_cell_misses_nothing) {
  BOOST_TEST(missed() == "");
  config.manager.name = "m1";
  config.manager.members = {{"m1", "10.0.0.1"}, {"m2", "10.0.0.2"}};
  BOOST_TEST(missed() == "");
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace
}  // namespace reeve::tools::kept_keys_test
