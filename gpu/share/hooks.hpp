// The entry points that the shim stands in for. Each has the name of the
// driver's own and is found in its place.
#pragma once

#include "gpu/share/cuda_abi.hpp"

// Everything else in the shim is hidden from the programs it is loaded into.
#define REEVE_HOOK __attribute__((visibility("default")))

namespace reeve::gpu::share {

// Handles of allocations are small numbers; they must not meet addresses.
constexpr std::uint64_t key_of_handle(cuda::AllocationHandle handle) {
  return ~handle;
}
constexpr cuda::AllocationHandle handle_of_key(std::uint64_t key) {
  return ~key;
}

// The graph that a stream is captured into; null: none, or it is not told, as
// of a capture that is broken.
cuda::Graph captured_graph(cuda::Stream stream, int per_thread);
// Memory is charged to that graph.
void note_captured(cuda::Stream stream, int per_thread, cuda::Graph graph);

}  // namespace reeve::gpu::share
