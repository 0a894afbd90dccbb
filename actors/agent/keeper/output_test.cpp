#include "actors/agent/keeper/output.hpp"

#include <signal.h>
#include <stdlib.h>
#include <sys/resource.h>

#include <boost/test/unit_test.hpp>
#include <filesystem>

namespace reeve::keeper::output_test {
namespace {

constexpr TaskKey key{5, 1, 0};

struct Place {
  Place() {
    char path[] = "/tmp/keeper-output-XXXXXX";
    BOOST_REQUIRE(::mkdtemp(path));
    directory = path;
  }
  ~Place() { std::filesystem::remove_all(directory); }

  OutputFile file(std::uint64_t bytes_max) const {
    return OutputFile(output_path(directory, key, Stream::out), bytes_max);
  }
  OutputPiece read(std::uint64_t offset, std::size_t bytes_max) const {
    auto piece = read_output(directory, key, Stream::out, offset, bytes_max);
    BOOST_REQUIRE(piece);
    return *piece;
  }
  // All that a reader finds, one that asks for few bytes at a time; how much
  // of it is missing goes to `dropped`.
  std::string read_all(std::uint64_t& dropped) const {
    std::string out;
    dropped = 0;
    for (std::uint64_t at = 0;;) {
      auto piece = read(at, 100);
      dropped += piece.offset - at;
      if (piece.bytes.empty()) return out;
      at = piece.offset + piece.bytes.size();
      out += piece.bytes;
    }
  }
  std::uint64_t bytes_on_disk() const {
    std::uint64_t bytes = 0;
    for (const auto& entry :
         std::filesystem::recursive_directory_iterator(directory)) {
      if (entry.is_regular_file()) bytes += entry.file_size();
    }
    return bytes;
  }

  std::string directory;
};

// The byte at each offset, so that any piece can be checked.
std::string pattern(std::uint64_t from, std::size_t size) {
  std::string bytes(size, '\0');
  for (auto& byte : bytes) byte = static_cast<char>(from++ * 31 % 251);
  return bytes;
}

BOOST_AUTO_TEST_CASE(a_silent_task_has_no_file) {
  Place place;
  auto file = place.file(output_bytes_min);
  BOOST_CHECK(std::filesystem::is_empty(place.directory));
  BOOST_CHECK(place.read(0, 10).bytes.empty());
}

BOOST_AUTO_TEST_CASE(what_fits_is_kept_whole) {
  Place place;
  auto file = place.file(output_bytes_min);
  BOOST_REQUIRE(file.append("one "));
  BOOST_REQUIRE(file.append("two"));
  BOOST_CHECK_EQUAL(place.read(0, 100).bytes, "one two");
  BOOST_CHECK_EQUAL(place.read(4, 2).bytes, "tw");
  BOOST_CHECK(place.read(7, 100).bytes.empty());
}

BOOST_AUTO_TEST_CASE(past_the_bound_beginning_and_newest_stay) {
  constexpr std::uint64_t bound = output_bytes_min;
  for (std::size_t step :
       {std::size_t{1}, std::size_t{700}, std::size_t{10 * bound}}) {
    Place place;
    auto file = place.file(bound);
    constexpr std::uint64_t total = 10 * bound;
    for (std::uint64_t at = 0; at < total; at += step) {
      auto size = std::min<std::uint64_t>(step, total - at);
      BOOST_REQUIRE(file.append(pattern(at, size)));
      BOOST_REQUIRE_LE(place.bytes_on_disk(), bound);
    }
    BOOST_CHECK_EQUAL(file.end(), total);
    BOOST_CHECK(place.read(0, bound).bytes == pattern(0, bound / 2));
    std::uint64_t at = bound / 2;
    std::uint64_t kept = 0;
    for (;;) {
      auto piece = place.read(at, 333);
      if (piece.bytes.empty()) break;
      BOOST_REQUIRE_GE(piece.offset, at);
      BOOST_REQUIRE(piece.bytes == pattern(piece.offset, piece.bytes.size()));
      kept += piece.bytes.size();
      at = piece.offset + piece.bytes.size();
    }
    BOOST_CHECK_EQUAL(at, total);
    BOOST_CHECK_GE(kept, bound / 4);
    BOOST_CHECK_LE(kept, bound / 2);
  }
}

BOOST_AUTO_TEST_CASE(a_reader_can_follow_a_writer_over_every_border) {
  Place place;
  auto file = place.file(output_bytes_min);
  std::string read;
  for (std::uint64_t at = 0; at < 4 * output_bytes_min; at += 100) {
    BOOST_REQUIRE(file.append(pattern(at, 100)));
    for (;;) {
      auto piece = place.read(read.size(), 64);
      if (piece.bytes.empty()) break;
      BOOST_REQUIRE_EQUAL(piece.offset, read.size());
      read += piece.bytes;
    }
  }
  BOOST_CHECK(read == pattern(0, file.end()));
}

// Lets no file of this process grow beyond `bytes`, as a full disk would.
class FullDisk {
 public:
  explicit FullDisk(rlim_t bytes) {
    handler_ = ::signal(SIGXFSZ, SIG_IGN);
    BOOST_REQUIRE_EQUAL(::getrlimit(RLIMIT_FSIZE, &before_), 0);
    const rlimit limit{bytes, before_.rlim_max};
    BOOST_REQUIRE_EQUAL(::setrlimit(RLIMIT_FSIZE, &limit), 0);
  }
  ~FullDisk() {
    ::setrlimit(RLIMIT_FSIZE, &before_);
    ::signal(SIGXFSZ, handler_);
  }
  FullDisk(const FullDisk&) = delete;

