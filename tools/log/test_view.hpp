// For tests of drawings: a small cell with something of everything in it.
#pragma once

#include <boost/test/unit_test.hpp>

#include "cluster/testing.hpp"
#include "tools/log/timeline_view.hpp"

namespace reeve::tools::testing {

using cluster::DeviceGrant;
using cluster::Spec;
using cluster::accounting::Ledger;
using cluster::accounting::Sink;
using cluster::accounting::Timeline;
using cluster::accounting::Window;
using cluster::testing::Cell;
using cluster::testing::one_task;

// 100 seconds: ann holds GPU 0 of n0 for half of them, bob a quarter of GPU 1
// for all; n1 is drained in the second half, n2 is lost in the first.
struct SmallCell : Cell {
  explicit SmallCell(std::string_view name = "train") {
    add({.name = "n0", .devices = 2});
    add({.name = "n1", .devices = 1});
    add({.name = "n2"});
    begun = now;
    lose("n2");
    const SessionId whole = hold("ann", name, {{.device = 0, .milli = 1000}});
    hold("bob", "notebook", {{.device = 1, .milli = 250}});
    pass(50 * second_ns);
    exit(whole, 0, 3);
    drain("n1");
    register_node({.name = "n2"}, true);
    pass(50 * second_ns);
    Window window({begun, now}, timeline);
    for (std::uint64_t i = 1; i <= state.last_sequence().value; ++i)
      BOOST_REQUIRE(window.apply(event(Sequence{i})));
    window.finish();
    timeline.finish(window.ledger());
    for (std::uint64_t i = 1; i <= state.last_sequence().value; ++i)
      BOOST_REQUIRE(ledger.apply(event(Sequence{i})));
  }

  SessionId hold(std::string_view user, std::string_view name,
                 const std::vector<DeviceGrant>& devices) {
    Spec spec = one_task();
    spec.user = user;
    spec.name = name;
    const SessionId id = submit(spec);
    place(id, {"n0"}, devices);
    start(id);
    return id;
  }

  TimelineView view() const { return {timeline, ledger, begun, now}; }

  Time begun;
  Timeline timeline;
  Sink nobody;
  Ledger ledger{nobody};
};

}  // namespace reeve::tools::testing
