#include "bus/ended_streams.hpp"

namespace reeve::bus {

// What it said before it began last is over.
void EndedStreams::hear(std::string_view said) {
  const std::size_t begun = said.rfind("Starting nats-server");
  if (begun != std::string_view::npos) {
    ended_ = false;
    said.remove_prefix(begun);
  }
  for (const char* sign :
       {"JetStream out of resources", "Critical write error"})
    if (said.find(sign) != std::string_view::npos) ended_ = true;
}

bool EndedStreams::is_start_due(std::string_view said,
                                std::uintmax_t room_bytes, Moment now,
                                std::uint32_t random) {
  hear(said);
  if (!ended_ || room_bytes < streams_room_bytes) return false;
  // Where it goes on to fail it is not ended again and again.
  if (now < not_before_) return false;
  if (now - not_before_ > streams_anew_waits.longest) waits_.reset();
  not_before_ = now + waits_.next(random);
  ended_ = false;
  return true;
}

}  // namespace reeve::bus
