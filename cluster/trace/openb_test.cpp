#include <boost/test/unit_test.hpp>

#include "cluster/trace/trace.hpp"

namespace reeve::openb_test {
namespace {

constexpr std::string_view header =
    "name,cpu_milli,memory_mib,num_gpu,gpu_milli,gpu_spec,qos,pod_phase,"
    "creation_time,deletion_time,scheduled_time\n";

Expected<std::vector<TraceRequest>> requests_of(std::string_view text,
                                                std::string_view file) {
  auto trace = parse_openb(text, file);
  if (!trace) return tl::unexpected(trace.error());
  return std::move(trace->requests);
}

std::string with_header(std::string_view rows) {
  return std::string(header) + std::string(rows);
}

BOOST_AUTO_TEST_SUITE(openb)

BOOST_AUTO_TEST_CASE(a_request_has_its_resources_models_and_times) {
  const auto requests = requests_of(
      with_header("p-0,6000,12288,1,460,,LS,Running,427061,427161,427071\r\n"
                  "p-1,8000,1024,2,1000,T4|G2|T4,LS,Running,5,9,\n"
                  "\n"
                  "p-2,1000,64,0,0,T4,LS,Pending,7,,\n"),
      "pods.csv");
  BOOST_REQUIRE(requests);
  BOOST_REQUIRE(requests->size() == 3u);
  const auto& share = requests->at(0);
  BOOST_TEST(share.name == "p-0");
  BOOST_TEST(share.cpu_milli == 6000u);
  BOOST_TEST(share.memory_bytes == 12288ull << 20);
  BOOST_TEST(share.gpus == 1u);
  BOOST_TEST(share.gpu_milli == 460u);
  BOOST_TEST(share.arrival_ns == 427061ull * 1'000'000'000);
  BOOST_TEST((share.duration_ns == 90ull * 1'000'000'000));
  BOOST_TEST((share.waited_ns == 10ull * 1'000'000'000));
  const auto& whole = requests->at(1);
  BOOST_TEST(whole.gpus == 2u);
  BOOST_TEST(whole.gpu_milli == 1000u);
  BOOST_TEST((whole.gpu_models == std::vector<std::string>{"T4", "G2"}));
  BOOST_TEST((whole.duration_ns == 4ull * 1'000'000'000));
  BOOST_TEST(!whole.waited_ns);
  const auto& cpu_only = requests->at(2);
  BOOST_TEST(cpu_only.gpus == 0u);
  BOOST_TEST(cpu_only.gpu_models.empty());
  BOOST_TEST(!cpu_only.duration_ns);
}

BOOST_AUTO_TEST_CASE(a_row_has_a_bounded_number_of_gpus) {
  for (const std::uint64_t gpus : {trace_gpus_max, trace_gpus_max + 1}) {
    const auto requests =
        requests_of(with_header("p-0,1000,64," + std::to_string(gpus) +
                                ",1000,,LS,Running,5,9,\n"),
                    "pods.csv");
    BOOST_TEST(requests.has_value() == (gpus <= trace_gpus_max));
    if (!requests)
      BOOST_TEST(requests.error().text.find(std::to_string(trace_gpus_max)) !=
                 std::string::npos);
  }
}

BOOST_AUTO_TEST_CASE(columns_are_found_by_name_and_times_may_be_missing) {
  const auto requests = requests_of(
      "gpu_milli,num_gpu,name,cpu_milli,memory_mib\n1000,1,a,2,3", "f");
  BOOST_REQUIRE(requests);
  BOOST_TEST(requests->at(0).name == "a");
  BOOST_TEST(requests->at(0).gpu_milli == 1000u);
  BOOST_TEST(requests->at(0).arrival_ns == 0u);
}

BOOST_AUTO_TEST_CASE(a_malformed_line_is_named_by_line_and_column) {
  const struct {
    const char* row;
    const char* part;
  } cases[] = {{"p,x,1,0,0,,,,,,\n", "f:2:3: \"x\""},
               {"p,1,1,0,0,,,,\n", "f:2: 9 columns where the header has 11"},
               {"p,1,-1,0,0,,,,,,\n", "f:2:5: \"-1\""},
               {"p,1,1,1,1001,,,,,,\n", "f:2:9: \"1001\""},
               {"p,1,1,1,0,,,,,,\n", "f:2:9: a share of 0"},
               {"p,1,1,2000,1000,,,,,,\n", "f:2:7: \"2000\""},
               {",1,1,0,0,,,,,,\n", "f:2:1: a name"},
               {"p,1,1,0,0,,,,soon,,\n", "no time in seconds"},
               {"p,1,1,0,0,,,,1e300,,\n", "no time in seconds"},
               {"p,1,1,0,0,,,,nan,,\n", "no time in seconds"}};
  for (const auto& c : cases) BOOST_TEST_CONTEXT(c.row) {
      const auto requests = requests_of(with_header(c.row), "f");
      BOOST_REQUIRE(!requests);
      BOOST_TEST_INFO(requests.error().text);
      BOOST_TEST(requests.error().text.find(c.part) != std::string::npos);
    }
}

BOOST_AUTO_TEST_CASE(a_foreign_file_is_refused_by_its_header) {
  const auto empty = requests_of("", "f");
  BOOST_REQUIRE(!empty);
  BOOST_TEST(empty.error().text.find("empty") != std::string::npos);
  const auto foreign = requests_of("a,b\n1,2\n", "f");
  BOOST_REQUIRE(!foreign);
  BOOST_TEST(foreign.error().text.find("\"name\" is missing") !=
             std::string::npos);
}

BOOST_AUTO_TEST_CASE(nodes_have_their_devices_and_stand_once) {
  const auto nodes = parse_openb_nodes(
      "sn,cpu_milli,memory_mib,gpu,model\nn-0,64000,262144,2,P100\n"
      "n-1,32000,1024,0,\n",
      "n");
  BOOST_REQUIRE(nodes);
  BOOST_REQUIRE(nodes->size() == 2u);
  BOOST_TEST(nodes->at(0).gpus == 2u);
  BOOST_TEST(nodes->at(0).gpu_model == "P100");
  BOOST_TEST(nodes->at(1).gpus == 0u);
  const auto twice = parse_openb_nodes(
      "sn,cpu_milli,memory_mib,gpu,model\nn,1,1,0,\nn,1,1,0,\n", "n");
  BOOST_REQUIRE(!twice);
  BOOST_TEST(twice.error().text.find("n:3:1: node \"n\" stands twice") !=
             std::string::npos);
  const auto modelless =
      parse_openb_nodes("sn,cpu_milli,memory_mib,gpu,model\nn,1,1,4,\n", "n");
  BOOST_TEST(!modelless);
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace
}  // namespace reeve::openb_test
