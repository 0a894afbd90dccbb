// Progress through a known amount: how far, how fast, how long still.
#pragma once

#include <cstdint>
#include <string>

#include "tools/cli/context.hpp"

namespace reeve::tools {

class Meter {
 public:
  // "verifying: event 3000000 of 10000000, 2.31 million/s, 3s left", where
  // Progress shows it. `to` 0 is an end that is not known.
  Meter(bool quiet, std::string_view doing, std::uint64_t from,
        std::uint64_t to, std::string_view unit = "event");

  // Cheap: looks at the clock once in some thousand calls.
  void at(std::uint64_t event) {
    if (++calls_ % calls_between_looks == 0) look(event);
  }
  // The same for calls that are rare.
  void look(std::uint64_t event);
  void done() { progress_.clear(); }

 private:
  static constexpr std::uint32_t calls_between_looks = 1024;

  Progress progress_;
  std::string doing_;
  std::string unit_;
  std::uint64_t from_;
  std::uint64_t to_;
  std::uint64_t begun_ns_;
  std::uint32_t calls_ = 0;
};

// What the meter shows after `spent_ns`. Pure.
std::string progress_text(std::string_view doing, std::uint64_t from,
                          std::uint64_t at, std::uint64_t to,
                          std::uint64_t spent_ns,
                          std::string_view unit = "event");

}  // namespace reeve::tools
