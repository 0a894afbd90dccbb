#include "schema/json.hpp"

#include <boost/json.hpp>
#include <boost/test/unit_test.hpp>

#include "schema/sample.hpp"
#include "tests/paths.hpp"

namespace reeve::schema::json_test {
namespace {

using testing::Fill;
using testing::Schemas;
namespace json = boost::json;

Schemas& schemas() {
  static Schemas all{std::filesystem::path(reeve::testing::source_dir()) /
                     "schema"};
  return all;
}

// The JSON form of one sample against the sample itself, field by field.
template <class Table>
void check(const std::string& table, const std::string& body, Fill fill) {
  const json::object sample = schemas().sample(table, body, fill);
  const auto buffer =
      schemas().binary(table, Wire<Table>::identifier, sample, false);
  const Table* root = verified<Table>(buffer.bytes());
  BOOST_REQUIRE_MESSAGE(root != nullptr, table << " " << body);
  json::error_code error;
  const json::value made = json::parse(to_json(*root), error);
  BOOST_REQUIRE_MESSAGE(!error, to_json(*root));
  std::vector<std::string> wrong;
  schemas().compare(schemas().object(table), sample, made.as_object(), body,
                    wrong);
  for (const std::string& line : wrong) BOOST_ERROR(line);
}

BOOST_AUTO_TEST_CASE(every_event_has_every_field_in_its_json) {
  const auto kinds = schemas().members("EventBody");
  BOOST_TEST(kinds.size() == static_cast<std::size_t>(EventBody::MAX));
  for (const std::string& kind : kinds) check<Event>("Event", kind, Fill::all);
}

BOOST_AUTO_TEST_CASE(an_unset_field_of_an_event_shows_its_default) {
  for (const std::string& kind : schemas().members("EventBody"))
    check<Event>("Event", kind, Fill::sparse);
}

BOOST_AUTO_TEST_CASE(every_command_has_every_field_in_its_json) {
  for (const std::string& kind : schemas().members("CommandBody")) {
    check<Command>("Command", kind, Fill::all);
    check<Command>("Command", kind, Fill::sparse);
  }
}

BOOST_AUTO_TEST_CASE(what_is_null_is_left_out_of_the_figures_of_a_node) {
  check<NodeStats>("NodeStats", {}, Fill::all);
  check<NodeStats>("NodeStats", {}, Fill::sparse);
}

// Such a number that is not named here is not in json.cpp either.
BOOST_AUTO_TEST_CASE(numbers_that_are_named_may_be_null_and_no_others) {
  for (const auto* object : *schemas().reflected().objects()) {
    const auto name = testing::short_name(object->name());
    for (const auto* field : *object->fields()) {
      const bool may_be_null =
          name == "DeviceStats" || name == "ProgramStats" ||
          (name == "SessionView" && field->name()->str() == "first_failed");
      if (field->type()->base_type() < reflection::BaseType::String &&
          !object->is_struct())
        BOOST_TEST(field->optional() == may_be_null,
                   object->name()->str() << "." << field->name()->str());
    }
  }
}

// A view comes inside an answer; only its own part has a JSON form.
template <class View>
void check_view(const std::string& table, const View* (*from)(const Answer&)) {
  for (const Fill fill : {Fill::all, Fill::sparse}) {
    json::object sample = schemas().sample("Answer", table, fill);
    const auto buffer =
        schemas().binary("Answer", Wire<Answer>::identifier, sample, false);
    const auto* answer = verified<Answer>(buffer.bytes());
    BOOST_REQUIRE(answer != nullptr);
    const View* view = from(*answer);
    BOOST_REQUIRE(view != nullptr);
    const json::value made = json::parse(to_json(*view));
    json::object wanted = sample.at("body").as_object();
    if (table == "NodesAnswer") wanted = wanted["nodes"].at(0).as_object();
    std::vector<std::string> wrong;
    schemas().compare(
        schemas().object(table == "NodesAnswer" ? "NodeView" : table), wanted,
        made.as_object(), table, wrong);
    for (const std::string& line : wrong) BOOST_ERROR(line);
  }
}

BOOST_AUTO_TEST_CASE(every_view_has_every_field_in_its_json) {
  check_view<SessionView>("SessionView", [](const Answer& answer) {
    return answer.body_as_SessionView();
  });
  check_view<WhyAnswer>("WhyAnswer", [](const Answer& answer) {
    return answer.body_as_WhyAnswer();
  });
  check_view<StatusAnswer>("StatusAnswer", [](const Answer& answer) {
    return answer.body_as_StatusAnswer();
  });
  check_view<NodeView>("NodesAnswer", [](const Answer& answer) {
    return answer.body_as_NodesAnswer()->nodes()->Get(0);
  });
}

// Whatever has no scalar shows the defaults of all of its fields.
void check_defaults(const std::string& table,
                    const flatbuffers::TypeTable* type) {
  flatbuffers::FlatBufferBuilder builder;
  const auto start = builder.StartTable();
  builder.Finish(flatbuffers::Offset<void>(builder.EndTable(start)));
  std::string text;
  append_json(text, flatbuffers::GetRoot<void>(builder.GetBufferPointer()),
              type);
  std::vector<std::string> wrong;
  schemas().compare(schemas().object(table), {}, json::parse(text).as_object(),
                    table, wrong);
  for (const std::string& line : wrong) BOOST_ERROR(line);
}

BOOST_AUTO_TEST_CASE(an_empty_table_shows_the_defaults_of_its_schema) {
  check_defaults("ResourceRequest", ResourceRequestTypeTable());
  check_defaults("SessionSpec", SessionSpecTypeTable());
  check_defaults("DeviceSpec", DeviceSpecTypeTable());
  check_defaults("AccountSpec", AccountSpecTypeTable());
  check_defaults("QuotaLimits", QuotaLimitsTypeTable());
  check_defaults("OutputRead", OutputReadTypeTable());
  check_defaults("OutputChunk", OutputChunkTypeTable());
}

// A table with such a field that is not named above is not in json.cpp either.
BOOST_AUTO_TEST_CASE(no_other_table_has_a_default_that_is_not_zero) {
  std::vector<std::string> found;
  for (const auto* object : *schemas().reflected().objects())
    for (const auto* field : *object->fields())
      if (field->default_integer() != 0 || field->default_real() != 0)
        found.push_back(testing::short_name(object->name()) + "." +
                        field->name()->str());
  const std::vector<std::string> known = {
      "AccountSpec.priority_max", "AccountSpec.weight_milli",
      "DeviceSpec.numa_node",     "OutputChunk.stream",
      "OutputRead.stream",        "QuotaLimits.cpu_milli",
      "QuotaLimits.gpu_milli",    "QuotaLimits.gpu_milli_hours",
      "QuotaLimits.memory_bytes", "QuotaLimits.sessions",
      "QuotaLimits.waiting",      "ResourceRequest.gpu_milli",
      "SessionSpec.tasks"};
  BOOST_TEST(found == known, boost::test_tools::per_element());
}

BOOST_AUTO_TEST_CASE(an_event_of_a_later_kind_is_told_by_its_number) {
  flatbuffers::FlatBufferBuilder builder;
  const auto body = CreateSessionWarned(builder, 7);
  const auto later = static_cast<EventBody>(250);
  builder.FinishSizePrefixed(
      CreateEvent(builder, 1, 0, 0, 0, nullptr, 0, later, body.Union()),
      "RVE1");
  const testing::Aligned made(builder.GetBufferPointer(), builder.GetSize());
  const Event* event = verified_event(made.bytes());
  BOOST_REQUIRE(event != nullptr);
  BOOST_TEST(to_json(*event).find("\"body_type\":250") != std::string::npos,
             to_json(*event));
}

BOOST_AUTO_TEST_CASE(the_largest_numbers_are_not_rounded) {
  json::object sample = schemas().sample("Event", "TaskStarted", Fill::sparse);
  sample["seq"] = ~std::uint64_t{0};
  const auto buffer = schemas().binary("Event", "RVE1", sample, false);
  const std::string text = to_json(*verified<Event>(buffer.bytes()));
  BOOST_TEST(text.find("\"seq\":18446744073709551615,") != std::string::npos);
}

BOOST_AUTO_TEST_CASE(times_are_rfc_3339_with_nanoseconds) {
  BOOST_TEST(rfc3339(0) == "1970-01-01T00:00:00.000000000Z");
  BOOST_TEST(rfc3339(951'782'400'000'000'001) ==
             "2000-02-29T00:00:00.000000001Z");
  BOOST_TEST(rfc3339(1'795'348'799'999'999'999) ==
             "2026-11-22T11:59:59.999999999Z");
  BOOST_TEST(rfc3339(4'102'444'800'000'000'000) ==
             "2100-01-01T00:00:00.000000000Z");
}

BOOST_AUTO_TEST_CASE(text_is_escaped_and_bad_utf8_replaced) {
  const auto made = [](std::string_view text) {
    std::string out;
    append_json_string(out, text);
    return out;
  };
  BOOST_TEST(made("a\"\\\n\x01\x7f") == R"("a\"\\\u000a\u0001\u007f")");
  BOOST_TEST(made("\xC3\xA9\xF0\x9F\x98\x80") ==
             "\"\xC3\xA9\xF0\x9F\x98\x80\"");
  // Alone, cut short, overlong, a surrogate, past the last code point.
  for (const char* bad : {"\x80", "\xC3", "\xC0\xAF", "\xED\xA0\x80",
                          "\xF4\x90\x80\x80", "\xFF"}) {
    BOOST_TEST(made(bad).find("\xEF\xBF\xBD") != std::string::npos);
    json::error_code error;
    json::parse(made(bad), error);
    BOOST_TEST(!error);
  }
}

BOOST_AUTO_TEST_CASE(kinds_are_told_in_snake_case) {
  BOOST_TEST(snake_case("SessionSubmitted") == "session_submitted");
  BOOST_TEST(snake_case("pending") == "pending");
}

}  // namespace
}  // namespace reeve::schema::json_test
