// Writes the log of a simulated month in which sessions wait:
//
//   simulated_month DIR NODES SESSIONS
//
// The same arguments give the same log.
#include <fmt/format.h>

#include <cstdlib>

#include "tests/bench/month.hpp"

int main(int argc, char** argv) {
  if (argc != 4) {
    fmt::print(stderr, "usage: {} DIR NODES SESSIONS\n", argv[0]);
    return 2;
  }
  reeve::bench::MonthOptions options;
  options.nodes =
      static_cast<std::uint32_t>(std::strtoul(argv[2], nullptr, 10));
  options.sessions =
      static_cast<std::uint32_t>(std::strtoul(argv[3], nullptr, 10));
  options.load = 0.97;
  reeve::bench::write_log(reeve::bench::busy_month(options), argv[1]);
  return 0;
}
