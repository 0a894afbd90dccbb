#include "bus/verified.hpp"

#include <atomic>
#include <boost/test/unit_test.hpp>
#include <random>

#include "bus/test_support.hpp"

namespace reeve::bus::verified_test {
namespace {

using testing::bytes_of;
using testing::Cell;
using testing::eventually;
using testing::make_command;
using testing::patience;

struct Receiver {
  explicit Receiver(Cell& cell)
      : quarantine({.directory = cell.directory.path() / "quarantine"}),
        connection(cell.connect(Role::daemon)) {
    const auto status = subscribe_verified<schema::Command>(
        *connection, cell.subjects.commands(), quarantine,
        [this](const schema::Command& command, const Message&) {
          if (command.body_as_CancelSession() != nullptr) ++good;
        });
    BOOST_REQUIRE(status.has_value());
    BOOST_REQUIRE(connection->flush(patience).has_value());
  }

  Quarantine quarantine;
  std::atomic<std::uint64_t> good{0};
  std::unique_ptr<Connection> connection;  // ends first
};

BOOST_AUTO_TEST_CASE(malformed_and_oversized_messages_are_counted_and_kept) {
  Cell cell;
  Receiver receiver(cell);
  auto user = cell.connect(Role::user);
  const auto subject = cell.subjects.command("local", "cancel_session");
  const Buffer whole = make_command(1);
  std::uint64_t bad = 0;
  const auto send = [&](Bytes bytes) {
    ++bad;
    BOOST_REQUIRE(user->publish(subject, bytes).has_value());
  };
  for (std::size_t size = 0; size < whole.size(); ++size)
    send(whole.bytes().first(size));
  send(bytes_of(std::string(schema::command_bytes_max + 1, 'x')));
  send(bytes_of(std::string(message_bytes_max, 'x')));
  send(testing::make_event(1));
  send(testing::make_reply(1, 1));
  BOOST_REQUIRE(user->publish(subject, whole).has_value());
  BOOST_TEST(eventually([&] { return receiver.good == 1; }));
  BOOST_TEST(receiver.quarantine.count() == bad);
  const auto recent = receiver.quarantine.recent();
  BOOST_REQUIRE(recent.size() == QuarantineOptions{}.recent_max);
  BOOST_TEST(recent.back().kind == "Command");
  BOOST_TEST(recent.back().subject == subject);
  BOOST_TEST(recent.back().reason == "its identifier is not RVC1");
  BOOST_TEST(recent[recent.size() - 3].bytes == message_bytes_max);
}

BOOST_AUTO_TEST_CASE(random_bytes_crash_nothing) {
  Cell cell;
  Receiver receiver(cell);
  auto user = cell.connect(Role::user, false);
  const auto subject = cell.subjects.command("local", "cancel_session");
  std::mt19937 random(1);
  const Buffer whole = make_command(1);
  for (int i = 0; i < 5'000; ++i) {
    std::string text = testing::text_of(whole);
    for (unsigned flips = random() % 8; flips > 0; --flips)
      text[random() % text.size()] = static_cast<char>(random());
    BOOST_REQUIRE(user->publish(subject, bytes_of(text)).has_value());
  }
  BOOST_REQUIRE(user->flush(patience).has_value());
  BOOST_TEST(eventually(
      [&] { return receiver.connection->stats().received == 5'000; }));
  BOOST_TEST(receiver.quarantine.count() > 0u);
  const auto before = receiver.good.load();
  BOOST_REQUIRE(user->publish(subject, whole).has_value());
  BOOST_TEST(eventually([&] { return receiver.good > before; }));
}

}  // namespace
}  // namespace reeve::bus::verified_test
