#include "tools/cli/waiting.hpp"

#include <fmt/format.h>

#include <chrono>

#include "cluster/units.hpp"

namespace reeve::tools {
namespace {

constexpr std::chrono::milliseconds look_pause{200};

}  // namespace

Waiting::Waiting(bool quiet, std::function<std::string()> what)
    : progress_(quiet),
      what_(std::move(what)),
      begun_ns_(monotonic_ns()),
      thread_([this] { run(); }) {}

Waiting::~Waiting() {
  {
    const std::lock_guard lock(mutex_);
    over_ = true;
  }
  changed_.notify_all();
  thread_.join();
}

void Waiting::run() {
  std::unique_lock lock(mutex_);
  while (!changed_.wait_for(lock, look_pause, [this] { return over_; }))
    if (progress_.due())
      progress_.show(fmt::format("{}, {}", what_(),
                                 format_duration(monotonic_ns() - begun_ns_)));
}

}  // namespace reeve::tools
