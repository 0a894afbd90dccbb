#include "actors/agent/keeper/device_rules.hpp"

#include <array>
#include <boost/test/unit_test.hpp>
#include <cstring>

namespace reeve::keeper::device_rules_test {
namespace {

constexpr std::uint32_t block = BPF_DEVCG_DEV_BLOCK;
constexpr std::uint32_t character = BPF_DEVCG_DEV_CHAR;
constexpr std::uint32_t make = BPF_DEVCG_ACC_MKNOD;
constexpr std::uint32_t read = BPF_DEVCG_ACC_READ;
constexpr std::uint32_t write = BPF_DEVCG_ACC_WRITE;

bpf_cgroup_dev_ctx asked(std::uint32_t kind, std::uint32_t access,
                         DeviceNumber of) {
  return {access << 16 | kind, of.major, of.minor};
}

// As the kernel runs it, of the instructions that there are. Jumps go forward
// alone, so it ends.
std::uint64_t answer(const std::vector<bpf_insn>& program,
                     const bpf_cgroup_dev_ctx& context) {
  std::array<std::uint64_t, 11> registers{};
  std::size_t at = 0;
  for (;;) {
    BOOST_REQUIRE_LT(at, program.size());
    const bpf_insn& next = program[at++];
    auto& to = registers.at(next.dst_reg);
    const auto value = static_cast<std::uint64_t>(next.imm);
    bool jumps = false;
    switch (next.code) {
      case BPF_ALU64 | BPF_MOV | BPF_K: to = value; break;
      case BPF_ALU64 | BPF_AND | BPF_K: to &= value; break;
      case BPF_LDX | BPF_MEM | BPF_W: {
        BOOST_REQUIRE_EQUAL(next.src_reg, 1);
        const auto offset = static_cast<std::size_t>(next.off);
        BOOST_REQUIRE_LE(offset + 4, sizeof context);
        std::uint32_t word = 0;
        std::memcpy(&word, reinterpret_cast<const char*>(&context) + offset,
                    sizeof word);
        to = word;
        break;
      }
      case BPF_JMP | BPF_JEQ | BPF_K: jumps = to == value; break;
      case BPF_JMP | BPF_JNE | BPF_K: jumps = to != value; break;
      case BPF_JMP | BPF_EXIT: return registers[0];
      default: BOOST_FAIL("an instruction of code " << int{next.code});
    }
    BOOST_REQUIRE_GE(next.off, 0);
    if (jumps) at += static_cast<std::size_t>(next.off);
  }
}

bool may(const std::vector<DeviceNumber>& given, std::uint32_t kind,
         std::uint32_t access, DeviceNumber of) {
  const auto said = answer(device_program(given), asked(kind, access, of));
  BOOST_REQUIRE_LE(said, 1u);
  return said == 1;
}

const std::vector<DeviceNumber> gpu = {{195, 0}, {195, 255}, {511, 0}};

BOOST_AUTO_TEST_CASE(every_task_opens_the_pseudo_devices) {
  const DeviceNumber numbers[] = {{1, 3}, {1, 5},   {1, 7},
                                  {1, 8}, {1, 9},   {5, 0},
                                  {5, 2}, {136, 0}, {136, 70'000}};
  for (const auto& of : numbers) {
    BOOST_TEST_CONTEXT(of.major << ":" << of.minor) {
      for (const auto access : {read, write, read | write}) {
        BOOST_TEST(may({}, character, access, of));
        BOOST_TEST(may(gpu, character, access, of));
      }
    }
  }
}

BOOST_AUTO_TEST_CASE(a_device_is_opened_by_the_task_that_was_given_it) {
  for (const auto& of : gpu) {
    BOOST_TEST(may(gpu, character, read | write, of));
    BOOST_TEST(!may({}, character, read | write, of));
    BOOST_TEST(!may({}, character, read, of));
  }
}

BOOST_AUTO_TEST_CASE(nothing_else_is_opened) {
  // Of others; memory, kernel messages, console, FUSE; one beside each rule.
  const DeviceNumber numbers[] = {
      {195, 1}, {195, 254}, {511, 1}, {512, 0},         {1, 1},
      {1, 2},   {1, 11},    {5, 1},   {5, 3},           {10, 229},
      {135, 0}, {137, 0},   {0, 0},   {4095, 1'048'575}};
  for (const auto& of : numbers) {
    BOOST_TEST_CONTEXT(of.major << ":" << of.minor) {
      for (const auto access : {read, write, read | write})
        BOOST_TEST(!may(gpu, character, access, of));
    }
  }
}

BOOST_AUTO_TEST_CASE(no_node_is_made_and_no_block_device_opened) {
  for (const auto& of : {DeviceNumber{1, 3}, DeviceNumber{195, 0}}) {
    BOOST_TEST(!may(gpu, character, make, of));
    BOOST_TEST(!may(gpu, character, make | read | write, of));
    BOOST_TEST(!may(gpu, block, read, of));
    BOOST_TEST(!may(gpu, block, make, of));
  }
}

BOOST_AUTO_TEST_CASE(as_many_devices_as_allowed_fit_every_kernel) {
  constexpr std::size_t instructions_max = 4'096;  // of a kernel before 5.2
  std::vector<DeviceNumber> many;
  for (std::uint32_t i = 0; i < devices_per_group_max; ++i)
    many.push_back({500, i});
  BOOST_TEST(device_program(many).size() <= instructions_max);
  BOOST_TEST(may(many, character, read, many.back()));
  BOOST_TEST(!may(many, character, read, {500, devices_per_group_max}));
}

BOOST_AUTO_TEST_CASE(lines_say_the_same_for_the_controller_of_v1) {
  const std::vector<std::string> expected = {
      "c 1:3 rw\n", "c 1:5 rw\n", "c 1:7 rw\n",   "c 1:8 rw\n",  "c 1:9 rw\n",
      "c 5:0 rw\n", "c 5:2 rw\n", "c 136:* rw\n", "c 195:0 rw\n"};
  BOOST_TEST(device_lines({{195, 0}}) == expected,
             boost::test_tools::per_element());
}

}  // namespace
}  // namespace reeve::keeper::device_rules_test