 private:
  rlimit before_{};
  sighandler_t handler_ = SIG_DFL;
};

void append_on_full_disk(OutputFile& file, std::string_view bytes,
                         rlim_t file_bytes_max) {
  bool good = true;
  {
    const FullDisk full(file_bytes_max);
    good = bool(file.append(bytes));
  }
  BOOST_CHECK(!good);
}

BOOST_AUTO_TEST_CASE(what_a_full_disk_did_not_take_is_a_gap_and_no_zeros) {
  Place place;
  auto file = place.file(output_bytes_min);
  BOOST_REQUIRE(file.append("before|"));
  append_on_full_disk(file, "part lost", 11);
  append_on_full_disk(file, " lost too", 0);
  BOOST_REQUIRE(file.append("|after"));
  BOOST_REQUIRE(file.append(" it"));
  std::uint64_t dropped = 0;
  BOOST_CHECK_EQUAL(place.read_all(dropped), "before|part|after it");
  BOOST_CHECK_EQUAL(dropped, std::string_view(" lost lost too").size());
  BOOST_CHECK_EQUAL(file.end(), 7 + 9 + 9 + 9);
}

BOOST_AUTO_TEST_CASE(output_goes_on_where_the_first_bytes_found_no_room) {
  Place place;
  auto file = place.file(output_bytes_min);
  append_on_full_disk(file, "lost", 0);
  BOOST_CHECK(!output_is_gone(place.directory, key));
  BOOST_REQUIRE(file.append("kept"));
  std::uint64_t dropped = 0;
  BOOST_CHECK_EQUAL(place.read_all(dropped), "kept");
  BOOST_CHECK_EQUAL(dropped, 4);
  BOOST_CHECK(output_bytes(place.directory, key) == 4);
  remove_output(place.directory, key);
  BOOST_CHECK(std::filesystem::is_empty(place.directory));
  BOOST_CHECK(!output_bytes(place.directory, key));
}

BOOST_AUTO_TEST_CASE(a_head_that_could_not_be_made_is_no_end) {
  Place place;
  OutputFile file(output_path(place.directory + "/later", key, Stream::out),
                  output_bytes_min);
  BOOST_CHECK(!file.append("lost"));
  std::filesystem::create_directory(place.directory + "/later");
  BOOST_CHECK(file.append("kept"));
  auto piece = read_output(place.directory + "/later", key, Stream::out, 0, 9);
  BOOST_REQUIRE(piece);
  BOOST_CHECK_EQUAL(piece->offset, 4);
  BOOST_CHECK_EQUAL(piece->bytes, "kept");
}

BOOST_AUTO_TEST_CASE(a_reader_is_told_of_last_bytes_that_were_dropped) {
  Place place;
  auto file = place.file(output_bytes_min);
  BOOST_REQUIRE(file.append("kept"));
  append_on_full_disk(file, "lost", 0);
  std::uint64_t dropped = 0;
  BOOST_CHECK_EQUAL(place.read_all(dropped), "kept");
  BOOST_CHECK_EQUAL(dropped, 4);
}

BOOST_AUTO_TEST_CASE(a_disk_that_is_full_now_and_then_keeps_the_bound) {
  constexpr std::uint64_t bound = output_bytes_min;
  for (const std::size_t step : {10, 300, 3000}) {
    Place place;
    auto file = place.file(bound);
    for (int round = 0; round < 100; ++round) {
      const auto bytes = pattern(file.end(), step);
      append_on_full_disk(file, bytes, round % 2 == 0 ? 0 : step / 5);
      BOOST_REQUIRE(file.append(pattern(file.end(), step)));
      BOOST_REQUIRE_LE(place.bytes_on_disk(), bound);
    }
    std::uint64_t at = 0;
    for (;;) {
      auto piece = place.read(at, 333);
      if (piece.bytes.empty()) break;
      BOOST_REQUIRE(piece.bytes == pattern(piece.offset, piece.bytes.size()));
      at = piece.offset + piece.bytes.size();
    }
    BOOST_CHECK_EQUAL(at, file.end());
    std::size_t files = 0;
    for (const auto& entry :
         std::filesystem::recursive_directory_iterator(place.directory))
      files += entry.is_regular_file() ? 1 : 0;
    BOOST_CHECK_LE(files, tail_files_max + 1);
  }
}

BOOST_AUTO_TEST_CASE(removed_output_leaves_nothing_behind) {
  Place place;
  {
    auto file = place.file(output_bytes_min);
    BOOST_REQUIRE(file.append(pattern(0, 3 * output_bytes_min)));
  }
  remove_output(place.directory, key);
  BOOST_CHECK(std::filesystem::is_empty(place.directory));
}

BOOST_AUTO_TEST_CASE(output_that_cannot_be_written_is_counted_as_dropped) {
  OutputFile file("/nonexistent/5.1.0.out", output_bytes_min);
  BOOST_CHECK(!file.append("abc"));
  BOOST_CHECK_EQUAL(file.end(), 3);
}

}  // namespace
}  // namespace reeve::keeper::output_test
