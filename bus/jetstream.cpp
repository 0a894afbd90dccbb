#include "bus/jetstream.hpp"

#include <fmt/format.h>
#include <sodium/utils.h>

#include <algorithm>
#include <boost/json.hpp>
#include <charconv>
#include <cstdlib>
#include <random>
#include <thread>

#include "bus/connection_impl.hpp"
#include "bus/subject.hpp"

namespace reeve::bus {
namespace {

namespace json = boost::json;

constexpr std::chrono::milliseconds between_tries{200};

Refusal no_answer(Error error) {
  return {Refusal::no_answer, std::move(error)};
}

std::string text_of(const json::object& object, const char* key) {
  const json::value* found = object.if_contains(key);
  const json::string* text = found ? found->if_string() : nullptr;
  return text ? std::string(*text) : std::string();
}

// An answer of the server: the object, or what it says went wrong.
Answer<json::object> read_answer(Bytes bytes, const std::string& what) {
  const auto foreign = [&] {
    return tl::unexpected(no_answer(
        {Errc::damaged, fmt::format("{}: {} bytes that are no answer of "
                                    "JetStream",
                                    what, bytes.size())}));
  };
  json::error_code error;
  const json::value value = json::parse(
      {reinterpret_cast<const char*>(bytes.data()), bytes.size()}, error);
  const json::object* object = error ? nullptr : value.if_object();
  if (object == nullptr) return foreign();
  const json::value* refused = object->if_contains("error");
  if (refused == nullptr) return *object;
  if (!refused->is_object()) return foreign();
  const json::object& why = refused->get_object();
  const int code = static_cast<int>(number_of(why, "err_code"));
  return tl::unexpected(Refusal{
      code,
      {number_of(why, "code") == 503 ? Errc::unreachable : Errc::rejected,
       fmt::format("{}: {} ({})", what, text_of(why, "description"), code)}});
}

std::optional<std::string> decoded(const std::string& base64) {
  std::string bytes(base64.size(), '\0');
  std::size_t size = 0;
  if (sodium_base642bin(reinterpret_cast<unsigned char*>(bytes.data()),
                        bytes.size(), base64.data(), base64.size(), nullptr,
                        &size, nullptr, sodium_base64_VARIANT_ORIGINAL) != 0)
    return std::nullopt;
  bytes.resize(size);
  return bytes;
}

std::string header_of(natsMsg* message, const char* name) {
  const char* value = nullptr;
  if (natsMsgHeader_Get(message, name, &value) != NATS_OK || value == nullptr)
    return {};
  return value;
}

// What makes a stream another one; the rest can be changed.
constexpr const char* fixed_settings[] = {"subjects", "retention", "discard",
                                          "storage"};

}  // namespace

std::uint64_t number_of(const json::object& object, const char* key) {
  const json::value* found = object.if_contains(key);
  if (found == nullptr) return 0;
  json::error_code error;
  const auto number = found->to_number<std::uint64_t>(error);
  return error ? 0 : number;
}

bool may_lead_elsewhere(const json::object& cluster, std::string_view server) {
  if (text_of(cluster, "leader") != server) return false;
  const json::value* replicas = cluster.if_contains("replicas");
  if (replicas == nullptr || !replicas->is_array()) return false;
  const auto truth = [](const json::object& of, const char* key) {
    const json::value* found = of.if_contains(key);
    return found != nullptr && found->is_bool() && found->get_bool();
  };
  return std::ranges::count_if(
             replicas->get_array(), [&](const json::value& one) {
               return one.is_object() && truth(one.get_object(), "current") &&
                      !truth(one.get_object(), "offline");
             }) >= 2;
}

std::string StoredMessage::header(std::string_view name) const {
  const std::string start = fmt::format("\r\n{}:", name);
  const std::size_t at = headers.find(start);
  if (at == std::string::npos) return {};
  std::size_t from = at + start.size();
  while (from < headers.size() && headers[from] == ' ') ++from;
  return headers.substr(from, headers.find("\r\n", from) - from);
}

JetStream::JetStream(Connection& connection, std::string inbox)
    : connection_(connection), inbox_(std::move(inbox)) {}

Expected<std::unique_ptr<JetStream>> JetStream::open(Connection& connection) {
  if (auto left = connection.impl_->take_given_back()) {
    std::unique_ptr<JetStream> taken(
        new JetStream(connection, std::move(left->name)));
    taken->subscription_ = left->handle;
    return taken;
  }
  std::random_device random;
  std::unique_ptr<JetStream> made(new JetStream(
      connection,
      fmt::format("{}.{:08x}{:08x}.",
                  inbox_prefix(connection.impl_->options.credentials.principal),
                  random(), random())));
  const natsStatus status =
      connection.impl_->open_inbox(made->inbox_ + "*", &made->subscription_);
  if (status != NATS_OK) return failure(status, "open an inbox");
  return made;
}

// The connection destroys the subscription when it has ended: see ~Impl.
JetStream::~JetStream() {
  if (subscription_ == nullptr) return;
  if (sent_)
    natsSubscription_Unsubscribe(subscription_);
  else
    connection_.impl_->give_back({inbox_, subscription_});
}

bool JetStream::connected() const {
  return connection_.connected();
}

std::uint64_t JetStream::reconnects() const {
  return connection_.impl_->reconnects;
}

Answer<json::object> JetStream::request(const std::string& what,
                                        const json::object& body,
                                        Milliseconds timeout) {
  const std::string text = json::serialize(body);
  auto answer = connection_.request(
      "$JS.API." + what,
      {reinterpret_cast<const std::byte*>(text.data()), text.size()}, timeout);
  if (!answer) return tl::unexpected(no_answer(answer.error()));
  return read_answer(*answer, what);
}

Answer<std::optional<StoredMessage>> JetStream::get(const std::string& stream,
                                                    const json::object& which,
                                                    Milliseconds timeout) {
  const std::string what = "STREAM.MSG.GET." + stream;
  auto answer = request(what, which, timeout);
  if (!answer && answer.error().code == Refusal::message_not_found)
    return std::nullopt;
  if (!answer) return tl::unexpected(answer.error());
  const json::value* found = answer->if_contains("message");
  if (found != nullptr && found->is_object()) {
    const json::object& message = found->get_object();
    const auto headers = decoded(text_of(message, "hdrs"));
    auto data = decoded(text_of(message, "data"));
    if (headers && data)
      return StoredMessage{number_of(message, "seq"), *headers,
                           std::move(*data)};
  }
  return tl::unexpected(no_answer(
      {Errc::damaged, fmt::format("{}: an answer without a message", what)}));
}

Answer<JetStream::Bounds> JetStream::bounds(const std::string& stream,
                                            Milliseconds timeout) {
  const auto info = request("STREAM.INFO." + stream, {}, timeout);
  if (!info) return tl::unexpected(info.error());
  const json::value* state = info->if_contains("state");
  if (state == nullptr || !state->is_object())
    return tl::unexpected(no_answer(
        {Errc::damaged, fmt::format("stream {} has no state", stream)}));
  return Bounds{number_of(state->get_object(), "first_seq"),
                number_of(state->get_object(), "last_seq")};
}

Status JetStream::lead_elsewhere(const std::string& stream,
                                 std::string_view server,
                                 Milliseconds timeout) {
  const auto info = request("STREAM.INFO." + stream, {}, timeout);
  if (!info) return tl::unexpected(info.error().error);
  const json::value* cluster = info->if_contains("cluster");
  if (cluster == nullptr || !cluster->is_object() ||
      !may_lead_elsewhere(cluster->get_object(), server))
    return {};
  const auto done = request("STREAM.LEADER.STEPDOWN." + stream, {}, timeout);
  if (!done) return tl::unexpected(done.error().error);
  return {};
}

Status JetStream::ensure_stream(const json::object& wanted, bool grow,
                                Milliseconds timeout, Milliseconds patience) {
  const auto deadline = Clock::now() + patience;
  for (;;) {
    bool again = false;
    auto status = settle_stream(wanted, grow, timeout, again);
    if (status || !again || Clock::now() >= deadline) return status;
    std::this_thread::sleep_for(between_tries);
  }
}

// One try; `again` when another may go better.
Status JetStream::settle_stream(const json::object& wanted, bool grow,
                                Milliseconds timeout, bool& again) {
  const std::string name = text_of(wanted, "name");
  const auto refused = [&](const Refusal& why) {
    again =
        why.code != Refusal::replicas_unsupported &&
        !(why.code == Refusal::no_answer && why.error.code == Errc::rejected);
    return tl::unexpected(why.error);
  };
  auto info = request("STREAM.INFO." + name, {}, timeout);
  if (!info && info.error().code == Refusal::stream_not_found) {
    auto made = request("STREAM.CREATE." + name, wanted, timeout);
    if (!made) return refused(made.error());
    return {};
  }
  if (!info) return refused(info.error());
  const json::value* found = info->if_contains("config");
  if (found == nullptr || !found->is_object())
    return fail(Errc::damaged, fmt::format("stream {} has no settings", name));
  json::object config = found->get_object();
  for (const char* key : fixed_settings)
    if (config[key] != wanted.at(key))
      return fail(
          Errc::rejected,
          fmt::format("there is another stream {}: its {} is {} and not {}; "
                      "remove it, or name the cell differently",
                      name, key, json::serialize(config[key]),
                      json::serialize(wanted.at(key))));
  bool differs = false;
  for (const auto& [key, value] : wanted) {
    if (key == "num_replicas" && !grow) continue;
    if (key == "num_replicas" &&
        number_of(config, "num_replicas") >= number_of(wanted, "num_replicas"))
      continue;
    if (config[key] == value) continue;
    config[key] = value;
    differs = true;
  }
  if (!differs) return {};
  auto changed = request("STREAM.UPDATE." + name, config, timeout);
  if (!changed) return refused(changed.error());
  return {};
}

Error JetStream::remake_if_lost(const Refusal& refusal,
                                const json::object& wanted,
                                Milliseconds timeout) {
  if (refusal.code != Refusal::stream_not_found) return refusal.error;
  const auto now = Clock::now();
  if (!missing_since_ || now - missing_at_ > lost_wait) missing_since_ = now;
  missing_at_ = now;
  if (now - *missing_since_ < lost_wait) return refusal.error;
  missing_since_.reset();
  // One that is there after all stays as it is.
  const std::string name = text_of(wanted, "name");
  const auto made = request("STREAM.CREATE." + name, wanted, timeout);
  return {Errc::unreachable,
          made ? fmt::format("the bus servers lost the stream {}: it is made "
                             "anew, and empty",
                             name)
               : fmt::format("the bus servers lost the stream {}, and do not "
                             "make it anew: {}",
                             name, made.error().error.text)};
}

Status JetStream::send(const std::string& subject,
                       const std::vector<Header>& headers, Bytes data,
                       const std::string& token) {
  sent_ = true;
  natsMsg* message = nullptr;
  natsStatus status =
      natsMsg_Create(&message, subject.c_str(), inbox(token).c_str(),
                     reinterpret_cast<const char*>(data.data()),
                     static_cast<int>(data.size()));
  for (const Header& one : headers)
    if (status == NATS_OK)
      status = natsMsgHeader_Set(message, one.name.c_str(), one.value.c_str());
  if (status == NATS_OK) {
    const SocketLoop::Writing together;
    status = natsConnection_PublishMsg(connection_.impl_->handle, message);
  }
  natsMsg_Destroy(message);
  connection_.impl_->loop->write();
  if (status != NATS_OK)
    return failure(status, fmt::format("publish on {}", subject));
  return {};
}

std::optional<Arrival> JetStream::next(Clock::time_point deadline) {
  const auto left = std::chrono::ceil<Milliseconds>(deadline - Clock::now());
  natsMsg* message = nullptr;
  const natsStatus status = natsSubscription_NextMsg(
      &message, subscription_, std::max<std::int64_t>(left.count(), 0));
  if (status != NATS_OK) {
    // A closed connection answers at once, and who asks would spin.
    if (status != NATS_TIMEOUT) std::this_thread::sleep_until(deadline);
    return std::nullopt;
  }
  const char* reply = natsMsg_GetReply(message);
  const auto size = static_cast<std::size_t>(natsMsg_GetDataLength(message));
  Arrival arrival;
  arrival.subject = natsMsg_GetSubject(message);
  arrival.reply = reply ? reply : "";
  const std::string status_text = header_of(message, "Status");
  std::from_chars(status_text.data(), status_text.data() + status_text.size(),
                  arrival.status);
  arrival.record = header_of(message, record_header);
  arrival.log = header_of(message, log_header);
  arrival.data = Buffer::copy(
      {reinterpret_cast<const std::byte*>(natsMsg_GetData(message)), size});
  natsMsg_Destroy(message);
  return arrival;
}

Answer<std::uint64_t> JetStream::stored(const std::string& token,
                                        Clock::time_point deadline) {
  while (const auto arrival = next(deadline)) {
    if (arrival->subject != inbox(token)) continue;
    if (arrival->status != 0)
      return tl::unexpected(no_answer(
          {Errc::unreachable,
           fmt::format("no stream takes the message (status {}): is JetStream "
                       "on, and has the stream a leader?",
                       arrival->status)}));
    auto answer = read_answer(arrival->data, "publish");
    if (!answer) return tl::unexpected(answer.error());
    return number_of(*answer, "seq");
  }
  return tl::unexpected(
      no_answer({Errc::unreachable, "no acknowledgement came"}));
}

}  // namespace reeve::bus
