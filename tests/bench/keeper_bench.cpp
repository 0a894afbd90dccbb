// Starts per second of isolated tasks through the keeper, beside plain
// vfork+exec+wait of the same command in the same run.
//
//   keeper_bench [--tasks N] [--rounds R] [--at-once K] [--uid U]
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <sstream>
#include <string>
#include <vector>

#include "actors/agent/keeper/client.hpp"
#include "tests/bench/report.hpp"

namespace {

using Clock = std::chrono::steady_clock;
using reeve::keeper::Client;

struct Options {
  unsigned tasks = 1000;
  unsigned rounds = 3;
  unsigned at_once = 0;  // 0: all
  unsigned uid = 0;
};

double seconds_since(Clock::time_point start) {
  return std::chrono::duration<double>(Clock::now() - start).count();
}

struct Result {
  double per_second = 0;
  double cpu_ms = 0;  // of one start: user and system, children too
};

// The wall clock suffers from whatever else the machine does; this does not.
double children_cpu_ms() {
  rusage used{};
  ::getrusage(RUSAGE_CHILDREN, &used);
  return static_cast<double>(used.ru_utime.tv_sec + used.ru_stime.tv_sec) *
             1000 +
         static_cast<double>(used.ru_utime.tv_usec + used.ru_stime.tv_usec) /
             1000;
}

// A process's own time and that of the children it has waited for.
double process_cpu_ms(int pid) {
  std::ifstream in("/proc/" + std::to_string(pid) + "/stat");
  std::string text((std::istreambuf_iterator<char>(in)), {});
  std::istringstream fields(text.substr(text.rfind(')') + 2));
  std::string skip;
  for (int field = 0; field < 11; ++field) fields >> skip;
  double total = 0;
  for (int field = 0; field < 4; ++field) {
    double ticks = 0;
    fields >> ticks;
    total += ticks;
  }
  return total * 1000 / static_cast<double>(::sysconf(_SC_CLK_TCK));
}

Result plain(unsigned tasks) {
  auto start = Clock::now();
  auto before = children_cpu_ms();
  for (unsigned at = 0; at < tasks; ++at) {
    int pid = ::vfork();
    if (pid == 0) {
      ::execl("/bin/true", "true", nullptr);
      ::_exit(127);
    }
    ::waitpid(pid, nullptr, 0);
  }
  auto seconds = seconds_since(start);
  return {tasks / seconds, (children_cpu_ms() - before) / tasks};
}

[[noreturn]] void give_up(const std::string& text) {
  std::fprintf(stderr, "keeper_bench: %s\n", text.c_str());
  std::exit(1);
}

reeve::keeper::TaskSpec spec_of(std::uint64_t session, unsigned uid) {
  reeve::keeper::TaskSpec spec;
  spec.key = {session, 1, 0};
  spec.argv = {"/bin/true"};
  spec.env = {"PATH=/usr/bin:/bin"};
  spec.workdir = "/";
  spec.uid = spec.gid = uid;
  spec.memory_bytes = 256u << 20;
  spec.cpu_milli = 1000;
  spec.pids_max = 64;
  return spec;
}

Result kept(Client& client, const Options& options, std::uint64_t first) {
  unsigned ordered = 0;
  unsigned ended = 0;
  std::vector<reeve::keeper::TaskKey> over;
  reeve::keeper::Handler handler;
  handler.exited = [&](const reeve::keeper::Exited& event) {
    if (event.facts.exit_code != 0) give_up("a task failed");
    over.push_back(event.key);
    ++ended;
  };
  handler.start_failed = [](const auto& event) { give_up(event.error); };
  handler.refused = [](const auto& event) { give_up(event.text); };
  auto at_once = options.at_once ? options.at_once : options.tasks;
  auto start = Clock::now();
  auto before = process_cpu_ms(client.keeper_pid());
  while (ended < options.tasks) {
    std::vector<reeve::keeper::TaskSpec> batch;
    while (ordered < options.tasks && ordered - ended < at_once) {
      batch.push_back(spec_of(first + ordered++, options.uid));
    }
    if (auto sent = client.launch(batch); !sent) give_up(sent.error().text);
    auto got = client.dispatch(handler, 10'000);
    if (!got) give_up(got.error().text);
    (void)client.forget(over);
    over.clear();
  }
  auto seconds = seconds_since(start);
  auto cpu_ms = process_cpu_ms(client.keeper_pid()) - before;
  return {options.tasks / seconds, cpu_ms / options.tasks};
}

Options parse(int argc, char** argv) {
  Options options;
  for (int at = 1; at + 1 < argc; at += 2) {
    auto value = static_cast<unsigned>(std::strtoul(argv[at + 1], nullptr, 10));
    std::string name = argv[at];
    if (name == "--tasks")
      options.tasks = value;
    else if (name == "--rounds")
      options.rounds = value;
    else if (name == "--at-once")
      options.at_once = value;
    else if (name == "--uid")
      options.uid = value;
    else
      give_up("\"" + name + "\" is not understood");
  }
  return options;
}

std::vector<double> all(const std::vector<Result>& results,
                        double Result::*part) {
  std::vector<double> values;
  for (const auto& result : results) values.push_back(result.*part);
  return values;
}

double median(std::vector<double> values) {
  std::sort(values.begin(), values.end());
  return values[values.size() / 2];
}

void report(const char* name, const char* unit, double Result::*part,
            const std::vector<Result>& kepts,
            const std::vector<Result>& plains) {
  reeve::bench::report(
      name, unit, all(kepts, part),
      {"plain vfork, exec and wait", median(all(plains, part))});
}

}  // namespace

int main(int argc, char** argv) {
  auto options = parse(argc, argv);
  char directory[] = "/tmp/keeper-bench-XXXXXX";
  if (!::mkdtemp(directory)) give_up("no directory below /tmp");
  auto client =
      Client::open({std::string(directory) + "/run", REEVE_KEEPER, {}});
  if (!client) give_up(client.error().text);
  for (const auto& limit : client->limits()) {
    std::fprintf(stderr, "not had here: %s\n", limit.c_str());
  }
  std::vector<Result> plains, kepts;
  std::uint64_t first = 1;
  for (unsigned round = 0; round < options.rounds; ++round) {
    plains.push_back(plain(options.tasks));
    kepts.push_back(kept(*client, options, first));
    first += options.tasks;
  }
  report("cpu_per_isolated_task", "ms", &Result::cpu_ms, kepts, plains);
  report("isolated_task_starts", "1/s", &Result::per_second, kepts, plains);
  (void)client->shutdown(0);
  while (client->dispatch({}, 10'000)) {
  }
  std::error_code failed;
  std::filesystem::remove_all(directory, failed);
  return failed ? 1 : 0;
}
