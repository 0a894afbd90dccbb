#include "bus/certificates.hpp"

#include <arpa/inet.h>
#include <fmt/format.h>
#include <openssl/bio.h>
#include <openssl/ec.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/rand.h>
#include <openssl/x509.h>
#include <openssl/x509v3.h>

#include <algorithm>
#include <ctime>
#include <memory>

#include "bus/address.hpp"

namespace reeve::bus {
namespace {

constexpr std::int64_t day_seconds = 86'400;
constexpr int serial_bytes = 16;
// A certificate is made anew when this part of its life is left.
constexpr std::int64_t renewal_part = 3;

template <auto free>
struct Free {
  template <class T>
  void operator()(T* thing) const {
    free(thing);
  }
};
using Bio = std::unique_ptr<BIO, Free<BIO_free_all>>;
using Key = std::unique_ptr<EVP_PKEY, Free<EVP_PKEY_free>>;
using X509Ptr = std::unique_ptr<X509, Free<X509_free>>;
using Extension = std::unique_ptr<X509_EXTENSION, Free<X509_EXTENSION_free>>;
using Names = std::unique_ptr<GENERAL_NAMES, Free<GENERAL_NAMES_free>>;
using Number = std::unique_ptr<BIGNUM, Free<BN_free>>;

tl::unexpected<Error> failed(const char* what) {
  const char* why = ::ERR_reason_error_string(::ERR_peek_last_error());
  auto error =
      fail(Errc::internal, fmt::format("{}: {}", what, why ? why : "unknown"));
  ::ERR_clear_error();
  return error;
}

tl::unexpected<Error> damaged(std::string text) {
  ::ERR_clear_error();
  return fail(Errc::damaged, std::move(text));
}

// One form for each address, so that names can be compared.
std::string canonical(const std::string& name) {
  in6_addr parsed{};
  char text[INET6_ADDRSTRLEN];
  if (::inet_pton(AF_INET6, name.c_str(), &parsed) == 1)
    return ::inet_ntop(AF_INET6, &parsed, text, sizeof text);
  return name;
}

std::vector<std::string> sorted(std::vector<std::string> names) {
  for (std::string& name : names) name = canonical(name);
  std::sort(names.begin(), names.end());
  names.erase(std::unique(names.begin(), names.end()), names.end());
  return names;
}

Bio reading(std::string_view pem) {
  return Bio(::BIO_new_mem_buf(pem.data(), static_cast<int>(pem.size())));
}

std::string written(BIO* bio) {
  char* data = nullptr;
  const long size = BIO_get_mem_data(bio, &data);
  return size > 0 ? std::string(data, static_cast<std::size_t>(size))
                  : std::string();
}

Expected<Certificate> as_text(X509* certificate, EVP_PKEY* key) {
  const Bio first(::BIO_new(::BIO_s_mem()));
  const Bio second(::BIO_new(::BIO_s_mem()));
  if (!first || !second ||
      ::PEM_write_bio_X509(first.get(), certificate) != 1 ||
      ::PEM_write_bio_PrivateKey(second.get(), key, nullptr, nullptr, 0,
                                 nullptr, nullptr) != 1)
    return failed("write a certificate");
  return Certificate{written(first.get()), written(second.get())};
}

X509Ptr parse_certificate(std::string_view pem) {
  const Bio bio = reading(pem);
  return X509Ptr(::PEM_read_bio_X509(bio.get(), nullptr, nullptr, nullptr));
}

// An encrypted key is none of ours; nobody is asked for its password.
Key parse_key(BIO* bio) {
  const auto no_password = [](char*, int, int, void*) { return 0; };
  return Key(::PEM_read_bio_PrivateKey(bio, nullptr, no_password, nullptr));
}

bool add_extension(X509* to, X509* issuer, int kind, const char* value) {
  X509V3_CTX context;
  X509V3_set_ctx(&context, issuer, to, nullptr, nullptr, 0);
  const Extension made(::X509V3_EXT_conf_nid(nullptr, &context, kind, value));
  return made && ::X509_add_ext(to, made.get(), -1) == 1;
}

bool add_names(X509* to, const std::vector<std::string>& names) {
  const Names list(sk_GENERAL_NAME_new_null());
  if (!list) return false;
  for (const std::string& name : names) {
    GENERAL_NAME* one = ::GENERAL_NAME_new();
    if (one == nullptr) return false;
    ASN1_OCTET_STRING* address = ::a2i_IPADDRESS(name.c_str());
    if (address != nullptr) {
      ::GENERAL_NAME_set0_value(one, GEN_IPADD, address);
    } else {
      ASN1_IA5STRING* text = ::ASN1_IA5STRING_new();
      ::ASN1_STRING_set(text, name.data(), static_cast<int>(name.size()));
      ::GENERAL_NAME_set0_value(one, GEN_DNS, text);
    }
    sk_GENERAL_NAME_push(list.get(), one);
  }
  ::ERR_clear_error();  // of names that are no addresses
  return ::X509_add1_ext_i2d(to, NID_subject_alt_name, list.get(), 0,
                             X509V3_ADD_DEFAULT) == 1;
}

bool set_serial(X509* to) {
  unsigned char bytes[serial_bytes];
  if (::RAND_bytes(bytes, sizeof bytes) != 1) return false;
  bytes[0] = static_cast<unsigned char>((bytes[0] & 0x7F) | 0x40);
  const Number number(::BN_bin2bn(bytes, sizeof bytes, nullptr));
  return number &&
         ::BN_to_ASN1_INTEGER(number.get(), ::X509_get_serialNumber(to));
}

// An authority and a server of one name differ in the organization: with the
// same they would be taken for a certificate that signs itself.
constexpr std::string_view authority_kind = "Reeve authority";
constexpr std::string_view server_kind = "Reeve bus server";

// Names have at most 64 bytes, as the standard asks.
bool set_subject(X509* to, std::string_view kind, std::string_view name) {
  X509_NAME* subject = ::X509_get_subject_name(to);
  const auto add = [&](const char* field, std::string_view value) {
    return ::X509_NAME_add_entry_by_txt(
               subject, field, MBSTRING_ASC,
               reinterpret_cast<const unsigned char*>(value.data()),
               static_cast<int>(value.size()), -1, 0) == 1;
  };
  return add("O", kind) && add("CN", name);
}

bool set_life(X509* to, std::int64_t now, std::int64_t days) {
  return ::ASN1_TIME_set(::X509_getm_notBefore(to),
                         now - certificate_early_seconds) != nullptr &&
         ::ASN1_TIME_set(::X509_getm_notAfter(to), now + days * day_seconds) !=
             nullptr;
}

X509Ptr begin(std::string_view kind, std::string_view name, EVP_PKEY* key,
              std::int64_t now, std::int64_t days) {
  X509Ptr made(::X509_new());
  if (!made || ::X509_set_version(made.get(), X509_VERSION_3) != 1 ||
      !set_serial(made.get()) || !set_subject(made.get(), kind, name) ||
      !set_life(made.get(), now, days) ||
      ::X509_set_pubkey(made.get(), key) != 1)
    made.reset();
  return made;
}

std::int64_t seconds_of(const ASN1_TIME* time) {
  std::tm parts{};
  if (::ASN1_TIME_to_tm(time, &parts) != 1) return 0;
  return ::timegm(&parts);
}

std::string name_text(const GENERAL_NAME& name) {
  int kind = 0;
  const auto* value =
      static_cast<const ASN1_STRING*>(::GENERAL_NAME_get0_value(&name, &kind));
  const unsigned char* data = ::ASN1_STRING_get0_data(value);
  const auto size = static_cast<std::size_t>(::ASN1_STRING_length(value));
  if (kind == GEN_DNS) return {reinterpret_cast<const char*>(data), size};
  if (kind != GEN_IPADD) return {};
  char text[INET6_ADDRSTRLEN];
  const int family = size == sizeof(in_addr) ? AF_INET : AF_INET6;
  if (family == AF_INET6 && size != sizeof(in6_addr)) return {};
  return ::inet_ntop(family, data, text, sizeof text);
}

CertificateFacts facts_of(const X509* certificate) {
  CertificateFacts facts;
  facts.begins_seconds = seconds_of(::X509_get0_notBefore(certificate));
  facts.ends_seconds = seconds_of(::X509_get0_notAfter(certificate));
  const Names names(static_cast<GENERAL_NAMES*>(
      ::X509_get_ext_d2i(certificate, NID_subject_alt_name, nullptr, nullptr)));
  for (int i = 0; names && i < sk_GENERAL_NAME_num(names.get()); ++i)
    facts.names.push_back(name_text(*sk_GENERAL_NAME_value(names.get(), i)));
  facts.names = sorted(std::move(facts.names));
  return facts;
}

}  // namespace

Expected<Certificate> make_authority(std::string_view cell,
                                     std::int64_t now_seconds) {
  const Key key(EVP_EC_gen("P-256"));
  if (!key) return failed("make a key");
  const X509Ptr made =
      begin(authority_kind, cell, key.get(), now_seconds, authority_days);
  X509* it = made.get();
  if (!made || ::X509_set_issuer_name(it, ::X509_get_subject_name(it)) != 1 ||
      !add_extension(it, it, NID_basic_constraints,
                     "critical,CA:TRUE,pathlen:0") ||
      !add_extension(it, it, NID_key_usage, "critical,keyCertSign,cRLSign") ||
      !add_extension(it, it, NID_subject_key_identifier, "hash") ||
      ::X509_sign(it, key.get(), ::EVP_sha256()) == 0)
    return failed("make the certificate of the cell's authority");
  return as_text(it, key.get());
}

Expected<Certificate> make_server_certificate(
    const Certificate& authority, std::string_view server,
    const std::vector<std::string>& names, std::int64_t now_seconds) {
  if (names.empty() || names.size() > certificate_names_max)
    return fail(Errc::usage,
                fmt::format("a certificate for {} names: it may have 1 to {}",
                            names.size(), certificate_names_max));
  for (const std::string& name : names)
    if (!valid_host(name))
      return fail(Errc::usage, fmt::format("'{}' is neither a host's name nor "
                                           "an address",
                                           name));
  const X509Ptr issuer = parse_certificate(authority.certificate);
  const Key issuer_key = parse_key(reading(authority.key).get());
  if (!issuer || !issuer_key)
    return damaged("the authority's certificate or key does not parse");
  const Key key(EVP_EC_gen("P-256"));
  if (!key) return failed("make a key");
  const X509Ptr made =
      begin(server_kind, server, key.get(), now_seconds, certificate_days);
  X509* it = made.get();
  if (!made ||
      ::X509_set_issuer_name(it, ::X509_get_subject_name(issuer.get())) != 1 ||
      !add_extension(it, issuer.get(), NID_basic_constraints,
                     "critical,CA:FALSE") ||
      !add_extension(it, issuer.get(), NID_key_usage,
                     "critical,digitalSignature") ||
      !add_extension(it, issuer.get(), NID_ext_key_usage,
                     "serverAuth,clientAuth") ||
      !add_extension(it, issuer.get(), NID_authority_key_identifier, "keyid") ||
      !add_names(it, sorted(names)) ||
      ::X509_sign(it, issuer_key.get(), ::EVP_sha256()) == 0)
    return failed("make a server's certificate");
  return as_text(it, key.get());
}

std::string trust_bundle(const Authorities& authorities) {
  std::string all;
  for (const Certificate& one : authorities) all += one.certificate;
  return all;
}

Expected<Authorities> parse_authorities(std::string_view certificates,
                                        std::string_view keys) {
  const Bio certificate_bio = reading(certificates);
  const Bio key_bio = reading(keys);
  Authorities all;
  for (;;) {
    const X509Ptr certificate(
        ::PEM_read_bio_X509(certificate_bio.get(), nullptr, nullptr, nullptr));
    if (!certificate) break;
    if (all.size() == authorities_max)
      return damaged(
          fmt::format("there are more than {} authorities: drop old ones",
                      authorities_max));
    const Key key = parse_key(key_bio.get());
    if (!key || ::X509_check_private_key(certificate.get(), key.get()) != 1)
      return damaged(
          "an authority's key is missing or is another's: keys and "
          "certificates come in the same order");
    auto one = as_text(certificate.get(), key.get());
    if (!one) return tl::unexpected(one.error());
    all.push_back(std::move(*one));
  }
  if (all.empty()) return damaged("there is no authority's certificate");
  ::ERR_clear_error();  // the end of the text
  return all;
}

Expected<CertificateFacts> read_certificate(std::string_view pem) {
  const X509Ptr certificate = parse_certificate(pem);
  if (!certificate) return damaged("this is no certificate (PEM)");
  return facts_of(certificate.get());
}

bool needs_renewal(const Certificate& certificate,
                   const Authorities& authorities,
                   const std::vector<std::string>& names,
                   std::int64_t now_seconds) {
  const X509Ptr it = parse_certificate(certificate.certificate);
  const Key key = parse_key(reading(certificate.key).get());
  const X509Ptr issuer =
      authorities.empty() ? nullptr
                          : parse_certificate(authorities.front().certificate);
  const bool sound =
      it && key && issuer &&
      ::X509_check_private_key(it.get(), key.get()) == 1 &&
      ::X509_verify(it.get(), ::X509_get0_pubkey(issuer.get())) == 1;
  ::ERR_clear_error();
  if (!sound) return true;
  const CertificateFacts facts = facts_of(it.get());
  const std::int64_t life = facts.ends_seconds - facts.begins_seconds;
  return now_seconds < facts.begins_seconds ||
         now_seconds >= facts.ends_seconds - life / renewal_part ||
         facts.names != sorted(names);
}

}  // namespace reeve::bus
