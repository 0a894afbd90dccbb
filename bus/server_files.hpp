// What a bus server keeps in <data>/bus/, all of it mode 0600.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

#include "bus/certificates.hpp"
#include "bus/child.hpp"
#include "bus/server_config.hpp"
#include "cluster/error.hpp"

namespace reeve::bus {

// server.json: the last server.
struct ServerRecord {
  ProcessIdentity process;
  int port = 0;
};
ServerRecord read_server_record(const std::filesystem::path& directory);
Status write_server_record(const std::filesystem::path& directory,
                           const ServerRecord& record);

// users.json: who may connect, as last set. What is broken is as none: the
// cell tells them again when it starts.
std::string users_text(const std::vector<ServerUser>& users);
std::vector<ServerUser> parse_users(std::string_view text);
std::vector<ServerUser> read_users(const std::filesystem::path& directory);
Status write_users(const std::filesystem::path& directory,
                   const std::vector<ServerUser>& users);

// Of the configuration and of users.json, with the most users.
inline constexpr std::size_t users_file_bytes_max = 64 << 20;

// Errc::usage, with what is wrong, unless all of them can stand in one
// configuration beside the daemon's own.
Status check_users(const std::vector<ServerUser>& users);

// ca.pem, ca.key, server.pem, server.key.
TlsFiles tls_files(const std::filesystem::path& directory);
struct KeptCertificates {
  std::string ca;  // what clients trust
  bool renewed = false;
};
// Makes what is missing or due, and with `anew` the server's certificate in
// any case. An authority that is there stays; Errc::damaged when it is broken,
// for its loss would lock out all other hosts.
Expected<KeptCertificates> keep_certificates(
    const std::filesystem::path& directory, std::string_view cell,
    std::string_view server, const std::vector<std::string>& names,
    std::int64_t now_seconds, bool anew);

}  // namespace reeve::bus
