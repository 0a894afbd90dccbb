#include "actors/agent/keeper/device_guard.hpp"

#include <fcntl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

namespace reeve::keeper {
namespace {

// The kernel wants what is not set to be zero, padding too.
bpf_attr no_attributes() {
  bpf_attr attributes;
  std::memset(&attributes, 0, sizeof attributes);
  return attributes;
}

int bpf(bpf_cmd command, bpf_attr& attributes) {
  return static_cast<int>(
      ::syscall(SYS_bpf, command, &attributes, sizeof attributes));
}

std::uint64_t address(const void* data) {
  return reinterpret_cast<std::uintptr_t>(data);
}

Expected<Fd> load(const std::vector<bpf_insn>& program) {
  auto attributes = no_attributes();
  attributes.prog_type = BPF_PROG_TYPE_CGROUP_DEVICE;
  attributes.insns = address(program.data());
  attributes.insn_cnt = static_cast<std::uint32_t>(program.size());
  attributes.license = address("none");  // it calls nothing of the kernel's
  Fd loaded(bpf(BPF_PROG_LOAD, attributes));
  if (!loaded) {
    return tl::unexpected(
        system_error("loading a program that guards devices", errno));
  }
  return loaded;
}

// With others on the same group or above it: all of them must allow.
Status change(bpf_cmd command, const std::string& group, const Fd& program) {
  Fd directory(::open(group.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!directory) {
    return tl::unexpected(system_error("opening " + group, errno));
  }
  auto attributes = no_attributes();
  attributes.target_fd = static_cast<std::uint32_t>(directory.get());
  attributes.attach_bpf_fd = static_cast<std::uint32_t>(program.get());
  attributes.attach_type = BPF_CGROUP_DEVICE;
  if (command == BPF_PROG_ATTACH) attributes.attach_flags = BPF_F_ALLOW_MULTI;
  if (bpf(command, attributes) != 0) {
    return tl::unexpected(
        system_error("guarding the devices of " + group, errno));
  }
  return {};
}

}  // namespace

std::vector<DeviceNumber> device_numbers(
    const std::vector<std::string>& paths) {
  std::vector<DeviceNumber> numbers;
  for (const auto& path : paths) {
    struct stat info {};
    if (::stat(path.c_str(), &info) != 0 || !S_ISCHR(info.st_mode)) continue;
    numbers.push_back(
        {gnu_dev_major(info.st_rdev), gnu_dev_minor(info.st_rdev)});
  }
  std::sort(numbers.begin(), numbers.end());
  numbers.erase(std::unique(numbers.begin(), numbers.end()), numbers.end());
  return numbers;
}

Expected<DeviceGuard> DeviceGuard::open(const std::string& parent, bool v2) {
  DeviceGuard guard(v2);
  if (!v2) {
    // Where nothing is denied yet, as in this group, allowing changes nothing.
    for (const auto& line : device_lines({})) {
      auto written = write_kernel_file(parent + "/devices.allow", line);
      if (!written) return tl::unexpected(written.error());
    }
    return guard;
  }
  auto program = guard.program_for({});
  if (!program) return tl::unexpected(program.error());
  auto tried = change(BPF_PROG_ATTACH, parent, **program);
  if (tried) tried = change(BPF_PROG_DETACH, parent, **program);
  if (!tried) return tl::unexpected(tried.error());
  return guard;
}

Status DeviceGuard::set(const std::string& group,
                        const std::vector<DeviceNumber>& given,
                        std::optional<Told>& told) {
  if (told && told->given == given) return {};
  if (given.size() > devices_per_group_max) {
    return fail(Errc::usage, std::to_string(given.size()) +
                                 " device nodes are too many for one task: at "
                                 "most " +
                                 std::to_string(devices_per_group_max) +
                                 " are allowed");
  }
  if (v2_) return replace_program(group, given, told);
  told.reset();
  auto written = write_lines(group, given);
  if (written) told = Told{given, nullptr};
  return written;
}

Status DeviceGuard::write_lines(const std::string& group,
                                const std::vector<DeviceNumber>& given) {
  auto status = write_kernel_file(group + "/devices.deny", "a\n");
  for (const auto& line : device_lines(given)) {
    if (!status) break;
    status = write_kernel_file(group + "/devices.allow", line);
  }
  return status;
}

// Until the older program is gone only what both allow can be opened; a task
// does not run yet.
Status DeviceGuard::replace_program(const std::string& group,
                                    const std::vector<DeviceNumber>& given,
                                    std::optional<Told>& told) {
  auto program = program_for(given);
  if (!program) return tl::unexpected(program.error());
  auto status = change(BPF_PROG_ATTACH, group, **program);
  if (status && told) status = change(BPF_PROG_DETACH, group, *told->program);
  if (status) told = Told{given, *program};
  return status;
}

Expected<DeviceGuard::Program> DeviceGuard::program_for(
    const std::vector<DeviceNumber>& given) {
  std::erase_if(programs_,
                [](const auto& one) { return one.second.expired(); });
  if (const auto known = programs_.find(given); known != programs_.end()) {
    return known->second.lock();
  }
  auto loaded = load(device_program(given));
  if (!loaded) return tl::unexpected(loaded.error());
  Program program = std::make_shared<const Fd>(std::move(*loaded));
  programs_[given] = program;
  return program;
}

}  // namespace reeve::keeper
