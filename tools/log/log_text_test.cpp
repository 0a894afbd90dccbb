// The parts of the log tools that know no log.
#include <boost/test/unit_test.hpp>

#include "cluster/testing.hpp"
#include "tools/log/causes.hpp"
#include "tools/log/meter.hpp"
#include "tools/log/state_diff.hpp"

namespace log_text_test {

using namespace reeve;
using namespace reeve::tools;

namespace {

std::string drawn(const std::vector<Caused>& events) {
  std::string out;
  for (const Branch& branch : tree_of(events))
    out += branch.stem + std::to_string(branch.sequence) + '\n';
  return out;
}

constexpr std::uint64_t second = 1'000'000'000;

}  // namespace

BOOST_AUTO_TEST_CASE(a_chain_of_causes_stays_in_one_column) {
  BOOST_TEST(drawn({{3, 0}, {5, 3}, {9, 5}}) == "3\n5\n9\n");
}

BOOST_AUTO_TEST_CASE(an_event_that_led_to_several_branches) {
  BOOST_TEST(drawn({{1, 0}, {2, 1}, {3, 1}, {4, 2}, {5, 3}}) ==
             "1\n"
             "├─ 2\n"
             "│  4\n"
             "└─ 3\n"
             "   5\n");
}

BOOST_AUTO_TEST_CASE(a_cause_outside_makes_a_root) {
  BOOST_TEST(drawn({{7, 2}, {8, 7}, {9, 0}}) == "7\n8\n9\n");
}

BOOST_AUTO_TEST_CASE(a_cause_that_is_no_earlier_event_is_no_cause) {
  BOOST_TEST(drawn({{7, 7}, {8, 9}, {9, 8}}) == "7\n8\n9\n");
}

BOOST_AUTO_TEST_CASE(branches_beyond_the_deepest_are_drawn_there) {
  std::vector<Caused> events{{1, 0}};
  for (std::uint64_t at = 2; at < 200; at += 2) {
    events.push_back({at, at - 1});
    events.push_back({at + 1, at - 1});
  }
  for (const Branch& branch : tree_of(events))
    BOOST_TEST(branch.stem.size() <= depth_max * std::string("├─ ").size());
}

BOOST_AUTO_TEST_CASE(progress_tells_rate_and_time_left) {
  BOOST_TEST(progress_text("reading", 1, 1'000'000, 10'000'000, second) ==
             "reading: event 1000000 of 10000000, 1.00 million/s, 10s left");
  BOOST_TEST(progress_text("reading", 901, 1'000, 2'000, second) ==
             "reading: event 1000 of 2000, 100/s, 11s left");
  BOOST_TEST(progress_text("looking", 1, 500, 0, second) ==
             "looking: event 500, 500/s");
  // At the end, and before anything was seen.
  BOOST_TEST(progress_text("reading", 1, 9, 9, second) ==
             "reading: event 9 of 9");
  BOOST_TEST(progress_text("reading", 5, 4, 9, 0) == "reading: event 4 of 9");
  BOOST_TEST(progress_text("simulating", 1, 500, 1'000, second, "session") ==
             "simulating: session 500 of 1000, 500/s, 2.00s left");
}

namespace {

using cluster::Spec;
using cluster::State;
using namespace cluster::testing;

// "~ node n0 state up->drained, ..." for each change.
std::string differences(const State& a, const State& b, DiffSums* sums) {
  std::string out;
  *sums = diff_states(a, b, [&](const Change& change) {
    out += std::string(kind_name(change.kind)) + ' ' +
           std::string(change.what) + ' ' + change.id;
    for (const auto& field : change.fields)
      out += ' ' + std::string(field.name) + '=' + field.before + "->" +
             field.after;
    out += '\n';
  });
  return out;
}

// The cell now, apart from the cell that goes on.
State now_of(const Cell& cell) {
  State state;
  replay(state, cell, Sequence{1});
  return state;
}

}  // namespace

BOOST_AUTO_TEST_CASE(equal_states_differ_in_nothing) {
  Cell cell;
  cell.add({});
  cell.running(one_task());
  DiffSums sums;
  BOOST_TEST(differences(now_of(cell), cell.state, &sums) == "");
  BOOST_TEST(sums.changes == 0u);
  BOOST_TEST(sums.submitted == 0u);
}

BOOST_AUTO_TEST_CASE(a_session_that_takes_a_device_changes_node_and_device) {
  Cell cell;
  cell.add({.devices = 2});
  Spec spec = one_task();
  spec.gpus = 1;
  const SessionId id = cell.submit(spec);
  const State before = now_of(cell);
  cell.place(id, {"n0"}, {{1, 1000, 0}});
  DiffSums sums;
  const std::string text = differences(before, cell.state, &sums);
  BOOST_TEST(text ==
             "changed node n0 used_cpu_milli=0->1000 "
             "used_memory_bytes=0->1073741824 tasks=0->1\n"
             "changed device n0/1 used_milli=0->1000 "
             "held_by=->s-1\n"
             "changed session s-1 state=pending->placed nodes=->n0\n");
  BOOST_TEST(sums.changes == 3u);
}

BOOST_AUTO_TEST_CASE(a_quarantine_is_a_change_of_its_device) {
  Cell cell;
  cell.add({.devices = 2});
  const State before = now_of(cell);
  cell.quarantine("n0", "1");
  DiffSums sums;
  BOOST_TEST(differences(before, cell.state, &sums) ==
             "changed device n0/1 quarantined=->hot\n");
}

BOOST_AUTO_TEST_CASE(tokens_and_members_that_changed_are_told) {
  Cell cell;
  cell.create_token({.uses = 2});
  cell.join({.name = "n1"});
  const State before = now_of(cell);
  cell.join({.name = "n2", .key = cluster::testing::key_of("k")});
  cell.leave("agent-n1");
  DiffSums sums;
  BOOST_TEST(differences(before, cell.state, &sums) ==
             "changed token 1 used=1 of 2->2 of 2\n"
             "added member agent-n2 key=->" +
                 cluster::testing::key_of("k") +
                 "\nremoved member agent-n1 key=" +
                 cluster::testing::key_of("n1") + "->\n");
  BOOST_TEST(sums.changes == 3u);
}

BOOST_AUTO_TEST_CASE(new_and_removed_nodes_and_sessions_are_told_as_such) {
  Cell cell;
  cell.add({});
  const SessionId first = cell.running(one_task());
  const State before = now_of(cell);
  cell.add({.name = "n1", .devices = 1});
  cell.exit(first);
  cell.submit(one_task());
  cell.drain("n0");
  cell.remove("n0");
  DiffSums sums;
  const std::string text = differences(before, cell.state, &sums);
  const auto has = [&](std::string_view part) {
    BOOST_TEST(text.find(part) != std::string::npos, text);
  };
  has("removed node n0 state=up->removed");
  has("added node n1 state=->up");
  has("added device");
  has("changed session s-1 state=running->succeeded nodes=n0->");
  has("added session s-2 state=->pending");
  BOOST_TEST(sums.submitted == 1u);
  BOOST_TEST(sums.ended == 1u);
  BOOST_TEST(sums.forgotten == 0u);
}

BOOST_AUTO_TEST_CASE(sessions_that_only_the_log_knows_are_counted) {
  Cell cell;
  cell.checks = false;
  cell.keeps_log = false;
  cell.add({});
  const SessionId first = cell.running(one_task());
  State before =
      std::move(*State::decode_snapshot(cell.state.encode_snapshot()));
  cell.exit(first);
  for (std::size_t i = 0; i < cluster::ended_sessions_max + 5; ++i)
    cell.exit(cell.running(one_task()));
  DiffSums sums;
  const std::string text = differences(before, cell.state, &sums);
  BOOST_TEST(text.find("removed session s-1 state=running->ended, known to "
                       "the log only") != std::string::npos);
  BOOST_TEST(sums.submitted == cluster::ended_sessions_max + 5);
  BOOST_TEST(sums.forgotten == 5u);
  BOOST_TEST(sums.ended == cluster::ended_sessions_max + 6);
}

}  // namespace log_text_test
