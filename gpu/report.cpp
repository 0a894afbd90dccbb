// reeve-gpu-report: what the driver tells of this host's GPUs, as JSON.
//
//   reeve-gpu-report                    the inventory, then one sample each
//   reeve-gpu-report --cost COUNT       CPU time of COUNT samples of all GPUs,
//                                       at each depth
#include <fmt/format.h>
#include <time.h>

#include <boost/json.hpp>
#include <charconv>
#include <cstdio>
#include <string_view>

#include "gpu/json.hpp"

namespace {

using reeve::gpu::Telemetry;

double cpu_seconds() {
  timespec used{};
  ::clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &used);
  return static_cast<double>(used.tv_sec) +
         static_cast<double>(used.tv_nsec) * 1e-9;
}

int report() {
  const auto inventory = reeve::gpu::read_inventory();
  fmt::print("{}\n", boost::json::serialize(to_json(inventory)));
  if (!inventory.why_none.empty() && inventory.cut.empty()) return 1;
  Telemetry telemetry;
  for (const auto& sample : telemetry.sample(Telemetry::Depth::traffic))
    fmt::print("{}\n", boost::json::serialize(to_json(sample)));
  return 0;
}

// With pauses: the driver answers from memory when it is asked in a hurry.
double cpu_ms_each(Telemetry& telemetry, Telemetry::Depth depth, int count) {
  constexpr timespec pause = {0, 200'000'000};
  const double before = cpu_seconds();
  for (int i = 0; i < count; ++i) {
    ::clock_nanosleep(CLOCK_MONOTONIC, 0, &pause, nullptr);
    telemetry.sample(depth);
  }
  return (cpu_seconds() - before) / count * 1e3;
}

int cost(int count) {
  using Depth = Telemetry::Depth;
  Telemetry telemetry;
  if (!telemetry.why_none().empty()) {
    fmt::print(stderr, "reeve-gpu-report: {}\n", telemetry.why_none());
    return 1;
  }
  const auto gpus = telemetry.sample(Depth::traffic).size();
  fmt::print(
      "{{\"gpus\":{},\"samples\":{},\"cpu_ms_of_load\":{:.4f},"
      "\"cpu_ms_of_health\":{:.4f},\"cpu_ms_of_traffic\":{:.4f}}}\n",
      gpus, count, cpu_ms_each(telemetry, Depth::load, count),
      cpu_ms_each(telemetry, Depth::health, count),
      cpu_ms_each(telemetry, Depth::traffic, count));
  return 0;
}

int usage() {
  fmt::print(stderr, "usage: reeve-gpu-report [--cost COUNT]\n");
  return 2;
}

}  // namespace

int main(int argc, char** argv) {
  if (argc == 1) return report();
  if (argc != 3 || std::string_view(argv[1]) != "--cost") return usage();
  const std::string_view text = argv[2];
  int count = 0;
  const auto [end, error] =
      std::from_chars(text.data(), text.data() + text.size(), count);
  if (error != std::errc() || end != text.data() + text.size() || count < 1 ||
      count > 100'000)
    return usage();
  return cost(count);
}
