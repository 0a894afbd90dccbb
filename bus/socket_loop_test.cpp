// How connections read and write: handlers on the reading thread, queued
// messages, and a server that does not keep up.
#include "bus/socket_loop.hpp"

#include <arpa/inet.h>
#include <fmt/format.h>
#include <netinet/in.h>
#include <signal.h>
#include <sys/socket.h>
#include <unistd.h>

#include <atomic>
#include <boost/test/unit_test.hpp>
#include <mutex>
#include <set>
#include <thread>

#include "bus/nkey.hpp"
#include "bus/subject.hpp"
#include "bus/test_support.hpp"

namespace reeve::bus::socket_loop_test {
namespace {

using testing::bytes_of;
using testing::Cell;
using testing::eventually;
using testing::patience;
using testing::text_of;

std::unique_ptr<Connection> on_reader(const Cell& cell) {
  auto options = cell.options(Role::daemon);
  options.handlers_on_reader = true;
  auto connection = Connection::connect(options);
  BOOST_REQUIRE(connection.has_value());
  return std::move(*connection);
}

// Texts that arrived, in their order.
struct Heard {
  void operator()(const Message& message) {
    const std::lock_guard lock(mutex);
    texts.push_back(text_of(message.data));
    threads.insert(std::this_thread::get_id());
  }
  std::size_t count() {
    const std::lock_guard lock(mutex);
    return texts.size();
  }
  std::mutex mutex;
  std::vector<std::string> texts;
  std::set<std::thread::id> threads;
};

// Queues a thousand numbers; says whether they stayed until they were sent.
bool stays_until_sent(Connection& sender, const Cell& cell, Heard& heard) {
  const std::size_t before = heard.count();
  for (std::size_t i = before; i < before + 1000; ++i)
    BOOST_REQUIRE(
        sender.queue(cell.subjects.stat("n"), bytes_of(std::to_string(i)))
            .has_value());
  std::this_thread::sleep_for(std::chrono::milliseconds(50));
  const bool stayed = heard.count() == before;
  sender.send();
  BOOST_REQUIRE(eventually([&] { return heard.count() == before + 1000; }));
  return stayed;
}

BOOST_AUTO_TEST_CASE(what_is_queued_leaves_when_it_is_sent_and_in_order) {
  for (const bool low_latency : {true, false}) {
    Cell cell;
    auto listener = cell.connect(Role::daemon);
    auto sender = cell.connect(Role::daemon, low_latency);
    Heard heard;
    BOOST_REQUIRE(listener->subscribe(cell.subjects.stats(), std::ref(heard))
                      .has_value());
    BOOST_REQUIRE(listener->flush(patience).has_value());
    // Not each time: what the loop does for a new connection, or a question of
    // the server's, takes along what is queued.
    bool stayed = false;
    for (int attempt = 0; attempt < 20 && !stayed; ++attempt)
      stayed = stays_until_sent(*sender, cell, heard);
    BOOST_TEST(stayed);
    for (std::size_t i = 0; i < heard.texts.size(); ++i)
      BOOST_REQUIRE(heard.texts[i] == std::to_string(i));
  }
}

BOOST_AUTO_TEST_CASE(handlers_on_the_reader_share_its_thread_and_miss_nothing) {
  Cell cell;
  auto listener = on_reader(cell);
  auto sender = cell.connect(Role::daemon, false);
  Heard heard;
  for (const auto& pattern : {cell.subjects.stats(), cell.subjects.queries()})
    BOOST_REQUIRE(listener->subscribe(pattern, std::ref(heard)).has_value());
  BOOST_REQUIRE(listener->flush(patience).has_value());
  constexpr int count = 100'000;  // more than a subscription may hold
  for (int i = 0; i < count; ++i) {
    const auto subject =
        i % 10 == 0 ? cell.subjects.query("local") : cell.subjects.stat("n");
    BOOST_REQUIRE(
        sender->publish(subject, bytes_of(std::to_string(i))).has_value());
  }
  BOOST_REQUIRE(eventually([&] { return heard.count() == count; }));
  BOOST_TEST(heard.threads.size() == 1u);
  BOOST_TEST(listener->stats().dropped == 0u);
  int last = -1;
  for (const auto& text : heard.texts) {
    const int number = std::stoi(text);
    if (number % 10 == 0) continue;
    BOOST_REQUIRE(number > last);
    last = number;
  }
}

BOOST_AUTO_TEST_CASE(a_handler_on_the_reader_answers_and_comes_back) {
  Cell cell;
  auto server = on_reader(cell);
  const auto status =
      server->subscribe(cell.subjects.queries(), [&](const Message& message) {
        (void)server->publish(message.reply, message.data);
      });
  BOOST_REQUIRE(status.has_value());
  BOOST_REQUIRE(server->flush(patience).has_value());
  auto client = on_reader(cell);
  const auto asks = [&](std::string_view text) {
    const auto answer =
        client->request(cell.subjects.query("local"), bytes_of(text),
                        std::chrono::milliseconds(500));
    return answer.has_value() && text_of(*answer) == text;
  };
  BOOST_TEST(eventually([&] { return asks("once"); }));
  ::kill(cell.server->pid(), SIGKILL);
  BOOST_REQUIRE(eventually([&] { return cell.server->restarts() == 1; }));
  BOOST_TEST(eventually([&] { return asks("again"); }));
  BOOST_TEST(server->stats().reconnects >= 1u);
}

BOOST_AUTO_TEST_CASE(a_reader_with_handlers_may_end_while_messages_arrive) {
  Cell cell;
  auto sender = cell.connect(Role::daemon, false);
  std::atomic<bool> done{false};
  std::thread load([&] {
    while (!done)
      (void)sender->publish(cell.subjects.stat("n"), bytes_of("load"));
  });
  for (int cycle = 0; cycle < 40; ++cycle) {
    std::atomic<std::uint64_t> seen{0};
    auto receiver = on_reader(cell);
    BOOST_REQUIRE(
        receiver
            ->subscribe(cell.subjects.stats(), [&](const Message&) { ++seen; })
            .has_value());
    BOOST_REQUIRE(eventually([&] { return seen > 10; }));
    receiver.reset();
    const auto before = seen.load();
    std::this_thread::yield();
    BOOST_TEST(seen == before);
  }
  done = true;
  load.join();
}

BOOST_AUTO_TEST_CASE(who_publishes_more_than_the_server_takes_waits) {
  Cell cell;
  auto listener = on_reader(cell);
  auto sender = cell.connect(Role::daemon, false);
  std::atomic<int> heard{0};
  BOOST_REQUIRE(
      listener
          ->subscribe(cell.subjects.stats(), [&](const Message&) { ++heard; })
          .has_value());
  BOOST_REQUIRE(listener->flush(patience).has_value());
  ::kill(cell.server->pid(), SIGSTOP);
  constexpr int blocks = 200;
  std::atomic<int> published{0};
  std::thread publisher([&] {
    const std::string block(256 << 10, 'x');
    for (; published < blocks; ++published)
      (void)sender->publish(cell.subjects.stat("n"), bytes_of(block));
  });
  std::this_thread::sleep_for(std::chrono::milliseconds(500));
  // The bound, and what the kernel holds for the socket.
  BOOST_TEST(published <= 100);
  BOOST_TEST(published >= write_buffer_bytes_max / (256 << 10));
  ::kill(cell.server->pid(), SIGCONT);
  publisher.join();
  BOOST_TEST(eventually([&] { return heard == blocks; }));
}

// As much of a server as it takes to break off in the middle of a message.
class BrokenServer {
 public:
  BrokenServer() : listener_(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t size = sizeof address;
    auto* where = reinterpret_cast<sockaddr*>(&address);
    BOOST_REQUIRE(::bind(listener_, where, size) == 0);
    BOOST_REQUIRE(::listen(listener_, 4) == 0);
    BOOST_REQUIRE(::getsockname(listener_, where, &size) == 0);
    port_ = ntohs(address.sin_port);
  }
  ~BrokenServer() {
    ::close(peer_);
    ::close(listener_);
  }

