// Runs the probe as a process of its own: a device that hangs takes that
// process with it and nothing else.
#pragma once

#include <sys/types.h>

#include <chrono>
#include <string>
#include <vector>

#include "gpu/probe/result.hpp"

namespace reeve::gpu::probe {

struct Request {
  std::string program;                 // reeve-gpu-probe
  std::vector<std::string> arguments;  // "quick", "full", "clear", ...
  // The devices that the program may see, as CUDA_VISIBLE_DEVICES takes them:
  // the one that is tested, then its peers.
  std::vector<std::string> uuids;
  std::chrono::milliseconds deadline{0};
  // Once it can be read the probe is killed; -1: nothing stops it early. The
  // caller's.
  int stop_fd = -1;
};

enum class End {
  exited,
  killed_by_signal,  // of itself
  deadline,          // killed by us
  stopped,           // killed by us, as stop_fd asked for
  stuck,             // does not even die: the driver holds it
  not_started,
};

struct Outcome {
  End end = End::not_started;
  int code = 0;   // exit code, signal or errno
  pid_t pid = 0;  // End::stuck: not reaped; the caller's to wait for
  std::vector<Result> results;
  // What is to be said of the run itself, one sentence each: a deadline, a
  // line that was no result, what the program wrote to standard error.
  std::vector<std::string> remarks;
  std::chrono::milliseconds took{0};
};

// Comes back at the deadline and `reap_ms_max` at the latest, whatever the
// device does.
Outcome run(const Request& request);

// How long a killed probe may take to die.
constexpr int reap_ms_max = 2000;
// More of the program's output is thrown away, with a remark.
constexpr std::size_t probe_output_bytes_max = 1 << 20;
constexpr std::size_t probe_remarks_max = 16;

}  // namespace reeve::gpu::probe
