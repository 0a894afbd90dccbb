// What a data directory has of a cell that this host joined: credentials, and
// for a node settings, a systemd unit and a daemon.
#pragma once

#include <filesystem>
#include <memory>
#include <optional>

#include "bus/client.hpp"
#include "bus/connection.hpp"
#include "bus/credentials.hpp"
#include "cluster/error.hpp"
#include "schema/wire.hpp"
#include "tools/cli/context.hpp"
#include "tools/cli/interrupts.hpp"
#include "tools/member/host_files.hpp"

namespace reeve::tools {

// One who is asked for something by other credentials than the directory's
// client.json.
class Caller {
 public:
  static Expected<Caller> connect(const bus::Credentials& credentials);

  // A rejection is an error.
  Status command(flatbuffers::FlatBufferBuilder& builder,
                 schema::CommandBody kind, flatbuffers::Offset<void> body);

 private:
  std::unique_ptr<bus::Connection> connection_;
  std::unique_ptr<bus::Client> client_;
};

// Waits, some seconds at most, until the bus lets these in. The cell answers
// when a token or member is in its log; the bus reads of it a moment later, and
// sends away who comes before.
void await_admission(const bus::Credentials& credentials,
                     Interrupts& interrupts);

std::filesystem::path credentials_file(const std::filesystem::path& data,
                                       Config::Role role);

// The systemd unit for a daemon of this directory: that of the Debian package
// where it is of the package's directory, else one that lies in it.
std::filesystem::path unit_file(const Context& context);

// Settings and unit of a node, or the settings of a user. The package's unit is
// left as it is. The settings come last and whole or not at all: by them the
// directory is of a cell.
Status write_host_files(const Context& context, const JoinedHost& host);
void remove_host_files(const std::filesystem::path& data, Config::Role role);

// How the daemon of a node was started.
enum class Started { by_systemd, here };
Expected<Started> start_node(const Context& context, Interrupts& interrupts);
// The daemon and all that runs under the node's keeper.
Status stop_node(const Context& context);

}  // namespace reeve::tools
