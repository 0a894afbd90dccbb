// Tokens as text: whole ones come back, each kind of damage has a sentence.
#include "tools/member/token_text.hpp"

#include <fmt/format.h>
#include <sodium/utils.h>

#include <boost/test/unit_test.hpp>

#include "cluster/nkey.hpp"

namespace reeve::tools::token_text_test {
namespace {

const std::string seed = cluster::user_seed_text(cluster::KeyBytes{});

JoinToken a_token() {
  return {"main",
          {"tls://n1.example.org:4222", "tls://10.0.0.1:4222"},
          "-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----\n",
          7,
          schema::IdentityRole::user,
          "m2",
          seed,
          "",
          {},
          0};
}

// It has no key of its own and no number: it has the cell's.
JoinToken a_managers_token() {
  JoinToken token = a_token();
  token.id = 0;
  token.role = schema::IdentityRole::manager;
  token.seed.clear();
  token.ca_key = "-----BEGIN PRIVATE KEY-----\nMIIB\n";
  token.members = {{"m1", "10.0.0.1"}, {"m2", "10.0.0.2"}};
  token.cluster_port = 6222;
  token.ask = {"tls://10.0.0.1:4222", "root", seed};
  return token;
}

// Of one that joins a cell which is there.
JoinToken a_joining_managers_token() {
  JoinToken token = a_managers_token();
  token.id = 9;
  token.seed = seed;
  token.ask = {};
  return token;
}

// The text of a token whose JSON is this.
std::string text_of(std::string_view json) {
  std::string out(sodium_base64_encoded_len(
                      json.size(), sodium_base64_VARIANT_URLSAFE_NO_PADDING),
                  '\0');
  ::sodium_bin2base64(out.data(), out.size(),
                      reinterpret_cast<const unsigned char*>(json.data()),
                      json.size(), sodium_base64_VARIANT_URLSAFE_NO_PADDING);
  out.pop_back();
  return "reeve1:" + out;
}

std::string refusal(std::string_view text) {
  const auto token = parse_join_token(text);
  if (token) return "accepted";
  BOOST_TEST((token.error().code == Errc::usage));
  return token.error().text;
}

bool contains(const std::string& text, std::string_view part) {
  return text.find(part) != std::string::npos;
}

BOOST_AUTO_TEST_SUITE(token_text)

BOOST_AUTO_TEST_CASE(a_token_comes_back_as_it_was_made) {
  JoinToken plain = a_token();
  plain.urls = {"nats://127.0.0.1:4222"};
  plain.ca.clear();
  plain.name.clear();
  plain.role = schema::IdentityRole::agent;
  plain.id = UINT64_MAX;
  for (const JoinToken& token :
       {a_token(), plain, a_managers_token(), a_joining_managers_token()}) {
    const std::string text = join_token_text(token);
    BOOST_TEST(text.starts_with("reeve1:"));
    BOOST_TEST(text.find_first_of(" \n\"'$") == std::string::npos);
    const auto back = parse_join_token("  " + text + "\n");
    BOOST_REQUIRE(back);
    BOOST_TEST((*back == token));
  }
}

BOOST_AUTO_TEST_CASE(text_that_was_cut_or_changed_is_no_token) {
  const std::string text = join_token_text(a_token());
  for (std::size_t size = 0; size < text.size(); ++size) {
    const std::string said = refusal(text.substr(0, size));
    BOOST_TEST_INFO(size << " characters");
    BOOST_TEST(contains(said, "this is no whole token"));
  }
  BOOST_TEST(contains(refusal(text + "A"), "no whole token"));
  BOOST_TEST(contains(refusal(text + "?"), "a character that is none of it"));
  BOOST_TEST(contains(refusal(text + " " + text), "none of it"));
  BOOST_TEST(contains(refusal("hello"), "does not begin with \"reeve1:\""));
  BOOST_TEST(contains(refusal("reeve2:AAAA"), "a newer reeve made it"));
}

BOOST_AUTO_TEST_CASE(a_token_tells_what_made_it) {
  JoinToken token = a_token();
  token.version = "0.4.0";
  token.protocol = 4;
  token.protocol_oldest = 3;
  const auto back = parse_join_token(join_token_text(token));
  BOOST_REQUIRE(back);
  BOOST_TEST((*back == token));
  token.version = "0.4 0";
  BOOST_TEST(contains(refusal(join_token_text(token)), "what made it"));
}

BOOST_AUTO_TEST_CASE(a_token_that_does_not_tell_what_made_it_is_of_protocol_1) {
  const auto token = parse_join_token(text_of(fmt::format(
      R"({{"cell":"main","urls":["nats://127.0.0.1:1"],"ca":"","id":7,)"
      R"("role":"agent","name":"","seed":"{}"}})",
      seed)));
  BOOST_REQUIRE(token);
  BOOST_TEST(token->protocol == 1u);
  BOOST_TEST(token->protocol_oldest == 1u);
  BOOST_TEST(token->version == "");
}

BOOST_AUTO_TEST_CASE(a_managers_token_without_the_cells_key_is_refused) {
  for (std::string JoinToken::*field : {&JoinToken::ca_key, &JoinToken::ca}) {
    JoinToken token = a_managers_token();
    (token.*field).clear();
    BOOST_TEST(contains(refusal(join_token_text(token)),
                        "does not tell the managers of its cell"));
  }
  JoinToken token = a_managers_token();
  for (int i = 0; i < 9; ++i)
    token.members.emplace_back("n" + std::to_string(i), "10.0.1.1");
  BOOST_TEST(contains(refusal(join_token_text(token)),
                      "does not tell the managers of its cell"));
}

BOOST_AUTO_TEST_CASE(a_first_managers_token_tells_whom_to_ask_or_nobody) {
  JoinToken token = a_managers_token();
  token.ask = {};
  const auto back = parse_join_token(join_token_text(token));
  BOOST_REQUIRE(back);
  BOOST_TEST((*back == token));
  const JoinToken::Ask good = a_managers_token().ask;
  for (std::string JoinToken::Ask::*field :
       {&JoinToken::Ask::url, &JoinToken::Ask::principal,
        &JoinToken::Ask::seed}) {
    token.ask = good;
    token.ask.*field = "a b";
    BOOST_TEST(contains(refusal(join_token_text(token)), "whom to ask"));
  }
}

BOOST_AUTO_TEST_CASE(each_field_that_is_missing_or_wrong_is_named) {
  const std::string url = "nats://127.0.0.1:4222";
  const auto made = [&](std::string_view cell, std::string_view urls,
                        std::string_view id, std::string_view role,
                        std::string_view name, std::string_view key) {
    return text_of(
        fmt::format(R"({{"cell":{},"urls":{},"ca":"","id":{},"role":{},)"
                    R"("name":{},"seed":"{}"}})",
                    cell, urls, id, role, name, key));
  };
  const std::string urls = "[\"" + url + "\"]";
  const std::string good =
      made("\"main\"", urls, "7", "\"agent\"", "\"\"", seed);
  BOOST_TEST(refusal(good) == "accepted");
  const struct {
    std::string text;
    const char* part;
  } cases[] = {
      {text_of("[]"), "a part of it is missing"},
      {text_of("{}"), "does not tell its cell"},
      {made("\"a b\"", urls, "7", "\"agent\"", "\"\"", seed), "its cell"},
      {made("\"main\"", "[]", "7", "\"agent\"", "\"\"", seed),
       "where the bus of its cell is"},
      {made("\"main\"", "[\"http://x:1\"]", "7", "\"agent\"", "\"\"", seed),
       "where the bus of its cell is"},
      {made("\"main\"", urls, "0", "\"agent\"", "\"\"", seed), "no number"},
      {made("\"main\"", urls, "-1", "\"agent\"", "\"\"", seed), "no number"},
      {made("\"main\"", urls, "7", "\"king\"", "\"\"", seed),
       "a role that this reeve does not know"},
      {made("\"main\"", urls, "7", "\"agent\"", "1", seed), "whom it is for"},
      {made("\"main\"", urls, "7", "\"agent\"", "\"\"", "SUAAA"),
       "its key is damaged"},
      {made("\"main\"", "[\"tls://h:1\"]", "7", "\"agent\"", "\"\"", seed),
       "no certificate to know its cell by"},
  };
  for (const auto& c : cases) BOOST_TEST_CONTEXT(c.part)
  BOOST_TEST(contains(refusal(c.text), c.part));
}

BOOST_AUTO_TEST_CASE(a_text_over_join_token_bytes_max_is_not_looked_at) {
  const std::string body(join_token_bytes_max, 'A');
  BOOST_TEST(contains(refusal("reeve1:" + body), "none has more than 65536"));
  JoinToken large = a_token();
  const std::size_t rest = join_token_text(large).size();
  large.ca += std::string((join_token_bytes_max - rest) / 4 * 3 - 8, 'x');
  BOOST_TEST(refusal(join_token_text(large)) == "accepted");
}

BOOST_AUTO_TEST_CASE(no_error_tells_the_secret) {
  JoinToken token = a_token();
  token.cell = "a b";
  BOOST_TEST(!contains(refusal(join_token_text(token)), seed));
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace
}  // namespace reeve::tools::token_text_test
