// What follows from what telemetry and probes tell of a device: a table, and
// nothing else. It knows no cell, no task and no clock.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "gpu/control.hpp"
#include "gpu/probe/verdict.hpp"
#include "gpu/telemetry.hpp"

namespace reeve::gpu {

// From the mildest to the gravest.
enum class Action : std::uint8_t {
  nothing,       // it is told, that is all
  fail_session,  // who runs there ends; the device is as good as before
  quarantine,    // offered to nobody until it has passed a full test
  drain,         // the node has to be looked after as a whole
};
std::string_view name(Action action);

// `reason`: one sentence for people, kept with what follows from it.
struct Finding {
  Action action = Action::nothing;
  std::string reason;
  bool operator==(const Finding&) const = default;
};

// An error that the driver reports by number, as NVIDIA's "XID Errors" has it.
struct XidRule {
  std::uint64_t code = 0;
  Action action = Action::nothing;
  std::string_view meaning;
};
std::span<const XidRule> xid_rules();  // by code

// What a sample tells beside its Xid errors.
enum class Sign : std::uint8_t {
  lost,
  ecc_uncorrected,
  row_remap_pending,
  row_remap_failed,
  power_cap,
  thermal,
  hardware_thermal,
  power_brake,
};
constexpr std::size_t sign_count = 8;

// A number that is not in the table is told, and judged by the next probe.
Finding judge_xid(std::uint64_t code);
Finding judge_sign(Sign sign);
// With the worst of what the probe found.
Finding judge_probe(const probe::Verdict& verdict);

// What the sample tells and the one before (null: there was none) did not. Xid
// errors are of one sample; what lasts is told when it begins, and uncorrected
// errors when their count grows.
std::vector<Finding> judge_sample(const Sample& now, const Sample* before);

// What stays wrong with the device until somebody mends it, whatever a probe
// makes of it; the gravest first.
std::vector<Finding> judge_lasting(const RowRemaps& rows);

}  // namespace reeve::gpu
