#include "store/index.hpp"

#include <boost/test/unit_test.hpp>
#include <cstring>

#include "store/database.hpp"
#include "store/test_log.hpp"

namespace index_test {

using namespace reeve;
using namespace reeve::store;
using namespace reeve::store::test;
namespace fs = std::filesystem;

namespace {

constexpr std::uint64_t entities = 7;

// Event n is of entity n mod 7, told by the bytes that test_log.hpp gives it.
void find(std::span<const std::byte> event, std::vector<Entity>& to) {
  std::uint64_t word = 0;
  std::memcpy(&word, event.data() + 8, 8);
  // The inverse of the multiplier, modulo 2^64.
  const std::uint64_t number = (word - 1) * 0xf1de83e19937733dull;
  to.push_back({'t', number % entities});
}

struct Indexed {
  TemporaryDirectory temporary;
  fs::path directory = temporary.path() / "log";
  std::unique_ptr<Log> log = must(Log::open(small_log(directory)));
  Indexed() { fill(*log, 100); }
};

std::vector<std::uint64_t> expected(std::uint64_t entity, std::uint64_t to) {
  std::vector<std::uint64_t> out;
  for (std::uint64_t at = 1; at <= to; ++at)
    if (at % entities == entity) out.push_back(at);
  return out;
}

void check(const LogReader& reader, std::uint64_t to) {
  for (std::uint64_t entity = 0; entity < entities; ++entity) {
    const auto indexed = must(reader.indexed({'t', entity}));
    BOOST_TEST(indexed.to == to);
    BOOST_TEST(indexed.events == expected(entity, to));
  }
  BOOST_TEST(must(reader.indexed({'t', 99})).events.empty());
  BOOST_TEST(must(reader.indexed({'u', 1})).events.empty());
}

}  // namespace

BOOST_FIXTURE_TEST_CASE(the_index_knows_the_events_of_each_entity, Indexed) {
  must(log->extend_index(100, find));
  // Runs end with a record: 102, then 204; the rest is less than a run.
  check(*log->reader(), 204);
  fill(*log, 10);
  must(log->extend_index(100, find));
  check(*log->reader(), 306);
  log.reset();
  check(*must(LogReader::open(directory)), 306);
}

BOOST_FIXTURE_TEST_CASE(a_log_without_an_index_has_nothing_indexed, Indexed) {
  check(*log->reader(), 0);
  must(log->extend_index(1'000, find));
  check(*log->reader(), 0);
}

BOOST_FIXTURE_TEST_CASE(an_index_that_names_no_record_of_the_log_is_ignored,
                        Indexed) {
  must(log->extend_index(100, find));
  log.reset();
  const auto database =
      must(Database::open(directory / "db", Access::read_write, {}));
  BOOST_TEST(must(index_end(*database)).sequence == 204u);
  // Another record with the same end.
  const auto events = make_events(1, 3);
  auto value = make_record_header({}, 202, 1, 3, events);
  std::string text(reinterpret_cast<const char*>(value.data()), value.size());
  text.append(reinterpret_cast<const char*>(events.data()), events.size());
  const RecordKey key = make_record_key(202);
  BOOST_TEST(database->db()
                 .Put({}, database->log(), {key.data(), key.size()}, text)
                 .ok());
  BOOST_TEST(must(index_end(*database)).sequence == 0u);
  // And none that ends there.
  BOOST_TEST(database->db()
                 .Delete({}, database->log(), {key.data(), key.size()})
                 .ok());
  BOOST_TEST(must(index_end(*database)).sequence == 0u);
}

}  // namespace index_test
