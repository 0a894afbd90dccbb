// Requests of a trace as sessions, and the protocol that fills a cluster.
#include "cluster/simulation/from_trace.hpp"

#include <boost/test/unit_test.hpp>

#include "cluster/simulation/fill.hpp"
#include "cluster/simulation/virtual_cell.hpp"

namespace from_trace_test {

using namespace reeve;
using namespace reeve::cluster;
using namespace reeve::cluster::simulation;

namespace {

TraceRequest gpus(std::uint32_t count, std::uint64_t at_s = 0,
                  std::uint32_t milli = 1000) {
  TraceRequest out;
  out.gpus = count;
  out.gpu_milli = milli;
  out.arrival_ns = at_s * second_ns;
  out.duration_ns = 10 * second_ns;
  return out;
}

BOOST_AUTO_TEST_SUITE(from_trace)

BOOST_AUTO_TEST_CASE(requests_become_sessions_in_order_of_arrival) {
  Trace trace;
  trace.requests = {gpus(1, 20), gpus(1, 5), gpus(2, 20)};
  trace.requests[0].after = {{1, DependsOn::any}};
  trace.requests[1].user = "ann";
  trace.requests[1].waited_ns = 3 * second_ns;
  trace.requests[2].duration_ns.reset();
  const auto work = workload_of(trace, made_up_nodes(2, "n", "A100", ""));
  BOOST_REQUIRE(work.sessions.size() == 3u);
  BOOST_TEST(work.users.all()[work.sessions[0].user] == "ann");
  BOOST_TEST(work.sessions[0].submitted_at.value ==
             trace_start.value + 5 * second_ns);
  BOOST_REQUIRE(work.sessions[1].after.size() == 1u);
  BOOST_TEST(work.sessions[1].after[0].session() == 1u);
  BOOST_TEST((work.sessions[1].after[0].kind() == schema::DependencyKind::any));
  BOOST_TEST(work.sessions[2].duration_ns == for_ever_ns);
  BOOST_TEST(work.requests[work.sessions[2].request].gpus == 2u);
  BOOST_TEST(work.inventories.size() == 2u);
  const auto recorded = recorded_outcomes(trace, work);
  BOOST_TEST(recorded[0].ended_at.value == trace_start.value + 18 * second_ns);
  BOOST_TEST(recorded[1].started_at.value == 0u);
}

BOOST_AUTO_TEST_CASE(names_that_all_differ_are_none) {
  Trace trace;
  trace.requests = {gpus(1, 0), gpus(1, 1), gpus(1, 2)};
  const auto names = [&](std::string_view letters) {
    for (std::size_t i = 0; i < letters.size(); ++i)
      trace.requests[i].name = letters[i];
    const auto work = workload_of(trace, made_up_nodes(1, "n", "A100", ""));
    std::string out;
    for (const auto& session : work.sessions)
      out += work.names.all()[session.name] + ";";
    return out;
  };
  BOOST_TEST(names("aab") == "a;a;b;");
  BOOST_TEST(names("abc") == ";;;");
}

BOOST_AUTO_TEST_CASE(requests_that_never_started_can_be_left_out) {
  Trace trace;
  trace.requests = {gpus(1, 0), gpus(2, 1), gpus(3, 2), gpus(4, 3)};
  trace.requests[1].waited_ns = 0;
  trace.requests[3].waited_ns = 5;
  trace.requests[3].after = {{0, DependsOn::ok}, {1, DependsOn::ok}};
  BOOST_TEST(leave_out_unstarted(trace) == 2u);
  BOOST_REQUIRE(trace.requests.size() == 2u);
  BOOST_TEST(trace.requests[1].gpus == 4u);
  BOOST_REQUIRE(trace.requests[1].after.size() == 1u);
  BOOST_TEST(trace.requests[1].after[0].request == 0u);
}

BOOST_AUTO_TEST_CASE(groups_count_where_the_nodes_name_them) {
  Trace trace;
  trace.requests = {gpus(1)};
  trace.requests[0].group = "big";
  const auto group_of = [&](std::string_view of_nodes) {
    const auto work = workload_of(trace, made_up_nodes(1, "n", "A", of_nodes));
    return work.requests[work.sessions[0].request].group;
  };
  BOOST_TEST(group_of("") == "default");
  BOOST_TEST(group_of("small") == "big");
  trace.requests[0].group.clear();
  const auto work = workload_of(trace, made_up_nodes(1, "n", "A", "small"));
  BOOST_TEST(work.inventories[0].group == "");
}

BOOST_AUTO_TEST_CASE(wishes_and_labels_reach_the_scheduler) {
  Trace trace;
  trace.requests = {gpus(1), gpus(1), gpus(1)};
  for (auto& request : trace.requests) request.duration_ns = 10 * second_ns;
  trace.requests[0].constraint = "rack=r1";
  trace.requests[1].constraint = "rack=r1";
  trace.requests[1].apart = "alone";
  trace.requests[1].user = "ann";
  trace.requests[2].constraint = "rack=r9";
  auto nodes = made_up_nodes(2, "n", "A", "");
  nodes[1].labels = {{"rack", "r1"}};
  const auto work = workload_of(trace, nodes);
  BOOST_TEST(work.requests[work.sessions[1].request].user == "ann");
  VirtualCell cell(work, {});
  while (cell.step()) {
  }
  using enum Outcome::Fate;
  BOOST_TEST((cell.outcomes()[0].fate == ended));
  BOOST_TEST((cell.outcomes()[1].fate == ended));
  BOOST_TEST((cell.outcomes()[2].fate == refused));
}

BOOST_AUTO_TEST_CASE(an_array_keeps_to_its_bound) {
  Trace trace;
  trace.requests = {gpus(1, 9), gpus(1), gpus(1), gpus(1)};
  for (auto& request : trace.requests) {
    request.duration_ns = 10 * second_ns;
    request.waited_ns = 0;
  }
  trace.requests[0].waited_ns.reset();
  for (std::size_t i = 1; i < 4; ++i) {
    trace.requests[i].array = 1;
    trace.requests[i].array_index = static_cast<std::uint32_t>(i);
    trace.requests[i].array_running_max = 2;
  }
  BOOST_TEST(leave_out_unstarted(trace) == 1u);
  BOOST_TEST((trace.requests[2].array == 0u));
  const auto work = workload_of(trace, made_up_nodes(1, "n", "A", ""));
  BOOST_TEST(work.sessions[2].array.value == work.sessions[0].id.value);
  VirtualCell cell(work, {});
  while (cell.step()) {
  }
  const auto started = [&](std::size_t i) {
    return cell.outcomes()[i].started_at.value - trace_start.value;
  };
  BOOST_TEST(started(0) == 0u);
  BOOST_TEST(started(1) == 0u);
  BOOST_TEST(started(2) == 10 * second_ns);
  // Where nothing ends, all of them are offered at once.
  const auto full = filled(trace, made_up_nodes(1, "n", "A", ""), 0.1, 1);
  BOOST_TEST(full.sessions[0].array_running_max == 0u);
}

BOOST_AUTO_TEST_CASE(replaced_nodes_serve_simulated_and_other_sessions) {
  Trace trace;
  trace.requests = {gpus(1)};
  auto work = workload_of(trace, made_up_nodes(1, "n", "A", ""));
  Request simulated = work.requests[0];
  simulated.simulated = true;
  work.sessions[0].request = work.requests.index(simulated);
  replace_nodes(work, made_up_nodes(3, "m", "A", ""));
  BOOST_TEST(!work.requests[work.sessions[0].request].simulated);
  BOOST_TEST(work.changes.size() == 3u);
}

BOOST_AUTO_TEST_CASE(a_fill_asks_for_the_load_in_an_order_of_its_seed) {
  Trace trace;
  trace.requests = {gpus(1), gpus(2), gpus(1, 0, 250), gpus(0)};
  const auto nodes = made_up_nodes(4, "n", "A", "");  // 32 GPUs
  const auto asked = [](const Workload& work) {
    std::uint64_t sum = 0;
    for (const auto& session : work.sessions)
      sum += gpu_milli_of(work.requests[session.request]);
    return sum;
  };
  const auto order = [](const Workload& work) {
    std::string out;
    for (const auto& session : work.sessions)
      out += std::to_string(session.request);
    return out;
  };
  const auto first = filled(trace, nodes, 1.3, 1);
  BOOST_TEST(asked(first) >= 41'600u);
  BOOST_TEST(asked(first) < 41'600u + 2'000u);
  BOOST_TEST(order(first) == order(filled(trace, nodes, 1.3, 1)));
  BOOST_TEST(order(first) != order(filled(trace, nodes, 1.3, 2)));
  trace.requests = {gpus(0)};
  BOOST_TEST(filled(trace, nodes, 1.3, 1).sessions.size() == 1u);
}

BOOST_AUTO_TEST_CASE(the_share_held_counts_up_to_the_arrived_load) {
  Trace trace;
  trace.requests = {gpus(5, 0), gpus(4, 1), gpus(3, 2), gpus(2, 3)};
  const auto nodes = made_up_nodes(1, "n", "A", "");  // 8 GPUs
  auto work = workload_of(trace, nodes);
  for (auto& session : work.sessions) session.duration_ns = for_ever_ns;
  VirtualCell cell(work, {.unplaced = Unplaced::is_refused});
  while (cell.step()) {
  }
  // 5 start, 4 do not fit, 3 do, 2 do not.
  BOOST_TEST(held_share(work, cell.outcomes(), 0.5) == 5.0 / 8);
  BOOST_TEST(held_share(work, cell.outcomes(), 1.0) == 5.0 / 8);
  BOOST_TEST(held_share(work, cell.outcomes(), 1.5) == 1.0);
  BOOST_TEST(held_share(work, cell.outcomes(), 2.0) < 0);
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace

}  // namespace from_trace_test
