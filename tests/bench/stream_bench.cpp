// A bare stream beside the one that a cell commits to: its servers, its number
// of replicas, its settings, and nothing of the log.
//
// usage: stream_bench CREDENTIALS count          messages and bytes of the log
//        stream_bench CREDENTIALS publish COUNT BYTES
//        stream_bench CREDENTIALS submit COUNT
//
// Publishes one message after the other, each when the one before is
// acknowledged, as commits are; or submits one session so after the other, that
// waits. The answer is a line of JSON.
#include <fmt/format.h>
#include <unistd.h>

#include <boost/json.hpp>
#include <charconv>
#include <chrono>
#include <cstdio>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "bus/client.hpp"
#include "bus/connection.hpp"
#include "bus/credentials.hpp"
#include "bus/jetstream.hpp"
#include "bus/subject.hpp"
#include "cluster/spec.hpp"
#include "schema/wire.hpp"

namespace {

using namespace reeve;
using namespace std::chrono_literals;
using Clock = std::chrono::steady_clock;
namespace json = boost::json;

constexpr auto timeout = 5s;
constexpr const char* bare = "reeve-bare";

[[noreturn]] void stop(const std::string& why) {
  fmt::print(stderr, "stream_bench: {}\n", why);
  std::exit(1);
}

std::string log_stream(std::string_view cell) {
  return fmt::format("reeve-{}", cell);
}

json::object info(bus::JetStream& jetstream, const std::string& stream) {
  auto found = jetstream.request("STREAM.INFO." + stream, {}, timeout);
  if (!found) stop(found.error().error.text);
  return std::move(*found);
}

void count(bus::JetStream& jetstream, const bus::Credentials& who) {
  const json::object found = info(jetstream, log_stream(who.cell));
  const json::object& state = found.at("state").as_object();
  fmt::print("{{\"messages\": {}, \"bytes\": {}}}\n",
             bus::number_of(state, "messages"), bus::number_of(state, "bytes"));
}

void print_rate(std::size_t count, Clock::time_point begun) {
  const std::chrono::duration<double> took = Clock::now() - begun;
  fmt::print("{{\"per_second\": {:.1f}}}\n",
             static_cast<double>(count) / took.count());
}

void publish(bus::JetStream& jetstream, const bus::Credentials& who,
             std::size_t messages, std::size_t bytes) {
  json::object config =
      info(jetstream, log_stream(who.cell)).at("config").as_object();
  const std::string subject =
      std::string(config.at("subjects").as_array().at(0).as_string()) + ".bare";
  config["name"] = bare;
  config["subjects"] = json::array{json::value(subject)};
  if (auto made = jetstream.ensure_stream(config, false, timeout, 30s); !made)
    stop(made.error().text);
  const std::vector<std::byte> value(bytes, std::byte{'x'});
  const auto begun = Clock::now();
  for (std::size_t i = 0; i < messages; ++i) {
    const std::string token = fmt::format("b{}", i);
    if (auto sent = jetstream.send(subject, {}, value, token); !sent)
      stop(sent.error().text);
    const auto stored = jetstream.stored(token, Clock::now() + timeout);
    if (!stored) stop(stored.error().error.text);
  }
  print_rate(messages, begun);
  (void)jetstream.request(fmt::format("STREAM.DELETE.{}", bare), {}, timeout);
}

// Each is kept before the next one is sent: one commit, one command.
void submit(bus::Connection& connection, const bus::Credentials& who,
            std::size_t commands) {
  bus::Client client(connection, bus::Subjects(who.cell), who.principal);
  cluster::Spec spec;
  spec.user = who.principal;
  spec.project = spec.group = "default";
  spec.cpu_milli = 100;
  spec.argv = {"true"};
  spec.uid = ::getuid();
  spec.gid = ::getgid();
  const auto now = std::chrono::system_clock::now().time_since_epoch();
  spec.not_before_at =
      static_cast<std::uint64_t>(std::chrono::nanoseconds(now + 1h).count());
  const auto run = static_cast<std::uint64_t>(now.count());
  const auto begun = Clock::now();
  for (std::size_t i = 0; i < commands; ++i) {
    flatbuffers::FlatBufferBuilder builder(1024);
    const auto body = schema::CreateSubmitSession(
        builder, cluster::build_spec(builder, spec));
    const schema::Id128 id(run, i);
    const auto root = schema::CreateCommand(
        builder, &id, schema::CommandBody::SubmitSession, body.Union());
    const auto done = client.command(schema::finish(builder, root), timeout);
    if (!done) stop(done.error().text);
    if (const auto* no = schema::verified<schema::Reply>(*done)->rejection())
      stop(std::string(schema::text(no->text())));
  }
  print_rate(commands, begun);
}

std::size_t number(std::string_view text) {
  std::size_t value = 0;
  const char* end = text.data() + text.size();
  const auto parsed = std::from_chars(text.data(), end, value);
  if (parsed.ptr != end || parsed.ec != std::errc() || value == 0)
    stop(fmt::format("'{}' is no number above 0", text));
  return value;
}

}  // namespace

int main(int argc, char** argv) {
  const std::vector<std::string_view> words(argv + 1, argv + argc);
  const bool counts = words.size() == 2 && words[1] == "count";
  const bool publishes = words.size() == 4 && words[1] == "publish";
  const bool submits = words.size() == 3 && words[1] == "submit";
  if (!counts && !publishes && !submits)
    stop(
        "usage: stream_bench CREDENTIALS count | publish COUNT BYTES | "
        "submit COUNT");
  const auto who = bus::load_credentials(words[0]);
  if (!who) stop(who.error().text);
  bus::ConnectionOptions options;
  options.credentials = *who;
  options.name = "stream_bench";
  options.low_latency = true;
  auto connection = bus::Connection::connect(options);
  if (!connection) stop(connection.error().text);
  if (submits) {
    submit(**connection, *who, number(words[2]));
    return 0;
  }
  auto jetstream = bus::JetStream::open(**connection);
  if (!jetstream) stop(jetstream.error().text);
  if (counts)
    count(**jetstream, *who);
  else
    publish(**jetstream, *who, number(words[2]), number(words[3]));
}
