// The program as a process: what a person gets who makes a mistake, or asks
// for help, where no cell runs.
#include <fcntl.h>
#include <fmt/format.h>
#include <sys/wait.h>
#include <unistd.h>

#include <boost/json/parse.hpp>
#include <boost/json/value.hpp>
#include <boost/test/unit_test.hpp>
#include <filesystem>
#include <fstream>
#include <sstream>
#include <string>
#include <vector>

#include "cluster/trace/trace.hpp"
#include "tests/paths.hpp"
#include "tools/trace/text_file.hpp"

namespace reeve::tools::usage_test {
namespace {

namespace fs = std::filesystem;

std::string read_file(const fs::path& file) {
  std::ifstream in(file);
  std::ostringstream text;
  text << in.rdbuf();
  return text.str();
}

struct Ran {
  int code = -1;
  std::string out;
  std::string error;
};

struct Program {
  Program() {
    char name[] = "/tmp/reeve-usage-XXXXXX";
    BOOST_REQUIRE(::mkdtemp(name) != nullptr);
    directory = name;
  }
  ~Program() { fs::remove_all(directory); }

  Ran run(std::vector<std::string> words) const {
    words.insert(words.begin(), reeve::testing::binary_dir() + "/bin/reeve");
    return spawn(std::move(words));
  }

  Ran spawn(std::vector<std::string> words) const {
    std::vector<char*> argv;
    for (auto& word : words) argv.push_back(word.data());
    argv.push_back(nullptr);
    const fs::path out = directory / "out";
    const fs::path error = directory / "error";
    const std::string data = (directory / "data").string();
    const pid_t child = ::fork();
    if (child == 0) {
      const int flags = O_WRONLY | O_CREAT | O_TRUNC;
      ::dup2(::open(out.c_str(), flags, 0600), STDOUT_FILENO);
      ::dup2(::open(error.c_str(), flags, 0600), STDERR_FILENO);
      ::setenv("REEVE_DATA", data.c_str(), 1);
      ::execv(argv[0], argv.data());
      ::_exit(99);
    }
    int status = 0;
    ::waitpid(child, &status, 0);
    return {WIFEXITED(status) ? WEXITSTATUS(status) : -1, read_file(out),
            read_file(error)};
  }

