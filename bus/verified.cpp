#include "bus/verified.hpp"

#include <fmt/format.h>

#include <cstring>

namespace reeve::bus {

std::string refusal_reason(Bytes bytes, std::string_view identifier,
                           std::size_t bytes_max, bool size_prefixed) {
  const std::size_t prefix = size_prefixed ? sizeof(std::uint32_t) : 0;
  const std::size_t at = prefix + sizeof(std::uint32_t);
  if (bytes.size() < at + identifier.size())
    return fmt::format("{} bytes are too few for a message", bytes.size());
  if (bytes.size() > bytes_max)
    return fmt::format("{} bytes are over the bound of {}", bytes.size(),
                       bytes_max);
  if (std::memcmp(bytes.data() + at, identifier.data(), identifier.size()) != 0)
    return fmt::format("its identifier is not {}", identifier);
  return "its structure is broken";
}

void quarantine_event(Quarantine& quarantine, const Message& message) {
  using Wire = schema::Wire<schema::Event>;
  quarantine.add(
      Wire::name, message.subject, message.data,
      refusal_reason(message.data, Wire::identifier, Wire::bytes_max, true));
}

}  // namespace reeve::bus
