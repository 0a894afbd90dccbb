// Recorded workloads as text. Pure: a file's bytes in, requests out.
// docs/traces.md says what each format holds. Errors tell file, line and, where
// there is one, column.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "cluster/constraint.hpp"
#include "cluster/error.hpp"

namespace reeve {

enum class DependsOn : std::uint8_t { ok = 0, any = 1, failed = 2 };

struct TraceRequest {
  struct After {
    std::size_t request = 0;  // its place in the trace
    DependsOn kind = DependsOn::ok;
  };

  std::string name;
  std::string user;  // empty, as are the next two: the trace does not tell
  std::string project;
  std::string group;
  std::string on_node;
  std::int32_t priority = 0;
  std::uint32_t tasks = 1;
  std::uint32_t nodes = 0;
  // Of each task.
  std::uint32_t cpu_milli = 0;
  std::uint64_t memory_bytes = 0;
  std::uint32_t gpus = 0;
  std::uint32_t gpu_milli = 1000;
  std::uint64_t gpu_memory_bytes = 0;
  std::vector<std::string> gpu_models;
  std::uint64_t arrival_ns = 0;              // since the trace's start
  std::uint64_t not_before_ns = 0;           // the same; 0: none
  std::optional<std::uint64_t> duration_ns;  // as far as the trace tells
  std::uint64_t time_limit_ns = 0;           // 0: none
  std::optional<std::uint64_t> waited_ns;    // as recorded, before it started
  std::uint32_t requeue_max = 0;
  std::vector<After> after;
  bool succeeded = true;
  // As the session asks for them; see docs/scheduling.md.
  std::string constraint;
  std::vector<std::string> prefer;
  std::string together;
  std::string apart;
  std::string within;
  bool ends_on_preempt = false;
  std::optional<std::size_t> array;  // the place of its array's first one
  std::uint32_t array_index = 0;
  std::uint32_t array_running_max = 0;  // 0: all of it at once
};

struct TraceNode {
  std::string name;
  std::uint32_t cpu_milli = 0;
  std::uint64_t memory_bytes = 0;
  std::uint32_t gpus = 0;
  std::string gpu_model;
  std::string group{};
  Labels labels{};
};

struct Trace {
  std::vector<TraceRequest> requests;  // in the file's order
  std::vector<TraceNode> nodes;        // as the file itself tells; may be empty
  std::size_t never_ran = 0;           // jobs without a run: left out
};

inline constexpr std::uint32_t trace_gpus_max = 1024;
inline constexpr std::uint32_t trace_tasks_max = 4096;
inline constexpr std::uint32_t trace_nodes_max = 100'000;
inline constexpr std::size_t trace_lines_max = 5'000'000;
inline constexpr std::size_t trace_line_bytes_max = 1 << 20;

// `file` names the text in errors.
Expected<Trace> parse_openb(std::string_view text, std::string_view file);
Expected<Trace> parse_helios(std::string_view text, std::string_view file);
Expected<Trace> parse_swf(std::string_view text, std::string_view file);

// CSV with sn, cpu_milli, memory_mib, gpu, model and, where they are there,
// group and labels ("rack=r1 disk=nvme").
Expected<std::vector<TraceNode>> parse_openb_nodes(std::string_view text,
                                                   std::string_view file);

// `count` alike, named PREFIX0000 and so on: 64 CPUs, 512 GiB, 8 GPUs.
std::vector<TraceNode> made_up_nodes(std::uint32_t count,
                                     std::string_view prefix,
                                     std::string_view gpu_model,
                                     std::string_view group);

// The memory of one device of a known model, for nodes whose description has
// none; a fixed figure for others.
std::uint64_t device_memory_bytes(std::string_view model);

}  // namespace reeve
