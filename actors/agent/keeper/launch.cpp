#include "actors/agent/keeper/launch.hpp"

#include <fcntl.h>
#include <linux/sched.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

#include "actors/agent/keeper/init.hpp"

namespace reeve::keeper {

Expected<Launched> launch(const LaunchSetting& setting,
                          const LaunchOrder& order) {
  int out[2];
  int err[2];
  if (::pipe2(out, O_CLOEXEC) != 0) {
    return tl::unexpected(system_error("making a pipe", errno));
  }
  Fd out_read(out[0]), out_write(out[1]);
  if (::pipe2(err, O_CLOEXEC) != 0) {
    return tl::unexpected(system_error("making a pipe", errno));
  }
  Fd err_read(err[0]), err_write(err[1]);
  ::fcntl(out_read.get(), F_SETFL, O_NONBLOCK);
  ::fcntl(err_read.get(), F_SETFL, O_NONBLOCK);

  int process = -1;
  clone_args args{};
  args.flags = CLONE_NEWPID | CLONE_NEWUTS | CLONE_NEWIPC | CLONE_PIDFD;
  args.pidfd = reinterpret_cast<std::uintptr_t>(&process);
  args.exit_signal = SIGCHLD;
  auto pid = ::syscall(SYS_clone3, &args, sizeof args);
  if (pid < 0) {
    return fail(Errc::io, describe({Step::fork, errno}));
  }
  if (pid == 0) {
    run_init(setting, order, {out_write.get(), err_write.get()});
  }
  return Launched{static_cast<int>(pid), Fd(process), std::move(out_read),
                  std::move(err_read)};
}

Status pass_signal(int process_fd, int signo) {
  siginfo_t info{};
  info.si_signo = pass_on_signal();
  info.si_code = SI_QUEUE;
  info.si_value.sival_int = signo;
  if (::syscall(SYS_pidfd_send_signal, process_fd, info.si_signo, &info, 0) !=
      0) {
    return tl::unexpected(system_error("signalling the task", errno));
  }
  return {};
}

}  // namespace reeve::keeper
