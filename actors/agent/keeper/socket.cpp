#include "actors/agent/keeper/socket.hpp"

#include <fcntl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <sys/un.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

#include "actors/agent/keeper/server.hpp"

namespace reeve::keeper {
namespace {

sockaddr_un address_in(int directory_fd) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  auto path =
      "/proc/self/fd/" + std::to_string(directory_fd) + "/" + socket_name;
  std::memcpy(address.sun_path, path.c_str(), path.size() + 1);
  return address;
}

}  // namespace

Expected<Fd> listen_in(const std::string& directory) {
  Fd at(::open(directory.c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC));
  if (!at) return tl::unexpected(system_error("opening " + directory, errno));
  ::unlinkat(at.get(), socket_name, 0);
  Fd socket(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  auto address = address_in(at.get());
  auto* generic = reinterpret_cast<const sockaddr*>(&address);
  constexpr int backlog = 16;
  if (!socket || ::bind(socket.get(), generic, sizeof address) != 0 ||
      ::fchmodat(at.get(), socket_name, 0600, 0) != 0 ||
      ::listen(socket.get(), backlog) != 0) {
    return tl::unexpected(
        system_error("listening on " + directory + "/" + socket_name, errno));
  }
  return socket;
}

Expected<Fd> connect_in(const std::string& directory) {
  auto path = directory + "/" + socket_name;
  Fd at(::open(directory.c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC));
  if (!at) {
    return fail(Errc::unreachable,
                "no keeper at " + path + ": " + std::strerror(errno));
  }
  Fd socket(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
  auto address = address_in(at.get());
  // A keeper that is stopped takes nobody from its queue, which fills up.
  const timeval patience{1, 0};
  const timeval for_ever{0, 0};
  const auto wait = [&](const timeval& time) {
    return ::setsockopt(socket.get(), SOL_SOCKET, SO_SNDTIMEO, &time,
                        sizeof time) == 0;
  };
  if (!socket || !wait(patience) ||
      ::connect(socket.get(), reinterpret_cast<const sockaddr*>(&address),
                sizeof address) != 0 ||
      !wait(for_ever)) {
    return fail(Errc::unreachable,
                "no keeper at " + path + ": " + std::strerror(errno));
  }
  return socket;
}

bool peer_is_trusted(int socket) {
  ucred peer{};
  socklen_t size = sizeof peer;
  if (::getsockopt(socket, SOL_SOCKET, SO_PEERCRED, &peer, &size) != 0) {
    return false;
  }
  return peer.uid == 0 || peer.uid == ::geteuid();
}

}  // namespace reeve::keeper
