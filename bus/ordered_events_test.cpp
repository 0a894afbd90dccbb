#include "bus/ordered_events.hpp"

#include <signal.h>

#include <algorithm>
#include <atomic>
#include <boost/test/unit_test.hpp>
#include <mutex>

#include "bus/quarantine.hpp"
#include "bus/test_support.hpp"
#include "bus/verified.hpp"

namespace reeve::bus::ordered_events_test {
namespace {

using std::chrono::milliseconds;
using testing::Cell;
using testing::eventually;
using testing::make_event;
using testing::patience;

// Stands for the journal: a log of `head` events.
class Journal {
 public:
  Journal(Connection& connection, const Subjects& subjects,
          std::uint64_t head_now)
      : head(head_now), connection_(connection), subjects_(subjects) {
    serve(subjects.log_read(), &Journal::read);
    serve(subjects.log_head(), &Journal::tell_head);
    BOOST_REQUIRE(connection.flush(patience).has_value());
  }

  // Into the log, and onto the bus unless `lost`.
  void commit(bool lost = false) {
    const std::uint64_t sequence = ++head;
    if (!lost) publish(sequence);
  }
  void publish(std::uint64_t sequence) {
    const Buffer event = make_event(sequence);
    (void)connection_.publish(subjects_.event(schema::event_of(event)), event);
  }

  std::atomic<std::uint64_t> head;
  std::atomic<std::uint64_t> reads{0};
  std::atomic<std::uint64_t> head_reads{0};
  // At most this many events go into one answer.
  static constexpr std::uint64_t chunk_events_max = 100;

 private:
  using Serve = Buffer (Journal::*)(const schema::LogRead&);

  void serve(const std::string& subject, Serve make) {
    const auto status = subscribe_verified<schema::LogRead>(
        connection_, subject, quarantine_,
        [this, make](const schema::LogRead& asked, const Message& message) {
          (void)connection_.publish(message.reply, (this->*make)(asked));
        });
    BOOST_REQUIRE(status.has_value());
  }
  Buffer read(const schema::LogRead& asked) {
    ++reads;
    const std::uint64_t last = std::min(
        {asked.to_seq(), head.load(), asked.from_seq() + chunk_events_max - 1});
    return testing::make_log_chunk(head, asked.from_seq(), last);
  }
  Buffer tell_head(const schema::LogRead&) {
    ++head_reads;
    return testing::make_log_chunk(head, 1, 0);
  }

  Connection& connection_;
  const Subjects& subjects_;
  Quarantine quarantine_;
};

struct Subscriber {
  Subscriber(Cell& cell, EventFeedOptions options)
      : connection(cell.connect(Role::user)) {
    options.retry = {milliseconds(50), milliseconds(500)};
    options.on_error = [this](const Error& error) {
      const std::lock_guard lock(mutex);
      errors.push_back(error);
    };
    auto opened = EventFeed::open(
        *connection, cell.subjects, quarantine,
        [this](const schema::Event& event, const Buffer&) {
          const std::lock_guard lock(mutex);
          seen.push_back(event.seq());
        },
        options);
    BOOST_REQUIRE(opened.has_value());
    feed = std::move(*opened);
    // What is published from here on finds it listening.
    BOOST_REQUIRE(connection->flush(patience).has_value());
  }

  bool has_all(std::uint64_t from, std::uint64_t to) {
    const bool enough = eventually([&] {
      const std::lock_guard lock(mutex);
      return seen.size() >= to + 1 - from;
    });
    const std::lock_guard lock(mutex);
    if (!enough || seen.size() != to + 1 - from) return false;
    for (std::size_t i = 0; i < seen.size(); ++i)
      if (seen[i] != from + i) return false;
    return true;
  }

