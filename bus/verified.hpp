// Subscriptions whose handlers see verified tables only. What fails goes to
// the quarantine.
#pragma once

#include <functional>
#include <string>
#include <utility>

#include "bus/connection.hpp"
#include "bus/quarantine.hpp"
#include "schema/wire.hpp"

namespace reeve::bus {

// Why `bytes` are refused as a table with this identifier and bound.
std::string refusal_reason(Bytes bytes, std::string_view identifier,
                           std::size_t bytes_max, bool size_prefixed);

template <class Table>
void quarantine_message(Quarantine& quarantine, const Message& message) {
  using Wire = schema::Wire<Table>;
  quarantine.add(
      Wire::name, message.subject, message.data,
      refusal_reason(message.data, Wire::identifier, Wire::bytes_max, false));
}

// The same for a size-prefixed event, as evt. carries them.
void quarantine_event(Quarantine& quarantine, const Message& message);

// `quarantine` outlives the connection. The table lives as long as a copy of
// the message.
template <class Table, class Handler>
Status subscribe_verified(Connection& connection, const std::string& pattern,
                          Quarantine& quarantine, Handler handler,
                          const SubscribeOptions& options = {}) {
  return connection.subscribe(
      pattern,
      [&quarantine, handler = std::move(handler)](const Message& message) {
        if (const Table* table = schema::verified<Table>(message.data))
          handler(*table, message);
        else
          quarantine_message<Table>(quarantine, message);
      },
      options);
}

}  // namespace reeve::bus
