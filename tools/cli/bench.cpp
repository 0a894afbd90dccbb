// bench: the figures of docs/benchmarks.md, by the programs that measure them.
#include <fmt/format.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <filesystem>

#include "cluster/nearest.hpp"
#include "tools/cli/handlers.hpp"

namespace reeve::tools {
namespace {

using std::string;
using std::string_view;

namespace fs = std::filesystem;

struct Bench {
  string_view name;
  string_view program;
  string_view help;
  // What a script starts that deploy/up does not build, from this program's
  // folder.
  string_view needs = {};
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
    {"simulation", "simulation.py", "days of a simulated cell a minute",
     "../tests/simulate"},
    {"whatif", "whatif_bench", "a month of sessions on a virtual clock"},
    {"openb", "openb.py", "a recorded workload through a whole cell"},
    {"keeper", "keeper_bench", "isolated task starts/s, and plain ones"},
    {"restart", "restart.py", "a start with 100,000 waiting sessions",
     "replay_bench"},
    {"managers", "managers.py", "takeovers and commits of three managers",
     "stream_bench"},
    {"fleet", "fleet.py", "a cell with 1,000 nodes on this machine", "fleet"},
    {"slurm", "slurm.py", "sessions of true beside Slurm, where it is"},
};

bool can_start(const fs::path& path) {
  return ::access(path.c_str(), X_OK) == 0;
}

// Where this program was built, if it lies there: ROOT/build/PRESET/bin.
fs::path scripts_of(const Context& context) {
  return context.programs.parent_path().parent_path().parent_path() /
         "tests/bench";
}

// Beside this program, or in the source tree that it was built from.
fs::path find_program(const Context& context, string_view program) {
  for (const auto& path :
       {context.programs / program, scripts_of(context) / program})
    if (can_start(path)) return path;
  return {};
}

// The program that is not here, if one is not.
fs::path missing(const Context& context, const Bench& bench) {
  if (find_program(context, bench.program).empty()) return bench.program;
  const fs::path needs = bench.needs;
  if (needs.empty() || can_start(context.programs / needs)) return {};
  return needs.filename();
}

string how_to_have(const Context& context, const fs::path& program) {
  std::error_code ignored;
  if (!fs::exists(scripts_of(context), ignored))
    return "benchmarks are in a checkout, not in a package";
  return fmt::format(
      "\"cmake --build --preset {} --target {}\" in the checkout builds it",
      context.programs.parent_path().filename().string(), program.string());
}

Result list(const Context& context) {
  Table table({{"NAME"}, {"MEASURES", Table::Align::left, 1}, {"HERE"}});
  std::vector<string> documents;
  for (const auto& bench : benches) {
    const bool here = missing(context, bench).empty();
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

Result run(const fs::path& path, const fs::path& programs,
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
    const fs::path lacks = missing(context, bench);
    if (lacks.empty())
      return run(find_program(context, bench.program), context.programs,
                 arguments.rest);
    return fail(Errc::not_found,
                fmt::format("the benchmark \"{}\" is not here: there is no "
                            "program {}; {}",
                            name, lacks.string(), how_to_have(context, lacks)));
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
