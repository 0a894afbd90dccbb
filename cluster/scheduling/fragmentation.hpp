// How much of what is idle on a node a request could use: the measure of
// "Beware of Fragmentation: Scheduling GPU-Sharing Workloads with Fragmentation
// Gradient Descent" (Weng et al., USENIX ATC 2023). Where it does not fit at
// all, it can use nothing; else the devices that have enough for it. What is
// idle beyond that is fragmented for it. Pure.
#pragma once

#include <cstdint>
#include <vector>

#include "cluster/scheduling/node.hpp"

namespace reeve::cluster::scheduling {

// What a node has left, in a form that is quick to ask about many requests:
// equal devices are one entry.
struct Room {
  struct Devices {
    ModelId model = 0;
    bool whole = false;
    std::uint32_t count = 0;
    std::uint32_t free_milli = 0;
    // The largest share whose memory, in proportion, is free as well.
    std::uint32_t share_milli = 0;
    std::uint64_t memory_bytes = 0;
    std::uint64_t free_memory_bytes = 0;
    AccountIndex sharer = any_sharer;  // that all are who share them
  };
  std::uint64_t cpu_milli = 0;
  std::uint64_t memory_bytes = 0;
  std::uint64_t idle_milli = 0;    // of all devices together
  std::vector<Devices> devices{};  // that have some; none when nothing fits
};

// Room is a parameter so that its memory can be used again.
void look(const Node& node, Room& room);

// Thousandths of GPUs, for a request with GPUs.
std::uint64_t usable_milli(const Room& room, const Need& need);

}  // namespace reeve::cluster::scheduling
