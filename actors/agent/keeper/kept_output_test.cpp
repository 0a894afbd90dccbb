#include "actors/agent/keeper/kept_output.hpp"

#include <stdlib.h>

#include <boost/test/unit_test.hpp>
#include <chrono>
#include <filesystem>
#include <fstream>

#include "actors/agent/keeper/output.hpp"

namespace reeve::keeper::kept_output_test {
namespace {

namespace fs = std::filesystem;

constexpr std::size_t task_bytes = 1000;

struct Place {
  Place() {
    char path[] = "/tmp/kept-output-XXXXXX";
    BOOST_REQUIRE(::mkdtemp(path));
    directory = path;
  }
  ~Place() { fs::remove_all(directory); }

  // Tasks of sessions 1, 2, ... each of which writes so much.
  void write(std::uint64_t session, std::size_t bytes = task_bytes) const {
    const TaskKey key{session, 1, 0};
    std::ofstream(output_path(directory, key, Stream::err))
        << std::string(bytes, 'x');
  }
  bool kept(std::uint64_t session) const {
    return output_bytes(directory, {session, 1, 0}) == task_bytes;
  }
  bool gone(std::uint64_t session) const {
    return output_is_gone(directory, {session, 1, 0});
  }
  std::size_t files() const {
    return static_cast<std::size_t>(std::distance(
        fs::directory_iterator(directory), fs::directory_iterator()));
  }

  std::string directory;
};

bool nobody_holds(const TaskKey&) {
  return false;
}

BOOST_AUTO_TEST_CASE(over_kept_output_bytes_max_the_oldest_goes_and_tells) {
  const Place place;
  KeptOutput kept(place.directory);
  kept.set_bytes_max(2 * task_bytes);
  // In the order of their ends.
  for (const std::uint64_t session : {3, 1, 2}) {
    place.write(session);
    kept.add({session, 1, 0});
    BOOST_TEST(kept.bytes() <= 2 * task_bytes);
  }
  BOOST_TEST(place.gone(3));
  BOOST_TEST(!place.kept(3));
  BOOST_TEST(place.kept(1));
  BOOST_TEST(place.kept(2));
  kept.set_bytes_max(task_bytes);
  BOOST_TEST(place.gone(1));
  BOOST_TEST(place.kept(2));
}

BOOST_AUTO_TEST_CASE(the_output_of_the_newest_task_stays_however_large) {
  const Place place;
  KeptOutput kept(place.directory);
  kept.set_bytes_max(task_bytes - 1);
  place.write(1);
  kept.add({1, 1, 0});
  BOOST_TEST(place.kept(1));
  place.write(2);
  kept.add({2, 1, 0});
  BOOST_TEST(place.gone(1));
  BOOST_TEST(place.kept(2));
}

BOOST_AUTO_TEST_CASE(a_tail_goes_with_its_head) {
  const Place place;
  {
    OutputFile file(output_path(place.directory, {1, 1, 0}, Stream::out),
                    output_bytes_min);
    BOOST_REQUIRE(file.append(std::string(3 * output_bytes_min, 'x')));
  }
  const std::uint64_t bytes =
      output_bytes(place.directory, {1, 1, 0}).value_or(0);
  BOOST_TEST(bytes > output_bytes_min / 2);
  BOOST_TEST(bytes <= output_bytes_min);
  KeptOutput kept(place.directory);
  kept.add({1, 1, 0});
  BOOST_TEST(kept.bytes() == bytes);
  place.write(2);
  kept.add({2, 1, 0});
  kept.set_bytes_max(task_bytes);
  BOOST_TEST(place.gone(1));
  BOOST_TEST(place.files() == 2u);
  BOOST_TEST(kept.bytes() == task_bytes);
}

BOOST_AUTO_TEST_CASE(output_without_a_head_goes_too) {
  const Place place;
  const std::string tail =
      output_path(place.directory, {1, 1, 0}, Stream::out) + ".tail";
  fs::create_directory(tail);
  std::ofstream(tail + "/7") << std::string(task_bytes, 'x');
  KeptOutput kept(place.directory);
  kept.add({1, 1, 0});
  BOOST_TEST(kept.bytes() == task_bytes);
  place.write(2);
  kept.add({2, 1, 0});
  kept.set_bytes_max(task_bytes);
  BOOST_TEST(place.gone(1));
  BOOST_TEST(!fs::exists(tail));
}

BOOST_AUTO_TEST_CASE(a_silent_task_has_nothing_to_keep) {
  const Place place;
  KeptOutput kept(place.directory);
  kept.add({1, 1, 0});
  BOOST_TEST(kept.bytes() == 0u);
  BOOST_TEST(!place.gone(1));
}

BOOST_AUTO_TEST_CASE(over_kept_outputs_max_nothing_is_left_of_the_oldest) {
  const Place place;
  constexpr std::size_t fewer = 3;  // in place of kept_outputs_max
  KeptOutput kept(place.directory, fewer);
  kept.set_bytes_max(2 * task_bytes);
  for (std::uint64_t session = 1; session <= 4; ++session) {
    place.write(session);
    kept.add({session, 1, 0});
    BOOST_TEST(place.files() <= fewer);
  }
  BOOST_TEST(!place.gone(1));
  BOOST_TEST(place.gone(2));
  BOOST_TEST(place.kept(3));
  kept.set_bytes_max(~0ull);
  for (std::uint64_t session = 5; session <= 6; ++session) {
    place.write(session);
    kept.add({session, 1, 0});
  }
  BOOST_TEST(place.files() == fewer);
  BOOST_TEST(!place.gone(3));
  BOOST_TEST(kept.bytes() == fewer * task_bytes);
}

BOOST_AUTO_TEST_CASE(what_an_earlier_keeper_left_counts_by_its_age) {
  const Place place;
  const auto now = fs::file_time_type::clock::now();
  for (std::uint64_t session = 1; session <= 4; ++session) {
    place.write(session);
    fs::last_write_time(
        output_path(place.directory, {session, 1, 0}, Stream::err),
        now - std::chrono::seconds(session));
  }
  empty_output(place.directory, {9, 1, 0});
  std::ofstream(place.directory + "/no task") << "x";
  KeptOutput kept(place.directory);
  // A keeper that begins still has the task of session 4.
  kept.find([](const TaskKey& key) { return key.session == 4; });
  BOOST_TEST(kept.bytes() == 3 * task_bytes);
  kept.set_bytes_max(task_bytes);
  BOOST_TEST(place.kept(1));
  BOOST_TEST(place.gone(2));
  BOOST_TEST(place.gone(3));
  BOOST_TEST(place.kept(4));
  BOOST_TEST(place.gone(9));
  KeptOutput again(place.directory);
  again.find(nobody_holds);
  BOOST_TEST(again.bytes() == 2 * task_bytes);
}

}  // namespace
}  // namespace reeve::keeper::kept_output_test
