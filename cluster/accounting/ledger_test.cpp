// What is told of one cell's holdings, event by event.
#include "cluster/accounting/ledger.hpp"

#include <fmt/format.h>

#include <boost/test/unit_test.hpp>

#include "cluster/accounting/window.hpp"
#include "cluster/testing.hpp"

namespace ledger_test {

using namespace reeve;
using namespace reeve::cluster;
using namespace reeve::cluster::accounting;
using namespace reeve::cluster::testing;

namespace {

// Times in the texts count from here, in seconds.
constexpr std::uint64_t epoch_s = 1'000;

std::string since(Time at) {
  return fmt::format("{:g}",
                     static_cast<double>(at.value) / 1e9 - double{epoch_s});
}

// What was told, one text for each call.
struct Told final : WindowSink {
  void held(const Holding& h) override {
    std::string devices;
    for (const auto& share : h.devices)
      devices += fmt::format(" gpu{}:{}", share.device(), share.milli());
    holdings.push_back(fmt::format(
        "s-{}.{}/{} on {} [{},{}) {}{}{}", h.session.value, h.attempt, h.rank,
        h.node.value, since(h.from), since(h.to), h.user, devices,
        h.ended ? fmt::format(" {} {}", schema::EnumNameEndReason(h.reason),
                              h.exit_code)
                : " goes on"));
  }
  void node_was(const NodeSpan& s) override {
    static constexpr const char* names[] = {"up", "drained", "lost"};
    nodes.push_back(fmt::format(
        "{} {} [{},{}) {} cpus, {} gpus, held {}", s.name,
        names[static_cast<int>(s.phase)], since(s.from), since(s.to),
        s.capacity.cpu_milli / 1000, s.capacity.gpu_milli / 1000,
        to_text(s.held.cpu_milli_ns / 1'000'000'000'000)));
  }
  void attempt_ended(const AttemptEnd& e) override {
    ends.push_back(fmt::format("s-{}.{} {} {}", e.session.value, e.attempt,
                               schema::EnumNameSessionState(e.state),
                               schema::EnumNameEndReason(e.reason)));
  }
  void period_ended(Time, Time) override {}

  std::vector<std::string> holdings;
  std::vector<std::string> nodes;
  std::vector<std::string> ends;
};

using Texts = std::vector<std::string>;

void equal(const Texts& got, const Texts& wanted) {
  BOOST_CHECK_EQUAL_COLLECTIONS(got.begin(), got.end(), wanted.begin(),
                                wanted.end());
}

struct Observed : Cell {
  Told told;
  Ledger ledger{told};

