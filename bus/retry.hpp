// A request sent again, the same bytes on the same reply subject, until an
// acceptable answer comes: an answer to any of the sendings will do.
#pragma once

#include <chrono>
#include <functional>
#include <string_view>

#include "bus/backoff.hpp"
#include "bus/buffer.hpp"
#include "cluster/error.hpp"

namespace reeve::bus {

class Connection;

// Blocks. Errc::unreachable after `timeout`, Errc::rejected at once when the
// server forbids the subject. Answers that `acceptable` refuses are ignored.
Expected<Buffer> request_until_answered(
    Connection& connection, std::string_view subject, Bytes data,
    std::chrono::milliseconds timeout, const RetryOptions& retry,
    const std::function<bool(Bytes)>& acceptable);

}  // namespace reeve::bus
