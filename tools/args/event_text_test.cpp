#include "tools/args/event_text.hpp"

#include <boost/test/unit_test.hpp>
#include <functional>

#include "cluster/types.hpp"
#include "schema/event_generated.h"

namespace reeve::tools {
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

BOOST_AUTO_TEST_SUITE_END()

}  // namespace
}  // namespace reeve::tools
