#include "store/record.hpp"

#include <boost/test/unit_test.hpp>
#include <cstring>
#include <vector>

#include "store/test_log.hpp"

namespace record_test {

using namespace reeve;
using namespace reeve::store;
using reeve::store::test::make_events;

namespace {

std::vector<std::byte> make_value(const Hash& previous, std::uint64_t first,
                                  std::uint64_t epoch, std::uint32_t count) {
  const auto events = make_events(first, count, 64);
  const auto header = make_record_header(previous, first, epoch, count, events);
  std::vector<std::byte> value(header.begin(), header.end());
  value.insert(value.end(), events.begin(), events.end());
  return value;
}

}  // namespace

BOOST_AUTO_TEST_CASE(a_record_reads_back_as_it_was_made) {
  const auto value = make_value(Hash{}, 7, 3, 5);
  const auto record = parse_record(7, value);
  BOOST_REQUIRE(record);
  BOOST_TEST(record->first_sequence == 7u);
  BOOST_TEST(record->last_sequence() == 11u);
  BOOST_TEST(record->epoch == 3u);
  BOOST_TEST(record->count == 5u);
  BOOST_TEST((record->hash == chain_hash(Hash{}, *record)));
  BOOST_TEST(count_events(record->events).value() == 5u);
}

BOOST_AUTO_TEST_CASE(the_layout_of_a_record_is_fixed_for_ever) {
  const auto value = make_value(Hash{}, 1, 0x0102, 1);
  const unsigned char head[16] = {1, 0, 0, 0, 1, 0, 0, 0, 2, 1};
  BOOST_TEST(std::memcmp(value.data(), head, sizeof(head)) == 0);
  BOOST_TEST(value.size() == record_header_bytes + 64);
  // Computed apart from this code, with Python's hashlib.blake2b.
  BOOST_TEST(short_hex(parse_record(1, value)->hash) == "6769c7e26faba50c");
}

BOOST_AUTO_TEST_CASE(every_flipped_bit_changes_the_hash_or_is_refused) {
  const Hash previous{std::byte{9}};
  auto value = make_value(previous, 12, 4, 2);
  for (std::size_t bit = 0; bit < value.size() * 8; ++bit) {
    value[bit / 8] ^= std::byte(1u << bit % 8);
    const auto record = parse_record(12, value);
    BOOST_TEST((!record || chain_hash(previous, *record) != record->hash),
               "bit " << bit << " went unnoticed");
    value[bit / 8] ^= std::byte(1u << bit % 8);
  }
}

BOOST_AUTO_TEST_CASE(the_hash_covers_the_sequence_and_the_record_before) {
  const auto value = make_value(Hash{}, 12, 4, 2);
  auto record = parse_record(12, value).value();
  BOOST_TEST((chain_hash(Hash{std::byte{1}}, record) != record.hash));
  record.first_sequence = 13;
  BOOST_TEST((chain_hash(Hash{}, record) != record.hash));
}

BOOST_AUTO_TEST_CASE(every_truncated_record_is_refused_or_fails_its_hash) {
  const auto value = make_value(Hash{}, 1, 1, 3);
  for (std::size_t size = 0; size < value.size(); ++size) {
    const auto record = parse_record(1, std::span(value).first(size));
    if (!record) {
      BOOST_TEST((record.error().code == Errc::damaged));
      continue;
    }
    BOOST_TEST((chain_hash(Hash{}, *record) != record->hash));
  }
}

BOOST_AUTO_TEST_CASE(a_newer_format_says_that_the_program_is_older) {
  auto value = make_value(Hash{}, 1, 1, 1);
  value[0] = std::byte{2};
  const auto record = parse_record(1, value);
  BOOST_REQUIRE(!record);
  BOOST_TEST((record.error().code == Errc::damaged));
  BOOST_TEST(record.error().text.find("newer than this program") !=
             std::string::npos);
}

BOOST_AUTO_TEST_CASE(a_record_of_no_events_or_sequence_zero_is_refused) {
  auto value = make_value(Hash{}, 1, 1, 1);
  BOOST_TEST(!parse_record(0, value));
  value[4] = std::byte{0};
  BOOST_TEST(!parse_record(1, value));
}

BOOST_AUTO_TEST_CASE(a_count_that_would_pass_the_last_sequence_is_refused) {
  const auto value = make_value(Hash{}, ~0ull, 1, 2);
  BOOST_TEST(!parse_record(~0ull, value));
}

BOOST_AUTO_TEST_CASE(a_cursor_stops_at_a_length_that_leaves_the_record) {
  for (const std::uint32_t length : {61u, 63u, 68u, 1000u, 0xffffffffu}) {
    auto events = make_events(1, 2, 64);
    std::memcpy(events.data() + 64, &length, 4);
    EventCursor cursor(events);
    BOOST_TEST(cursor.next().has_value());
    BOOST_TEST(!cursor.next().has_value());
    BOOST_TEST(cursor.damaged());
    BOOST_TEST(!count_events(events));
  }
}

BOOST_AUTO_TEST_CASE(a_cursor_hands_out_aligned_events_with_their_prefix) {
  const auto events = make_events(1, 3, 72);
  EventCursor cursor(events);
  std::size_t offset = 0;
  while (const auto event = cursor.next()) {
    BOOST_TEST(event->data() == events.data() + offset);
    BOOST_TEST(event->size() == 72u);
    offset += 72;
  }
  BOOST_TEST(!cursor.damaged());
  BOOST_TEST(offset == events.size());
}

BOOST_AUTO_TEST_CASE(keys_sort_by_sequence_and_refuse_other_sizes) {
  const RecordKey low = make_record_key(255);
  const RecordKey high = make_record_key(256);
  BOOST_TEST(std::memcmp(low.data(), high.data(), low.size()) < 0);
  BOOST_TEST(parse_record_key(high).value() == 256u);
  BOOST_TEST(!parse_record_key(std::span(high).first(7)));
}

}  // namespace record_test
