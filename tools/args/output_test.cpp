#include "tools/args/output.hpp"

#include <boost/test/unit_test.hpp>

namespace reeve::tools {
namespace {

Table sample() {
  Table table(
      {{"ID"}, {"NAME", Table::Align::left, 1}, {"CPUS", Table::Align::right}});
  table.add({"s-1", "a long name for a session", "4"});
  table.add({"s-12", "", "16"});
  return table;
}

BOOST_AUTO_TEST_SUITE(output)

BOOST_AUTO_TEST_CASE(a_table_aligns_its_columns) {
  BOOST_TEST(sample().text({}) ==
             "ID    NAME                       CPUS\n"
             "s-1   a long name for a session     4\n"
             "s-12  -                            16\n");
}

BOOST_AUTO_TEST_CASE(a_narrow_terminal_cuts_the_column_that_yields) {
  BOOST_TEST(sample().text({true, false, 24}) ==
             "ID    NAME          CPUS\n"
             "s-1   a long name…     4\n"
             "s-12  -               16\n");
}

BOOST_AUTO_TEST_CASE(letters_of_several_bytes_count_as_one) {
  Table table({{"A", Table::Align::left, 1}, {"B"}});
  table.add({"äöü", "x"});
  table.add({"abcdef", "y"});
  BOOST_TEST(table.text({}) == "A       B\näöü     x\nabcdef  y\n");
}

BOOST_AUTO_TEST_CASE(control_characters_never_reach_the_terminal) {
  Table table({{"A"}});
  table.add({"a\033[31mb\n"});
  BOOST_TEST(table.text({}) == "A\na [31mb \n");
}

BOOST_AUTO_TEST_CASE(colours_are_only_used_where_asked) {
  Table table({{"A"}});
  table.add({"failed"});
  table.tone(0, tone_of("failed"));
  BOOST_TEST(table.text({}).find('\033') == std::string::npos);
  BOOST_TEST(table.text({true, true, 0}).find("\033[31mfailed\033[0m") !=
             std::string::npos);
}

BOOST_AUTO_TEST_CASE(json_is_built_field_by_field) {
  JsonObject object;
  object.text("a", "x\"y").number("b", 7).integer("c", -1).truth("d", true);
  object.time("e", 0).raw("f", json_array({"1", "2"}));
  BOOST_TEST(object.done() ==
             "{\"a\":\"x\\\"y\",\"b\":7,\"c\":-1,\"d\":true,\"e\":null,"
             "\"f\":[1,2]}");
  BOOST_TEST(JsonObject().done() == "{}");
}

BOOST_AUTO_TEST_CASE(a_sheet_aligns_values_and_skips_empty_ones) {
  Sheet sheet;
  sheet.add("id", "s-1");
  sheet.add("none", "");
  sheet.add("state", "running");
  BOOST_TEST(sheet.text() == "id:     s-1\nstate:  running\n");
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace
}  // namespace reeve::tools
