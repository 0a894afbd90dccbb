// The cell's own certificate authority, and the certificates by which its bus
// servers show to clients, and to one another, that they are of this cell.
// Text (PEM) in and out; the time comes in, the keys are random.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "cluster/error.hpp"

namespace reeve::bus {

inline constexpr std::int64_t authority_days = 3'650;
inline constexpr std::int64_t certificate_days = 90;
// Clocks of a cell's hosts may differ by this: certificates begin so much
// before they are made.
inline constexpr std::int64_t certificate_early_seconds = 3'600;
inline constexpr std::size_t authorities_max = 4;
// Names and addresses in one certificate.
inline constexpr std::size_t certificate_names_max = 64;

// A certificate with its private key (ECDSA on P-256), both PEM.
struct Certificate {
  std::string certificate;
  std::string key;
};

// The first signs, all are trusted. One is replaced in three steps: the new is
// added behind and brought to all hosts; it is put first; the old is dropped.
using Authorities = std::vector<Certificate>;

Expected<Certificate> make_authority(std::string_view cell,
                                     std::int64_t now_seconds);

// For a server whom others reach by `names`: addresses (IPv4, IPv6) and names
// of hosts. Good as a server and, between servers, as a client.
Expected<Certificate> make_server_certificate(
    const Certificate& authority, std::string_view server,
    const std::vector<std::string>& names, std::int64_t now_seconds);

// The authorities' certificates, one behind the other: what clients trust.
std::string trust_bundle(const Authorities& authorities);

// From files of certificates and keys in the same order. Errc::damaged when
// they do not parse or a key is not its certificate's.
Expected<Authorities> parse_authorities(std::string_view certificates,
                                        std::string_view keys);

struct CertificateFacts {
  std::int64_t begins_seconds = 0;
  std::int64_t ends_seconds = 0;
  std::vector<std::string> names;  // sorted, each once
};
// Of the first certificate in `pem`.
Expected<CertificateFacts> read_certificate(std::string_view pem);

// Whether `certificate` must be made anew: a third of its life or less is
// left, it is not valid yet, its names are not `names`, its key is not its
// own, or the first of `authorities` did not sign it.
bool needs_renewal(const Certificate& certificate,
                   const Authorities& authorities,
                   const std::vector<std::string>& names,
                   std::int64_t now_seconds);

}  // namespace reeve::bus
