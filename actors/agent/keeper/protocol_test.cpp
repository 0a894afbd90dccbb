#include "actors/agent/keeper/protocol.hpp"

#include <boost/test/unit_test.hpp>

#include "actors/agent/keeper/server.hpp"
#include "actors/agent/keeper/supervisor.hpp"

namespace reeve::keeper::protocol_test {
namespace {

TaskSpec full_spec() {
  TaskSpec spec;
  spec.key = {17, 2, 3};
  spec.epoch = 9;
  spec.argv = {"sh", "-c", "", std::string("a\0b", 3)};
  spec.env = {"A=1", "B=2"};
  spec.workdir = "/home/someone";
  spec.uid = 1000;
  spec.gid = 1001;
  spec.groups = {4, 24, 27};
  spec.memory_bytes = 1ull << 40;
  spec.cpu_milli = 1500;
  spec.pids_max = 99;
  spec.open_files_max = 1024;
  spec.device_paths = {"/dev/nvidia0"};
  spec.output_bytes_max = 12345;
  spec.gpus = {{"GPU-a", 1ull << 33, 300, 100, 7'000'000}, {"GPU-b", 9}};
  spec.share_library = "/lib/share.so";
  spec.mps_directory = "/run/mps";
  spec.cut_off_ns = 60'000'000'000;
  return spec;
}

ExitFacts full_facts() {
  return {137, 9, true, 11, 22, 33, 44, true, "a detail"};
}

// Every kind of message, with no field at its default where that matters.
std::vector<Message> all_messages() {
  TaskKey key{1, 2, 3};
  TaskStatus status{key, TaskState::exited, 7, 8, full_facts(), "e",
                    "n", full_spec().gpus};
  return {Hello{3},
          Launch{full_spec()},
          Stop{key, 500},
          Signal{key, 10},
          List{6},
          Forget{key},
          Shutdown{700},
          Welcome{1, 2, 3, {"one", "two"}},
          Started{key, 5, 6, "note"},
          StartFailed{key, "why"},
          Exited{key, full_facts()},
          Output{key, Stream::err, 77, "bytes"},
          Refused{key, Errc::busy, "later"},
          Listed{6, true, 17, {status, status}},
          KeepOutput{1ull << 33},
          Heard{99}};
}

BOOST_AUTO_TEST_CASE(every_message_survives_the_way_there_and_back) {
  auto messages = all_messages();
  BOOST_REQUIRE_EQUAL(messages.size(), std::variant_size_v<Message>);
  for (std::size_t kind = 0; kind < messages.size(); ++kind) {
    BOOST_REQUIRE_EQUAL(messages[kind].index(), kind);
    std::string frame;
    encode(messages[kind], frame);
    FrameReader reader;
    reader.feed(frame);
    auto back = reader.next();
    BOOST_REQUIRE(back && *back);
    BOOST_CHECK_EQUAL((*back)->index(), kind);
    std::string again;
    encode(**back, again);
    BOOST_CHECK(again == frame);
  }
}

BOOST_AUTO_TEST_CASE(a_launch_keeps_each_field) {
  std::string frame;
  encode(Launch{full_spec()}, frame);
  FrameReader reader;
  reader.feed(frame);
  auto back = reader.next();
  BOOST_REQUIRE(back && *back);
  const auto& spec = std::get<Launch>(**back).spec;
  auto expected = full_spec();
  BOOST_CHECK(spec.key == expected.key);
  BOOST_CHECK(spec.argv == expected.argv);
  BOOST_CHECK(spec.env == expected.env);
  BOOST_CHECK(spec.groups == expected.groups);
  BOOST_CHECK(spec.device_paths == expected.device_paths);
  BOOST_CHECK_EQUAL(spec.memory_bytes, expected.memory_bytes);
  BOOST_CHECK_EQUAL(spec.output_bytes_max, expected.output_bytes_max);
  BOOST_CHECK(spec.gpus == expected.gpus);
  BOOST_CHECK_EQUAL(spec.share_library, expected.share_library);
  BOOST_CHECK_EQUAL(spec.mps_directory, expected.mps_directory);
  BOOST_CHECK_EQUAL(spec.cut_off_ns, expected.cut_off_ns);
}

BOOST_AUTO_TEST_CASE(frames_are_found_in_whatever_pieces_they_come) {
  std::string stream;
  for (const auto& message : all_messages()) encode(message, stream);
  for (std::size_t step : {std::size_t{1}, std::size_t{7}, stream.size()}) {
    FrameReader reader;
    std::size_t count = 0;
    for (std::size_t at = 0; at < stream.size(); at += step) {
      reader.feed(std::string_view(stream).substr(at, step));
      for (;;) {
        auto next = reader.next();
        BOOST_REQUIRE(next);
        if (!*next) break;
        ++count;
      }
    }
    BOOST_CHECK_EQUAL(count, std::variant_size_v<Message>);
  }
}

BOOST_AUTO_TEST_CASE(every_shortened_or_foreign_frame_is_damaged) {
  for (const auto& message : all_messages()) {
    std::string frame;
    encode(message, frame);
    for (std::size_t cut = 5; cut < frame.size(); ++cut) {
      auto shorter = frame.substr(0, cut);
      auto length = static_cast<std::uint32_t>(cut - 4);
      std::memcpy(shorter.data(), &length, sizeof length);
      FrameReader reader;
      reader.feed(shorter);
      BOOST_CHECK(!reader.next());
    }
  }
  FrameReader reader;
  reader.feed(std::string("\x01\x00\x00\x00\xff", 5));
  auto unknown = reader.next();
  BOOST_CHECK(!unknown && unknown.error().code == Errc::damaged);
}

BOOST_AUTO_TEST_CASE(a_frame_above_the_bound_is_refused_unread) {
  auto length = static_cast<std::uint32_t>(frame_bytes_max + 1);
  std::string head(reinterpret_cast<const char*>(&length), sizeof length);
  FrameReader reader;
  reader.feed(head);
  BOOST_CHECK(!reader.next());
}

// The sizes of the parts in which this list comes.
std::vector<std::size_t> parts_of(const std::vector<TaskStatus>& all) {
  std::string stream;
  encode_list(6, 17, all, stream);
  FrameReader reader;
  reader.feed(stream);
  std::vector<std::size_t> parts;
  for (bool last = false; !last;) {
    auto next = reader.next();
    BOOST_REQUIRE(next && *next);
    const auto& part = std::get<Listed>(**next);
    BOOST_CHECK_EQUAL(part.request, 6);
    BOOST_CHECK_EQUAL(part.newest_session, 17);
    parts.push_back(part.tasks.size());
    last = part.last;
  }
  auto behind = reader.next();
  BOOST_CHECK(behind && !*behind);
  return parts;
}

BOOST_AUTO_TEST_CASE(a_list_is_split_by_count_and_by_bytes) {
  using Parts = std::vector<std::size_t>;
  BOOST_CHECK(parts_of({}) == Parts{0});
  std::vector<TaskStatus> all(listed_per_frame_max);
  BOOST_CHECK(parts_of(all) == Parts{listed_per_frame_max});
  all.emplace_back();
  BOOST_CHECK((parts_of(all) == Parts{listed_per_frame_max, 1}));
  // Two that fill a frame to its last byte.
  all.resize(2);
  std::string frame;
  encode(Listed{6, true, 17, all}, frame);
  constexpr std::size_t length_bytes = 4;
  all[0].error.assign(1000, 'x');
  all[1].error.assign(frame_bytes_max + length_bytes - frame.size() - 1000,
                      'y');
  BOOST_CHECK(parts_of(all) == Parts{2});
  all[0].error += 'x';
  BOOST_CHECK((parts_of(all) == Parts{1, 1}));
}

BOOST_AUTO_TEST_CASE(a_text_is_cut_at_its_bound_and_between_characters) {
  BOOST_CHECK_EQUAL(cut_text("", 8), "");
  BOOST_CHECK_EQUAL(cut_text("12345678", 8), "12345678");
  BOOST_CHECK_EQUAL(cut_text("123456789", 8), "12345...");
  BOOST_CHECK_EQUAL(cut_text("123\u00e9\u00e9\u00e9", 8), "123\u00e9...");
  BOOST_CHECK_EQUAL(cut_text("1234\u00e9\u00e9\u00e9", 8), "1234...");
  const std::string novel(task_text_bytes_max + 1, 'x');
  BOOST_CHECK_EQUAL(cut_text(novel, task_text_bytes_max).size(),
                    task_text_bytes_max);
}

BOOST_AUTO_TEST_CASE(who_does_not_read_loses_live_output_and_then_is_cut_off) {
  BOOST_CHECK(hears_live_output(0));
  BOOST_CHECK(hears_live_output(live_backlog_bytes_max));
  BOOST_CHECK(!hears_live_output(live_backlog_bytes_max + 1));
  BOOST_CHECK(!is_cut_off(client_backlog_bytes_max));
  BOOST_CHECK(is_cut_off(client_backlog_bytes_max + 1));
}

BOOST_AUTO_TEST_CASE(fewer_tasks_run_at_a_time_where_descriptors_are_scarce) {
  constexpr std::size_t enough =
      descriptors_reserved + live_tasks_max * descriptors_per_task;
  BOOST_CHECK_EQUAL(live_tasks_of(enough), live_tasks_max);
  BOOST_CHECK_EQUAL(live_tasks_of(enough + descriptors_per_task),
                    live_tasks_max);
  BOOST_CHECK_EQUAL(live_tasks_of(enough - 1), live_tasks_max - 1);
}

}  // namespace
}  // namespace reeve::keeper::protocol_test
