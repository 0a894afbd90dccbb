// Many sessions in one file: JSON lines (one object per line) or TOML (keys at
// the top are defaults, each [[session]] is one). Keys are the options'
// names without dashes, and `command`: an array of words, or a text for
// "sh -c". `env` and `label` are objects or lists of "K=V".
#pragma once

#include <boost/json/fwd.hpp>
#include <string>
#include <string_view>
#include <vector>

#include "tools/cli/session/submission.hpp"

namespace reeve::tools {

inline constexpr std::size_t submission_file_bytes_max = 256u << 20;

// All that comes through an open file, `name` for people. Errc::usage as soon
// as it is more than `bytes_max`, Errc::not_found when it cannot be read.
Expected<std::string> read_bounded(int file, std::string_view name,
                                   std::size_t bytes_max);

// Sets what one key of an object says. Errors begin with the key.
Status set_json_value(Submission& submission, std::string_view key,
                      const boost::json::value& value,
                      const Surroundings& here);

// `defaults` is what options on the command line said. Errors name file, line
// or session, and key; nothing of a file with an error is submitted.
Expected<std::vector<Submission>> parse_submission_file(
    std::string_view text, std::string_view file, const Submission& defaults,
    const Surroundings& here);

}  // namespace reeve::tools
