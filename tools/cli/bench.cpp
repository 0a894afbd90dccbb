// bench: the figures of docs/benchmarks.md, by the programs that measure them.
#include <fmt/format.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>
#include <cstring>

#include "cluster/nearest.hpp"
#include "tools/cli/handlers.hpp"

namespace reeve::tools {
namespace {

using std::string;
using std::string_view;

struct Bench {
  string_view name;
  string_view program;
  string_view help;
};

constexpr Bench benches[] = {
    {"commit", "commit_bench", "durable events/s by group size, and a file's"},
    {"replay", "replay_bench", "events/s from the log into state"},
    {"log", "log_bench", "any moment of a long history, verify, export"},
    {"run-latency", "run_latency.py", "reeve run -- true, submit to exit"},
    {"throughput", "throughput.py", "2,000 sessions of true on one node"},
    {"decisions", "decisions_bench", "placements/s of the scheduler's core"},
    {"packing", "packing_bench", "how full a cluster gets, by packing"},
    {"queueing", "queueing.py", "how long recorded sessions wait, by policy"},
    {"simulation", "simulation.py", "days of a simulated cell a minute"},
    {"whatif", "whatif_bench", "a month of sessions on a virtual clock"},
    {"openb", "openb.py", "a recorded workload through a whole cell"},
    {"keeper", "keeper_bench", "isolated task starts/s, and plain ones"},
    {"restart", "restart.py", "a start with 100,000 waiting sessions"},
    {"slurm", "slurm.py", "sessions of true beside Slurm, where it is"},
};

// Beside this program, or in the source tree that it was built from.
std::filesystem::path find_program(const Context& context,
                                   string_view program) {
  const auto root = context.programs.parent_path().parent_path().parent_path();
  const std::filesystem::path candidates[] = {context.programs / program,
                                              root / "tests/bench" / program};
  for (const auto& path : candidates)
    if (::access(path.c_str(), X_OK) == 0) return path;
  return {};
}

Result list(const Context& context) {
  Table table({{"NAME"}, {"MEASURES", Table::Align::left, 1}, {"HERE"}});
  std::vector<string> documents;
  for (const auto& bench : benches) {
    const bool here = !find_program(context, bench.program).empty();
    table.add({string(bench.name), string(bench.help), here ? "yes" : "no"});
    documents.push_back(JsonObject()
                            .text("name", bench.name)
                            .text("measures", bench.help)
                            .truth("available", here)
                            .done());
  }
  print(context.json ? json_array(documents) + '\n'
                     : table.text(context.terminal));
  return 0;
}

Result run(const std::filesystem::path& path,
           const std::filesystem::path& programs,
           const std::vector<string>& words) {
  std::vector<string> all = {path.string()};
  all.insert(all.end(), words.begin(), words.end());
  // The scripts start the very programs that stand beside this one.
  ::setenv("REEVE_BIN", programs.c_str(), 1);
  std::vector<char*> argv;
  for (string& word : all) argv.push_back(word.data());
  argv.push_back(nullptr);
  ::execv(argv[0], argv.data());
  return fail(Errc::io, fmt::format("cannot start {}: {}", path.string(),
                                    std::strerror(errno)));
}

}  // namespace

Result command_bench(const Context& context, const Arguments& arguments) {
  if (arguments.words.empty()) return list(context);
  const string& name = arguments.words[0];
  std::vector<string_view> names;
  for (const auto& bench : benches) {
    names.push_back(bench.name);
    if (bench.name != name) continue;
    const auto path = find_program(context, bench.program);
    if (!path.empty()) return run(path, context.programs, arguments.rest);
    return fail(Errc::not_found,
                fmt::format("the benchmark \"{}\" is not installed: there is "
                            "no program {} in {}",
                            name, bench.program, context.programs.string()));
  }
  const string_view near = nearest(name, names);
  return fail(
      Errc::usage,
      fmt::format(
          "there is no benchmark \"{}\"{}; there are {}", name,
          near.empty() ? string() : fmt::format("; did you mean \"{}\"?", near),
          fmt::join(names, ", ")));
}

}  // namespace reeve::tools
