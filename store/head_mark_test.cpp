#include "store/head_mark.hpp"

#include <unistd.h>

#include <boost/test/unit_test.hpp>
#include <fstream>

#include "store/log_id.hpp"
#include "store/mark_keeper.hpp"
#include "store/test_log.hpp"

namespace head_mark_test {

using namespace reeve;
using namespace reeve::store;
using namespace reeve::store::test;

namespace {

Head head_at(std::uint64_t sequence) {
  return Head{sequence, 1, Hash{std::byte(sequence)}};
}

void flip_byte(const std::filesystem::path& file, std::size_t offset) {
  std::fstream stream(file, std::ios::in | std::ios::out | std::ios::binary);
  stream.seekg(static_cast<std::streamoff>(offset));
  const char byte = static_cast<char>(stream.get() ^ 0x40);
  stream.seekp(static_cast<std::streamoff>(offset));
  stream.put(byte);
}

struct MarkFile {
  TemporaryDirectory directory;
  std::filesystem::path file = directory.path() / "head.mark";
  Mark start{LogId{std::byte{5}}, Head{}};
};

}  // namespace

BOOST_FIXTURE_TEST_CASE(a_mark_reads_back_with_the_newest_head, MarkFile) {
  auto mark = must(HeadMark::create(file, start));
  for (std::uint64_t i = 1; i < 6; ++i) {
    must(mark.write(head_at(i)));
    const Mark read = must(read_head_mark(file));
    BOOST_TEST((read.head == head_at(i)));
    BOOST_TEST((read.log_id == start.log_id));
  }
}

BOOST_FIXTURE_TEST_CASE(a_torn_newest_slot_leaves_the_one_before, MarkFile) {
  auto mark = must(HeadMark::create(file, start));
  must(mark.write(head_at(1)));
  must(mark.write(head_at(2)));
  // Creation wrote generations 1 and 2, so head 2 is generation 4: slot 0.
  flip_byte(file, 40);
  BOOST_TEST((must(read_head_mark(file)).head == head_at(1)));
}

BOOST_FIXTURE_TEST_CASE(a_flip_after_an_exact_mark_changes_nothing, MarkFile) {
  auto mark = must(HeadMark::create(file, start));
  must(mark.write_both(head_at(9)));
  for (std::size_t offset = 0; offset < 120; ++offset) {
    flip_byte(file, offset);
    BOOST_TEST((must(read_head_mark(file)).head == head_at(9)));
    flip_byte(file, offset);
  }
}

BOOST_FIXTURE_TEST_CASE(a_mark_damaged_in_both_slots_is_refused, MarkFile) {
  must(must(HeadMark::create(file, start)).write_both(head_at(9)));
  flip_byte(file, 40);
  flip_byte(file, 40 + mark_slot_bytes);
  const auto read = read_head_mark(file);
  BOOST_REQUIRE(!read);
  BOOST_TEST((read.error().code == Errc::damaged));
}

BOOST_FIXTURE_TEST_CASE(a_truncated_mark_is_refused_or_the_older_one,
                        MarkFile) {
  must(must(HeadMark::create(file, start)).write_both(head_at(9)));
  std::filesystem::resize_file(file, mark_slot_bytes + 100);
  BOOST_TEST((must(read_head_mark(file)).head == head_at(9)));
  std::filesystem::resize_file(file, 100);
  BOOST_TEST((read_head_mark(file).error().code == Errc::damaged));
}

BOOST_FIXTURE_TEST_CASE(a_mark_opened_again_goes_on_in_turn, MarkFile) {
  must(must(HeadMark::create(file, start)).write(head_at(1)));
  auto again = must(HeadMark::open(file));
  BOOST_TEST((again.mark().head == head_at(1)));
  must(again.write(head_at(2)));
  BOOST_TEST((must(read_head_mark(file)).head == head_at(2)));
}

BOOST_FIXTURE_TEST_CASE(a_missing_mark_is_not_found, MarkFile) {
  BOOST_TEST((read_head_mark(file).error().code == Errc::not_found));
}

BOOST_FIXTURE_TEST_CASE(the_mark_never_lags_more_commits_than_its_bound,
                        MarkFile) {
  constexpr std::uint32_t lag_max = 4;
  // The interval alone would never write within this test.
  MarkKeeper keeper(must(HeadMark::create(file, start)), 3'600'000, lag_max);
  for (std::uint64_t i = 1; i <= 40; ++i) {
    must(keeper.committed(head_at(i)));
    const std::uint64_t marked = must(read_head_mark(file)).head.sequence;
    BOOST_TEST(i - marked < lag_max);
  }
  must(keeper.finish());
  BOOST_TEST(must(read_head_mark(file)).head.sequence == 40u);
}

BOOST_FIXTURE_TEST_CASE(the_mark_follows_by_itself_after_its_interval,
                        MarkFile) {
  MarkKeeper keeper(must(HeadMark::create(file, start)), 1, 1000);
  must(keeper.committed(head_at(1)));
  while (keeper.lag_commits() != 0) std::this_thread::yield();
  BOOST_TEST(must(read_head_mark(file)).head.sequence == 1u);
}

BOOST_FIXTURE_TEST_CASE(a_mark_lags_by_its_interval_and_no_longer, MarkFile) {
  constexpr std::uint32_t never_ms = 3'600'000;
  {
    MarkKeeper late(must(HeadMark::create(file, start)), never_ms, 1'000);
    must(late.committed(head_at(1)));
    must(late.committed(head_at(2)));
    BOOST_TEST((must(read_head_mark(file)).head.sequence <= 1));
    must(late.finish());
  }
  BOOST_TEST((must(read_head_mark(file)).head == head_at(2)));
  std::filesystem::remove(file);
  MarkKeeper soon(must(HeadMark::create(file, start)),
                  LogOptions().mark_interval_ms, 1'000);
  must(soon.committed(head_at(3)));
  bool written = false;
  for (int waited_ms = 0; waited_ms < 20'000 && !written; waited_ms += 5) {
    written = must(read_head_mark(file)).head == head_at(3);
    ::usleep(5'000);
  }
  BOOST_TEST(written);
  must(soon.finish());
}

BOOST_AUTO_TEST_CASE(the_id_of_a_log_is_read_as_it_is_written) {
  LogId id{};
  for (std::size_t i = 0; i < id.size(); ++i) id[i] = std::byte(17 * i);
  const std::string text = text_of(id);
  BOOST_TEST(text == "00112233445566778899aabbccddeeff");
  BOOST_REQUIRE(parse_log_id(text));
  BOOST_TEST((*parse_log_id(text) == id));
  for (std::string wrong :
       {"", "00", "00112233445566778899AABBCCDDEEFF",
        "00112233445566778899aabbccddeef", "00112233445566778899aabbccddeeff0",
        "0011223344556677-899aabbccddeeff"})
    BOOST_TEST(!parse_log_id(wrong), wrong);
}

}  // namespace head_mark_test
