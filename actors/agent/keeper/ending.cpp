#include "actors/agent/keeper/ending.hpp"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>

#include "actors/agent/keeper/files.hpp"
#include "actors/agent/keeper/server.hpp"

namespace reeve::keeper {
namespace {

using std::chrono::milliseconds;

// A killed process takes its time when it has much memory to give back.
constexpr milliseconds killed_grace{10'000};
// Nothing runs under the keeper that clears up: what it has to do takes long on
// a busy machine alone, and nobody does it after it.
constexpr milliseconds clear_grace{30'000};

// Held by a descriptor, so that no later process with its pid is met.
class Process {
 public:
  explicit Process(const std::string& directory)
      : pid_(living_keeper(directory)) {
    if (pid_ == 0) return;
    fd_.reset(static_cast<int>(::syscall(SYS_pidfd_open, pid_, 0)));
    if (!fd_ || living_keeper(directory) != pid_) pid_ = 0;
  }

  int pid() const { return pid_; }
  void signal(int number) {
    (void)::syscall(SYS_pidfd_send_signal, fd_.get(), number, nullptr, 0);
  }
  bool ended(milliseconds timeout) {
    pollfd watched{fd_.get(), POLLIN, 0};
    int ready = 0;
    while ((ready = ::poll(&watched, 1, static_cast<int>(timeout.count()))) <
               0 &&
           errno == EINTR) {
    }
    return ready > 0;
  }

 private:
  int pid_;
  Fd fd_;
};

// A new keeper reads the journal of the killed one and clears what it left.
Status clear_after(const ClientConfig& config) {
  if (config.program.empty()) return {};
  auto next = Client::open(config);
  if (!next) return tl::unexpected(next.error());
  Process keeper(config.directory);
  if (auto told = next->shutdown(0); !told) return told;
  if (keeper.pid() != 0 && !keeper.ended(clear_grace)) {
    keeper.signal(SIGKILL);
  }
  return {};
}

}  // namespace

int living_keeper(const std::string& directory) {
  Fd file(::open((directory + "/" + lock_name).c_str(), O_RDONLY | O_CLOEXEC));
  if (!file) return 0;
  struct flock lock {};
  lock.l_type = F_WRLCK;
  lock.l_whence = SEEK_SET;
  if (::fcntl(file.get(), F_GETLK, &lock) != 0 || lock.l_type == F_UNLCK) {
    return 0;
  }
  return lock.l_pid > 0 ? lock.l_pid : 0;
}

Expected<Ended> end_keeper(const ClientConfig& config, milliseconds grace) {
  Process keeper(config.directory);
  Ended ended{keeper.pid(), false};
  if (ended.pid == 0) return ended;
  keeper.signal(SIGTERM);
  if (keeper.ended(grace)) return ended;
  ended.killed = true;
  keeper.signal(SIGKILL);
  if (!keeper.ended(killed_grace)) {
    return fail(Errc::io, "the keeper, pid " + std::to_string(ended.pid) +
                              ", does not end, though it was killed: look at "
                              "its state in /proc");
  }
  if (auto cleared = clear_after(config); !cleared) {
    return tl::unexpected(cleared.error());
  }
  return ended;
}

bool kill_keeper(const std::string& directory) {
  Process keeper(directory);
  if (keeper.pid() == 0) return false;
  keeper.signal(SIGKILL);
  return keeper.ended(killed_grace);
}

}  // namespace reeve::keeper
