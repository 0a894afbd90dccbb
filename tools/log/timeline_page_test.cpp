#include <boost/json/parse.hpp>
#include <sstream>

#include "tools/log/test_view.hpp"

namespace reeve::tools::timeline_page_test {
namespace {

using testing::SmallCell;

constexpr const char* nasty = "</script><img src=x onerror=alert(1)>\"'&";

BOOST_AUTO_TEST_SUITE(timeline_as_page)

BOOST_AUTO_TEST_CASE(no_name_from_outside_becomes_markup) {
  const SmallCell cell(nasty);
  const std::string page = timeline_page(cell.view());
  BOOST_TEST(page.find("<img") == std::string::npos);
  BOOST_TEST(page.find("onerror") == std::string::npos);
  // The frame, the data, the script: no more script elements than these.
  std::size_t ends = 0;
  for (auto at = page.find("</script>"); at != std::string::npos;
       at = page.find("</script>", at + 1))
    ++ends;
  BOOST_TEST(ends == 2);
}

BOOST_AUTO_TEST_CASE(the_page_fetches_nothing_and_runs_only_its_script) {
  const SmallCell cell;
  const std::string page = timeline_page(cell.view());
  BOOST_TEST(page.find("default-src 'none'; script-src 'sha256-") !=
             std::string::npos);
  for (const char* word : {"http:", "https:", "src=", "href=", "@import"})
    BOOST_TEST(page.find(word) == std::string::npos, word);
}

BOOST_AUTO_TEST_CASE(equal_logs_give_equal_pages) {
  const SmallCell one;
  const SmallCell other;
  BOOST_TEST((timeline_page(one.view()) == timeline_page(other.view())));
}

BOOST_AUTO_TEST_CASE(json_has_a_line_for_each_allocation_and_span) {
  const SmallCell cell(nasty);
  std::istringstream in(timeline_json(cell.view()));
  std::size_t nodes = 0;
  std::vector<boost::json::object> allocations;
  for (std::string line; std::getline(in, line);) {
    auto value = boost::json::parse(line).as_object();
    if (value.at("type") == "node")
      ++nodes;
    else
      allocations.push_back(std::move(value));
  }
  // n0: 1; n1: up, drained; n2: lost, up.
  BOOST_TEST(nodes == 5);
  BOOST_REQUIRE_EQUAL(allocations.size(), 2);
  BOOST_TEST((allocations[0].at("name") == nasty));
  BOOST_TEST((allocations[0].at("state") == "failed"));
  BOOST_TEST((allocations[0].at("exit_code") == 3));
  BOOST_TEST((allocations[0].at("ended") == true));
  BOOST_TEST((allocations[1].at("state") == "running"));
  BOOST_TEST(allocations[1].at("exit_code").is_null());
  BOOST_TEST((allocations[1].at("ended") == false));
  BOOST_TEST((allocations[1].at("devices").at(0).at("gpu_milli") == 250));
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace
}  // namespace reeve::tools::timeline_page_test
