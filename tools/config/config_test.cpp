#include "tools/config/config.hpp"

#include <unistd.h>

#include <boost/test/unit_test.hpp>
#include <filesystem>
#include <fstream>
#include <sstream>

#include "cluster/scheduling/scheduler.hpp"
#include "tests/paths.hpp"

namespace reeve::tools::config_test {
namespace {

std::string refusal(std::string_view text) {
  const auto config = parse_config(text, "f.toml");
  if (config) return "accepted";
  BOOST_TEST((config.error().code == Errc::usage));
  return config.error().text;
}

bool contains(std::string_view text, std::string_view part) {
  return text.find(part) != std::string_view::npos;
}

BOOST_AUTO_TEST_SUITE(config)

BOOST_AUTO_TEST_CASE(what_is_here_is_one_of_three) {
  for (const char* role : {"cell", "agent", "user"})
    BOOST_TEST(parse_config(fmt::format("role = \"{}\"\n", role), "f.toml")
                   .has_value());
  BOOST_TEST(contains(refusal("role = \"manager\"\n"),
                      "\"manager\" is no role: it is cell, agent or user"));
}

// The library's parser breaks an assertion over these.
BOOST_AUTO_TEST_CASE(a_name_that_is_not_there_is_refused_with_its_line) {
  for (const char* bad : {"[", "[=]", "[["}) {
    const auto text = refusal(fmt::format("port = 1\n\n{}\n[log]\n", bad));
    BOOST_TEST(text.starts_with("f.toml:3:"), bad << ": " << text);
  }
}

BOOST_AUTO_TEST_CASE(names_that_others_reach_this_host_by_are_bounded) {
  const auto advertise = [](const std::string& names) {
    return refusal("[bus]\nadvertise = \"" + names + "\"\n");
  };
  const std::string longest(advertised_bytes_max, 'a');
  BOOST_TEST(advertise(longest) == "accepted");
  BOOST_TEST(contains(advertise(longest + "a"), "no name or address"));
  std::string most = "h";
  for (std::size_t i = 1; i < advertised_max; ++i) most += ",h";
  BOOST_TEST(advertise(most) == "accepted");
  BOOST_TEST(contains(advertise(most + ",h"), "16 names or addresses"));
  for (const char* bad : {"a b", "a,,b", "a/b", ","})
    BOOST_TEST(contains(advertise(bad), "no name or address"));
}

BOOST_AUTO_TEST_CASE(each_key_sets_its_field) {
  const auto config = parse_config(
      "data = \"/d\"\nrole = \"agent\"\nport = 4333\ncell = \"c-1\"\n"
      "[bus]\nlisten = \"10.0.0.1:4222\"\nadvertise = \"a.b, 10.0.0.1\"\n"
      "[manager]\nqueue_sessions_max = 5\nmailbox_messages_max = 32\n"
      "schedulers = 3\nnode_lost_after = \"30s\"\n"
      "[agent]\nenabled = false\nname = \"h\"\ngroup = \"g\"\n"
      "cpus = 1.5\nmemory = \"4G\"\n"
      "runtime_dir = \"/r\"\ncdi_dir = \"/etc/cdi\"\noutput_bytes_max = "
      "\"1M\"\n"
      "kept_output_bytes_max = \"2G\"\n"
      "gpu_tests = \"quarantine\"\ngpu_probe = \"/p\"\n"
      "gpu_models = \"/models\"\n"
      "gpu_mps_dir = \"/run/mps\"\n"
      "[log]\nfloor = 1024\nsnapshot_every = 5000\n"
      "[metrics]\nlisten = \"127.0.0.1:9400\"\n",
      "f.toml");
  BOOST_REQUIRE(config);
  BOOST_TEST(config->data == "/d");
  BOOST_TEST((config->role == Config::Role::agent));
  BOOST_TEST(config->port == 4333u);
  BOOST_TEST(config->bus.listen == "10.0.0.1:4222");
  BOOST_TEST(
      (config->bus.advertise == std::vector<std::string>{"a.b", "10.0.0.1"}));
  BOOST_TEST(config->cell == "c-1");
  BOOST_TEST(config->manager.queue_sessions_max == 5u);
  BOOST_TEST(config->manager.mailbox_messages_max == 32u);
  BOOST_TEST(config->manager.schedulers == 3u);
  BOOST_TEST(config->manager.node_lost_after_ns == 30 * second_ns);
  BOOST_TEST(!config->agent.enabled);
  BOOST_TEST(config->agent.name == "h");
  BOOST_TEST(config->agent.group == "g");
  BOOST_TEST(config->agent.cpu_milli == 1500u);
  BOOST_TEST(config->agent.memory_bytes == 4ull << 30);
  BOOST_TEST(config->agent.runtime_dir == "/r");
  BOOST_TEST(config->agent.cdi_directory == "/etc/cdi");
  BOOST_TEST(config->agent.output_bytes_max == 1ull << 20);
  BOOST_TEST(config->agent.kept_output_bytes_max == 2ull << 30);
  BOOST_TEST(!config->agent.test_new_gpus);
  BOOST_TEST(config->agent.test_quarantined_gpus);
  BOOST_TEST(config->agent.gpu_probe == "/p");
  BOOST_TEST(config->agent.gpu_models == "/models");
  BOOST_TEST(config->agent.mps_directory == "/run/mps");
  BOOST_TEST(config->log.floor_bytes == 1024u);
  BOOST_TEST(config->log.snapshot_every_events == 5000u);
  BOOST_TEST(config->metrics.listen == "127.0.0.1:9400");
}

BOOST_AUTO_TEST_CASE(metrics_are_served_at_an_address_in_digits_or_nowhere) {
  const auto listen = [](const std::string& text) {
    return "[metrics]\nlisten = \"" + text + "\"\n";
  };
  for (const char* good : {"", "127.0.0.1:1", "0.0.0.0:65535", "[::1]:9400"})
    BOOST_TEST(parse_config(listen(good), "f.toml").has_value(), good);
  for (const char* bad :
       {"9400", ":9400", "127.0.0.1", "127.0.0.1:", "127.0.0.1:0",
        "127.0.0.1:65536", "localhost:9400", "::1:9400", "[127.0.0.1]:9400",
        "127.0.0.1:9400,127.0.0.1:9401", "127.0.0.1:9400s", "+9400", "[]:1"})
    BOOST_TEST(contains(refusal(listen(bad)), "no address with a port"), bad);
}

BOOST_AUTO_TEST_CASE(gpus_are_tested_when_they_join_or_are_found_unfit) {
  const auto tests = [](const std::string& text) {
    return parse_config("[agent]\ngpu_tests = \"" + text + "\"\n", "f.toml");
  };
  for (const std::string good :
       {"join", "quarantine", "join,quarantine", "none"}) {
    const auto config = tests(good);
    BOOST_REQUIRE(config);
    BOOST_TEST(config->agent.test_new_gpus == contains(good, "join"));
    BOOST_TEST(config->agent.test_quarantined_gpus ==
               contains(good, "quarantine"));
    BOOST_TEST(contains(explain_config(*config), "\"" + good + "\""));
  }
  for (const char* bad : {"", "all", "join,", "join,join", "none,join",
                          "join quarantine", ",quarantine"})
    BOOST_TEST(!tests(bad).has_value(), bad);
}

BOOST_AUTO_TEST_CASE(a_node_is_lost_neither_at_once_nor_never) {
  const auto with = [](const char* after) {
    return parse_config(
        std::string("[manager]\nnode_lost_after = \"") + after + "\"\n",
        "f.toml");
  };
  BOOST_TEST(Config().manager.node_lost_after_ns ==
             cluster::node_lost_after_ns_default);
  BOOST_TEST(with("3s")->manager.node_lost_after_ns ==
             cluster::node_lost_after_ns_min);
  BOOST_TEST(with("1h")->manager.node_lost_after_ns ==
             cluster::node_lost_after_ns_max);
  for (const char* wrong : {"2999ms", "3601s", "0s", "soon", "10"}) {
    const auto config = with(wrong);
    BOOST_REQUIRE(!config);
    BOOST_TEST(contains(config.error().text, "node_lost_after"));
  }
}

BOOST_AUTO_TEST_CASE(so_many_schedulers_and_not_one_more) {
  for (const std::uint32_t count :
       {0U, 1U, cluster::schedulers_max, cluster::schedulers_max + 1}) {
    const auto config = parse_config(
        "[manager]\nschedulers = " + std::to_string(count) + "\n", "f.toml");
    const bool good = count > 0 && count <= cluster::schedulers_max;
    BOOST_TEST(config.has_value() == good);
    if (!config) BOOST_TEST(contains(config.error().text, "schedulers"));
  }
}

BOOST_AUTO_TEST_CASE(a_file_over_its_bound_is_not_read) {
  const auto file = std::filesystem::temp_directory_path() /
                    ("reeve-config-test-" + std::to_string(::getpid()));
  const std::string head = "cell = \"c\"\n";
  for (const std::size_t bytes : {config_bytes_max, config_bytes_max + 1}) {
    std::ofstream(file) << head << std::string(bytes - head.size(), '#');
    const auto config = load_config(file);
    BOOST_TEST(config.has_value() == (bytes <= config_bytes_max));
    if (!config) BOOST_TEST(contains(config.error().text, "bytes"));
  }
  std::filesystem::remove(file);
}

BOOST_AUTO_TEST_CASE(an_unknown_key_is_refused_with_the_nearest) {
  BOOST_TEST(contains(refusal("[agent]\nnmae = \"h\"\n"),
                      "f.toml:2: there is no key \"agent.nmae\"; did you mean "
                      "\"agent.name\"?"));
  BOOST_TEST(contains(refusal("cpus = 1\n"), "\"agent.cpus\""));
  BOOST_TEST(contains(refusal("[xyzzy]\nplugh = 1\n"), "no key \"xyzzy\""));
}

BOOST_AUTO_TEST_CASE(a_bad_value_names_its_key_and_line) {
  BOOST_TEST(contains(refusal("\nport = 70000\n"), "f.toml:2: port: "));
  BOOST_TEST(contains(refusal("[agent]\nmemory = \"4X\"\n"), "agent.memory"));
  BOOST_TEST(contains(refusal("[agent]\nmemory = \"5\"\n"), "write 5M"));
  BOOST_TEST(contains(refusal("[agent]\ncpus = 0\n"), "more than 0"));
  BOOST_TEST(contains(refusal("data = \"relative\"\n"), "absolute path"));
  BOOST_TEST(contains(refusal("[agent]\ngpu_mps_dir = \"mps\"\n"),
                      "f.toml:2: agent.gpu_mps_dir: "));
  BOOST_TEST(contains(refusal("cell = \"a b\"\n"), "is no name"));
  BOOST_TEST(contains(refusal("port = [1]\n"), "one value"));
  BOOST_TEST(contains(refusal("[agent]\nenabled = 1\n"), "neither true"));
  BOOST_TEST(contains(refusal("agent = 3\n"), "no key \"agent\""));
}

BOOST_AUTO_TEST_CASE(broken_toml_tells_line_and_column) {
  BOOST_TEST(contains(refusal("port = \n"), "f.toml:1:"));
  BOOST_TEST(contains(refusal("a = 1\na = 2\n"), "f.toml:2:"));
}

BOOST_AUTO_TEST_CASE(a_missing_file_is_not_found) {
  const auto config = load_config("/nonexistent/reeved.toml");
  BOOST_REQUIRE(!config);
  BOOST_TEST((config.error().code == Errc::not_found));
}

// ---- several managers

std::string managers(std::string_view name, std::string_view members,
                     std::string_view more = "") {
  return std::string(more) + "[manager]\nname = \"" + std::string(name) +
         "\"\nmembers = {" + std::string(members) + "}\n";
}

constexpr const char* three =
    "m1 = \"10.0.0.1\", m2 = \"10.0.0.2\", m3 = \"10.0.0.3\"";

BOOST_AUTO_TEST_CASE(managers_listen_where_their_table_says) {
  const auto config = parse_config(managers("m2", three), "f.toml");
  BOOST_REQUIRE(config);
  BOOST_TEST(config->manager.members.size() == 3u);
  BOOST_TEST(config->bus.listen == "10.0.0.2:4222");
  BOOST_TEST((config->bus.advertise == std::vector<std::string>{"10.0.0.2"}));
  BOOST_TEST(config->agent.name == "m2");
  const auto given = parse_config(
      managers("m2", three, "[bus]\nlisten = \"0.0.0.0:5000\"\n"), "f.toml");
  BOOST_REQUIRE(given);
  BOOST_TEST(given->bus.listen == "0.0.0.0:5000");
}

BOOST_AUTO_TEST_CASE(managers_that_cannot_be_are_refused) {
  const struct {
    std::string text;
    const char* part;
  } cases[] = {
      {managers("m1", "m1 = \"h1\", m2 = \"h2\""),
       "begins with 1, 3 or 5 managers"},
      {managers("m4", three), "has no such manager"},
      {managers("m1", "m1 = \"h1\", m2 = \"h1\", m3 = \"h3\""),
       "the same address"},
      {managers("m1", "m1 = \"h1:4222\""), "without a port"},
      {managers("m1", three, "role = \"agent\"\n"), "for role \"cell\""},
      {"[manager]\nname = \"m1\"\n", "set manager.members"},
  };
  for (const auto& c : cases) BOOST_TEST_CONTEXT(c.part)
  BOOST_TEST(contains(refusal(c.text), c.part));
}

BOOST_AUTO_TEST_CASE(more_than_managers_max_are_refused) {
  std::string members;
  for (std::size_t i = 0; i <= managers_max; ++i)
    members += (i == 0 ? "" : ", ") + ("m" + std::to_string(i)) + " = \"h" +
               std::to_string(i) + "\"";
  BOOST_TEST(contains(refusal(managers("m1", members)), "not 6"));
}

BOOST_AUTO_TEST_CASE(the_sample_parses_to_the_defaults) {
  const auto config = parse_config(sample_config(), "sample");
  BOOST_REQUIRE(config);
  BOOST_TEST(explain_config(*config) == explain_config(Config{}));
}

BOOST_AUTO_TEST_CASE(the_sample_in_deploy_is_the_generated_one) {
  std::ifstream in(reeve::testing::source_dir() + "/deploy/reeved.toml.sample");
  std::ostringstream text;
  text << in.rdbuf();
  BOOST_TEST(text.str() == sample_config());
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace
}  // namespace reeve::tools::config_test
