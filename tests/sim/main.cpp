// Runs seeds and reports. tests/sim/run builds this and starts it.
#include <fmt/core.h>

#include <chrono>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <optional>
#include <random>
#include <string>
#include <vector>

#include "tests/sim/cell.hpp"
#include "tests/sim/planted.hpp"

namespace {

using namespace reeve;
using namespace reeve::sim;

constexpr const char* usage_text =
    "usage: simulate [--seed N | --seeds A..B | --list FILE | --minutes M "
    "[--from A]] [--trace]\n";

// Random ones do not come near those that people type.
constexpr std::uint64_t random_seeds_from = 1'000'000;

struct Arguments {
  std::vector<std::uint64_t> seeds;  // to run, or
  std::uint64_t from = 0;            // from here on (0: drawn)
  std::optional<double> minutes;     // for so long
  bool trace = false;
};

struct Totals {
  std::uint64_t seeds = 0;
  std::uint64_t virtual_ns = 0;
  std::uint64_t dead_ns = 0;  // of them: no agent lived
  std::uint64_t steps = 0;
  std::uint64_t events = 0;
  std::uint64_t sessions = 0;
  Probes probes;
};

// What an aborted run was doing.
std::uint64_t current_seed = 0;
Cell* current_cell = nullptr;

void print_failure(const std::string& why) {
  const char* commit = std::getenv("REEVE_COMMIT");
  fmt::print("\nlast events:\n");
  if (current_cell)
    for (const auto& note : current_cell->world().loop.noted())
      fmt::print("  {}\n", note);
  fmt::print("seed {} fails: {}\ncommit {}\nrepeat: tests/sim/run --seed {}\n",
             current_seed, why, commit ? commit : "unknown", current_seed);
  std::fflush(stdout);
}

// A broken invariant of the program itself: its sentence is on stderr.
void on_abort(int) {
  const char* why = "the program stopped itself, see above";
  print_failure(why);
  const int code = verdict_of(why);
  std::fflush(stdout);
  std::_Exit(code);
}

// Why it fails; empty: it does not.
std::string run_seed(std::uint64_t seed, bool trace, Totals& totals) {
  if (!is_of_use(seed)) return {};
  current_seed = seed;
  Cell cell(seed);
  current_cell = &cell;
  plant_bug(cell);
  cell.world().loop.print_notes(trace);
  std::string why;
  try {
    cell.run();
  } catch (const std::exception& broken) {
    why = broken.what();
    print_failure(why);
  }
  World& world = cell.world();
  ++totals.seeds;
  totals.virtual_ns += world.loop.now().value;
  if (world.loop.now().value > world.plan.faulty_ns + world.plan.dead_ns)
    totals.dead_ns += world.plan.dead_ns;
  totals.steps += world.loop.steps();
  totals.events += world.oracle.truth().last_sequence().value;
  totals.sessions += world.oracle.acknowledged();
  totals.probes.add(world.probes);
  current_cell = nullptr;
  return why;
}

void print_report(const Totals& totals, double seconds) {
  const auto days_of = [](std::uint64_t ns) {
    return static_cast<double>(ns) / day_ns;
  };
  const double days = days_of(totals.virtual_ns - totals.dead_ns);
  fmt::print(
      "\n{} seeds, {:.1f} virtual days in {:.0f} s: {:.0f} days per minute\n"
      "beside them {:.0f} days in which no agent lived\n"
      "{} steps, {} events in logs, {} sessions acknowledged\n",
      totals.seeds, days, seconds, days / seconds * 60, days_of(totals.dead_ns),
      totals.steps, totals.events, totals.sessions);
  const auto& counts = totals.probes.counts();
  const auto faults = static_cast<std::size_t>(Probe::last_fault);
  std::size_t missing = 0;
  for (std::size_t i = 0; i < counts.size(); ++i) {
    if (i == 0) fmt::print("\nfaults\n");
    if (i == faults) {
      fmt::print("\nrare branches\n");
      continue;
    }
    missing += counts[i] == 0 ? 1 : 0;
    fmt::print("  {:40} {:12}{}\n", probe_texts[i], counts[i],
               counts[i] == 0 ? "   never reached" : "");
  }
  fmt::print("\n{} of {} probes never reached\n", missing, counts.size() - 1);
}

// One number a line; what follows it says why it is kept.
bool read_list(const std::string& file, std::vector<std::uint64_t>& seeds) {
  std::ifstream lines(file);
  std::string line;
  while (std::getline(lines, line)) {
    if (line.empty() || line[0] == '#') continue;
    seeds.push_back(std::strtoull(line.c_str(), nullptr, 10));
  }
  return !seeds.empty();
}

bool parse_value(const std::string& option, const std::string& value,
                 Arguments& arguments) {
  if (option == "--list") return read_list(value, arguments.seeds);
  if (option == "--plant") return choose_plant(value);
  char* end = nullptr;
  if (option == "--minutes") {
    arguments.minutes = std::strtod(value.c_str(), &end);
    return *end == 0 && *arguments.minutes > 0;
  }
  std::uint64_t first = std::strtoull(value.c_str(), &end, 10);
  std::uint64_t last = first;
  if (option == "--seeds" && std::strncmp(end, "..", 2) == 0)
    last = std::strtoull(end + 2, &end, 10);
  if (end == value.c_str() || *end != 0 || last < first) return false;
  if (option == "--from") {
    arguments.from = first;
    return true;
  }
  while (first <= last) arguments.seeds.push_back(first++);
  return option == "--seed" || option == "--seeds";
}

std::optional<Arguments> parse(int count, char** words) {
  Arguments arguments;
  for (int i = 1; i < count; ++i) {
    const std::string word = words[i];
    if (word == "--trace") {
      arguments.trace = true;
    } else if (i + 1 >= count || !parse_value(word, words[++i], arguments)) {
      return std::nullopt;
    }
  }
  if (arguments.seeds.empty() == !arguments.minutes) return std::nullopt;
  if (arguments.from == 0)
    arguments.from = random_seeds_from + std::random_device{}();
  return arguments;
}

}  // namespace

int main(int count, char** words) {
  const auto arguments = parse(count, words);
  if (!arguments) {
    std::fputs(usage_text, stderr);
    return 2;
  }
  std::signal(SIGABRT, on_abort);
  const auto begun = std::chrono::steady_clock::now();
  const auto seconds = [&] {
    return std::chrono::duration<double>(std::chrono::steady_clock::now() -
                                         begun)
        .count();
  };
  Totals totals;
  std::string why;
  for (const std::uint64_t seed : arguments->seeds)
    if (!settles(why)) why = run_seed(seed, arguments->trace, totals);
  if (arguments->minutes) {
    fmt::print("seeds from {} on\n", arguments->from);
    for (std::uint64_t seed = arguments->from;
         !settles(why) && seconds() < *arguments->minutes * 60; ++seed)
      why = run_seed(seed, arguments->trace, totals);
  }
  print_report(totals, seconds());
  return verdict_of(why);
}
