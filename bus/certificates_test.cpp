#include "bus/certificates.hpp"

#include <boost/test/unit_test.hpp>

#include "bus/private_file.hpp"
#include "bus/server_files.hpp"
#include "bus/test_support.hpp"

namespace reeve::bus::certificates_test {
namespace {

constexpr std::int64_t now = 1'800'000'000;
constexpr std::int64_t day = 86'400;
const std::vector<std::string> names = {"n1.lab", "10.0.0.1", "fd00::1"};

// What must be there, or the test ends.
template <class T>
T value_of(Expected<T> expected) {
  BOOST_REQUIRE_MESSAGE(expected,
                        (expected ? std::string() : expected.error().text));
  return std::move(*expected);
}

Certificate authority(std::string_view cell = "lab") {
  return value_of(make_authority(cell, now));
}

BOOST_AUTO_TEST_SUITE(certificates)

BOOST_AUTO_TEST_CASE(a_server_s_certificate_has_its_names_and_its_life) {
  const auto made =
      value_of(make_server_certificate(authority(), "m1", names, now));
  const auto facts = value_of(read_certificate(made.certificate));
  BOOST_TEST(facts.begins_seconds == now - certificate_early_seconds);
  BOOST_TEST(facts.ends_seconds == now + certificate_days * day);
  BOOST_TEST(facts.names ==
                 (std::vector<std::string>{"10.0.0.1", "fd00::1", "n1.lab"}),
             boost::test_tools::per_element());
  const auto root = value_of(read_certificate(authority().certificate));
  BOOST_TEST(root.ends_seconds == now + authority_days * day);
  BOOST_TEST(root.names.empty());
}

BOOST_AUTO_TEST_CASE(names_that_are_none_too_few_or_too_many_are_refused) {
  const auto code = [](const std::vector<std::string>& list) {
    const auto made = make_server_certificate(authority(), "m1", list, now);
    return made ? Errc::internal : made.error().code;
  };
  BOOST_TEST((code({}) == Errc::usage));
  BOOST_TEST((code({"a b"}) == Errc::usage));
  BOOST_TEST((code({"n1,IP:0.0.0.0"}) == Errc::usage));
  std::vector<std::string> many;
  for (std::size_t i = 0; i < certificate_names_max; ++i)
    many.push_back("n" + std::to_string(i));
  BOOST_TEST(make_server_certificate(authority(), "m1", many, now).has_value());
  many.push_back("one-more");
  BOOST_TEST((code(many) == Errc::usage));
}

BOOST_AUTO_TEST_CASE(a_certificate_is_due_when_a_third_of_its_life_is_left) {
  const Authorities trusted = {authority()};
  const auto made =
      value_of(make_server_certificate(trusted[0], "m1", names, now));
  const auto due = [&](std::int64_t at) {
    return needs_renewal(made, trusted, names, at);
  };
  const std::int64_t ends = now + certificate_days * day;
  const std::int64_t third =
      (certificate_days * day + certificate_early_seconds) / 3;
  BOOST_TEST(!due(now));
  BOOST_TEST(!due(ends - third - 1));
  BOOST_TEST(due(ends - third));
  BOOST_TEST(due(ends));
  BOOST_TEST(!due(now - certificate_early_seconds));
  BOOST_TEST(due(now - certificate_early_seconds - 1));
}

BOOST_AUTO_TEST_CASE(a_certificate_that_is_not_the_server_s_any_more_is_due) {
  const Authorities trusted = {authority()};
  const auto made =
      value_of(make_server_certificate(trusted[0], "m1", names, now));
  const auto other =
      value_of(make_server_certificate(trusted[0], "m1", names, now));
  BOOST_TEST(
      !needs_renewal(made, trusted, {"fd00:0::1", "n1.lab", "10.0.0.1"}, now));
  BOOST_TEST(needs_renewal(made, trusted, {"n1.lab"}, now));
  BOOST_TEST(needs_renewal(made, {authority()}, names, now));
  BOOST_TEST(needs_renewal(made, {}, names, now));
  BOOST_TEST(needs_renewal({made.certificate, other.key}, trusted, names, now));
  BOOST_TEST(needs_renewal({"", ""}, trusted, names, now));
}

BOOST_AUTO_TEST_CASE(several_authorities_are_trusted_and_the_first_signs) {
  const Authorities both = {authority(), authority()};
  const auto parsed = value_of(
      parse_authorities(trust_bundle(both), both[0].key + both[1].key));
  BOOST_REQUIRE(parsed.size() == 2u);
  BOOST_TEST(trust_bundle(parsed) == trust_bundle(both));
  const auto by_first =
      value_of(make_server_certificate(parsed[0], "m1", names, now));
  BOOST_TEST(!needs_renewal(by_first, parsed, names, now));
  BOOST_TEST(needs_renewal(by_first, {parsed[1], parsed[0]}, names, now));
}

BOOST_AUTO_TEST_CASE(broken_authorities_are_damaged) {
  const Certificate one = authority();
  const Certificate two = authority();
  const auto code = [](const std::string& certificates,
                       const std::string& keys) {
    const auto parsed = parse_authorities(certificates, keys);
    return parsed ? Errc::internal : parsed.error().code;
  };
  BOOST_TEST((code("", "") == Errc::damaged));
  BOOST_TEST((code(one.certificate, "") == Errc::damaged));
  BOOST_TEST((code(one.certificate, two.key) == Errc::damaged));
  BOOST_TEST((code(one.certificate + two.certificate, two.key + one.key) ==
              Errc::damaged));
  std::string certificates;
  std::string keys;
  for (std::size_t i = 0; i < authorities_max; ++i) {
    certificates += one.certificate;
    keys += one.key;
  }
  BOOST_TEST(parse_authorities(certificates, keys).has_value());
  BOOST_TEST(
      (code(certificates + one.certificate, keys + one.key) == Errc::damaged));
}

BOOST_AUTO_TEST_CASE(files_are_made_once_and_then_kept) {
  const testing::TemporaryDirectory directory;
  const auto keep = [&](std::int64_t at, bool anew = false) {
    return value_of(
        keep_certificates(directory.path(), "lab", "m1", names, at, anew));
  };
  const auto server_pem = [&] {
    return value_of(read_private_file(directory.path() / "server.pem"));
  };
  const auto first = keep(now);
  BOOST_TEST(first.renewed);
  const std::string pem = server_pem();
  BOOST_TEST(!keep(now + day).renewed);
  BOOST_TEST(server_pem() == pem);
  BOOST_TEST(keep(now + day, true).renewed);
  BOOST_TEST(server_pem() != pem);
  BOOST_TEST(keep(now + certificate_days * day).renewed);
  BOOST_TEST(keep(now).ca == first.ca);
}

BOOST_AUTO_TEST_CASE(a_broken_authority_is_not_replaced_behind_one_s_back) {
  const testing::TemporaryDirectory directory;
  BOOST_REQUIRE(
      keep_certificates(directory.path(), "lab", "m1", names, now, false)
          .has_value());
  BOOST_REQUIRE(
      write_private_file(directory.path() / "ca.key", "x").has_value());
  const auto refused =
      keep_certificates(directory.path(), "lab", "m1", names, now, false);
  BOOST_REQUIRE(!refused.has_value());
  BOOST_TEST((refused.error().code == Errc::damaged));
  BOOST_TEST(refused.error().text.find("ca.key") != std::string::npos);
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace
}  // namespace reeve::bus::certificates_test
