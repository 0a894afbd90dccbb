// A comparison as people, programs and browsers get it.
#include "tools/whatif/comparison.hpp"

#include <boost/json/parse.hpp>
#include <boost/json/value.hpp>
#include <boost/test/unit_test.hpp>

#include "cluster/simulation/observer.hpp"
#include "cluster/simulation/test_workload.hpp"
#include "cluster/simulation/virtual_cell.hpp"

namespace reeve::tools::comparison_test {
namespace {

using namespace cluster::simulation;
using namespace cluster::simulation::testing;

// Two users on one GPU, and on two.
struct OneMore {
  OneMore() {
    was_make.node(8, 1);
    would_make.node(8, 1);
    would_make.node(8, 1);
    for (WorkMaker* make : {&was_make, &would_make}) {
      make->submit({.at_s = 0, .lasts_s = 100, .gpus = 1});
      make->submit({.at_s = 0, .lasts_s = 100, .gpus = 1, .user = "<b>ben"});
      make->submit({.at_s = 50, .lasts_s = 100, .gpus = 3});
    }
    comparison.of = "cell main";
    comparison.really = "as it was";
    comparison.from = was_make.work.from;
    comparison.to = was_make.work.to;
    comparison.work = &was_make.work;
    comparison.withdrawn = 4;
    run(was_make.work, comparison.was);
    run(would_make.work, comparison.would);
    comparison.would.policy = "fifo";
    align(comparison);
  }

  static void run(const Workload& work, Side& side) {
    Observer observer(work);
    VirtualCell cell(work, {}, [&](const schema::Event& event, auto) {
      BOOST_REQUIRE(observer.apply(event));
    });
    while (cell.step()) {
    }
    observer.finish(cell.moment());
    side.use = observer.use();
    side.fragmentation = observer.fragmentation();
    side.figures = measure(work, cell.outcomes(), cell.moment());
    for (const auto waited : waits(work, cell.outcomes(), cell.moment()))
      if (waited != not_counted) side.waits_ns.push_back(waited);
    side.waiting = waiting_series(work, cell.outcomes(), cell.moment(),
                                  side.use->series().piece_ns());
    side.nodes = capacity_of(work).nodes;
    side.gpus = capacity_of(work).devices;
  }

  WorkMaker was_make;
  WorkMaker would_make;
  Comparison comparison;
};

bool tells(const std::string& text, std::string_view part) {
  BOOST_TEST_INFO(text);
  return text.find(part) != std::string::npos;
}

BOOST_AUTO_TEST_SUITE(comparison)

BOOST_FIXTURE_TEST_CASE(tables_set_the_two_sides_beside_each_other, OneMore) {
  const auto text = comparison_text(comparison, Terminal{});
  BOOST_TEST(tells(text, "cell main"));
  BOOST_TEST(tells(text, "4 that ended before they started"));
  BOOST_TEST(tells(text, "2 nodes, 2 GPUs, 0 CPUs, policy fifo"));
  BOOST_TEST(tells(text, "waiting, mean           50s       0s        -100 %"));
  BOOST_TEST(tells(text, "GPU use"));
  BOOST_TEST(tells(text, "+"));
  BOOST_TEST(tells(text, "refused"));
  BOOST_TEST(tells(text, "<b>ben"));
  Terminal narrow;
  narrow.width = 60;
  const auto lines = comparison_text(comparison, narrow);
  std::size_t at = 0;
  while (at < lines.size()) {
    const auto end = lines.find('\n', at);
    BOOST_TEST(end - at <= 60u);
    at = end + 1;
  }
}

BOOST_FIXTURE_TEST_CASE(json_has_the_figures_of_both_sides_and_users, OneMore) {
  const auto all = boost::json::parse(comparison_json(comparison));
  BOOST_TEST(all.at("sessions").as_int64() == 3);
  BOOST_TEST(all.at("left_out").at("withdrawn").as_int64() == 4);
  const auto& was = all.at("really");
  const auto& would = all.at("whatif");
  BOOST_TEST(was.at("policy").is_null());
  BOOST_TEST(would.at("policy").as_string() == "fifo");
  BOOST_TEST(was.at("waiting_s").at("mean").as_double() == 50.0);
  BOOST_TEST(was.at("waiting_s").at("max").as_double() == 100.0);
  BOOST_TEST(would.at("waiting_s").at("mean").as_double() == 0.0);
  BOOST_TEST(was.at("refused").as_int64() == 1);
  // 200 of 1,000 seconds on one device, and on two.
  BOOST_TEST(was.at("use_pct").at("gpu").as_double() == 20.0);
  BOOST_TEST(would.at("use_pct").at("gpu").as_double() == 10.0);
  BOOST_TEST(was.at("largest_gangs_waiting_s").is_null());
  const auto& users = all.at("users").as_array();
  BOOST_REQUIRE(users.size() == 2u);
  BOOST_TEST(users[0].at("user").as_string() == "ann");
  BOOST_TEST(users[1].at("really").at("waiting_s").at("mean").as_double() ==
             100.0);
}

BOOST_FIXTURE_TEST_CASE(a_page_has_no_name_as_markup_and_is_the_same_twice,
                        OneMore) {
  const auto page = comparison_page(comparison);
  BOOST_TEST(!tells(page, "<b>ben"));
  BOOST_TEST(tells(page, "<title>What if: cell main</title>"));
  OneMore again;
  BOOST_TEST(page == comparison_page(again.comparison));
  BOOST_TEST(comparison_json(comparison) == comparison_json(again.comparison));
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace
}  // namespace reeve::tools::comparison_test
