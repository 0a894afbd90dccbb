#include "bus/nkey.hpp"

#include <sodium.h>

#include "cluster/check.hpp"
#include "cluster/nkey.hpp"

namespace reeve::bus {
namespace {

using cluster::KeyBytes;

static_assert(sizeof(Signature) == crypto_sign_BYTES);
static_assert(sizeof(KeyBytes) == crypto_sign_SEEDBYTES);
static_assert(sizeof(KeyBytes) == crypto_sign_PUBLICKEYBYTES);

unsigned char* raw(KeyBytes& bytes) {
  return reinterpret_cast<unsigned char*>(bytes.data());
}

void prepare_library() {
  static const bool ready = ::sodium_init() >= 0;
  REEVE_CHECK(ready, "libsodium finds no randomness on this host");
}

// Both halves of a pair; the secret one is wiped when it goes.
struct Pair {
  explicit Pair(KeyBytes& seed) {
    prepare_library();
    ::crypto_sign_seed_keypair(raw(public_key), secret, raw(seed));
    ::sodium_memzero(seed.data(), seed.size());
  }
  ~Pair() { ::sodium_memzero(secret, sizeof secret); }
  Pair(const Pair&) = delete;
  Pair& operator=(const Pair&) = delete;

  KeyBytes public_key{};
  unsigned char secret[crypto_sign_SECRETKEYBYTES];
};

auto no_seed() {
  return fail(Errc::usage,
              "this is not the seed of a bus key (58 characters from SU on): "
              "take the file or token anew from where it was made");
}

}  // namespace

UserKey make_user_key() {
  prepare_library();
  KeyBytes seed{};
  ::randombytes_buf(seed.data(), seed.size());
  UserKey key;
  key.seed = cluster::user_seed_text(seed);
  key.public_key = cluster::user_key_text(Pair(seed).public_key);
  return key;
}

Expected<std::string> public_key_of(std::string_view seed) {
  auto bytes = cluster::parse_user_seed(seed);
  if (!bytes) return no_seed();
  return cluster::user_key_text(Pair(*bytes).public_key);
}

Expected<Signature> sign(std::string_view seed, Bytes message) {
  auto bytes = cluster::parse_user_seed(seed);
  if (!bytes) return no_seed();
  const Pair pair(*bytes);
  Signature signature{};
  ::crypto_sign_detached(reinterpret_cast<unsigned char*>(signature.data()),
                         nullptr,
                         reinterpret_cast<const unsigned char*>(message.data()),
                         message.size(), pair.secret);
  return signature;
}

}  // namespace reeve::bus
