// Which device nodes the processes of a control group may open, in the two
// forms that kernels take it. Pure.
//
// Every task may read and write null, zero, full, random, urandom, tty, ptmx
// and its pseudo terminals, and the character devices it was given. Nothing
// else: no block device, and no node can be made.
#pragma once

#include <linux/bpf.h>

#include <compare>
#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

namespace reeve::keeper {

// Of a character device.
struct DeviceNumber {
  std::uint32_t major = 0;
  std::uint32_t minor = 0;
  auto operator<=>(const DeviceNumber&) const = default;
};

// Nodes that one task is given; the program is below the 4,096 instructions
// that older kernels take.
inline constexpr std::size_t devices_per_group_max = 512;

// v1: lines for devices.allow, one write each, after all was denied.
std::vector<std::string> device_lines(const std::vector<DeviceNumber>& given);

// v2: a program of type BPF_PROG_TYPE_CGROUP_DEVICE. It is asked with a
// bpf_cgroup_dev_ctx and answers 1 (may) or 0 (may not).
std::vector<bpf_insn> device_program(const std::vector<DeviceNumber>& given);

}  // namespace reeve::keeper
