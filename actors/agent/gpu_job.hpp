// Work on a GPU that takes its time, as the agent's core orders it and its
// worker (gpu_worker.hpp) does it. Plain values.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "schema/types_generated.h"

namespace reeve::agent {

enum class GpuWork : std::uint8_t {
  quick_test,
  full_test,
  hand_over,  // clean it, and write down who has it
  note,       // only write down who has it: others are at work there
};

struct GpuJob {
  std::uint64_t id = 0;
  GpuWork work = GpuWork::note;
  std::string uuid;
  std::string model;
  std::string probe;  // the program; empty: this host has none
  std::string owner;  // from now on; empty: several, or nobody knows
};

// A measured rate; `share_milli` of what the model can, 0: that is not known.
struct GpuFigure {
  std::string name;
  std::uint64_t per_second = 0;
  std::uint32_t share_milli = 0;
};

struct GpuJobDone {
  std::uint64_t id = 0;
  std::string uuid;
  // Of a test.
  schema::DeviceVerdict verdict = schema::DeviceVerdict::not_tested;
  std::string text;
  std::vector<GpuFigure> figures;
  // Why the device cannot be given to its next owner; empty: it can.
  std::string unclean;
};

// How long the probe may take for each; then it is killed.
inline constexpr std::uint64_t quick_test_ms_max = 60'000;
inline constexpr std::uint64_t full_test_ms_max = 600'000;
inline constexpr std::uint64_t clear_ms_max = 60'000;
// How long what still uses a device may take to end.
inline constexpr std::uint64_t processes_ms_max = 10'000;

}  // namespace reeve::agent
