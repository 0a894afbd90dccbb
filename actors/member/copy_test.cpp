// A manager's log beside the cell's stream, with real servers and real logs.
#include "actors/member/copy.hpp"

#include <boost/test/unit_test.hpp>
#include <set>
#include <thread>

#include "actors/journal/core_reading.hpp"
#include "bus/jetstream.hpp"
#include "bus/jetstream_support.hpp"
#include "bus/verified.hpp"
#include "store/set_aside.hpp"
#include "store/test_log.hpp"

namespace reeve::member::copy_test {
namespace {

using bus::testing::JetStreamServers;
using store::test::must;
using store::test::TemporaryDirectory;
using Led = LogCopy::Led;

constexpr std::uint64_t from_start = 1;

// A manager: a log, the state of it, and the stream.
struct Manager {
  Manager(const JetStreamServers& servers, const std::filesystem::path& where,
          std::uint8_t id = 1)
      : log(must(store::Log::open(of_id(where, id)))),
        connection(servers.connect()),
        stream(must(bus::Stream::open(*connection, "c", options()))),
        client(*connection, bus::Subjects("c"), "reeved") {
    must(log->reader()->scan(from_start, log->head().sequence,
                             [&](const store::Record& record) {
                               follow(record.events);
                               return true;
                             }));
    copy.emplace(*log, *stream, client, [this](const schema::Event& event) {
      return core.follow(event);
    });
  }
  static store::LogOptions of_id(const std::filesystem::path& where,
                                 std::uint8_t id) {
    store::LogOptions how = store::test::small_log(where);
    how.new_log_id.emplace();
    how.new_log_id->fill(std::byte{id});
    return how;
  }
  static inline std::int64_t stream_bytes_max = 1 << 30;
  static bus::StreamOptions options() {
    bus::StreamOptions how;
    how.bytes_max = stream_bytes_max;
    how.open_timeout = bus::testing::patience;
    return how;
  }

  void follow(std::span<const std::byte> events) {
    must(store::for_each_event(events, [&](std::span<const std::byte> one) {
      must(core.follow(schema::event_of(one)));
    }));
  }
  manager::Batch beginning(
      std::uint64_t epoch,
      const std::vector<cluster::Healing>& healings = {}) const {
    return core.beginning("c", "root", 0, name, Epoch{epoch}, Time{epoch},
                          healings);
  }
  Led lead(std::uint64_t epoch) {
    const auto first = [&](const std::optional<LogCopy::Tail>& had) {
      tail = had;
      return beginning(epoch);
    };
    return must(copy->lead(first, stop)).outcome;
  }
  // A commit that the stream does not get, of one event and `more`; its bytes.
  std::size_t keep_alone(std::uint64_t epoch, std::size_t more = 0) {
    cluster::Healing healing;
    healing.manager = name;
    const manager::Batch batch =
        beginning(epoch, std::vector<cluster::Healing>(more, healing));
    must(log->append(epoch, batch.count, batch.events));
    follow(batch.events);
    return batch.events.size();
  }

  void lose_stream() {
    auto jetstream = must(bus::JetStream::open(*connection));
    BOOST_REQUIRE(jetstream->request("STREAM.DELETE.reeve-c", {},
                                     bus::testing::patience));
    stream_again = must(bus::Stream::open(*connection, "c", options()));
  }
  // Into the stream that is there after its loss, the first so many commits.
  void put_back(std::size_t commits) {
    stream_again->lead_after(0);
    must(log->reader()->scan(
        from_start, ~0ull, [&](const store::Record& record) {
          const auto header = store::record_header(record);
          std::vector<std::byte> value(header.begin(), header.end());
          value.insert(value.end(), record.events.begin(), record.events.end());
          must(stream_again->begin({record.epoch, record.last_sequence()},
                                   value));
          BOOST_REQUIRE((stream_again->wait(bus::testing::patience).kind ==
                         bus::StreamOutcome::Kind::stored));
          return --commits > 0;
        }));
  }
  // As the leader's journal answers who reads its log.
  void answer_log_reads() {
    reader = log->reader();
    must(bus::subscribe_verified<schema::LogRead>(
        *connection, bus::Subjects("c").log_read(), quarantine,
        [this](const schema::LogRead& read, const bus::Message& message) {
          must(connection->publish(
              message.reply,
              journal::answer_read(*reader, read, log->head().sequence)));
        }));
  }

