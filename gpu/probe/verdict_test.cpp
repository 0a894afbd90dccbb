#include "gpu/probe/verdict.hpp"

#include <unistd.h>

#include <boost/test/unit_test.hpp>
#include <cstdlib>
#include <fstream>
#include <string>

namespace reeve::gpu::probe::verdict_test {
namespace {

bool contains(const std::string& text, const std::string& part) {
  return text.find(part) != std::string::npos;
}

Result result(const std::string& check, std::vector<Figure> figures = {}) {
  return {check, 0.5, std::move(figures), {}, ""};
}

std::vector<Result> ended(std::vector<Result> results) {
  results.push_back(result("end"));
  return results;
}

Models table() {
  return *Models::parse(
      "model NVIDIA H\nfp32 100 0.8\n"
      "model NVIDIA H9  # faster\nfp32 200 0.5\n");
}

BOOST_AUTO_TEST_CASE(a_result_is_the_same_after_a_line_of_json) {
  const Result it = {"memory",
                     1.25,
                     {{"memory_read", 3e12}, {"memory_copy", 2.5}},
                     {"address 0x10: \"wrong\""},
                     "an error"};
  BOOST_TEST((parse_line(to_line(it)).value() == it));
}

BOOST_AUTO_TEST_CASE(a_line_that_is_no_result_is_told) {
  for (const char* line :
       {"", "x", "[]", "{}", "{\"check\":\"a\"}",
        "{\"check\":\"a\",\"seconds\":1}",
        "{\"check\":\"a\",\"seconds\":1,\"figures\":{\"b\":\"c\"}}",
        "{\"check\":\"a\",\"seconds\":1,\"figures\":{}}",
        "{\"check\":\"a\",\"seconds\":1,\"figures\":{},\"wrong\":[1]}",
        "{\"check\":1,\"seconds\":1,\"figures\":{},\"wrong\":[]}"}) {
    BOOST_TEST_CONTEXT(line) {
      const auto parsed = parse_line(line);
      BOOST_REQUIRE(!parsed);
      BOOST_TEST(contains(parsed.error(), "no result of the probe"));
    }
  }
}

BOOST_AUTO_TEST_CASE(a_line_past_the_bound_is_no_result) {
  Result it = result("a");
  it.error.assign(result_line_bytes_max, 'x');
  const auto parsed = parse_line(to_line(it));
  BOOST_REQUIRE(!parsed);
  BOOST_TEST(contains(parsed.error(), "too long"));
  it.error.resize(result_line_bytes_max - 100);
  BOOST_TEST(parse_line(to_line(it)).has_value());
}

BOOST_AUTO_TEST_CASE(the_known_models_are_a_good_table) {
  const Model* model = Models::known().find("NVIDIA H100 80GB HBM3");
  BOOST_REQUIRE(model != nullptr);
  BOOST_TEST(model->limits.size() == 8u);
  BOOST_TEST(Models::known().find("NVIDIA H200")->name == "NVIDIA H200");
  BOOST_TEST(!Models::known().find("NVIDIA T4"));
}

BOOST_AUTO_TEST_CASE(the_longest_name_that_begins_a_model_counts) {
  const Models models = table();
  BOOST_TEST(models.find("NVIDIA H800")->name == "NVIDIA H");
  BOOST_TEST(models.find("NVIDIA H900")->limits.at(0).limit == 200);
  BOOST_TEST(!models.find("NVIDIA"));
}

BOOST_AUTO_TEST_CASE(a_wrong_table_is_refused_with_its_line) {
  const auto problem = [](const char* text) {
    return Models::parse(text).error();
  };
  BOOST_TEST(contains(problem("fp32 1 0.5\n"), "line 1"));
  BOOST_TEST(contains(problem("model A\n\nfp32 x 0.5\n"), "line 3"));
  BOOST_TEST(contains(problem("model A\nfp32 -1 0.5\n"), "above 0"));
  BOOST_TEST(contains(problem("model A\nfp32 1 1.5\n"), "between 0 and 1"));
  BOOST_TEST(contains(problem("model A\nfp32 1\n"), "between 0 and 1"));
}

BOOST_AUTO_TEST_CASE(a_file_is_read_or_told_with_what_is_wrong) {
  char name[] = "/tmp/reeve-models-XXXXXX";
  const int fd = ::mkstemp(name);
  BOOST_REQUIRE(fd >= 0);
  ::close(fd);
  const auto problem = [&](const std::string& text) {
    std::ofstream(name) << text;
    return Models::load(name).error();
  };
  BOOST_TEST(problem("# ours\nmodel A\nfp32 x 0.5\n") ==
             std::string(name) +
                 ": line 3 of the table of models: fp32 has no limit above 0");
  BOOST_TEST(contains(problem(std::string(models_bytes_max + 1, '#')),
                      "at most 1048576"));
  BOOST_TEST(contains(problem(""), "empty"));
  std::ofstream(name) << "model A\nfp32 7 0.5\n";
  BOOST_TEST(Models::load(name)->find("A")->limits.at(0).limit == 7);
  ::unlink(name);
  BOOST_TEST(contains(Models::load(name).error(), "cannot be read"));
  BOOST_TEST(!Models::load("/tmp"));
}

BOOST_AUTO_TEST_CASE(a_table_of_too_many_models_is_refused) {
  std::string text;
  for (std::size_t i = 0; i < models_max; ++i) text += "model A\n";
  BOOST_TEST(Models::parse(text).has_value());
  const auto refused = Models::parse(text + "model A\n");
  BOOST_REQUIRE(!refused);
  BOOST_TEST(contains(refused.error(), "more than 1000 models"));
}

BOOST_AUTO_TEST_CASE(a_device_that_reaches_its_model_is_healthy) {
  const Models models = table();
  const auto verdict = judge(ended({result("fp32", {{"fp32", 80}})}),
                             models.find("NVIDIA H1"), {});
  BOOST_TEST(name(verdict.grade) == "healthy");
  BOOST_TEST(verdict.reasons.empty());
}

BOOST_AUTO_TEST_CASE(a_device_below_its_model_is_slow) {
  const Models models = table();
  const auto verdict = judge(ended({result("fp32", {{"fp32", 79}})}),
                             models.find("NVIDIA H1"), {});
  BOOST_TEST(name(verdict.grade) == "slow");
  BOOST_TEST(contains(verdict.reasons.at(0), "79 % of what a NVIDIA H can"));
}

BOOST_AUTO_TEST_CASE(a_device_below_its_own_median_is_slow) {
  History history;
  for (const double value : {100, 40, 102})
    history.add({result("fp32", {{"fp32", value}})});
  const auto at = [&](double value) {
    return judge(ended({result("fp32", {{"fp32", value}})}), nullptr, history);
  };
  BOOST_TEST(name(at(90).grade) == "healthy");
  BOOST_TEST(name(at(89).grade) == "slow");
  BOOST_TEST(contains(at(89).reasons.at(0), "of this device's own"));
}

BOOST_AUTO_TEST_CASE(two_probes_are_no_history) {
  History history;
  history.add({result("fp32", {{"fp32", 100}})});
  history.add({result("fp32", {{"fp32", 100}})});
  BOOST_TEST(!history.median("fp32").has_value());
  BOOST_TEST(!history.median("fp64").has_value());
}

BOOST_AUTO_TEST_CASE(a_history_forgets_the_oldest_and_survives_as_text) {
  History history;
  for (std::size_t i = 0; i < history_probes_max; ++i)
    history.add({result("fp32", {{"fp32", 1}})});
  BOOST_TEST(history.median("fp32").value() == 1);
  for (std::size_t i = 0; i < history_probes_max; ++i)
    history.add({result("fp32", {{"fp32", 2.5e12}})});
  const History read = History::from_text(history.to_text() + "rubbish\n x");
  BOOST_TEST(read.median("fp32").value() == 2.5e12);
  BOOST_TEST(read.to_text() == history.to_text());
}

BOOST_AUTO_TEST_CASE(a_wrong_result_is_faulty_and_told_first) {
  const Models models = table();
  Result slow = result("fp32", {{"fp32", 1}});
  Result wrong = result("memory");
  wrong.wrong = {"words that read back changed: 1"};
  Result failed = result("fp64");
  failed.error = "out of memory";
  const auto verdict =
      judge({slow, failed, wrong}, models.find("NVIDIA H1"), {});
  BOOST_TEST(name(verdict.grade) == "faulty");
  BOOST_REQUIRE_EQUAL(verdict.reasons.size(), 4u);
  BOOST_TEST(verdict.reasons[0] == "memory: words that read back changed: 1");
  BOOST_TEST(verdict.reasons[1] == "fp64: out of memory");
  BOOST_TEST(contains(verdict.reasons[2], "nothing after memory"));
}

BOOST_AUTO_TEST_CASE(a_probe_without_its_end_is_unfinished) {
  BOOST_TEST(name(judge({result("fp32")}, nullptr, {}).grade) == "unfinished");
  const auto verdict = judge({}, nullptr, {});
  BOOST_TEST(verdict.reasons.at(0) == "the probe told nothing");
}

}  // namespace
}  // namespace reeve::gpu::probe::verdict_test
