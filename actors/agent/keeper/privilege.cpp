#include "actors/agent/keeper/privilege.hpp"

#include <linux/capability.h>
#include <sched.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>

#include "actors/agent/keeper/files.hpp"

namespace reeve::keeper {
namespace {

struct Capabilities {
  __user_cap_header_struct header{_LINUX_CAPABILITY_VERSION_3, 0};
  __user_cap_data_struct data[2]{};
};

bool have_system_rights() {
  Capabilities caps;
  if (::syscall(SYS_capget, &caps.header, caps.data) != 0) return false;
  return (caps.data[0].effective & (1u << CAP_SYS_ADMIN)) != 0;
}

Status enter_user_namespace(const Privilege& privilege) {
  if (::unshare(CLONE_NEWUSER | CLONE_NEWNS) != 0) {
    return fail(Errc::unsupported,
                "user " + std::to_string(privilege.uid) +
                    " cannot make a user namespace (" +
                    system_error("unshare", errno).text +
                    "); run the daemon as root or allow them "
                    "(sysctl user.max_user_namespaces)");
  }
  auto map = [](std::uint32_t id) {
    return std::to_string(id) + " " + std::to_string(id) + " 1";
  };
  auto done = write_kernel_file("/proc/self/setgroups", "deny");
  if (done) {
    done = write_kernel_file("/proc/self/uid_map", map(privilege.uid));
  }
  if (done) {
    done = write_kernel_file("/proc/self/gid_map", map(privilege.gid));
  }
  return done;
}

// A task executes its command with an empty bounding set and no inheritable
// capability: it has none, whatever its uid.
Status give_up_capabilities() {
  constexpr int capabilities_max = 64;
  for (int cap = 0; cap < capabilities_max; ++cap) {
    if (::prctl(PR_CAPBSET_DROP, cap, 0, 0, 0) != 0) {
      if (errno == EINVAL) break;  // past the last one
      return tl::unexpected(
          system_error("emptying the bounding set of capabilities", errno));
    }
  }
  ::prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0);
  Capabilities caps;
  if (::syscall(SYS_capget, &caps.header, caps.data) == 0) {
    caps.data[0].inheritable = caps.data[1].inheritable = 0;
    if (::syscall(SYS_capset, &caps.header, caps.data) != 0) {
      return tl::unexpected(
          system_error("emptying the inheritable capabilities", errno));
    }
  }
  if (::prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0) {
    return tl::unexpected(system_error("setting no_new_privs", errno));
  }
  return {};
}

}  // namespace

Expected<Privilege> settle_privilege() {
  Privilege privilege;
  privilege.uid = ::geteuid();
  privilege.gid = ::getegid();
  privilege.user_mode = !have_system_rights();
  sigset_t all;
  sigfillset(&all);
  ::sigprocmask(SIG_SETMASK, &all, nullptr);
  ::getrlimit(RLIMIT_NOFILE, &privilege.open_files);
  rlimit raised{privilege.open_files.rlim_max, privilege.open_files.rlim_max};
  ::setrlimit(RLIMIT_NOFILE, &raised);
  // As the daemon does, so that under load many ends are one round.
  const sched_param none{};
  ::sched_setscheduler(0, SCHED_BATCH, &none);
  privilege.reset_oom_score =
      write_kernel_file("/proc/self/oom_score_adj", "-900").has_value();
  if (privilege.user_mode) {
    auto entered = enter_user_namespace(privilege);
    if (!entered) return tl::unexpected(entered.error());
    privilege.limits.push_back("tasks run as user " +
                               std::to_string(privilege.uid) +
                               " only: the daemon was not started as root");
  }
  if (auto given = give_up_capabilities(); !given) {
    return tl::unexpected(given.error());
  }
  return privilege;
}

}  // namespace reeve::keeper
