// Worked examples as data: examples.txt and examples_room.txt have them,
// case.hpp says how they read.
#include <boost/test/unit_test.hpp>
#include <fstream>

#include "cluster/scheduling/case.hpp"
#include "tests/paths.hpp"

namespace examples_test {

using namespace reeve::cluster;

namespace {

// By their names: what follows a line "example NAME".
void add_examples(const std::string& file, std::map<std::string, Case>& found) {
  std::ifstream in(reeve::testing::source_dir() + "/cluster/scheduling/" +
                   file);
  BOOST_REQUIRE(in);
  std::string name;
  const std::string mark = "example ";
  for (std::string line; std::getline(in, line);) {
    if (line.starts_with(mark)) {
      name = line.substr(mark.size());
      BOOST_TEST(!found.contains(name), name);
    }
    if (!name.empty() && !line.starts_with(mark)) found[name].push_back(line);
  }
}

}  // namespace

BOOST_AUTO_TEST_SUITE(examples_as_data)

BOOST_AUTO_TEST_CASE(each_example_goes_as_written_and_by_the_rules) {
  std::map<std::string, Case> all;
  add_examples("examples.txt", all);
  add_examples("examples_room.txt", all);
  BOOST_TEST(all.size() > 10);
  for (const auto& [name, lines] : all) BOOST_TEST_CONTEXT(name) {
      BOOST_TEST(run_case(lines).wrong == "");
    }
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace examples_test
