// schema/released/ holds all that was ever written: what a schema gains is
// added there too, and nothing is taken out. Under golden/ is one event of each
// kind, as it was first written, with its JSON form: this program writes those
// of new kinds with REEVE_WRITE_GOLDEN=1, and never one again that is there.
#include "schema/evolution.hpp"

#include <fmt/format.h>

#include <boost/json.hpp>
#include <boost/test/unit_test.hpp>
#include <cstdlib>
#include <fstream>
#include <iterator>
#include <set>

#include "schema/json.hpp"
#include "schema/sample.hpp"
#include "tests/paths.hpp"

namespace reeve::schema::evolution_test {
namespace {

using testing::Aligned;
using testing::breaches;
using testing::Fill;
using testing::Schemas;
namespace fs = std::filesystem;
namespace json = boost::json;

const fs::path folder = fs::path(reeve::testing::source_dir()) / "schema";

std::string read_file(const fs::path& file) {
  std::ifstream in(file, std::ios::binary);
  return {std::istreambuf_iterator<char>(in), {}};
}

std::set<std::string> schemas_of(const fs::path& where) {
  std::set<std::string> names;
  for (const auto& entry : fs::directory_iterator(where))
    if (entry.path().extension() == ".fbs")
      names.insert(entry.path().filename().string());
  return names;
}

BOOST_AUTO_TEST_CASE(the_schemas_read_what_was_ever_written) {
  BOOST_TEST(schemas_of(folder) == schemas_of(folder / "released"),
             boost::test_tools::per_element());
  const Schemas before{folder / "released"};
  const Schemas now{folder};
  for (const std::string& breach :
       breaches(before.reflected(), now.reflected()))
    BOOST_ERROR(breach);
}

// What is not kept there can be taken out again unnoticed.
BOOST_AUTO_TEST_CASE(what_the_schemas_gain_is_kept) {
  const Schemas kept{folder / "released"};
  const Schemas now{folder};
  for (const std::string& breach : breaches(now.reflected(), kept.reflected()))
    BOOST_ERROR("in schema/released: " << breach);
}

const std::string base = R"(
namespace n;
enum Colour:ubyte { red = 0, green = 1 }
struct Point { x:int; y:int; }
table Leaf { a:ulong; }
table Other { b:ulong; }
union Body { Leaf, Other }
table Root {
  number:uint = 3;
  name:string (required);
  note:string;
  colour:Colour;
  at:Point;
  all:[Leaf];
  body:Body;
}
root_type Root;
file_identifier "AAAA";
)";

struct Change {
  const char* from;
  const char* to;
  const char* breach;  // empty: allowed
};

const Change changes[] = {
    {"  body:Body;\n", "", "n.Root.body was removed"},
    {"  note:string;\n", "", "n.Root.note was removed"},
    {"  note:string;\n", "  remark:string;\n", "n.Root.note was removed"},
    {"number:uint = 3", "number:ulong = 3", "changed its type from UInt"},
    {"number:uint = 3", "number:int = 3", "changed its type from UInt to Int"},
    {"number:uint = 3", "number:uint = 4", "changed its default from 3 to 4"},
    {"number:uint = 3", "number:uint = null", "is now optional"},
    {"name:string (required)", "name:string", "is no longer required"},
    {"note:string", "note:string (required)", "is now required"},
    {"note:string", "note:string (deprecated)", "was deprecated"},
    {"  note:string;\n", "  fresh:int;\n  note:string;\n", "changed its id"},
    {"all:[Leaf]", "all:[Other]", "changed its type from vector of n.Leaf"},
    {"green = 1", "green = 2", "n.Colour.green was removed"},
    {", green = 1", "", "n.Colour.green was removed"},
    {"green = 1", "blue = 1", "n.Colour 1 was green and is blue"},
    {"enum Colour:ubyte", "enum Colour:ushort", "changed its underlying type"},
    {"x:int; y:int;", "x:int; y:int; z:int;", "grew from 8 to 12 bytes"},
    {"x:int; y:int;", "y:int; x:int;", "n.Point.x changed its place"},
    {"union Body { Leaf, Other }", "union Body { Leaf }",
     "n.Body.Other was removed"},
    {"union Body { Leaf, Other }", "union Body { Other, Leaf }",
     "n.Body 1 was Leaf and is Other"},
    {"union Body { Leaf, Other }", "union Body { Leaf, Other:Leaf }",
     "n.Body.Other is another table"},
    {"struct Point", "table Point", "n.Point is no longer a struct"},
    {"\"AAAA\"", "\"BBBB\"", "the file identifier AAAA became BBBB"},
    {"root_type Root", "root_type Leaf", "the root table n.Root changed"},
    {"  body:Body;\n", "  body:Body;\n  must:string (required);\n",
     "n.Root.must is new but required"},
    {"  body:Body;\n", "  body:Body;\n  more:string;\n", ""},
    {"green = 1", "green = 1, blue = 2", ""},
    {"union Body { Leaf, Other }", "union Body { Leaf, Other, More:Leaf }", ""},
    {"table Leaf", "table Fresh { z:int; }\ntable Leaf", ""},
};

BOOST_AUTO_TEST_CASE(every_planted_change_is_found_and_growth_is_allowed) {
  const Schemas before(base);
  for (const Change& change : changes) {
    std::string text = base;
    const std::size_t at = text.find(change.from);
    BOOST_REQUIRE_MESSAGE(at != std::string::npos, change.from);
    text.replace(at, std::string(change.from).size(), change.to);
    const Schemas now(text);
    std::string all;
    for (const auto& one : breaches(before.reflected(), now.reflected()))
      all += one + "\n";
    if (*change.breach == '\0')
      BOOST_TEST(all == "", change.to);
    else
      BOOST_TEST(all.find(change.breach) != std::string::npos,
                 change.from << " -> " << change.to << " gave: " << all);
  }
}

// Everything that `golden` says stands in `now` too; new keys may be added.
void check_contains(const json::value& now, const json::value& golden,
                    const std::string& path) {
  if (golden.is_object() && now.is_object()) {
    for (const auto& [key, value] : golden.as_object()) {
      const auto* found = now.as_object().if_contains(key);
      const std::string where = path + "." + std::string(key);
      BOOST_TEST(found != nullptr, where << " is missing");
      if (found) check_contains(*found, value, where);
    }
  } else if (golden.is_array() && now.is_array() &&
             golden.as_array().size() == now.as_array().size()) {
    for (std::size_t i = 0; i < golden.as_array().size(); ++i)
      check_contains(now.as_array()[i], golden.as_array()[i],
                     path + fmt::format("[{}]", i));
  } else {
    BOOST_TEST(now == golden, path << ": " << now << " was " << golden);
  }
}

void write_golden(Schemas& schemas, const std::string& kind,
                  const fs::path& file) {
  const Aligned made = schemas.binary(
      "Event", "RVE1", schemas.sample("Event", kind, Fill::all), true);
  std::ofstream(file, std::ios::binary)
      .write(reinterpret_cast<const char*>(made.bytes().data()),
             static_cast<std::streamsize>(made.bytes().size()));
  std::ofstream(fs::path(file).replace_extension(".json"))
      << to_json(event_of(made.bytes())) << "\n";
}

BOOST_AUTO_TEST_CASE(the_golden_event_of_every_kind_still_reads_the_same) {
  Schemas schemas{folder};
  const bool write = std::getenv("REEVE_WRITE_GOLDEN") != nullptr;
  for (const std::string& kind : schemas.members("EventBody")) {
    const fs::path file =
        folder / "released" / "golden" / (snake_case(kind) + ".bin");
    if (write && !fs::exists(file)) write_golden(schemas, kind, file);
    const std::string bytes = read_file(file);
    const Aligned golden(bytes.data(), bytes.size());
    const Event* event = verified_event(golden.bytes());
    BOOST_TEST(event != nullptr, file << " is missing or not an event");
    if (event == nullptr) continue;
    BOOST_TEST(EnumNameEventBody(event->body_type()) == kind);
    const std::string text =
        read_file(fs::path(file).replace_extension(".json"));
    json::error_code error;
    const json::value wanted = json::parse(text, error);
    BOOST_REQUIRE_MESSAGE(!error, file);
    check_contains(json::parse(to_json(*event)), wanted, kind);
  }
}

BOOST_AUTO_TEST_CASE(no_golden_event_belongs_to_a_kind_that_is_gone) {
  const Schemas schemas{folder};
  std::size_t kinds = schemas.members("EventBody").size();
  std::size_t files = 0;
  for (const auto& entry :
       fs::directory_iterator(folder / "released" / "golden"))
    files += entry.path().extension() == ".bin";
  BOOST_TEST(files == kinds);
}

}  // namespace
}  // namespace reeve::schema::evolution_test
