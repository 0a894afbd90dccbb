#include "tools/cli/cell.hpp"

#include <fmt/format.h>
#include <openssl/ssl.h>
#include <sys/random.h>

#include <algorithm>
#include <chrono>
#include <filesystem>
#include <system_error>
#include <thread>

#include "bus/client.hpp"
#include "bus/credentials.hpp"
#include "bus/quarantine.hpp"
#include "cluster/check.hpp"
#include "cluster/printable.hpp"
#include "cluster/session_id.hpp"
#include "tools/cli/cell/answer_age.hpp"
#include "tools/cli/cell/daemon.hpp"
#include "tools/cli/cell/leaderless.hpp"
#include "tools/cli/interrupts.hpp"
#include "tools/config/config.hpp"
#include "tools/program.hpp"

namespace reeve::tools {
namespace {

constexpr std::uint32_t log_read_bytes = 512 << 10;

// A silent leader is followed after 6 s or so, and whoever waits for an answer
// is to have it soon after.
constexpr bus::RetryOptions retry{std::chrono::milliseconds(500),
                                  std::chrono::milliseconds(2'000)};

// A daemon that lives starts its bus server anew, after a crash or to serve
// more hosts.
constexpr std::chrono::seconds bus_back_max{5};
constexpr std::chrono::milliseconds bus_back_pause{200};

// How often a host that joined as a user asks where the cell's managers are.
constexpr std::chrono::hours servers_asked_every{1};
constexpr std::chrono::milliseconds servers_timeout{1'000};

// The bus library sets OpenSSL up in full, its texts and configuration
// included, though no connection on loopback is encrypted. Set up without them
// beforehand, that takes 2 ms less of a program that takes 10.
void spare_tls() {
  ::OPENSSL_init_ssl(
      OPENSSL_INIT_NO_LOAD_SSL_STRINGS | OPENSSL_INIT_NO_LOAD_CRYPTO_STRINGS |
          OPENSSL_INIT_NO_ADD_ALL_CIPHERS | OPENSSL_INIT_NO_ADD_ALL_DIGESTS |
          OPENSSL_INIT_NO_LOAD_CONFIG | OPENSSL_INIT_NO_ATEXIT,
      nullptr);
}

// Its daemon is no cell's: another host's is asked.
tl::unexpected<Error> only_a_node(const Config& config) {
  return fail(Errc::usage,
              fmt::format("this host is a node of the cell {}: ask from a "
                          "manager's host, or from a desk that joined as a "
                          "user (reeve token create --role user there)",
                          config.cell));
}

tl::unexpected<Error> not_running(const Context& context,
                                  const std::string& why) {
  // A desk starts nothing.
  const auto config = load_config(cell_file(context.data));
  if (config && config->role == Config::Role::user)
    return fail(Errc::unreachable,
                fmt::format("the cell {} cannot be reached: {}; look whether "
                            "its managers run (reeve status on their hosts) "
                            "and whether this host reaches them",
                            config->cell, why));
  return fail(Errc::unreachable,
              fmt::format("the cell of {} cannot be reached: {}; start it with "
                          "\"reeve up --data {}\", or name another with --data",
                          context.data.string(), why, context.data.string()));
}

// Its daemon lives, and it is one that users connect to: that of a host which
// joined has credentials of its own alone, and no bus.
bool starts_a_bus(const std::filesystem::path& data) {
  std::error_code ignored;
  return std::filesystem::exists(bus::client_credentials_path(data), ignored) &&
         living_daemon(data);
}

// Those that the token named may be gone one day. What goes wrong here is
// tried again by the next command.
void learn_servers(const std::filesystem::path& credentials, Cell& cell) {
  const auto file = bus::servers_path(credentials);
  const auto now = std::filesystem::file_time_type::clock::now();
  std::error_code never;
  const auto asked = std::filesystem::last_write_time(file, never);
  if (!never && now - asked < servers_asked_every && asked <= now) return;
  const auto status = cell.status(servers_timeout);
  if (!status) return;
  std::vector<std::string> hosts;
  if ((*status)->managers())
    for (const auto* one : *(*status)->managers())
      hosts.emplace_back(schema::text(one->address()));
  if (bus::remember_servers(credentials, hosts, cell.connection().server()))
    std::filesystem::last_write_time(file, now, never);
}

// Walks size-prefixed events; each is copied to where it may be read.
Expected<bool> visit_events(const schema::LogChunk& chunk,
                            const Cell::EventVisitor& visit,
                            std::uint64_t& next) {
  if (chunk.events() == nullptr) return true;
  bus::Bytes rest{reinterpret_cast<const std::byte*>(chunk.events()->data()),
                  chunk.events()->size()};
  while (rest.size() >= sizeof(std::uint32_t)) {
    const std::size_t size =
        sizeof(std::uint32_t) +
        flatbuffers::ReadScalar<std::uint32_t>(rest.data());
    if (size > rest.size()) break;
    const auto bytes = bus::Buffer::copy(rest.first(size));
    const schema::Event* event = schema::verified_event(bytes);
    if (event == nullptr) break;
    rest = rest.subspan(size);
    if (event->seq() < next) continue;
    next = event->seq() + 1;
    if (!visit(*event, bytes)) return false;
  }
  if (!rest.empty())
    return fail(Errc::damaged,
                fmt::format("the cell's answer holds no event at {}", next));
  return true;
}

}  // namespace

schema::Id128 random_id() {
  std::uint64_t words[2] = {};
  const auto filled = ::getrandom(words, sizeof words, 0);
  REEVE_CHECK(filled == sizeof words, "no random bytes from the kernel");
  return {words[0], words[1]};
}

Error rejection_error(const schema::Rejection& rejection) {
  const std::string text = printable(schema::text(rejection.text()));
  if (schema::text(rejection.rule()) == schema::not_kept_rule)
    return {Errc::unreachable, text};
  switch (rejection.code()) {
    case schema::RejectCode::not_found: return {Errc::not_found, text};
    case schema::RejectCode::try_again: return {Errc::busy, text};
    case schema::RejectCode::no_space: return {Errc::no_space, text};
    default: return {Errc::rejected, text};
  }
}

Expected<std::unique_ptr<Cell>> Cell::connect(
    const Context& context, std::function<void(bus::State)> on_state) {
  using Clock = std::chrono::steady_clock;
  const auto deadline = Clock::now() + bus_back_max;
  for (;;) {
    auto cell = connect_once(context, on_state);
    if (cell || cell.error().code != Errc::unreachable ||
        Clock::now() >= deadline || interrupt_pending() ||
        !starts_a_bus(context.data))
      return cell;
    std::this_thread::sleep_for(bus_back_pause);
  }
}

Expected<std::unique_ptr<Cell>> Cell::connect_once(
    const Context& context, std::function<void(bus::State)> on_state) {
  const auto file = bus::client_credentials_path(context.data);
  const auto credentials = bus::load_credentials(file);
  if (!credentials && credentials.error().code == Errc::not_found) {
    const auto config = load_config(cell_file(context.data));
    if (config && config->role == Config::Role::agent)
      return only_a_node(*config);
    return not_running(context, "it has never been started here");
  }
  std::error_code unread;
  if (!credentials && std::filesystem::exists(context.data, unread) &&
      !std::filesystem::is_directory(context.data, unread))
    return fail(Errc::usage,
                fmt::format("{} is no directory, and so no cell's data",
                            context.data.string()));
  if (!credentials && credentials.error().code == Errc::io)
    return fail(Errc::io,
                fmt::format("the cell of {} is not open to this user: {}; it "
                            "is for who started it",
                            context.data.string(), credentials.error().text));
  if (!credentials) return tl::unexpected(credentials.error());
  auto cell = connect_by(*credentials, std::move(on_state));
  if (!cell && cell.error().code == Errc::unreachable)
    return not_running(context, cell.error().text);
  if (!cell) return cell;
  std::error_code ignored;
  // Without a log it is no manager's host, which has a server of its own.
  if (!std::filesystem::exists(context.data / "log", ignored)) {
    learn_servers(file, **cell);
    (*cell)->credentials_file_ = file;
    (*cell)->first_server_ = credentials->urls.front();
  }
  return cell;
}

Expected<std::unique_ptr<Cell>> Cell::connect_by(
    const bus::Credentials& credentials,
    std::function<void(bus::State)> on_state) {
  bus::ConnectionOptions options;
  options.credentials = credentials;
  options.name = "reeve";
  options.low_latency = true;
  options.on_state = std::move(on_state);
  if (!bus::is_tls(credentials.urls.front())) spare_tls();
  auto connection = bus::Connection::connect(options);
  if (!connection) return tl::unexpected(connection.error());
  std::unique_ptr<Cell> cell(new Cell);
  cell->name_ = credentials.cell;
  cell->quarantine_ = std::make_unique<bus::Quarantine>();
  cell->connection_ = std::move(*connection);
  cell->client_ = std::make_unique<bus::Client>(
      *cell->connection_, bus::Subjects(credentials.cell),
      credentials.principal, retry, interrupt_pending);
  return cell;
}

Cell::~Cell() = default;

void Cell::keep_server() {
  if (credentials_file_.empty()) return;
  std::string server = connection_->answering_server();
  if (server.empty() || server == first_server_) return;
  // What goes wrong here costs the next command a few seconds.
  (void)bus::prefer_server(credentials_file_, server);
  first_server_ = std::move(server);
}

const bus::Subjects& Cell::subjects() const {
  return client_->subjects();
}

Expected<Held<schema::Answer>> Cell::ask(
    flatbuffers::FlatBufferBuilder& builder, schema::QueryBody kind,
    flatbuffers::Offset<void> body, std::chrono::milliseconds timeout) {
  const auto query =
      schema::CreateQuery(builder, kind, body, &this_program().protocol);
  auto buffer = client_->query(schema::finish(builder, query), timeout);
  if (!buffer) return tl::unexpected(buffer.error());
  keep_server();
  const auto* answer = schema::verified<schema::Answer>(*buffer);
  if (answer->standing_by() != nullptr && !told_standing_by_) {
    told_standing_by_ = true;
    say("reeve: " + unsure_answer(*answer));
  }
  if (answer->error() != nullptr)
    return fail(answer->not_found() ? Errc::not_found : Errc::rejected,
                printable(answer->error()->string_view()));
  if (answer->body() == nullptr)
    return fail(Errc::internal, "the cell's answer is empty");
  return Held<schema::Answer>(std::move(*buffer), answer, answer->seq());
}

namespace {

// The body of an answer, held with it.
template <class Table>
Expected<Held<Table>> body_of(Expected<Held<schema::Answer>> answer) {
  if (!answer) return tl::unexpected(answer.error());
  const Table* table = (*answer)->template body_as<Table>();
  if (table == nullptr)
    return fail(Errc::internal, "the cell answered another question");
  struct Both {
    Held<schema::Answer> answer;
  };
  const auto seq = answer->seq();
  auto both = std::make_shared<Both>(Both{std::move(*answer)});
  return Held<Table>(bus::Buffer(std::move(both), {}), table, seq);
}

}  // namespace

Expected<Held<schema::SessionView>> Cell::session(
    SessionId id, std::chrono::milliseconds timeout) {
  flatbuffers::FlatBufferBuilder builder(128);
  const auto body = schema::CreateSessionQuery(builder, id.value);
  return body_of<schema::SessionView>(
      ask(builder, schema::QueryBody::SessionQuery, body.Union(), timeout));
}

Expected<Held<schema::StatusAnswer>> Cell::status(
    std::chrono::milliseconds timeout) {
  flatbuffers::FlatBufferBuilder builder(128);
  const auto body = schema::CreateStatusQuery(builder);
  return body_of<schema::StatusAnswer>(
      ask(builder, schema::QueryBody::StatusQuery, body.Union(), timeout));
}

Expected<Held<schema::Reply>> Cell::command(std::span<const std::byte> bytes) {
  auto buffer = send_to_leader<bus::Buffer>(
      [&](std::chrono::milliseconds wait, bool again) {
        using Before = bus::Client::Before;
        return client_->command(bytes, wait,
                                again ? Before::sent : Before::unsent);
      },
      [&] {
        const auto known = status();
        return known ? why_nobody_leads(**known) : std::string();
      },
      interrupt_pending, command_timeout);
  if (!buffer) return tl::unexpected(buffer.error());
  keep_server();
  const auto* reply = schema::verified<schema::Reply>(*buffer);
  if (reply->rejection() != nullptr)
    return tl::unexpected(rejection_error(*reply->rejection()));
  return Held<schema::Reply>(std::move(*buffer), reply, reply->seq());
}

Expected<Held<schema::Reply>> Cell::command(
    flatbuffers::FlatBufferBuilder& builder, schema::CommandBody kind,
    flatbuffers::Offset<void> body) {
  const schema::Id128 id = random_id();
  const auto root =
      schema::CreateCommand(builder, &id, kind, body, &this_program().protocol);
  return command(schema::finish(builder, root));
}

Expected<std::uint64_t> Cell::read_log(std::uint64_t from, std::uint64_t to,
                                       const EventVisitor& visit) {
  std::uint64_t next = from;
  for (;;) {
    flatbuffers::FlatBufferBuilder builder(128);
    const auto read = schema::CreateLogRead(
        builder, next, to == 0 ? UINT64_MAX : to, log_read_bytes);
    auto buffer =
        client_->log_read(schema::finish(builder, read), query_timeout);
    if (!buffer) return tl::unexpected(buffer.error());
    const auto* chunk = schema::verified<schema::LogChunk>(*buffer);
    if (chunk->error() != nullptr)
      return fail(Errc::damaged, chunk->error()->str());
    if (to == 0) to = chunk->head_seq();
    const std::uint64_t before = next;
    const auto more = visit_events(*chunk, visit, next);
    if (!more) return tl::unexpected(more.error());
    if (!*more || next > to || next == before) return chunk->head_seq();
  }
}

Expected<std::uint64_t> Cell::log_head() {
  auto buffer = client_->log_head(query_timeout);
  if (!buffer) return tl::unexpected(buffer.error());
  return schema::verified<schema::LogChunk>(*buffer)->head_seq();
}

}  // namespace reeve::tools
