// How every benchmark reports: one JSON line per figure, with the median of
// its repetitions, their spread and the machine.
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

inline void report(const std::string& name, const std::string& unit,
                   std::vector<double> values) {
  std::sort(values.begin(), values.end());
  fmt::print(
      "{{\"name\":\"{}\",\"unit\":\"{}\",\"value\":{:.6g},\"median_of\":{},"
      "\"min\":{:.6g},\"max\":{:.6g},\"machine\":\"{}\",\"peer\":null}}\n",
      name, unit, values[values.size() / 2], values.size(), values.front(),
      values.back(), machine());
  std::fflush(stdout);
}

}  // namespace reeve::bench
