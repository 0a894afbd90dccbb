// The log of an earlier release, and whether each of its messages is read.
#include <boost/test/unit_test.hpp>
#include <map>

#include "tests/traffic/kept.hpp"

namespace reeve::traffic::log_test {
namespace {

BOOST_AUTO_TEST_SUITE(kept_log)

BOOST_AUTO_TEST_CASE(a_kept_log_gives_the_state_that_it_gave_then) {
  for (const Kept& kept : all_kept()) {
    const cluster::State state = kept.state_before(UINT64_MAX);
    BOOST_TEST(state.digest_hex() == kept.digest, kept);
    const Status sound = state.check_invariants();
    BOOST_TEST(sound.has_value(), kept);
    const auto back = cluster::State::decode_snapshot(state.encode_snapshot());
    BOOST_REQUIRE(back.has_value());
    BOOST_TEST(back->digest_hex() == kept.digest, kept);
  }
}

bool is_read(const Message& message) {
  const std::string_view kind = message.kind();
  if (kind == "cmd") return message.as<schema::Command>() != nullptr;
  if (kind == "qry") return message.as<schema::Query>() != nullptr;
  if (kind == "evt") return schema::verified_event(message.bytes()) != nullptr;
  if (kind == "stat")
    return message.as<schema::Heartbeat>() || message.as<schema::NodeStats>();
  if (kind == "out") return message.as<schema::OutputChunk>() != nullptr;
  if (kind == "member") return message.as<schema::MemberBeat>() != nullptr;
  if (kind == "reply") return message.as<schema::Reply>() != nullptr;
  if (kind == "answer") return message.as<schema::Answer>() != nullptr;
  if (kind == "agent" && message.token(2) == "order")
    return message.as<schema::AgentOrder>() != nullptr;
  if (kind == "agent" && message.token(2) == "output")
    return message.as<schema::OutputRead>() != nullptr;
  if (kind == "log") return message.as<schema::LogRead>() != nullptr;
  return false;
}

BOOST_AUTO_TEST_CASE(every_kept_message_is_one_that_is_read_now) {
  for (const Kept& kept : all_kept()) {
    std::map<std::string, std::size_t, std::less<>> read;
    for (const Message& message : kept.messages) {
      BOOST_TEST(is_read(message), kept << ": " << message.subject);
      ++read[std::string(message.kind())];
    }
    for (const char* kind :
         {"cmd", "qry", "evt", "agent", "stat", "out", "reply", "answer"})
      BOOST_TEST(read[kind] > 0, kept << " has none of " << kind);
  }
}

BOOST_AUTO_TEST_CASE(what_was_told_of_the_log_is_what_the_log_has) {
  for (const Kept& kept : all_kept()) {
    std::map<std::uint64_t, schema::EventBody> log;
    kept.each_event([&](const schema::Event& event) {
      log[event.seq()] = event.body_type();
    });
    std::size_t told = 0;
    for (const Message& message : kept.messages) {
      if (message.kind() != "evt") continue;
      const schema::Event* event = schema::verified_event(message.bytes());
      BOOST_REQUIRE(event != nullptr);
      BOOST_TEST((log[event->seq()] == event->body_type()), message.subject);
      ++told;
    }
    BOOST_TEST(told > log.size() / 2);
  }
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace
}  // namespace reeve::traffic::log_test