  // Everything of the cell so far, cut now.
  void tell_all() {
    for (std::uint64_t i = 1; i <= state.last_sequence().value; ++i) {
      const Status applied = ledger.apply(event(Sequence{i}));
      BOOST_REQUIRE_MESSAGE(applied, (applied ? "" : applied.error().text));
    }
    ledger.cut(now);
  }
};

}  // namespace

BOOST_FIXTURE_TEST_SUITE(ledger, Observed)

BOOST_AUTO_TEST_CASE(a_holding_lasts_from_the_placement_to_the_exit) {
  add({.name = "n0", .devices = 2});
  pass(second_ns);
  Spec spec = one_task();
  spec.user = "ann";
  const SessionId id = submit(spec);
  pass(second_ns);
  place(id, {"n0"}, {{.device = 1, .milli = 250}});
  pass(second_ns);
  start(id);
  pass(5 * second_ns);
  exit(id, 0, 3);
  pass(2 * second_ns);
  tell_all();
  equal(told.holdings, {"s-1.1/0 on 0 [2,8) ann gpu1:250 exited 3"});
  equal(told.ends, {"s-1.1 failed exited"});
  equal(told.nodes, {"n0 up [0,10) 16 cpus, 2 gpus, held 6"});
  BOOST_TEST(ledger.size() == 0);
}

BOOST_AUTO_TEST_CASE(each_task_of_a_gang_ends_for_itself) {
  add({.name = "n0"});
  add({.name = "n1"});
  const SessionId id = submit(tasks_of(2));
  place(id, {"n0", "n1"});
  pass(second_ns);
  exit(id, 1);
  pass(second_ns);
  exit(id, 0);
  tell_all();
  equal(told.holdings, {"s-1.1/1 on 1 [0,1) root exited 0",
                        "s-1.1/0 on 0 [0,2) root exited 0"});
  equal(told.ends, {"s-1.1 succeeded exited"});
}

BOOST_AUTO_TEST_CASE(a_lost_node_ends_the_attempt_and_the_next_one_is_new) {
  add({.name = "n0"});
  add({.name = "n1"});
  Spec spec = one_task();
  spec.requeue_max = 1;
  const SessionId id = running(spec);
  pass(4 * second_ns);
  lose("n0");
  BOOST_REQUIRE(task_lost(id));
  pass(60 * second_ns);
  place(id, {"n1"});
  pass(second_ns);
  tell_all();
  equal(told.holdings, {"s-1.1/0 on 0 [0,4) root node_lost 0",
                        "s-1.2/0 on 1 [64,65) root goes on"});
  equal(told.ends, {"s-1.1 pending node_lost"});
  equal(told.nodes, {"n0 up [0,4) 16 cpus, 0 gpus, held 4",
                     "n0 lost [4,65) 16 cpus, 0 gpus, held 0",
                     "n1 up [0,65) 16 cpus, 0 gpus, held 1"});
  BOOST_TEST((ledger.state_of(id) == SessionState::placed));
}

BOOST_AUTO_TEST_CASE(drains_inventories_and_removals_divide_a_node) {
  add({.name = "n0"});
  pass(second_ns);
  drain("n0");
  pass(second_ns);
  resume("n0");
  pass(second_ns);
  register_node({.name = "n0", .cpu_milli = 8'000, .devices = 1});
  pass(second_ns);
  remove("n0");
  pass(second_ns);
  resume("n0");  // who bears the name next is a new node
  add({.name = "n0"});
  pass(second_ns);
  tell_all();
  equal(told.nodes, {"n0 up [0,1) 16 cpus, 0 gpus, held 0",
                     "n0 drained [1,2) 16 cpus, 0 gpus, held 0",
                     "n0 up [2,3) 16 cpus, 0 gpus, held 0",
                     "n0 up [3,4) 8 cpus, 1 gpus, held 0",
                     "n0 up [5,6) 16 cpus, 0 gpus, held 0"});
}

BOOST_AUTO_TEST_CASE(a_cut_divides_what_is_open_and_loses_nothing) {
  add({.name = "n0"});
  const SessionId id = running(one_task());
  pass(second_ns);
  tell_all();
  ledger.cut(now);  // nothing of no length
  pass(second_ns);
  exit(id);
  const auto last = state.last_sequence().value;
  for (auto i = last - 1; i <= last; ++i)
    BOOST_REQUIRE(ledger.apply(event(Sequence{i})));
  equal(told.holdings, {"s-1.1/0 on 0 [0,1) root goes on",
                        "s-1.1/0 on 0 [1,2) root exited 0"});
}

BOOST_AUTO_TEST_CASE(a_window_tells_nothing_of_what_lies_before_and_after) {
  add({.name = "n0"});
  const SessionId early = running(one_task());
  pass(second_ns);
  exit(early);
  const SessionId id = running(one_task());
  pass(4 * second_ns);
  exit(id);
  running(one_task());
  pass(second_ns);
  const auto at = [](std::uint64_t s) {
    return Time{(epoch_s + s) * second_ns};
  };
  Told seen;
  Window window({at(2), at(3), at(4)}, seen);
  for (std::uint64_t i = 1; i <= state.last_sequence().value; ++i)
    BOOST_REQUIRE(window.apply(event(Sequence{i})));
  window.finish();
  equal(seen.holdings,
        {"s-2.1/0 on 0 [2,3) root goes on", "s-2.1/0 on 0 [3,4) root goes on"});
  equal(seen.ends, {});
  equal(seen.nodes, {"n0 up [2,3) 16 cpus, 0 gpus, held 1",
                     "n0 up [3,4) 16 cpus, 0 gpus, held 1"});
}

BOOST_AUTO_TEST_CASE(a_session_that_never_held_anything_is_told_as_ended) {
  add({.name = "n0"});
  cancel(submit(one_task()));
  tell_all();
  equal(told.holdings, {});
  equal(told.ends, {"s-1.1 cancelled cancelled"});
  BOOST_TEST(ledger.size() == 0);
}

BOOST_AUTO_TEST_CASE(time_that_runs_backwards_behind_a_cut_is_refused) {
  add({.name = "n0"});
  pass(second_ns);
  tell_all();
  BOOST_REQUIRE(ledger.apply(event(Sequence{1})).error().code == Errc::damaged);
  ledger.cut(now);
  submit(one_task());
  BOOST_TEST(ledger.apply(event(state.last_sequence())).has_value());
}

BOOST_AUTO_TEST_CASE(events_that_contradict_the_ones_before_are_refused) {
  add({.name = "n0"});
  const SessionId id = running(one_task());
  exit(id);
  const auto last = state.last_sequence().value;
  const auto refused = [&](std::uint64_t sequence, const char* words) {
    const Status applied = ledger.apply(event(Sequence{sequence}));
    BOOST_REQUIRE(!applied);
    BOOST_TEST((applied.error().code == Errc::damaged));
    BOOST_TEST(applied.error().text.find(words) != std::string::npos,
               applied.error().text);
    BOOST_TEST(applied.error().text.find(std::to_string(sequence)) !=
               std::string::npos);
  };
  // submitted, placed, started, exited, ended
  refused(last, "no such session");
  refused(last - 1, "no such task");
  refused(last - 2, "no such task");
  refused(last - 3, "does not wait");
  BOOST_REQUIRE(ledger.apply(event(Sequence{last - 4})));
  refused(last - 4, "there already");
  refused(last - 3, "no such node");
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace ledger_test
