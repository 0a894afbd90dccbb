#include "tools/cli/interrupts.hpp"

#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <sys/eventfd.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include <cstdint>

#include "cluster/check.hpp"

namespace reeve::tools {
namespace {

constexpr int numbers[] = {SIGINT, SIGTERM, SIGHUP};

sigset_t watched() {
  sigset_t set;
  sigemptyset(&set);
  for (const int number : numbers) sigaddset(&set, number);
  return set;
}

}  // namespace

Interrupts::Interrupts() {
  const sigset_t set = watched();
  ::pthread_sigmask(SIG_BLOCK, &set, nullptr);
  signal_file_ = ::signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
  wake_file_ = ::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
  REEVE_CHECK(signal_file_ >= 0 && wake_file_ >= 0, "no file descriptors left");
}

Interrupts::~Interrupts() {
  const sigset_t set = watched();
  ::pthread_sigmask(SIG_UNBLOCK, &set, nullptr);
  ::close(signal_file_);
  ::close(wake_file_);
}

int Interrupts::wait(int timeout_ms) {
  pollfd files[] = {{signal_file_, POLLIN, 0}, {wake_file_, POLLIN, 0}};
  if (::poll(files, 2, timeout_ms) <= 0) return 0;
  std::uint64_t count = 0;
  if (files[1].revents != 0 && ::read(wake_file_, &count, sizeof count) < 0)
    return 0;
  signalfd_siginfo info{};
  if (files[0].revents != 0 &&
      ::read(signal_file_, &info, sizeof info) == sizeof info)
    return static_cast<int>(info.ssi_signo);
  return 0;
}

void Interrupts::wake() {
  const std::uint64_t one = 1;
  const auto written = ::write(wake_file_, &one, sizeof one);
  REEVE_CHECK(written == sizeof one, "an event counter is full");
}

bool interrupt_pending() {
  sigset_t pending;
  ::sigpending(&pending);
  for (const int number : numbers)
    if (sigismember(&pending, number) == 1) return true;
  return false;
}

}  // namespace reeve::tools
