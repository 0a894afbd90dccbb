// Stands for a daemon in server_test: starts the server of the data directory
// in its argument, writes its pid to <data>/ready, and waits to be killed.
#include <unistd.h>

#include <cstdio>

#include "bus/private_file.hpp"
#include "bus/server.hpp"

int main(int argc, char** argv) {
  if (argc != 2) return 2;
  reeve::bus::ServerOptions options;
  options.data_directory = argv[1];
  options.cell = "c";
  const auto started = reeve::bus::Server::start_or_adopt(options);
  if (!started) {
    std::fprintf(stderr, "%s\n", started.error().text.c_str());
    return 1;
  }
  const auto told = reeve::bus::write_private_file(
      options.data_directory / "ready", std::to_string((*started)->pid()));
  if (!told) return 1;
  for (;;) ::pause();
}
