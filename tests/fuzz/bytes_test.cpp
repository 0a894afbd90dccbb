// What is read from disk and from the keeper's socket, damaged: refused or
// read, and never more than that.
#include <boost/test/unit_test.hpp>
#include <fstream>

#include "actors/agent/keeper/protocol.hpp"
#include "actors/manager/test_harness.hpp"
#include "store/export.hpp"
#include "store/record.hpp"
#include "store/record_run.hpp"
#include "store/segment.hpp"
#include "store/test_log.hpp"
#include "tests/fuzz/mutator.hpp"

namespace reeve::fuzz::bytes_test {
namespace {

namespace fs = std::filesystem;
using manager::testing::TwoNodes;
using store::test::must;

constexpr std::uint64_t runs_of_memory = 20'000;
constexpr std::uint64_t runs_of_files = 1'000;

std::span<const std::byte> bytes_of(const std::string& text) {
  return std::as_bytes(std::span(text.data(), text.size()));
}
std::string text_of(std::span<const std::byte> bytes) {
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

// Of ten records of three events.
struct Log {
  store::test::TemporaryDirectory temporary;
  std::unique_ptr<store::Log> log =
      must(store::Log::open(store::test::small_log(temporary.path() / "log")));
  std::vector<std::string> values;

  Log() {
    store::test::fill(*log, 10);
    must(log->reader()->scan(1, ~0ull, [&](const store::Record& record) {
      std::string value = text_of(store::record_header(record));
      value += text_of(record.events);
      values.push_back(value);
      return true;
    }));
  }
};

BOOST_AUTO_TEST_SUITE(fuzz_bytes)

BOOST_FIXTURE_TEST_CASE(records, Log) {
  feed(values, runs_of_memory, [](const std::string& value) {
    const auto record = store::parse_record(1, bytes_of(value));
    if (!record) return false;
    BOOST_REQUIRE(record->events.size() <= value.size());
    return store::for_each_event(
               record->events,
               [&](auto event) {
                 BOOST_REQUIRE(event.size() <= record->events.size());
               })
        .has_value();
  });
}

BOOST_FIXTURE_TEST_CASE(segments, Log) {
  const fs::path file = temporary.path() / "whole.segment";
  const auto reader = log->reader();
  must(store::write_segment_file(
      *reader,
      must(store::segment_of(*reader, 1, 30, store::Compression::zstd)), file,
      {}));
  std::ifstream in(file, std::ios::binary);
  const std::string whole{std::istreambuf_iterator<char>(in), {}};
  const fs::path damaged = temporary.path() / "damaged.segment";
  feed({whole}, runs_of_files, [&](const std::string& text) {
    std::ofstream(damaged, std::ios::binary | std::ios::trunc) << text;
    const auto segment = store::SegmentFile::open(damaged);
    if (!segment) return false;
    std::uint64_t last = 0;
    const Status scanned = (*segment)->scan([&](const store::Record& record) {
      last = record.last_sequence();
      return true;
    });
    // Every byte is covered by a hash.
    BOOST_REQUIRE((!scanned || (text == whole && last == 30)));
    return scanned.has_value();
  });
}

BOOST_FIXTURE_TEST_CASE(snapshots, TwoNodes) {
  running(cluster::testing::tasks_of(2));
  feed({text_of(state().encode_snapshot())}, runs_of_files,
       [](const std::string& text) {
         const auto state = cluster::State::decode_snapshot(bytes_of(text));
         if (!state) return false;
         (void)state->check_invariants();
         BOOST_REQUIRE(!state->encode_snapshot().empty());
         return true;
       });
}

BOOST_AUTO_TEST_CASE(frames_of_the_keeper) {
  keeper::TaskSpec spec;
  spec.argv = {"sh", "-c", "true"};
  spec.env = {"A=b"};
  std::vector<std::string> frames;
  for (const keeper::Message& message :
       {keeper::Message{keeper::Hello{}}, keeper::Message{keeper::Launch{spec}},
        keeper::Message{keeper::Stop{}}, keeper::Message{keeper::Welcome{}},
        keeper::Message{keeper::Listed{}}, keeper::Message{keeper::Exited{}}})
    keeper::encode(message, frames.emplace_back());
  feed(frames, runs_of_memory, [](const std::string& text) {
    keeper::FrameReader reader;
    reader.feed(text);
    for (;;) {
      const auto message = reader.next();
      if (!message) return false;
      if (!*message) break;
    }
    return true;
  });
}

BOOST_AUTO_TEST_CASE(orders_to_an_init) {
  keeper::LaunchOrder order;
  order.spec.argv = {"true"};
  order.scratch = "/tmp/x";
  std::string bytes;
  keeper::encode(order, bytes);
  feed({bytes}, runs_of_memory, [](const std::string& text) {
    keeper::LaunchOrder read;
    return keeper::decode(text, read);
  });
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace
}  // namespace reeve::fuzz::bytes_test
