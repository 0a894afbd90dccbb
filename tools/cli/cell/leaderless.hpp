// When it is asked why nobody answers a command, and what is made of that.
#pragma once

#include <chrono>
#include <functional>
#include <string>
#include <utility>

#include "cluster/error.hpp"
#include "schema/query_generated.h"

namespace reeve::tools {

// A leader that is gone is followed well before.
inline constexpr std::chrono::milliseconds leaderless_wait{20'000};

// As whoever answers, leading or not, tells of the managers: where most are
// missing nobody can lead. Empty: it is not for that.
std::string why_nobody_leads(const schema::StatusAnswer& status);

// Sends by `send`, which waits for its answer so long at most, and asks `why`
// nobody leads once nothing was heard for leaderless_wait. Where that says
// nothing it is sent `again` until `longest` is over.
template <class Answer>
Expected<Answer> send_to_leader(
    const std::function<Expected<Answer>(std::chrono::milliseconds,
                                         bool again)>& send,
    const std::function<std::string()>& why,
    const std::function<bool()>& interrupted,
    std::chrono::milliseconds longest) {
  auto answer = send(leaderless_wait, false);
  if (answer || answer.error().code != Errc::unreachable || interrupted())
    return answer;
  if (std::string reason = why(); !reason.empty())
    return fail(Errc::unreachable, std::move(reason));
  return send(longest - leaderless_wait, true);
}

}  // namespace reeve::tools
