// join.
#include <arpa/inet.h>
#include <fmt/format.h>
#include <netdb.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <iostream>

#include "bus/connect_error.hpp"
#include "bus/nkey.hpp"
#include "bus/private_file.hpp"
#include "cluster/constraint.hpp"
#include "cluster/identities/identities.hpp"
#include "tools/cli/cell.hpp"
#include "tools/cli/cell/daemon.hpp"
#include "tools/cli/handlers.hpp"
#include "tools/cli/member/host.hpp"
#include "tools/cli/member/log_managers.hpp"
#include "tools/member/token_text.hpp"
#include "tools/program.hpp"

namespace reeve::tools {
namespace {

using std::string;
namespace fs = std::filesystem;

// For which the maker of a first manager's token is tried.
constexpr std::uint64_t maker_timeout_ns = 10'000'000'000;
constexpr int maker_pause_ms = 200;

// "-": from standard input, so that it stays out of the shell's history.
Expected<JoinToken> read_token(const string& word) {
  if (word != "-") return parse_join_token(word);
  string line;
  if (!std::getline(std::cin, line))
    return fail(Errc::usage, "no token came on standard input");
  return parse_join_token(line);
}

// By which address this host goes to where the cell is.
Expected<string> address_towards(const string& url) {
  const bus::Address to = bus::address_of(url);
  addrinfo how{};
  how.ai_socktype = SOCK_DGRAM;
  how.ai_family = AF_INET;
  addrinfo* found = nullptr;
  string address;
  if (::getaddrinfo(to.host.c_str(), std::to_string(to.port).c_str(), &how,
                    &found) == 0) {
    const int fd = ::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    sockaddr_in own{};
    socklen_t size = sizeof own;
    char text[INET_ADDRSTRLEN] = {};
    // Of a datagram socket: nothing is sent.
    if (::connect(fd, found->ai_addr, found->ai_addrlen) == 0 &&
        ::getsockname(fd, reinterpret_cast<sockaddr*>(&own), &size) == 0 &&
        ::inet_ntop(AF_INET, &own.sin_addr, text, sizeof text))
      address = text;
    ::close(fd);
    ::freeaddrinfo(found);
  }
  if (!address.empty()) return address;
  return fail(Errc::unreachable,
              fmt::format("there is no way from here to {}: tell with "
                          "--address where others reach this host",
                          url));
}

// Its name is the token's.
Status fill_in_manager(const JoinToken& token, const Arguments& arguments,
                       JoinedHost& host) {
  host.name = token.name;
  if (token.id == 0) return {};
  string address(arguments.text("--address"));
  if (address.empty()) {
    auto own = address_towards(token.urls.front());
    if (!own) return tl::unexpected(own.error());
    address = std::move(*own);
  }
  host.members.emplace_back(token.name, address);
  host.joined_by = token.id;
  return {};
}

// What the token or the role leaves no choice of.
Status check_options(const JoinToken& token, const Arguments& arguments) {
  const bool manager = token.role == schema::IdentityRole::manager;
  const auto no = [&](const char* option, const string& why) {
    return fail(Errc::usage,
                fmt::format("{} is not for this token: {}", option, why));
  };
  if (manager && arguments.has("--name") &&
      arguments.text("--name") != token.name)
    return no("--name",
              fmt::format("it is for the manager {} alone", token.name));
  if (token.role != schema::IdentityRole::agent)
    for (const char* option : {"--group", "--label"})
      if (arguments.has(option))
        return no(option,
                  manager
                      ? "set agent.group and [agent.labels] in cell.toml of "
                        "the manager's host once it has joined"
                      : "it is a user's, whose host is no node");
  if (!arguments.has("--address")) return {};
  if (!manager) return no("--address", "managers alone have one");
  if (token.id == 0)
    return no("--address",
              "manager.members of the first manager's settings has it");
  return {};
}

Expected<JoinedHost> host_of(const JoinToken& token,
                             const Arguments& arguments) {
  if (auto good = check_options(token, arguments); !good)
    return tl::unexpected(good.error());
  JoinedHost host;
  host.cell = token.cell;
  switch (token.role) {
    case schema::IdentityRole::agent: host.role = Config::Role::agent; break;
    case schema::IdentityRole::user: host.role = Config::Role::user; break;
    default:
      host.role = Config::Role::cell;
      host.members = token.members;
      host.cluster_port = token.cluster_port;
      host.port =
          static_cast<std::uint32_t>(bus::address_of(token.urls.front()).port);
  }
  if (host.role == Config::Role::cell) {
    if (auto good = fill_in_manager(token, arguments, host); !good)
      return tl::unexpected(good.error());
    if (auto good = parse_config(joined_settings(host), "the settings"); !good)
      return tl::unexpected(good.error());
    return host;
  }
  host.name = string(arguments.text("--name"));
  if (host.name.empty()) host.name = token.name;
  if (host.name.empty() && host.role == Config::Role::agent) {
    char name[256] = {};
    ::gethostname(name, sizeof name - 1);
    host.name = name;
  }
  if (host.name.empty())
    return fail(Errc::usage, "which user is it? Name one with --name");
  host.group = string(arguments.text("--group"));
  for (const string& word : arguments.all("--label")) {
    const auto equals = word.find('=');
    if (equals == string::npos)
      return fail(Errc::usage,
                  fmt::format("--label: \"{}\" is not KEY=VALUE", word));
    if (auto good = check_label_key(word.substr(0, equals)); !good)
      return fail(Errc::usage, fmt::format("--label: {}", good.error().text));
    host.labels.emplace_back(word.substr(0, equals), word.substr(equals + 1));
  }
  // Names and groups are checked as those of a settings file.
  if (auto good = parse_config(joined_settings(host), "the settings"); !good)
    return tl::unexpected(good.error());
  return host;
}

// What a join writes before its settings, the last of all.
std::vector<fs::path> first_files(const Context& context, Config::Role role) {
  std::vector<fs::path> out{credentials_file(context.data, role)};
  if (role != Config::Role::user) out.push_back(unit_file(context));
  if (role == Config::Role::cell)
    for (const char* name : {"ca.pem", "ca.key"})
      out.push_back(context.data / "bus" / name);
  return out;
}

// Where write_private_file has the beginning of one that it was not to finish.
bool is_begun(const fs::path& file, const fs::path& whole) {
  const string& text = file.native();
  const string before = whole.native() + ".";
  return text.size() > before.size() && text.starts_with(before) &&
         text.find_first_not_of("0123456789", before.size()) == string::npos;
}

// A cell that this host has left leaves what its tasks wrote.
string occupied(const fs::path& file) {
  return fmt::format(
      "{} is there already: move away what {} holds, or name an empty "
      "directory with --data",
      file.string(), file.parent_path().string());
}

// What does not come of a join is in the way; what one that was cut short has
// only begun is removed.
Status check_empty(const fs::path& directory, const fs::path& passed_over,
                   const std::vector<fs::path>& files) {
  std::error_code broken;
  std::vector<fs::path> begun;
  for (const auto& entry : fs::directory_iterator(directory, broken)) {
    const fs::path& found = entry.path();
    if (found == passed_over ||
        std::find(files.begin(), files.end(), found) != files.end())
      continue;
    if (std::none_of(files.begin(), files.end(), [&](const fs::path& file) {
          return is_begun(found, file);
        }))
      return fail(Errc::usage, occupied(found));
    begun.push_back(found);
  }
  for (const fs::path& file : begun) fs::remove(file, broken);
  return {};
}

// An empty directory, or that of a join which was cut short.
Status prepare(const Context& context, Config::Role role) {
  const fs::path& data = context.data;
  std::error_code broken;
  fs::create_directories(data / "bus", broken);
  if (broken)
    return fail(Errc::io,
                fmt::format("cannot make {}: {}; name another directory with "
                            "--data",
                            data.string(), broken.message()));
  ::chmod(data.c_str(), 0700);
  ::chmod((data / "bus").c_str(), 0700);
  if (fs::exists(cell_file(data), broken))
    return fail(Errc::busy,
                fmt::format("{} is of a cell already; name another directory "
                            "with --data, or leave that cell (reeve leave)",
                            data.string()));
  auto files = first_files(context, role);
  files.push_back(cell_file(data));
  auto good = check_empty(data, data / "bus", files);
  if (good) good = check_empty(data / "bus", {}, files);
  return good;
}

// Kept before the cell is asked: an answer that is lost costs nothing, the same
// key asks again. Where the cell is another token may know better.
Expected<bus::Credentials> own_credentials(const fs::path& file,
                                           const JoinToken& token,
                                           const string& principal) {
  const auto kept = bus::load_credentials(file);
  const bool again =
      kept && kept->principal == principal && kept->cell == token.cell;
  bus::Credentials made;
  made.urls = token.urls;
  made.principal = principal;
  made.seed = again ? kept->seed : bus::make_user_key().seed;
  made.cell = token.cell;
  made.ca = token.ca;
  if (again && *kept == made) return made;
  if (auto saved = bus::save_credentials(file, made); !saved)
    return tl::unexpected(saved.error());
  return made;
}

// A token tells where its cell was when it was made.
Error with_places(const Error& error, const JoinToken& token) {
  if (error.code != Errc::unreachable) return error;
  return {error.code,
          fmt::format("{}. Look whether this host reaches what the token names "
                      "({}); where that is no address of the cell's for "
                      "others, set bus.advertise on its manager's host, start "
                      "that anew, and make another token",
                      error.text, fmt::join(token.urls, ", "))};
}

Status ask_to_join(const JoinToken& token, const JoinedHost& host,
                   const bus::Credentials& own) {
  const auto key = bus::public_key_of(own.seed);
  if (!key) return tl::unexpected(key.error());
  bus::Credentials by_token = own;
  by_token.principal = cluster::token_principal(token.id);
  by_token.seed = token.seed;
  auto caller = Caller::connect(by_token);
  if (!caller && bus::is_unknown_key(caller.error(), by_token))
    return fail(Errc::rejected,
                fmt::format("{}. A token is forgotten a week after it is over",
                            caller.error().text));
  if (!caller) return tl::unexpected(with_places(caller.error(), token));
  flatbuffers::FlatBufferBuilder builder(256);
  const string address =
      host.joined_by != 0 ? host.members.back().second : string();
  const auto body = schema::CreateJoinDirect(
      builder, host.name.c_str(), key->c_str(), address.c_str(),
      schema::EnumNameIdentityRole(token.role));
  auto joined =
      caller->command(builder, schema::CommandBody::Join, body.Union());
  // A key may speak in the name of its own token alone.
  const auto subject =
      bus::Subjects(token.cell).command(by_token.principal, "join");
  if (!joined && bus::is_forbidden(joined.error(), subject))
    return fail(
        Errc::rejected,
        fmt::format("the bus at {} does not take this for token {}: it is none "
                    "of the cell {}, or was changed, revoked or used up. Ask "
                    "an admin of {} for a new one (reeve token create)",
                    fmt::join(token.urls, ", "), token.id, token.cell,
                    token.cell));
  return joined;
}

// A manager that was there before has lost its disk: by the old name its empty
// bus server would count as the one that had the data.
Status check_first_manager(const JoinToken& token, Interrupts& interrupts) {
  // One of an older program does not tell whom to ask.
  if (token.ask.url.empty()) return {};
  const bus::Credentials by{{token.ask.url},
                            token.ask.principal,
                            token.ask.seed,
                            token.cell,
                            token.ca};
  // Its bus server may be starting.
  const std::uint64_t begun = monotonic_ns();
  auto cell = Cell::connect_by(by);
  while (!cell && cell.error().code == Errc::unreachable &&
         monotonic_ns() - begun < maker_timeout_ns &&
         interrupts.wait(maker_pause_ms) == 0)
    cell = Cell::connect_by(by);
  const auto known = cell ? log_managers(**cell)
                          : Expected<LogManagers>(tl::unexpected(cell.error()));
  if (!known)
    return fail(known.error().code,
                fmt::format("whether {} was a manager before is asked of the "
                            "one that made this token, which has to run: {}",
                            token.name, known.error().text));
  if (known->named.empty()) return {};
  return fail(
      Errc::rejected,
      fmt::format("the cell {1} has begun since this token was made: {2}make "
                  "another on a manager's host (reeve token create --role "
                  "manager --name {0})",
                  token.name, token.cell,
                  known->has(token.name)
                      ? fmt::format("if the disk of {0} is lost, take it out "
                                    "first (reeve members remove {0}), and ",
                                    token.name)
                      : string()));
}

// By the key of the cell's certificates its bus server is one of the cell's.
Status become_manager(const Context& context, const JoinToken& token) {
  const fs::path bus = context.data / "bus";
  auto written = bus::write_private_file(bus / "ca.pem", token.ca);
  if (written) written = bus::write_private_file(bus / "ca.key", token.ca_key);
  return written;
}

Status join_cell(const Context& context, const JoinToken& token,
                 const JoinedHost& host, const string& principal,
                 Interrupts& interrupts) {
  const auto file = credentials_file(context.data, host.role);
  const auto own = own_credentials(file, token, principal);
  if (!own) return tl::unexpected(own.error());
  auto joined = ask_to_join(token, host, *own);
  // With an answer that did not come, this host may be a member.
  if (!joined && joined.error().code != Errc::unreachable) {
    std::error_code ignored;
    fs::remove(file, ignored);
  }
  if (joined) await_admission(*own, interrupts);
  return joined;
}

Result tell(const Context& context, const JoinedHost& host,
            const string& principal, const string& how) {
  if (context.json)
    print(JsonObject()
              .text("cell", host.cell)
              .text("principal", principal)
              .text("data", context.data.string())
              .done() +
          '\n');
  else if (!context.quiet)
    say(fmt::format("joined the cell {} as {}{}", host.cell, principal, how));
  return 0;
}

// Before anything is written here. Its managers look again when they are asked.
Status check_program(const JoinToken& token) {
  const cluster::Program cell{token.version,
                              {token.protocol, token.protocol_oldest}};
  if (auto why = cluster::why_apart(cell, "this host", this_program().version,
                                    this_program().protocol))
    return fail(Errc::rejected, std::move(*why));
  return {};
}

}  // namespace

Result command_join(const Context& context, const Arguments& arguments) {
  Interrupts interrupts;
  const auto token = read_token(arguments.words[0]);
  if (!token) return tl::unexpected(token.error());
  if (auto good = check_program(*token); !good)
    return tl::unexpected(good.error());
  const auto host = host_of(*token, arguments);
  if (!host) return tl::unexpected(host.error());
  const string principal = cluster::principal_of(token->role, host->name);
  if (auto good = prepare(context, host->role); !good)
    return tl::unexpected(good.error());
  // One of the first managers becomes no member: it is in the settings.
  auto joined = token->id == 0
                    ? check_first_manager(*token, interrupts)
                    : join_cell(context, *token, *host, principal, interrupts);
  if (joined && host->role == Config::Role::cell)
    joined = become_manager(context, *token);
  if (!joined) return tl::unexpected(joined.error());
  if (auto written = write_host_files(context, *host); !written)
    return tl::unexpected(written.error());
  if (host->role == Config::Role::user)
    return tell(context, *host, principal, "");
  if (arguments.has("--no-start"))
    return tell(context, *host, principal,
                fmt::format("; start its daemon with \"reeve up --detach "
                            "--data {}\"",
                            context.data.string()));
  const auto started = start_node(context, interrupts);
  if (!started)
    return fail(
        started.error().code,
        fmt::format("this host joined the cell {} as {}, and its daemon "
                    "did not start: {}",
                    host->cell, principal, started.error().text));
  return tell(context, *host, principal,
              *started == Started::by_systemd
                  ? "; systemd keeps its daemon (reeved.service)"
                  : fmt::format("; its daemon runs until \"reeve down\" or the "
                                "next boot, a unit for systemd is {}",
                                unit_file(context).string()));
}

}  // namespace reeve::tools
