#include "tools/cli/session/waiting_graph.hpp"

#include <boost/test/unit_test.hpp>

namespace reeve::tools::waiting_graph_test {
namespace {

using schema::DependencyKind;
using schema::SessionState;

// 1 <- 2 <- 4, 1 <- 3 <- 4: a diamond.
WaitingGraph diamond() {
  WaitingGraph graph;
  graph.add(1, {"load", SessionState::running, {}});
  graph.add(2, {"left", SessionState::pending, {{1, DependencyKind::ok}}});
  graph.add(3, {"", SessionState::pending, {{1, DependencyKind::any}}});
  graph.add(4, {"join",
                SessionState::pending,
                {{2, DependencyKind::ok}, {3, DependencyKind::ok}}});
  graph.add(5, {"alone", SessionState::running, {}});
  return graph;
}

BOOST_AUTO_TEST_SUITE(waiting_graph)

BOOST_AUTO_TEST_CASE(all_are_drawn_below_what_they_wait_for) {
  BOOST_TEST(diamond().tree(0) ==
             "s-1 load (running)\n"
             "|- ok: s-2 left (pending)\n"
             "|  `- ok: s-4 join (pending)\n"
             "`- any: s-3 (pending)\n"
             "   `- ok: s-4 join (pending)\n");
}

BOOST_AUTO_TEST_CASE(one_is_drawn_with_both_sides) {
  BOOST_TEST(diamond().tree(2) ==
             "s-2 left (pending)\n"
             "waits for the end of\n"
             "  `- ok: s-1 load (running)\n"
             "its end is waited for by\n"
             "  `- ok: s-4 join (pending)\n");
  BOOST_TEST(diamond().tree(5) ==
             "s-5 alone (running)\n"
             "waits for no session\n"
             "nothing waits for it\n");
}

BOOST_AUTO_TEST_CASE(what_was_drawn_before_is_only_named) {
  WaitingGraph graph = diamond();
  graph.add(6, {"", SessionState::pending, {{4, DependencyKind::failed}}});
  BOOST_TEST(graph.tree(0) ==
             "s-1 load (running)\n"
             "|- ok: s-2 left (pending)\n"
             "|  `- ok: s-4 join (pending)\n"
             "|     `- failed: s-6 (pending)\n"
             "`- any: s-3 (pending)\n"
             "   `- ok: s-4 join (pending) ...\n");
}

BOOST_AUTO_TEST_CASE(dot_has_a_node_for_each_and_an_arrow_for_each_wait) {
  WaitingGraph graph;
  graph.add(1, {"a \"b\"", SessionState::running, {}});
  graph.add(2, {"", SessionState::pending, {{1, DependencyKind::ok}}});
  graph.add(3, {"", SessionState::pending, {}});
  BOOST_TEST(graph.dot(0) ==
             "digraph sessions {\n"
             "  rankdir=LR;\n"
             "  \"s-1\" [label=\"s-1 a \\\"b\\\" (running)\"];\n"
             "  \"s-2\" [label=\"s-2 (pending)\"];\n"
             "  \"s-1\" -> \"s-2\" [label=\"ok\"];\n"
             "}\n");
  BOOST_TEST(graph.dot(1) == graph.dot(0));
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace
}  // namespace reeve::tools::waiting_graph_test
