// MPS (NVIDIA's Multi-Process Service) as a site runs it: a control daemon with
// its pipes in a directory, and the server that it starts for one user at a
// time. What is read here is small, and nothing waits.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>

namespace reeve::gpu::share {

// What is read of a file that says which process the daemon is.
constexpr std::size_t mps_file_bytes_max = 64;

// Whether the control daemon of this directory runs, by the pid file that it
// keeps there.
bool mps_daemon_runs(const std::string& directory,
                     const std::string& proc = "/proc");

// Whether a process is a server of MPS: its program has that name and is
// root's, or of who owns the directory. No where it is not known.
bool is_mps_server(std::uint32_t pid, const std::string& directory,
                   const std::string& proc = "/proc");

// What a node whose shares go through MPS does not give; what to do.
std::string mps_limit(const std::string& directory);
// Why no share can start there now; empty: it can.
std::string why_no_mps(const std::string& directory);

}  // namespace reeve::gpu::share
