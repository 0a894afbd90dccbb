// Every text from outside: files, options, tokens. Whatever is refused is
// refused with a sentence, and what is taken and written again is the same.
#include "bus/address.hpp"
#include "bus/certificates.hpp"
#include "bus/stream.hpp"
#include "cluster/constraint.hpp"
#include "cluster/event_filter.hpp"
#include "cluster/nkey.hpp"
#include "cluster/scheduling/policy.hpp"
#include "cluster/session_id.hpp"
#include "cluster/trace/trace.hpp"
#include "cluster/units.hpp"
#include "gpu/probe/result.hpp"
#include "tests/fuzz/mutator.hpp"
#include "tools/cli/session/submission_file.hpp"
#include "tools/config/config.hpp"
#include "tools/member/token_text.hpp"

namespace reeve::fuzz::texts_test {
namespace {

constexpr std::uint64_t short_runs = 20'000;
constexpr std::uint64_t long_runs = 1'500;

template <class Result>
bool taken(const Result& result) {
  if constexpr (requires { result.error().text; })
    BOOST_REQUIRE((result || !result.error().text.empty()));
  return static_cast<bool>(result);
}

BOOST_AUTO_TEST_SUITE(fuzz_texts)

BOOST_AUTO_TEST_CASE(sizes_and_times) {
  feed({"1.5G", "512M", "64K", "1024"}, short_runs,
       [](const std::string& text) { return taken(parse_bytes(text)); });
  feed({"1h30m", "250ms", "2d", "90s"}, short_runs,
       [](const std::string& text) { return taken(parse_duration(text)); });
  feed({"0.5", "2", "0.001"}, short_runs, [](const std::string& text) {
    return taken(parse_milli(text, "cpus"));
  });
}

BOOST_AUTO_TEST_CASE(names_of_things) {
  feed({"s-12", "12"}, short_runs,
       [](const std::string& text) { return taken(parse_session_id(text)); });
  feed({"host:4222", "127.0.0.1:1", "[::1]:4222"}, short_runs,
       [](const std::string& text) { return taken(bus::parse_address(text)); });
  feed({"7-1200", "1-1"}, short_runs, [](const std::string& text) {
    const auto id = bus::parse_record_id(text);
    BOOST_REQUIRE((!id || bus::text_of(*id) == text));
    return taken(id);
  });
}

BOOST_AUTO_TEST_CASE(constraints) {
  feed({"rack=r1 && (disk=nvme || !shared) && gpus>=4", "node!=n1",
        "gpu_model=\"A100\"", "disk"},
       short_runs,
       [](const std::string& text) { return taken(Constraint::parse(text)); });
}

BOOST_AUTO_TEST_CASE(filters_of_events) {
  feed({"session=s-3 and kind=session_ended", "node=host-a", "session!=s-1"},
       short_runs,
       [](const std::string& text) { return taken(EventFilter::parse(text)); });
}

BOOST_AUTO_TEST_CASE(policies) {
  feed({"sjf,easy,packing=fragmentation", "fifo", "drf,estimates=history"},
       short_runs, [](const std::string& text) {
         const auto policy = cluster::parse_policy(text);
         if (policy) {
           const auto again = cluster::parse_policy(cluster::to_text(*policy));
           BOOST_REQUIRE((again && *again == *policy));
         }
         return taken(policy);
       });
}

BOOST_AUTO_TEST_CASE(settings) {
  feed({tools::sample_config(),
        "[log]\nfloor = \"16M\"\n[manager]\nnode_lost_after = \"10s\"\n"},
       long_runs, [](const std::string& text) {
         return taken(tools::parse_config(text, "settings"));
       });
}

BOOST_AUTO_TEST_CASE(submissions) {
  tools::Surroundings here;
  here.user = here.caller = "ann";
  here.directory = "/";
  const auto defaults = tools::blank_submission(here);
  feed({R"({"command": ["true"], "cpus": 2, "mem": "1G", "name": "a"})",
        "{\"command\": [\"true\"]}\n{\"command\": [\"false\"], \"gpus\": 1}\n",
        "[[session]]\ncommand = [\"sleep\", \"1\"]\nenv = {A = \"b\"}\n"},
       long_runs, [&](const std::string& text) {
         return taken(
             tools::parse_submission_file(text, "file", defaults, here));
       });
}

BOOST_AUTO_TEST_CASE(traces) {
  feed({"name,cpu_milli,memory_mib,num_gpu,gpu_milli,gpu_spec,qos,pod_phase,"
        "creation_time,deletion_time,scheduled_time\n"
        "p0,12000,16384,1,1000,,LS,Running,0,12537496,0\n"
        "p1,6000,12288,1,460,V100M16|V100M32,LS,Running,427061,12902960,\n"},
       long_runs, [](const std::string& text) {
         return taken(parse_openb(text, "file"));
       });
  feed({"sn,cpu_milli,memory_mib,gpu,model\n"
        "n0,64000,262144,2,P100\nn1,96000,393216,0,\n"},
       long_runs, [](const std::string& text) {
         return taken(parse_openb_nodes(text, "file"));
       });
  feed({"; Computer: x\n1 0 10 100 4 -1 -1 4 200 -1 1 1 1 -1 1 -1 -1 -1\n"},
       long_runs,
       [](const std::string& text) { return taken(parse_swf(text, "file")); });
}

BOOST_AUTO_TEST_CASE(join_tokens) {
  tools::JoinToken token;
  token.cell = "local";
  token.urls = {"tls://10.0.0.1:4222", "tls://10.0.0.2:4222"};
  token.ca = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";
  token.id = 7;
  token.seed = cluster::user_seed_text(cluster::KeyBytes{});
  token.version = "0.1.0";
  std::uint64_t read_again = 0;
  Mutator mutator({tools::join_token_text(token)});
  for (std::uint64_t i = 0; i < short_runs; ++i) {
    const std::string text = mutator.next();
    const auto read = tools::parse_join_token(text);
    if (!taken(read)) continue;
    ++read_again;
    const auto again = tools::parse_join_token(tools::join_token_text(*read));
    BOOST_REQUIRE((again && *again == *read));
  }
  BOOST_TEST(read_again < short_runs);
}

BOOST_AUTO_TEST_CASE(keys_and_certificates) {
  feed({cluster::user_seed_text(cluster::KeyBytes{})}, short_runs,
       [](const std::string& text) {
         return taken(cluster::parse_user_seed(text));
       });
  Mutator mutator(
      {"-----BEGIN CERTIFICATE-----\nMIIBszCCAVmgAwIBAgIUQ\n"
       "-----END CERTIFICATE-----\n"});
  for (std::uint64_t i = 0; i < long_runs; ++i)
    BOOST_TEST(!taken(bus::read_certificate(mutator.next())));
}

BOOST_AUTO_TEST_CASE(lines_of_the_probe) {
  gpu::probe::Result result;
  result.check = "memory";
  result.error = "no driver";
  feed({gpu::probe::to_line(result)}, short_runs, [](const std::string& text) {
    const auto read = gpu::probe::parse_line(text);
    BOOST_REQUIRE((read || !read.error().empty()));
    return static_cast<bool>(read);
  });
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace
}  // namespace reeve::fuzz::texts_test
