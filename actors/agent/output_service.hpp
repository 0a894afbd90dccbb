// A task's output for those who watch: live pieces, the last word when it has
// ended, and any range from the files.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "actors/agent/keeper/protocol.hpp"
#include "schema/agent_generated.h"

namespace reeve::agent {

// Bytes of output in one answer.
inline constexpr std::size_t output_read_bytes_max = 256u << 10;

// A finished schema::OutputChunk of a live piece.
std::vector<std::byte> live_chunk(const keeper::Output& output);

// Says that nothing comes after the bytes now in the files of `directory`.
std::vector<std::byte> last_chunk(const std::string& directory,
                                  const keeper::TaskKey& key,
                                  keeper::Stream stream);

// The answer to `read`; with `ended` nothing more will be written. Reads
// files: not for a thread that must not wait.
std::vector<std::byte> read_chunk(const std::string& directory,
                                  const schema::OutputRead& read, bool ended);

// An answer that says why there is none.
std::vector<std::byte> refused_chunk(const schema::OutputRead& read,
                                     const std::string& why);

// Bytes written to the stream so far, those that were dropped included.
std::uint64_t output_end(const std::string& directory,
                         const keeper::TaskKey& key, keeper::Stream stream);

}  // namespace reeve::agent
