// A request sent again, the same bytes on the same reply subject, until an
// acceptable answer comes: an answer to any of the sendings will do.
#pragma once

#include <chrono>
#include <functional>
#include <string_view>

#include "bus/backoff.hpp"
#include "bus/buffer.hpp"
#include "cluster/error.hpp"

namespace reeve::schema {
struct Reply;
}

namespace reeve::bus {

class Connection;

// The rule of a rejection that one sending gets unread, from before the queue.
inline constexpr const char* unread_rule = "mailbox_messages_max";

// Whether `reply` speaks for the command. One that was refused unread may
// have been sent before, and that sending may be in the queue.
bool speaks_for_all(const schema::Reply& reply, int sendings);

// Looked at while an answer is waited for: whether nobody wants it any more.
using GivenUp = bool (*)();

// How long a request that is given up is waited for all the same: its answer
// may be on its way.
inline constexpr std::chrono::milliseconds given_up_wait{500};

// Who does not answer so long through one server of several is asked through
// the others, once each: a link between two of them may be down, and they pass
// on nothing for one another. After that in twice the time, and so on.
inline constexpr std::chrono::milliseconds server_wait{1'500};
// How long another server may take to let in, and its answer to come.
inline constexpr std::chrono::milliseconds elsewhere_wait{750};

// What comes of a request whose subject the server forbids the sender.
Error forbidden(std::string_view subject);
// The manager rejects, too, and then says why.
bool is_forbidden(const Error& error, std::string_view subject);

// Blocks. Errc::unreachable after `timeout`, or when it is given up,
// Errc::rejected at once when the server forbids the subject. Answers that
// `acceptable(bytes, sendings so far)` refuses are ignored. Where another
// server brought the answer, the connection goes to another one, too.
Expected<Buffer> request_until_answered(
    Connection& connection, std::string_view subject, Bytes data,
    std::chrono::milliseconds timeout, const RetryOptions& retry,
    const std::function<bool(Bytes, int)>& acceptable,
    GivenUp is_given_up = nullptr);

}  // namespace reeve::bus
