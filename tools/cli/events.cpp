// events.
#include <fmt/format.h>
#include <poll.h>
#include <signal.h>
#include <unistd.h>

#include <atomic>
#include <mutex>

#include "bus/ordered_events.hpp"
#include "cluster/event_filter.hpp"
#include "cluster/units.hpp"
#include "schema/json.hpp"
#include "tools/args/event_text.hpp"
#include "tools/cli/cell.hpp"
#include "tools/cli/handlers.hpp"
#include "tools/cli/interrupts.hpp"

namespace reeve::tools {
namespace {

using std::string;

constexpr std::size_t print_bytes = 64 << 10;

// The time of event `sequence`.
Expected<std::uint64_t> time_of(Cell& cell, std::uint64_t sequence) {
  std::uint64_t at = 0;
  const auto read = cell.read_log(
      sequence, sequence, [&](const schema::Event& event, const bus::Buffer&) {
        at = event.time_at();
        return false;
      });
  if (!read) return tl::unexpected(read.error());
  return at;
}

// The first event at or after a moment, by halving: times do not go back.
Expected<std::uint64_t> first_event_from(Cell& cell, std::uint64_t time_at) {
  const auto head = cell.log_head();
  if (!head) return tl::unexpected(head.error());
  std::uint64_t low = 1;
  std::uint64_t high = *head + 1;
  while (low < high) {
    const std::uint64_t middle = low + (high - low) / 2;
    const auto at = time_of(cell, middle);
    if (!at) return tl::unexpected(at.error());
    if (*at < time_at)
      low = middle + 1;
    else
      high = middle;
  }
  return low;
}

bool is_sequence(std::string_view text) {
  return !text.empty() &&
         text.find_first_not_of("0123456789") == std::string_view::npos;
}

// "100" is a sequence, all else a time. Nothing means the default.
Expected<std::uint64_t> start_of(Cell& cell, const Arguments& arguments,
                                 std::uint64_t otherwise) {
  const auto text = arguments.find("--from");
  if (!text) return otherwise;
  if (is_sequence(*text)) {
    const auto sequence = parse_count(*text, "sequence");
    if (!sequence)
      return fail(Errc::usage,
                  fmt::format("--from: {}", sequence.error().text));
    return std::max<std::uint64_t>(*sequence, 1);
  }
  const auto at = parse_time(*text, time_frame());
  if (!at)
    return fail(Errc::usage,
                fmt::format("--from: {}, or a sequence", at.error().text));
  return first_event_from(cell, *at);
}

class Printer {
 public:
  Printer(const Context& context, EventFilter filter)
      : json_(context.json),
        offset_(time_frame().utc_offset_s),
        width_(context.terminal.width),
        filter_(std::move(filter)) {}
  ~Printer() { flush(); }

  void event(const schema::Event& event) {
    if (!filter_.passes(event)) return;
    if (json_) {
      out_ += schema::to_json(event);
      out_ += '\n';
    } else {
      out_ += wrapped(event_line(event, offset_), width_, event_indent);
    }
    if (out_.size() > print_bytes) flush();
  }
  void flush() {
    if (!out_.empty()) print(out_);
    out_.clear();
  }

 private:
  bool json_;
  std::int64_t offset_;
  std::size_t width_;
  EventFilter filter_;
  string out_;
};

// Of an event that was asked for by its sequence.
string yet_to_come(std::uint64_t sequence, std::uint64_t head) {
  return fmt::format("reeve: there is no event {} yet: the log ends at {}",
                     sequence, head);
}

// Where the feed begins for who awaits this event: from beyond its end the log
// would seem to have gone back. Where nobody tells the end the feed says so.
std::uint64_t feed_for(Cell& cell, std::uint64_t awaited, bool tell) {
  const auto head = cell.log_head();
  if (!head || awaited <= *head) return awaited;
  if (tell) say(yet_to_come(awaited, *head) + "; waiting for it");
  return *head + 1;
}

// As `head` leaves us; without news nothing is written that would tell.
bool reader_is_gone() {
  pollfd out{STDOUT_FILENO, 0, 0};
  return ::poll(&out, 1, 0) > 0 && (out.revents & POLLERR) != 0;
}

Result follow_events(const Context& context, Cell& cell, std::uint64_t from,
                     std::uint64_t awaited, Interrupts& interrupts,
                     Printer& printer) {
  std::mutex mutex;
  std::atomic<bool> silent = false;
  bus::EventFeedOptions options;
  options.from_sequence = from;
  options.on_error = [&](const Error& error) {
    if (!silent.exchange(true) && !context.quiet)
      say(fmt::format("reeve: {}; going on when it answers", error.text));
  };
  const auto feed = bus::EventFeed::open(
      cell.connection(), cell.subjects(), cell.quarantine(),
      [&](const schema::Event& event, const bus::Buffer&) {
        const std::lock_guard lock(mutex);
        silent = false;
        if (event.seq() < awaited) return;
        printer.event(event);
        interrupts.wake();
      },
      options);
  if (!feed) return tl::unexpected(feed.error());
  for (;;) {
    const int signal = interrupts.wait(1'000);
    {
      const std::lock_guard lock(mutex);
      printer.flush();
    }
    if (signal != 0) return signal == SIGINT ? 0 : 128 + signal;
    if (reader_is_gone()) return 128 + SIGPIPE;
  }
}

}  // namespace

Result command_events(const Context& context, const Arguments& arguments) {
  Interrupts interrupts;
  auto filter = EventFilter::parse(arguments.text("--filter"));
  if (!filter)
    return fail(Errc::usage, fmt::format("--{}", filter.error().text));
  auto cell = Cell::connect(context);
  if (!cell) return tl::unexpected(cell.error());
  const bool follow = arguments.has("--follow");
  // Following starts with what comes; else all there is.
  const auto from = start_of(**cell, arguments, follow ? 0 : 1);
  if (!from) return tl::unexpected(from.error());
  if (filter->names_nodes() && *from != 1) {
    const auto more = each_node(
        answers_of(**cell), UINT32_MAX, [&](const schema::NodeView& node) {
          filter->know_node(node.node(), string(schema::text(node.name())));
        });
    if (!more) return tl::unexpected(more.error());
  }
  Printer printer(context, std::move(*filter));
  const bool by_sequence = is_sequence(arguments.text("--from"));
  if (follow) {
    const auto feed =
        by_sequence ? feed_for(**cell, *from, !context.quiet && !context.json)
                    : *from;
    return follow_events(context, **cell, feed, *from, interrupts, printer);
  }
  bool interrupted = false;
  const auto read = (*cell)->read_log(
      *from, 0, [&](const schema::Event& event, const bus::Buffer&) {
        printer.event(event);
        interrupted = event.seq() % 1'024 == 0 && interrupts.wait(0) != 0;
        return !interrupted;
      });
  if (!read) return tl::unexpected(read.error());
  if (*from > *read && by_sequence && !context.quiet)
    say(yet_to_come(*from, *read));
  return interrupted ? 128 + SIGINT : 0;
}

}  // namespace reeve::tools
