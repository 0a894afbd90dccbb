#include "actors/agent/keeper/device_rules.hpp"

#include <cstddef>
#include <optional>

namespace reeve::keeper {
namespace {

struct Rule {
  std::uint32_t major = 0;
  std::optional<std::uint32_t> minor;  // empty: any
};

std::vector<Rule> rules_for(const std::vector<DeviceNumber>& given) {
  std::vector<Rule> rules = {{1, 3}, {1, 5}, {1, 7}, {1, 8},
                             {1, 9}, {5, 0}, {5, 2}, {136, std::nullopt}};
  for (const auto& device : given)
    rules.push_back({device.major, device.minor});
  return rules;
}

enum Register : std::uint8_t { answer, context, access, major_at, minor_at };

bpf_insn instruction(int code, Register to, int from, int offset,
                     std::int64_t value) {
  bpf_insn made{};
  made.code = static_cast<std::uint8_t>(code);
  made.dst_reg = to & 0xf;
  made.src_reg = static_cast<std::uint8_t>(from) & 0xf;
  made.off = static_cast<std::int16_t>(offset);
  made.imm = static_cast<std::int32_t>(value);
  return made;
}

bpf_insn set(Register to, std::int64_t value) {
  return instruction(BPF_ALU64 | BPF_MOV | BPF_K, to, 0, 0, value);
}

bpf_insn load(Register to, std::size_t offset) {
  return instruction(BPF_LDX | BPF_MEM | BPF_W, to, context,
                     static_cast<int>(offset), 0);
}

// Skips `count` instructions where the register compares so.
bpf_insn skip(int how, Register of, std::int64_t value, int count) {
  return instruction(BPF_JMP | how | BPF_K, of, 0, count, value);
}

bpf_insn end() {
  return instruction(BPF_JMP | BPF_EXIT, answer, 0, 0, 0);
}

}  // namespace

std::vector<std::string> device_lines(const std::vector<DeviceNumber>& given) {
  std::vector<std::string> lines;
  for (const auto& rule : rules_for(given)) {
    lines.push_back("c " + std::to_string(rule.major) + ":" +
                    (rule.minor ? std::to_string(*rule.minor) : "*") + " rw\n");
  }
  return lines;
}

std::vector<bpf_insn> device_program(const std::vector<DeviceNumber>& given) {
  // Kind of the node in the lower half, what is to be done above it.
  constexpr std::int64_t kind_and_making = BPF_DEVCG_ACC_MKNOD << 16 | 0xffff;
  std::vector<bpf_insn> program = {
      set(answer, 0),
      load(access, offsetof(bpf_cgroup_dev_ctx, access_type)),
      load(major_at, offsetof(bpf_cgroup_dev_ctx, major)),
      load(minor_at, offsetof(bpf_cgroup_dev_ctx, minor)),
      instruction(BPF_ALU64 | BPF_AND | BPF_K, access, 0, 0, kind_and_making),
      skip(BPF_JEQ, access, BPF_DEVCG_DEV_CHAR, 1),
      end(),
  };
  for (const auto& rule : rules_for(given)) {
    program.push_back(skip(BPF_JNE, major_at, rule.major, rule.minor ? 3 : 2));
    if (rule.minor) program.push_back(skip(BPF_JNE, minor_at, *rule.minor, 2));
    program.push_back(set(answer, 1));
    program.push_back(end());
  }
  program.push_back(end());
  return program;
}

}  // namespace reeve::keeper
