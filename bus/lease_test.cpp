#include "bus/lease.hpp"

#include <signal.h>

#include <boost/test/data/monomorphic.hpp>
#include <boost/test/data/test_case.hpp>
#include <boost/test/unit_test.hpp>

#include "bus/jetstream.hpp"
#include "bus/jetstream_support.hpp"

namespace reeve::bus::lease_test {
namespace {

using std::chrono::milliseconds;
using testing::bytes_of;
using testing::eventually;
using testing::JetStreamServers;
using testing::patience;
using Kind = LeaseOutcome::Kind;
namespace data = boost::unit_test::data;

struct Member {
  explicit Member(const JetStreamServers& servers, int first = 0,
                  milliseconds request_timeout = milliseconds(2'000))
      : connection(servers.connect(first)) {
    LeaseOptions options;
    options.replicas = servers.count();
    options.request_timeout = request_timeout;
    options.open_timeout = patience;
    auto opened = Lease::open(*connection, "c", options);
    BOOST_REQUIRE_MESSAGE(opened,
                          (opened ? std::string() : opened.error().text));
    lease = std::move(*opened);
  }

  LeaseState read() {
    Expected<LeaseState> state;
    BOOST_REQUIRE(eventually([&] {
      state = lease->read();
      return state.has_value();
    }));
    return *state;
  }

  std::unique_ptr<Connection> connection;
  std::unique_ptr<Lease> lease;
};

BOOST_AUTO_TEST_SUITE(leases, *testing::needs_jetstream())

BOOST_DATA_TEST_CASE(of_two_takers_one_holds_the_lease, data::make({1, 3}),
                     count) {
  const JetStreamServers servers(count);
  Member a(servers);
  Member b(servers, count - 1);
  const LeaseState seen = a.read();
  BOOST_TEST(seen.revision == 0u);
  BOOST_TEST(!seen.holder.has_value());
  const auto first = b.lease->write(seen.revision, {"b", 1, 10, ""});
  BOOST_REQUIRE((first.kind == Kind::held));
  const auto second = a.lease->write(seen.revision, {"a", 1, 10, ""});
  BOOST_REQUIRE((second.kind == Kind::lost));
  BOOST_TEST(second.now.revision == first.revision);
  BOOST_TEST((second.now.holder == LeaseHolder{"b", 1, 10, ""}));
  BOOST_TEST((a.read().holder == LeaseHolder{"b", 1, 10, ""}));
}

BOOST_AUTO_TEST_CASE(a_lease_is_renewed_handed_over_and_then_lost) {
  const JetStreamServers servers(1);
  Member a(servers);
  Member b(servers);
  std::uint64_t revision = 0;
  for (std::uint64_t sequence = 1; sequence <= 3; ++sequence) {
    const auto renewed = a.lease->write(revision, {"a", 1, sequence, ""});
    BOOST_REQUIRE((renewed.kind == Kind::held));
    BOOST_TEST(renewed.revision > revision);
    revision = renewed.revision;
  }
  const auto given = a.lease->write(revision, {"a", 1, 3, "b"});
  BOOST_REQUIRE((given.kind == Kind::held));
  const LeaseState seen = b.read();
  BOOST_REQUIRE(seen.holder.has_value());
  BOOST_TEST(seen.holder->next == "b");
  const auto taken = b.lease->write(seen.revision, {"b", 2, 4, ""});
  BOOST_REQUIRE((taken.kind == Kind::held));
  const auto late = a.lease->write(given.revision, {"a", 1, 4, ""});
  BOOST_REQUIRE((late.kind == Kind::lost));
  BOOST_TEST((late.now.holder == LeaseHolder{"b", 2, 4, ""}));
}

BOOST_AUTO_TEST_CASE(words_that_are_there_already_are_held) {
  const JetStreamServers servers(1);
  Member a(servers);
  const auto first = a.lease->write(0, {"a", 1, 1, ""});
  BOOST_REQUIRE((first.kind == Kind::held));
  // As after an acknowledgement that was lost.
  const auto again = a.lease->write(0, {"a", 1, 1, ""});
  BOOST_TEST((again.kind == Kind::held));
  BOOST_TEST(again.revision == first.revision);
  BOOST_TEST((a.lease->write(0, {"a", 2, 1, ""}).kind == Kind::lost));
}

BOOST_AUTO_TEST_CASE(a_silent_server_leaves_the_outcome_unknown) {
  JetStreamServers servers(1);
  Member a(servers, 0, milliseconds(200));
  const auto first = a.lease->write(0, {"a", 1, 1, ""});
  BOOST_REQUIRE((first.kind == Kind::held));
  servers.signal(0, SIGSTOP);
  const auto unknown = a.lease->write(first.revision, {"a", 1, 2, ""});
  BOOST_TEST((unknown.kind == Kind::unknown));
  BOOST_TEST((unknown.error.code == Errc::unreachable));
  servers.signal(0, SIGCONT);
  // Written after all, or now: either way it is held.
  BOOST_TEST(eventually([&] {
    return a.lease->write(first.revision, {"a", 1, 2, ""}).kind == Kind::held;
  }));
  BOOST_TEST((a.read().holder == LeaseHolder{"a", 1, 2, ""}));
}

BOOST_AUTO_TEST_CASE(a_lease_outlives_its_server) {
  JetStreamServers servers(1);
  Member a(servers);
  const auto first = a.lease->write(0, {"a", 1, 1, ""});
  BOOST_REQUIRE((first.kind == Kind::held));
  servers.kill(0);
  servers.start(0);
  BOOST_TEST((a.read().holder == LeaseHolder{"a", 1, 1, ""}));
  BOOST_TEST(
      (a.lease->write(first.revision, {"a", 1, 2, ""}).kind == Kind::held));
}

BOOST_AUTO_TEST_CASE(a_lease_that_its_servers_do_not_know_is_made_anew) {
  JetStreamServers servers(3);
  Member a(servers);
  BOOST_REQUIRE((a.lease->write(0, {"a", 1, 1, ""}).kind == Kind::held));
  servers.remove("KV_reeve-c-lease");
  BOOST_TEST(a.read().revision == 0u);
  BOOST_TEST((a.lease->write(0, {"a", 2, 2, ""}).kind == Kind::held));
}

// Servers that lost the message, and know that there was one.
BOOST_AUTO_TEST_CASE(a_lease_whose_words_are_lost_is_taken) {
  const JetStreamServers servers(1);
  const auto connection = servers.connect();
  auto jetstream = JetStream::open(*connection);
  BOOST_REQUIRE(jetstream.has_value());
  BOOST_REQUIRE((*jetstream)
                    ->request("STREAM.CREATE.KV_reeve-c-lease",
                              {{"name", "KV_reeve-c-lease"},
                               {"subjects",
                                boost::json::array{"$KV.reeve-c-lease.leader"}},
                               {"retention", "limits"},
                               {"storage", "file"},
                               {"max_msgs_per_subject", 1},
                               {"deny_delete", true},
                               {"deny_purge", true},
                               {"first_seq", 26}},
                              patience));
  Member a(servers);
  const LeaseState seen = a.read();
  BOOST_TEST(seen.revision == 25u);
  BOOST_TEST(!seen.holder.has_value());
  const auto taken = a.lease->write(seen.revision, {"a", 1, 1, ""});
  BOOST_TEST((taken.kind == Kind::held));
  BOOST_TEST((a.read().holder == LeaseHolder{"a", 1, 1, ""}));
}

BOOST_AUTO_TEST_CASE(a_lease_that_cannot_be_read_has_no_holder_and_is_taken) {
  const JetStreamServers servers(1);
  Member a(servers);
  BOOST_REQUIRE(
      a.connection->publish("$KV.reeve-c-lease.leader", bytes_of("not a lease"))
          .has_value());
  BOOST_REQUIRE(eventually([&] { return a.read().revision == 1; }));
  BOOST_TEST(!a.read().holder.has_value());
  BOOST_TEST((a.lease->write(1, {"a", 1, 1, ""}).kind == Kind::held));
}

BOOST_AUTO_TEST_CASE(a_lease_over_lease_bytes_max_is_refused) {
  const JetStreamServers servers(1);
  Member a(servers);
  LeaseHolder holder{"", 1, 1, ""};
  holder.manager = std::string(lease_bytes_max - text_of(holder).size(), 'm');
  const auto largest = a.lease->write(0, holder);
  BOOST_REQUIRE((largest.kind == Kind::held));
  BOOST_TEST((a.read().holder == holder));
  holder.manager += 'm';
  const auto refused = a.lease->write(largest.revision, holder);
  BOOST_TEST((refused.kind == Kind::unknown));
  BOOST_TEST((refused.error.code == Errc::usage), refused.error.text);
  BOOST_TEST(a.read().revision == largest.revision);
}

BOOST_AUTO_TEST_CASE(who_is_gone_from_another_server_does_not_respond) {
  const JetStreamServers servers(3);
  auto there = servers.connect(0);
  auto asking = servers.connect(1);
  BOOST_REQUIRE(
      there->subscribe("reeve.c.member.a.ping", [&](const Message& m) {
        if (!m.reply.empty()) (void)there->publish(m.reply, m.data);
      }));
  const auto ask = [&] {
    return asking->request("reeve.c.member.a.ping", {}, milliseconds(500));
  };
  BOOST_REQUIRE(eventually([&] { return ask().has_value(); }));
  there.reset();
  BOOST_REQUIRE(eventually([&] {
    const auto answer = ask();
    BOOST_TEST_MESSAGE(answer.has_value() << answer.error().text);
    return !answer && answer.error().text.find("nobody") != std::string::npos;
  }));
}

BOOST_AUTO_TEST_SUITE_END()

BOOST_AUTO_TEST_CASE(the_words_of_a_lease_come_back_and_others_do_not) {
  const LeaseHolder holder{"n1", ~0ull, 12, "n2", 7};
  BOOST_TEST((parse_lease_holder(text_of(holder)) == holder));
  // As programs wrote it that named no epoch of the event.
  const LeaseHolder older{"n1", 8, 12, "n2", 0};
  BOOST_TEST((parse_lease_holder(R"({"manager":"n1","epoch":8,"sequence":12,)"
                                 R"("next":"n2"})") == older));
  for (const char* text :
       {"", "null", "[]", "{", "{}", R"({"manager":""})", R"({"manager":1})"})
    BOOST_TEST(!parse_lease_holder(text).has_value(), text);
  BOOST_TEST(!parse_lease_holder(R"({"manager":")" +
                                 std::string(lease_bytes_max, 'm') + "\"}")
                  .has_value());
}

}  // namespace
}  // namespace reeve::bus::lease_test
