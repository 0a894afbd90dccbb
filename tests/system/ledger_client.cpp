// Load for the crash test: keeps submitting over one connection and writes a
// ledger of what the cell said of each command.
//
// usage: ledger_client CREDENTIALS WORKDIR SECONDS NUMBER [PAUSE_MS]
//
// One in three sessions is a real process that appends its command id to
// WORKDIR/started (and some of them sleep), the others are simulated. It runs
// until SIGTERM or for SECONDS, then waits for what is in flight. NUMBER tells
// clients apart. PAUSE_MS, 4 without, is between two commands. Lines of
// standard output, flushed one by one:
//
//   intent ID             before it is sent for the first time
//   accepted ID SEQ SESSION
//   rejected ID RULE
//   unknown ID            given up; sent again with the same id later
#include <fmt/format.h>
#include <signal.h>
#include <unistd.h>

#include <atomic>
#include <chrono>
#include <cstdio>
#include <deque>
#include <memory>
#include <mutex>
#include <string>
#include <thread>

#include "bus/client.hpp"
#include "bus/connection.hpp"
#include "bus/credentials.hpp"
#include "bus/pipeline.hpp"
#include "cluster/spec.hpp"
#include "schema/wire.hpp"

namespace {

using namespace reeve;
using namespace std::chrono_literals;
using Clock = std::chrono::steady_clock;

// Enough to be in the midst of many commands at each kill.
constexpr std::size_t in_flight_max = 24;
// One command is given up after this, and sent again as the same command.
constexpr auto command_timeout = 700ms;
constexpr auto drain_timeout = 120s;
constexpr auto connect_patience = 60s;

std::atomic<bool> told_to_end = false;

struct Work {
  std::uint64_t number = 0;
  std::vector<std::byte> bytes;
};

std::string id_text(std::uint64_t client, std::uint64_t number) {
  return fmt::format("{:016x}{:016x}", client, number);
}

std::vector<std::byte> encode(std::uint64_t client, std::uint64_t number,
                              const std::string& user,
                              const std::string& workdir) {
  const std::string id = id_text(client, number);
  const std::string marker =
      fmt::format("echo {} $REEVE_ATTEMPT >> started{}", id,
                  number % 9 == 0 ? "; sleep 0.2" : "");
  cluster::Spec spec;
  spec.name = "ledger";
  spec.user = user;
  spec.project = spec.group = "default";
  spec.cpu_milli = 100;
  spec.uid = ::getuid();
  spec.gid = ::getgid();
  if (number % 3 == 0) {
    spec.argv = {"/bin/sh", "-c", marker};
    spec.workdir = workdir;
  } else {
    spec.simulated = true;
    spec.sim_duration_ns = number % 5 * 20'000'000;
  }
  flatbuffers::FlatBufferBuilder builder(1024);
  const auto body =
      schema::CreateSubmitSession(builder, cluster::build_spec(builder, spec));
  const schema::Id128 key(client, number);
  const auto root = schema::CreateCommand(
      builder, &key, schema::CommandBody::SubmitSession, body.Union());
  const auto bytes = schema::finish(builder, root);
  return {bytes.begin(), bytes.end()};
}

// What happened to each command, and which to send again.
class Ledger {
 public:
  explicit Ledger(std::uint64_t client) : client_(client) {}

  void intend(std::uint64_t number) { line("intent", number, ""); }

  void answer(Work work, const Expected<bus::Buffer>& buffer) {
    if (!buffer) {
      line("unknown", work.number, "");
      return put_back(std::move(work));
    }
    const auto* reply = schema::verified<schema::Reply>(*buffer);
    const auto* no = reply->rejection();
    if (no && schema::text(no->rule()) == schema::not_kept_rule) {
      line("unknown", work.number, "");
      return put_back(std::move(work));
    }
    if (no) {
      line("rejected", work.number, schema::text(no->rule()));
    } else {
      line("accepted", work.number,
           fmt::format("{} {}", reply->seq(), reply->session()));
    }
  }

