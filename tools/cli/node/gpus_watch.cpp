// gpus --live.
#include <signal.h>

#include <cstdlib>

#include "schema/json.hpp"
#include "tools/cli/cell.hpp"
#include "tools/cli/interrupts.hpp"
#include "tools/cli/node/gpus_live.hpp"
#include "tools/cli/session/live_inbox.hpp"

namespace reeve::tools {
namespace {

constexpr int redraw_every_ms = 1'000;
constexpr std::uint64_t million = 1'000'000;

bool can_be_redrawn(const Terminal& terminal) {
  const char* term = std::getenv("TERM");
  return terminal.is_terminal && term != nullptr && *term != '\0' &&
         std::string_view(term) != "dumb";
}

// The terminal's other screen; what it showed before comes back.
class Screen {
 public:
  Screen() { print("\033[?1049h\033[?25l"); }
  ~Screen() { print("\033[?25h\033[?1049l"); }
  Screen(const Screen&) = delete;
  Screen& operator=(const Screen&) = delete;
};

}  // namespace

Expected<int> watch_gpus(const Context& context) {
  if (!context.json && !can_be_redrawn(context.terminal))
    return fail(Errc::usage,
                "--live draws on a terminal, and this is none; with --json "
                "each sample is a line");
  Interrupts interrupts;
  const auto cell = Cell::connect(context);
  if (!cell) return tl::unexpected(cell.error());
  const auto inbox = std::make_shared<LiveInbox>();
  const auto good = (*cell)->connection().subscribe(
      (*cell)->subjects().stats(),
      [inbox, &interrupts](const bus::Message& message) {
        inbox->put({message.hold(), false});
        interrupts.wake();
      });
  if (!good) return tl::unexpected(good.error());
  std::optional<Screen> screen;
  if (!context.json) screen.emplace();
  LiveGpus gpus;
  std::uint64_t drawn_ns = 0;
  for (;;) {
    const std::uint64_t now_ns = monotonic_ns();
    while (const auto entry = inbox->take()) {
      const auto* stats =
          schema::verified<schema::NodeStats>(entry->message.data);
      if (stats == nullptr) continue;  // a heartbeat
      if (context.json)
        print(schema::to_json(*stats) + '\n');
      else
        gpus.take(entry->message, now_ns);
    }
    if (screen && now_ns - drawn_ns >= redraw_every_ms * million) {
      drawn_ns = now_ns;
      print(screen_of(gpus.text(Terminal::of_process(), now_ns)));
    }
    const int signal = interrupts.wait(redraw_every_ms);
    if (signal != 0) return signal == SIGINT ? 0 : 128 + signal;
  }
}

}  // namespace reeve::tools
