// A token as one line of text, to be handed to who joins: "reeve1:" and JSON
// in base64url. It holds a secret: whoever has it may join. Pure text.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "cluster/error.hpp"
#include "schema/types_generated.h"

namespace reeve::tools {

// Far more than the certificates of a cell need.
inline constexpr std::size_t join_token_bytes_max = 64 << 10;

struct JoinToken {
  std::string cell;
  std::vector<std::string> urls;  // of its bus
  std::string ca;                 // PEM; empty where no url is tls://
  std::uint64_t id = 0;           // its principal is cluster::token_principal
  schema::IdentityRole role = schema::IdentityRole::agent;
  std::string name;  // of the only one who may join by it; empty: anyone
  std::string seed;
  // Of a manager: the key of the cell's certificate authority, which is worth
  // the whole cell, and the managers that are there. Of one that the settings
  // name from the start, instead of a number and a seed.
  std::string ca_key;
  std::vector<std::pair<std::string, std::string>> members;
  std::uint32_t cluster_port = 0;
  // By which one that the settings name asks its maker's bus server whether the
  // cell had it before; empty in a token of an older program.
  struct Ask {
    std::string url;
    std::string principal;
    std::string seed;

    bool operator==(const Ask&) const = default;
  };
  // The program that made it, as cluster::Program; one of protocol 1 does not
  // tell it.
  std::string version = {};
  std::uint32_t protocol = 1;
  std::uint32_t protocol_oldest = 1;
  Ask ask = {};

  bool operator==(const JoinToken&) const = default;
};

std::string join_token_text(const JoinToken& token);

// Blanks around it are no harm. Errc::usage with what is wrong: no error tells
// the text, which may be a secret.
Expected<JoinToken> parse_join_token(std::string_view text);

}  // namespace reeve::tools