  // Who reads a log holds it, too.
  void end() {
    copy.reset();
    log.reset();
  }

  std::unique_ptr<store::Log> log;
  std::unique_ptr<store::LogReader> reader;
  bus::Quarantine quarantine;
  std::unique_ptr<bus::Connection> connection;
  std::unique_ptr<bus::Stream> stream;
  std::unique_ptr<bus::Stream> stream_again;
  bus::Client client;
  manager::Core core{cluster::State{}, manager::Options{}};
  std::string name = "m1";
  std::atomic<bool> stop{false};
  std::optional<LogCopy::Tail> tail;  // of the last time that it led
  std::optional<LogCopy> copy;
};

struct Cell {
  JetStreamServers servers{1};
  TemporaryDirectory first;
  TemporaryDirectory second;
  Manager one{servers, first.path()};

  void level(const Manager& a, const Manager& b) {
    BOOST_TEST((a.log->head() == b.log->head()));
    BOOST_TEST(a.core.state().digest_hex() == b.core.state().digest_hex());
  }
};

BOOST_AUTO_TEST_SUITE(member_copy, *bus::testing::needs_jetstream())

BOOST_FIXTURE_TEST_CASE(an_empty_log_becomes_what_the_stream_has, Cell) {
  must(one.copy->read_to_end());
  BOOST_REQUIRE((one.lead(1) == Led::led));
  Manager two{servers, second.path()};
  must(two.copy->read_to_end());
  level(one, two);
  // And goes on with what comes.
  must(one.copy->read_to_end());
  BOOST_REQUIRE((one.lead(2) == Led::led));
  must(two.copy->read_to_end());
  level(one, two);
}

BOOST_FIXTURE_TEST_CASE(what_extends_the_stream_is_published_by_who_leads,
                        Cell) {
  must(one.copy->read_to_end());
  BOOST_REQUIRE((one.lead(1) == Led::led));
  one.keep_alone(2);
  Manager two{servers, second.path()};
  must(two.copy->read_to_end());
  BOOST_TEST(two.log->head().epoch == 1u);
  Manager again{servers, (one.end(), first.path())};
  must(again.copy->read_to_end());
  BOOST_TEST(!again.copy->divergence());
  BOOST_REQUIRE((again.lead(3) == Led::led));
  BOOST_REQUIRE(again.tail);
  BOOST_TEST(again.tail->first == two.log->head().sequence + 1);
  BOOST_TEST(again.tail->last == again.log->head().sequence - 1);
  BOOST_TEST(again.tail->epoch == 2u);
  must(two.copy->read_to_end());
  level(again, two);
}

BOOST_FIXTURE_TEST_CASE(of_two_who_lead_at_once_one_is_told, Cell) {
  must(one.copy->read_to_end());
  Manager two{servers, second.path()};
  must(two.copy->read_to_end());
  BOOST_TEST((one.lead(1) == Led::led));
  BOOST_TEST(!one.tail);
  BOOST_TEST((two.lead(2) == Led::moved));
  must(two.copy->read_to_end());
  level(one, two);
}

BOOST_FIXTURE_TEST_CASE(the_place_where_logs_part_is_found, Cell) {
  must(one.copy->read_to_end());
  BOOST_REQUIRE((one.lead(1) == Led::led));
  const std::uint64_t agreed = one.log->head().sequence;
  Manager two{servers, second.path()};
  must(two.copy->read_to_end());
  // Of these nobody else hears.
  for (std::uint64_t epoch = 2; epoch < 6; ++epoch) one.keep_alone(epoch);
  for (std::uint64_t epoch = 6; epoch < 16; ++epoch) {
    BOOST_REQUIRE((two.lead(epoch) == Led::led));
    must(two.copy->read_to_end());
  }
  Manager again{servers, (one.end(), first.path())};
  BOOST_TEST(!again.copy->read_to_end());
  BOOST_REQUIRE(again.copy->divergence());
  BOOST_TEST(again.copy->divergence()->from == agreed + 1);
  BOOST_TEST(again.copy->divergence()->why.find("goes on in epoch 6") !=
             std::string::npos);
}

// Servers lost one record, and the next begins within a commit of this log.
BOOST_FIXTURE_TEST_CASE(only_whole_commits_are_to_be_set_aside, Cell) {
  must(one.copy->read_to_end());
  BOOST_REQUIRE((one.lead(1) == Led::led));
  const std::uint64_t agreed = one.log->head().sequence;
  Manager two{servers, second.path()};
  must(two.copy->read_to_end());
  one.keep_alone(2, 3);
  for (std::uint64_t epoch = 6; epoch < 9; ++epoch) {
    BOOST_REQUIRE((two.lead(epoch) == Led::led));
    must(two.copy->read_to_end());
  }
  two.lose_stream();
  two.stream_again->lead_after(must(two.stream_again->head()).last_sequence);
  must(two.log->reader()->scan(
      from_start, two.log->head().sequence, [&](const store::Record& record) {
        if (record.epoch == 6) return true;
        const auto header = store::record_header(record);
        std::vector<std::byte> value(header.begin(), header.end());
        value.insert(value.end(), record.events.begin(), record.events.end());
        must(two.stream_again->begin({record.epoch, record.last_sequence()},
                                     value));
        const auto put = two.stream_again->wait(bus::testing::patience);
        BOOST_REQUIRE((put.kind == bus::StreamOutcome::Kind::stored));
        return true;
      }));
  two.answer_log_reads();
  Manager again{servers, (one.end(), first.path())};
  BOOST_TEST(!again.copy->read_to_end());
  BOOST_REQUIRE(again.copy->divergence());
  BOOST_TEST(again.copy->divergence()->from == agreed + 1);
  again.end();
  must(store::set_aside(first.path(), agreed + 1, "parted"));
}

// The stream is made anew, as by servers that lost their data.
BOOST_FIXTURE_TEST_CASE(what_a_stream_lost_is_put_there_again, Cell) {
  must(one.copy->read_to_end());
  for (std::uint64_t epoch = 1; epoch < 4; ++epoch) {
    BOOST_REQUIRE((one.lead(epoch) == Led::led));
    must(one.copy->read_to_end());
  }
  Manager two{servers, second.path()};
  must(two.copy->read_to_end());
  one.lose_stream();
  const auto begun = std::chrono::steady_clock::now();
  BOOST_TEST((one.lead(4) == Led::moved));
  // Not before, for who was away may have answered.
  BOOST_TEST((std::chrono::steady_clock::now() - begun >= bus::shortened_wait));
  BOOST_REQUIRE(bus::testing::eventually(
      [&] { return one.copy->read_to_end().has_value(); }));
  BOOST_REQUIRE((one.lead(4) == Led::led));
  BOOST_REQUIRE(bus::testing::eventually(
      [&] { return two.copy->read_to_end().has_value(); }));
  level(one, two);
}

// A stream of more records than are fetched at once, of which some go while
// the first is read.
struct ReadMeanwhile : Cell {
  ReadMeanwhile() {
    must(one.copy->read_to_end());
    BOOST_REQUIRE((one.lead(1) == Led::led));
    std::uint64_t epoch = 1;
    while (epoch < 2 * bus::fetch_records_max) one.keep_alone(++epoch);
    one.end();
    leader.emplace(servers, first.path());
    must(leader->copy->read_to_end());
    BOOST_REQUIRE((leader->lead(++epoch) == Led::led));
    two.emplace(servers, second.path());
  }

