#include "bus/stream.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <boost/json.hpp>
#include <charconv>

#include "bus/stream_impl.hpp"
#include "bus/subject.hpp"

namespace reeve::bus {
namespace {

namespace json = boost::json;

std::string stream_name(std::string_view cell) {
  return "reeve-" + escape_token(cell);
}

std::optional<std::uint64_t> whole_number(std::string_view text) {
  std::uint64_t value = 0;
  const auto [end, error] =
      std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size() ||
      text.front() == '0')
    return std::nullopt;
  return value;
}

}  // namespace

std::string text_of(const RecordId& id) {
  return fmt::format("{}-{}", id.epoch, id.last_sequence);
}

std::optional<RecordId> parse_record_id(std::string_view text) {
  const std::size_t dash = text.find('-');
  if (dash == std::string_view::npos || dash == 0 || dash + 1 == text.size())
    return std::nullopt;
  const auto epoch = whole_number(text.substr(0, dash));
  const auto last_sequence = whole_number(text.substr(dash + 1));
  if (!epoch || !last_sequence) return std::nullopt;
  return RecordId{*epoch, *last_sequence};
}

json::object Stream::Impl::settings() const {
  using Nanoseconds = std::chrono::nanoseconds;
  return {{"name", name},
          {"subjects", json::array{json::value(subject)}},
          {"retention", "limits"},
          {"discard", "old"},
          {"storage", "file"},
          {"num_replicas", options.replicas},
          {"max_bytes", options.bytes_max},
          {"max_age", Nanoseconds(options.age_max).count()},
          {"max_msgs", -1},
          {"max_msg_size", -1},
          {"max_msgs_per_subject", -1},
          {"deny_delete", true},
          {"deny_purge", true}};
}

Stream::Stream(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
Stream::~Stream() = default;

Expected<std::unique_ptr<Stream>> Stream::open(Connection& connection,
                                               std::string_view cell,
                                               const StreamOptions& options) {
  if (options.replicas < 1 || options.replicas > replicas_max)
    return fail(Errc::usage,
                fmt::format("the log is kept by 1 to {} servers, not by {}",
                            replicas_max, options.replicas));
  auto impl = std::make_unique<Impl>();
  impl->options = options;
  impl->name = stream_name(cell);
  impl->subject = Subjects(cell).log();
  auto jetstream = JetStream::open(connection);
  if (!jetstream) return tl::unexpected(jetstream.error());
  impl->jetstream = std::move(*jetstream);
  auto status = impl->jetstream->ensure_stream(impl->settings(), options.grow,
                                               options.request_timeout,
                                               options.open_timeout);
  if (!status) return tl::unexpected(status.error());
  return std::unique_ptr<Stream>(new Stream(std::move(impl)));
}

Answer<JetStream::Bounds> Stream::Impl::bounds() {
  auto found = jetstream->bounds(name, options.request_timeout);
  if (found) return found;
  return tl::unexpected(Refusal{
      found.error().code, jetstream->remake_if_lost(found.error(), settings(),
                                                    options.request_timeout)});
}

Expected<std::optional<Stream::Impl::Found>> Stream::Impl::first_record(
    std::uint64_t from, std::uint64_t end) {
  for (std::uint64_t at = from; at < end; ++at) {
    auto message = jetstream->get(name, {{"seq", at}}, options.request_timeout);
    if (!message) return tl::unexpected(message.error().error);
    if (!*message) continue;  // no longer kept
    if (const auto id = parse_record_id((*message)->header(record_header)))
      return Found{at, *id};
  }
  return std::nullopt;
}

Expected<StreamHead> Stream::head() {
  const auto bounds = impl_->bounds();
  if (!bounds) return tl::unexpected(bounds.error().error);
  StreamHead head{bounds->first, bounds->last, std::nullopt};
  for (std::uint64_t back = 0; back < bounds->last; ++back) {
    const std::uint64_t at = bounds->last - back;
    if (at < bounds->first) break;
    if (back > foreign_messages_max)
      return fail(Errc::damaged,
                  fmt::format("stream {} ends with {} messages or more, up to "
                              "{}, that are no records: who else publishes on "
                              "{}?",
                              impl_->name, back, bounds->last, impl_->subject));
    auto found = impl_->first_record(at, at + 1);
    if (!found) return tl::unexpected(found.error());
    if (!*found) continue;
    head.last = (*found)->id;
    break;
  }
  return head;
}

// Records are stored in the order of the log, so halving finds it.
Expected<std::uint64_t> Stream::find(std::uint64_t log_sequence) {
  const auto bounds = impl_->bounds();
  if (!bounds) return tl::unexpected(bounds.error().error);
  std::uint64_t low = std::max<std::uint64_t>(bounds->first, 1);
  std::uint64_t high = bounds->last + 1;
  std::uint64_t answer = high;
  while (low < high) {
    const std::uint64_t middle = low + (high - low) / 2;
    auto found = impl_->first_record(middle, high);
    if (!found) return tl::unexpected(found.error());
    if (*found && (*found)->id.last_sequence < log_sequence) {
      low = (*found)->stream_sequence + 1;
      continue;
    }
    if (*found) answer = (*found)->stream_sequence;
    high = middle;
  }
  return answer;
}

Status Stream::lead_elsewhere(std::string_view server) {
  return impl_->jetstream->lead_elsewhere(impl_->name, server,
                                          impl_->options.request_timeout);
}

}  // namespace reeve::bus