  std::string url() const { return fmt::format("nats://127.0.0.1:{}", port_); }
  // The next connection is let in and subscribes.
  void let_in() {
    ::close(peer_);
    peer_ = ::accept4(listener_, nullptr, nullptr, SOCK_CLOEXEC);
    BOOST_REQUIRE(peer_ >= 0);
    say(
        fmt::format("INFO {{\"server_id\":\"s\",\"version\":\"2.10.0\","
                    "\"proto\":1,\"host\":\"127.0.0.1\",\"port\":{},"
                    "\"headers\":true,\"max_payload\":1048576,"
                    "\"auth_required\":true,\"nonce\":\"abcdefgh\"}}\r\n",
                    port_));
    std::string heard;
    // What it sends in one go ends with a PING, and so does its flush.
    for (bool subscribed = false; !subscribed;) {
      char bytes[4096];
      const auto count = ::recv(peer_, bytes, sizeof bytes, 0);
      if (count <= 0) return;
      heard.append(bytes, static_cast<std::size_t>(count));
      subscribed = heard.find("SUB ") != std::string::npos;
      for (std::size_t at = 0;
           (at = heard.find("PING\r\n", at)) != std::string::npos;
           heard.erase(at, 6))
        say("PONG\r\n");
    }
    const std::size_t line = heard.find("SUB ");
    const std::size_t end = heard.find("\r\n", line);
    id_ = heard.substr(heard.rfind(' ', end) + 1,
                       end - heard.rfind(' ', end) - 1);
  }
  // The beginning of a message of so many bytes.
  void begin_message(std::string_view subject, std::size_t bytes,
                     std::string_view begin) {
    say(fmt::format("MSG {} {} {}\r\n{}", subject, id_, bytes, begin));
  }
  void say(std::string_view text) const {
    (void)::send(peer_, text.data(), text.size(), MSG_NOSIGNAL);
  }
  void break_off() { ::close(std::exchange(peer_, -1)); }

