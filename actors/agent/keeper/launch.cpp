#include "actors/agent/keeper/launch.hpp"

#include <fcntl.h>
#include <linux/sched.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

#include "actors/agent/keeper/init.hpp"

namespace reeve::keeper {

namespace {

struct Pipe {
  Fd read;
  Fd write;
  bool open(int read_flags) {
    int ends[2];
    if (::pipe2(ends, O_CLOEXEC) != 0) return false;
    read.reset(ends[0]);
    write.reset(ends[1]);
    return read_flags == 0 || ::fcntl(ends[0], F_SETFL, read_flags) == 0;
  }
};

}  // namespace

OrderPage& OrderPage::operator=(OrderPage&& other) noexcept {
  std::swap(data_, other.data_);
  return *this;
}

OrderPage::~OrderPage() {
  if (data_) ::munmap(data_, bytes_max);
}

Expected<OrderPage> OrderPage::make() {
  void* data = ::mmap(nullptr, bytes_max, PROT_READ | PROT_WRITE,
                      MAP_SHARED | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (data == MAP_FAILED) {
    return tl::unexpected(system_error("mapping room for an order", errno));
  }
  OrderPage page;
  page.data_ = static_cast<char*>(data);
  return page;
}

void OrderPage::keep_from_children() const {
  ::madvise(data_, bytes_max, MADV_DONTFORK);
}

Expected<Init> make_init(const LaunchSetting& setting,
                         const std::vector<std::string>& cgroup_entries) {
  Pipe out, err, order;
  if (!out.open(O_NONBLOCK) || !err.open(O_NONBLOCK) || !order.open(0)) {
    return tl::unexpected(system_error("making a pipe", errno));
  }
  auto page = OrderPage::make();
  if (!page) return tl::unexpected(page.error());

  Init init;
  init.boot_ns = boot_now_ns();
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
    run_init(setting, cgroup_entries,
             {out.write.get(), err.write.get(), order.read.get()},
             page->data());
  }
  page->keep_from_children();
  init.pid = static_cast<int>(pid);
  init.process.reset(process);
  init.out = std::move(out.read);
  init.err = std::move(err.read);
  init.order = std::move(order.write);
  init.page = std::move(*page);
  return init;
}

Status give_order(Init& init, const LaunchOrder& order) {
  std::string bytes;
  encode(order, bytes);
  if (bytes.size() > OrderPage::bytes_max) {
    return fail(Errc::usage, "an order of " + std::to_string(bytes.size()) +
                                 " bytes is over the bound of " +
                                 std::to_string(OrderPage::bytes_max));
  }
  std::memcpy(init.page.data(), bytes.data(), bytes.size());
  auto size = static_cast<std::uint32_t>(bytes.size());
  auto wrote = ::write(init.order.get(), &size, sizeof size);
  if (wrote != static_cast<ssize_t>(sizeof size)) {
    return tl::unexpected(system_error("giving an init its order", errno));
  }
  init.order.reset();
  init.page = {};
  return {};
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