  void read_while(const std::function<void()>& lose) {
    bool is_lost = false;
    two->copy.emplace(*two->log, *two->stream, two->client,
                      [&](const schema::Event& event) {
                        if (!std::exchange(is_lost, true)) lose();
                        return two->core.follow(event);
                      });
    const auto begin = std::chrono::steady_clock::now();
    BOOST_TEST(!two->copy->read_to_end());
    BOOST_TEST(is_lost);
    BOOST_TEST((std::chrono::steady_clock::now() - begin <
                bus::shortened_wait + bus::testing::patience));
    BOOST_TEST(two->log->head().sequence < leader->log->head().sequence);
  }

  std::optional<Manager> leader;
  std::optional<Manager> two;
};

BOOST_FIXTURE_TEST_CASE(a_stream_that_goes_while_it_is_read_is_given_up,
                        ReadMeanwhile) {
  read_while([&] { leader->lose_stream(); });
}

// What was there as it began to read, and never comes, is not waited for.
BOOST_FIXTURE_TEST_CASE(an_end_that_goes_while_it_is_read_is_given_up,
                        ReadMeanwhile) {
  read_while([&] {
    leader->lose_stream();
    leader->put_back(bus::fetch_records_max);
  });
}

// The stream keeps so little that the place is gone from it.
struct SmallStream : Cell {
  static constexpr std::int64_t small_bytes = 4'000;
  static constexpr std::uint64_t last_epoch = 60;
  SmallStream() { Manager::stream_bytes_max = small_bytes; }
  ~SmallStream() { Manager::stream_bytes_max = 1 << 30; }

