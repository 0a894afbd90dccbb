#include "actors/agent/gpu_outcome.hpp"

#include <boost/test/unit_test.hpp>
#include <cmath>

namespace reeve::agent::gpu_outcome_test {
namespace {

using gpu::probe::End;
using gpu::probe::History;
using gpu::probe::Outcome;
using gpu::probe::Result;
using schema::DeviceVerdict;

const GpuJob h100{3, GpuWork::full_test, "GPU-a", "NVIDIA H100 80GB HBM3", "",
                  ""};

Result result(const char* check, std::vector<gpu::probe::Figure> figures = {}) {
  return {check, 1, std::move(figures), {}, ""};
}

Outcome whole(std::vector<Result> results) {
  Outcome outcome;
  outcome.end = End::exited;
  outcome.results = std::move(results);
  outcome.results.push_back(result("end"));
  return outcome;
}

BOOST_AUTO_TEST_CASE(what_a_sound_device_reached_is_told) {
  const auto done = test_result(
      h100,
      whole({result("device", {{"memory_bytes", 8e10}}),
             result("bandwidth", {{"memory_read", 3.17e12}}),
             result("fp32", {{"fp32", 6.4e13}, {"fp32_best", 6.6e13}})}),
      {});
  BOOST_TEST(done.id == 3u);
  BOOST_TEST(done.uuid == "GPU-a");
  BOOST_CHECK(done.verdict == DeviceVerdict::healthy);
  BOOST_TEST(done.text == "");
  BOOST_REQUIRE_EQUAL(done.figures.size(), 2u);
  BOOST_TEST(done.figures[0].name == "memory_read");
  BOOST_TEST(done.figures[0].per_second == 3'170'000'000'000u);
  BOOST_TEST(done.figures[0].share_milli == 945u);
  BOOST_TEST(done.figures[1].name == "fp32");
}

BOOST_AUTO_TEST_CASE(a_slow_device_is_told_with_all_that_is_slow) {
  const auto done = test_result(
      h100,
      whole({result("bandwidth", {{"memory_read", 1e12}, {"to_host", 1e9}})}),
      {});
  BOOST_CHECK(done.verdict == DeviceVerdict::slow);
  BOOST_TEST(done.text.find("memory_read is 1 T/s, 30 %") != std::string::npos,
             done.text);
  BOOST_TEST(done.text.find("; to_host is") != std::string::npos, done.text);
}

BOOST_AUTO_TEST_CASE(a_device_may_be_slow_for_itself_alone) {
  History history;
  for (int i = 0; i < 3; ++i) history.add({result("fp32", {{"fp32", 6.6e13}})});
  const Outcome outcome = whole({result("fp32", {{"fp32", 5.5e13}})});
  BOOST_CHECK(test_result(h100, outcome, {}).verdict == DeviceVerdict::healthy);
  BOOST_CHECK(test_result(h100, outcome, history).verdict ==
              DeviceVerdict::slow);
}

BOOST_AUTO_TEST_CASE(an_instance_is_not_measured_by_its_card) {
  GpuJob part = h100;
  part.model += " MIG 1g.10gb";
  const auto done =
      test_result(part, whole({result("fp32", {{"fp32", 9e12}})}), {});
  BOOST_CHECK(done.verdict == DeviceVerdict::healthy);
  BOOST_TEST(done.figures.at(0).share_milli == 0u);
}

BOOST_AUTO_TEST_CASE(a_table_of_the_sites_own_goes_first) {
  const auto site = *gpu::probe::Models::parse(
      "model NVIDIA H100\nfp32 1e14 0.9\nmodel NVIDIA L40S\nfp32 9e13 0.9\n"
      "model NVIDIA H100 80GB HBM3 MIG 1g\nfp32 9e12 0.9\n");
  const Outcome outcome = whole({result("fp32", {{"fp32", 6.6e13}})});
  GpuJob job = h100;
  for (const char* model : {"NVIDIA H100 80GB HBM3", "NVIDIA L40S"}) {
    job.model = model;
    BOOST_CHECK(test_result(job, outcome, {}).verdict ==
                DeviceVerdict::healthy);
    BOOST_CHECK(test_result(job, outcome, {}, {}, site).verdict ==
                DeviceVerdict::slow);
  }
  // What it does not name is as it was; an instance has lines of its own.
  job.model = "NVIDIA H200";
  BOOST_TEST(
      test_result(job, outcome, {}, {}, site).figures.at(0).share_milli ==
      986u);
  job.model = "NVIDIA H100 80GB HBM3 MIG 1g.10gb";
  const Outcome small = whole({result("fp32", {{"fp32", 9e12}})});
  BOOST_TEST(test_result(job, small, {}, {}, site).figures.at(0).share_milli ==
             1000u);
  job.model = "NVIDIA L40S MIG 1g.10gb";
  BOOST_TEST(test_result(job, small, {}, {}, site).figures.at(0).share_milli ==
             0u);
}

BOOST_AUTO_TEST_CASE(a_device_that_computes_wrongly_is_faulty) {
  Result wrong = result("fp32");
  wrong.wrong = {"3 of the results are wrong"};
  const auto done = test_result(h100, whole({wrong}), {});
  BOOST_CHECK(done.verdict == DeviceVerdict::faulty);
  BOOST_TEST(done.text ==
             "the probe found it faulty: fp32: 3 of the results are wrong");
}

BOOST_AUTO_TEST_CASE(what_lasts_outweighs_a_probe_that_found_nothing) {
  const std::vector<gpu::Finding> lasting = {
      {gpu::Action::quarantine, "a row is bad"}};
  const Outcome sound = whole({result("fp32", {{"fp32", 6.6e13}})});
  const auto done = test_result(h100, sound, {}, lasting);
  BOOST_CHECK(done.verdict == DeviceVerdict::faulty);
  BOOST_TEST(done.text == "a row is bad");
  BOOST_TEST(done.figures.size() == 1u);
  // What the probe itself found is nearer; and no probe is no test.
  Result wrong = result("fp32");
  wrong.wrong = {"a bit"};
  BOOST_TEST(test_result(h100, whole({wrong}), {}, lasting).text ==
             "the probe found it faulty: fp32: a bit");
  BOOST_CHECK(test_result(h100, {}, {}, lasting).verdict ==
              DeviceVerdict::not_tested);
}

BOOST_AUTO_TEST_CASE(a_probe_that_hangs_leaves_the_test_unfinished) {
  Outcome outcome;
  outcome.end = End::deadline;
  outcome.results = {result("device")};
  outcome.remarks = {"the probe did not end within 60000 ms; it was killed"};
  const auto done = test_result(h100, outcome, {});
  BOOST_CHECK(done.verdict == DeviceVerdict::unfinished);
  BOOST_TEST(done.text ==
             "the probe found it unfinished: the probe did not end within "
             "60000 ms; it was killed");
}

BOOST_AUTO_TEST_CASE(without_the_program_nothing_is_said_of_the_device) {
  Outcome outcome;
  outcome.remarks = {"/p cannot be started: No such file or directory"};
  const auto done = test_result(h100, outcome, {});
  BOOST_CHECK(done.verdict == DeviceVerdict::not_tested);
  BOOST_TEST(done.text == outcome.remarks[0]);
  BOOST_TEST(done.figures.empty());
}

BOOST_AUTO_TEST_CASE(a_figure_that_is_no_rate_is_left_out) {
  const auto done = test_result(
      h100,
      whole({result("fp32", {{"fp32", -1}, {"fp64", 1e300}, {"bf16", 9e14}})}),
      {});
  BOOST_REQUIRE_EQUAL(done.figures.size(), 1u);
  BOOST_TEST(done.figures[0].name == "bf16");
}

Outcome cleared(double memory, double bytes) {
  return whole({result("device", {{"memory_bytes", memory}}),
                result("clear", {{"cleared_bytes", bytes}})});
}

BOOST_AUTO_TEST_CASE(memory_is_clear_when_the_probe_says_so_and_ends_well) {
  const Outcome well = cleared(85e9, 84e9);
  BOOST_TEST(why_unclear(well) == "");
  Outcome outcome = well;
  outcome.code = 1;
  BOOST_TEST(why_unclear(outcome) ==
             "the probe did not clear its memory: it said nothing");
  BOOST_TEST(why_unclear(whole({result("device")})) != "");
  outcome = well;
  outcome.results[1].wrong = {"16 samples were not zero"};
  BOOST_TEST(why_unclear(outcome) == "clear: 16 samples were not zero");
  outcome = whole({result("device")});
  outcome.results[0].error = "there is no device";
  BOOST_TEST(why_unclear(outcome) == "device: there is no device");
  for (const End end : {End::deadline, End::killed_by_signal, End::stuck,
                        End::stopped, End::not_started}) {
    outcome = well;
    outcome.end = end;
    BOOST_TEST(why_unclear(outcome) != "");
  }
}

BOOST_AUTO_TEST_CASE(memory_that_could_not_be_taken_is_not_clear) {
  constexpr double most = clear_reserve_bytes;
  BOOST_TEST(why_unclear(cleared(85e9, 85e9 - most)) == "");
  BOOST_TEST(why_unclear(cleared(85e9, 85e9 - most - 1)) != "");
  BOOST_TEST(why_unclear(cleared(85e9, 60e9)) ==
             "only 60.0 of 85.0 GB could be cleared: something else holds the "
             "rest");
  BOOST_TEST(why_unclear(cleared(4e9, 3e9)) == "");
  BOOST_TEST(why_unclear(cleared(4e9, 2.9e9)) != "");
  for (const double nothing : {0.0, -1.0, std::nan("")}) {
    BOOST_TEST(why_unclear(cleared(85e9, nothing)) != "");
    BOOST_TEST(why_unclear(cleared(nothing, 84e9)) != "");
  }
}

}  // namespace
}  // namespace reeve::agent::gpu_outcome_test
