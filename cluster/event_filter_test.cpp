#include "cluster/event_filter.hpp"

#include <boost/test/unit_test.hpp>

#include "schema/event_generated.h"

namespace reeve::event_filter_test {
namespace {

using flatbuffers::FlatBufferBuilder;

// A small log: a node, a session of user ann on it, and the session's end.
struct Log {
  Log() {
    using namespace schema;
    const auto keep = [this](EventBody kind, auto body) {
      builder.Finish(CreateEvent(builder, ++sequence, 1, 1, 0, nullptr,
                                 builder.CreateString("local"), kind,
                                 body.Union()));
      buffers.push_back(builder.Release());
    };
    auto node = CreateNodeSpec(builder, builder.CreateString("host-a"));
    keep(EventBody::NodeRegistered,
         CreateNodeRegistered(builder, 0, builder.CreateString("agent"), node));
    auto request = CreateResourceRequest(builder);
    auto user = builder.CreateString("ann");
    SessionSpecBuilder spec(builder);
    spec.add_request(request);
    spec.add_user(user);
    auto finished = spec.Finish();
    keep(EventBody::SessionSubmitted,
         CreateSessionSubmitted(builder, 12, finished));
    auto tasks =
        builder.CreateVector(std::vector<flatbuffers::Offset<TaskPlacement>>{
            CreateTaskPlacement(builder, 0)});
    keep(EventBody::SessionPlaced, CreateSessionPlaced(builder, 12, 1, tasks));
    keep(EventBody::SessionEnded,
         CreateSessionEnded(builder, 12, 1, SessionState::failed,
                            EndReason::memory_limit));
    keep(EventBody::EpochStarted,
         CreateEpochStarted(builder, builder.CreateString("m")));
  }

  std::string passed_by(std::string_view expression) {
    auto filter = EventFilter::parse(expression);
    BOOST_REQUIRE_MESSAGE(filter, expression);
    std::string out;
    for (const auto& buffer : buffers) {
      const auto* event = flatbuffers::GetRoot<schema::Event>(buffer.data());
      if (filter->passes(*event)) out += std::to_string(event->seq());
    }
    return out;
  }

  FlatBufferBuilder builder;
  std::uint64_t sequence = 0;
  std::vector<flatbuffers::DetachedBuffer> buffers;
};

BOOST_FIXTURE_TEST_SUITE(event_filter, Log)

BOOST_AUTO_TEST_CASE(each_key_selects_the_events_that_speak_of_it) {
  const struct {
    const char* expression;
    const char* passed;
  } cases[] = {{"", "12345"},
               {"session=s-12", "234"},
               {"session=12", "234"},
               {"session=s-13", ""},
               {"session!=s-12", "15"},
               {"kind=session_placed,session_ended", "34"},
               {"kind!=epoch_started", "1234"},
               {"node=host-a", "134"},
               {"node=0", "134"},
               {"node=host-b", ""},
               {"user=ann", "234"},
               {"principal=local", "12345"},
               {"reason=memory_limit", "4"},
               {"state=failed", "4"},
               {"state=pending", "2"},
               {"session=s-12 and kind=session_ended", "4"},
               {" user = ann  and  kind != session_placed ", "24"}};
  for (const auto& c : cases) BOOST_TEST_CONTEXT(c.expression) {
      BOOST_TEST(passed_by(c.expression) == c.passed);
    }
}

BOOST_AUTO_TEST_CASE(a_node_of_before_is_known_by_the_name_it_is_told) {
  auto filter = EventFilter::parse("node=host-a");
  BOOST_REQUIRE(filter);
  BOOST_TEST(filter->names_nodes());
  BOOST_TEST(!EventFilter::parse("user=ann")->names_nodes());
  const auto* placed = flatbuffers::GetRoot<schema::Event>(buffers[2].data());
  BOOST_TEST(!filter->passes(*placed));
  filter->know_node(0, "host-a");
  BOOST_TEST(filter->passes(*placed));
}

BOOST_AUTO_TEST_CASE(an_error_points_at_the_spot) {
  const struct {
    const char* expression;
    const char* part;
    std::size_t column;
  } cases[] = {{"sesion=s-1", "keys are session", 0},
               {"session", "\"=\" or", 7},
               {"session=", "value is expected", 8},
               {"session=x-1", "no session id", 8},
               {"kind=session_paced", "none of", 5},
               {"kind=session_placed,", "value is expected", 20},
               {"session=s-1 or kind=task_exited", "\"and\"", 12},
               {"session=s-1 and", "after \"and\"", 15},
               {"reason=bored", "none of", 7}};
  for (const auto& c : cases) BOOST_TEST_CONTEXT(c.expression) {
      const auto filter = EventFilter::parse(c.expression);
      BOOST_REQUIRE(!filter);
      const std::string& text = filter.error().text;
      BOOST_TEST((filter.error().code == Errc::usage));
      BOOST_TEST(text.find(c.part) != std::string::npos);
      const auto line = text.rfind('\n');
      BOOST_TEST(text.substr(line + 1) ==
                 "  " + std::string(c.column, ' ') + "^");
    }
}

BOOST_AUTO_TEST_CASE(a_filter_on_one_session_is_known_as_such) {
  BOOST_TEST(EventFilter::parse("session=s-12")->only_session() == 12u);
  BOOST_TEST(EventFilter::parse("session=s-1,s-2")->only_session() == 0u);
  BOOST_TEST(EventFilter::parse("session!=s-1")->only_session() == 0u);
  BOOST_TEST(EventFilter::parse("")->only_session() == 0u);
}

BOOST_AUTO_TEST_CASE(a_quarantine_is_about_the_node_of_its_device) {
  const auto body =
      schema::CreateDeviceQuarantinedDirect(builder, 0, 1, "GPU-x");
  builder.Finish(schema::CreateEvent(builder, ++sequence, 1, 1, 0, nullptr, 0,
                                     schema::EventBody::DeviceQuarantined,
                                     body.Union()));
  buffers.push_back(builder.Release());
  const auto last = std::to_string(sequence);
  BOOST_TEST(passed_by("node=host-a and kind=device_quarantined") == last);
  BOOST_TEST(passed_by("node=host-b and kind=device_quarantined") == "");
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace
}  // namespace reeve::event_filter_test
