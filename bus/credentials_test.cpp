#include "bus/credentials.hpp"

#include <sys/stat.h>

#include <boost/test/unit_test.hpp>
#include <fstream>

#include "bus/private_file.hpp"
#include "bus/server_config.hpp"
#include "bus/test_support.hpp"

namespace reeve::bus {
namespace {

const Credentials ann{"nats://127.0.0.1:4222", "ann", "pass\"word", "lab"};

void write_text(const std::filesystem::path& file, const char* text,
                mode_t mode) {
  std::ofstream(file) << text;
  ::chmod(file.c_str(), mode);
}

BOOST_AUTO_TEST_CASE(credentials_come_back_as_they_were_saved) {
  const testing::TemporaryDirectory directory;
  const auto file = directory.path() / "client.json";
  BOOST_REQUIRE(save_credentials(file, ann).has_value());
  const auto loaded = load_credentials(file);
  BOOST_REQUIRE(loaded.has_value());
  BOOST_TEST(loaded->url == ann.url);
  BOOST_TEST(loaded->principal == ann.principal);
  BOOST_TEST(loaded->password == ann.password);
  BOOST_TEST(loaded->cell == ann.cell);
}

BOOST_AUTO_TEST_CASE(the_file_is_for_its_owner_only) {
  const testing::TemporaryDirectory directory;
  const auto file = directory.path() / "client.json";
  BOOST_REQUIRE(save_credentials(file, ann).has_value());
  struct stat info {};
  BOOST_REQUIRE(::stat(file.c_str(), &info) == 0);
  BOOST_TEST((info.st_mode & 07777) == 0600u);
}

BOOST_AUTO_TEST_CASE(a_file_that_holds_the_same_is_not_written_again) {
  const testing::TemporaryDirectory directory;
  const auto file = directory.path() / "client.json";
  const auto inode = [&] {
    struct stat info {};
    BOOST_REQUIRE(::stat(file.c_str(), &info) == 0);
    return info.st_ino;
  };
  BOOST_REQUIRE(write_private_file(file, "one").has_value());
  // Held, so that its number is not given to another file.
  std::filesystem::create_hard_link(file, directory.path() / "first");
  const auto first = inode();
  BOOST_REQUIRE(write_private_file(file, "one").has_value());
  BOOST_TEST(inode() == first);
  BOOST_REQUIRE(write_private_file(file, "two").has_value());
  BOOST_TEST(inode() != first);
  BOOST_TEST(read_private_file(file).value() == "two");
}

BOOST_AUTO_TEST_CASE(a_file_that_cannot_be_replaced_leaves_nothing_behind) {
  const testing::TemporaryDirectory directory;
  const auto file = directory.path() / "client.json";
  std::filesystem::create_directories(file / "in the way");
  BOOST_TEST(!write_private_file(file, "one"));
  BOOST_TEST(std::distance(
                 std::filesystem::directory_iterator(directory.path()), {}) ==
             1);
}

BOOST_AUTO_TEST_CASE(a_file_that_others_may_read_is_refused) {
  const testing::TemporaryDirectory directory;
  const auto file = directory.path() / "client.json";
  BOOST_REQUIRE(save_credentials(file, ann).has_value());
  ::chmod(file.c_str(), 0644);
  const auto loaded = load_credentials(file);
  BOOST_REQUIRE(!loaded.has_value());
  BOOST_TEST((loaded.error().code == Errc::rejected));
  BOOST_TEST(loaded.error().text.find("644") != std::string::npos);
}

BOOST_AUTO_TEST_CASE(no_file_and_a_broken_file_are_told_apart) {
  const testing::TemporaryDirectory directory;
  const auto file = directory.path() / "client.json";
  BOOST_TEST((load_credentials(file).error().code == Errc::not_found));
  for (const char* text :
       {"", "{", "[]", "{\"url\":1}", "{\"url\":\"u\",\"principal\":\"p\"}"}) {
    write_text(file, text, 0600);
    const auto loaded = load_credentials(file);
    BOOST_REQUIRE(!loaded.has_value());
    BOOST_TEST((loaded.error().code == Errc::damaged), text);
  }
}

BOOST_AUTO_TEST_CASE(passwords_are_long_and_differ) {
  BOOST_TEST(make_password().size() == 64u);
  BOOST_TEST(make_password() != make_password());
}

BOOST_AUTO_TEST_CASE(names_that_could_break_the_configuration_are_refused) {
  BOOST_TEST(valid_name("Ann.B-2@lab_1"));
  for (const char* name : {"", "a b", "a\"b", "a\nb", "a{b", "a*"})
    BOOST_TEST(!valid_name(name), name);
  BOOST_TEST(valid_name(std::string(64, 'a')));
  BOOST_TEST(!valid_name(std::string(65, 'a')));
}

BOOST_AUTO_TEST_CASE(a_user_may_send_only_under_its_own_name) {
  const ServerUser user = plain_user("lab", "ann", "secret");
  for (const std::string& subject : user.may_publish) {
    BOOST_TEST(subject.find(".evt.") == std::string::npos, subject);
    BOOST_TEST(subject != "reeve.lab.>");
    if (subject.find(".cmd.") != std::string::npos)
      BOOST_TEST(subject == "reeve.lab.cmd.ann.*");
  }
}

}  // namespace
}  // namespace reeve::bus
