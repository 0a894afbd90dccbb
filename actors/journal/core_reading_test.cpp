#include "actors/journal/core_reading.hpp"

#include <boost/test/unit_test.hpp>

#include "store/test_log.hpp"

namespace core_reading_test {

using namespace reeve;
using namespace reeve::journal;
using store::Head;
using store::Record;

namespace {

// Records in memory, as a reader of a log gives them.
struct Records {
  std::vector<std::vector<std::byte>> events;
  std::vector<Record> records;

  void add(std::uint32_t count, std::size_t event_bytes = 256) {
    const std::uint64_t first =
        records.empty() ? 1 : records.back().last_sequence() + 1;
    events.push_back(store::test::make_events(first, count, event_bytes));
    Record record{first, 3, count, {}, events.back()};
    record.hash = store::chain_hash(
        records.empty() ? store::Hash{} : records.back().hash, record);
    records.push_back(record);
  }
  std::uint64_t head() const { return records.back().last_sequence(); }

  Status scan(std::uint64_t from, std::uint64_t to,
              const std::function<bool(const Record&)>& visit) {
    for (const Record& record : records)
      if (record.last_sequence() >= from && record.first_sequence <= to &&
          !visit(record))
        break;
    return {};
  }

  // An answer, verified as one that came from the bus.
  const schema::LogChunk& read(std::uint64_t from, std::uint64_t to,
                               std::uint32_t bytes_max, bool whole_records) {
    flatbuffers::FlatBufferBuilder builder;
    builder.Finish(
        schema::CreateLogRead(builder, from, to, bytes_max, whole_records));
    const auto bytes = answer_read(
        *this,
        *flatbuffers::GetRoot<schema::LogRead>(builder.GetBufferPointer()),
        head());
    answer.resize(bytes.size() / 8 + 1);
    std::memcpy(answer.data(), bytes.data(), bytes.size());
    const auto* chunk = schema::verified<schema::LogChunk>(
        std::as_bytes(std::span(answer)).first(bytes.size()));
    BOOST_REQUIRE(chunk);
    return *chunk;
  }
  std::vector<std::uint64_t> answer;  // aligned
};

std::span<const std::byte> bytes_of(const flatbuffers::Vector<uint8_t>& list) {
  return std::as_bytes(std::span(list.data(), list.size()));
}

// The records of an answer, which has to be whole and aligned.
std::vector<Record> records_of(const schema::LogChunk& chunk) {
  std::vector<Record> out;
  BOOST_REQUIRE(chunk.records());
  const Status whole = store::for_each_in_run(
      chunk.first_seq(), bytes_of(*chunk.records()),
      [&](const Record& record, std::span<const std::byte>) {
        BOOST_TEST(reinterpret_cast<std::uintptr_t>(record.events.data()) % 8 ==
                   0u);
        out.push_back(record);
      });
  BOOST_REQUIRE_MESSAGE(whole, whole.error().text);
  return out;
}

}  // namespace

BOOST_AUTO_TEST_CASE(events_are_given_from_the_first_that_is_asked_for) {
  Records log;
  for (int i = 0; i < 4; ++i) log.add(3);
  const auto& chunk = log.read(5, 8, 0, false);
  BOOST_TEST(chunk.head_seq() == 12u);
  BOOST_TEST(chunk.first_seq() == 5u);
  BOOST_TEST(chunk.count() == 4u);
  BOOST_TEST(chunk.events()->size() == 4 * 256u);
  BOOST_TEST(chunk.records() == nullptr);
  BOOST_TEST(chunk.error() == nullptr);
}

BOOST_AUTO_TEST_CASE(records_are_given_whole_and_prove_themselves) {
  Records log;
  for (int i = 0; i < 4; ++i) log.add(3);
  const auto& chunk = log.read(5, 8, 0, true);
  BOOST_TEST(chunk.first_seq() == 4u);
  BOOST_TEST(chunk.count() == 6u);
  BOOST_TEST(chunk.events() == nullptr);
  const auto records = records_of(chunk);
  BOOST_REQUIRE_EQUAL(records.size(), 2u);
  BOOST_TEST((head_of(records[1]) == head_of(log.records[2])));
  BOOST_TEST(
      (store::chain_hash(log.records[0].hash, records[0]) == records[0].hash));
  BOOST_TEST(
      (store::chain_hash(records[0].hash, records[1]) == records[1].hash));
}

BOOST_AUTO_TEST_CASE(records_end_before_the_bound_of_an_answer) {
  Records log;
  for (int i = 0; i < 9; ++i) log.add(100, 1'000);
  const auto& some = log.read(1, 0, 250'000, true);
  BOOST_TEST(records_of(some).size() == 2u);
  BOOST_TEST(some.count() == 200u);
  const auto& most = log.read(201, 0, 0, true);
  BOOST_TEST(most.records()->size() <= chunk_bytes_max);
  BOOST_TEST(records_of(most).size() == 5u);
  // One is always given.
  BOOST_TEST(records_of(log.read(1, 0, 1, true)).size() == 1u);
}

BOOST_AUTO_TEST_CASE(the_largest_commit_of_several_managers_fits_an_answer) {
  Records log;
  log.add(1);
  constexpr std::size_t event = 8'192;
  log.add(cluster::shared_commit_bytes_max / event, event);
  BOOST_TEST(log.records[1].events.size() > chunk_bytes_max);
  const auto& chunk = log.read(2, 0, 0, true);
  BOOST_TEST(records_of(chunk).size() == 1u);
  BOOST_TEST(chunk.error() == nullptr);
}

BOOST_AUTO_TEST_CASE(a_record_that_fits_no_message_is_told) {
  Records log;
  log.add(1);
  // With its length and header 8 bytes above record_in_chunk_bytes_max.
  const std::size_t rest =
      record_in_chunk_bytes_max - store::record_header_bytes - 8;
  log.add(1, rest + 8);
  log.add(1);
  // What goes before it is given first.
  BOOST_TEST(log.read(1, 0, 0, true).count() == 1u);
  const auto& chunk = log.read(2, 0, 0, true);
  BOOST_TEST(chunk.count() == 0u);
  BOOST_TEST(schema::text(chunk.error()) ==
             "the commit of events 2 to 2 has 937992 bytes and fits no "
             "message (bound: 937984): copy the log with \"reeve log "
             "export\"");
  Records other;
  other.add(1, rest);
  BOOST_TEST(records_of(other.read(1, 0, 0, true)).size() == 1u);
}

BOOST_AUTO_TEST_CASE(from_0_asks_for_the_head_alone_of_records_too) {
  Records log;
  log.add(3);
  const auto& chunk = log.read(0, 0, 0, true);
  BOOST_TEST(chunk.head_seq() == 3u);
  BOOST_TEST(chunk.count() == 0u);
}

}  // namespace core_reading_test
