#include "tools/args/output.hpp"

#include <boost/test/unit_test.hpp>

namespace reeve::tools::output_test {
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

Table wide() {
  Table table({{"ID"},
               {"STATE"},
               {"NAME", Table::Align::left, 1},
               {"TASKS", Table::Align::right, 3},
               {"NODES", Table::Align::left, 2}});
  table.add({"s-1", "pending", "a long name for a session", "4", ""});
  table.add({"s-123456", "running", "x", "16", "host-1 host-2 host-3"});
  return table;
}

BOOST_AUTO_TEST_CASE(no_line_of_a_table_is_wider_than_the_terminal) {
  for (std::size_t width = 16; width < 90; ++width) {
    const std::string text = wide().text({true, false, width});
    std::size_t line = 0;
    for (const char c : text)
      if (c == '\n') {
        BOOST_TEST(line <= width, width << ":\n" << text);
        line = 0;
      } else if ((static_cast<unsigned char>(c) & 0xC0) != 0x80) {
        ++line;
      }
  }
}

BOOST_AUTO_TEST_CASE(text_is_cut_first_and_then_columns_are_left_out) {
  BOOST_TEST(wide().text({true, false, 60}) ==
             "ID        STATE    NAME                       TASKS  NODES\n"
             "s-1       pending  a long name for a session      4  -\n"
             "s-123456  running  x                             16  host-1…\n");
  BOOST_TEST(wide().text({true, false, 40}) ==
             "ID        STATE    NAME    TASKS  NODES\n"
             "s-1       pending  a lon…      4  -\n"
             "s-123456  running  x          16  host-…\n");
  BOOST_TEST(wide().text({true, false, 32}) ==
             "ID        STATE    NAME …\n"
             "s-1       pending  a long name …\n"
             "s-123456  running  x\n");
  BOOST_TEST(wide().text({true, false, 20}) ==
             "ID        STATE …\n"
             "s-1       pending\n"
             "s-123456  running\n");
}

BOOST_AUTO_TEST_CASE(a_long_line_goes_on_below_at_a_space) {
  BOOST_TEST(wrapped("one two three four\n", 0, 4) == "one two three four\n");
  BOOST_TEST(wrapped("one two three four\n", 13, 4) ==
             "one two three\n    four\n");
  BOOST_TEST(wrapped("one two three four\n", 12, 4) ==
             "one two\n    three\n    four\n");
  BOOST_TEST(wrapped("a: abcdefghij\nb\n", 8, 3) == "a: abcde\n   fghij\nb\n");
  BOOST_TEST(wrapped("\033[32mok\033[0m fine so far", 10, 3) ==
             "\033[32mok\033[0m fine so\n   far");
  BOOST_TEST(wrapped("äöü äöü", 4, 1) == "äöü\n äöü");
  Sheet sheet;
  sheet.add("id", "s-1");
  sheet.add("command", "sh -c 'sleep 3'");
  BOOST_TEST(sheet.text({true, false, 20}) ==
             "id:       s-1\n"
             "command:  sh -c\n"
             "          'sleep 3'\n");
}

BOOST_AUTO_TEST_CASE(columns_that_are_no_width_say_nothing) {
  BOOST_TEST(columns_of("40") == 40u);
  BOOST_TEST(columns_of("10000") == 10'000u);
  for (const char* text : {"", "0", "-1", "wide", "80x", "10001", "1e3"})
    BOOST_TEST(columns_of(text) == 0u, text);
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
  object.integer("g", std::optional(3)).integer("h", std::nullopt);
  object.time("e", 0).raw("f", json_array({"1", "2"}));
  BOOST_TEST(object.done() ==
             "{\"a\":\"x\\\"y\",\"b\":7,\"c\":-1,\"d\":true,"
             "\"g\":3,\"h\":null,\"e\":null,"
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
}  // namespace reeve::tools::output_test
