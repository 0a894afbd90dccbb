#include "bus/subject.hpp"

#include <boost/test/unit_test.hpp>

#include "bus/test_support.hpp"
#include "schema/wire.hpp"

namespace reeve::bus::subject_test {
namespace {

const Subjects subjects("lab");

BOOST_AUTO_TEST_CASE(a_plain_name_is_its_own_token) {
  BOOST_TEST(escape_token("gpu-07_a") == "gpu-07_a");
}

BOOST_AUTO_TEST_CASE(dots_capitals_and_wildcards_are_escaped) {
  BOOST_TEST(escape_token("Node.7") == "=4eode=2e7");
  BOOST_TEST(escape_token("*>") == "=2a=3e");
  BOOST_TEST(escape_token("") == "=");
}

BOOST_AUTO_TEST_CASE(every_name_comes_back_from_its_token) {
  std::string name;
  for (int c = 0; c < 256; ++c) {
    name += static_cast<char>(c);
    for (const std::string& one :
         {name, std::string(1, static_cast<char>(c))}) {
      const std::string token = escape_token(one);
      BOOST_TEST(valid_subject(token));
      BOOST_TEST((unescape_token(token) == one));
    }
  }
  BOOST_TEST((unescape_token(escape_token("")) == ""));
}

BOOST_AUTO_TEST_CASE(a_token_that_no_name_makes_is_refused) {
  for (const char* token :
       {"", "A", "a.b", "=2", "=zz", "=2E", "=61", "a=", "a=4", "*", "=="})
    BOOST_TEST(!unescape_token(token).has_value(), token);
}

BOOST_AUTO_TEST_CASE(subjects_with_holes_wildcards_or_spaces_are_refused) {
  BOOST_TEST(valid_subject("reeve.c.cmd.a.b"));
  for (const char* subject :
       {"", ".", "a.", ".a", "a..b", "a.*", "a.>", "a b", "a\n.b", "a\x7f"})
    BOOST_TEST(!valid_subject(subject), subject);
  BOOST_TEST(!valid_subject(std::string(subject_bytes_max + 1, 'a')));
  BOOST_TEST(valid_subject(std::string(subject_bytes_max, 'a')));
}

BOOST_AUTO_TEST_CASE(a_pattern_may_end_in_the_rest_but_not_contain_it) {
  BOOST_TEST(valid_pattern("a.*.b"));
  BOOST_TEST(valid_pattern("a.>"));
  for (const char* pattern : {"a.>.b", "a*.b", "", "a..>"})
    BOOST_TEST(!valid_pattern(pattern), pattern);
}

BOOST_AUTO_TEST_CASE(the_sender_is_read_from_commands_and_queries) {
  BOOST_TEST(
      (subjects.principal_of(subjects.command("Ann.B", "submit")) == "Ann.B"));
  BOOST_TEST((subjects.principal_of(subjects.query("ann")) == "ann"));
}

BOOST_AUTO_TEST_CASE(other_subjects_name_no_sender) {
  for (const char* subject :
       {"reeve.lab.cmd.ann", "reeve.lab.qry.ann.x", "reeve.lab.evt.ann.x",
        "reeve.other.cmd.ann.x", "reeve.lab.cmd.Ann.x", "reeve.lab.", ""})
    BOOST_TEST(!subjects.principal_of(subject).has_value(), subject);
}

BOOST_AUTO_TEST_CASE(output_names_the_agent_that_may_say_so) {
  const std::string subject = subjects.output("N.1", 12, 3);
  BOOST_TEST(subject == "reeve.lab.out.=4e=2e1.12.3");
  BOOST_TEST((subjects.agent_of_output(subject) == "N.1"));
  BOOST_TEST(subjects.outputs_of_agent("N.1") == "reeve.lab.out.=4e=2e1.>");
  BOOST_TEST(subjects.outputs_of_session(12) == "reeve.lab.out.*.12.*");
  for (const char* other : {"reeve.lab.out", "reeve.lab.out.N.12.3",
                            "reeve.other.out.n.12.3", "reeve.lab.stat.n", ""})
    BOOST_TEST(!subjects.agent_of_output(other).has_value(), other);
}

BOOST_AUTO_TEST_CASE(an_event_names_its_entity_its_number_and_its_kind) {
  const Buffer event = testing::make_event(3, 12);
  BOOST_TEST(subjects.event(schema::event_of(event)) ==
             "reeve.lab.evt.session.12.task_started");
}

BOOST_AUTO_TEST_CASE(a_command_names_its_kind) {
  const Buffer command = testing::make_command(1);
  BOOST_TEST(command_kind(*schema::verified<schema::Command>(command)) ==
             "cancel_session");
}

BOOST_AUTO_TEST_CASE(answers_go_only_to_the_asker_s_own_inbox) {
  BOOST_TEST(Subjects::may_answer("ann", "_INBOX.ann.x.1"));
  for (const char* reply :
       {"_INBOX.anna.x", "_INBOX.ann", "_INBOX.ann.", "_INBOX.ann.*",
        "reeve.lab.evt.session.1.session_ended", ""})
    BOOST_TEST(!Subjects::may_answer("ann", reply), reply);
}

}  // namespace
}  // namespace reeve::bus::subject_test
