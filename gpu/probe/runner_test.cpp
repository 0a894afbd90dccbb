#include "gpu/probe/runner.hpp"

#include <unistd.h>

#include <boost/test/unit_test.hpp>
#include <csignal>
#include <cstdlib>
#include <string>

namespace reeve::gpu::probe::runner_test {
namespace {

using std::chrono::milliseconds;

bool contains(const std::string& text, const std::string& part) {
  return text.find(part) != std::string::npos;
}

const std::string line =
    "echo '{\"check\":\"end\",\"seconds\":1,\"figures\":{},\"wrong\":[]}';";

Outcome run_script(const std::string& script, milliseconds deadline) {
  return run({"/bin/sh", {"-c", script}, {"GPU-a", "GPU-b"}, deadline, -1});
}

BOOST_AUTO_TEST_CASE(results_are_read_line_by_line_to_the_end) {
  const Outcome it = run_script(line + line + "exit 1", milliseconds(20'000));
  BOOST_TEST((it.end == End::exited));
  BOOST_TEST(it.code == 1);
  BOOST_TEST(it.pid == 0);
  BOOST_REQUIRE_EQUAL(it.results.size(), 2u);
  BOOST_TEST(it.results[1].check == "end");
  BOOST_TEST(it.remarks.empty());
}

BOOST_AUTO_TEST_CASE(the_program_sees_only_the_devices_it_may) {
  const Outcome it =
      run_script("echo $CUDA_VISIBLE_DEVICES >&2", milliseconds(20'000));
  BOOST_REQUIRE_EQUAL(it.remarks.size(), 1u);
  BOOST_TEST(it.remarks[0] == "GPU-a,GPU-b");
}

BOOST_AUTO_TEST_CASE(the_program_does_not_go_through_the_sites_mps) {
  ::setenv("CUDA_MPS_PIPE_DIRECTORY", "/run/mps", 1);
  ::setenv("CUDA_MPS_ACTIVE_THREAD_PERCENTAGE", "10", 1);
  const Outcome it =
      run_script("env | grep ^CUDA_MPS_ >&2", milliseconds(20'000));
  ::unsetenv("CUDA_MPS_PIPE_DIRECTORY");
  ::unsetenv("CUDA_MPS_ACTIVE_THREAD_PERCENTAGE");
  BOOST_REQUIRE_EQUAL(it.remarks.size(), 1u);
  BOOST_TEST(it.remarks[0] == "CUDA_MPS_PIPE_DIRECTORY=/dev/null");
}

BOOST_AUTO_TEST_CASE(a_probe_that_hangs_is_killed_with_all_it_started) {
  const Outcome it = run_script(
      line + "trap '' TERM INT; sleep 100 & sleep 100", milliseconds(200));
  BOOST_TEST((it.end == End::deadline));
  BOOST_TEST(it.results.size() == 1u);
  BOOST_TEST(it.took.count() >= 200);
  BOOST_TEST(it.took.count() < 200 + reap_ms_max);
  BOOST_TEST(contains(it.remarks.at(0), "did not end within 200 ms"));
}

BOOST_AUTO_TEST_CASE(a_probe_that_closes_its_output_is_not_waited_for_ever) {
  const Outcome it = run_script("exec >&- 2>&-; sleep 100", milliseconds(50));
  BOOST_TEST((it.end == End::deadline));
  BOOST_TEST(it.took.count() < 50 + reap_ms_max);
}

BOOST_AUTO_TEST_CASE(a_probe_is_stopped_when_it_is_asked_for) {
  int ends[2];
  BOOST_REQUIRE(::pipe(ends) == 0);
  ::close(ends[1]);  // its end can be read at once
  for (const char* script : {"sleep 100", "exec >&- 2>&-; sleep 100"}) {
    const Outcome it = run(
        {"/bin/sh", {"-c", script}, {"GPU-a"}, milliseconds(60'000), ends[0]});
    BOOST_TEST((it.end == End::stopped));
    BOOST_TEST(it.pid == 0);
    BOOST_TEST(it.took.count() < reap_ms_max);
    BOOST_TEST(it.remarks.at(0) == "the probe was stopped");
  }
  ::close(ends[0]);
}

BOOST_AUTO_TEST_CASE(a_probe_that_dies_of_a_signal_is_told) {
  const Outcome it = run_script(line + "kill -SEGV $$", milliseconds(20'000));
  BOOST_TEST((it.end == End::killed_by_signal));
  BOOST_TEST(it.code == SIGSEGV);
  BOOST_TEST(it.results.size() == 1u);
}

BOOST_AUTO_TEST_CASE(lines_that_are_no_results_are_remarks_up_to_the_bound) {
  const Outcome it =
      run_script("i=0; while [ $i -lt 20 ]; do echo rubbish; i=$((i+1)); done",
                 milliseconds(20'000));
  BOOST_TEST(it.results.empty());
  BOOST_TEST(it.remarks.size() == probe_remarks_max);
}

BOOST_AUTO_TEST_CASE(a_probe_that_writes_too_much_is_stopped) {
  const Outcome it =
      run_script("head -c " + std::to_string(probe_output_bytes_max + 1) +
                     " /dev/zero; sleep 100",
                 milliseconds(60'000));
  BOOST_TEST((it.end == End::deadline));
  BOOST_TEST(contains(it.remarks.at(0), "wrote too much"));
  BOOST_TEST(it.took.count() < 50'000);
}

BOOST_AUTO_TEST_CASE(a_program_that_is_not_there_is_told) {
  const Outcome it =
      run({"/nowhere/reeve-gpu-probe", {}, {}, milliseconds(1000), -1});
  BOOST_TEST((it.end == End::not_started));
  BOOST_TEST(it.code == ENOENT);
  BOOST_TEST(contains(it.remarks.at(0), "cannot be started"));
}

}  // namespace
}  // namespace reeve::gpu::probe::runner_test