  std::optional<Work> take_back() {
    const std::lock_guard lock(mutex_);
    if (again_.empty()) return std::nullopt;
    Work work = std::move(again_.front());
    again_.pop_front();
    return work;
  }

 private:
  void put_back(Work work) {
    const std::lock_guard lock(mutex_);
    again_.push_back(std::move(work));
  }

  void line(const char* what, std::uint64_t number, std::string_view rest) {
    const std::string text =
        fmt::format("{} {} {}\n", what, id_text(client_, number), rest);
    const std::lock_guard lock(mutex_);
    std::fwrite(text.data(), 1, text.size(), stdout);
    std::fflush(stdout);
  }

  const std::uint64_t client_;
  std::mutex mutex_;
  std::deque<Work> again_;
};

Status send(bus::Pipeline& pipeline, Ledger& ledger, Work work) {
  const auto bytes = work.bytes;
  return pipeline.submit(bytes, [&ledger, work = std::move(work)](auto buffer) {
    ledger.answer(work, buffer);
  });
}

// The bus server that it begins with may be on its way back.
Expected<std::unique_ptr<bus::Connection>> connect(
    const bus::ConnectionOptions& options) {
  const auto deadline = Clock::now() + connect_patience;
  for (;;) {
    auto connection = bus::Connection::connect(options);
    if (connection || connection.error().code != Errc::unreachable ||
        told_to_end || Clock::now() >= deadline)
      return connection;
    std::this_thread::sleep_for(200ms);
  }
}

Status run(bus::Connection& connection, const bus::Credentials& credentials,
           const std::string& workdir, std::uint64_t number_of_client,
           std::chrono::milliseconds pause, Clock::time_point end) {
  bus::Client client(connection, bus::Subjects(credentials.cell),
                     credentials.principal);
  const std::uint64_t id = 0xc11e'0000 + number_of_client;
  Ledger ledger(id);
  bus::Pipeline pipeline(client, {in_flight_max, command_timeout});
  for (std::uint64_t next = 1; !told_to_end && Clock::now() < end;) {
    auto again = ledger.take_back();
    if (!again) {
      ledger.intend(next);
      again = Work{next, encode(id, next, credentials.principal, workdir)};
      ++next;
    }
    if (auto sent = send(pipeline, ledger, std::move(*again)); !sent)
      return sent;
    std::this_thread::sleep_for(pause);
  }
  // Every command gets its answer in the end.
  const auto limit = Clock::now() + drain_timeout;
  while (Clock::now() < limit) {
    if (auto good = pipeline.drain(drain_timeout); !good) return good;
    auto again = ledger.take_back();
    if (!again) return {};
    if (auto sent = send(pipeline, ledger, std::move(*again)); !sent)
      return sent;
  }
  return fail(Errc::unreachable, "commands are still without an answer");
}

int complain(const Error& error) {
  fmt::print(stderr, "ledger_client: {}\n", error.text);
  return exit_code(error.code);
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 5 && argc != 6) {
    fmt::print(stderr,
               "usage: ledger_client CREDENTIALS WORKDIR SECONDS NUMBER "
               "[PAUSE_MS]\n");
    return 2;
  }
  ::signal(SIGTERM, [](int) { told_to_end = true; });
  const auto credentials = bus::load_credentials(argv[1]);
  if (!credentials) return complain(credentials.error());
  bus::ConnectionOptions options;
  options.credentials = *credentials;
  options.name = "ledger";
  auto connection = connect(options);
  if (!connection) return complain(connection.error());
  const auto end =
      Clock::now() + std::chrono::seconds(std::strtol(argv[3], nullptr, 10));
  const std::chrono::milliseconds pause(
      argc == 6 ? std::strtol(argv[5], nullptr, 10) : 4);
  const auto done = run(**connection, *credentials, argv[2],
                        std::strtoull(argv[4], nullptr, 10), pause, end);
  return done ? 0 : complain(done.error());
}
