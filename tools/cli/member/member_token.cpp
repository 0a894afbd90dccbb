// token create, token list, token revoke.
#include <fmt/format.h>

#include <algorithm>

#include "bus/credentials.hpp"
#include "bus/nkey.hpp"
#include "bus/private_file.hpp"
#include "cluster/identities/identities.hpp"
#include "cluster/limits.hpp"
#include "cluster/units.hpp"
#include "schema/json.hpp"
#include "store/head_mark.hpp"
#include "store/layout.hpp"
#include "tools/cli/cell.hpp"
#include "tools/cli/cell/daemon.hpp"
#include "tools/cli/handlers.hpp"
#include "tools/cli/member/host.hpp"
#include "tools/cli/member/log_managers.hpp"
#include "tools/cli/member/manager_text.hpp"
#include "tools/config/config.hpp"
#include "tools/member/token_text.hpp"
#include "tools/program.hpp"

namespace reeve::tools {
namespace {

using schema::IdentityRole;
using std::string;
namespace fs = std::filesystem;

constexpr std::uint64_t default_ttl_ns = 3600 * second_ns;

struct Wanted {
  IdentityRole role = IdentityRole::agent;
  string name;
  std::uint64_t ttl_ns = default_ttl_ns;
  std::uint32_t uses = 1;
};

Expected<Wanted> wanted_of(const Arguments& arguments) {
  Wanted wanted;
  const auto role = arguments.find("--role");
  if (!role)
    return fail(Errc::usage,
                "say what it lets in: --role agent, manager or user");
  for (const auto one : schema::EnumValuesIdentityRole())
    if (*role == schema::EnumNameIdentityRole(one)) wanted.role = one;
  wanted.name = arguments.text("--name");
  if (const auto text = arguments.find("--ttl")) {
    const auto ttl = parse_duration(*text);
    if (!ttl)
      return fail(Errc::usage, fmt::format("--ttl: {}", ttl.error().text));
    wanted.ttl_ns = *ttl;
  }
  if (const auto text = arguments.find("--uses")) {
    const auto uses =
        parse_count(*text, "number of uses", 1, cluster::token_uses_max);
    if (!uses)
      return fail(Errc::usage, fmt::format("--uses: {}", uses.error().text));
    wanted.uses = static_cast<std::uint32_t>(*uses);
  }
  return wanted;
}

// Where others reach the bus; of one that listens here alone what there is.
std::vector<string> urls_for_others(const std::vector<string>& urls) {
  std::vector<string> out;
  std::copy_if(urls.begin(), urls.end(), std::back_inserter(out),
               [](const string& url) {
                 return !bus::is_loopback(bus::address_of(url).host);
               });
  return out;
}

// "2 of 3".
string uses_text(const schema::TokenRecord& token) {
  return fmt::format("{} of {}", token.used(), token.uses());
}

const char* state_text(const schema::TokenRecord& token, std::uint64_t now) {
  if (token.revoked_at() != 0) return "revoked";
  if (token.used() >= token.uses()) return "used up";
  return token.expires_at() <= now ? "expired" : "good";
}

// "7", or "token-7" as its principal is.
Expected<std::uint64_t> parse_token_number(std::string_view word) {
  constexpr std::string_view prefix = "token-";
  if (word.starts_with("reeve1:"))
    return fail(Errc::usage,
                "name the token by its number (reeve token list), not by its "
                "text, which is a secret");
  if (word.starts_with(prefix)) word.remove_prefix(prefix.size());
  return parse_count(word, "number of a token", 1);
}

Status each_token(
    Cell& cell, const std::function<void(const schema::TokenRecord&)>& visit) {
  std::uint64_t after = 0;
  for (;;) {
    flatbuffers::FlatBufferBuilder builder(64);
    const auto body = schema::CreateIdentitiesQuery(builder, true, 0, after);
    const auto answer =
        cell.ask(builder, schema::QueryBody::IdentitiesQuery, body.Union());
    if (!answer) return tl::unexpected(answer.error());
    const auto* page = (*answer)->body_as_IdentitiesAnswer();
    if (!page || !page->tokens()) return {};
    for (const auto* token : *page->tokens()) {
      visit(*token);
      after = token->token();
    }
    if (!page->more() || page->tokens()->size() == 0) return {};
  }
}

// A token that tells which program made it.
JoinToken new_token() {
  JoinToken token;
  const cluster::Program& program = this_program();
  token.version = program.version;
  token.protocol = program.protocol.number();
  token.protocol_oldest = program.protocol.oldest();
  return token;
}

// What every token of a manager has.
Expected<JoinToken> manager_token(const Context& context, const Config& config,
                                  const Wanted& wanted) {
  const fs::path bus = context.data / "bus";
  const auto ca = bus::read_private_file(bus / "ca.pem");
  const auto key = bus::read_private_file(bus / "ca.key");
  if (!ca || !key)
    return fail(Errc::rejected,
                fmt::format("a token for a manager is made on a manager's host "
                            "by its owner, once that has been started: {}",
                            (ca ? key : ca).error().text));
  JoinToken token = new_token();
  token.cell = config.cell;
  token.ca = *ca;
  token.ca_key = *key;
  token.role = wanted.role;
  token.name = wanted.name;
  token.cluster_port = config.bus.cluster_port;
  return token;
}

void add_managers(JoinToken& token, const Config& config,
                  const std::vector<std::pair<string, string>>& managers) {
  const auto listen = bus::parse_address(config.bus.listen);
  token.members = managers;
  for (const auto& [name, host] : managers)
    token.urls.push_back(
        fmt::format("tls://{}:{}", host, listen ? listen->port : members_port));
}

Result tell_manager_token(const Context& context, const JoinToken& token,
                          const string& what) {
  const string text = join_token_text(token);
  if (context.json) {
    JsonObject object;
    if (token.id != 0) object.number("token", token.id);
    print(object.text("text", text).done() + '\n');
    return 0;
  }
  print(text + '\n');
  if (!context.quiet)
    say(
        fmt::format("{}; it is worth the whole cell: bring it there, and keep "
                    "it nowhere",
                    what));
  return 0;
}

// What makes a host one of the first managers is in files of each manager's:
// nothing is decided, so the second may join before there is a majority. By the
// owner's key it asks here, when it joins, whether the cell has begun
// meanwhile.
Result create_first_token(const Context& context, const Arguments& arguments,
                          const Config& config, const Wanted& wanted) {
  if (arguments.has("--ttl") || arguments.has("--uses"))
    return fail(Errc::usage,
                "the token of a manager that manager.members names is not "
                "known to the cell and does not run out: --ttl and --uses are "
                "not for it");
  auto token = manager_token(context, config, wanted);
  if (!token) return tl::unexpected(token.error());
  add_managers(*token, config, config.manager.members);
  const auto own =
      bus::load_credentials(bus::client_credentials_path(context.data));
  if (!own && own.error().code == Errc::not_found)
    return fail(Errc::unreachable,
                "this manager has not begun yet: start it first (reeve up), or "
                "try again in a moment");
  if (!own) return tl::unexpected(own.error());
  for (std::size_t i = 0; i < token->members.size(); ++i)
    if (token->members[i].first == config.manager.name)
      token->ask = {token->urls[i], own->principal, own->seed};
  return tell_manager_token(context, *token,
                            fmt::format("by this {} becomes a manager of {}",
                                        wanted.name, config.cell));
}

// One more, of a cell that is there.
Result create_further_token(
    const Context& context, const Arguments& arguments, const Config& config,
    const Wanted& wanted, Cell& cell,
    const std::vector<std::pair<string, string>>& managers) {
  if (arguments.has("--uses"))
    return fail(Errc::usage,
                "one manager joins by a token: --uses is not for "
                "it");
  auto token = manager_token(context, config, wanted);
  if (!token) return tl::unexpected(token.error());
  add_managers(*token, config, managers);
  const bus::UserKey key = bus::make_user_key();
  flatbuffers::FlatBufferBuilder builder;
  const auto body = schema::CreateCreateTokenDirect(
      builder, wanted.role, key.public_key.c_str(), wanted.ttl_ns, 1,
      wanted.name.c_str());
  const auto reply =
      cell.command(builder, schema::CommandBody::CreateToken, body.Union());
  if (!reply) return tl::unexpected(reply.error());
  token->id = (*reply)->token();
  token->seed = key.seed;
  return tell_manager_token(
      context, *token,
      fmt::format("token {}: by this {} becomes a manager of {} within {}. {}",
                  token->id, wanted.name, config.cell,
                  format_duration(wanted.ttl_ns),
                  majority_sentence(managers.size() + 1)));
}

// Whoever joins finds the cell by any manager, the one that is asked first.
void add_other_managers(std::vector<string>& urls, Cell& cell) {
  const auto status = cell.status();
  if (!status || !(*status)->managers()) return;
  for (const auto* one : *(*status)->managers()) {
    const string url =
        bus::url_beside(urls.front(), string(schema::text(one->address())));
    if (std::find(urls.begin(), urls.end(), url) == urls.end() &&
        urls.size() < bus::credentials_urls_max)
      urls.push_back(url);
  }
}

// Whether this manager's log has an event, whoever answers.
bool has_begun(const fs::path& data) {
  const auto mark =
      store::read_head_mark(store::Layout{data / "log"}.head_mark());
  return mark ? mark->head.sequence != 0 : mark.error().code != Errc::not_found;
}

// One whose log names no managers may be asked by nobody yet, before it begins.
Expected<LogManagers> managers_known(
    const Context& context, const Expected<std::unique_ptr<Cell>>& cell,
    const string& name) {
  auto known = cell ? log_managers(**cell)
                    : Expected<LogManagers>(tl::unexpected(cell.error()));
  if (known) return known;
  if (!has_begun(context.data)) return LogManagers();
  return fail(known.error().code,
              fmt::format("whether {} was a manager before is asked of the "
                          "cell first: {}",
                          name, known.error().text));
}

Result create_manager_token(const Context& context, const Arguments& arguments,
                            const Wanted& wanted) {
  const auto config = load_config(cell_file(context.data));
  if (!config) return tl::unexpected(config.error());
  if (config->role != Config::Role::cell)
    return fail(Errc::usage,
                fmt::format("a token for a manager is made on the host of a "
                            "manager of {}, by its owner: it holds the key of "
                            "the cell's certificates, which is there alone",
                            config->cell));
  const auto& first = config->manager.members;
  if (first.empty())
    return fail(
        Errc::usage,
        fmt::format("the cell of {0} is not set up for several managers: set "
                    "manager.name there and manager.members to its own name "
                    "and address, which other hosts reach, and start it anew",
                    cell_file(context.data).string()));
  if (wanted.name.empty())
    return fail(Errc::usage, "name the new manager with --name");
  auto cell = Cell::connect(context);
  const auto known = managers_known(context, cell, wanted.name);
  if (!known) return tl::unexpected(known.error());
  // An empty bus server by the name of one that had data counts as that one,
  // and what the two of them had acknowledged may be lost.
  if (known->has(wanted.name))
    return fail(Errc::rejected,
                fmt::format("{0} is a manager of the cell: if its disk is "
                            "lost, take it out first (reeve members remove "
                            "{0}), and make its token then",
                            wanted.name));
  // Of two by one name each would keep a log as the other one.
  const bool is_first =
      known->named.empty() &&
      std::any_of(first.begin(), first.end(),
                  [&](const auto& one) { return one.first == wanted.name; });
  if (is_first && known->living.contains(wanted.name))
    return fail(Errc::rejected,
                fmt::format("{} runs already: end it there first (reeve down), "
                            "or wait a few seconds if it is gone",
                            wanted.name));
  if (is_first) return create_first_token(context, arguments, *config, wanted);
  if (!cell) return tl::unexpected(cell.error());
  return create_further_token(context, arguments, *config, wanted, **cell,
                              known->named.empty() ? first : known->named);
}

}  // namespace

// The key pair is made here: the cell never sees the secret half.
Result command_token_create(const Context& context,
                            const Arguments& arguments) {
  Interrupts interrupts;
  const auto wanted = wanted_of(arguments);
  if (!wanted) return tl::unexpected(wanted.error());
  if (wanted->role == IdentityRole::manager)
    return create_manager_token(context, arguments, *wanted);
  auto cell = Cell::connect(context);
  if (!cell) return tl::unexpected(cell.error());
  const auto own =
      bus::load_credentials(bus::client_credentials_path(context.data));
  if (!own) return tl::unexpected(own.error());
  const bus::UserKey key = bus::make_user_key();
  flatbuffers::FlatBufferBuilder builder;
  const auto body = schema::CreateCreateTokenDirect(
      builder, wanted->role, key.public_key.c_str(), wanted->ttl_ns,
      wanted->uses, wanted->name.c_str());
  const auto reply =
      (*cell)->command(builder, schema::CommandBody::CreateToken, body.Union());
  if (!reply) return tl::unexpected(reply.error());
  bus::Credentials by_token = *own;
  by_token.principal = cluster::token_principal((*reply)->token());
  by_token.seed = key.seed;
  await_admission(by_token, interrupts);
  auto reachable = urls_for_others(own->urls);
  if (!reachable.empty()) add_other_managers(reachable, **cell);
  JoinToken token = new_token();
  token.cell = own->cell;
  token.urls = reachable.empty() ? own->urls : reachable;
  token.ca = own->ca;
  token.id = (*reply)->token();
  token.role = wanted->role;
  token.name = wanted->name;
  token.seed = key.seed;
  const string text = join_token_text(token);
  if (reachable.empty())
    say("warning: this token is good on this host alone: the cell's bus "
        "listens on loopback. For other hosts set \"listen\" under [bus] in "
        "the settings of the cell, start it anew, and make another");
  if (context.json) {
    print(JsonObject()
              .number("token", (*reply)->token())
              .text("text", text)
              .truth("loopback_only", reachable.empty())
              .number("seq", (*reply)->seq())
              .done() +
          '\n');
    return 0;
  }
  print(text + '\n');
  if (!context.quiet)
    say(fmt::format(
        "token {}: {} may join by it within {}; it is a secret",
        (*reply)->token(),
        wanted->name.empty()
            ? counted(wanted->uses, schema::EnumNameIdentityRole(wanted->role))
            : wanted->name + " alone",
        format_duration(wanted->ttl_ns)));
  return 0;
}

Result command_token_list(const Context& context, const Arguments&) {
  auto cell = Cell::connect(context);
  if (!cell) return tl::unexpected(cell.error());
  Table table({{"TOKEN", Table::Align::right},
               {"ROLE"},
               {"FOR", Table::Align::left, 3},
               {"STATE"},
               {"USED", Table::Align::right},
               {"EXPIRES", Table::Align::left, 1},
               {"MADE BY", Table::Align::left, 4},
               {"LAST USED BY", Table::Align::left, 2}});
  std::vector<string> json;
  const std::uint64_t now = now_ns();
  const Status status =
      each_token(**cell, [&](const schema::TokenRecord& token) {
        if (context.json) {
          string& one = json.emplace_back();
          schema::append_json(one, &token, schema::TokenRecordTypeTable());
          return;
        }
        const string name(schema::text(token.name()));
        table.add({fmt::format("{}", token.token()),
                   schema::EnumNameIdentityRole(token.role()),
                   name.empty() ? "anyone" : name, state_text(token, now),
                   uses_text(token), local_time(token.expires_at()),
                   string(schema::text(token.created_by())),
                   string(schema::text(token.last_used_by()))});
      });
  if (!status) return tl::unexpected(status.error());
  print(context.json ? json_array(json) + '\n' : table.text(context.terminal));
  return 0;
}

Result command_token_revoke(const Context& context,
                            const Arguments& arguments) {
  const auto token = parse_token_number(arguments.words[0]);
  if (!token) return tl::unexpected(token.error());
  auto cell = Cell::connect(context);
  if (!cell) return tl::unexpected(cell.error());
  flatbuffers::FlatBufferBuilder builder(64);
  const auto body = schema::CreateRevokeToken(builder, *token);
  const auto reply =
      (*cell)->command(builder, schema::CommandBody::RevokeToken, body.Union());
  if (!reply) return tl::unexpected(reply.error());
  if (context.json) {
    print(JsonObject()
              .number("token", *token)
              .number("seq", (*reply)->seq())
              .done() +
          '\n');
  } else if (!context.quiet) {
    say(fmt::format("token {} is revoked; who joined by it stays a member",
                    *token));
  }
  return 0;
}

}  // namespace reeve::tools
