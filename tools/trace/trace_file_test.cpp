// Files as the command line names them, and the reeve format.
#include "tools/trace/trace_file.hpp"

#include <fmt/format.h>

#include <boost/test/unit_test.hpp>
#include <filesystem>
#include <fstream>

#include "cluster/limits.hpp"
#include "cluster/types.hpp"

namespace reeve::tools::trace_file_test {
namespace {

namespace fs = std::filesystem;

struct Folder {
  Folder() {
    std::string name = (fs::temp_directory_path() / "reeve-XXXXXX").string();
    BOOST_REQUIRE(::mkdtemp(name.data()) != nullptr);
    path = name;
  }
  ~Folder() { fs::remove_all(path); }
  std::string file(const std::string& name, std::string_view text) const {
    std::ofstream(path / name, std::ios::binary) << text;
    return (path / name).string();
  }
  fs::path path;
};

bool tells(const Error& error, std::string_view part) {
  BOOST_TEST_INFO(error.text);
  return error.text.find(part) != std::string::npos;
}

constexpr std::string_view openb =
    "name,cpu_milli,memory_mib,num_gpu,gpu_milli\na,1000,1,0,0\n";
constexpr std::string_view swf =
    "; MaxProcs: 4\n1 0 0 1 1 -1 -1 1 1 -1 1 1 1 -1 -1 -1 -1 -1\n";

BOOST_AUTO_TEST_SUITE(trace_files)

BOOST_FIXTURE_TEST_CASE(a_file_of_another_format_is_told_by_its_name, Folder) {
  const auto jobs = file("t", swf);
  BOOST_TEST(read_trace(jobs, "swf")->requests.size() == 1u);
  const auto wrong = read_trace(jobs, "openb");
  BOOST_REQUIRE(!wrong);
  BOOST_TEST((wrong.error().code == Errc::usage));
  BOOST_TEST(tells(wrong.error(), "column \"name\" is missing"));
  BOOST_TEST(tells(wrong.error(), "it looks like --format swf"));
  const auto other = read_trace(file("o", openb), "reeve");
  BOOST_REQUIRE(!other);
  BOOST_TEST(tells(other.error(), "it looks like --format openb"));
  const auto none = read_trace(file("n", "some words\n"), "swf");
  BOOST_REQUIRE(!none);
  BOOST_TEST(!tells(none.error(), "looks like"));
}

BOOST_FIXTURE_TEST_CASE(an_empty_or_missing_file_is_refused, Folder) {
  const auto header =
      read_trace(file("h", openb.substr(0, openb.find('\n') + 1)), "openb");
  BOOST_REQUIRE(!header);
  BOOST_TEST(tells(header.error(), "holds no request"));
  const auto missing = read_trace((path / "none").string(), "openb");
  BOOST_REQUIRE(!missing);
  BOOST_TEST((missing.error().code == Errc::not_found));
  BOOST_TEST(!read_trace(file("o", openb), "slurm"));
}

BOOST_FIXTURE_TEST_CASE(nodes_are_a_number_a_file_or_groups, Folder) {
  const std::vector<std::string> lists[] = {
      {"3"},
      {"big=2,small=1"},
      {"big=2", "small=1"},
      {file("n",
            "sn,cpu_milli,memory_mib,gpu,model,group\n"
            "a,1,1,0,,big\nb,1,1,0,,big\nc,1,1,0,,small\n")}};
  for (const auto& list : lists) {
    const auto nodes = read_node_lists(list);
    BOOST_REQUIRE(nodes);
    BOOST_TEST(nodes->size() == 3u);
    BOOST_TEST(nodes->at(2).group == (list[0] == "3" ? "" : "small"));
  }
  const std::vector<std::string> broken[] = {
      {"big=2,small"}, {"=2"},     {"big=x"},
      {"big=0"},       {"2", "2"}, {(path / "none").string()}};
  for (const auto& list : broken) BOOST_TEST(!read_node_lists(list));
}

BOOST_AUTO_TEST_CASE(a_line_of_the_reeve_format_is_a_submission_with_its_time) {
  const auto trace = parse_reeve(
      R"({"submit_at": 10, "duration": "90m", "user": "ann", "gpus": "A100:2",)"
      R"( "cpus": 4, "mem": "8G", "tasks": 2, "nodes": 2, "time": "2h",)"
      R"( "project": "vision", "group": "gpu", "priority": 5, "requeue": 1,)"
      R"( "name": "train", "waited": 3.5, "failed": true})"
      "\n\n"
      R"({"submit_at": "+1m", "sim-duration": "5s", "after": ["1:any"],)"
      R"( "not-before": "+2m", "command": ["true"], "env": {"A": "b"}})",
      "f");
  BOOST_REQUIRE_MESSAGE(trace, trace.error().text);
  BOOST_REQUIRE(trace->requests.size() == 2u);
  const auto& train = trace->requests[0];
  BOOST_TEST(train.arrival_ns == 10 * second_ns);
  BOOST_TEST((train.duration_ns == 5400 * second_ns));
  BOOST_TEST(train.user == "ann");
  BOOST_TEST(train.gpus == 2u);
  BOOST_TEST((train.gpu_models == std::vector<std::string>{"A100"}));
  BOOST_TEST(train.cpu_milli == 4000u);
  BOOST_TEST(train.tasks == 2u);
  BOOST_TEST(train.nodes == 2u);
  BOOST_TEST(train.time_limit_ns == 7200 * second_ns);
  BOOST_TEST(train.group == "gpu");
  BOOST_TEST(train.priority == 5);
  BOOST_TEST((train.waited_ns == 3'500'000'000));
  BOOST_TEST(!train.succeeded);
  const auto& next = trace->requests[1];
  BOOST_TEST(next.name == "s-2");
  BOOST_TEST(next.arrival_ns == 60 * second_ns);
  BOOST_TEST(next.not_before_ns == 120 * second_ns);
  BOOST_TEST((next.duration_ns == 5 * second_ns));
  BOOST_REQUIRE(next.after.size() == 1u);
  BOOST_TEST(next.after[0].request == 0u);
  BOOST_TEST((next.after[0].kind == DependsOn::any));
}

BOOST_AUTO_TEST_CASE(a_line_says_where_it_may_run) {
  const auto trace = parse_reeve(
      R"({"submit_at": 1, "constraint": "rack=r1 && gpus>4", "within": "rack",)"
      R"( "prefer": ["disk=nvme", "speed>=25"], "together": "a@rack",)"
      R"( "apart": "b", "on-preempt": "end"})",
      "f");
  BOOST_REQUIRE_MESSAGE(trace, trace.error().text);
  const auto& one = trace->requests.at(0);
  BOOST_TEST(one.constraint == "rack=r1 && gpus>4");
  BOOST_TEST(
      (one.prefer == std::vector<std::string>{"disk=nvme", "speed>=25"}));
  BOOST_TEST(one.within == "rack");
  BOOST_TEST(one.together == "a@rack");
  BOOST_TEST(one.apart == "b");
  BOOST_TEST(one.ends_on_preempt);
}

BOOST_AUTO_TEST_CASE(an_array_is_a_request_for_each_index) {
  const auto trace = parse_reeve(
      R"({"submit_at": 0})"
      "\n"
      R"({"submit_at": 1, "array": "7-9%2", "duration": 5, "gpus": 1})"
      "\n"
      R"({"submit_at": 2, "after": "s-3"})"
      "\n"
      R"({"submit_at": 2, "id": 50, "array": "0-1"})",
      "f");
  BOOST_REQUIRE_MESSAGE(trace, trace.error().text);
  BOOST_REQUIRE(trace->requests.size() == 7u);
  BOOST_TEST(!trace->requests[0].array);
  for (std::uint32_t i = 0; i < 3; ++i) {
    const auto& one = trace->requests[1 + i];
    BOOST_TEST((one.array == 1u));
    BOOST_TEST(one.array_index == 7 + i);
    BOOST_TEST(one.array_running_max == 2u);
    BOOST_TEST(one.gpus == 1u);
    BOOST_TEST(one.name == "s-" + std::to_string(2 + i));
  }
  BOOST_TEST(trace->requests[4].after.at(0).request == 2u);
  BOOST_TEST(trace->requests[6].name == "s-51");
  BOOST_TEST(trace->requests[6].array_running_max == 0u);
}

BOOST_AUTO_TEST_CASE(an_array_has_a_bounded_size) {
  const auto array = [](std::uint64_t from, std::uint64_t to) {
    return parse_reeve(
        fmt::format(R"({{"submit_at": 0, "array": "{}-{}"}})", from, to), "f");
  };
  using cluster::array_index_max;
  using cluster::array_size_max;
  BOOST_REQUIRE(array(1, array_size_max));
  BOOST_TEST(array(1, array_size_max)->requests.size() == array_size_max);
  const auto large = array(0, array_size_max);
  BOOST_REQUIRE(!large);
  BOOST_TEST(tells(large.error(), "f:1: array: 10001 sessions; at most 10000"));
  BOOST_TEST(array(array_index_max, array_index_max).has_value());
  BOOST_TEST(!array(array_index_max, array_index_max + 1));
}

BOOST_AUTO_TEST_CASE(the_texts_of_an_array_are_bounded_all_together) {
  const auto array = [](std::size_t name_bytes) {
    const auto word = [](std::size_t bytes, char c) {
      return std::string(bytes, c);
    };
    return parse_reeve(
        fmt::format(R"({{"submit_at": 0, "array": "1-8192", "name": "{}",)"
                    R"( "within": "{}", "together": "{}", "apart": "{}"}})",
                    word(name_bytes, 'n'), word(128, 'w'), word(128, 't'),
                    word(128, 'a')),
        "f");
  };
  static_assert(cluster::array_bytes_max == 8192 * 512);
  BOOST_TEST(array(128).has_value());
  const auto large = array(129);
  BOOST_REQUIRE(!large);
  BOOST_TEST(tells(large.error(),
                   "f:1: array: 8192 sessions have 4202496 bytes of texts "
                   "together; at most 4194304 are possible"));
}

BOOST_AUTO_TEST_CASE(times_of_day_count_from_the_earliest) {
  const auto trace = parse_reeve(
      R"({"submit_at": "2026-11-20T14:00:10Z", "id": "s-7"})"
      "\n"
      R"({"submit_at": "2026-11-20T14:00:00Z", "id": 9, "after": "s-7:ok"})",
      "f");
  BOOST_REQUIRE_MESSAGE(trace, trace.error().text);
  BOOST_TEST(trace->requests[0].arrival_ns == 10 * second_ns);
  BOOST_TEST(trace->requests[1].arrival_ns == 0u);
  BOOST_TEST(trace->requests[1].after.at(0).request == 0u);
}

BOOST_AUTO_TEST_CASE(a_broken_line_is_named_by_line_and_column) {
  const struct {
    const char* line;
    const char* part;
  } cases[] = {
      {R"({"submit_at": 1, "gpus" 2})", "f:2:25: this line is no JSON"},
      {R"({"submit_at": 1)", "f:2:16: this line is no JSON"},
      {R"([1])", "f:2: a JSON object"},
      {R"({"cpus": 1})", "f:2: submit_at is missing"},
      {R"({"submit_at": "soon"})", "f:2:3: submit_at"},
      {R"({"submit_at": -1})", "f:2:3: submit_at: a duration"},
      {R"({"submit_at": 1, "cpuss": 1})", "did you mean \"cpus\""},
      {R"({"submit_at": 1, "mem": "lots"})", "f:2:19: mem"},
      {R"({"submit_at": 1, "duration": "long"})", "f:2:19: duration"},
      {R"({"submit_at": 1, "user": 3})", "f:2:19: user"},
      {R"({"submit_at": 1, "failed": 3})", "f:2:19: failed"},
      {R"({"submit_at": 1, "id": 0})", "f:2:19: id"},
      {R"({"submit_at": 1, "id": 1})", "s-1 stands in an earlier line"},
      {R"({"submit_at": 1, "after": "s-5"})", "no line before this one is s-5"},
      {R"({"submit_at": 1, "nodes": 2})", "2 nodes for 1 task"},
      {R"({"submit_at": 1, "tasks": 4097})", "from 1 to 4096"},
      {R"({"submit_at": 1, "constraint": "rack=r1 disk"})", "f:2:19: constr"},
      {R"({"submit_at": 1, "constraint": "rack=r1 disk"})",
       "\"&&\" or \"||\" is expected here"},
      {R"({"submit_at": 1, "prefer": ["a", "b="]})", "f:2:19: prefer"},
      {R"({"submit_at": 1, "together": "a@"})", "f:2:19: together"},
      {R"({"submit_at": 1, "apart": "a", "together": "a"})",
       "f:2: sessions of 'a' cannot be both"},
      {R"({"submit_at": 1, "prefer": ["a","a","a","a","a","a","a","a","a"]})",
       "f:2: prefer: 9 of them; at most 8"},
      {R"({"submit_at": 1, "array": "5"})", "f:2:19: array: \"5\" is no range"},
      {R"({"submit_at": 1, "array": "1-2%0"})", "f:2:19: array"},
      {R"({"submit_at": 1, "array": "5-1"})", "ends before it begins"},
      {R"({"submit_at": 1, "id": 1, "array": "1-2"})",
       "f:2: id: s-1 stands in an earlier line"},
      {R"({"submit_at": 1, "on-preempt": "never"})", "f:2:19: on-preempt"},
      {R"({"submit_at": "2026-11-20 14:00"})", "a time of day, where"}};
  for (const auto& c : cases) BOOST_TEST_CONTEXT(c.line) {
      const auto trace = parse_reeve(R"({"submit_at": 0})"
                                     "\n" +
                                         std::string(c.line) + "\n",
                                     "f");
      BOOST_REQUIRE(!trace);
      BOOST_TEST_INFO(trace.error().text);
      BOOST_TEST(trace.error().text.find(c.part) != std::string::npos);
    }
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace
}  // namespace reeve::tools::trace_file_test
