#include "tools/cli/node/gpus_live.hpp"

#include <boost/test/unit_test.hpp>
#include <vector>

namespace reeve::tools::gpus_live_test {
namespace {

constexpr std::uint64_t second = 1'000'000'000;

struct Gpu {
  std::string uuid;
  std::optional<std::uint32_t> percent = std::nullopt;
  std::string lost = "";
  std::optional<std::uint64_t> xid = std::nullopt;
  std::vector<std::string> throttles = {};
  std::vector<std::uint32_t> pids = {};  // each with as many GiB
};

// Messages that live as long as this.
class Nodes {
 public:
  bus::Message stats(const std::string& node, const std::vector<Gpu>& gpus) {
    flatbuffers::FlatBufferBuilder builder;
    std::vector<flatbuffers::Offset<schema::DeviceStats>> devices;
    for (const Gpu& gpu : gpus) {
      const auto uuid = builder.CreateString(gpu.uuid);
      const auto model = builder.CreateString("NVIDIA H100 80GB HBM3");
      const auto lost = builder.CreateString(gpu.lost);
      const auto throttles = builder.CreateVectorOfStrings(gpu.throttles);
      std::vector<flatbuffers::Offset<schema::ProgramStats>> programs;
      for (const std::uint32_t pid : gpu.pids)
        programs.push_back(
            schema::CreateProgramStats(builder, pid, std::uint64_t{pid} << 30));
      const auto list = builder.CreateVector(programs);
      schema::DeviceStatsBuilder to(builder);
      to.add_programs(list);
      to.add_processes(static_cast<std::uint32_t>(gpu.pids.size()));
      to.add_uuid(uuid);
      to.add_index(static_cast<std::uint32_t>(devices.size()));
      to.add_model(model);
      if (!gpu.lost.empty()) to.add_lost(lost);
      if (gpu.percent) to.add_gpu_percent(*gpu.percent);
      if (gpu.xid) to.add_xid_last(*gpu.xid);
      if (gpu.xid) to.add_xids(3);
      to.add_throttles(throttles);
      to.add_memory_used_bytes(20ull << 30);
      to.add_memory_total_bytes(80ull << 30);
      to.add_power_mw(650'499);
      to.add_temperature_c(61);
      to.add_sm_clock_mhz(1'755);
      devices.push_back(to.Finish());
    }
    const auto bytes = schema::finish(
        builder, schema::CreateNodeStatsDirect(builder, "agent", node.c_str(),
                                               1, &devices));
    kept_.emplace_back(bytes.begin(), bytes.end());
    bus::Message message;
    message.data = kept_.back();
    return message;
  }

 private:
  std::deque<std::vector<std::byte>> kept_;
};

std::vector<std::string> lines_of(const std::string& text) {
  std::vector<std::string> out(1);
  for (const char c : text) {
    if (c == '\n')
      out.emplace_back();
    else
      out.back() += c;
  }
  out.pop_back();
  return out;
}

std::size_t columns(const std::string& line) {
  return static_cast<std::size_t>(std::count_if(
      line.begin(), line.end(),
      [](char c) { return (static_cast<unsigned char>(c) & 0xC0) != 0x80; }));
}

bool contains(const std::string& text, const std::string& part) {
  return text.find(part) != std::string::npos;
}

BOOST_AUTO_TEST_SUITE(gpus_live)

BOOST_AUTO_TEST_CASE(a_sparkline_has_a_bar_of_eighths_for_each_sample) {
  BOOST_TEST(sparkline({}) == "");
  BOOST_TEST(sparkline({0, 12, 13, 50, 99, 100}) == "▁▁▂▅██");
  BOOST_TEST(sparkline({100, std::nullopt, 0}) == "█ ▁");
}

BOOST_AUTO_TEST_CASE(each_gpu_has_a_line_with_what_it_does) {
  Nodes nodes;
  LiveGpus live;
  live.take(nodes.stats("host-2", {{"a", 97}}), 0);
  live.take(nodes.stats("host-1", {{"b", 0}, {"c"}}), 0);
  live.take(nodes.stats("host-2", {{"a", 13}}), second);
  const auto lines = lines_of(live.text({}, second));
  BOOST_REQUIRE_EQUAL(lines.size(), 4u);
  BOOST_TEST(lines[0] ==
             "NODE    GPU  MODEL                  USE  LAST MINUTE         "
             "MEMORY  POWER  TEMP  SM/MEM MHZ  PROGRAMS  REMARKS");
  BOOST_TEST(lines[1] ==
             "host-1    0  NVIDIA H100 80GB HBM3   0%            ▁  20 GiB/80 "
             "GiB  650 W  61 C      1755/-  -         -");
  BOOST_TEST(contains(lines[2], "  - "));
  BOOST_TEST(contains(lines[3], "13%           █▂"));
}

BOOST_AUTO_TEST_CASE(programs_are_named_with_what_they_hold) {
  Nodes nodes;
  LiveGpus live;
  Gpu few{"a", 5};
  few.pids = {7};
  Gpu many{"b", 5};
  for (std::uint32_t pid = 1; pid <= live_programs_max + 2; ++pid)
    many.pids.push_back(pid);
  live.take(nodes.stats("h", {few, many}), 0);
  const auto lines = lines_of(live.text({}, 0));
  BOOST_REQUIRE_EQUAL(lines.size(), 3u);
  BOOST_TEST(contains(lines[1], "  7 (7 GiB)  "));
  BOOST_TEST(contains(lines[2], "  1 (1 GiB), 2 (2 GiB), 3 (3 GiB), 2 more  "));
}

BOOST_AUTO_TEST_CASE(what_is_wrong_with_a_gpu_is_a_remark) {
  Nodes nodes;
  LiveGpus live;
  live.take(nodes.stats("h", {{"a", 5, "", 48, {"idle", "power limit"}},
                              {"b", std::nullopt, "GPU 1 does not answer"}}),
            0);
  const auto lines = lines_of(live.text({}, 0));
  BOOST_REQUIRE_EQUAL(lines.size(), 3u);
  BOOST_TEST(contains(lines[1], "Xid 48, 3 in all; power limit"));
  BOOST_TEST(contains(lines[2], " lost "));
  BOOST_TEST(contains(lines[2], "GPU 1 does not answer"));
}

BOOST_AUTO_TEST_CASE(no_line_is_wider_than_the_terminal_and_none_too_many) {
  Nodes nodes;
  LiveGpus live;
  std::vector<Gpu> gpus;
  for (int i = 0; i < 20; ++i) gpus.push_back({std::to_string(i), 50});
  for (std::size_t i = 0; i < live_samples_max; ++i)
    live.take(nodes.stats("a-node-with-a-long-name", gpus), 0);
  for (const std::size_t width : {40u, 60u, 80u, 132u}) {
    const auto lines = lines_of(live.text({true, false, width, 10}, 0));
    BOOST_TEST(lines.size() == 9u);
    BOOST_TEST(lines.back() == "and 13 more");
    for (const std::string& line : lines)
      BOOST_TEST(columns(line) <= width, line);
    for (const char* part : {"NODE", "GPU", "USE"})
      BOOST_TEST(contains(lines[0], part), lines[0]);
    BOOST_TEST(contains(lines[1], "50%"));
  }
  BOOST_TEST(lines_of(live.text({true, false, 80, 24}, 0)).size() == 21u);
  BOOST_TEST(lines_of(live.text({true, false, 80, 2}, 0)).size() == 3u);
}

BOOST_AUTO_TEST_CASE(a_gpu_keeps_so_many_samples_and_not_one_more) {
  Nodes nodes;
  LiveGpus live;
  live.take(nodes.stats("h", {{"a", 100}}), 0);
  for (std::size_t i = 1; i < live_samples_max; ++i)
    live.take(nodes.stats("h", {{"a", 0}}), 0);
  BOOST_TEST(contains(live.text({}, 0), "█▁"));
  live.take(nodes.stats("h", {{"a", 0}}), 0);
  BOOST_TEST(!contains(live.text({}, 0), "█"));
}

BOOST_AUTO_TEST_CASE(a_silent_node_is_shown_no_more) {
  Nodes nodes;
  LiveGpus live;
  live.take(nodes.stats("h", {{"a", 1}}), 0);
  BOOST_TEST(contains(live.text({}, live_silence_ns), "h "));
  BOOST_TEST(live.text({}, live_silence_ns + 1) ==
             "no node tells of its GPUs\n");
}

BOOST_AUTO_TEST_CASE(so_many_nodes_are_shown_and_that_there_are_more_is_said) {
  Nodes nodes;
  LiveGpus live;
  for (std::size_t i = 0; i < live_nodes_max; ++i)
    live.take(nodes.stats("h" + std::to_string(i), {{"a", 1}}), 0);
  BOOST_TEST(lines_of(live.text({}, 0)).size() == live_nodes_max + 1);
  live.take(nodes.stats("one-more", {{"a", 1}}), 0);
  const auto lines = lines_of(live.text({}, 0));
  BOOST_TEST(lines.size() == live_nodes_max + 2);
  BOOST_TEST(lines.back() == "and further nodes");
}

BOOST_AUTO_TEST_CASE(a_screen_is_written_over_and_its_rest_cleared) {
  BOOST_TEST(screen_of("a\nb\n") == "\033[Ha\033[K\nb\033[K\n\033[J");
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace
}  // namespace reeve::tools::gpus_live_test
