#include "gpu/health_policy.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <iterator>

namespace reeve::gpu {

namespace {

using enum Action;

// Errors of programs leave the device as it was, or whoever has a wrong program
// could take one GPU after the other out of the cell. What asks for a reset, or
// tells of hardware, does not.
constexpr XidRule rules[] = {
    {8, nothing, "the program stopped the GPU for too long"},
    {11, nothing, "the program sent an invalid command stream"},
    {13, nothing, "an exception in the program's kernel"},
    {31, nothing, "the program accessed memory that is not its own"},
    {32, nothing, "the program sent an invalid command stream"},
    {38, quarantine, "the driver's firmware failed"},
    {43, nothing, "the program was stopped after an error of its own"},
    {45, nothing, "the program's work was removed after an earlier error"},
    {48, quarantine, "an ECC error in memory that could not be corrected"},
    {54, quarantine, "the auxiliary power is not connected"},
    {61, quarantine, "an internal controller met a breakpoint"},
    {62, quarantine, "an internal controller halted"},
    {63, quarantine, "a bad row or page is to be replaced by the next reset"},
    {64, quarantine, "a bad row or page could not be replaced"},
    {65, nothing, "an exception in the program's video encoding"},
    {66, nothing, "the program called the driver in a wrong way"},
    {68, nothing, "an exception in the program's video decoding"},
    {69, nothing, "the program used the graphics engine in a wrong way"},
    {74, quarantine, "an error of an NVLink"},
    {79, drain, "the GPU has fallen off the bus: the host is to be restarted"},
    {92, quarantine, "ECC corrects errors at a high rate"},
    {94, fail_session,
     "an ECC error that could not be corrected, kept within one program"},
    {95, quarantine,
     "an ECC error that could not be corrected, nor kept within one program"},
    {109, nothing, "the program's work could not be switched away in time"},
    {110, quarantine, "a security fault"},
    {119, quarantine, "the GPU's system processor does not answer"},
    {120, quarantine, "an error of the GPU's system processor"},
    {121, quarantine, "an error of the link to the CPU"},
    {123, quarantine, "an internal controller does not answer"},
    {136, quarantine, "an NVLink could not be trained"},
    {137, nothing, "the program accessed memory of another GPU it may not"},
    {140, quarantine, "an ECC error that was not recovered from"},
    {143, quarantine, "the GPU could not be initialised"},
    {144, quarantine, "an error of NVLink 5"},
    {145, quarantine, "an error of NVLink 5"},
    {146, quarantine, "an error of NVLink 5"},
    {147, quarantine, "an error of NVLink 5"},
    {148, quarantine, "an error of NVLink 5"},
    {149, quarantine, "an error of NVLink 5"},
    {150, quarantine, "an error of NVLink 5"},
    {154, nothing, "the driver advises another way to recover"},
    {156, quarantine, "a part of the GPU is to be retired by the next reset"},
    {157, quarantine, "a part of the GPU could not be retired"},
};

struct SignRule {
  Sign sign;
  Action action;
  std::string_view text;
};

// A slowdown that the device or the host asks for passes; only where the
// hardware has to save itself from heat is something broken.
constexpr SignRule sign_rules[] = {
    {Sign::lost, quarantine, "the driver cannot reach the GPU any more"},
    {Sign::ecc_uncorrected, quarantine,
     "ECC errors in memory that could not be corrected"},
    {Sign::row_remap_pending, quarantine,
     "a bad row of memory is to be replaced by the next reset"},
    {Sign::row_remap_failed, quarantine,
     "a bad row of memory could not be replaced: the GPU is to be changed"},
    {Sign::power_cap, nothing, "slowed down to stay within its power limit"},
    {Sign::thermal, nothing, "slowed down to stay within its temperature"},
    {Sign::hardware_thermal, quarantine,
     "slowed down by the hardware at its highest temperature: look at its "
     "cooling"},
    {Sign::power_brake, nothing,
     "slowed down by the host's power supply (power brake)"},
};
static_assert(std::size(sign_rules) == sign_count);

constexpr std::array throttle_signs = {
    std::pair(Throttle::power_cap, Sign::power_cap),
    std::pair(Throttle::thermal, Sign::thermal),
    std::pair(Throttle::hardware_thermal, Sign::hardware_thermal),
    std::pair(Throttle::power_brake, Sign::power_brake),
};

Action action_of(probe::Grade grade) {
  switch (grade) {
    case probe::Grade::healthy: return nothing;
    case probe::Grade::slow: return nothing;
    case probe::Grade::unfinished: return quarantine;
    case probe::Grade::faulty: return quarantine;
  }
  return quarantine;
}

bool is_slowed(const Sample* sample, Throttle reason) {
  return sample && std::find(sample->throttles.begin(), sample->throttles.end(),
                             reason) != sample->throttles.end();
}

}  // namespace

std::string_view name(Action action) {
  switch (action) {
    case nothing: return "nothing";
    case fail_session: return "fail_session";
    case quarantine: return "quarantine";
    case drain: return "drain";
  }
  return "unknown";
}

std::span<const XidRule> xid_rules() {
  return rules;
}

Finding judge_xid(std::uint64_t code) {
  const auto* rule =
      std::find_if(std::begin(rules), std::end(rules),
                   [&](const XidRule& one) { return one.code == code; });
  if (rule == std::end(rules))
    return {nothing,
            fmt::format("Xid {}: an error that is not in the table", code)};
  return {rule->action, fmt::format("Xid {}: {}", code, rule->meaning)};
}

Finding judge_sign(Sign sign) {
  const SignRule& rule = sign_rules[static_cast<std::size_t>(sign)];
  return {rule.action, std::string(rule.text)};
}

Finding judge_probe(const probe::Verdict& verdict) {
  std::string reason =
      fmt::format("the probe found it {}", probe::name(verdict.grade));
  if (!verdict.reasons.empty()) reason += ": " + verdict.reasons.front();
  return {action_of(verdict.grade), std::move(reason)};
}

std::vector<Finding> judge_sample(const Sample& now, const Sample* before) {
  std::vector<Finding> found;
  const auto add = [&](Sign sign, bool is, bool was) {
    if (is && !was) found.push_back(judge_sign(sign));
  };
  add(Sign::lost, !now.lost.empty(), before && !before->lost.empty());
  for (const auto code : now.xids) found.push_back(judge_xid(code));
  // Without a sample before nobody knows when they came.
  add(Sign::ecc_uncorrected,
      before &&
          now.ecc_uncorrected.value_or(0) >
              before->ecc_uncorrected.value_or(now.ecc_uncorrected.value_or(0)),
      false);
  const auto flag = [&](Sign sign, std::optional<bool> Sample::*of) {
    add(sign, (now.*of).value_or(false),
        before && (before->*of).value_or(false));
  };
  flag(Sign::row_remap_pending, &Sample::row_remap_pending);
  flag(Sign::row_remap_failed, &Sample::row_remap_failed);
  for (const auto& [reason, sign] : throttle_signs)
    add(sign, is_slowed(&now, reason), is_slowed(before, reason));
  return found;
}

std::vector<Finding> judge_lasting(const RowRemaps& rows) {
  std::vector<Finding> found;
  if (rows.failed.value_or(false))
    found.push_back(judge_sign(Sign::row_remap_failed));
  if (rows.pending.value_or(false))
    found.push_back(judge_sign(Sign::row_remap_pending));
  return found;
}

}  // namespace reeve::gpu
