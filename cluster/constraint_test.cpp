#include "cluster/constraint.hpp"

#include <boost/test/unit_test.hpp>

namespace constraint_test {

using namespace reeve;

namespace {

const Labels labels = {{"rack", "r1"},
                       {"disk", "nvme"},
                       {"speed", "25"},
                       {"zone", "eu west"},
                       {"empty", ""}};

NodeFacts node() {
  return {"n7", &labels, 16'500, 4, {"H100", "A100"}};
}

struct Example {
  const char* text;
  bool holds;
};

}  // namespace

BOOST_AUTO_TEST_SUITE(constraint)

BOOST_AUTO_TEST_CASE(expressions_hold_or_not_on_a_node) {
  const Example examples[] = {
      {"rack=r1", true},
      {"rack = r1", true},
      {"rack==r1", true},
      {"rack=r2", false},
      {"rack!=r2", true},
      {"rack!=r1", false},
      {"rack", true},
      {"row", false},
      {"!row", true},
      {"row!=1", true},
      {"row=1", false},
      {"row>=1", false},
      {"empty", true},
      {"empty=\"\"", true},
      {"zone=\"eu west\"", true},
      {"zone='eu west'", true},
      {"speed>=25", true},
      {"speed>25", false},
      {"speed<100", true},
      {"speed<=24.5", false},
      {"disk>1", false},
      {"node=n7", true},
      {"node!=n7", false},
      {"gpu_model=h100", true},
      {"gpu_model=A100", true},
      {"gpu_model=v100", false},
      {"gpu_model!=v100", true},
      {"gpu_model!=a100", false},
      {"gpu_model", true},
      {"gpus=4", true},
      {"gpus>=4 && cpus>16", true},
      {"cpus=16.5", true},
      {"cpus<16.5", false},
      {"rack=r2 || disk=nvme", true},
      {"rack=r2 || disk=nvme && speed=1", false},
      {"(rack=r1 || rack=r2) && !(disk=hdd)", true},
      {"!(rack=r1 || rack=r2)", false},
      {"!!rack", true},
  };
  for (const Example& example : examples) {
    const auto parsed = Constraint::parse(example.text);
    BOOST_REQUIRE_MESSAGE(parsed, example.text << parsed.error().text);
    BOOST_TEST(parsed->matches(node()) == example.holds, example.text);
  }
}

BOOST_AUTO_TEST_CASE(a_node_without_labels_has_none_that_equals) {
  NodeFacts bare;
  BOOST_TEST(!Constraint::parse("rack=r1")->matches(bare));
  BOOST_TEST(Constraint::parse("rack!=r1")->matches(bare));
  BOOST_TEST(!Constraint::parse("gpus")->matches(bare));
  BOOST_TEST(!Constraint::parse("gpu_model")->matches(bare));
  BOOST_TEST(Constraint().matches(bare));
}

BOOST_AUTO_TEST_CASE(what_does_not_parse_is_shown_with_its_place) {
  struct Bad {
    const char* text;
    const char* error;
  };
  const Bad all[] = {
      {"", "constraint: a key is expected here\n  \n  ^"},
      {"rack=", "constraint: a value is expected here\n  rack=\n       ^"},
      {"rack=r1 disk=nvme",
       "constraint: \"&&\" or \"||\" is expected here\n"
       "  rack=r1 disk=nvme\n          ^"},
      {"(rack=r1",
       "constraint: \")\" is expected here\n  (rack=r1\n          ^"},
      {"rack='r1",
       "constraint: this quote is not closed\n  rack='r1\n       ^"},
      {"rack & disk",
       "constraint: \"&&\" or \"||\" is expected here\n  rack & disk\n       "
       "^"},
      {"speed>fast",
       "constraint: a number is expected here\n  speed>fast\n        ^"},
      {"gpus=many",
       "constraint: a number is expected here\n  gpus=many\n       ^"},
      {"node>n1", "constraint: node has no order\n  node>n1\n       ^"},
      {"rack=r1 &&",
       "constraint: a key is expected here\n  rack=r1 &&\n            ^"},
  };
  for (const Bad& bad : all) {
    const auto parsed = Constraint::parse(bad.text);
    BOOST_REQUIRE_MESSAGE(!parsed, bad.text);
    BOOST_TEST(parsed.error().text == bad.error);
  }
}

BOOST_AUTO_TEST_CASE(depth_and_length_are_bounded) {
  const auto nested = [](std::size_t levels) {
    return std::string(levels - 1, '(') + "a" + std::string(levels - 1, ')');
  };
  BOOST_TEST(Constraint::parse(nested(constraint_depth_max)).has_value());
  BOOST_TEST(!Constraint::parse(nested(constraint_depth_max + 1)).has_value());
  BOOST_TEST(!Constraint::parse(std::string(constraint_depth_max, '!') + "a")
                  .has_value());
  const std::string longest(constraint_bytes_max, 'a');
  BOOST_TEST(Constraint::parse(longest).has_value());
  BOOST_TEST(!Constraint::parse(longest + 'a').has_value());
}

BOOST_AUTO_TEST_CASE(company_is_a_word_and_perhaps_a_label) {
  const auto word = parse_company("train");
  BOOST_REQUIRE(word);
  BOOST_TEST(word->word == "train");
  BOOST_TEST(word->label == "");
  const auto both = parse_company("train@rack");
  BOOST_REQUIRE(both);
  BOOST_TEST(both->word == "train");
  BOOST_TEST(both->label == "rack");
  for (const char* bad : {"", "@rack", "train@", "a b", "a@b@c"})
    BOOST_TEST(!parse_company(bad).has_value(), bad);
}

BOOST_AUTO_TEST_CASE(a_label_is_not_named_as_what_is_known_anyway) {
  BOOST_TEST(check_label_key("rack").has_value());
  for (const char* bad :
       {"", "node", "gpus", "cpus", "gpu_model", "a=b", "a b"})
    BOOST_TEST(!check_label_key(bad).has_value(), bad);
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace constraint_test
