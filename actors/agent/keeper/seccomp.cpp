#include "actors/agent/keeper/seccomp.hpp"

#include <asm/unistd.h>
#include <linux/audit.h>
#include <linux/seccomp.h>
#include <sched.h>
#include <sys/prctl.h>

#include <algorithm>
#include <cerrno>
#include <cstddef>
#include <cstdint>

namespace reeve::keeper {
namespace {

#if defined(__x86_64__)
constexpr std::uint32_t native_arch = AUDIT_ARCH_X86_64;
#elif defined(__aarch64__)
constexpr std::uint32_t native_arch = AUDIT_ARCH_AARCH64;
#else
#error "the filter of system calls is written for x86-64 and arm64"
#endif

constexpr std::uint32_t namespace_flags =
    CLONE_NEWNS | CLONE_NEWUTS | CLONE_NEWIPC | CLONE_NEWUSER | CLONE_NEWPID |
    CLONE_NEWNET | CLONE_NEWCGROUP;

constexpr std::uint32_t denied[] = {
    // the tree of mounts
    __NR_mount,
    __NR_umount2,
    __NR_pivot_root,
    __NR_chroot,
    __NR_open_tree,
    __NR_move_mount,
    __NR_fsopen,
    __NR_fsconfig,
    __NR_fsmount,
    __NR_fspick,
    __NR_mount_setattr,
    __NR_swapon,
    __NR_swapoff,
    __NR_quotactl,
    __NR_open_by_handle_at,
    __NR_name_to_handle_at,
    // other namespaces and processes
    __NR_setns,
    __NR_ptrace,
    __NR_process_vm_readv,
    __NR_process_vm_writev,
    __NR_kcmp,
    __NR_pidfd_getfd,
    __NR_process_madvise,
    // the kernel itself
    __NR_init_module,
    __NR_finit_module,
    __NR_delete_module,
    __NR_kexec_load,
    __NR_kexec_file_load,
    __NR_reboot,
    __NR_bpf,
    __NR_perf_event_open,
    __NR_userfaultfd,
    __NR_syslog,
    __NR_acct,
    __NR_settimeofday,
    __NR_clock_settime,
    __NR_clock_adjtime,
    __NR_adjtimex,
    __NR_sethostname,
    __NR_setdomainname,
    __NR_vhangup,
    __NR_lookup_dcookie,
    __NR_fanotify_init,
    __NR_io_uring_setup,
    __NR_io_uring_enter,
    __NR_io_uring_register,
    // keyrings are shared by all processes of a user, inside or out
    __NR_add_key,
    __NR_request_key,
    __NR_keyctl,
#if defined(__x86_64__)
    __NR_ioperm,
    __NR_iopl,
    __NR_modify_ldt,
    __NR_uselib,
    __NR_ustat,
    __NR_sysfs,
    __NR__sysctl,
    __NR_create_module,
    __NR_get_kernel_syms,
    __NR_query_module,
    __NR_nfsservctl,
#endif
};

constexpr std::uint32_t refuse(std::uint32_t error) {
  return SECCOMP_RET_ERRNO | error;
}

constexpr std::uint32_t low_word_of_argument(std::size_t index) {
  return static_cast<std::uint32_t>(offsetof(seccomp_data, args) + 8 * index);
}

class Program {
 public:
  void load(std::uint32_t offset) {
    code_.push_back(BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offset));
  }
  void answer(std::uint32_t value) {
    code_.push_back(BPF_STMT(BPF_RET | BPF_K, value));
  }
  // Skips `count` instructions when the loaded word compares so.
  void when(std::uint16_t how, std::uint32_t value, std::uint8_t count) {
    code_.push_back(
        {static_cast<std::uint16_t>(BPF_JMP | how | BPF_K), count, 0, value});
  }
  // Skips `count` instructions unless the loaded word compares so.
  void unless(std::uint16_t how, std::uint32_t value, std::uint8_t count) {
    code_.push_back(
        {static_cast<std::uint16_t>(BPF_JMP | how | BPF_K), 0, count, value});
  }
  void refuse_call(std::uint32_t number, std::uint32_t error) {
    unless(BPF_JEQ, number, 1);
    answer(refuse(error));
  }
  // Refuses `number` when its argument has (bits) or equals (value).
  void refuse_argument(std::uint32_t number, std::size_t index,
                       std::uint16_t how, std::uint32_t value) {
    unless(BPF_JEQ, number, 4);
    load(low_word_of_argument(index));
    unless(how, value, 1);
    answer(refuse(EPERM));
    answer(SECCOMP_RET_ALLOW);
  }
  // A binary search: few steps for each of the many allowed calls.
  void refuse_all(const std::uint32_t* first, const std::uint32_t* last) {
    constexpr std::ptrdiff_t linear_max = 4;
    if (last - first <= linear_max) {
      for (; first != last; ++first) refuse_call(*first, EPERM);
      answer(SECCOMP_RET_ALLOW);
      return;
    }
    auto* middle = first + (last - first) / 2;
    auto branch = code_.size();
    code_.push_back({BPF_JMP | BPF_JGE | BPF_K, 0, 0, *middle});
    refuse_all(first, middle);
    code_[branch].jt = static_cast<std::uint8_t>(code_.size() - branch - 1);
    refuse_all(middle, last);
  }
  std::vector<sock_filter> take() { return std::move(code_); }

 private:
  std::vector<sock_filter> code_;
};

}  // namespace

std::vector<sock_filter> denied_calls_filter() {
  constexpr std::uint32_t terminal_inject = 0x5412;  // TIOCSTI
  constexpr std::uint32_t terminal_linux = 0x541C;   // TIOCLINUX
  Program program;
  program.load(offsetof(seccomp_data, arch));
  program.when(BPF_JEQ, native_arch, 1);
  program.answer(refuse(ENOSYS));
  program.load(offsetof(seccomp_data, nr));
#if defined(__x86_64__)
  program.unless(BPF_JGE, 0x40000000u, 1);  // the x32 calls
  program.answer(refuse(ENOSYS));
#endif
  program.refuse_call(__NR_clone3, ENOSYS);
  program.refuse_argument(__NR_clone, 0, BPF_JSET, namespace_flags);
  program.refuse_argument(__NR_unshare, 0, BPF_JSET, namespace_flags);
  program.unless(BPF_JEQ, __NR_ioctl, 6);
  program.load(low_word_of_argument(1));
  program.unless(BPF_JEQ, terminal_inject, 1);
  program.answer(refuse(EPERM));
  program.unless(BPF_JEQ, terminal_linux, 1);
  program.answer(refuse(EPERM));
  program.answer(SECCOMP_RET_ALLOW);
  std::vector<std::uint32_t> sorted(std::begin(denied), std::end(denied));
  std::sort(sorted.begin(), sorted.end());
  program.refuse_all(sorted.data(), sorted.data() + sorted.size());
  return program.take();
}

int install_filter(const std::vector<sock_filter>& filter) {
  sock_fprog program{static_cast<unsigned short>(filter.size()),
                     const_cast<sock_filter*>(filter.data())};
  if (::prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) != 0) {
    return errno;
  }
  return 0;
}

}  // namespace reeve::keeper
