#include "tools/daemon/metrics.hpp"

#include <prometheus/text_serializer.h>

#include <boost/test/unit_test.hpp>
#include <sstream>

#include "actors/manager/core.hpp"

namespace reeve::tools::metrics_test {
namespace {

using namespace std::chrono_literals;
using flatbuffers::FlatBufferBuilder;

std::string text_of(const MetricFamilies& families) {
  std::ostringstream out;
  prometheus::TextSerializer().Serialize(out, families);
  return out.str();
}

bool has_line(const std::string& text, const std::string& line) {
  return ("\n" + text).find("\n" + line + "\n") != std::string::npos;
}

bool contains(const std::string& text, const std::string& part) {
  return text.find(part) != std::string::npos;
}

bus::Message stats_of(const std::string& agent, bool lost = false) {
  FlatBufferBuilder builder;
  const auto uuid = builder.CreateString("GPU-a");
  const auto model = builder.CreateString("NVIDIA H100");
  const auto why = builder.CreateString("it does not answer");
  const auto throttles = builder.CreateVectorOfStrings({"power limit"});
  schema::DeviceStatsBuilder device(builder);
  device.add_uuid(uuid);
  device.add_model(model);
  device.add_index(1);
  device.add_minor(3);
  device.add_xids(2);
  device.add_xid_last(79);
  if (lost) {
    device.add_lost(why);
  } else {
    device.add_throttles(throttles);
    device.add_gpu_percent(97);
    device.add_memory_used_bytes(3ull << 20);
    device.add_memory_total_bytes(8ull << 20);
    device.add_power_mw(650'500);
    device.add_temperature_c(61);
    device.add_sm_clock_mhz(1'755);
    device.add_memory_clock_mhz(2'619);
    device.add_ecc_uncorrected(0);
    device.add_pcie_sent_bytes_per_s(10'240);
    device.add_row_remap_failed(true);
    device.add_processes(2);
  }
  const auto done = device.Finish();
  const std::vector<flatbuffers::Offset<schema::DeviceStats>> devices = {done};
  return bus::Message::copy(
      "", "",
      schema::finish(builder,
                     schema::CreateNodeStatsDirect(builder, agent.c_str(),
                                                   "host-7", 1, &devices)));
}

std::string gpu_text(const bus::Message& message) {
  const auto* stats = schema::verified<schema::NodeStats>(message.data);
  BOOST_REQUIRE(stats != nullptr);
  return text_of(gpu_metrics({stats}));
}

const std::string labels =
    R"({gpu="1",UUID="GPU-a",device="nvidia3",modelName="NVIDIA H100",)"
    R"(Hostname="host-7"})";

BOOST_AUTO_TEST_CASE(a_gpu_has_the_names_labels_and_units_of_dcgm_s_exporter) {
  const std::string text = gpu_text(stats_of("a"));
  for (const char* line :
       {"DCGM_FI_DEV_GPU_UTIL* 97", "DCGM_FI_DEV_FB_USED* 3",
        "DCGM_FI_DEV_FB_FREE* 5", "DCGM_FI_DEV_POWER_USAGE* 650.5",
        "DCGM_FI_DEV_GPU_TEMP* 61", "DCGM_FI_DEV_SM_CLOCK* 1755",
        "DCGM_FI_DEV_MEM_CLOCK* 2619", "DCGM_FI_DEV_XID_ERRORS* 79",
        "DCGM_FI_DEV_ECC_DBE_VOL_TOTAL* 0",
        "DCGM_FI_DEV_PCIE_TX_THROUGHPUT* 10",
        "DCGM_FI_DEV_ROW_REMAP_FAILURE* 1", "reeve_gpu_xids_total* 2",
        "reeve_gpu_processes* 2", "reeve_gpu_lost* 0"}) {
    std::string wanted = line;
    wanted.replace(wanted.find('*'), 1, labels);
    BOOST_TEST(has_line(text, wanted), wanted << " is not in\n" << text);
  }
  BOOST_TEST(has_line(text, "# TYPE DCGM_FI_DEV_GPU_UTIL gauge"));
  BOOST_TEST(has_line(text, "# TYPE DCGM_FI_DEV_ECC_DBE_VOL_TOTAL counter"));
  BOOST_TEST(contains(text, "reason=\"power limit\"} 1"));
}

BOOST_AUTO_TEST_CASE(what_the_driver_does_not_tell_is_no_metric) {
  const std::string text = gpu_text(stats_of("a"));
  BOOST_TEST(!contains(text, "DCGM_FI_DEV_MEMORY_TEMP"));
  BOOST_TEST(!contains(text, "DCGM_FI_DEV_ECC_SBE_VOL_TOTAL"));
  const std::string lost = gpu_text(stats_of("a", true));
  BOOST_TEST(!contains(lost, "DCGM_FI_DEV_GPU_UTIL"));
  BOOST_TEST(has_line(lost, "DCGM_FI_DEV_XID_ERRORS" + labels + " 79"));
  BOOST_TEST(has_line(lost, "reeve_gpu_lost" + labels + " 1"));
  BOOST_TEST(gpu_metrics({}).empty());
}

BOOST_AUTO_TEST_CASE(the_cell_tells_sessions_nodes_events_and_counters) {
  FlatBufferBuilder builder;
  const std::vector<flatbuffers::Offset<schema::StateCount>> sessions = {
      schema::CreateStateCount(builder, schema::SessionState::pending, 5),
      schema::CreateStateCount(builder, schema::SessionState::running, 3)};
  const std::vector<flatbuffers::Offset<schema::Counter>> counters = {
      schema::CreateCounterDirect(builder, "placements", 8),
      schema::CreateCounterDirect(builder, "keeper_pid", 4'242)};
  builder.Finish(schema::CreateStatusAnswerDirect(builder, "c", 1, 2, 7, 4, 3,
                                                  true, &sessions, &counters));
  const std::string text = text_of(cell_metrics(
      *flatbuffers::GetRoot<schema::StatusAnswer>(builder.GetBufferPointer()),
      1'234));
  for (const char* line :
       {"reeve_sessions{state=\"pending\"} 5",
        "reeve_sessions{state=\"running\"} 3",
        "reeve_events_committed_total 1234", "reeve_epoch 7", "reeve_nodes 4",
        "reeve_nodes_up 3", "reeve_admission_open 1",
        "reeve_placements_total 8"})
    BOOST_TEST(has_line(text, line), line << " is not in\n" << text);
  BOOST_TEST(!contains(text, "pid"));
}

struct Seen {
  const char* name;
  schema::ManagerRole role = schema::ManagerRole::following;
  std::uint64_t sequence = 0;
  std::uint64_t silent_ns = 0;
  std::uint64_t epoch = 7;
  bool heard = true;
};

std::string manager_text(const std::vector<Seen>& all) {
  FlatBufferBuilder builder;
  std::vector<flatbuffers::Offset<schema::ManagerView>> managers;
  for (const Seen& one : all)
    managers.push_back(schema::CreateManagerViewDirect(
        builder, one.name, "", one.heard, one.silent_ns, one.role, one.epoch,
        one.sequence));
  builder.Finish(schema::CreateStatusAnswerDirect(
      builder, "c", 1, 2, 7, 0, 0, true, nullptr, nullptr,
      schema::ManagerRole::leading, "m1", 0, &managers));
  return text_of(manager_metrics(
      *flatbuffers::GetRoot<schema::StatusAnswer>(builder.GetBufferPointer())));
}

constexpr auto leading = schema::ManagerRole::leading;
constexpr auto candidate = schema::ManagerRole::candidate;
constexpr auto following = schema::ManagerRole::following;

BOOST_AUTO_TEST_CASE(each_manager_is_up_or_not_and_leads_or_is_behind) {
  const std::string text =
      manager_text({{"m1", leading, 100},
                    {"m2", following, 90, manager::manager_silent_ns_max},
                    {"m3", leading, 120, manager::manager_silent_ns_max + 1, 8},
                    {.name = "m4", .heard = false}});
  for (const char* line : {"# TYPE reeve_manager_behind_events gauge",
                           "reeve_manager_up{manager=\"m1\"} 1",
                           "reeve_manager_up{manager=\"m2\"} 1",
                           "reeve_manager_up{manager=\"m3\"} 0",
                           "reeve_manager_up{manager=\"m4\"} 0",
                           "reeve_manager_leads{manager=\"m1\"} 1",
                           "reeve_manager_leads{manager=\"m2\"} 0",
                           "reeve_manager_leads{manager=\"m3\"} 0",
                           "reeve_manager_leads{manager=\"m4\"} 0",
                           "reeve_manager_behind_events{manager=\"m1\"} 0",
                           "reeve_manager_behind_events{manager=\"m2\"} 10",
                           "reeve_manager_behind_events{manager=\"m3\"} 0"})
    BOOST_TEST(has_line(text, line), line << " is not in\n" << text);
  BOOST_TEST(!contains(text, "reeve_manager_behind_events{manager=\"m4\"}"));
}

BOOST_AUTO_TEST_CASE(of_two_managers_that_say_so_the_later_epoch_s_leads) {
  const std::string text =
      manager_text({{"m1", leading, 100, 0, 8}, {"m2", leading, 90, 0, 7}});
  BOOST_TEST(has_line(text, "reeve_manager_leads{manager=\"m1\"} 1"), text);
  BOOST_TEST(has_line(text, "reeve_manager_leads{manager=\"m2\"} 0"), text);
}

BOOST_AUTO_TEST_CASE(while_none_leads_no_manager_is_told_to_be_behind) {
  const std::string text =
      manager_text({{"m1", candidate, 100}, {"m2", following, 90}});
  BOOST_TEST(has_line(text, "reeve_manager_up{manager=\"m2\"} 1"), text);
  BOOST_TEST(has_line(text, "reeve_manager_leads{manager=\"m1\"} 0"), text);
  BOOST_TEST(!contains(text, "reeve_manager_behind_events{"), text);
}

BOOST_AUTO_TEST_CASE(a_manager_alone_is_up_and_leads) {
  const std::string text = manager_text({});
  for (const char* line : {"reeve_manager_up{manager=\"m1\"} 1",
                           "reeve_manager_leads{manager=\"m1\"} 1",
                           "reeve_manager_behind_events{manager=\"m1\"} 0"})
    BOOST_TEST(has_line(text, line), line << " is not in\n" << text);
}

BOOST_AUTO_TEST_CASE(each_connection_to_the_bus_has_its_counters) {
  bus::Stats stats;
  stats.received = 9;
  const std::string text =
      text_of(bus_metrics({{"events", {}}, {"answers", stats}}));
  BOOST_TEST(
      has_line(text, "reeve_bus_received_total{connection=\"answers\"} 9"));
  BOOST_TEST(
      has_line(text, "reeve_bus_received_total{connection=\"events\"} 0"));
}

BOOST_AUTO_TEST_CASE(each_actor_has_its_mailbox_and_what_it_has_done) {
  const std::string text = text_of(
      actor_metrics({{"journal", {}}, {"manager", {3, 90, 2'500'000'000}}}));
  for (const char* line :
       {"# TYPE reeve_actor_mailbox gauge",
        "# TYPE reeve_actor_handled_total counter",
        "reeve_actor_mailbox{name=\"journal\"} 0",
        "reeve_actor_mailbox{name=\"manager\"} 3",
        "reeve_actor_handled_total{name=\"manager\"} 90",
        "reeve_actor_busy_seconds_total{name=\"manager\"} 2.5"})
    BOOST_TEST(has_line(text, line), line << " is not in\n" << text);
}

BOOST_AUTO_TEST_CASE(figures_go_when_their_agent_falls_silent) {
  NewestStats newest;
  const NewestStats::Moment begun{};
  newest.take(stats_of("a"), begun);
  newest.take(stats_of("b"), begun + 1s);
  newest.take(stats_of("b"), begun + 1s);
  BOOST_TEST(newest.fresh(begun + stats_age_max).size() == 2u);
  BOOST_TEST(newest.fresh(begun + stats_age_max + 1s).size() == 1u);
  BOOST_TEST(newest.fresh(begun + stats_age_max + 2s).empty());
}

BOOST_AUTO_TEST_CASE(figures_of_so_many_agents_are_kept_and_not_of_one_more) {
  NewestStats newest;
  const NewestStats::Moment now{};
  for (std::size_t i = 0; i < stats_agents_max + 1; ++i)
    newest.take(stats_of("agent-" + std::to_string(i)), now);
  BOOST_TEST(newest.fresh(now).size() == stats_agents_max);
}

}  // namespace
}  // namespace reeve::tools::metrics_test
