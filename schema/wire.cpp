#include "schema/wire.hpp"

namespace reeve::schema {

std::size_t command_bytes_max_of(CommandBody kind) {
  switch (kind) {
    case CommandBody::Join:
    case CommandBody::Leave:
    case CommandBody::QuarantineDevice:
    case CommandBody::ReportTest: return short_command_bytes_max;
    default: return command_bytes_max;
  }
}

const Event* verified_event(Bytes bytes) {
  if (bytes.size() < 16 || bytes.size() > event_bytes_max) return nullptr;
  if (reinterpret_cast<std::uintptr_t>(bytes.data()) % 8 != 0) return nullptr;
  const auto* data = reinterpret_cast<const std::uint8_t*>(bytes.data());
  flatbuffers::Verifier verifier(data, bytes.size(), verify_depth_max,
                                 verify_tables_max);
  if (!verifier.VerifySizePrefixedBuffer<Event>(Wire<Event>::identifier))
    return nullptr;
  return flatbuffers::GetSizePrefixedRoot<Event>(data);
}

}  // namespace reeve::schema
