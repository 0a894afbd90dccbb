// Recorded workloads as text. Pure: a file's bytes in, requests out.
//
// The openb format (Alibaba, CSV with a header line): requests have the
// columns name, cpu_milli, memory_mib, num_gpu, gpu_milli and, where the file
// has them, gpu_spec (models separated by "|"), creation_time, deletion_time,
// scheduled_time (seconds). Nodes have sn, cpu_milli, memory_mib, gpu, model.
// Columns are found by name; others are passed over.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "cluster/error.hpp"

namespace reeve {

struct TraceRequest {
  std::string name;
  std::uint32_t cpu_milli = 0;
  std::uint64_t memory_bytes = 0;
  std::uint32_t gpus = 0;
  std::uint32_t gpu_milli = 1000;
  std::vector<std::string> gpu_models;
  std::uint64_t arrival_ns = 0;   // since the trace's start
  std::uint64_t duration_ns = 0;  // 0 where the trace does not tell
};

struct TraceNode {
  std::string name;
  std::uint32_t cpu_milli = 0;
  std::uint64_t memory_bytes = 0;
  std::uint32_t gpus = 0;
  std::string gpu_model;
};

inline constexpr std::uint32_t trace_gpus_max = 1024;

// `file` names the text in errors, which tell line and column. The order of
// the file is kept.
Expected<std::vector<TraceRequest>> parse_openb_requests(std::string_view text,
                                                         std::string_view file);
Expected<std::vector<TraceNode>> parse_openb_nodes(std::string_view text,
                                                   std::string_view file);

// The memory of one device of a known model, for nodes whose description has
// none; a fixed figure for others.
std::uint64_t device_memory_bytes(std::string_view model);

}  // namespace reeve
