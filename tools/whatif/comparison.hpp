// A workload as it went, and as it would have gone: as text, JSON and a page.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "cluster/simulation/measure.hpp"
#include "cluster/simulation/use.hpp"
#include "tools/args/output.hpp"

namespace reeve::tools {

struct Side {
  std::string policy;  // as it was asked for; empty: that of each group
  std::uint64_t nodes = 0;
  std::uint64_t gpus = 0;
  std::uint64_t cpu_milli = 0;
  cluster::simulation::Figures figures;
  // How long each counted session waited, and how many waited in each piece of
  // `use`.
  std::vector<std::uint64_t> waits_ns;
  std::vector<double> waiting;
  std::optional<cluster::simulation::UseMeter> use;
  double fragmentation = -1;  // of the idle GPUs; negative: not known
};

struct Comparison {
  std::string of;      // "cell main", or the trace's name
  std::string really;  // how the first side is called: "as it was"
  bool dated = true;   // else times count from a trace's start
  Time from;
  Time to;
  const cluster::simulation::Workload* work = nullptr;
  std::uint64_t withdrawn = 0;
  std::uint64_t unknown_length = 0;
  Side was;
  Side would;
};

// Equal pieces on both sides.
void align(Comparison& comparison);

// Until the last session that counts has ended on both sides.
Time end_of(const Comparison& comparison);

// What was held of what was offered; negative where nothing was.
double gpu_use(const Side& side);
double cpu_use(const Side& side);

// As the workload has it, and for people.
const std::string& user_key(const Comparison& all,
                            const cluster::simulation::UserFigures& user);
std::string user_name(const Comparison& all, std::uint32_t user);
double gpu_hours(const Side& side, const std::string& user);
// Indices into Figures::users (equal on both sides), the heaviest first.
std::vector<std::size_t> users_by_weight(const Comparison& all);

std::string comparison_text(const Comparison& comparison,
                            const Terminal& terminal);
std::string comparison_json(const Comparison& comparison);
std::string comparison_page(const Comparison& comparison);

}  // namespace reeve::tools