 private:
  int listener_ = -1;
  int peer_ = -1;
  int port_ = 0;
  std::string id_;
};

BOOST_AUTO_TEST_CASE(a_message_that_broke_off_is_not_ended_by_what_comes_next) {
  BrokenServer server;
  ConnectionOptions options;
  options.credentials = {
      {server.url()}, "reeved", make_user_key().seed, "main", ""};
  const std::string subject = Subjects("main").stat("n");
  Heard heard;
  std::unique_ptr<Connection> connection;
  std::thread connecting([&] {
    auto made = Connection::connect(options);
    if (!made) return;
    connection = std::move(*made);
    (void)connection->subscribe(subject, std::ref(heard));
  });
  server.let_in();
  connecting.join();
  BOOST_REQUIRE(connection);
  server.begin_message(subject, 5, "first\r\n");
  BOOST_REQUIRE(eventually([&] { return heard.count() == 1; }));
  // In its words, and in the line before them.
  for (const std::string_view begin : {"half", ""}) {
    if (begin.empty())
      server.say(fmt::format("MSG {} ", subject));
    else
      server.begin_message(subject, 30, begin);
    std::this_thread::sleep_for(std::chrono::milliseconds(100));
    const std::size_t before = heard.count();
    server.break_off();
    server.let_in();
    server.begin_message(subject, 4, "next\r\n");
    server.begin_message(subject, 4, "last\r\n");
    BOOST_REQUIRE(eventually([&] { return heard.count() >= before + 2; }));
    BOOST_TEST(heard.texts[before] == "next");
    BOOST_TEST(heard.texts[before + 1] == "last");
    BOOST_TEST(heard.count() == before + 2);
  }
}

}  // namespace
}  // namespace reeve::bus::socket_loop_test
