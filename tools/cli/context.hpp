// What every command knows of its call.
#pragma once

#include <chrono>
#include <cstdint>
#include <filesystem>
#include <string>

#include "cluster/error.hpp"
#include "cluster/units.hpp"
#include "tools/args/arguments.hpp"
#include "tools/args/output.hpp"

namespace reeve::tools {

struct Context {
  std::filesystem::path data;      // absolute
  std::filesystem::path programs;  // where this program lies
  bool json = false;
  bool quiet = false;
  Terminal terminal;
};

// From the common options and the environment. Errc::usage when no data
// directory can be told.
Expected<Context> make_context(const Arguments& arguments);

// Where the running program lies.
std::filesystem::path program_directory();

// Now, and the zone of this machine.
TimeFrame time_frame();
std::uint64_t now_ns();
std::uint64_t monotonic_ns();

// "2026-11-20 14:00:05" here; empty for 0.
std::string local_time(std::uint64_t time_at);

// Ends the process now. A connection is closed by the kernel, which is faster
// than ending its threads one by one; all output must have been written.
[[noreturn]] void leave(int code);

// Gives way to another program of ours beside this one, with the same
// arguments. Returns only on failure.
Error exec_beside(const Context& context, const char* program, char** argv);

}  // namespace reeve::tools