  // `one` keeps commits alone, while `two` leads on.
  std::uint64_t part(Manager& two) {
    must(one.copy->read_to_end());
    BOOST_REQUIRE((one.lead(1) == Led::led));
    const std::uint64_t agreed = one.log->head().sequence;
    must(two.copy->read_to_end());
    for (std::uint64_t epoch = 2; epoch < 6; ++epoch) one.keep_alone(epoch);
    for (std::uint64_t epoch = 6; epoch < last_epoch; ++epoch) {
      BOOST_REQUIRE((two.lead(epoch) == Led::led));
      must(two.copy->read_to_end());
    }
    BOOST_REQUIRE_GT(must(two.stream->head()).first_sequence, 10u);
    return agreed;
  }
};

BOOST_FIXTURE_TEST_CASE(a_place_that_the_stream_lost_is_found_at_the_leader,
                        SmallStream) {
  Manager two{servers, second.path()};
  const std::uint64_t agreed = part(two);
  // Nobody tells where: it is asked for again.
  {
    Manager alone{servers, (one.end(), first.path())};
    const Status unknown = alone.copy->read_to_end();
    BOOST_REQUIRE(!unknown);
    BOOST_TEST((unknown.error().code == Errc::unreachable));
    BOOST_TEST(!alone.copy->divergence());
  }
  two.answer_log_reads();
  {
    Manager again{servers, first.path()};
    BOOST_TEST(!again.copy->read_to_end());
    BOOST_REQUIRE(again.copy->divergence());
    BOOST_TEST(again.copy->divergence()->from == agreed + 1);
    BOOST_TEST(again.copy->divergence()->why.find("goes on in epoch 6") !=
               std::string::npos);
  }
  // Set aside, the rest is the leader's.
  must(store::set_aside(first.path(), agreed + 1, "parted"));
  Manager healed{servers, first.path()};
  must(healed.copy->read_to_end());
  level(healed, two);
}

BOOST_FIXTURE_TEST_CASE(a_log_of_another_cell_is_not_set_aside, SmallStream) {
  Manager two{servers, second.path()};
  part(two);
  two.answer_log_reads();
  TemporaryDirectory third;
  Manager other{servers, third.path()};
  other.name = "elsewhere";
  for (std::uint64_t epoch = 1; epoch < 6; ++epoch) other.keep_alone(epoch);
  const Status refused = other.copy->read_to_end();
  BOOST_REQUIRE(!refused);
  BOOST_TEST(!other.copy->divergence());
  BOOST_TEST(refused.error().text.find("it is of another cell") !=
             std::string::npos);
}

BOOST_FIXTURE_TEST_CASE(an_empty_log_wants_the_id_of_the_cell_s, Cell) {
  must(one.copy->read_to_end());
  BOOST_REQUIRE((one.lead(1) == Led::led));
  Manager two{servers, second.path(), 2};
  BOOST_TEST(!two.copy->read_to_end());
  BOOST_REQUIRE(two.copy->wanted_id());
  BOOST_TEST((*two.copy->wanted_id() == one.log->reader()->log_id()));
  BOOST_TEST(two.log->head().sequence == 0u);
  // One that has events keeps its own.
  TemporaryDirectory third;
  Manager three{servers, third.path(), 3};
  three.keep_alone(1);
  BOOST_TEST(!three.copy->wanted_id());
}

// A cell of one manager that becomes several: its history is in no stream.
BOOST_FIXTURE_TEST_CASE(what_the_stream_never_had_comes_from_the_leader, Cell) {
  for (std::uint64_t epoch = 1; epoch < 5; ++epoch) one.keep_alone(epoch);
  must(one.copy->read_to_end());
  BOOST_REQUIRE((one.lead(5) == Led::led));
  Manager two{servers, second.path()};
  const Status alone = two.copy->read_to_end();
  BOOST_REQUIRE(!alone);
  BOOST_TEST((alone.error().code == Errc::unreachable));
  one.answer_log_reads();
  must(two.copy->read_to_end());
  level(one, two);
}

// Whoever calls can end in between, and tell how far it is.
BOOST_FIXTURE_TEST_CASE(a_long_history_comes_in_parts, Cell) {
  std::uint64_t epoch = 0;
  for (std::size_t bytes = 0; bytes < 3 * journal::chunk_bytes_max;)
    bytes += one.keep_alone(++epoch, 200);
  const std::uint64_t history = one.log->head().sequence;
  must(one.copy->read_to_end());
  BOOST_REQUIRE((one.lead(++epoch) == Led::led));
  one.answer_log_reads();
  Manager two{servers, second.path()};
  // Nor does a candidate that reads the stream take all at once.
  const Status long_read = two.copy->read_to_end();
  BOOST_REQUIRE(!long_read);
  BOOST_TEST((long_read.error().code == Errc::unreachable));
  BOOST_TEST(two.copy->has_gap());
  std::set<std::uint64_t> heads{two.log->head().sequence};
  BOOST_TEST(*heads.begin() < history);
  BOOST_REQUIRE(bus::testing::eventually([&] {
    const bool stepped =
        two.copy->step(std::chrono::milliseconds(50)).has_value();
    heads.insert(two.log->head().sequence);
    return stepped && two.log->head() == one.log->head();
  }));
  BOOST_TEST(heads.size() > 3u);
  BOOST_TEST(!two.copy->has_gap());
  level(one, two);
}

BOOST_FIXTURE_TEST_CASE(who_ends_reads_the_stream_no_further, Cell) {
  must(one.copy->read_to_end());
  BOOST_REQUIRE((one.lead(1) == Led::led));
  Manager two{servers, second.path()};
  two.stop = true;
  BOOST_TEST(!two.copy->read_to_end(&two.stop));
  BOOST_TEST(two.log->head().sequence == 0u);
  two.stop = false;
  must(two.copy->read_to_end(&two.stop));
  level(one, two);
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace
}  // namespace reeve::member::copy_test
