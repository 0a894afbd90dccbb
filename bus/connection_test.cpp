#include "bus/connection.hpp"

#include <signal.h>

#include <atomic>
#include <boost/test/unit_test.hpp>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <set>
#include <thread>

#include "bus/child.hpp"
#include "bus/nkey.hpp"
#include "bus/test_support.hpp"

namespace reeve::bus::connection_test {
namespace {

using testing::bytes_of;
using testing::Cell;
using testing::eventually;
using testing::patience;
using testing::text_of;

// Answers each request on `subject` with its own bytes.
void echo(Connection& connection, const std::string& subject) {
  const auto status =
      connection.subscribe(subject, [&connection](const Message& message) {
        (void)connection.publish(message.reply, message.data);
      });
  BOOST_REQUIRE(status.has_value());
  BOOST_REQUIRE(connection.flush(patience).has_value());
}

BOOST_AUTO_TEST_CASE(a_request_is_answered) {
  Cell cell;
  auto server = cell.connect(Role::daemon);
  auto client = cell.connect(Role::user);
  echo(*server, cell.subjects.queries());
  const auto answer = client->request(cell.subjects.query("local"),
                                      bytes_of("hello"), patience);
  BOOST_REQUIRE(answer.has_value());
  BOOST_TEST(text_of(*answer) == "hello");
  BOOST_TEST(reinterpret_cast<std::uintptr_t>(answer->data()) % 8 == 0u);
}

BOOST_AUTO_TEST_CASE(a_message_outlives_its_handler_when_a_copy_is_held) {
  Cell cell;
  auto server = cell.connect(Role::daemon);
  std::mutex mutex;
  std::vector<Message> held;
  const auto status =
      server->subscribe(cell.subjects.stats(), [&](const Message& message) {
        const std::lock_guard lock(mutex);
        held.push_back(message.hold());
      });
  BOOST_REQUIRE(status.has_value());
  for (int i = 0; i < 100; ++i) {
    const std::string text(static_cast<std::size_t>(i), 'a' + i % 26);
    BOOST_REQUIRE(
        server->publish(cell.subjects.stat(std::to_string(i)), bytes_of(text))
            .has_value());
  }
  BOOST_REQUIRE(eventually([&] {
    const std::lock_guard lock(mutex);
    return held.size() == 100;
  }));
  for (int i = 0; i < 100; ++i) {
    const Message& message = held[static_cast<std::size_t>(i)];
    BOOST_TEST(message.subject == cell.subjects.stat(std::to_string(i)));
    BOOST_TEST(text_of(message.data) ==
               std::string(static_cast<std::size_t>(i), 'a' + i % 26));
    BOOST_TEST(reinterpret_cast<std::uintptr_t>(message.data.data()) % 8 == 0u);
  }
}

BOOST_AUTO_TEST_CASE(a_request_that_nobody_hears_fails_at_once) {
  Cell cell;
  auto client = cell.connect(Role::user);
  const auto answer =
      client->request(cell.subjects.log_head(), bytes_of("x"), patience);
  BOOST_REQUIRE(!answer.has_value());
  BOOST_TEST((answer.error().code == Errc::unreachable));
  BOOST_TEST(answer.error().text == "nobody answers reeve.c.log.head");
}

BOOST_AUTO_TEST_CASE(a_request_that_nobody_answers_ends_with_its_timeout) {
  Cell cell;
  auto server = cell.connect(Role::daemon);
  auto client = cell.connect(Role::user);
  BOOST_REQUIRE(
      server->subscribe(cell.subjects.log_head(), [](const Message&) {})
          .has_value());
  BOOST_REQUIRE(server->flush(patience).has_value());
  const auto answer = client->request(cell.subjects.log_head(), {},
                                      std::chrono::milliseconds(50));
  BOOST_REQUIRE(!answer.has_value());
  BOOST_TEST(answer.error().text.find("within 50 ms") != std::string::npos);
}

BOOST_AUTO_TEST_CASE(messages_up_to_the_bound_pass_and_larger_are_refused) {
  Cell cell;
  auto server = cell.connect(Role::daemon);
  echo(*server, cell.subjects.log_read());
  const std::string largest(message_bytes_max, 'x');
  const auto answer =
      server->request(cell.subjects.log_read(), bytes_of(largest), patience);
  BOOST_REQUIRE(answer.has_value());
  BOOST_TEST(answer->size() == message_bytes_max);
  const auto refused =
      server->publish(cell.subjects.log_read(), bytes_of(largest + "y"));
  BOOST_REQUIRE(!refused.has_value());
  BOOST_TEST((refused.error().code == Errc::usage));
  BOOST_TEST(refused.error().text.find("1048577 bytes") != std::string::npos);
  BOOST_TEST(server->stats().publish_failures == 1u);
}

BOOST_AUTO_TEST_CASE(what_is_no_subject_is_refused) {
  Cell cell;
  auto server = cell.connect(Role::daemon);
  for (const char* subject : {"", "a..b", "a.*", "a b"}) {
    BOOST_TEST(!server->publish(subject, {}).has_value());
    BOOST_TEST(!server->publish_request("a", subject, {}).has_value());
  }
  BOOST_TEST(!server->subscribe("a.>.b", [](const Message&) {}).has_value());
}

BOOST_AUTO_TEST_CASE(wrong_credentials_and_no_server_are_told_apart) {
  Cell cell;
  auto options = cell.options(Role::user);
  options.credentials.seed = make_user_key().seed;
  const auto refused = Connection::connect(options);
  BOOST_REQUIRE(!refused.has_value());
  BOOST_TEST((refused.error().code == Errc::rejected), refused.error().text);
  BOOST_TEST(refused.error().text.find("does not know the key of local") !=
             std::string::npos);
  options.credentials.urls = {"nats://127.0.0.1:1"};
  const auto nobody = Connection::connect(options);
  BOOST_REQUIRE(!nobody.has_value());
  BOOST_TEST((nobody.error().code == Errc::unreachable));
}

// The library cannot send one signature in 256.
BOOST_AUTO_TEST_CASE(a_thousand_connections_are_all_let_in) {
  Cell cell;
  for (int i = 0; i < 1'000; ++i) {
    const auto made = Connection::connect(cell.options(Role::user));
    BOOST_REQUIRE_MESSAGE(made, (made ? std::string() : made.error().text));
  }
}

// Each of these is published as the user; none may arrive.
BOOST_AUTO_TEST_CASE(a_user_can_neither_make_events_nor_speak_for_others) {
  Cell cell;
  auto server = cell.connect(Role::daemon);
  std::atomic<int> arrived{0};
  const auto count = [&](const Message&) { ++arrived; };
  BOOST_REQUIRE(
      server->subscribe(cell.subjects.everything(), count).has_value());
  BOOST_REQUIRE(server->flush(patience).has_value());
  std::atomic<int> errors{0};
  auto options = cell.options(Role::user);
  options.on_error = [&](const Error& error) {
    if (error.code == Errc::rejected) ++errors;
  };
  auto user = Connection::connect(options);
  BOOST_REQUIRE(user.has_value());
  const std::string forbidden[] = {
      "reeve.c.evt.session.1.session_ended",
      cell.subjects.command("other", "submit_session"),
      cell.subjects.command("reeved", "report_facts"),
      cell.subjects.query("other"),
      cell.subjects.agent("n1", "order"),
      cell.subjects.stat("n1"),
      cell.subjects.output("n1", 1, 0),
  };
  for (const std::string& subject : forbidden) {
    const auto answer = (*user)->request(subject, bytes_of("x"), patience);
    BOOST_REQUIRE(!answer.has_value());
    BOOST_TEST((answer.error().code == Errc::rejected), answer.error().text);
  }
  BOOST_TEST(arrived == 0);
  BOOST_TEST(eventually([&] { return errors == 7; }));
  BOOST_TEST((*user)->stats().permission_violations == 7u);
}

BOOST_AUTO_TEST_CASE(a_user_cannot_listen_to_commands_or_others_answers) {
  Cell cell;
  auto server = cell.connect(Role::daemon);
  auto user = cell.connect(Role::user);
  std::atomic<int> heard{0};
  for (const std::string& pattern :
       {cell.subjects.commands(), std::string("_INBOX.>"),
        std::string("_INBOX.reeved.>"), std::string(">")})
    (void)user->subscribe(pattern, [&](const Message&) { ++heard; });
  BOOST_REQUIRE(
      eventually([&] { return user->stats().permission_violations == 4; }));
  BOOST_REQUIRE(
      server->publish(cell.subjects.command("x", "y"), {}).has_value());
  BOOST_REQUIRE(server->publish("_INBOX.reeved.1", {}).has_value());
  BOOST_REQUIRE(server->flush(patience).has_value());
  BOOST_REQUIRE(user->flush(patience).has_value());
  BOOST_TEST(heard == 0);
}

BOOST_AUTO_TEST_CASE(a_user_hears_the_figures_of_nodes) {
  Cell cell;
  auto server = cell.connect(Role::daemon);
  auto user = cell.connect(Role::user);
  std::atomic<int> heard{0};
  BOOST_REQUIRE(
      user->subscribe(cell.subjects.stats(), [&](const Message&) { ++heard; })
          .has_value());
  BOOST_REQUIRE(user->flush(patience).has_value());
  BOOST_REQUIRE(server->publish(cell.subjects.stat("n1"), {}).has_value());
  BOOST_TEST(eventually([&] { return heard == 1; }));
  BOOST_TEST(user->stats().permission_violations == 0u);
}

BOOST_AUTO_TEST_CASE(a_slow_handler_loses_and_the_loss_is_counted) {
  Cell cell;
  auto server = cell.connect(Role::daemon);
  std::atomic<bool> go{false};
  std::atomic<std::uint64_t> seen{0};
  const auto slow = [&](const Message&) {
    eventually([&] { return go.load(); });
    ++seen;
  };
  SubscribeOptions few_messages;
  few_messages.pending_messages_max = 10;
  BOOST_REQUIRE(
      server->subscribe(cell.subjects.stats(), slow, few_messages).has_value());
  for (int i = 0; i < 100; ++i)
    BOOST_REQUIRE(server->publish(cell.subjects.stat("n"), {}).has_value());
  BOOST_TEST(eventually([&] { return server->stats().dropped >= 89; }));
  BOOST_TEST(eventually([&] { return server->stats().slow_consumers > 0; }));
  go = true;
  BOOST_TEST(eventually([&] { return seen + server->stats().dropped == 100; }));
}

BOOST_AUTO_TEST_CASE(messages_that_wait_are_bounded_by_their_bytes_too) {
  Cell cell;
  auto server = cell.connect(Role::daemon);
  std::atomic<bool> go{false};
  std::atomic<std::uint64_t> seen{0};
  const auto slow = [&](const Message&) {
    eventually([&] { return go.load(); });
    ++seen;
  };
  SubscribeOptions few_bytes;
  few_bytes.pending_bytes_max = 10'000;
  BOOST_REQUIRE(
      server->subscribe(cell.subjects.stats(), slow, few_bytes).has_value());
  const std::string block(1'000, 'x');
  for (int i = 0; i < 100; ++i)
    BOOST_REQUIRE(
        server->publish(cell.subjects.stat("n"), bytes_of(block)).has_value());
  BOOST_TEST(eventually([&] { return server->stats().dropped >= 88; }));
  go = true;
  BOOST_TEST(eventually([&] { return seen + server->stats().dropped == 100; }));
  BOOST_TEST(seen >= 9u);
}

BOOST_AUTO_TEST_CASE(a_server_begins_anew_when_it_is_told_to) {
  Cell cell;
  const int before = cell.server->pid();
  cell.server->start_anew();
  BOOST_REQUIRE(eventually([&] { return cell.server->restarts() == 1; }));
  BOOST_TEST(cell.server->pid() != before);
  auto server = cell.connect(Role::daemon);
  echo(*server, cell.subjects.queries());
  auto client = cell.connect(Role::user);
  BOOST_TEST(eventually([&] {
    return client
        ->request(cell.subjects.query("local"), bytes_of("again"),
                  std::chrono::milliseconds(500))
        .has_value();
  }));
}

BOOST_AUTO_TEST_CASE(a_server_that_is_killed_at_its_start_is_started_again) {
  const testing::TemporaryDirectory place;
  const auto program = place.path() / "nats-server";
  std::ofstream(program) << "#!/bin/sh\n"
                            "cd '"
                         << place.path().string()
                         << "'\n"
                            "echo once more >> starts\n"
                            "[ $(wc -l < starts) -gt 2 ] || kill -9 $$\n"
                            "exec $REEVE_NATS_SERVER \"$@\"\n";
  std::filesystem::permissions(program, std::filesystem::perms::owner_all);
  ::setenv("REEVE_NATS_SERVER", find_program("nats-server").c_str(), 1);
  Cell cell([&](ServerOptions& options) { options.program = program; });
  BOOST_TEST((cell.connect(Role::daemon) != nullptr));
}

BOOST_AUTO_TEST_CASE(a_connection_comes_back_with_its_subscriptions) {
  Cell cell;
  std::mutex mutex;
  std::vector<State> states;
  auto options = cell.options(Role::daemon);
  options.on_state = [&](State state) {
    const std::lock_guard lock(mutex);
    states.push_back(state);
  };
  auto server = Connection::connect(options);
  BOOST_REQUIRE(server.has_value());
  auto client = cell.connect(Role::user);
  echo(**server, cell.subjects.queries());
  const int before = cell.server->pid();
  ::kill(before, SIGKILL);
  BOOST_REQUIRE(eventually([&] { return cell.server->restarts() == 1; }));
  BOOST_TEST(cell.server->pid() != before);
  BOOST_TEST(eventually([&] {
    const auto answer =
        client->request(cell.subjects.query("local"), bytes_of("again"),
                        std::chrono::milliseconds(500));
    return answer.has_value() && text_of(*answer) == "again";
  }));
  BOOST_TEST((*server)->stats().reconnects >= 1u);
  server->reset();
  const std::lock_guard lock(mutex);
  BOOST_REQUIRE(states.size() >= 4u);
  BOOST_TEST((states[0] == State::connected));
  BOOST_TEST((states[1] == State::disconnected));
  BOOST_TEST((states[2] == State::reconnected));
  BOOST_TEST((states.back() == State::closed));
}

BOOST_AUTO_TEST_CASE(without_another_server_none_is_gone_to) {
  Cell cell;
  auto user = cell.connect(Role::user);
  BOOST_TEST(user->other_servers().empty());
  BOOST_TEST(!user->change_server());
  BOOST_REQUIRE(user->flush(patience).has_value());
  BOOST_TEST(user->stats().reconnects == 0u);
}

BOOST_AUTO_TEST_CASE(publishing_while_the_server_is_away_is_bounded) {
  Cell cell;
  auto server = cell.connect(Role::daemon);
  ::kill(cell.server->pid(), SIGSTOP);
  cell.server->release();
  const int pid = cell.server->pid();
  ::kill(pid, SIGKILL);
  BOOST_REQUIRE(eventually([&] { return !server->connected(); }));
  const std::string block(512 << 10, 'x');
  Status status;
  int accepted = 0;
  while (accepted < 100 &&
         (status = server->publish("reeve.c.stat.n", bytes_of(block))))
    ++accepted;
  BOOST_REQUIRE(!status.has_value());
  BOOST_TEST((status.error().code == Errc::busy), status.error().text);
  const int blocks = static_cast<int>(
      static_cast<std::size_t>(reconnect_buffer_bytes) / block.size());
  BOOST_TEST(accepted >= blocks / 2);
  BOOST_TEST(accepted <= blocks + 4);
}

// The library crashes when a subscription is destroyed while it receives.
BOOST_AUTO_TEST_CASE(connections_may_end_while_messages_arrive) {
  Cell cell;
  auto sender = cell.connect(Role::daemon, false);
  std::atomic<bool> done{false};
  std::thread load([&] {
    while (!done) {
      (void)sender->publish(cell.subjects.stat("n"), bytes_of("load"));
      if (sender->stats().published % 512 == 0) (void)sender->flush(patience);
    }
  });
  for (int cycle = 0; cycle < 40; ++cycle) {
    std::atomic<std::uint64_t> seen{0};
    std::atomic<bool> alive{true};
    std::atomic<int> after_end{0};
    auto receiver = cell.connect(Role::daemon);
    for (int i = 0; i < 3; ++i)
      BOOST_REQUIRE(receiver
                        ->subscribe(cell.subjects.stats(),
                                    [&](const Message&) {
                                      ++seen;
                                      if (!alive) ++after_end;
                                    })
                        .has_value());
    BOOST_REQUIRE(eventually([&] { return seen > 10; }));
    receiver.reset();
    alive = false;
    BOOST_TEST(after_end == 0);
  }
  done = true;
  load.join();
}

}  // namespace
}  // namespace reeve::bus::connection_test
