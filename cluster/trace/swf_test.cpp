#include <boost/test/unit_test.hpp>

#include "cluster/trace/trace.hpp"
#include "cluster/types.hpp"

namespace reeve::swf_test {
namespace {

// number submit wait run used cpu mem asked time mem status user group exe
// queue partition preceding think
BOOST_AUTO_TEST_SUITE(swf)

BOOST_AUTO_TEST_CASE(a_job_has_a_task_for_each_processor) {
  const auto trace = parse_swf(
      "; Version: 2.2\n"
      ";   MaxNodes:  4\n"
      "; MaxProcs: 16\n"
      "\n"
      "  1  10 5 100 4 -1 -1 8 600 2048 1 3 2 -1 1 1 -1 -1\n"
      "2 11.5 -1 0 4 -1 1024 -1 -1 -1 0 -1 -1 -1 -1 -1 -1 -1\n"
      "3 12 -1 -1 0 -1 -1 4 60 -1 5 3 2 -1 1 1 -1 -1\n",
      "f");
  BOOST_REQUIRE(trace);
  BOOST_TEST(trace->never_ran == 1u);
  BOOST_REQUIRE(trace->requests.size() == 2u);
  const auto& job = trace->requests[0];
  BOOST_TEST(job.name == "job-1");
  BOOST_TEST(job.user == "user-3");
  BOOST_TEST(job.project == "group-2");
  BOOST_TEST(job.tasks == 8u);
  BOOST_TEST(job.cpu_milli == 1000u);
  BOOST_TEST(job.memory_bytes == 2048u * 1024);
  BOOST_TEST(job.arrival_ns == 10 * second_ns);
  BOOST_TEST((job.waited_ns == 5 * second_ns));
  BOOST_TEST((job.duration_ns == 100 * second_ns));
  BOOST_TEST(job.time_limit_ns == 600 * second_ns);
  BOOST_TEST(job.succeeded);
  const auto& other = trace->requests[1];
  BOOST_TEST(other.tasks == 4u);
  BOOST_TEST(other.memory_bytes == 1024u * 1024);
  BOOST_TEST(other.arrival_ns == 11'500'000'000u);
  BOOST_TEST(!other.waited_ns);
  BOOST_TEST((other.duration_ns == 0u));
  BOOST_TEST(other.user == "");
  BOOST_TEST(!other.succeeded);
  BOOST_REQUIRE(trace->nodes.size() == 4u);
  BOOST_TEST(trace->nodes[0].cpu_milli == 4000u);
}

BOOST_AUTO_TEST_CASE(more_processors_than_tasks_are_divided_among_these) {
  const auto at = [](std::uint64_t processors) {
    return parse_swf("1 0 0 1 -1 -1 -1 " + std::to_string(processors) +
                         " 1 -1 1 1 1 -1 -1 -1 -1 -1\n",
                     "f")
        ->requests.at(0);
  };
  BOOST_TEST(at(trace_tasks_max).tasks == trace_tasks_max);
  BOOST_TEST(at(trace_tasks_max).cpu_milli == 1000u);
  const auto more = at(trace_tasks_max + 1);
  BOOST_TEST(more.tasks == trace_tasks_max / 2 + 1);
  BOOST_TEST(more.cpu_milli == 2000u);
}

BOOST_AUTO_TEST_CASE(a_broken_line_is_named_by_line_and_column) {
  const struct {
    const char* line;
    const char* part;
  } cases[] = {
      {"1 2 3\n", "f:2: 3 fields; a job has 18"},
      {"1 x 0 1 1 -1 -1 1 1 -1 1 1 1 -1 -1 -1 -1 -1\n", "f:2:3: \"x\""},
      {"1 0 0 1 1 -1 -1 1 1 -1 1 1 1 -1 -1 -1 -1 -1 9\n",
       "f:2:45: more than 18"},
      {"1 0 0 1 -7 -1 -1 1 1 -1 1 1 1 -1 -1 -1 -1 -1\n", "f:2:9: \"-7\""},
      {"1 -1 0 1 1 -1 -1 1 1 -1 1 1 1 -1 -1 -1 -1 -1\n", "f:2:3: the time"},
      {"1 0 0 1e14 1 -1 -1 1 1 -1 1 1 1 -1 -1 -1 -1 -1\n", "f:2:7: 1000"},
      {"1 0 0 1 1 -1 -1 1e14 1 -1 1 1 1 -1 -1 -1 -1 -1\n", "processors"},
      {"name,cpu_milli\n", "f:2:1: \"name,cpu_milli\""}};
  for (const auto& c : cases) BOOST_TEST_CONTEXT(c.line) {
      const auto trace = parse_swf("; a comment\n" + std::string(c.line), "f");
      BOOST_REQUIRE(!trace);
      BOOST_TEST_INFO(trace.error().text);
      BOOST_TEST(trace.error().text.find(c.part) != std::string::npos);
    }
  BOOST_TEST(!parse_swf("", "f"));
}

BOOST_AUTO_TEST_CASE(a_header_that_tells_of_too_much_gives_no_nodes) {
  const auto nodes = [](const std::string& comment) {
    return parse_swf(comment, "f")->nodes.size();
  };
  BOOST_TEST(nodes("; MaxProcs: 8\n") == 1u);
  BOOST_TEST(nodes("; MaxNodes: 8\n") == 8u);
  BOOST_TEST(nodes("; MaxNodes: " + std::to_string(trace_nodes_max) + "\n") ==
             trace_nodes_max);
  BOOST_TEST(
      nodes("; MaxNodes: " + std::to_string(trace_nodes_max + 1) + "\n") == 0u);
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace
}  // namespace reeve::swf_test
