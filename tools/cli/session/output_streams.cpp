#include "tools/cli/session/output_streams.hpp"

namespace reeve::tools {

void OutputStreams::begin_attempt(std::uint32_t attempt) {
  if (attempt <= attempt_) return;
  attempt_ = attempt;
  streams_.clear();
}

OutputStreams::Taken OutputStreams::take(const Piece& piece) {
  Taken out;
  begin_attempt(piece.attempt);
  if (piece.attempt < attempt_) return out;
  Stream& stream = streams_[piece.key];
  if (piece.finished) stream.final_end = piece.end;
  if (piece.offset > stream.offset) {
    const bool lost = piece.available_from >= piece.offset;
    if (!lost) {
      out.gap = true;
      return out;
    }
    out.dropped_bytes = piece.offset - stream.offset;
    stream.offset = piece.offset;
  }
  const std::uint64_t known = stream.offset - piece.offset;
  if (known < piece.data.size()) {
    out.data = piece.data.substr(known);
    stream.offset += out.data.size();
  }
  return out;
}

std::uint64_t OutputStreams::offset(StreamKey key) const {
  const auto found = streams_.find(key);
  return found == streams_.end() ? 0 : found->second.offset;
}

bool OutputStreams::complete(StreamKey key) const {
  const auto found = streams_.find(key);
  return found != streams_.end() && found->second.final_end &&
         found->second.offset >= *found->second.final_end;
}

}  // namespace reeve::tools
