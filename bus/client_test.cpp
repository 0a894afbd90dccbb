#include "bus/client.hpp"

#include <signal.h>

#include <atomic>
#include <boost/test/unit_test.hpp>
#include <map>
#include <mutex>
#include <thread>

#include "bus/connection.hpp"
#include "bus/pipeline.hpp"
#include "bus/retry.hpp"
#include "bus/test_support.hpp"
#include "bus/verified.hpp"

namespace reeve::bus::client_test {
namespace {

using std::chrono::milliseconds;
using testing::Cell;
using testing::eventually;
using testing::make_command;
using testing::make_reply;
using testing::patience;

constexpr RetryOptions eager{milliseconds(50), milliseconds(200)};

// Stands for the manager: one sequence per command id, the same for ever.
class Manager {
 public:
  explicit Manager(Connection& connection, const Subjects& subjects,
                   std::uint64_t ignored = 0)
      : connection_(connection), ignored_(ignored) {
    const auto status = subscribe_verified<schema::Command>(
        connection, subjects.commands(), quarantine_,
        [this](const schema::Command& command, const Message& message) {
          answer(command, message);
        });
    BOOST_REQUIRE(status.has_value());
    BOOST_REQUIRE(connection.flush(patience).has_value());
  }

  std::size_t decided() {
    const std::lock_guard lock(mutex_);
    return decided_.size();
  }
  std::atomic<std::uint64_t> received{0};

 private:
  void answer(const schema::Command& command, const Message& message) {
    if (++received <= ignored_) return;
    std::uint64_t sequence = 0;
    {
      const std::lock_guard lock(mutex_);
      const auto next = decided_.size() + 1;
      sequence = decided_.emplace(command.id()->low(), next).first->second;
    }
    (void)connection_.publish(message.reply,
                              make_reply(command.id()->low(), sequence));
  }

  Connection& connection_;
  const std::uint64_t ignored_;
  Quarantine quarantine_;
  std::mutex mutex_;
  std::map<std::uint64_t, std::uint64_t> decided_;
};

std::uint64_t sequence_of(const Buffer& reply) {
  return schema::verified<schema::Reply>(reply)->seq();
}

BOOST_AUTO_TEST_CASE(a_command_gets_its_reply) {
  Cell cell;
  auto daemon = cell.connect(Role::daemon);
  auto user = cell.connect(Role::user);
  Manager manager(*daemon, cell.subjects);
  Client client(*user, cell.subjects, "local");
  const auto reply = client.command(make_command(5), patience);
  BOOST_REQUIRE(reply.has_value());
  BOOST_TEST(sequence_of(*reply) == 1u);
  BOOST_TEST(manager.received == 1u);
}

BOOST_AUTO_TEST_CASE(an_unanswered_command_is_sent_again_with_its_id) {
  Cell cell;
  auto daemon = cell.connect(Role::daemon);
  auto user = cell.connect(Role::user);
  Manager manager(*daemon, cell.subjects, 3);
  Client client(*user, cell.subjects, "local", eager);
  const auto reply = client.command(make_command(5), patience);
  BOOST_REQUIRE(reply.has_value());
  BOOST_TEST(sequence_of(*reply) == 1u);
  BOOST_TEST(manager.received >= 4u);
  BOOST_TEST(manager.decided() == 1u);
}

std::atomic<bool> nobody_wants_it{false};

BOOST_AUTO_TEST_CASE(a_command_that_is_given_up_ends_after_a_last_wait) {
  Cell cell;
  auto user = cell.connect(Role::user);
  Client client(*user, cell.subjects, "local", eager,
                [] { return nobody_wants_it.load(); });
  nobody_wants_it = false;
  std::thread interrupt([] {
    std::this_thread::sleep_for(milliseconds(100));
    nobody_wants_it = true;
  });
  const auto begun = std::chrono::steady_clock::now();
  const auto reply = client.command(make_command(5), patience);
  const auto took = std::chrono::steady_clock::now() - begun;
  interrupt.join();
  BOOST_REQUIRE(!reply.has_value());
  BOOST_TEST((reply.error().code == Errc::unreachable));
  BOOST_TEST(reply.error().text.find("given up") != std::string::npos);
  BOOST_TEST((took >= given_up_wait));
  BOOST_TEST((took < patience / 2));
}

BOOST_AUTO_TEST_CASE(an_answer_on_its_way_counts_though_it_is_given_up) {
  Cell cell;
  auto daemon = cell.connect(Role::daemon);
  auto user = cell.connect(Role::user);
  Manager manager(*daemon, cell.subjects, 1);
  nobody_wants_it = true;
  Client client(*user, cell.subjects, "local", eager,
                [] { return nobody_wants_it.load(); });
  const auto reply = client.command(make_command(5), patience);
  BOOST_REQUIRE(reply.has_value());
  BOOST_TEST(sequence_of(*reply) == 1u);
}

BOOST_AUTO_TEST_CASE(a_command_waits_for_a_manager_that_comes_late) {
  Cell cell;
  auto daemon = cell.connect(Role::daemon);
  auto user = cell.connect(Role::user);
  Client client(*user, cell.subjects, "local", eager);
  std::atomic<bool> answered{false};
  std::thread asker([&] {
    answered = client.command(make_command(9), patience).has_value();
  });
  std::this_thread::sleep_for(milliseconds(300));
  Manager manager(*daemon, cell.subjects);
  asker.join();
  BOOST_TEST(answered);
}

BOOST_AUTO_TEST_CASE(a_command_survives_the_death_of_the_server) {
  Cell cell;
  auto daemon = cell.connect(Role::daemon);
  auto user = cell.connect(Role::user);
  Manager manager(*daemon, cell.subjects);
  Client client(*user, cell.subjects, "local", eager);
  BOOST_REQUIRE(client.command(make_command(1), patience).has_value());
  ::kill(cell.server->pid(), SIGKILL);
  const auto reply = client.command(make_command(2), patience);
  BOOST_REQUIRE_MESSAGE(reply, (reply ? "" : reply.error().text));
  BOOST_TEST(sequence_of(*reply) == 2u);
}

// Two servers with no link between them, and whoever both know.
struct Parted {
  Parted() {
    who = near.admit("ann", Role::user);
    far.set_users({{"ann", Role::user, near.users.back().public_key, {}}});
    who.urls.push_back(far.server->credentials(Role::user).urls.front());
  }
  std::unique_ptr<Connection> connect() const {
    ConnectionOptions how;
    how.credentials = who;
    how.connect_timeout = patience;
    auto made = Connection::connect(how);
    BOOST_REQUIRE_MESSAGE(made, (made ? std::string() : made.error().text));
    return std::move(*made);
  }

