// How every benchmark reports: one JSON line per figure, with the median of
// its repetitions (or their mean, where what it is set beside is one), their
// spread and the machine. A program's main figure comes last.
#pragma once

#include <fmt/format.h>

#include <algorithm>
#include <cstdio>
#include <fstream>
#include <string>
#include <thread>
#include <vector>

namespace reeve::bench {

inline std::string machine() {
  std::ifstream cpuinfo("/proc/cpuinfo");
  std::string line;
  std::string model = "unknown processor";
  while (std::getline(cpuinfo, line)) {
    if (line.rfind("model name", 0) != 0) continue;
    model = line.substr(line.find(':') + 2);
    break;
  }
  return fmt::format("{}, {} cores", model,
                     std::thread::hardware_concurrency());
}

struct Peer {
  std::string name;
  double value = 0;
};

inline void print_figure(const std::string& name, const std::string& unit,
                         double value, bool mean,
                         const std::vector<double>& sorted, const Peer& peer) {
  const auto beside = peer.name.empty()
                          ? std::string("null")
                          : fmt::format("{{\"name\":\"{}\",\"value\":{:.6g}}}",
                                        peer.name, peer.value);
  fmt::print(
      "{{\"name\":\"{}\",\"unit\":\"{}\",\"value\":{:.6g},\"median_of\":{},"
      "\"mean\":{},\"min\":{:.6g},\"max\":{:.6g},\"machine\":\"{}\","
      "\"peer\":{}}}\n",
      name, unit, value, sorted.size(), mean, sorted.front(), sorted.back(),
      machine(), beside);
  std::fflush(stdout);
}

inline void report(const std::string& name, const std::string& unit,
                   std::vector<double> values, const Peer& peer = {}) {
  std::sort(values.begin(), values.end());
  print_figure(name, unit, values[values.size() / 2], false, values, peer);
}

inline void report_mean(const std::string& name, const std::string& unit,
                        std::vector<double> values, const Peer& peer = {}) {
  std::sort(values.begin(), values.end());
  double sum = 0;
  for (const double value : values) sum += value;
  print_figure(name, unit, sum / static_cast<double>(values.size()), true,
               values, peer);
}

}  // namespace reeve::bench