  std::unique_ptr<Connection> connection;
  Quarantine quarantine;
  std::mutex mutex;
  std::vector<std::uint64_t> seen;
  std::vector<Error> errors;
  std::unique_ptr<EventFeed> feed;  // ends first
};

BOOST_AUTO_TEST_CASE(a_feed_reads_the_log_and_then_follows_the_bus) {
  Cell cell;
  auto daemon = cell.connect(Role::daemon);
  Journal journal(*daemon, cell.subjects, 250);
  Subscriber subscriber(cell, {.from_sequence = 11});
  BOOST_TEST(subscriber.has_all(11, 250));
  for (int i = 0; i < 50; ++i) journal.commit();
  BOOST_TEST(subscriber.has_all(11, 300));
}

BOOST_AUTO_TEST_CASE(a_feed_from_now_on_begins_after_the_head) {
  Cell cell;
  auto daemon = cell.connect(Role::daemon);
  Journal journal(*daemon, cell.subjects, 250);
  Subscriber subscriber(cell, {.from_sequence = 0});
  BOOST_REQUIRE(
      eventually([&] { return subscriber.feed->next_sequence() == 251; }));
  for (int i = 0; i < 10; ++i) journal.commit();
  BOOST_TEST(subscriber.has_all(251, 260));
}

BOOST_AUTO_TEST_CASE(what_the_bus_lost_is_read_from_the_log) {
  Cell cell;
  auto daemon = cell.connect(Role::daemon);
  Journal journal(*daemon, cell.subjects, 0);
  // No help from the periodic look at the head.
  Subscriber subscriber(cell, {.head_interval = patience * 10});
  BOOST_REQUIRE(eventually([&] { return journal.head_reads == 1; }));
  for (int i = 1; i <= 500; ++i) journal.commit(i % 7 < 3 && i != 500);
  BOOST_TEST(subscriber.has_all(1, 500));
  BOOST_TEST(subscriber.feed->counters().gaps > 0u);
  BOOST_TEST(journal.reads > 0u);
}

BOOST_AUTO_TEST_CASE(a_loss_at_the_very_end_is_found_by_asking_for_the_head) {
  Cell cell;
  auto daemon = cell.connect(Role::daemon);
  Journal journal(*daemon, cell.subjects, 3);
  Subscriber subscriber(cell, {.head_interval = milliseconds(50)});
  BOOST_REQUIRE(subscriber.has_all(1, 3));
  for (int i = 0; i < 5; ++i) journal.commit(true);
  BOOST_TEST(subscriber.has_all(1, 8));
}

BOOST_AUTO_TEST_CASE(duplicates_on_the_bus_are_delivered_once) {
  Cell cell;
  auto daemon = cell.connect(Role::daemon);
  Journal journal(*daemon, cell.subjects, 0);
  Subscriber subscriber(cell, {});
  for (std::uint64_t i = 1; i <= 100; ++i) {
    journal.commit();
    journal.publish(i);
    journal.publish(std::max<std::uint64_t>(i / 2, 1));
  }
  BOOST_TEST(subscriber.has_all(1, 100));
  BOOST_TEST(eventually(
      [&] { return subscriber.feed->counters().duplicates >= 200; }));
  BOOST_TEST(subscriber.has_all(1, 100));
}

BOOST_AUTO_TEST_CASE(a_feed_goes_on_after_the_death_of_the_server) {
  Cell cell;
  auto daemon = cell.connect(Role::daemon);
  Journal journal(*daemon, cell.subjects, 0);
  Subscriber subscriber(cell, {.head_interval = milliseconds(200)});
  for (int i = 0; i < 300; ++i) {
    journal.commit();
    if (i == 100) ::kill(cell.server->pid(), SIGKILL);
  }
  BOOST_TEST(subscriber.has_all(1, 300));
}

BOOST_AUTO_TEST_CASE(malformed_events_are_quarantined_and_the_rest_goes_on) {
  Cell cell;
  auto daemon = cell.connect(Role::daemon);
  Journal journal(*daemon, cell.subjects, 0);
  Subscriber subscriber(cell, {});
  journal.commit();
  const Buffer whole = make_event(2);
  for (std::size_t size = 0; size < whole.size(); size += 5)
    BOOST_REQUIRE(daemon
                      ->publish("reeve.c.evt.session.7.task_started",
                                whole.bytes().first(size))
                      .has_value());
  journal.commit();
  BOOST_TEST(subscriber.has_all(1, 2));
  BOOST_TEST(eventually(
      [&] { return subscriber.quarantine.count() == (whole.size() + 4) / 5; }));
}

BOOST_AUTO_TEST_CASE(a_log_that_went_back_is_reported) {
  Cell cell;
  auto daemon = cell.connect(Role::daemon);
  Journal journal(*daemon, cell.subjects, 20);
  Subscriber subscriber(cell, {.head_interval = milliseconds(50)});
  BOOST_REQUIRE(subscriber.has_all(1, 20));
  journal.head = 5;
  BOOST_TEST(eventually([&] {
    const std::lock_guard lock(subscriber.mutex);
    return !subscriber.errors.empty() &&
           subscriber.errors.back().code == Errc::damaged;
  }));
}

BOOST_AUTO_TEST_CASE(one_session_s_events_come_without_refilling) {
  Cell cell;
  auto daemon = cell.connect(Role::daemon);
  auto user = cell.connect(Role::user);
  Quarantine quarantine;
  std::mutex mutex;
  std::vector<std::uint64_t> seen;
  BOOST_REQUIRE(subscribe_unordered_events(
                    *user, cell.subjects.events_of_session(7), quarantine,
                    [&](const schema::Event& event, const Buffer&) {
                      const std::lock_guard lock(mutex);
                      seen.push_back(event.seq());
                    })
                    .has_value());
  BOOST_REQUIRE(user->flush(patience).has_value());
  for (std::uint64_t i = 1; i <= 20; ++i) {
    const Buffer event = make_event(i, i % 2 == 0 ? 7 : 8);
    BOOST_REQUIRE(
        daemon->publish(cell.subjects.event(schema::event_of(event)), event)
            .has_value());
  }
  BOOST_TEST(eventually([&] {
    const std::lock_guard lock(mutex);
    return seen.size() == 10;
  }));
  for (const std::uint64_t sequence : seen) BOOST_TEST(sequence % 2 == 0u);
}

}  // namespace
}  // namespace reeve::bus::ordered_events_test
