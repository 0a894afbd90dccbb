#include "bus/test_support.hpp"

#include <boost/test/unit_test.hpp>
#include <cstdlib>
#include <thread>

#include "bus/nkey.hpp"
#include "schema/wire.hpp"

namespace reeve::bus::testing {

TemporaryDirectory::TemporaryDirectory() {
  std::string name =
      (std::filesystem::temp_directory_path() / "reeve-bus-XXXXXX").string();
  BOOST_REQUIRE(::mkdtemp(name.data()) != nullptr);
  path_ = name;
}

TemporaryDirectory::~TemporaryDirectory() {
  std::error_code ignored;
  std::filesystem::remove_all(path_, ignored);
}

bool eventually(const std::function<bool()>& condition) {
  const auto end = std::chrono::steady_clock::now() + patience;
  while (std::chrono::steady_clock::now() < end) {
    if (condition()) return true;
    std::this_thread::sleep_for(std::chrono::milliseconds(2));
  }
  return false;
}

Cell::Cell(const std::function<void(ServerOptions&)>& change) {
  ServerOptions options;
  options.data_directory = directory.path();
  options.cell = "c";
  if (change) change(options);
  auto started = Server::start_or_adopt(options);
  BOOST_REQUIRE_MESSAGE(started,
                        (started ? std::string() : started.error().text));
  server = std::move(*started);
}

ConnectionOptions Cell::options(Role role, bool low_latency) const {
  ConnectionOptions options;
  options.credentials = server->credentials(role);
  options.name = "test";
  options.low_latency = low_latency;
  options.connect_timeout = patience;
  return options;
}

Credentials Cell::admit(const std::string& principal, Role role,
                        const std::string& agent) {
  const UserKey key = make_user_key();
  users.push_back({principal, role, key.public_key, agent});
  set_users(users);
  Credentials credentials = server->credentials(Role::user);
  credentials.principal = principal;
  credentials.seed = key.seed;
  return credentials;
}

void Cell::set_users(const std::vector<ServerUser>& to) {
  const auto before = server->reloads();
  const auto good = server->set_users(to);
  BOOST_REQUIRE_MESSAGE(good, (good ? std::string() : good.error().text));
  BOOST_REQUIRE(eventually([&] { return server->reloads() > before; }));
  users = to;
}

std::unique_ptr<Connection> Cell::connect(Role role, bool low_latency) {
  auto made = Connection::connect(options(role, low_latency));
  BOOST_REQUIRE_MESSAGE(made, (made ? std::string() : made.error().text));
  return std::move(*made);
}

Bytes bytes_of(std::string_view text) {
  return {reinterpret_cast<const std::byte*>(text.data()), text.size()};
}

std::string text_of(Bytes bytes) {
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

Buffer make_command(std::uint64_t id, std::uint64_t session) {
  flatbuffers::FlatBufferBuilder builder;
  const schema::Id128 id128(1, id);
  const auto body = schema::CreateCancelSession(builder, session);
  return Buffer::copy(schema::finish(
      builder,
      schema::CreateCommand(builder, &id128, schema::CommandBody::CancelSession,
                            body.Union())));
}

Buffer make_reply(std::uint64_t id, std::uint64_t sequence) {
  flatbuffers::FlatBufferBuilder builder;
  const schema::Id128 id128(1, id);
  return Buffer::copy(
      schema::finish(builder, schema::CreateReply(builder, &id128, sequence)));
}

Buffer make_event(std::uint64_t sequence, std::uint64_t session) {
  flatbuffers::FlatBufferBuilder builder;
  const auto principal = builder.CreateString("local");
  const auto body =
      schema::CreateTaskStarted(builder, session, 1, 0, 4711, sequence);
  const schema::Id128 id(2, sequence);
  builder.FinishSizePrefixed(
      schema::CreateEvent(builder, sequence, 1'700'000'000'000'000'000, 1, 0,
                          &id, principal, schema::EventBody::TaskStarted,
                          body.Union()),
      schema::Wire<schema::Event>::identifier);
  return Buffer::copy(
      {reinterpret_cast<const std::byte*>(builder.GetBufferPointer()),
       builder.GetSize()});
}

Buffer make_log_chunk(std::uint64_t head, std::uint64_t from,
                      std::uint64_t to) {
  std::vector<std::uint8_t> all;
  for (std::uint64_t sequence = from; sequence <= to; ++sequence) {
    const Buffer event = make_event(sequence);
    const auto* data = reinterpret_cast<const std::uint8_t*>(event.data());
    all.insert(all.end(), data, data + event.size());
  }
  flatbuffers::FlatBufferBuilder builder;
  const auto events = builder.CreateVector(all);
  return Buffer::copy(schema::finish(
      builder, schema::CreateLogChunk(builder, head, from,
                                      static_cast<std::uint32_t>(to + 1 - from),
                                      events)));
}

}  // namespace reeve::bus::testing
