// How fast a what-if is: a month of 100,000 sessions on 1,000 nodes of 8 GPUs,
// at nine tenths of their GPU time.
//
//   whatif_bench [--repeat N] [--sessions N] [--nodes N]
//
// "virtual cell": the scheduler and the events it is fed with, nothing else.
// "whatif": the whole command over the log of that month, from the start of
// the program to its end, with four more nodes and a page; the log is read
// twice.
#include <fmt/format.h>
#include <spawn.h>
#include <sys/wait.h>

#include <charconv>
#include <chrono>
#include <cstring>

#include "cluster/check.hpp"
#include "cluster/simulation/virtual_cell.hpp"
#include "tests/bench/month.hpp"
#include "tests/bench/report.hpp"

extern char** environ;

namespace {

using namespace reeve;
using Clock = std::chrono::steady_clock;

double seconds_since(Clock::time_point begun) {
  return std::chrono::duration<double>(Clock::now() - begun).count();
}

double run_alone(const cluster::simulation::Workload& work) {
  const auto begun = Clock::now();
  cluster::simulation::VirtualCell cell(work, {});
  while (cell.step()) {
  }
  return seconds_since(begun);
}

double run_command(const std::string& log, const std::string& page) {
  std::vector<std::string> words = {REEVE_LOG, "whatif",  "--log",
                                    log,       "--nodes", "+4",
                                    "--html",  page,      "--quiet"};
  std::vector<char*> argv;
  for (auto& word : words) argv.push_back(word.data());
  argv.push_back(nullptr);
  posix_spawn_file_actions_t actions;
  ::posix_spawn_file_actions_init(&actions);
  ::posix_spawn_file_actions_addopen(&actions, 1, "/dev/null", 1, 0);
  const auto begun = Clock::now();
  pid_t child = 0;
  const int failed =
      ::posix_spawn(&child, argv[0], &actions, nullptr, argv.data(), environ);
  REEVE_CHECK(failed == 0, std::strerror(failed));
  int status = 0;
  ::waitpid(child, &status, 0);
  const double spent = seconds_since(begun);
  ::posix_spawn_file_actions_destroy(&actions);
  REEVE_CHECK(WIFEXITED(status) && WEXITSTATUS(status) == 0,
              fmt::format("reeve-log whatif: {}", status));
  return spent;
}

std::uint32_t number_of(const char* text) {
  std::uint32_t value = 0;
  std::from_chars(text, text + std::strlen(text), value);
  return value;
}

}  // namespace

int main(int argc, char** argv) {
  std::uint32_t repeat = 5;
  bench::MonthOptions options;
  for (int i = 1; i + 1 < argc; i += 2) {
    if (std::strcmp(argv[i], "--repeat") == 0) repeat = number_of(argv[i + 1]);
    if (std::strcmp(argv[i], "--sessions") == 0)
      options.sessions = number_of(argv[i + 1]);
    if (std::strcmp(argv[i], "--nodes") == 0)
      options.nodes = number_of(argv[i + 1]);
  }
  const auto work = bench::busy_month(options);
  const auto base = std::filesystem::temp_directory_path() /
                    fmt::format("reeve-whatif-{}", ::getpid());
  bench::write_log(work, base / "log");
  std::vector<double> alone, command, rate;
  for (std::uint32_t i = 0; i < std::max(repeat, 1u); ++i) {
    alone.push_back(run_alone(work));
    command.push_back(
        run_command((base / "log").string(), (base / "page.html").string()));
    rate.push_back(options.sessions / command.back());
  }
  std::filesystem::remove_all(base);
  const auto of =
      fmt::format("{} sessions on {} nodes", options.sessions, options.nodes);
  std::vector<double> alone_rate;
  for (const double spent : alone)
    alone_rate.push_back(options.sessions / spent);
  bench::report(fmt::format("virtual cell, {}", of), "sessions/s", alone_rate);
  bench::report(fmt::format("whatif, {}", of), "sessions/s", rate);
  bench::report(fmt::format("whatif, {}, all of it", of), "s", command);
  return 0;
}
