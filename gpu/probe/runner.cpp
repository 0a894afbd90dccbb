#include "gpu/probe/runner.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <poll.h>
#include <spawn.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <csignal>
#include <cstring>

extern char** environ;

namespace reeve::gpu::probe {
namespace {

using Clock = std::chrono::steady_clock;
using std::chrono::milliseconds;

class Descriptor {
 public:
  Descriptor() = default;
  explicit Descriptor(int fd) : fd_(fd) {}
  ~Descriptor() { reset(); }
  Descriptor(const Descriptor&) = delete;
  Descriptor& operator=(const Descriptor&) = delete;

  int get() const { return fd_; }
  void reset(int fd = -1) {
    if (fd_ >= 0) ::close(fd_);
    fd_ = fd;
  }

 private:
  int fd_ = -1;
};

struct Pipe {
  Descriptor read;
  Descriptor write;

  bool open() {
    int ends[2];
    if (::pipe2(ends, O_CLOEXEC) != 0) return false;
    read.reset(ends[0]);
    write.reset(ends[1]);
    return ::fcntl(ends[0], F_SETFL, O_NONBLOCK) == 0;
  }
};

std::vector<std::string> environment_for(const Request& request) {
  std::vector<std::string> all;
  for (char** entry = environ; *entry; ++entry)
    if (std::strncmp(*entry, "CUDA_VISIBLE_DEVICES=", 21) != 0 &&
        std::strncmp(*entry, "CUDA_MPS_", 9) != 0)
      all.emplace_back(*entry);
  // Beside the site's MPS, not through it: that serves another user perhaps,
  // and would have the probe wait.
  all.emplace_back("CUDA_MPS_PIPE_DIRECTORY=/dev/null");
  if (request.uuids.empty()) return all;
  std::string visible = "CUDA_VISIBLE_DEVICES=";
  for (const auto& uuid : request.uuids)
    visible += (visible.back() == '=' ? "" : ",") + uuid;
  all.push_back(visible);
  return all;
}

std::vector<char*> pointers(std::vector<std::string>& texts) {
  std::vector<char*> all;
  for (auto& text : texts) all.push_back(text.data());
  all.push_back(nullptr);
  return all;
}

// Lines of one stream, as they come.
class Lines {
 public:
  // False at the end of the stream.
  template <class Line>
  bool read(int fd, Line line) {
    std::array<char, 16384> buffer;
    for (;;) {
      const ssize_t got = ::read(fd, buffer.data(), buffer.size());
      if (got < 0) return errno == EAGAIN || errno == EINTR;
      if (got == 0) return finish(line), false;
      take({buffer.data(), static_cast<std::size_t>(got)}, line);
    }
  }

  bool overflowed() const { return total_ > probe_output_bytes_max; }

 private:
  template <class Line>
  void take(std::string_view bytes, Line line) {
    total_ += bytes.size();
    if (overflowed()) return;
    rest_.append(bytes);
    for (auto at = rest_.find('\n'); at != rest_.npos; at = rest_.find('\n')) {
      line(std::string_view(rest_).substr(0, at));
      rest_.erase(0, at + 1);
    }
  }

  template <class Line>
  void finish(Line line) {
    if (!rest_.empty()) line(std::string_view(rest_));
    rest_.clear();
  }

  std::string rest_;
  std::size_t total_ = 0;
};

class Run {
 public:
  explicit Run(const Request& request)
      : request_(request),
        begin_(Clock::now()),
        deadline_(begin_ + request.deadline) {}

  Outcome go() {
    if (start()) {
      const bool ended = read_until_end() && reap(deadline_);
      if (!ended) {
        kill();
        if (!reap(Clock::now() + milliseconds(reap_ms_max))) stuck();
      }
    }
    outcome_.took =
        std::chrono::duration_cast<milliseconds>(Clock::now() - begin_);
    return std::move(outcome_);
  }

 private:
  void remark(std::string text) {
    if (outcome_.remarks.size() < probe_remarks_max)
      outcome_.remarks.push_back(std::move(text));
  }

  bool start() {
    if (!out_.open() || !err_.open()) return failed(errno);
    posix_spawn_file_actions_t actions;
    posix_spawnattr_t attributes;
    ::posix_spawn_file_actions_init(&actions);
    ::posix_spawnattr_init(&attributes);
    ::posix_spawn_file_actions_addopen(&actions, 0, "/dev/null", O_RDONLY, 0);
    ::posix_spawn_file_actions_adddup2(&actions, out_.write.get(), 1);
    ::posix_spawn_file_actions_adddup2(&actions, err_.write.get(), 2);
    ::posix_spawn_file_actions_addclosefrom_np(&actions, 3);
    // A group of its own, so that what it starts is killed with it.
    ::posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETPGROUP);
    std::vector<std::string> arguments = {request_.program};
    arguments.insert(arguments.end(), request_.arguments.begin(),
                     request_.arguments.end());
    std::vector<std::string> environment = environment_for(request_);
    const int error = ::posix_spawn(
        &outcome_.pid, request_.program.c_str(), &actions, &attributes,
        pointers(arguments).data(), pointers(environment).data());
    ::posix_spawn_file_actions_destroy(&actions);
    ::posix_spawnattr_destroy(&attributes);
    if (error != 0) return failed(error);
    out_.write.reset();
    err_.write.reset();
    process_.reset(
        static_cast<int>(::syscall(SYS_pidfd_open, outcome_.pid, 0)));
    return true;
  }

