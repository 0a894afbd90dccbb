// Exports, imports and archives: that they are whole, that the least damage is
// noticed, and that nothing is ever written over.
#include <boost/test/unit_test.hpp>
#include <cstring>
#include <fstream>
#include <iterator>

#include "store/archive.hpp"
#include "store/import.hpp"
#include "store/segment_format.hpp"
#include "store/test_log.hpp"

namespace segment_test {

using namespace reeve;
using namespace reeve::store;
using namespace reeve::store::test;
namespace fs = std::filesystem;

namespace {

std::vector<char> bytes_of(const fs::path& file) {
  std::ifstream in(file, std::ios::binary);
  return {std::istreambuf_iterator<char>(in), {}};
}

void write_bytes(const fs::path& file, const std::vector<char>& bytes) {
  std::ofstream out(file, std::ios::binary | std::ios::trunc);
  out.write(bytes.data(), static_cast<std::streamsize>(bytes.size()));
}

// A log of ten records of three events, and room for copies of it.
struct Source {
  TemporaryDirectory temporary;
  fs::path directory = temporary.path() / "log";
  fs::path file = temporary.path() / "export.segment";
  fs::path copy = temporary.path() / "copy";
  std::unique_ptr<Log> log = must(Log::open(small_log(directory)));

  Source() { fill(*log, 10); }

