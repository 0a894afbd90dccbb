#include "bus/removal.hpp"

#include <algorithm>

#include "bus/connect_error.hpp"
#include "bus/connection.hpp"

namespace reeve::bus {

std::vector<KeyAnswer> ask_each(const Credentials& credentials,
                                std::chrono::milliseconds timeout) {
  std::vector<KeyAnswer> answers;
  for (const std::string& url : credentials.urls) {
    ConnectionOptions how;
    how.credentials = credentials;
    how.credentials.urls = {url};
    how.name = "asks";
    how.connect_timeout = timeout;
    const auto connected = Connection::connect(how);
    const bool refused =
        !connected && is_unknown_key(connected.error(), how.credentials);
    answers.push_back(connected ? KeyAnswer::taken
                      : refused ? KeyAnswer::refused
                                : KeyAnswer::none);
  }
  return answers;
}

bool Removal::confirmed(const std::vector<KeyAnswer>& answers, Moment now) {
  const auto count = [&](KeyAnswer kind) {
    return static_cast<std::size_t>(
        std::count(answers.begin(), answers.end(), kind));
  };
  const std::size_t refused = count(KeyAnswer::refused);
  if (refused == 0 || 2 * refused < answers.size() ||
      count(KeyAnswer::taken) > 0) {
    since_.reset();
    return false;
  }
  if (!since_) since_ = now;
  return answers.size() == 1 || now - *since_ >= refused_min;
}

}  // namespace reeve::bus
