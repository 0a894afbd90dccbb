// Each row of the policy, and what a sample or a probe makes of them.
#include "gpu/health_policy.hpp"

#include <boost/test/unit_test.hpp>
#include <iterator>
#include <map>
#include <utility>

#include "gpu/fake_machine.hpp"

namespace health_policy_test {

using namespace reeve::gpu;
using enum Action;

namespace {

std::string told(const std::vector<Finding>& findings) {
  std::string out;
  for (const auto& one : findings)
    out += std::string(name(one.action)) + ": " + one.reason + '\n';
  return out;
}

}  // namespace

BOOST_AUTO_TEST_SUITE(health_policy)

BOOST_AUTO_TEST_CASE(each_xid_has_the_action_that_the_vendor_asks_for) {
  std::map<std::uint64_t, Action> wanted;
  for (const std::uint64_t code :
       {8, 11, 13, 31, 32, 43, 45, 65, 66, 68, 69, 109, 137, 154})
    wanted[code] = nothing;
  wanted[94] = fail_session;
  for (const std::uint64_t code :
       {38,  48,  54,  61,  62,  63,  64,  74,  92,  95,  110, 119, 120, 121,
        123, 136, 140, 143, 144, 145, 146, 147, 148, 149, 150, 156, 157})
    wanted[code] = quarantine;
  wanted[79] = drain;
  BOOST_TEST(xid_rules().size() == wanted.size());
  std::uint64_t last = 0;
  for (const XidRule& rule : xid_rules()) BOOST_TEST_CONTEXT(rule.code) {
      BOOST_TEST(rule.code > last);
      last = rule.code;
      BOOST_REQUIRE(wanted.contains(rule.code));
      BOOST_TEST((rule.action == wanted[rule.code]));
      BOOST_TEST(!rule.meaning.empty());
      const Finding finding = judge_xid(rule.code);
      BOOST_TEST((finding.action == rule.action));
      BOOST_TEST(finding.reason == "Xid " + std::to_string(rule.code) + ": " +
                                       std::string(rule.meaning));
    }
}

// Each row as a driver tells it.
BOOST_FIXTURE_TEST_CASE(each_xid_of_a_driver_has_what_follows_from_it,
                        FakeMachine) {
  const std::string calm = "device uuid=a\ndevice uuid=b\n";
  write(calm);
  Telemetry telemetry(sources());
  auto before = telemetry.sample(Telemetry::Depth::load);
  for (const XidRule& rule : xid_rules()) BOOST_TEST_CONTEXT(rule.code) {
      write(calm + "xid 1 " + std::to_string(rule.code) + "\n");
      auto now = telemetry.sample(Telemetry::Depth::load);
      BOOST_REQUIRE_EQUAL(now.size(), 2u);
      BOOST_TEST(judge_sample(now[0], &before[0]).empty());
      BOOST_TEST(told(judge_sample(now[1], &before[1])) ==
                 told({judge_xid(rule.code)}));
      before = std::move(now);
    }
}

BOOST_FIXTURE_TEST_CASE(each_sign_of_a_driver_has_what_follows_from_it,
                        FakeMachine) {
  const std::string calm = "ecc_uncorrected=0 rows_corrected=0 throttle=0";
  // Bits of the reasons for which clocks are held down.
  const std::pair<Sign, std::string> rows[] = {
      {Sign::lost, calm + "\nlost 0"},
      {Sign::ecc_uncorrected, "ecc_uncorrected=1 rows_corrected=0 throttle=0"},
      {Sign::row_remap_pending, calm + " remap_pending=1"},
      {Sign::row_remap_failed, calm + " remap_failed=1"},
      {Sign::power_cap, "ecc_uncorrected=0 rows_corrected=0 throttle=4"},
      {Sign::thermal, "ecc_uncorrected=0 rows_corrected=0 throttle=32"},
      {Sign::hardware_thermal,
       "ecc_uncorrected=0 rows_corrected=0 throttle=64"},
      {Sign::power_brake, "ecc_uncorrected=0 rows_corrected=0 throttle=128"}};
  BOOST_TEST(std::size(rows) == sign_count);
  for (const auto& [sign, device] : rows) BOOST_TEST_CONTEXT(device) {
      write("device uuid=a " + calm + "\n");
      Telemetry telemetry(sources());
      const auto before = telemetry.sample(Telemetry::Depth::health);
      BOOST_REQUIRE_EQUAL(before.size(), 1u);
      BOOST_TEST(judge_sample(before[0], nullptr).empty());
      write("device uuid=a " + device + "\n");
      const auto now = telemetry.sample(Telemetry::Depth::health);
      BOOST_REQUIRE_EQUAL(now.size(), 1u);
      BOOST_TEST(told(judge_sample(now[0], &before[0])) ==
                 told({judge_sign(sign)}));
    }
}

BOOST_AUTO_TEST_CASE(an_xid_that_is_not_in_the_table_is_only_told) {
  BOOST_TEST(told({judge_xid(0), judge_xid(9999)}) ==
             "nothing: Xid 0: an error that is not in the table\n"
             "nothing: Xid 9999: an error that is not in the table\n");
}

BOOST_AUTO_TEST_CASE(each_sign_has_its_action_and_a_sentence) {
  const Action wanted[sign_count] = {quarantine, quarantine, quarantine,
                                     quarantine, nothing,    nothing,
                                     quarantine, nothing};
  for (std::size_t i = 0; i < sign_count; ++i) {
    const Finding finding = judge_sign(static_cast<Sign>(i));
    BOOST_TEST((finding.action == wanted[i]), i);
    BOOST_TEST(!finding.reason.empty(), i);
  }
  BOOST_TEST(judge_sign(Sign::lost).reason ==
             "the driver cannot reach the GPU any more");
  BOOST_TEST(judge_sign(Sign::power_brake).reason ==
             "slowed down by the host's power supply (power brake)");
}

BOOST_AUTO_TEST_CASE(each_grade_of_a_probe_has_its_action) {
  using probe::Grade;
  BOOST_TEST(told({judge_probe({Grade::healthy, {}}),
                   judge_probe({Grade::slow, {"reads 0.7", "copies 0.8"}}),
                   judge_probe({Grade::unfinished, {"no memory"}}),
                   judge_probe({Grade::faulty, {"a bit changed"}})}) ==
             "nothing: the probe found it healthy\n"
             "nothing: the probe found it slow: reads 0.7\n"
             "quarantine: the probe found it unfinished: no memory\n"
             "quarantine: the probe found it faulty: a bit changed\n");
}

BOOST_AUTO_TEST_CASE(a_sample_tells_what_is_new_in_it) {
  Sample before;
  before.ecc_uncorrected = 2;
  before.throttles = {Throttle::power_cap, Throttle::idle};
  BOOST_TEST(told(judge_sample(before, nullptr)) ==
             "nothing: slowed down to stay within its power limit\n");
  BOOST_TEST(judge_sample(before, &before).empty());
  Sample now = before;
  now.ecc_uncorrected = 3;
  now.xids = {13, 79};
  now.row_remap_pending = true;
  now.throttles.push_back(Throttle::hardware_thermal);
  BOOST_TEST(
      told(judge_sample(now, &before)) ==
      "nothing: Xid 13: an exception in the program's kernel\n"
      "drain: Xid 79: the GPU has fallen off the bus: the host is to be "
      "restarted\n"
      "quarantine: ECC errors in memory that could not be corrected\n"
      "quarantine: a bad row of memory is to be replaced by the next reset\n"
      "quarantine: slowed down by the hardware at its highest temperature: "
      "look at its cooling\n");
  // Xid errors are of one sample alone; all else lasts.
  now.xids.clear();
  BOOST_TEST(judge_sample(now, &now).empty());
  BOOST_TEST(judge_sample(before, &now).empty());
}

BOOST_AUTO_TEST_CASE(a_device_that_is_lost_is_told_once) {
  Sample lost;
  lost.lost = "not found";
  const auto first = judge_sample(lost, nullptr);
  BOOST_REQUIRE(first.size() == 1U);
  BOOST_TEST((first[0].action == quarantine));
  BOOST_TEST(judge_sample(lost, &lost).empty());
}

// Where the driver does not count, nothing is new.
BOOST_AUTO_TEST_CASE(what_the_driver_does_not_tell_is_no_sign) {
  Sample silent;
  Sample counts;
  counts.ecc_uncorrected = 5;
  BOOST_TEST(judge_sample(silent, &counts).empty());
  BOOST_TEST(judge_sample(counts, &silent).empty());
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace health_policy_test