  Cell near, far;
  Credentials who;
};

BOOST_FIXTURE_TEST_CASE(what_one_server_does_not_bring_goes_by_another,
                        Parted) {
  auto daemon = far.connect(Role::daemon);
  Manager manager(*daemon, far.subjects);
  auto user = connect();
  BOOST_TEST(user->server() == who.urls.front());
  BOOST_TEST(user->other_servers() == std::vector{who.urls.back()},
             boost::test_tools::per_element());
  Client client(*user, near.subjects, "ann", eager);
  const auto first = client.command(make_command(5), patience);
  BOOST_REQUIRE_MESSAGE(first, (first ? "" : first.error().text));
  BOOST_TEST(sequence_of(*first) == 1u);
  // The connection has gone there, and stays.
  BOOST_TEST(eventually([&] { return user->stats().reconnects == 1; }));
  BOOST_TEST(user->other_servers() == std::vector{who.urls.front()},
             boost::test_tools::per_element());
  const auto received = manager.received.load();
  const auto second = client.command(make_command(6), patience);
  BOOST_REQUIRE(second.has_value());
  BOOST_TEST(sequence_of(*second) == 2u);
  BOOST_TEST(manager.received > received);
  BOOST_TEST(user->stats().reconnects == 1u);
}

BOOST_FIXTURE_TEST_CASE(where_no_server_brings_an_answer_the_connection_stays,
                        Parted) {
  auto user = connect();
  Client client(*user, near.subjects, "ann", eager);
  const auto reply =
      client.command(make_command(5), 2 * server_wait + elsewhere_wait);
  BOOST_REQUIRE(!reply.has_value());
  BOOST_TEST((reply.error().code == Errc::unreachable), reply.error().text);
  BOOST_TEST(user->stats().reconnects == 0u);
}

BOOST_AUTO_TEST_CASE(without_a_manager_the_error_says_so) {
  Cell cell;
  auto user = cell.connect(Role::user);
  Client client(*user, cell.subjects, "local", eager);
  const auto reply = client.command(make_command(1), milliseconds(300));
  BOOST_REQUIRE(!reply.has_value());
  BOOST_TEST((reply.error().code == Errc::unreachable));
  BOOST_TEST(reply.error().text.find("nobody listens") != std::string::npos,
             reply.error().text);
}

BOOST_AUTO_TEST_CASE(a_command_for_another_principal_is_rejected_at_once) {
  Cell cell;
  auto user = cell.connect(Role::user);
  Client client(*user, cell.subjects, "other");
  const auto reply = client.command(make_command(1), patience);
  BOOST_REQUIRE(!reply.has_value());
  BOOST_TEST((reply.error().code == Errc::rejected), reply.error().text);
}

BOOST_AUTO_TEST_CASE(a_reply_to_another_command_is_not_taken) {
  Cell cell;
  auto daemon = cell.connect(Role::daemon);
  auto user = cell.connect(Role::user);
  std::atomic<int> asked{0};
  BOOST_REQUIRE(daemon
                    ->subscribe(cell.subjects.commands(),
                                [&](const Message& message) {
                                  const auto id = ++asked == 1 ? 4 : 5;
                                  (void)daemon->publish(message.reply,
                                                        make_reply(id, 8));
                                })
                    .has_value());
  BOOST_REQUIRE(daemon->flush(patience).has_value());
  Client client(*user, cell.subjects, "local", eager);
  const auto reply = client.command(make_command(5), patience);
  BOOST_REQUIRE(reply.has_value());
  BOOST_TEST(asked >= 2);
  BOOST_TEST(schema::verified<schema::Reply>(*reply)->command_id()->low() ==
             5u);
}

Buffer make_unread(std::uint64_t id) {
  flatbuffers::FlatBufferBuilder builder;
  const schema::Id128 id128(1, id);
  const auto rejection = schema::CreateRejectionDirect(
      builder, schema::RejectCode::try_again, unread_rule, "try again");
  return Buffer::copy(schema::finish(
      builder, schema::CreateReply(builder, &id128, 0, 0, rejection)));
}

// The first sending waits in a queue; from `busy_from` on they are refused
// unread, and after some of them the first one is carried out.
struct BusyManager {
  BusyManager(Connection& connection, const Subjects& subjects, int busy_from) {
    const auto status = connection.subscribe(
        subjects.commands(), [this, &connection, busy_from](const Message& m) {
          const int sending = ++received;
          if (sending >= busy_from)
            (void)connection.publish(m.reply, make_unread(5));
          if (sending == 4) (void)connection.publish(m.reply, make_reply(5, 8));
        });
    BOOST_REQUIRE(status.has_value());
    BOOST_REQUIRE(connection.flush(patience).has_value());
  }
  std::atomic<int> received{0};
};

BOOST_AUTO_TEST_CASE(a_sending_refused_unread_does_not_speak_for_earlier_ones) {
  Cell cell;
  auto daemon = cell.connect(Role::daemon);
  auto user = cell.connect(Role::user);
  BusyManager manager(*daemon, cell.subjects, 2);
  Client client(*user, cell.subjects, "local", eager);
  const auto reply = client.command(make_command(5), patience);
  BOOST_REQUIRE(reply.has_value());
  BOOST_TEST(sequence_of(*reply) == 8u);
}

BOOST_AUTO_TEST_CASE(in_a_pipeline_neither) {
  Cell cell;
  auto daemon = cell.connect(Role::daemon);
  auto user = cell.connect(Role::user);
  BusyManager manager(*daemon, cell.subjects, 2);
  Client client(*user, cell.subjects, "local", eager);
  std::atomic<std::uint64_t> sequence{0};
  Pipeline pipeline(client);
  BOOST_REQUIRE(pipeline.submit(make_command(5), [&](auto reply) {
    if (reply) sequence = sequence_of(*reply);
  }));
  BOOST_REQUIRE(pipeline.drain(patience).has_value());
  BOOST_TEST(sequence == 8u);
}

BOOST_AUTO_TEST_CASE(a_first_sending_refused_unread_is_refused) {
  Cell cell;
  auto daemon = cell.connect(Role::daemon);
  auto user = cell.connect(Role::user);
  BusyManager manager(*daemon, cell.subjects, 1);
  Client client(*user, cell.subjects, "local");
  const auto reply = client.command(make_command(5), patience);
  BOOST_REQUIRE(reply.has_value());
  BOOST_TEST(schema::verified<schema::Reply>(*reply)->rejection() != nullptr);
  BOOST_TEST(manager.received == 1);
}

BOOST_AUTO_TEST_CASE(but_not_where_an_earlier_wait_for_it_sent_it) {
  Cell cell;
  auto daemon = cell.connect(Role::daemon);
  auto user = cell.connect(Role::user);
  BusyManager manager(*daemon, cell.subjects, 1);
  Client client(*user, cell.subjects, "local", eager);
  const auto reply =
      client.command(make_command(5), patience, Client::Before::sent);
  BOOST_REQUIRE(reply.has_value());
  BOOST_TEST(sequence_of(*reply) == 8u);
}

BOOST_AUTO_TEST_CASE(what_is_no_command_is_not_sent) {
  Cell cell;
  auto user = cell.connect(Role::user);
  Client client(*user, cell.subjects, "local");
  const auto reply = client.command(testing::bytes_of("garbage."), patience);
  BOOST_REQUIRE(!reply.has_value());
  BOOST_TEST((reply.error().code == Errc::usage));
  BOOST_TEST(user->stats().published == 0u);
}

// Counts replies by command id.
struct Ledger {
  std::mutex mutex;
  std::map<std::uint64_t, int> replies;
  std::atomic<int> errors{0};

