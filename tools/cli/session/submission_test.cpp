#include "tools/cli/session/submission.hpp"

#include <unistd.h>

#include <boost/test/unit_test.hpp>

#include "cluster/limits.hpp"
#include "schema/wire.hpp"
#include "tools/args/commands.hpp"
#include "tools/cli/child_output.hpp"
#include "tools/cli/session/submission_file.hpp"

namespace reeve::tools::submission_test {
namespace {

const Surroundings here{
    "ann",
    "ann",
    1000,
    1001,
    "/users/ann",
    {{"PATH", "/bin"}, {"HOME", "/users/ann"}, {"SECRET", "x"}, {"SEED", "7"}},
    {1'795'183'200ull * 1'000'000'000, 0}};

std::string refusal(std::string_view key, std::string_view value) {
  Submission submission = blank_submission(here);
  const auto good = set_key(submission, key, value, here);
  return good ? "accepted" : good.error().text;
}

bool contains(std::string_view text, std::string_view part) {
  return text.find(part) != std::string_view::npos;
}

Submission with(std::string_view key, std::string_view value) {
  Submission out = blank_submission(here);
  const auto good = set_key(out, key, value, here);
  BOOST_REQUIRE_MESSAGE(good.has_value(), key);
  return out;
}

BOOST_AUTO_TEST_SUITE(submission)

BOOST_AUTO_TEST_CASE(gpus_are_whole_shares_or_of_a_model) {
  const auto whole = with("gpus", "2");
  BOOST_TEST(whole.gpus == 2u);
  BOOST_TEST(whole.gpu_milli == 1000u);
  const auto share = with("gpus", "0.25");
  BOOST_TEST(share.gpus == 1u);
  BOOST_TEST(share.gpu_milli == 250u);
  const auto model = with("gpus", "T4|P100:2");
  BOOST_TEST(model.gpus == 2u);
  BOOST_TEST((model.gpu_models == std::vector<std::string>{"T4", "P100"}));
  BOOST_TEST(with("gpus", "0").gpus == 0u);
  BOOST_TEST(contains(refusal("gpus", "1.5"), "comes whole"));
  BOOST_TEST(contains(refusal("gpus", ":2"), "names no model"));
  BOOST_TEST(contains(refusal("gpus", "A100"), "number of GPUs"));
  BOOST_TEST(contains(refusal("gpus", "65"), "at most 64"));
}

BOOST_AUTO_TEST_CASE(each_value_that_does_not_parse_names_its_key) {
  for (const auto& [key, value] :
       {std::pair{"cpus", "x"}, {"mem", "4X"},        {"mem", "512"},
        {"tasks", "0"},         {"nodes", "-1"},      {"time", "90"},
        {"time", "0"},          {"priority", "high"}, {"env", "=1"},
        {"env", "A B=c"},       {"env", "A\t=c"},     {"env", "UNSET"},
        {"label", "x"},         {"after", "12:soon"}, {"after", "x"},
        {"not-before", "soon"}, {"requeue", "-1"},    {"sim-duration", "5"},
        {"array", "9"},         {"array", "3-1"},     {"array", "1-9%0"},
        {"constraint", "a="},   {"prefer", "&&"},     {"together", "a b"},
        {"apart", "@rack"},     {"within", ""},       {"grace", "5"},
        {"cut-off", "soon"},    {"warn", "USR1"},     {"warn", "FOO@5s"},
        {"warn", "65@5s"},      {"warn", "USR1@0"},   {"on-preempt", "never"},
        {"reservation", ""},    {"image", "i"},       {"volume", "v"},
        {"gpu-mem", "1"},       {"name", ""}})
    BOOST_TEST_CONTEXT(key << " " << value) {
      BOOST_TEST(refusal(key, value).starts_with(std::string(key) + ": "));
    }
  BOOST_TEST(contains(refusal("mem", "512"), "write 512M"));
  BOOST_TEST(contains(refusal("tasks", "0"), "from 1 to 4096"));
  BOOST_TEST(contains(refusal("tasks", "4097"), "from 1 to 4096"));
  BOOST_TEST(
      contains(refusal("cpus", "99999999999999999999"), "at most 4294967.295"));
}

BOOST_AUTO_TEST_CASE(an_array_is_a_range_with_perhaps_a_bound) {
  BOOST_TEST((with("array", "1-100").array == ArrayWish{1, 100, 0}));
  BOOST_TEST((with("array", "0-0%7").array == ArrayWish{0, 0, 7}));
  BOOST_TEST(!blank_submission(here).array.has_value());
}

BOOST_AUTO_TEST_CASE(a_warning_is_a_signal_some_time_before_the_limit) {
  for (const char* text : {"USR1@60s", "SIGUSR1@1m", "10@60s"}) {
    auto submission = with("warn", text);
    BOOST_TEST(int{submission.warn_signal} == 10, text);
    BOOST_TEST(submission.warn_ns == 60'000'000'000u, text);
    submission.argv = {"true"};
    BOOST_TEST(!check_submission(submission).has_value());
    submission.time_limit_ns = submission.warn_ns + 1;
    BOOST_TEST(check_submission(submission).has_value());
  }
}

BOOST_AUTO_TEST_CASE(wishes_about_a_place_reach_the_command) {
  Submission submission = with("constraint", "rack=r1");
  for (const auto& [key, value] : {std::pair{"prefer", "disk=nvme"},
                                   {"prefer", "gpus>4"},
                                   {"together", "a@rack"},
                                   {"apart", "b"},
                                   {"within", "rack"},
                                   {"grace", "2m"},
                                   {"cut-off", "3m"},
                                   {"on-preempt", "end"},
                                   {"reservation", "demo"},
                                   {"array", "2-5%3"}})
    BOOST_REQUIRE(set_key(submission, key, value, here).has_value());
  const auto bytes = encode_submit(submission, 1, 2).value();
  const auto* command = schema::verified<schema::Command>(bytes);
  BOOST_REQUIRE(command);
  const auto* body = command->body_as_SubmitSession();
  BOOST_TEST(body->array());
  BOOST_TEST(body->array_from() == 2u);
  BOOST_TEST(body->array_to() == 5u);
  const auto* spec = body->spec();
  BOOST_TEST(schema::text(spec->constraint()) == "rack=r1");
  BOOST_TEST(spec->prefer()->size() == 2u);
  BOOST_TEST(schema::text(spec->together()) == "a@rack");
  BOOST_TEST(schema::text(spec->apart()) == "b");
  BOOST_TEST(schema::text(spec->within()) == "rack");
  BOOST_TEST(spec->grace_ns() == 120'000'000'000u);
  BOOST_TEST(spec->cut_off_ns() == 180'000'000'000u);
  BOOST_TEST((spec->on_preempt() == schema::OnPreempt::end));
  BOOST_TEST(schema::text(spec->reservation()) == "demo");
  BOOST_TEST(spec->array_running_max() == 3u);
}

BOOST_AUTO_TEST_CASE(a_number_past_its_bound_is_refused_with_the_bound) {
  const auto text = [](auto number) { return std::to_string(number); };
  BOOST_TEST(with("priority", text(priority_limit)).priority == priority_limit);
  BOOST_TEST(with("priority", text(-priority_limit)).priority ==
             -priority_limit);
  for (const auto& past : {text(priority_limit + 1), text(-priority_limit - 1)})
    BOOST_TEST(contains(refusal("priority", past), "1000000"), past);
  BOOST_TEST(with("requeue", text(requeue_limit)).requeue_max == requeue_limit);
  BOOST_TEST(contains(refusal("requeue", text(requeue_limit + 1)), "1000"));
  BOOST_TEST(with("mem", text(memory_bytes_min)).memory_bytes ==
             memory_bytes_min);
  BOOST_TEST(contains(refusal("mem", text(memory_bytes_min - 1)), "1 MiB"));
}

BOOST_AUTO_TEST_CASE(a_file_is_read_up_to_its_bound) {
  BOOST_TEST(submission_file_bytes_max == 256u << 20);
  for (const std::size_t size : {0u, 9u, 10u, 11u}) {
    int ends[2];
    BOOST_REQUIRE(::pipe(ends) == 0);
    const std::string written(size, 'x');
    BOOST_REQUIRE(::write(ends[1], written.data(), size) ==
                  static_cast<ssize_t>(size));
    ::close(ends[1]);
    const auto read = read_bounded(ends[0], "f.jsonl", 10);
    ::close(ends[0]);
    BOOST_TEST(read.has_value() == (size <= 10));
    if (read) BOOST_TEST(*read == written);
    if (!read) BOOST_TEST(contains(read.error().text, "more than 10 bytes"));
  }
  BOOST_TEST(!read_bounded(-1, "f.jsonl", 10).has_value());
}

BOOST_AUTO_TEST_CASE(what_another_program_prints_is_cut_at_its_bound) {
  for (const std::size_t size :
       {child_output_bytes_max, child_output_bytes_max + 1}) {
    const auto printed =
        output_of({"/usr/bin/printf", "%" + std::to_string(size) + "s", "x"});
    BOOST_REQUIRE(printed.has_value());
    BOOST_TEST(printed->size() == child_output_bytes_max);
    BOOST_TEST((printed->back() == 'x') == (size == child_output_bytes_max));
  }
}

BOOST_AUTO_TEST_CASE(the_callers_directory_is_a_wish_and_a_named_one_a_must) {
  BOOST_TEST(blank_submission(here).workdir_optional);
  BOOST_TEST(!with("workdir", "/srv").workdir_optional);
}

BOOST_AUTO_TEST_CASE(every_option_is_a_key) {
  for (const auto& option : session_options())
    BOOST_TEST(!contains(refusal(option.name.substr(2), "1"), "no such key"));
}

BOOST_AUTO_TEST_CASE(a_task_sees_few_variables_and_those_asked_for) {
  auto submission = blank_submission(here);
  BOOST_REQUIRE(set_key(submission, "env", "SEED", here).has_value());
  BOOST_REQUIRE(
      set_key(submission, "env", "PATH=/usr/games", here).has_value());
  const Submission::Pairs expected = {
      {"PATH", "/usr/games"}, {"HOME", "/users/ann"}, {"SEED", "7"}};
  BOOST_TEST((submission.env == expected));
  BOOST_TEST(with("workdir", "sub").workdir == "/users/ann/sub");
  BOOST_TEST(with("workdir", "/srv").workdir == "/srv");
}

BOOST_AUTO_TEST_CASE(what_runs_for_another_has_nothing_of_the_callers) {
  auto submission = with("user", "bob");
  BOOST_TEST(submission.user == "bob");
  act_for(submission, {1002, 1003, "/users/bob"}, here);
  BOOST_TEST(submission.uid == 1002u);
  BOOST_TEST(submission.gid == 1003u);
  const Submission::Pairs his = {
      {"PATH", "/bin"}, {"USER", "bob"}, {"HOME", "/users/bob"}};
  BOOST_TEST((submission.env == his));
  // What was asked for stays; what nobody knows is not the caller's either.
  // POSIX names more than a shell can.
  BOOST_TEST(with("env", "a.b-c%=1").env.back().first == "a.b-c%");
  submission = with("env", "HOME=/srv");
  submission.user = "bob";
  act_for(submission, {1002, 1003, "/users/bob"}, here);
  BOOST_TEST(submission.env.at(1).second == "/srv");
  submission = with("user", "bob");
  act_for(submission, {1002, 1003, ""}, here);
  BOOST_TEST(
      (submission.env == Submission::Pairs{{"PATH", "/bin"}, {"USER", "bob"}}));
  const auto sessions = parse_submission_file(
      "{\"command\": \"x\", \"user\": \"bob\"}\n{\"command\": \"y\"}\n", "f",
      blank_submission(here), here);
  BOOST_REQUIRE(sessions);
  BOOST_TEST(sessions->at(0).user == "bob");
  BOOST_TEST(sessions->at(1).user == "ann");
}

BOOST_AUTO_TEST_CASE(what_no_key_tells_alone_is_checked_together) {
  auto submission = blank_submission(here);
  BOOST_TEST(!check_submission(submission).has_value());
  submission.argv = {"true"};
  BOOST_TEST(check_submission(submission).has_value());
  submission.nodes = 2;
  BOOST_TEST(!check_submission(submission).has_value());
  submission.nodes = 0;
  submission.gpu_memory_bytes = 1 << 30;
  BOOST_TEST(!check_submission(submission).has_value());
  BOOST_TEST(check_submission(with("sim-duration", "5s")).has_value());
}

// As many and as long texts as the cell takes, by its own count.
Submission wordiest(std::size_t text_bytes) {
  Submission out = blank_submission(here);
  out.name = out.user = out.workdir = "";
  out.env.assign(cluster::env_count_max, {"", ""});
  out.labels.assign(cluster::labels_count_max, {"", ""});
  out.after.assign(cluster::dependencies_count_max, {7, AfterKind::any});
  out.prefer.assign(cluster::prefer_count_max, "");
  out.argv.assign(cluster::argv_count_max, "");
  out.argv[0] = std::string(text_bytes, 'x');
  return out;
}

BOOST_AUTO_TEST_CASE(a_submission_over_spec_bytes_max_reaches_the_cell) {
  const auto largest = encode_submit(wordiest(cluster::spec_bytes_max), 1, 2);
  BOOST_REQUIRE_MESSAGE(largest, (largest ? "" : largest.error().text));
  // The event of it is somewhat larger.
  BOOST_TEST(largest->size() + (16 << 10) < schema::event_bytes_max);
  BOOST_TEST(
      encode_submit(wordiest(cluster::spec_bytes_max + 1), 1, 2).has_value());
  const auto larger = encode_submit(wordiest(schema::command_bytes_max), 1, 2);
  BOOST_REQUIRE(!larger);
  BOOST_TEST((larger.error().code == Errc::usage));
  BOOST_TEST(contains(larger.error().text, "at most 524288"));
}

BOOST_AUTO_TEST_CASE(a_submission_survives_its_encoding) {
  auto submission = with("gpus", "A100:2");
  submission.argv = {"python3", "train.py"};
  submission.after = {{7, AfterKind::any}};
  const auto bytes = encode_submit(submission, 1, 2).value();
  std::vector<std::uint64_t> aligned(bytes.size() / 8 + 1);
  std::copy(bytes.begin(), bytes.end(),
            reinterpret_cast<std::byte*>(aligned.data()));
  const auto* command = schema::verified<schema::Command>(
      {reinterpret_cast<const std::byte*>(aligned.data()), bytes.size()});
  BOOST_REQUIRE(command);
  BOOST_TEST(command->id()->low() == 2u);
  const auto* spec = command->body_as_SubmitSession()->spec();
  BOOST_TEST(spec->user()->str() == "ann");
  BOOST_TEST(spec->uid() == 1000u);
  BOOST_TEST(spec->request()->gpus() == 2u);
  BOOST_TEST(spec->argv()->size() == 2u);
  BOOST_TEST(spec->after()->Get(0)->session() == 7u);
}

Expected<std::vector<Submission>> parse(std::string_view text) {
  return parse_submission_file(text, "f", blank_submission(here), here);
}

BOOST_AUTO_TEST_CASE(json_lines_give_one_session_each) {
  const auto sessions = parse(
      "{\"command\": [\"echo\", 1], \"cpus\": 0.5, \"mem\": \"1G\", "
      "\"env\": {\"A\": \"1\"}, \"after\": [\"s-1:any\", \"s-2\"]}\n\n"
      "{\"command\": \"echo $A\", \"label\": [\"k=v\"]}\n");
  BOOST_REQUIRE(sessions);
  BOOST_REQUIRE(sessions->size() == 2u);
  BOOST_TEST(sessions->at(0).cpu_milli == 500u);
  BOOST_TEST(sessions->at(0).argv.at(1) == "1");
  BOOST_TEST(sessions->at(0).after.size() == 2u);
  BOOST_TEST(sessions->at(0).env.back().first == "A");
  BOOST_TEST(sessions->at(1).argv.at(2) == "echo $A");
  BOOST_TEST(sessions->at(1).labels.at(0).second == "v");
  BOOST_TEST(sessions->at(1).place == "f:3");
}

BOOST_AUTO_TEST_CASE(toml_has_defaults_and_sessions) {
  const auto sessions = parse(
      "cpus = 2\nnot-before = 2026-11-20T15:00:00Z\n"
      "[[session]]\ncommand = [\"a\"]\n"
      "[[session]]\ncommand = \"b\"\ncpus = 1\nenv = { X = \"y\" }\n");
  BOOST_REQUIRE(sessions);
  BOOST_REQUIRE(sessions->size() == 2u);
  BOOST_TEST(sessions->at(0).cpu_milli == 2000u);
  BOOST_TEST(sessions->at(0).not_before_at ==
             here.time.now_at + 3600ull * 1'000'000'000);
  BOOST_TEST(sessions->at(1).cpu_milli == 1000u);
  BOOST_TEST(sessions->at(1).place == "f: session 2");
  const auto alone = parse("command = [\"a\"]\n");
  BOOST_REQUIRE(alone);
  BOOST_TEST(alone->size() == 1u);
}

BOOST_AUTO_TEST_CASE(an_error_in_a_file_names_the_place) {
  const struct {
    const char* text;
    const char* part;
  } cases[] = {
      {"", "holds no session"},
      {"{\"command\":[\"a\"]}\n{\"comand\":[\"a\"]}\n",
       "f:2: there is no key \"comand\"; did you mean \"command\"?"},
      {"{\"command\":\n", "f:1: this line is no JSON"},
      {"{\"command\":[\"a\"],\"cpus\":[1]}\n", "f:1: cpus: one value"},
      {"{\"command\":[[]]}\n", "a list of words"},
      {"{\"cpus\":1}\n", "there is no command"},
      {"cpus = \"x\"\n", "f:1: cpus: "},
      {"[[session]]\ncommand = \"a\"\nmem = \"1\"\n", "session 1: mem: "},
      {"session = 1\n", "stand as [[session]]"}};
  for (const auto& c : cases) BOOST_TEST_CONTEXT(c.text) {
      const auto sessions = parse(c.text);
      BOOST_REQUIRE(!sessions);
      BOOST_TEST_INFO(sessions.error().text);
      BOOST_TEST(contains(sessions.error().text, c.part));
    }
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace
}  // namespace reeve::tools::submission_test
