// Errors are values. A stable code for programs, an English sentence with the
// numbers for people: what happened, to what, and what to do next.
#pragma once

#include <string>
#include <tl/expected.hpp>
#include <utility>

namespace reeve {

enum class Errc {
  usage,        // wrong arguments or text that does not parse
  rejected,     // the cell refused, by a named rule
  not_found,    // no such session, node or file
  unreachable,  // the cell, the bus or a peer does not answer
  damaged,      // data that fails its checks, or is not ours
  busy,         // held by another process, or over a bound: try again
  no_space,     // the disk is below its floor
  io,           // the operating system refused
  unsupported,  // this host or this build cannot do it
  internal,     // a broken promise of our own
};

struct [[nodiscard]] Error {
  Errc code = Errc::internal;
  std::string text;
};

template <class T>
using Expected = tl::expected<T, Error>;
using Status = Expected<void>;

inline tl::unexpected<Error> fail(Errc code, std::string text) {
  return tl::unexpected<Error>(Error{code, std::move(text)});
}

// The exit code that the command line promises for an error (docs: CLI).
inline int exit_code(Errc code) {
  switch (code) {
    case Errc::usage: return 2;
    case Errc::rejected:
    case Errc::busy:
    case Errc::no_space: return 3;
    case Errc::not_found: return 4;
    case Errc::unreachable: return 5;
    case Errc::damaged: return 6;
    case Errc::io:
    case Errc::unsupported:
    case Errc::internal: return 1;
  }
  return 1;
}

}  // namespace reeve
