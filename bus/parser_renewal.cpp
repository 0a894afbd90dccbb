#include "bus/parser_renewal.hpp"

#include <dlfcn.h>
#include <nats/nats.h>

#include <utility>

#include "cluster/check.hpp"

namespace {

// Where a connection that was read on this thread has got a parser last.
thread_local natsParser** place_of_parser = nullptr;

}  // namespace

extern "C" {

void natsParser_Destroy(natsParser* parser);

// The library calls this one in the place of its own, with the place in the
// connection, which it tells nobody else.
[[gnu::visibility("default")]] natsStatus natsParser_Create(
    natsParser** place) {
  using Create = natsStatus (*)(natsParser**);
  static const auto create =
      reinterpret_cast<Create>(::dlsym(RTLD_NEXT, "natsParser_Create"));
  REEVE_CHECK(create, "the bus library has its parser");
  place_of_parser = place;
  return create(place);
}

}  // extern "C"

namespace reeve::bus {

void ParserRenewal::read(natsConnection* connection, bool anew) {
  if (anew && place_ != nullptr)
    natsParser_Destroy(std::exchange(*place_, nullptr));
  place_of_parser = nullptr;
  natsConnection_ProcessReadEvent(connection);
  if (place_of_parser != nullptr) place_ = place_of_parser;
}

}  // namespace reeve::bus
