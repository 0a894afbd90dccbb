// Whole records back to back: the blocks of a segment and the answers to
// log.read hold them so. For each a u64 length and the value, which makes
// every event's address a multiple of 8 where the run's is one. Pure.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <span>
#include <vector>

#include "store/record.hpp"

namespace reeve::store {

void append_to_run(std::vector<std::byte>& run, const Record& record);

// What append_to_run() adds for it.
std::size_t bytes_in_run(const Record& record);

// Each record of a run whose first event is `first_sequence`, with its value.
// Checks form, sizes and that sequences go on; neither hashes nor events.
// Errc::damaged; the records before the damage were visited.
Status for_each_in_run(
    std::uint64_t first_sequence, std::span<const std::byte> run,
    const std::function<void(const Record&, std::span<const std::byte> value)>&
        visit);

}  // namespace reeve::store
