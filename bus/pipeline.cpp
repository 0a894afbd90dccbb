#include "bus/pipeline.hpp"

#include <fmt/format.h>

#include <condition_variable>
#include <mutex>
#include <thread>
#include <unordered_map>
#include <vector>

#include "bus/client.hpp"
#include "bus/connection.hpp"
#include "bus/retry.hpp"
#include "schema/wire.hpp"

namespace reeve::bus {

using Clock = std::chrono::steady_clock;

// Shared with the reply handlers, which may outlive the pipeline by a moment.
struct Pipeline::State : std::enable_shared_from_this<State> {
  struct Entry {
    Buffer command;
    std::string subject;
    std::string reply;
    schema::Id128 id;
    OnReply on_reply;
    Backoff backoff;
    Clock::time_point due;
    Clock::time_point deadline;
    int sendings = 1;
  };

  State(Client& of, PipelineOptions given)
      : connection(of.connection()), client(of), options(given) {}

  Expected<std::string> open(std::uint64_t ticket, const std::string& subject);
  void on_message(std::uint64_t ticket, const Message& message);
  void finish(std::uint64_t ticket, Expected<Buffer> result);
  void resend_due();
  void run();
  void stop();

  Connection& connection;
  Client& client;
  const PipelineOptions options;

  mutable std::mutex mutex;
  std::condition_variable finished;  // in_flight went down
  std::condition_variable stopped;
  std::unordered_map<std::uint64_t, Entry> entries;
  std::size_t in_flight = 0;  // entries, and those whose callback runs
  std::uint64_t tickets = 0;
  std::uint64_t resent = 0;
  bool stopping = false;
  std::thread timer;
};

Expected<std::string> Pipeline::State::open(std::uint64_t ticket,
                                            const std::string& subject) {
  return connection.open_reply(
      subject, [weak = weak_from_this(), ticket](const Message& message) {
        if (auto self = weak.lock()) self->on_message(ticket, message);
      });
}

void Pipeline::State::on_message(std::uint64_t ticket, const Message& message) {
  if (message.delivery == Delivery::no_responders) return;
  if (message.delivery == Delivery::forbidden)
    return finish(ticket, tl::unexpected(forbidden(message.subject)));
  const auto* reply = schema::verified<schema::Reply>(message.data);
  if (reply == nullptr || reply->command_id() == nullptr) return;
  {
    const std::lock_guard lock(mutex);
    const auto found = entries.find(ticket);
    if (found == entries.end()) return;
    const schema::Id128& id = found->second.id;
    if (reply->command_id()->high() != id.high() ||
        reply->command_id()->low() != id.low() ||
        !speaks_for_all(*reply, found->second.sendings))
      return;
  }
  finish(ticket, message.buffer());
}

void Pipeline::State::finish(std::uint64_t ticket, Expected<Buffer> result) {
  Entry entry;
  {
    const std::lock_guard lock(mutex);
    const auto found = entries.find(ticket);
    if (found == entries.end()) return;
    entry = std::move(found->second);
    entries.erase(found);
  }
  connection.close_reply(entry.reply);
  entry.on_reply(std::move(result));
  const std::lock_guard lock(mutex);
  --in_flight;
  finished.notify_all();
}

void Pipeline::State::resend_due() {
  struct Again {
    std::string subject;
    std::string reply;
    Buffer command;
  };
  std::vector<Again> again;
  std::vector<std::uint64_t> late;
  {
    const std::lock_guard lock(mutex);
    const auto now = Clock::now();
    for (auto& [ticket, entry] : entries) {
      if (now >= entry.deadline) {
        late.push_back(ticket);
      } else if (now >= entry.due) {
        entry.due = now + entry.backoff.next(random_jitter());
        ++entry.sendings;
        again.push_back({entry.subject, entry.reply, entry.command});
      }
    }
    resent += again.size();
  }
  for (const Again& one : again)
    (void)connection.publish_request(one.subject, one.reply, one.command);
  for (const std::uint64_t ticket : late)
    finish(ticket, fail(Errc::unreachable,
                        fmt::format("no answer within {} ms; the outcome is "
                                    "unknown",
                                    options.timeout.count())));
}

void Pipeline::State::run() {
  const auto tick = client.retry().first / 4 + std::chrono::milliseconds(1);
  std::unique_lock lock(mutex);
  while (!stopping) {
    stopped.wait_for(lock, tick, [&] { return stopping; });
    lock.unlock();
    resend_due();
    lock.lock();
  }
}

void Pipeline::State::stop() {
  std::vector<std::uint64_t> left;
  {
    const std::lock_guard lock(mutex);
    stopping = true;
    stopped.notify_all();
  }
  timer.join();
  {
    const std::lock_guard lock(mutex);
    for (const auto& [ticket, entry] : entries) left.push_back(ticket);
  }
  for (const std::uint64_t ticket : left)
    finish(ticket, fail(Errc::unreachable,
                        "given up while in flight; the outcome is unknown"));
  std::unique_lock lock(mutex);
  finished.wait(lock, [&] { return in_flight == 0; });
}

Pipeline::Pipeline(Client& client, PipelineOptions options)
    : state_(std::make_shared<State>(client, options)) {
  state_->timer = std::thread([state = state_.get()] { state->run(); });
}

Pipeline::~Pipeline() {
  state_->stop();
}

Status Pipeline::submit(Bytes command, OnReply on_reply) {
  State& state = *state_;
  State::Entry entry;
  entry.command = Buffer::copy(command);
  const auto* parsed = schema::verified<schema::Command>(entry.command);
  if (parsed == nullptr || command_kind(*parsed).empty())
    return fail(Errc::usage,
                fmt::format("{} bytes that are no command", command.size()));
  entry.id = *parsed->id();
  entry.subject = state.client.subjects().command(state.client.principal(),
                                                  command_kind(*parsed));
  entry.on_reply = std::move(on_reply);
  entry.backoff = Backoff(state.client.retry());
  std::uint64_t ticket = 0;
  {
    std::unique_lock lock(state.mutex);
    state.finished.wait(
        lock, [&] { return state.in_flight < state.options.in_flight_max; });
    ++state.in_flight;
    ticket = ++state.tickets;
  }
  auto reply = state.open(ticket, entry.subject);
  if (!reply) {
    const std::lock_guard lock(state.mutex);
    --state.in_flight;
    return tl::unexpected(reply.error());
  }
  entry.reply = *reply;
  const auto now = Clock::now();
  entry.deadline = now + state.options.timeout;
  entry.due = now + entry.backoff.next(random_jitter());
  const Buffer bytes = entry.command;
  const std::string subject = entry.subject;
  {
    const std::lock_guard lock(state.mutex);
    state.entries.emplace(ticket, std::move(entry));
  }
  // A failure here is like a loss on the way: the timer sends again.
  (void)state.connection.publish_request(subject, *reply, bytes);
  return {};
}

Status Pipeline::drain(std::chrono::milliseconds timeout) {
  std::unique_lock lock(state_->mutex);
  if (state_->finished.wait_for(lock, timeout,
                                [&] { return state_->in_flight == 0; }))
    return {};
  return fail(Errc::unreachable,
              fmt::format("no answer after {} ms; commands that wait for one: "
                          "{}",
                          timeout.count(), state_->in_flight));
}

std::size_t Pipeline::in_flight() const {
  const std::lock_guard lock(state_->mutex);
  return state_->in_flight;
}

std::uint64_t Pipeline::resent() const {
  const std::lock_guard lock(state_->mutex);
  return state_->resent;
}

}  // namespace reeve::bus
