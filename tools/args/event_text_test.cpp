#include "tools/args/event_text.hpp"

#include <boost/test/unit_test.hpp>
#include <functional>

#include "cluster/types.hpp"
#include "schema/event_generated.h"

namespace reeve::tools::event_text_test {
namespace {

using Builder = flatbuffers::FlatBufferBuilder;

constexpr std::uint64_t two_o_clock = 7'200 * second_ns;

// The sentence of an event of root's with the body that `make` builds.
template <class Body>
std::string sentence(
    const std::function<flatbuffers::Offset<Body>(Builder&)>& make) {
  Builder builder;
  const auto body = make(builder);
  builder.Finish(schema::CreateEventDirect(
      builder, 7, second_ns, 1, 0, nullptr, "root",
      schema::EventBodyTraits<Body>::enum_value, body.Union()));
  return event_sentence(
      *flatbuffers::GetRoot<schema::Event>(builder.GetBufferPointer()));
}

std::string submitted(const char* user, std::uint32_t tasks,
                      std::uint64_t not_before_at) {
  return sentence<schema::SessionSubmitted>([=](Builder& b) {
    const auto name = b.CreateString(user);
    const auto request = schema::CreateResourceRequest(b, 1000, 0, 1, 500);
    schema::SessionSpecBuilder spec(b);
    spec.add_user(name);
    spec.add_tasks(tasks);
    spec.add_request(request);
    spec.add_not_before_at(not_before_at);
    return schema::CreateSessionSubmitted(b, 3, spec.Finish());
  });
}

BOOST_AUTO_TEST_SUITE(event_text)

BOOST_AUTO_TEST_CASE(a_submission_tells_by_whom_and_for_whom) {
  BOOST_TEST(submitted("root", 1, 0) ==
             "s-3 by root: 1 task of 1 CPU, 0.5 GPU");
  BOOST_TEST(submitted("ann", 2, 0) ==
             "s-3 by root for ann: 2 tasks of 1 CPU, 0.5 GPU");
}

BOOST_AUTO_TEST_CASE(what_may_not_start_yet_tells_until_when) {
  BOOST_TEST(submitted("root", 1, two_o_clock) ==
             "s-3 by root: 1 task of 1 CPU, 0.5 GPU, not before "
             "1970-01-01T02:00:00.000000000Z");
  const auto requeued = [](std::uint64_t not_before_at) {
    return sentence<schema::SessionRequeued>([=](Builder& b) {
      return schema::CreateSessionRequeued(
          b, 3, 2, schema::EndReason::node_lost, not_before_at);
    });
  };
  BOOST_TEST(requeued(0) == "s-3 attempt 2: node_lost");
  BOOST_TEST(requeued(two_o_clock) ==
             "s-3 attempt 2: node_lost, not before "
             "1970-01-01T02:00:00.000000000Z");
}

BOOST_AUTO_TEST_CASE(an_end_tells_a_code_where_a_command_exited_with_one) {
  using schema::EndReason;
  using schema::SessionState;
  const auto ended = [](SessionState state, EndReason reason, int code,
                        int signal) {
    return sentence<schema::SessionEnded>([=](Builder& b) {
      return schema::CreateSessionEndedDirect(b, 3, 1, state, reason, code,
                                              signal);
    });
  };
  BOOST_TEST(ended(SessionState::succeeded, EndReason::exited, 0, 0) ==
             "s-3 succeeded, exit code 0");
  BOOST_TEST(ended(SessionState::failed, EndReason::exited, 7, 0) ==
             "s-3 failed, exit code 7");
  BOOST_TEST(ended(SessionState::failed, EndReason::time_limit, 7, 0) ==
             "s-3 failed, exit code 7 (time_limit)");
  BOOST_TEST(ended(SessionState::failed, EndReason::signalled, 139, 11) ==
             "s-3 failed, signal 11 (signalled)");
  BOOST_TEST(ended(SessionState::failed, EndReason::start_failed, 0, 0) ==
             "s-3 failed (start_failed)");
  BOOST_TEST(ended(SessionState::cancelled, EndReason::cancelled, 0, 0) ==
             "s-3 cancelled (cancelled)");
  const auto exited = [](EndReason reason, int code, int signal) {
    return sentence<schema::TaskExited>([=](Builder& b) {
      const schema::ExitFacts facts(0, 0, 0, 0, code, signal);
      return schema::CreateTaskExitedDirect(b, 3, 1, 2, reason, &facts, "why");
    });
  };
  BOOST_TEST(exited(EndReason::exited, 0, 0) == "s-3 task 2 exit code 0: why");
  BOOST_TEST(exited(EndReason::memory_limit, 137, 9) ==
             "s-3 task 2 signal 9 (memory_limit): why");
  BOOST_TEST(exited(EndReason::start_failed, 0, 0) ==
             "s-3 task 2 start_failed: why");
}

BOOST_AUTO_TEST_CASE(a_line_of_an_event_is_one_line_whatever_it_tells) {
  Builder builder;
  const auto body = schema::CreateNodeDrainedDirect(
      builder, 4, "new disk\n      18  \033[31mforged");
  builder.Finish(schema::CreateEventDirect(
      builder, 7, second_ns, 1, 0, nullptr, "root",
      schema::EventBodyTraits<schema::NodeDrained>::enum_value, body.Union()));
  BOOST_TEST(
      event_line(
          *flatbuffers::GetRoot<schema::Event>(builder.GetBufferPointer()),
          0) ==
      "       7  1970-01-01 00:00:01.000  node_drained       node 4: new "
      "disk       18   [31mforged\n");
}

BOOST_AUTO_TEST_CASE(a_drain_tells_its_deadline) {
  const auto drained = [](const char* reason, std::uint64_t deadline_at) {
    return sentence<schema::NodeDrained>([=](Builder& b) {
      return schema::CreateNodeDrainedDirect(b, 4, reason, deadline_at);
    });
  };
  BOOST_TEST(drained(nullptr, 0) == "node 4");
  BOOST_TEST(drained("new disk", two_o_clock) ==
             "node 4 until 1970-01-01T02:00:00.000000000Z: new disk");
}

BOOST_AUTO_TEST_CASE(a_quarantine_tells_the_device_who_and_why) {
  const auto quarantined = [](const char* reason, bool by_agent) {
    return sentence<schema::DeviceQuarantined>([=](Builder& b) {
      return schema::CreateDeviceQuarantinedDirect(b, 4, 1, "GPU-x", reason,
                                                   by_agent);
    });
  };
  BOOST_TEST(quarantined(nullptr, false) == "GPU 1 of node 4 (GPU-x)");
  BOOST_TEST(quarantined("Xid 79", true) ==
             "GPU 1 of node 4 (GPU-x), by its agent: Xid 79");
  const auto released = [](bool by_agent, bool forced) {
    return sentence<schema::DeviceReleased>([=](Builder& b) {
      return schema::CreateDeviceReleasedDirect(b, 4, 1, "GPU-x", by_agent,
                                                forced);
    });
  };
  BOOST_TEST(released(true, false) == "GPU 1 of node 4 (GPU-x), by its agent");
  BOOST_TEST(released(false, true) == "GPU 1 of node 4 (GPU-x), forced");
}

BOOST_AUTO_TEST_CASE(a_token_and_who_joins_by_it_are_told_in_full) {
  const auto created = [](std::uint32_t uses, const char* name) {
    return sentence<schema::TokenCreated>([=](Builder& b) {
      return schema::CreateTokenCreatedDirect(b, 7, schema::IdentityRole::agent,
                                              "U", two_o_clock, uses, name);
    });
  };
  BOOST_TEST(created(1, nullptr) ==
             "token 7: role agent, 1 use, until "
             "1970-01-01T02:00:00.000000000Z");
  BOOST_TEST(created(3, "n3") ==
             "token 7: role agent, 3 uses, until "
             "1970-01-01T02:00:00.000000000Z, for n3 alone");
  const auto added = [](const char* address) {
    return sentence<schema::IdentityAdded>([=](Builder& b) {
      return schema::CreateIdentityAddedDirect(
          b, "agent-n3", schema::IdentityRole::agent, "U", 7, "n3", address);
    });
  };
  BOOST_TEST(added(nullptr) == "agent-n3 by token 7");
  BOOST_TEST(added("n3:7000") == "agent-n3 by token 7, at n3:7000");
  const auto removed = [](const char* reason) {
    return sentence<schema::IdentityRemoved>([=](Builder& b) {
      return schema::CreateIdentityRemovedDirect(b, "agent-n3", reason);
    });
  };
  BOOST_TEST(removed(nullptr) == "agent-n3");
  BOOST_TEST(removed("stolen") == "agent-n3: stolen");
}

BOOST_AUTO_TEST_CASE(a_healing_tells_the_manager_the_events_and_the_epochs) {
  using schema::HealingKind;
  const auto healed = [](HealingKind kind, std::uint64_t first,
                         const char* other, const char* file) {
    return sentence<schema::LogHealed>([=](Builder& b) {
      return schema::CreateLogHealed(
          b, schema::CreateHealingSpecDirect(b, "m1", kind, first, 9, 3, other,
                                             4, 12, file));
    });
  };
  BOOST_TEST(healed(HealingKind::tail_published, 7, nullptr, nullptr) ==
             "m1 began to lead and put the events 7 to 9 of epoch 3, which it "
             "alone had, into the cell's log");
  BOOST_TEST(healed(HealingKind::suffix_set_aside, 9, nullptr, "/log/x") ==
             "m1 set event 9 of epoch 3 aside, which it alone had, in /log/x; "
             "the cell's log goes on there in epoch 4");
  BOOST_TEST(healed(HealingKind::lead_refused, 0, "agent n1", nullptr) ==
             "m1 did not lead: its log ended at epoch 3, event 9, and agent n1 "
             "knew of epoch 4, event 12");
}

BOOST_AUTO_TEST_CASE(a_test_tells_the_device_and_its_verdict) {
  const auto asked = [](bool full, bool by_agent) {
    return sentence<schema::DeviceTestRequested>([=](Builder& b) {
      return schema::CreateDeviceTestRequestedDirect(b, 4, 1, "GPU-x", full,
                                                     by_agent);
    });
  };
  BOOST_TEST(asked(false, true) ==
             "GPU 1 of node 4 (GPU-x), by its agent: quick");
  BOOST_TEST(asked(true, false) == "GPU 1 of node 4 (GPU-x): full");
  const auto tested = [](schema::DeviceVerdict verdict, const char* text) {
    return sentence<schema::DeviceTested>([=](Builder& b) {
      return schema::CreateDeviceTestedDirect(b, 4, 1, "GPU-x", 7, true,
                                              verdict, text);
    });
  };
  BOOST_TEST(tested(schema::DeviceVerdict::healthy, nullptr) ==
             "GPU 1 of node 4 (GPU-x): healthy");
  BOOST_TEST(tested(schema::DeviceVerdict::not_tested, "it is gone") ==
             "GPU 1 of node 4 (GPU-x): not tested: it is gone");
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace
}  // namespace reeve::tools::event_text_test
