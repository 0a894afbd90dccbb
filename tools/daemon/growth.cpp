#include "tools/daemon/growth.hpp"

#include <netdb.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <string>
#include <utility>

namespace reeve::tools {
namespace {

constexpr std::chrono::milliseconds between_looks{500};
constexpr int answer_ms_max = 1'000;

bool connects(const addrinfo& to) {
  const int fd = ::socket(
      to.ai_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, to.ai_protocol);
  if (fd < 0) return false;
  bool there = ::connect(fd, to.ai_addr, to.ai_addrlen) == 0;
  pollfd writable{fd, POLLOUT, 0};
  if (!there && ::poll(&writable, 1, answer_ms_max) == 1) {
    int error = 0;
    socklen_t size = sizeof error;
    there = ::getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &size) == 0 &&
            error == 0;
  }
  ::close(fd);
  return there;
}

bool somebody_listens(const bus::Address& at) {
  addrinfo how{};
  how.ai_socktype = SOCK_STREAM;
  addrinfo* found = nullptr;
  if (::getaddrinfo(at.host.c_str(), std::to_string(at.port).c_str(), &how,
                    &found) != 0)
    return false;
  bool there = false;
  for (const addrinfo* one = found; one && !there; one = one->ai_next)
    there = connects(*one);
  ::freeaddrinfo(found);
  return there;
}

}  // namespace

Growth::Growth(std::function<bool()> on_all_there,
               std::chrono::milliseconds again)
    : on_all_there_(std::move(on_all_there)),
      again_(again),
      thread_([this] { run(); }) {}

Growth::~Growth() {
  end();
}

void Growth::end() {
  {
    const std::lock_guard lock(mutex_);
    ended_ = true;
  }
  changed_.notify_all();
  if (thread_.joinable()) thread_.join();
}

void Growth::await(std::vector<bus::Address> others) {
  {
    const std::lock_guard lock(mutex_);
    others_ = std::move(others);
  }
  changed_.notify_all();
}

void Growth::run() {
  std::unique_lock lock(mutex_);
  while (!ended_) {
    if (others_.empty()) {
      changed_.wait(lock);
      continue;
    }
    const auto asked = others_;
    lock.unlock();
    const bool there =
        std::all_of(asked.begin(), asked.end(), somebody_listens);
    lock.lock();
    if (ended_) return;
    const auto same = [](const bus::Address& a, const bus::Address& b) {
      return a.host == b.host && a.port == b.port;
    };
    if (there && std::equal(asked.begin(), asked.end(), others_.begin(),
                            others_.end(), same)) {
      lock.unlock();
      if (on_all_there_()) return;
      lock.lock();
      changed_.wait_for(lock, again_, [this] { return ended_; });
      continue;
    }
    changed_.wait_for(lock, between_looks);
  }
}

}  // namespace reeve::tools