  bool failed(int error) {
    outcome_.end = End::not_started;
    outcome_.code = error;
    outcome_.pid = 0;
    remark(fmt::format("{} cannot be started: {}", request_.program,
                       std::strerror(error)));
    return false;
  }

  int ms_until(Clock::time_point when) const {
    const auto left =
        std::chrono::ceil<milliseconds>(when - Clock::now()).count();
    return left <= 0 ? 0 : static_cast<int>(std::min<long long>(left, 60'000));
  }

  // False at the deadline, and when it is to stop.
  bool read_until_end() {
    bool out_open = true;
    bool err_open = true;
    while (out_open || err_open) {
      pollfd fds[] = {{out_open ? out_.read.get() : -1, POLLIN, 0},
                      {err_open ? err_.read.get() : -1, POLLIN, 0},
                      {request_.stop_fd, POLLIN, 0}};
      const int wait = ms_until(deadline_);
      if (wait == 0) return false;
      if (::poll(fds, 3, wait) <= 0) continue;
      if (fds[2].revents != 0) return stopped_ = true, false;
      if (fds[0].revents != 0)
        out_open = results_.read(out_.read.get(),
                                 [&](std::string_view line) { take(line); });
      if (fds[1].revents != 0)
        err_open = errors_.read(err_.read.get(), [&](std::string_view line) {
          remark(std::string(line));
        });
      if (results_.overflowed() || errors_.overflowed()) {
        remark("the probe wrote too much; it was stopped");
        return false;
      }
    }
    return true;
  }

  void take(std::string_view line) {
    auto result = parse_line(line);
    if (result) {
      outcome_.results.push_back(std::move(*result));
    } else {
      remark(result.error());
    }
  }

  void kill() {
    ::kill(-outcome_.pid, SIGKILL);
    killed_ = true;
    if (stopped_) return remark("the probe was stopped");
    if (results_.overflowed() || errors_.overflowed()) return;
    remark(fmt::format("the probe did not end within {} ms; it was killed",
                       request_.deadline.count()));
  }

  // False when it lives on at `until`.
  bool reap(Clock::time_point until) {
    int status = 0;
    for (;;) {
      const pid_t done = ::waitpid(outcome_.pid, &status, WNOHANG);
      if (done == outcome_.pid) break;
      if (done < 0 && errno != EINTR) return lost();
      if (ms_until(until) == 0) return false;
      pollfd fds[] = {{process_.get(), POLLIN, 0},
                      {killed_ ? -1 : request_.stop_fd, POLLIN, 0}};
      // Without a descriptor of the process, look again now and then.
      ::poll(fds, 2, process_.get() >= 0 ? ms_until(until) : 10);
      if (fds[1].revents != 0) return stopped_ = true, false;
    }
    outcome_.pid = 0;
    if (killed_) {
      outcome_.end = stopped_ ? End::stopped : End::deadline;
      outcome_.code = SIGKILL;
    } else if (WIFEXITED(status)) {
      outcome_.end = End::exited;
      outcome_.code = WEXITSTATUS(status);
    } else {
      outcome_.end = End::killed_by_signal;
      outcome_.code = WTERMSIG(status);
      remark(fmt::format("the probe was ended by signal {}", outcome_.code));
    }
    return true;
  }

  // Somebody else reaped it: how it ended is not known.
  bool lost() {
    outcome_.end = End::killed_by_signal;
    outcome_.pid = 0;
    remark("how the probe ended is not known");
    return true;
  }

  void stuck() {
    outcome_.end = End::stuck;
    remark(
        fmt::format("process {} of the probe does not die: the driver "
                    "holds it",
                    outcome_.pid));
  }

  const Request& request_;
  const Clock::time_point begin_;
  const Clock::time_point deadline_;
  Pipe out_;
  Pipe err_;
  Descriptor process_;
  Lines results_;
  Lines errors_;
  bool killed_ = false;
  bool stopped_ = false;
  Outcome outcome_;
};

}  // namespace

Outcome run(const Request& request) {
  return Run(request).go();
}

}  // namespace reeve::gpu::probe