  fs::path directory;
};

bool contains(const std::string& text, const std::string& part) {
  return text.find(part) != std::string::npos;
}

BOOST_FIXTURE_TEST_SUITE(usage, Program)

BOOST_AUTO_TEST_CASE(wrong_usage_exits_with_2_and_says_what_is_meant) {
  const struct {
    std::vector<std::string> words;
    const char* part;
  } cases[] = {
      {{"sumbit"}, "did you mean \"submit\"?"},
      {{"run", "--cpu", "1", "--", "true"}, "did you mean \"--cpus\"?"},
      {{"run"}, "there is no command"},
      {{"run", "--mem", "4X", "--", "true"}, "--mem: \"4X\" is no size"},
      {{"run", "--time", "90", "--", "true"}, "--time: \"90\" has no unit"},
      {{"run", "--gpus", "1.5", "--", "true"}, "--gpus: "},
      {{"submit", "--array", "9-1", "--", "true"}, "ends before it begins"},
      {{"submit", "--image", "x", "--", "true"}, "this release has no"},
      {{"show", "x-1"}, "ids look like s-12"},
      {{"show"}, "needs ID"},
      {{"ps", "--state", "runing"}, "did you mean \"running\"?"},
      {{"logs", "s-1", "--task", "x"}, "--task: "},
      {{"logs", "s-1", "--json"}, "leave out --json"},
      {{"help", "--foo"}, "no option --foo"},
      {{"status", "--data", "/dev/null"}, "/dev/null is no directory"},
      {{"events", "--filter", "kind=x"}, "^"},
      {{"node", "drian", "n"}, "did you mean \"drain\"?"},
      {{"node", "drain", "n", "--deadline", "soon"}, "--deadline: "},
      {{"token", "create"}, "--role agent, manager or user"},
      {{"token", "create", "--role", "agnet"}, "did you mean \"agent\"?"},
      {{"token", "create", "--role", "user", "--ttl", "90"}, "--ttl: "},
      {{"token", "create", "--role", "user", "--uses", "0"}, "--uses"},
      {{"token", "revoke", "reeve1:AAAA"}, "not by its text"},
      {{"token", "revok", "7"}, "did you mean \"revoke\"?"},
      {{"members", "remove"}, "needs PRINCIPAL"},
      {{"gpu", "realese", "n", "0"}, "did you mean \"release\"?"},
      {{"gpu", "quarantine", "n"}, "NODE GPU"},
      {{"gpu", "test", "--quick", "--full"}, "--quick or --full, not both"},
      {{"gpus", "--live"}, "with --json each sample is a line"},
      {{"gpus", "--live", "--limit", "1"}, "--live goes without --limit"},
      {{"up", "--port", "70000"}, "--port: "},
      {{"completion", "csh"}, "bash, zsh and fish"},
      {{"bench", "comit"}, "did you mean \"commit\"?"},
      {{"trace", "run", "/dev/null", "--compress", "x"}, "--compress: "},
  };
  for (const auto& c : cases) BOOST_TEST_CONTEXT(c.part) {
      const Ran ran = run(c.words);
      BOOST_TEST(ran.code == 2);
      BOOST_TEST_INFO(ran.error);
      BOOST_TEST(contains(ran.error, c.part));
      BOOST_TEST(ran.out == "");
    }
}

BOOST_AUTO_TEST_CASE(a_cell_that_does_not_run_exits_with_5) {
  for (const auto& words : std::vector<std::vector<std::string>>{
           {"status"},
           {"ps"},
           {"run", "--", "true"},
           {"nodes"},
           {"members"},
           {"token", "list"},
           {"token", "create", "--role", "agent"},
           {"submit", "--", "true"},
           {"wait", "s-1"},
           {"events"}}) {
    const Ran ran = run(words);
    BOOST_TEST(ran.code == 5);
    BOOST_TEST(contains(ran.error, "reeve up --data"));
  }
}

BOOST_AUTO_TEST_CASE(a_quota_may_be_large_and_is_told_its_bound) {
  const auto set = [&](const char* hours) {
    return run({"quota", "set", "project:default", "--gpu-hours", hours});
  };
  // No cell runs here: what is well said is asked of one.
  BOOST_TEST(set("5000000").code == 5);
  BOOST_TEST(set("9223372036854775.806").code == 5);
  const Ran over = set("9223372036854775.807");
  BOOST_TEST(over.code == 2);
  BOOST_TEST(contains(over.error, "at most 9223372036854775.806"));
}

BOOST_AUTO_TEST_CASE(who_manages_a_cell_is_told_how_it_is_taken_out) {
  const fs::path data = directory / "data";
  fs::create_directories(data);
  std::ofstream(data / "cell.toml") << "cell = \"north\"\n";
  const Ran alone = run({"leave"});
  BOOST_TEST(alone.code == 2);
  BOOST_TEST(contains(alone.error, "\"reeve down\" ends it"));
  std::ofstream(data / "cell.toml")
      << "cell = \"north\"\n[manager]\nname = \"m2\"\n"
         "members = {m1 = \"10.0.0.1\", m2 = \"10.0.0.2\", m3 = "
         "\"10.0.0.3\"}\n";
  const Ran manager = run({"leave"});
  BOOST_TEST(manager.code == 2);
  BOOST_TEST(contains(manager.error, "\"reeve members remove m2\""));
  BOOST_TEST(contains(manager.error, "\"reeve lead\""));
}

BOOST_AUTO_TEST_CASE(what_is_not_there_exits_with_4) {
  BOOST_TEST(run({"config", "check", "/nonexistent"}).code == 4);
  BOOST_TEST(run({"trace", "run", "/nonexistent"}).code == 4);
  BOOST_TEST(run({"submit", "--file", "/nonexistent"}).code == 4);
  BOOST_TEST(run({"log", "cat", "--log", "/nonexistent"}).code == 4);
}

BOOST_AUTO_TEST_CASE(a_directory_that_is_no_log_exits_with_6) {
  std::ofstream(directory / "something") << "else";
  for (const auto& words : std::vector<std::vector<std::string>>{
           {"log", "verify"}, {"log", "stats"}, {"replay"}, {"state"}}) {
    auto all = words;
    all.insert(all.end(), {"--log", directory.string()});
    const Ran ran = run(all);
    BOOST_TEST_INFO(ran.error);
    BOOST_TEST(ran.code == 6);
  }
}

BOOST_AUTO_TEST_CASE(up_refuses_a_directory_that_holds_something_else) {
  fs::create_directories(directory / "data");
  std::ofstream(directory / "data" / "precious") << "x";
  const Ran ran = run({"up", "--detach"});
  BOOST_TEST(ran.code == 6);
  BOOST_TEST(contains(ran.error, "holds something that is no cell"));
  BOOST_TEST(fs::exists(directory / "data" / "precious"));
  BOOST_TEST(!fs::exists(directory / "data" / "cell.toml"));
}

BOOST_AUTO_TEST_CASE(up_refuses_a_directory_with_a_log_that_is_not_ours) {
  const fs::path data = directory / "data";
  // An empty "log" beside other things is no more ours than a full one.
  for (const char* foreign : {"log", "log/syslog"}) {
    fs::create_directories(data / foreign);
    std::ofstream(data / "precious") << "x";
    fs::permissions(data, fs::perms(0755));
    const Ran ran = run({"up", "--detach"});
    BOOST_TEST(ran.code == 6);
    BOOST_TEST(contains(ran.error, "holds something that is no cell"));
    BOOST_TEST(!fs::exists(data / "cell.toml"));
    BOOST_TEST((fs::status(data).permissions() == fs::perms(0755)));
  }
}

BOOST_AUTO_TEST_CASE(a_config_typo_is_named_with_its_line) {
  const fs::path file = directory / "reeved.toml";
  std::ofstream(file) << "\n[agent]\nnmae = \"x\"\n";
  const Ran ran = run({"config", "check", file.string()});
  BOOST_TEST(ran.code == 2);
  BOOST_TEST(contains(ran.error,
                      ":3: there is no key \"agent.nmae\"; did you "
                      "mean \"agent.name\"?"));
  std::ofstream(file) << "[agent]\nname = \"x\"\n";
  BOOST_TEST(run({"config", "check", file.string()}).code == 0);
}

BOOST_AUTO_TEST_CASE(a_wrong_table_of_gpu_models_is_named_with_its_line) {
  const fs::path file = directory / "cell.toml";
  const fs::path models = directory / "models";
  std::ofstream(file) << "[agent]\ngpu_models = \"" << models.string()
                      << "\"\n";
  std::ofstream(models) << "model NVIDIA L40S\nfp32 9e13\n";
  const Ran ran = run({"config", "check", file.string()});
  BOOST_TEST(ran.code == 2);
  BOOST_TEST(contains(ran.error, "agent.gpu_models: " + models.string() +
                                     ": line 2 of the table of models: the "
                                     "share of fp32 is not between 0 and 1"),
             ran.error);
  std::ofstream(models) << "model NVIDIA L40S\nfp32 9e13 0.8\n";
  BOOST_TEST(run({"config", "check", file.string()}).code == 0);
}

BOOST_AUTO_TEST_CASE(errors_are_json_on_standard_error_when_asked) {
  const Ran ran = run({"--json", "show", "x"});
  BOOST_TEST(ran.code == 2);
  BOOST_TEST(ran.out == "");
  const auto error = boost::json::parse(ran.error).at("error");
  BOOST_TEST(error.at("code").as_string() == "usage");
  BOOST_TEST(!error.at("text").as_string().empty());
}

BOOST_AUTO_TEST_CASE(help_and_version_go_to_standard_output) {
  for (const auto& words :
       std::vector<std::vector<std::string>>{{},
                                             {"--help"},
                                             {"help", "run"},
                                             {"help", "--json"},
                                             {"run", "--help"},
                                             {"--version"},
                                             {"log", "verify", "--help"},
                                             {"node", "-h"}}) {
    const Ran ran = run(words);
    BOOST_TEST(ran.code == 0);
    BOOST_TEST(!ran.out.empty());
    BOOST_TEST(ran.error == "");
  }
  BOOST_TEST(run({"help", "xyzzy"}).code == 2);
}

BOOST_AUTO_TEST_CASE(completion_scripts_parse_in_bash) {
  const fs::path file = directory / "completion";
  std::ofstream(file) << run({"completion", "bash"}).out;
  BOOST_TEST(spawn({"/bin/bash", "-n", file.string()}).code == 0);
}

BOOST_AUTO_TEST_CASE(doctor_tells_each_finding_in_json) {
  const Ran ran = run({"doctor", "--json"});
  BOOST_TEST((ran.code == 0 || ran.code == 1));
  const auto document = boost::json::parse(ran.out);
  BOOST_TEST(document.at("findings").as_array().size() >= 8u);
  const bool wrong = document.at("wrong").to_number<int>() > 0;
  BOOST_TEST(wrong == (ran.code == 1));
}

BOOST_AUTO_TEST_CASE(doctor_measures_free_space_by_the_floor_of_the_cell) {
  fs::create_directory(directory / "data");
  const auto data_finding = [&](const std::string& floor) {
    std::ofstream(directory / "data" / "cell.toml")
        << fmt::format("[log]\nfloor = \"{}\"\n", floor);
    const auto document = boost::json::parse(run({"doctor", "--json"}).out);
    for (const auto& finding : document.at("findings").as_array())
      if (finding.at("subject") == "data") return finding;
    return boost::json::value();
  };
  BOOST_TEST(data_finding("1K").at("level").as_string() == "ok");
  // Twice the second is no number any more.
  for (const char* floor : {"4096", "8192"}) {
    const auto finding = data_finding(floor + std::string("P"));
    BOOST_TEST(finding.at("level").as_string() == "wrong");
    const std::string mend(finding.at("mend").as_string());
    BOOST_TEST(contains(mend, fmt::format("below {} PiB no session", floor)),
               mend);
  }
}

BOOST_AUTO_TEST_CASE(down_without_a_cell_is_no_failure) {
  const Ran ran = run({"down"});
  BOOST_TEST(ran.code == 0);
  BOOST_TEST(contains(ran.error, "no cell runs"));
}

BOOST_FIXTURE_TEST_CASE(too_many_or_too_large_nodes_are_refused, Program) {
  const auto many =
      run({"up", "--sim-nodes", fmt::format("{}", trace_nodes_max + 1)});
  BOOST_TEST(many.code == 2);
  BOOST_TEST(many.error.find(fmt::format("{}", trace_nodes_max)) !=
             std::string::npos);
  const fs::path large = directory / "nodes.csv";
  std::ofstream(large) << "";
  fs::resize_file(large, text_file_bytes_max + 1);  // a hole
  const auto file = run({"up", "--sim-nodes", large.string()});
  BOOST_TEST(file.code == 2);
  BOOST_TEST(file.error.find(fmt::format("{}", text_file_bytes_max)) !=
             std::string::npos);
  BOOST_TEST(!fs::exists(directory / "data"));
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace
}  // namespace reeve::tools::usage_test
