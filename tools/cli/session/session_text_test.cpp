#include "tools/cli/session/session_text.hpp"

#include <boost/json.hpp>
#include <boost/test/unit_test.hpp>
#include <optional>

namespace reeve::tools::session_text_test {
namespace {

namespace json = boost::json;
using schema::EndReason;
using schema::SessionState;

struct End {
  SessionState state = SessionState::failed;
  EndReason reason = EndReason::exited;
  int exit_code = 0;
  int signal = 0;
};

// A session with one task, both with that end.
json::object shown(const End& end) {
  flatbuffers::FlatBufferBuilder builder;
  schema::TaskViewBuilder task(builder);
  task.add_exit_code(end.exit_code);
  task.add_signal(end.signal);
  task.add_reason(end.reason);
  const auto tasks = builder.CreateVector(std::vector{task.Finish()});
  schema::SessionViewBuilder view(builder);
  view.add_session(3);
  view.add_state(end.state);
  view.add_reason(end.reason);
  view.add_exit_code(end.exit_code);
  view.add_signal(end.signal);
  view.add_tasks(tasks);
  builder.Finish(view.Finish());
  return json::parse(session_json(*flatbuffers::GetRoot<schema::SessionView>(
                         builder.GetBufferPointer())))
      .as_object();
}

BOOST_AUTO_TEST_SUITE(session_texts)

BOOST_AUTO_TEST_CASE(json_has_an_exit_code_where_a_command_exited_with_one) {
  const struct {
    End end;
    json::value session, task;
  } cases[] = {
      {{SessionState::pending, EndReason::none, 0, 0}, nullptr, nullptr},
      {{SessionState::running, EndReason::none, 0, 0}, nullptr, nullptr},
      {{SessionState::succeeded, EndReason::exited, 0, 0}, 0, 0},
      {{SessionState::failed, EndReason::exited, 7, 0}, 7, 7},
      {{SessionState::failed, EndReason::signalled, 139, 11}, nullptr, nullptr},
      {{SessionState::failed, EndReason::start_failed, 0, 0}, nullptr, nullptr},
      {{SessionState::cancelled, EndReason::cancelled, 0, 0}, nullptr, nullptr},
      // Its command took being ended well.
      {{SessionState::cancelled, EndReason::exited, 0, 0}, nullptr, 0}};
  for (const auto& c : cases) {
    const json::object made = shown(c.end);
    BOOST_TEST(made.at("session_id") == "s-3");
    BOOST_TEST(made.at("exit_code") == c.session);
    BOOST_TEST(made.at("tasks").at(0).at("exit_code") == c.task);
    BOOST_TEST(made.at("signal") == c.end.signal);
  }
}

BOOST_AUTO_TEST_CASE(a_gang_that_failed_names_the_task_that_did_so_first) {
  const auto text = [](SessionState state, std::uint32_t tasks,
                       std::optional<std::uint32_t> first) {
    flatbuffers::FlatBufferBuilder builder;
    schema::SessionViewBuilder view(builder);
    view.add_state(state);
    view.add_tasks_wanted(tasks);
    if (first) view.add_first_failed(*first);
    builder.Finish(view.Finish());
    return first_failed_text(
        *flatbuffers::GetRoot<schema::SessionView>(builder.GetBufferPointer()));
  };
  BOOST_TEST(text(SessionState::failed, 8, 2) == "task 2 of 8");
  // An older manager tells of none.
  BOOST_TEST(text(SessionState::failed, 8, std::nullopt) == "");
  BOOST_TEST(text(SessionState::failed, 1, 0) == "");
  BOOST_TEST(text(SessionState::cancelled, 8, 0) == "");
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace
}  // namespace reeve::tools::session_text_test
