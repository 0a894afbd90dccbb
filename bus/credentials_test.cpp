#include "bus/credentials.hpp"

#include <sys/stat.h>

#include <boost/test/unit_test.hpp>
#include <fstream>

#include "bus/private_file.hpp"
#include "bus/server_config.hpp"
#include "bus/test_support.hpp"

namespace reeve::bus::credentials_test {
namespace {

const std::string seed =
    "SUAAVWRZG6M5FA5VRRGWSCIHKTOJC7EWNIT4JV3FTOIPO4OBFR5WA7X5TE";

const Credentials ann{{"tls://10.0.0.1:4222", "tls://n1.lab:4222"},
                      "ann",
                      seed,
                      "lab",
                      "-----BEGIN CERTIFICATE-----\n"};

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
  BOOST_TEST((*loaded == ann));
}

BOOST_AUTO_TEST_CASE(a_url_beside_another_is_of_another_host) {
  BOOST_TEST(url_beside("tls://n1.lab:4333", "10.0.0.2") ==
             "tls://10.0.0.2:4333");
  BOOST_TEST(url_beside("nats://127.0.0.1:4222", "::1") == "nats://[::1]:4222");
}

BOOST_AUTO_TEST_CASE(servers_that_were_told_are_tried_too) {
  const testing::TemporaryDirectory directory;
  const auto file = directory.path() / "agent.json";
  BOOST_TEST(
      (remember_servers(file, {"m2"}, {}).error().code == Errc::not_found));
  BOOST_REQUIRE(save_credentials(file, ann).has_value());
  const auto remember = [&](const std::vector<std::string>& hosts,
                            const std::string& in_use = {}) {
    const auto news = remember_servers(file, hosts, in_use);
    BOOST_REQUIRE(news.has_value());
    return *news;
  };
  // But for what is the same of all.
  const auto hosts = [&] {
    const auto loaded = load_credentials(file).value();
    std::string text;
    for (const auto& url : loaded.urls) text += address_of(url).host + " ";
    return text;
  };
  BOOST_TEST(!remember({"n1.lab", "10.0.0.1"}));
  BOOST_TEST(hosts() == "n1.lab 10.0.0.1 ");
  // One that is not told any more may be gone.
  BOOST_TEST(remember({"m3", "n1.lab", "m2"}));
  BOOST_TEST(hosts() == "m3 n1.lab m2 10.0.0.1 ");
  BOOST_TEST(!remember({"m2", "m3", "n1.lab"}));
  BOOST_TEST(remember({"n1.lab", "m2", "m4"}));
  BOOST_TEST(hosts() == "n1.lab m2 m4 10.0.0.1 ");
  // Where the others are may be told wrongly: the one that works stays.
  const std::string m4 = url_beside(ann.urls.front(), "m4");
  BOOST_TEST(remember({"x2", "x4"}, m4));
  BOOST_TEST(hosts() == "m4 x2 x4 10.0.0.1 n1.lab ");
  BOOST_TEST(!remember({"x2", "x4"}, m4));
  BOOST_TEST(remember({"m4", "x2"}, m4));
  BOOST_TEST(hosts() == "m4 x2 10.0.0.1 n1.lab ");
  // So it does where it is one of the token's own.
  BOOST_TEST(remember({"x2"}, ann.urls.front()));
  BOOST_TEST(hosts() == "10.0.0.1 x2 n1.lab ");
  // What is no host, or too many of them.
  std::vector<std::string> many{"not a host", "", "::1"};
  for (std::size_t i = 0; i < credentials_urls_max; ++i)
    many.push_back("m" + std::to_string(i));
  BOOST_TEST(remember(many));
  BOOST_TEST(load_credentials(file).value().urls.size() ==
             credentials_urls_max);
  BOOST_TEST(hosts().starts_with("m0 m1 m2 "));
  BOOST_TEST(hosts().ends_with(" 10.0.0.1 n1.lab "));
  BOOST_TEST(remember({}));
  BOOST_TEST(hosts() == "10.0.0.1 n1.lab ");
}

BOOST_AUTO_TEST_CASE(the_server_that_answers_comes_first) {
  const testing::TemporaryDirectory directory;
  const auto file = directory.path() / "client.json";
  BOOST_REQUIRE(save_credentials(file, ann).has_value());
  const auto urls = [&] { return load_credentials(file).value().urls; };
  const std::string m2 = url_beside(ann.urls.front(), "m2");
  const std::string m3 = url_beside(ann.urls.front(), "m3");
  // Before any was told, which is asked for as soon as before.
  BOOST_REQUIRE(prefer_server(file, ann.urls.back()));
  BOOST_TEST(
      (urls() == std::vector<std::string>{ann.urls.back(), ann.urls.front()}));
  BOOST_TEST((std::filesystem::last_write_time(servers_path(file)) +
                  std::chrono::hours(1) <
              std::filesystem::file_time_type::clock::now()));
  BOOST_REQUIRE(remember_servers(file, {"m2", "m3"}, m2));
  const auto asked =
      std::filesystem::file_time_type::clock::now() - std::chrono::minutes(30);
  std::filesystem::last_write_time(servers_path(file), asked);
  for (int i = 0; i < 2; ++i) {
    BOOST_REQUIRE(prefer_server(file, m3));
    BOOST_TEST((urls() == std::vector<std::string>{m3, m2, ann.urls.front(),
                                                   ann.urls.back()}));
  }
  BOOST_REQUIRE(prefer_server(file, ann.urls.back()));
  BOOST_TEST((urls() == std::vector<std::string>{ann.urls.back(), m3, m2,
                                                 ann.urls.front()}));
  BOOST_TEST((std::filesystem::last_write_time(servers_path(file)) == asked));
}

BOOST_AUTO_TEST_CASE(what_is_no_list_of_servers_counts_for_nothing) {
  const testing::TemporaryDirectory directory;
  const auto file = directory.path() / "client.json";
  BOOST_REQUIRE(save_credentials(file, ann).has_value());
  for (const char* text : {"", "\n\n", "{\"urls\": 1}", "nats://m2:4222\n",
                           "tls://m2:0\n", "tls://m2:4222 \n"}) {
    write_text(servers_path(file), text, 0600);
    BOOST_TEST((load_credentials(file).value() == ann), text);
  }
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

BOOST_AUTO_TEST_CASE(a_file_is_read_up_to_its_bound) {
  const testing::TemporaryDirectory directory;
  const auto file = directory.path() / "client.json";
  const std::string most(private_file_bytes_max, 'x');
  BOOST_REQUIRE(write_private_file(file, most).has_value());
  BOOST_TEST(read_private_file(file).value().size() == most.size());
  BOOST_REQUIRE(write_private_file(file, most + "x").has_value());
  const auto refused = read_private_file(file);
  BOOST_REQUIRE(!refused.has_value());
  BOOST_TEST((refused.error().code == Errc::damaged));
  BOOST_TEST(refused.error().text.find("65536") != std::string::npos);
  BOOST_TEST(read_private_file(file, most.size() + 1).has_value());
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
  write_text(file, "{", 0600);
  const auto loaded = load_credentials(file);
  BOOST_REQUIRE(!loaded.has_value());
  BOOST_TEST((loaded.error().code == Errc::damaged));
  BOOST_TEST(loaded.error().text.find(file.string()) != std::string::npos);
}

// Those of a time when the bus knew passwords are among them.
BOOST_AUTO_TEST_CASE(text_that_holds_no_whole_credentials_is_damaged) {
  for (
      const char* text :
      {"", "{", "[]", "{\"url\":1}",
       R"({"url":"nats://127.0.0.1:4222","principal":"p","password":"x","cell":"c"})"}) {
    const auto parsed = parse_credentials(text);
    BOOST_REQUIRE(!parsed.has_value());
    BOOST_TEST((parsed.error().code == Errc::damaged), text);
  }
  const auto refused = [](auto change) {
    Credentials broken = ann;
    change(broken);
    return !parse_credentials(credentials_text(broken)).has_value();
  };
  BOOST_TEST(refused([](Credentials& of) { of.urls.clear(); }));
  BOOST_TEST(refused([](Credentials& of) {
    of.urls.assign(credentials_urls_max + 1, "tls://n1:4222");
  }));
  BOOST_TEST(!refused([](Credentials& of) {
    of.urls.assign(credentials_urls_max, "tls://n1:4222");
  }));
  BOOST_TEST(refused([](Credentials& of) { of.urls[1] = "nats://n1:4222"; }));
  BOOST_TEST(refused([](Credentials& of) { of.principal = "a b"; }));
  BOOST_TEST(refused([](Credentials& of) { of.seed[9] ^= 1; }));
  BOOST_TEST(refused([](Credentials& of) { of.cell = ""; }));
  BOOST_TEST(refused([](Credentials& of) { of.ca = ""; }));
}

BOOST_AUTO_TEST_CASE(a_url_is_a_scheme_a_host_and_a_port) {
  for (const char* url : {"nats://127.0.0.1:4222", "tls://n1.lab:1",
                          "nats://[::1]:4222", "tls://10.0.0.1:65535"})
    BOOST_TEST(valid_url(url), url);
  for (const char* url :
       {"", "127.0.0.1:4222", "http://n1:4222", "tls://n1", "tls://n1:0",
        "tls://n1:65536", "tls://ann@n1:4222", "tls://n1:4222/", "tls://:4222",
        "tls://[fd00::1]:4222", "tls://n 1:4222", "tls://n1:42x"})
    BOOST_TEST(!valid_url(url), url);
  BOOST_TEST((address_of("nats://[::1]:4222") == Address{"::1", 4222}));
}

BOOST_AUTO_TEST_CASE(names_that_could_break_the_configuration_are_refused) {
  BOOST_TEST(valid_name("Ann.B-2@lab_1"));
  for (const char* name : {"", "a b", "a\"b", "a\nb", "a{b", "a*"})
    BOOST_TEST(!valid_name(name), name);
  BOOST_TEST(valid_name(std::string(64, 'a')));
  BOOST_TEST(!valid_name(std::string(65, 'a')));
}

BOOST_AUTO_TEST_CASE(a_user_may_send_only_under_its_own_name) {
  const Permissions may =
      permissions_of("lab", {"ann", Role::user, "", ""}, true);
  for (const std::string& subject : may.publish) {
    BOOST_TEST(subject.find(".evt.") == std::string::npos, subject);
    BOOST_TEST(subject != "reeve.lab.>");
    if (subject.find(".cmd.") != std::string::npos)
      BOOST_TEST(subject == "reeve.lab.cmd.ann.*");
  }
}

}  // namespace
}  // namespace reeve::bus::credentials_test