  SegmentInfo write(std::uint64_t from = 1, std::uint64_t to = 30,
                    Compression compression = Compression::zstd) {
    const auto reader = log->reader();
    const auto info = must(segment_of(*reader, from, to, compression));
    must(write_segment_file(*reader, info, file, {}));
    return info;
  }
  Expected<ImportPlan> import(const fs::path& from) {
    const auto segment = SegmentFile::open(from);
    if (!segment) return tl::unexpected(segment.error());
    LogOptions options = small_log(copy);
    const auto plan = plan_import(**segment, copy, nullptr);
    if (!plan) return plan;
    if (Status done = import_segment(**segment, *plan, options, nullptr); !done)
      return tl::unexpected(done.error());
    return plan;
  }
};

std::vector<std::pair<Head, std::size_t>> records(const LogReader& reader) {
  std::vector<std::pair<Head, std::size_t>> out;
  must(reader.scan(1, ~0ull, [&](const Record& record) {
    out.emplace_back(Head{record.last_sequence(), record.epoch, record.hash},
                     record.events.size());
    return true;
  }));
  return out;
}

}  // namespace

BOOST_FIXTURE_TEST_CASE(an_export_imported_is_the_same_log, Source) {
  for (const auto compression : {Compression::zstd, Compression::none}) {
    write(1, 30, compression);
    must(import(file));
    const auto reader = must(LogReader::open(copy));
    BOOST_TEST((records(*reader) == records(*log->reader())));
    BOOST_TEST((reader->log_id() == log->reader()->log_id()));
    BOOST_TEST(must(count_whole(*reader, 1, 30)) == 30u);
    BOOST_TEST(reader->warnings().empty());
    // An export of the import is the same file.
    const fs::path again = temporary.path() / "again.segment";
    must(write_segment_file(
        *reader, must(segment_of(*reader, 1, 30, compression)), again, {}));
    BOOST_TEST((bytes_of(again) == bytes_of(file)));
    fs::remove_all(copy);
    fs::remove(file);
    fs::remove(again);
  }
}

BOOST_FIXTURE_TEST_CASE(a_range_is_widened_to_whole_records, Source) {
  const SegmentInfo info = write(5, 20);
  BOOST_TEST(info.first_sequence == 4u);
  BOOST_TEST(info.last.sequence == 21u);
}

BOOST_FIXTURE_TEST_CASE(an_export_overwrites_nothing, Source) {
  write();
  const auto before = bytes_of(file);
  const auto reader = log->reader();
  const auto info = must(segment_of(*reader, 1, 9, Compression::zstd));
  const Status again = write_segment_file(*reader, info, file, {});
  BOOST_REQUIRE(!again);
  BOOST_TEST((again.error().code == Errc::rejected));
  BOOST_TEST((bytes_of(file) == before));
}

BOOST_FIXTURE_TEST_CASE(an_import_is_continued_by_later_exports, Source) {
  write(1, 12);
  must(import(file));
  fs::remove(file);
  write(10, 30);
  const auto plan = must(import(file));
  BOOST_TEST(plan.from == 13u);
  BOOST_TEST(plan.to == 30u);
  BOOST_TEST(
      (records(*must(LogReader::open(copy))) == records(*log->reader())));
  // Once more: there is nothing left to write.
  BOOST_TEST(must(import(file)).from == 31u);
}

BOOST_FIXTURE_TEST_CASE(an_import_that_leaves_a_gap_is_refused, Source) {
  write(10, 30);
  const auto without = import(file);
  BOOST_REQUIRE(!without);
  BOOST_TEST((without.error().code == Errc::rejected));
  BOOST_TEST(!fs::exists(copy));
  fs::rename(file, temporary.path() / "later.segment");
  write(1, 6);
  must(import(file));
  const auto gap = import(temporary.path() / "later.segment");
  BOOST_REQUIRE(!gap);
  BOOST_TEST(gap.error().text.find("starts at event 10, but the log ends at "
                                   "event 6") != std::string::npos,
             gap.error().text);
}

BOOST_FIXTURE_TEST_CASE(another_log_or_history_is_refused, Source) {
  write();
  Source other;
  other.write();
  must(import(file));
  const auto before = records(*must(LogReader::open(copy)));
  const auto foreign = import(other.file);
  BOOST_REQUIRE(!foreign);
  BOOST_TEST((foreign.error().code == Errc::damaged));
  // The same log up to event 15, and then another.
  fs::remove_all(copy);
  fs::remove(file);
  write(1, 15);
  must(import(file));
  {
    const auto forked = must(Log::open(small_log(copy)));
    must(forked->append(1, 3, make_events(100, 3)));
  }
  fs::remove(file);
  write(1, 30);
  const auto fork = import(file);
  BOOST_REQUIRE(!fork);
  BOOST_TEST(fork.error().text.find("another history: at event 18") !=
                 std::string::npos,
             fork.error().text);
  BOOST_TEST(must(LogReader::open(copy))->head().sequence == 18u);
}

BOOST_FIXTURE_TEST_CASE(an_import_that_was_cut_short_is_no_log_yet, Source) {
  write();
  must(import(file));
  std::ofstream(copy / "importing") << "events 1 to 30\n";
  const auto opened = Log::open(small_log(copy));
  BOOST_REQUIRE(!opened);
  BOOST_TEST((opened.error().code == Errc::damaged));
  BOOST_TEST(must(LogReader::open(copy))->warnings().size() == 1u);
  must(import(file));
  BOOST_TEST(!fs::exists(copy / "importing"));
  must(Log::open(small_log(copy)));
}

BOOST_FIXTURE_TEST_CASE(every_flipped_byte_of_an_export_is_noticed, Source) {
  write(1, 9);
  const auto whole = bytes_of(file);
  const fs::path bad = temporary.path() / "bad.segment";
  for (std::size_t at = 0; at < whole.size(); ++at) {
    auto bytes = whole;
    bytes[at] ^= 0x10;
    write_bytes(bad, bytes);
    const auto imported = import(bad);
    BOOST_REQUIRE_MESSAGE(!imported, "byte " << at << " was not noticed");
    BOOST_TEST((imported.error().code == Errc::damaged));
    BOOST_TEST(imported.error().text.find("bad.segment") != std::string::npos);
    BOOST_REQUIRE(!fs::exists(copy));
  }
}

BOOST_FIXTURE_TEST_CASE(every_cut_of_an_export_is_noticed, Source) {
  write(1, 9);
  const auto whole = bytes_of(file);
  const fs::path bad = temporary.path() / "bad.segment";
  for (std::size_t size = 0; size < whole.size(); ++size) {
    write_bytes(bad, {whole.begin(), whole.begin() + static_cast<long>(size)});
    const auto imported = import(bad);
    BOOST_REQUIRE_MESSAGE(!imported, size << " bytes were taken for whole");
    BOOST_TEST((imported.error().code == Errc::damaged));
    BOOST_REQUIRE(!fs::exists(copy));
  }
  auto longer = whole;
  longer.push_back(0);
  write_bytes(bad, longer);
  BOOST_TEST(!import(bad));
}

BOOST_FIXTURE_TEST_CASE(a_foreign_or_newer_file_is_named_as_such, Source) {
  write_bytes(file, std::vector<char>(4096, 'x'));
  const auto foreign = SegmentFile::open(file);
  BOOST_REQUIRE(!foreign);
  BOOST_TEST(foreign.error().text.find("no export or archive") !=
             std::string::npos);
  fs::remove(file);
  write();
  auto bytes = bytes_of(file);
  bytes[8] = 2;
  write_bytes(file, bytes);
  const auto newer = SegmentFile::open(file);
  BOOST_REQUIRE(!newer);
  BOOST_TEST(newer.error().text.find("newer") != std::string::npos);
  BOOST_TEST(
      (SegmentFile::open(temporary.path()).error().code == Errc::damaged));
  BOOST_TEST((SegmentFile::open(temporary.path() / "none").error().code ==
              Errc::not_found));
}

BOOST_FIXTURE_TEST_CASE(a_record_above_the_size_of_a_block_is_one_alone,
                        Source) {
  const std::size_t event = segment_block_bytes + 8;
  must(log->append(1, 1, make_events(31, 1, event)));
  must(log->append(1, 1, make_events(32, 1, 256)));
  write(1, 32);
  const auto segment = must(SegmentFile::open(file));
  BOOST_REQUIRE_EQUAL(segment->blocks().size(), 3u);
  BOOST_TEST(segment->blocks()[1].first_sequence == 31u);
  BOOST_TEST(segment->blocks()[1].record_count == 1u);
  must(import(file));
  BOOST_TEST(
      (records(*must(LogReader::open(copy))) == records(*log->reader())));
}

BOOST_FIXTURE_TEST_CASE(a_block_that_claims_too_much_is_damage, Source) {
  write();
  const auto info = must(SegmentFile::open(file))->info();
  for (const std::size_t claimed :
       {segment_block_bytes_max, segment_block_bytes_max + 1}) {
    auto bytes = bytes_of(file);
    SegmentTrailer trailer;
    SegmentBlock block;
    char* end = bytes.data() + bytes.size() - sizeof(trailer);
    std::memcpy(&trailer, end, sizeof(trailer));
    std::memcpy(&block, end - sizeof(block), sizeof(block));
    block.raw_bytes = static_cast<std::uint32_t>(claimed);
    trailer.hash = seal_hash(header_of(info), {&block, 1}, trailer);
    std::memcpy(end - sizeof(block), &block, sizeof(block));
    std::memcpy(end, &trailer, sizeof(trailer));
    const fs::path bad = temporary.path() / "bad.segment";
    write_bytes(bad, bytes);
    const auto opened = SegmentFile::open(bad);
    BOOST_TEST(opened.has_value() == (claimed == segment_block_bytes_max));
    BOOST_TEST(!import(bad));
  }
}

}  // namespace segment_test
