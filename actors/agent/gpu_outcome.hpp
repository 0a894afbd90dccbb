// What follows from a run of the probe, for the agent. Pure.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "actors/agent/gpu_job.hpp"
#include "gpu/health_policy.hpp"
#include "gpu/probe/history.hpp"
#include "gpu/probe/limits.hpp"
#include "gpu/probe/runner.hpp"

namespace reeve::agent {

// The verdict of a test of `job.model`, with what it measured. `history`: of
// this device's earlier ones. With any of `lasting`, which is told of the
// device itself, a tested one is faulty. What `site` says of a model goes
// before what this program knows.
GpuJobDone test_result(const GpuJob& job, const gpu::probe::Outcome& outcome,
                       const gpu::probe::History& history,
                       const std::vector<gpu::Finding>& lasting = {},
                       const gpu::probe::Models& site = {});

// What `clear` cannot reach: the context and the reserve of the probe, and what
// a server of MPS holds. Of a small device a quarter at most.
inline constexpr std::uint64_t clear_reserve_bytes = 2ull << 30;

// Why the memory is not known to be clear after `clear`; empty: it is.
std::string why_unclear(const gpu::probe::Outcome& outcome);

}  // namespace reeve::agent
