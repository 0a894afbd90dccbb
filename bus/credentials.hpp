// Who one is on the bus, kept in a file that only its owner may read.
#pragma once

#include <filesystem>
#include <string>

#include "cluster/error.hpp"

namespace reeve::bus {

struct Credentials {
  std::string url;        // nats://127.0.0.1:4222
  std::string principal;  // also the user name at the server
  std::string password;
  std::string cell;
};

// Replaces the file as a whole; mode 0600.
Status save_credentials(const std::filesystem::path& file,
                        const Credentials& credentials);

// Errc::not_found without the file, Errc::damaged when it does not parse,
// Errc::rejected when others may read it.
Expected<Credentials> load_credentials(const std::filesystem::path& file);

// 256 random bits as text.
std::string make_password();

// Where the server of a data directory keeps what the CLI needs.
std::filesystem::path client_credentials_path(
    const std::filesystem::path& data_directory);

}  // namespace reeve::bus
