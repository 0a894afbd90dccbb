#include "bus/lease.hpp"

#include <fmt/format.h>

#include <boost/json.hpp>

#include "bus/jetstream.hpp"
#include "bus/subject.hpp"

namespace reeve::bus {
namespace {

namespace json = boost::json;

std::string bucket(std::string_view cell) {
  return fmt::format("reeve-{}-lease", escape_token(cell));
}

std::string word_of(const json::object& object, const char* key) {
  const json::value* found = object.if_contains(key);
  const json::string* text = found ? found->if_string() : nullptr;
  return text ? std::string(*text) : std::string();
}

// A bucket of one key keeps one message, so that the stream's last sequence
// is the key's revision.
json::object settings(const std::string& stream, const std::string& subject,
                      int replicas) {
  return {{"name", stream},
          {"subjects", json::array{json::value(subject)}},
          {"retention", "limits"},
          {"discard", "old"},
          {"storage", "file"},
          {"num_replicas", replicas},
          {"max_msgs_per_subject", 1},
          {"deny_delete", true},
          {"deny_purge", true}};
}

}  // namespace

std::string text_of(const LeaseHolder& holder) {
  return json::serialize(
      json::object{{"manager", holder.manager},
                   {"epoch", holder.epoch},
                   {"sequence", holder.sequence},
                   {"next", holder.next},
                   {"sequence_epoch", holder.sequence_epoch}});
}

std::optional<LeaseHolder> parse_lease_holder(std::string_view text) {
  if (text.size() > lease_bytes_max) return std::nullopt;
  json::error_code error;
  const json::value value = json::parse({text.data(), text.size()}, error);
  const json::object* object = error ? nullptr : value.if_object();
  if (object == nullptr) return std::nullopt;
  LeaseHolder holder{word_of(*object, "manager"), number_of(*object, "epoch"),
                     number_of(*object, "sequence"), word_of(*object, "next"),
                     number_of(*object, "sequence_epoch")};
  if (holder.manager.empty()) return std::nullopt;
  return holder;
}

Lease::Lease(std::unique_ptr<JetStream> jetstream, std::string_view cell,
             const LeaseOptions& options)
    : options_(options),
      stream_("KV_" + bucket(cell)),
      subject_(fmt::format("$KV.{}.leader", bucket(cell))),
      jetstream_(std::move(jetstream)) {}

Lease::~Lease() = default;

Expected<std::unique_ptr<Lease>> Lease::open(Connection& connection,
                                             std::string_view cell,
                                             const LeaseOptions& options) {
  auto jetstream = JetStream::open(connection);
  if (!jetstream) return tl::unexpected(jetstream.error());
  std::unique_ptr<Lease> lease(new Lease(std::move(*jetstream), cell, options));
  auto status = lease->jetstream_->ensure_stream(
      settings(lease->stream_, lease->subject_, options.replicas), options.grow,
      options.request_timeout, options.open_timeout);
  if (!status) return tl::unexpected(status.error());
  return lease;
}

Expected<LeaseState> Lease::read() {
  auto last = jetstream_->get(stream_, {{"last_by_subj", subject_}},
                              options_.request_timeout);
  if (!last)
    return tl::unexpected(jetstream_->remake_if_lost(
        last.error(), settings(stream_, subject_, options_.replicas),
        options_.request_timeout));
  if (!*last) return nobody();
  return LeaseState{(*last)->sequence, parse_lease_holder((*last)->data)};
}

Status Lease::lead_elsewhere(std::string_view server) {
  return jetstream_->lead_elsewhere(stream_, server, options_.request_timeout);
}

// Servers that lost what was last written still count on from it.
Expected<LeaseState> Lease::nobody() {
  const auto bounds = jetstream_->bounds(stream_, options_.request_timeout);
  if (!bounds) return tl::unexpected(bounds.error().error);
  // Written since it was not found: whoever took it is not to be passed over.
  if (bounds->last != 0 && bounds->first <= bounds->last)
    return fail(Errc::unreachable, "the lease was written while it was read");
  return LeaseState{bounds->last, {}};
}

LeaseOutcome Lease::write(std::uint64_t revision, const LeaseHolder& holder) {
  using Kind = LeaseOutcome::Kind;
  const std::string text = text_of(holder);
  if (text.size() > lease_bytes_max)
    return {Kind::unknown,
            0,
            {},
            {Errc::usage, fmt::format("a lease of {} bytes is over the bound "
                                      "of {}: give the manager a shorter name",
                                      text.size(), lease_bytes_max)}};
  const std::string token = fmt::format("w{}", ++tokens_);
  const auto sent = jetstream_->send(
      subject_, {{expected_sequence_header, std::to_string(revision)}},
      {reinterpret_cast<const std::byte*>(text.data()), text.size()}, token);
  if (!sent) return {Kind::unknown, 0, {}, sent.error()};
  const auto written = jetstream_->stored(
      token, JetStream::Clock::now() + options_.request_timeout);
  if (written) return {Kind::held, *written, {}, {}};
  auto now = read();
  if (!now) return {Kind::unknown, 0, {}, written.error().error};
  if (now->revision != revision && now->holder == holder)
    return {Kind::held, now->revision, {}, {}};
  if (now->revision != revision) return {Kind::lost, 0, *now, {}};
  return {Kind::unknown, 0, *now, written.error().error};
}

}  // namespace reeve::bus
