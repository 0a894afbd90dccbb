#include "tools/log/usage_text.hpp"

#include <boost/json/parse.hpp>
#include <boost/test/unit_test.hpp>
#include <sstream>

namespace reeve::tools::usage_text_test {
namespace {

using namespace cluster::accounting;

// One hour of two GPUs of three and 1.5 of 4 CPUs.
UsagePeriod one_hour() {
  UsagePeriod out;
  out.from = Time{1'800'000'000 * second_ns};
  out.to = Time{out.from.value + hour_ns};
  UsageRow ann;
  ann.key = "ann \"the\" first,";
  ann.tasks = 2;
  ann.held = over({1'500, std::uint64_t{3} << 30, 2'000}, hour_ns);
  out.rows.push_back(ann);
  out.total = ann;
  out.total.idle = over({2'500, std::uint64_t{1} << 30, 0}, hour_ns);
  out.total.lost = over({0, 0, 1'000}, hour_ns);
  return out;
}

UsageShape shape(UsageBy by) {
  const auto period = one_hour();
  return {by, Per::all, period.from, period.to};
}

std::string written(std::unique_ptr<UsageWriter> writer) {
  std::string out = writer->begin();
  out += writer->add(one_hour());
  return out + writer->end();
}

bool contains(const std::string& text, const std::string& part) {
  return text.find(part) != std::string::npos;
}

BOOST_AUTO_TEST_SUITE(usage_as_text)

BOOST_AUTO_TEST_CASE(csv_has_as_many_fields_in_each_line_and_quotes_names) {
  for (const UsageBy by : {UsageBy::user, UsageBy::node}) {
    std::istringstream in(written(usage_csv(shape(by))));
    std::string head, row, total;
    BOOST_REQUIRE(std::getline(in, head) && std::getline(in, row) &&
                  std::getline(in, total));
    const auto commas = [](const std::string& line) {
      return std::count(line.begin(), line.end(), ',');
    };
    // One of the row's stands inside the quoted name.
    BOOST_TEST(commas(head) == commas(row) - 1);
    BOOST_TEST(commas(head) == commas(total));
    BOOST_TEST(contains(row, ",\"ann \"\"the\"\" first,\",2,1.500000,"));
    BOOST_TEST(contains(row, "5400000000000000"));  // 1,500 * 3.6e12
  }
}

BOOST_AUTO_TEST_CASE(json_holds_exact_integers_and_rounded_hours) {
  const auto json =
      boost::json::parse(written(usage_json(shape(UsageBy::user))));
  BOOST_TEST((json.at("by") == "user"));
  BOOST_TEST(json.at("per").is_null());
  const auto& period = json.at("periods").at(0);
  const auto& row = period.at("rows").at(0);
  BOOST_TEST((row.at("user") == "ann \"the\" first,"));
  BOOST_TEST((row.at("held").at("gpu_milli_ns") == 7'200'000'000'000'000));
  BOOST_TEST((row.at("held").at("gpu_hours") == 2.0));
  BOOST_TEST(!row.as_object().contains("idle"));
  const auto& total = period.at("total");
  BOOST_TEST((total.at("capacity").at("gpu_hours") == 3.0));
  BOOST_TEST((total.at("lost").at("gpu_hours") == 1.0));
  BOOST_TEST((total.at("idle").at("cpu_hours") == 2.5));
}

BOOST_AUTO_TEST_CASE(people_get_hours_with_the_rest_of_the_capacity) {
  const auto owners = written(usage_table(shape(UsageBy::user), {}));
  BOOST_TEST(contains(owners, "1.500"));
  BOOST_TEST(contains(owners, "66.7 %"));
  BOOST_TEST(contains(owners, "idle"));
  BOOST_TEST(contains(owners, "lost"));
  BOOST_TEST(!contains(owners, "drained"));
  const auto places = written(usage_table(shape(UsageBy::node), {}));
  BOOST_TEST(contains(places, "DRAINED"));
  BOOST_TEST(contains(places, "37.5 %"));  // of the CPUs
}

BOOST_AUTO_TEST_CASE(tables_fit_a_narrow_terminal) {
  for (const UsageBy by : {UsageBy::user, UsageBy::node}) {
    Terminal terminal;
    terminal.width = 44;
    std::istringstream in(written(usage_table(shape(by), terminal)));
    for (std::string line; std::getline(in, line);) {
      const auto points = std::count_if(line.begin(), line.end(), [](char c) {
        return (static_cast<unsigned char>(c) & 0xC0) != 0x80;
      });
      BOOST_TEST(points <= 44, line);
    }
  }
}

BOOST_AUTO_TEST_CASE(an_answer_has_so_many_rows_and_not_one_more) {
  UsageRows rows;
  BOOST_TEST(rows.take(usage_rows_max - 1));
  BOOST_TEST(rows.take(1));
  BOOST_TEST(rows.within().has_value());
  BOOST_TEST(!rows.take(1));
  BOOST_TEST(contains(rows.within().error().text, "2000001 rows"));
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace
}  // namespace reeve::tools::usage_text_test
