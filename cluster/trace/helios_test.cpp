#include <boost/test/unit_test.hpp>

#include "cluster/trace/trace.hpp"
#include "cluster/types.hpp"

namespace reeve::helios_test {
namespace {

constexpr std::string_view header =
    "job_id,user,tenant,class,submit_time,num_chips,chip_type,num_nodes,"
    "duration_s,walltime_limit_s,final_status\n";

std::string with_header(std::string_view rows) {
  return std::string(header) + std::string(rows);
}

BOOST_AUTO_TEST_SUITE(helios)

BOOST_AUTO_TEST_CASE(a_job_above_eight_gpus_is_a_gang_of_whole_nodes) {
  const auto trace = parse_helios(
      with_header("7,ann,vc1,finetune,5000000,120,,15,24.5,30,COMPLETED\n"
                  "8,bob,vc1,debug,6000000,4,V100,1,1.0,,FAILED\n"
                  "9,bob,vc2,debug,6000001,24,,,1.0,,\n"
                  "10,bob,vc2,debug,6000002,0,,1,1.0,,CANCELED\n"),
      "f");
  BOOST_REQUIRE(trace);
  BOOST_REQUIRE(trace->requests.size() == 4u);
  const auto& gang = trace->requests[0];
  BOOST_TEST(gang.user == "ann");
  BOOST_TEST(gang.group == "vc1");
  BOOST_TEST(gang.project == "vc1");
  BOOST_TEST(gang.tasks == 15u);
  BOOST_TEST(gang.nodes == 15u);
  BOOST_TEST(gang.gpus == 8u);
  BOOST_TEST(gang.arrival_ns == 5 * second_ns);
  BOOST_TEST((gang.duration_ns == 24'500'000'000));
  BOOST_TEST(gang.time_limit_ns == 30 * second_ns);
  BOOST_TEST(gang.succeeded);
  const auto& one = trace->requests[1];
  BOOST_TEST(one.tasks == 1u);
  BOOST_TEST(one.nodes == 0u);
  BOOST_TEST(one.gpus == 4u);
  BOOST_TEST((one.gpu_models == std::vector<std::string>{"V100"}));
  BOOST_TEST(!one.succeeded);
  BOOST_TEST(trace->requests[2].tasks == 3u);
  BOOST_TEST(trace->requests[3].gpus == 0u);
}

BOOST_AUTO_TEST_CASE(the_comment_about_pools_gives_the_nodes) {
  const std::string pools =
      "# per-VC pool sizes (nodes, 8 GPU/node): big=3, small=1\n";
  const auto trace = parse_helios(
      pools + with_header("7,a,big,x,1,8,,1,1,1,COMPLETED\n"), "f");
  BOOST_REQUIRE(trace);
  BOOST_REQUIRE(trace->nodes.size() == 4u);
  BOOST_TEST(trace->nodes[0].group == "big");
  BOOST_TEST(trace->nodes[3].group == "small");
  BOOST_TEST(trace->nodes[3].gpus == 8u);
  BOOST_TEST(
      parse_helios(with_header("7,a,big,x,1,8,,1,1,1,\n"), "f")->nodes.empty());
  const auto odd = parse_helios("# pool sizes (nodes, 8 GPU/node): big=many\n" +
                                    with_header("7,a,big,x,1,8,,1,1,1,\n"),
                                "f");
  BOOST_REQUIRE(odd);
  BOOST_TEST(odd->nodes.empty());
}

BOOST_AUTO_TEST_CASE(a_broken_job_is_named_by_line_and_column) {
  const struct {
    const char* row;
    const char* part;
  } cases[] = {{",a,vc,x,1,8,,1,1,1,\n", "f:2:1: a job id"},
               {"7,a,vc,x,soon,8,,1,1,1,\n", "f:2:10: \"soon\""},
               {"7,a,vc,x,1,-8,,1,1,1,\n", "f:2:12: \"-8\""},
               {"7,a,vc,x,1,8,,x,1,1,\n", "f:2:15: \"x\""},
               {"7,a,vc,x,1,8,,1,,1,\n", "f:2:17: a length"},
               {"7,a,vc,x,1,8,,1,x,1,\n", "f:2:17: \"x\""},
               {"7,a,vc,x,1,8,,1,1,nan,\n", "f:2:19: \"nan\""},
               {"7,a,vc,x,1,5000,,1,1,1,\n", "f:2:12: 5000 GPUs on 1 node"},
               {"7,a,vc,x,1,8\n", "f:2: 6 columns where the header has 11"}};
  for (const auto& c : cases) BOOST_TEST_CONTEXT(c.row) {
      const auto trace = parse_helios(with_header(c.row), "f");
      BOOST_REQUIRE(!trace);
      BOOST_TEST_INFO(trace.error().text);
      BOOST_TEST((trace.error().code == Errc::usage));
      BOOST_TEST(trace.error().text.find(c.part) != std::string::npos);
    }
}

BOOST_AUTO_TEST_CASE(a_job_has_a_bounded_number_of_gpus_and_tasks) {
  const auto of = [](std::uint64_t chips, std::uint64_t nodes) {
    return parse_helios(with_header("7,a,vc,x,1," + std::to_string(chips) +
                                    ",," + std::to_string(nodes) + ",1,1,\n"),
                        "f");
  };
  BOOST_TEST(of(trace_gpus_max, 1).has_value());
  BOOST_TEST(!of(trace_gpus_max + 1, 1).has_value());
  BOOST_TEST(of(8, trace_tasks_max).has_value());
  BOOST_TEST(!of(8, trace_tasks_max + 1).has_value());
}

BOOST_AUTO_TEST_CASE(a_missing_column_is_named) {
  const auto trace = parse_helios("job_id,user,tenant,submit_time\n", "f");
  BOOST_REQUIRE(!trace);
  BOOST_TEST(trace.error().text.find("f:1: column \"num_chips\" is missing") !=
             std::string::npos);
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace
}  // namespace reeve::helios_test
