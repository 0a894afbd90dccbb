// The fold itself: what it refuses, what it forgets, and that a snapshot with
// the rest of the log is the same as the whole log.
#include <boost/test/unit_test.hpp>
#include <functional>

#include "cluster/testing.hpp"
#include "schema/wire.hpp"

namespace fold_test {

using namespace reeve;
using namespace reeve::cluster;
using namespace reeve::cluster::testing;
using Builder = flatbuffers::FlatBufferBuilder;
using schema::EventBody;

namespace {

// Applies one made-up event to the cell's state.
Status apply_body(
    Cell& cell, EventBody type,
    const std::function<flatbuffers::Offset<void>(Builder&)>& make,
    std::uint64_t sequence_ahead = 1, std::uint64_t epoch = 1) {
  Builder builder;
  const auto body = make(builder);
  builder.Finish(schema::CreateEvent(
      builder, cell.state.last_sequence().value + sequence_ahead, 1, epoch, 0,
      nullptr, 0, type, body));
  return cell.state.apply(
      *flatbuffers::GetRoot<schema::Event>(builder.GetBufferPointer()));
}

flatbuffers::Offset<void> group(Builder& builder) {
  return schema::CreateGroupCreated(builder, builder.CreateString("g")).Union();
}

void refused(const Status& status, std::string_view words) {
  BOOST_REQUIRE(!status);
  BOOST_CHECK(status.error().code == Errc::damaged);
  BOOST_CHECK_MESSAGE(status.error().text.find(words) != std::string::npos,
                      status.error().text << " lacks: " << words);
}

// A cell with something of every sort in it.
void fill(Cell& cell) {
  cell.add({.name = "n0", .devices = 4, .limits = 1});
  cell.add({.name = "n1", .devices = 1});
  cell.add({.name = "n2"});
  cell.remove("n2");
  cell.drain("n1", second_ns);
  cell.quarantine("n0", "3");
  cell.quarantine("n1", "0", "agent-n1");
  cell.test("n0", "2");
  cell.tested("n0", "GPU-n0-2", DeviceVerdict::slow, "80 % of its model");
  cell.test("n0", "3");
  Spec spec = tasks_of(2);
  spec.requeue_max = 2;
  spec.labels = {{"team", "vision"}};
  spec.env = {{"LANG", "C"}};
  const SessionId gang = cell.submit(spec);
  cell.place(gang, {"n0", "n0"}, {{.device = 1, .milli = 500}});
  cell.start(gang, 0);
  const SessionId again = cell.running(spec);
  cell.exit(again, 0, 1);
  cell.exit(again, 1, 1);
  spec.after.emplace_back(gang.value, schema::DependencyKind::any);
  cell.submit(spec);
  cell.cancel(cell.submit(one_task()));
  cell.running(one_task());
  const SessionId lost = cell.running(one_task());
  cell.cancel(lost);
  const SessionId early = cell.submit(tasks_of(2));
  cell.place(early, {"n0", "n0"});
  cell.fact(early, {.kind = schema::FactKind::start_failed,
                    .reason = EndReason::start_failed,
                    .started_at = 5});
}

}  // namespace

BOOST_FIXTURE_TEST_SUITE(fold, Cell)

BOOST_AUTO_TEST_CASE(a_hole_or_a_repeat_in_the_sequence_is_refused) {
  refused(apply_body(*this, EventBody::GroupCreated, group, 2),
          "the log has a hole");
  refused(apply_body(*this, EventBody::GroupCreated, group, 0),
          "the log has a hole");
  BOOST_CHECK(apply_body(*this, EventBody::GroupCreated, group));
}

BOOST_AUTO_TEST_CASE(an_unknown_kind_says_that_the_log_is_newer) {
  const auto newest = static_cast<int>(EventBody::MAX);
  refused(apply_body(*this, static_cast<EventBody>(newest + 1), group),
          "this log is newer than this program");
  refused(apply_body(*this, EventBody::NONE, group),
          "this log is newer than this program");
}

BOOST_AUTO_TEST_CASE(an_epoch_that_was_fenced_off_is_refused) {
  BOOST_CHECK(apply_body(*this, EventBody::GroupCreated, group, 1, 3));
  refused(apply_body(*this, EventBody::GroupCreated, group, 1, 2), "epoch 2");
}

BOOST_AUTO_TEST_CASE(what_contradicts_the_state_is_refused) {
  add({.name = "n0", .devices = 1});
  const SessionId id = running(one_task());
  const SessionId waiting = submit(one_task());
  const auto no = [&](EventBody type, auto make, std::string_view words) {
    refused(apply_body(*this, type,
                       [&](Builder& builder) { return make(builder).Union(); }),
            words);
  };
  no(
      EventBody::EpochStarted,
      [](Builder& b) {
        return schema::CreateEpochStarted(b, b.CreateString("m"), 1);
      },
      "sessions go on at s-1, but the next new one is s-3");
  no(
      EventBody::NodeLost,
      [](Builder& b) { return schema::CreateNodeLost(b, 7); }, "no such node");
  quarantine("n0", "0");
  test("n0", "0");
  for (const std::uint32_t node : {0u, 7u}) {
    no(
        EventBody::DeviceQuarantined,
        [&](Builder& b) {
          return schema::CreateDeviceQuarantinedDirect(b, node, 0, "GPU-n0-0");
        },
        node == 0 ? "quarantined already" : "no such node");
    no(
        EventBody::DeviceReleased,
        [&](Builder& b) {
          return schema::CreateDeviceReleasedDirect(b, node, 0, "GPU-n0-1");
        },
        node == 0 ? "not quarantined" : "no such node");
    no(
        EventBody::DeviceTested,
        [&](Builder& b) {
          return schema::CreateDeviceTestedDirect(b, node, 0, "GPU-n0-0", 1);
        },
        node == 0 ? "nobody asked for this test" : "no such node");
    no(
        EventBody::DeviceTestRequested,
        [&](Builder& b) {
          return schema::CreateDeviceTestRequestedDirect(b, node, 0,
                                                         "GPU-n0-0");
        },
        node == 0 ? "being tested already" : "no such node");
  }
  no(
      EventBody::TokenCreated,
      [](Builder& b) {
        return schema::CreateTokenCreatedDirect(
            b, 2, schema::IdentityRole::agent, "U");
      },
      "the next new one is 1");
  no(
      EventBody::TokenRevoked,
      [](Builder& b) { return schema::CreateTokenRevoked(b, 1); },
      "no such token");
  no(
      EventBody::IdentityRemoved,
      [](Builder& b) {
        return schema::CreateIdentityRemovedDirect(b, "agent-n0");
      },
      "no such identity");
  no(
      EventBody::TaskStarted,
      [&](Builder& b) { return schema::CreateTaskStarted(b, id.value, 1, 0); },
      "started before");
  no(
      EventBody::TaskStarted,
      [&](Builder& b) { return schema::CreateTaskStarted(b, id.value, 1, 1); },
      "no such task");
  no(
      EventBody::TaskExited,
      [&](Builder& b) { return schema::CreateTaskExited(b, id.value, 2, 0); },
      "another attempt");
  no(
      EventBody::TaskExited,
      [&](Builder& b) { return schema::CreateTaskExited(b, 99, 1, 0); },
      "no such task");
  no(
      EventBody::SessionStopping,
      [&](Builder& b) {
        return schema::CreateSessionStopping(b, waiting.value);
      },
      "nothing to stop");
  no(
      EventBody::SessionEnded,
      [&](Builder& b) {
        return schema::CreateSessionEnded(b, id.value, 1,
                                          SessionState::running);
      },
      "ended or never was");
  no(
      EventBody::SessionEnded,
      [&](Builder& b) {
        return schema::CreateSessionEnded(b, id.value, 1, SessionState{73});
      },
      "no such state");
  no(
      EventBody::SessionRequeued,
      [&](Builder& b) { return schema::CreateSessionRequeued(b, 99, 2); },
      "ended or never was");
  for (const std::uint32_t node : {0u, 9u})
    no(
        EventBody::SessionPlaced,
        [&](Builder& b) {
          const std::vector<schema::DeviceShare> shares{{5, 1, 0}};
          const std::vector tasks{
              schema::CreateTaskPlacementDirect(b, node, &shares)};
          return schema::CreateSessionPlacedDirect(b, waiting.value, 1, &tasks);
        },
        node == 0 ? "no such device" : "no such node");
}

BOOST_AUTO_TEST_CASE(a_name_that_would_be_refused_now_is_replayed) {
  Cell cell;
  constexpr std::string_view name = "old\nname";
  const SessionId id = cell.state.next_session();
  const auto good =
      apply_body(cell, EventBody::SessionSubmitted, [&](Builder& builder) {
        Spec spec = one_task();
        spec.name = name;
        spec.project = "default";
        spec.group = default_group;
        return schema::CreateSessionSubmitted(builder, id.value,
                                              build_spec(builder, spec))
            .Union();
      });
  BOOST_REQUIRE(good);
  BOOST_CHECK(cell.state.spec(*cell.state.session(id)).name == name);
}

BOOST_AUTO_TEST_CASE(sessions_and_nodes_get_their_numbers_in_turn) {
  refused(apply_body(*this, EventBody::SessionSubmitted,
                     [](Builder& b) {
                       return schema::CreateSessionSubmitted(
                                  b, 2, build_spec(b, one_task()))
                           .Union();
                     }),
          "the next new one is s-1");
  refused(apply_body(
              *this, EventBody::NodeRegistered,
              [](Builder& b) {
                const auto spec = schema::CreateNodeSpecDirect(b, "n");
                const auto agent = b.CreateString("a");
                return schema::CreateNodeRegistered(b, 1, agent, spec).Union();
              }),
          "the next new one is 0");
}

// ---- repeated commands

BOOST_AUTO_TEST_CASE(a_command_is_answered_again_as_it_was) {
  add({.name = "n0"});
  Spec spec = one_task();
  spec.user = "bob";
  const auto first = try_submit(spec, "root", id_of(1));
  const auto answer = state.answered(id_of(1));
  BOOST_REQUIRE(answer);
  BOOST_CHECK(answer->seq == first->seq);
  BOOST_CHECK(answer->session == first->session);
  const auto stopped = cancel(first->session, "root", id_of(2));
  BOOST_CHECK(state.answered(id_of(2))->seq == stopped->seq);
  BOOST_CHECK(state.answered(id_of(2))->session == first->session);
  BOOST_CHECK(!state.answered(id_of(3)));
}

BOOST_AUTO_TEST_CASE(the_oldest_command_is_forgotten_first) {
  add({.name = "n0"});
  checks = keeps_log = false;
  for (std::uint64_t i = 0; i < recent_commands_max; ++i)
    try_submit(one_task(), "root", id_of(i + 1));
  BOOST_CHECK(state.answered(id_of(1)));
  try_submit(one_task(), "root", id_of(recent_commands_max + 1));
  BOOST_CHECK(!state.answered(id_of(1)));
  BOOST_CHECK(state.answered(id_of(2)));
  BOOST_CHECK(state.answered(id_of(recent_commands_max + 1)));
  auto copy = State::decode_snapshot(state.encode_snapshot());
  BOOST_REQUIRE(copy);
  BOOST_CHECK(!copy->answered(id_of(1)));
  BOOST_CHECK(copy->answered(id_of(2)));
}

// ---- ended sessions

BOOST_AUTO_TEST_CASE(the_oldest_ended_session_is_forgotten_first) {
  add({.name = "n0"});
  checks = keeps_log = false;
  const SessionId waiting = submit(one_task());
  const SessionId first = submit(one_task());
  for (std::size_t i = 1; i < ended_sessions_max; ++i) {
    cancel(submit(one_task()));
    if (i == 1) cancel(first);
  }
  BOOST_CHECK(state.session(first));
  cancel(submit(one_task()));
  BOOST_CHECK(!state.session(SessionId{first.value + 1}));
  BOOST_CHECK(state.session(first));
  BOOST_CHECK(state.session(waiting));
  BOOST_CHECK_EQUAL(state.count(SessionState::cancelled), ended_sessions_max);
  cancel(submit(one_task()));
  BOOST_CHECK(!state.session(first));
  BOOST_CHECK(state.check_invariants());
  Spec spec = one_task();
  spec.after.emplace_back(first.value, schema::DependencyKind::ok);
  BOOST_CHECK_EQUAL(verdict(try_submit(spec)),
                    "wrong_state dependency_forgotten 0 0");
  spec.after = {{first.value, schema::DependencyKind::any}};
  BOOST_CHECK_EQUAL(verdict(try_submit(spec)), "accepted");
  // What a copy forgets next is the same.
  auto copy = State::decode_snapshot(state.encode_snapshot());
  BOOST_REQUIRE(copy);
  deliver_to = &*copy;
  cancel(submit(one_task()));
  BOOST_CHECK_EQUAL(copy->digest_hex(), state.digest_hex());
}

// ---- snapshots

BOOST_AUTO_TEST_CASE(a_snapshot_decodes_to_the_same_bytes_and_digest) {
  fill(*this);
  const auto bytes = state.encode_snapshot();
  const auto copy = State::decode_snapshot(bytes);
  BOOST_REQUIRE(copy);
  BOOST_CHECK(copy->encode_snapshot() == bytes);
  BOOST_CHECK_EQUAL(copy->digest_hex(), state.digest_hex());
  BOOST_CHECK(copy->check_invariants());
  BOOST_CHECK_EQUAL(replayed_digest(*this), state.digest_hex());
}

BOOST_AUTO_TEST_CASE(a_snapshot_goes_on_as_the_state_does) {
  fill(*this);
  auto copy = State::decode_snapshot(state.encode_snapshot());
  BOOST_REQUIRE(copy);
  const Sequence next{state.last_sequence().value + 1};
  pass(second_ns);
  lose("n0");
  for (std::uint64_t id = 1; id < state.next_session().value; ++id)
    while (task_lost(SessionId{id})) continue;
  register_node({.name = "n0", .devices = 2}, true);
  running(one_task());
  submit(one_task());
  replay(*copy, *this, next);
  BOOST_CHECK_EQUAL(copy->digest_hex(), state.digest_hex());
  BOOST_CHECK(copy->check_invariants());
}

BOOST_AUTO_TEST_CASE(a_damaged_snapshot_is_refused) {
  fill(*this);
  auto bytes = state.encode_snapshot();
  bytes.resize(bytes.size() / 2);
  BOOST_CHECK(!State::decode_snapshot(bytes));
  BOOST_CHECK(!State::decode_snapshot({}));
  auto foreign = state.encode_snapshot();
  foreign[4] = std::byte{'X'};
  const auto refused = State::decode_snapshot(foreign);
  BOOST_REQUIRE(!refused);
  BOOST_CHECK(refused.error().code == Errc::damaged);
}

BOOST_AUTO_TEST_CASE(any_difference_changes_the_digest) {
  add({.name = "n0"});
  std::string last = state.digest_hex();
  const auto changed = [&] {
    return std::exchange(last, state.digest_hex()) != last;
  };
  const SessionId id = submit(one_task());
  BOOST_CHECK(changed());
  place(id, {"n0"});
  BOOST_CHECK(changed());
  start(id);
  BOOST_CHECK(changed());
  exit(id);
  BOOST_CHECK(changed());
  drain("n0");
  BOOST_CHECK(changed());
}

BOOST_AUTO_TEST_SUITE_END()

// ---- writing

BOOST_AUTO_TEST_SUITE(event_writer)

BOOST_AUTO_TEST_CASE(events_are_aligned_numbered_and_verified) {
  EventWriter writer(Sequence{7}, Epoch{3});
  const std::string names[] = {"", "a", "abcdefg", std::string(1000, 'n')};
  for (const std::string& name : names) {
    writer.begin({Time{5}, name, id_of(name.size())});
    auto& builder = writer.builder();
    const auto text = builder.CreateString(name);
    const std::size_t before = writer.bytes().size();
    const Sequence sequence =
        writer.add(schema::CreateGroupCreated(builder, text), Sequence{2});
    BOOST_CHECK_EQUAL(before, writer.last_offset());
    BOOST_CHECK_EQUAL(writer.bytes().size() % 8, 0);
    const auto* event =
        schema::verified_event(writer.bytes().subspan(writer.last_offset()));
    BOOST_REQUIRE(event);
    BOOST_CHECK_EQUAL(event->seq(), sequence.value);
    BOOST_CHECK_EQUAL(event->epoch(), 3);
    BOOST_CHECK_EQUAL(event->cause(), 2);
    BOOST_CHECK_EQUAL(schema::text(event->principal()), name);
  }
  BOOST_CHECK_EQUAL(writer.first().value, 7);
  BOOST_CHECK_EQUAL(writer.count(), 4);
  const auto bytes = writer.take().bytes;
  BOOST_CHECK(!bytes.empty());
  BOOST_CHECK_EQUAL(writer.count(), 0);
  BOOST_CHECK_EQUAL(writer.first().value, 11);
}

BOOST_AUTO_TEST_CASE(time_never_runs_backwards) {
  EventWriter writer(Sequence{1}, Epoch{1});
  writer.set_time_floor(Time{100});
  const auto time_of = [&](std::uint64_t now) {
    writer.begin({Time{now}, {}, {}});
    writer.add(schema::CreateNodeLost(writer.builder(), 0), Sequence{});
    return writer.last().time_at();
  };
  BOOST_CHECK_EQUAL(time_of(50), 100);
  BOOST_CHECK_EQUAL(time_of(150), 150);
  BOOST_CHECK_EQUAL(time_of(120), 150);
}

BOOST_AUTO_TEST_CASE(a_bounded_take_cuts_between_decisions_and_goes_on_there) {
  EventWriter writer(Sequence{5}, Epoch{1});
  for (std::uint32_t node = 0; node < 10; ++node) {
    writer.begin({Time{1'000}, "root", {}});
    writer.add(schema::CreateNodeReturned(writer.builder(), node), Sequence{});
  }
  const std::size_t all = writer.bytes().size();
  const std::size_t one = all / 10;
  const auto head = writer.take(3 * one + one / 2);
  BOOST_TEST(head.first.value == 5u);
  BOOST_TEST(head.count == 3u);
  BOOST_TEST(head.bytes.size() == 3 * one);
  // A decision above the bound is taken all the same, alone.
  const auto single = writer.take(1);
  BOOST_TEST(single.first.value == 8u);
  BOOST_TEST(single.count == 1u);
  const auto rest = writer.take();
  BOOST_TEST(rest.first.value == 9u);
  BOOST_TEST(rest.count == 6u);
  BOOST_TEST(head.bytes.size() + single.bytes.size() + rest.bytes.size() ==
             all);
  BOOST_TEST(writer.count() == 0u);
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace fold_test
