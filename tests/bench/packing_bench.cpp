// How full a cluster gets by each packing: the protocol and the published means
// of the openb trace (docs/benchmarks.md, Packing).
//
//   REEVE_OPENB=DIRECTORY packing_bench [--seeds N] [--packing P,P]
//                                       [--file NAME]
//
// Reads DIRECTORY/openb_pod_list_FILE.csv and openb_node_list_gpu_node.csv of
// the trace; without REEVE_OPENB it ends with exit code 77. A table with means
// over the seeds goes to standard error, the figures as lines to standard
// output.
#include <fmt/format.h>

#include <charconv>
#include <chrono>
#include <cstring>
#include <fstream>
#include <numeric>
#include <sstream>

#include "cluster/check.hpp"
#include "cluster/simulation/fill.hpp"
#include "cluster/simulation/fragmentation.hpp"
#include "cluster/simulation/virtual_cell.hpp"
#include "tests/bench/report.hpp"

namespace {

using namespace reeve;
using namespace reeve::cluster;
using namespace reeve::cluster::simulation;
using Clock = std::chrono::steady_clock;
using std::string;

constexpr int skipped = 77;
constexpr double load = 1.3;
constexpr double fragmentation_at = 0.9;

// Means of ten seeds, at 100 and 130 % arrived.
struct Published {
  const char* file;
  double best_fit[2];
  double gradient[2];  // fragmentation gradient descent
};
constexpr Published published[] = {
    {"cpu250", {91.21, 91.45}, {93.20, 93.41}},
    {"gpuspec33", {80.39, 93.09}, {87.84, 94.55}},
    {"multigpu50", {95.62, 95.74}, {97.09, 97.18}},
    // The trace as it was recorded: its figures come last.
    {"default", {92.86, 93.08}, {95.23, 95.39}},
};

string read(const string& path) {
  std::ifstream file(path);
  if (!file) {
    fmt::print(stderr, "packing_bench: cannot read {}\n", path);
    std::exit(1);
  }
  std::stringstream text;
  text << file.rdbuf();
  return text.str();
}

struct Figures {
  std::vector<double> at_100, at_130, fragmentation, decisions_per_s;
};

void run(const Trace& trace, const std::vector<TraceNode>& nodes,
         const Policy& policy, std::uint64_t seed, Figures& figures) {
  const auto work = filled(trace, nodes, load, seed);
  // The moment at which so much has been offered.
  Time at = work.to;
  double offered = 0;
  for (const auto& session : work.sessions) {
    offered +=
        static_cast<double>(gpu_milli_of(work.requests[session.request]));
    if (offered <
        fragmentation_at * static_cast<double>(gpu_milli_of_nodes(work)))
      continue;
    at = session.submitted_at;
    break;
  }
  FragmentationMeter meter(work);
  double fragmented = -1;
  VirtualCell cell(work, {.policy = policy, .unplaced = Unplaced::is_refused},
                   [&](const schema::Event& event, auto) {
                     if (event.time_at() > at.value && fragmented < 0)
                       fragmented = meter.present();
                     meter.apply(event);
                   });
  const auto begun = Clock::now();
  while (cell.open() > 0 && cell.step()) {
  }
  const double spent =
      std::chrono::duration<double>(Clock::now() - begun).count();
  figures.at_100.push_back(100 * held_share(work, cell.outcomes(), 1.0));
  figures.at_130.push_back(100 * held_share(work, cell.outcomes(), load));
  figures.fragmentation.push_back(100 * fragmented);
  figures.decisions_per_s.push_back(static_cast<double>(work.sessions.size()) /
                                    spent);
}

double mean(const std::vector<double>& values) {
  return std::accumulate(values.begin(), values.end(), 0.0) /
         static_cast<double>(values.size());
}

void tell(const Published& known, const string& packing,
          const Figures& figures) {
  const auto name = fmt::format("openb {} {}", known.file, packing);
  const bool gradient = packing == "fragmentation";
  const auto& beside = gradient ? known.gradient : known.best_fit;
  const string peer = gradient ? "published FGD" : "published BestFit";
  bench::report(name, "decisions/s", figures.decisions_per_s);
  bench::report(name + " fragmentation at 90", "% of idle GPUs",
                figures.fragmentation);
  bench::report_mean(name + " at 100", "% of GPUs", figures.at_100,
                     {peer, beside[0]});
  bench::report_mean(name + " at 130", "% of GPUs", figures.at_130,
                     {peer, beside[1]});
  const auto spread = [](const std::vector<double>& values) {
    const auto [least, most] =
        std::minmax_element(values.begin(), values.end());
    return fmt::format("{:.2f} ({:.2f} to {:.2f})", mean(values), *least,
                       *most);
  };
  fmt::print(
      stderr,
      "| {} | {} | {} | {} | {:.2f} / {:.2f} | {:.2f} / {:.2f} | {:.1f} |\n",
      known.file, packing, spread(figures.at_100), spread(figures.at_130),
      known.best_fit[0], known.best_fit[1], known.gradient[0],
      known.gradient[1], mean(figures.fragmentation));
}

std::uint32_t number_of(const char* text) {
  std::uint32_t value = 0;
  std::from_chars(text, text + std::strlen(text), value);
  return value;
}

}  // namespace

int main(int argc, char** argv) {
  std::uint32_t seeds = 10;
  string packings = "best_fit,fragmentation";
  string only;
  for (int i = 1; i + 1 < argc; i += 2) {
    if (std::strcmp(argv[i], "--seeds") == 0) seeds = number_of(argv[i + 1]);
    if (std::strcmp(argv[i], "--packing") == 0) packings = argv[i + 1];
    if (std::strcmp(argv[i], "--file") == 0) only = argv[i + 1];
  }
  const char* directory = std::getenv("REEVE_OPENB");
  if (directory == nullptr) {
    fmt::print(stderr,
               "packing_bench: REEVE_OPENB names no directory with the openb "
               "trace\n");
    return skipped;
  }
  const string base = directory;
  const auto nodes_path = base + "/openb_node_list_gpu_node.csv";
  const auto nodes = parse_openb_nodes(read(nodes_path), nodes_path);
  REEVE_CHECK(nodes.has_value(), nodes.error().text);
  fmt::print(stderr,
             "| file | packing | at 100 % | at 130 % | published BestFit | "
             "published FGD | fragmentation at 90 % |\n"
             "|---|---|---|---|---|---|---|\n");
  for (const auto& known : published) {
    if (!only.empty() && only != known.file) continue;
    const auto path = fmt::format("{}/openb_pod_list_{}.csv", base, known.file);
    const auto trace = parse_openb(read(path), path);
    REEVE_CHECK(trace.has_value(), trace.error().text);
    std::stringstream words(packings);
    for (string packing; std::getline(words, packing, ',');) {
      const auto policy = parse_policy("packing=" + packing);
      REEVE_CHECK(policy.has_value(), policy.error().text);
      Figures figures;
      for (std::uint64_t seed = 1; seed <= seeds; ++seed)
        run(*trace, *nodes, *policy, seed, figures);
      tell(known, packing, figures);
    }
  }
  return 0;
}