  Pipeline::OnReply on(std::uint64_t id) {
    return [this, id](Expected<Buffer> reply) {
      if (!reply) {
        ++errors;
        return;
      }
      const std::lock_guard lock(mutex);
      ++replies[id];
    };
  }
};

BOOST_AUTO_TEST_CASE(a_pipeline_gets_one_reply_for_each_command) {
  Cell cell;
  auto daemon = cell.connect(Role::daemon, false);
  auto user = cell.connect(Role::user, false);
  Manager manager(*daemon, cell.subjects);
  Client client(*user, cell.subjects, "local");
  Ledger ledger;
  constexpr std::uint64_t count = 20'000;
  {
    Pipeline pipeline(client, {.in_flight_max = 256});
    for (std::uint64_t id = 1; id <= count; ++id) {
      BOOST_REQUIRE(pipeline.submit(make_command(id), ledger.on(id)));
      if (id % 1'000 == 0) BOOST_TEST(pipeline.in_flight() <= 256u);
    }
    BOOST_REQUIRE(pipeline.drain(patience).has_value());
  }
  BOOST_TEST(ledger.errors == 0);
  BOOST_TEST(ledger.replies.size() == count);
  for (const auto& [id, times] : ledger.replies) BOOST_REQUIRE(times == 1);
  BOOST_TEST(manager.decided() == count);
}

BOOST_AUTO_TEST_CASE(a_pipeline_survives_the_death_of_the_server) {
  Cell cell;
  auto daemon = cell.connect(Role::daemon, false);
  auto user = cell.connect(Role::user, false);
  Manager manager(*daemon, cell.subjects);
  Client client(*user, cell.subjects, "local", eager);
  Ledger ledger;
  constexpr std::uint64_t count = 3'000;
  Pipeline pipeline(client, {.in_flight_max = 64});
  for (std::uint64_t id = 1; id <= count; ++id) {
    BOOST_REQUIRE(pipeline.submit(make_command(id), ledger.on(id)));
    if (id == count / 2) ::kill(cell.server->pid(), SIGKILL);
  }
  BOOST_REQUIRE(pipeline.drain(patience).has_value());
  BOOST_TEST(ledger.errors == 0);
  BOOST_TEST(ledger.replies.size() == count);
  BOOST_TEST(manager.decided() == count);
}

BOOST_AUTO_TEST_CASE(commands_in_flight_end_with_their_time_or_the_pipeline) {
  Cell cell;
  auto user = cell.connect(Role::user);
  Client client(*user, cell.subjects, "local", eager);
  Ledger ledger;
  {
    Pipeline pipeline(client, {.timeout = milliseconds(200)});
    BOOST_REQUIRE(pipeline.submit(make_command(1), ledger.on(1)));
    BOOST_TEST(eventually([&] { return ledger.errors == 1; }));
  }
  {
    Pipeline pipeline(client);
    BOOST_REQUIRE(pipeline.submit(make_command(2), ledger.on(2)));
    BOOST_TEST(!pipeline.drain(milliseconds(20)).has_value());
  }
  BOOST_TEST(ledger.errors == 2);
}

}  // namespace
}  // namespace reeve::bus::client_test
