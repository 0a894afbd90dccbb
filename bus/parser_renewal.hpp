// Where an application reads for it, nats.c (3.4 to 3.12 and later) keeps its
// parser when it connects anew: of a message that broke off with the old
// connection, the rest is taken from what comes over the new one, and so a
// message is made that nobody sent. Its own reading thread makes a new parser
// each time; so does this, by the library's own functions.
#pragma once

typedef struct __natsConnection natsConnection;
typedef struct __natsParser natsParser;

namespace reeve::bus {

// Of one connection of the library's. Used by the thread that reads.
class ParserRenewal {
 public:
  // natsConnection_ProcessReadEvent. `anew`: the first time that what comes
  // over this socket is read.
  void read(natsConnection* connection, bool anew);

 private:
  natsParser** place_ = nullptr;  // where the connection has its parser
};

}  // namespace reeve::bus
