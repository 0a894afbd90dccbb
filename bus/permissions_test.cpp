// Who may do what on the bus, asked of a real server: each role tries the
// subjects of all.
#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <atomic>
#include <boost/test/unit_test.hpp>
#include <cstdlib>
#include <set>

#include "bus/jetstream_support.hpp"
#include "bus/test_support.hpp"
#include "schema/json.hpp"
#include "schema/wire.hpp"

namespace reeve::bus::permissions_test {
namespace {

using testing::bytes_of;
using testing::Cell;
using testing::eventually;
using testing::patience;

enum Who : unsigned {
  nobody = 0,
  manager = 1,
  user = 2,
  agent = 4,
  token = 8,
  streams = 16,  // managers, where the server keeps streams
};

struct Case {
  const char* subject;
  unsigned allowed = nobody;
};

// The user is ann, the agent n1, the token number 7, the manager m2.
const Case publishing[] = {
    {"reeve.c.cmd.ann.submit_session", manager | user},
    {"reeve.c.cmd.ann.create_token", manager | user},
    {"reeve.c.cmd.bob.submit_session", manager},
    {"reeve.c.cmd.reeved.report_facts", manager},
    {"reeve.c.cmd.reeved.report_healing", manager},
    {"reeve.c.cmd.agent-n1.register_nodes", manager | agent},
    {"reeve.c.cmd.agent-n1.report_facts", manager | agent},
    {"reeve.c.cmd.agent-n1.report_test", manager | agent},
    {"reeve.c.cmd.agent-n1.quarantine_device", manager | agent},
    {"reeve.c.cmd.agent-n1.leave", manager | agent},
    {"reeve.c.cmd.agent-n1.submit_session", manager},
    {"reeve.c.cmd.agent-n1.join", manager},
    {"reeve.c.cmd.agent-n2.report_facts", manager},
    {"reeve.c.cmd.token-7.join", manager | token},
    {"reeve.c.cmd.token-7.create_token", manager},
    {"reeve.c.cmd.token-8.join", manager},
    {"reeve.c.qry.ann", manager | user},
    {"reeve.c.qry.bob", manager},
    {"reeve.c.qry.agent-n1", manager},
    {"reeve.c.qry.token-7", manager},
    {"reeve.c.standby.ann", manager | user},
    {"reeve.c.standby.bob", manager},
    {"reeve.c.log.read", manager | user},
    {"reeve.c.log.head", manager | user},
    {"reeve.c.log", manager},
    {"reeve.c.agent.n1.output", manager | user},
    {"reeve.c.agent.n1.order", manager},
    {"reeve.c.agent.n2.order", manager},
    {"reeve.c.evt.session.1.session_ended", manager},
    {"reeve.c.stat.n1", manager | agent},
    {"reeve.c.stat.n2", manager},
    {"reeve.c.out.n1.1.0", manager | agent},
    {"reeve.c.out.n2.1.0", manager},
    {"reeve.c.member.m1.beat", manager},
    {"_INBOX.ann.1", manager},
    {"_INBOX.reeved.1", manager},
    {"_INBOX.agent-n1.1", manager},
    {"_INBOX.token-7.1", manager},
    {"reeve.other.cmd.ann.submit_session"},
    {"reeve.other.evt.session.1.session_ended"},
    {"reeve.other.out.n1.1.0"},
    {"anything"},
    {"$SYS.REQ.SERVER.PING"},
    {"$JS.API.INFO", streams},
    {"$JS.API.STREAM.DELETE.reeve-c", streams},
    {"$KV.reeve-c-lease.leader", streams},
};

const Case subscribing[] = {
    {"reeve.c.cmd.*.*", manager},
    {"reeve.c.cmd.ann.*", manager},
    {"reeve.c.qry.*", manager},
    {"reeve.c.standby.*", manager},
    {"reeve.c.log.read", manager},
    {"reeve.c.log", manager},
    {"reeve.c.agent.n1.*", manager | agent},
    {"reeve.c.agent.n1.order", manager | agent},
    {"reeve.c.agent.n2.*", manager},
    {"reeve.c.agent.*.order", manager},
    {"reeve.c.evt.>", manager | user},
    {"reeve.c.evt.session.1.>", manager | user},
    {"reeve.c.stat.*", manager | user},
    {"reeve.c.stat.n1", manager | agent | user},
    {"reeve.c.stat.n2", manager | user},
    {"reeve.c.out.>", manager | user},
    {"reeve.c.out.*.1.*", manager | user},
    {"reeve.c.member.>", manager},
    {"reeve.c.>", manager},
    {"_INBOX.manager-m2.>", manager},
    {"_INBOX.ann.>", user},
    {"_INBOX.agent-n1.>", agent},
    {"_INBOX.token-7.>", token},
    {"_INBOX.reeved.>"},
    {"_INBOX.bob.>"},
    {"_INBOX.>"},
    {"_INBOX.*.>"},
    {"reeve.other.>"},
    {"reeve.>"},
    {">"},
    {"$SYS.>"},
    {"$JS.>", streams},
    {"$KV.>", streams},
};

struct Member {
  const char* principal;
  Role role;
  const char* agent;
  unsigned who;
};
const Member members[] = {{"manager-m2", Role::manager, "", manager | streams},
                          {"ann", Role::user, "", user},
                          {"agent-n1", Role::agent, "n1", agent},
                          {"token-7", Role::token, "", token}};

// What the server refused of `act` on the subjects, told by its own words.
template <std::size_t count, class Act>
std::set<std::string> refused(const Credentials& credentials,
                              const Case (&cases)[count], const Act& act) {
  std::mutex mutex;
  std::set<std::string> out;
  const std::string last = "reeve.other.the.last";
  ConnectionOptions options;
  options.credentials = credentials;
  options.on_error = [&](const Error& error) {
    const std::lock_guard lock(mutex);
    const std::size_t open = error.text.find('"');
    if (error.code != Errc::rejected || open == std::string::npos) return;
    out.insert(
        error.text.substr(open + 1, error.text.find('"', open + 1) - open - 1));
  };
  auto connection = Connection::connect(options);
  BOOST_REQUIRE_MESSAGE(connection,
                        (connection ? std::string() : connection.error().text));
  for (const Case& one : cases) act(**connection, one.subject);
  // Refusals come in order: after this one there are no others.
  act(**connection, last);
  BOOST_REQUIRE(eventually([&] {
    const std::lock_guard lock(mutex);
    return out.count(last) == 1;
  }));
  out.erase(last);
  connection->reset();
  return out;
}

void publish(Connection& to, const std::string& subject) {
  BOOST_REQUIRE(to.publish(subject, bytes_of("x")).has_value());
}
void subscribe(Connection& to, const std::string& pattern) {
  BOOST_REQUIRE(to.subscribe(pattern, [](const Message&) {}).has_value());
}

template <std::size_t count, class Act>
void compare(const char* what, const Member& member, unsigned who,
             const Credentials& credentials, const Case (&cases)[count],
             const Act& act) {
  const auto found = refused(credentials, cases, act);
  for (const Case& one : cases) {
    const bool may = (one.allowed & who) != 0;
    BOOST_TEST((found.count(one.subject) == 0) == may,
               member.principal
                   << " " << what << " " << one.subject
                   << (may ? ": must be allowed" : ": must be refused"));
  }
}

void try_all(Cell& cell, unsigned streams_or_not) {
  for (const Member& member : members) {
    const Credentials credentials =
        cell.admit(member.principal, member.role, member.agent);
    const unsigned who = member.who & ~(streams & ~streams_or_not);
    compare("publishes", member, who, credentials, publishing, publish);
    compare("subscribes to", member, who, credentials, subscribing, subscribe);
  }
}

BOOST_AUTO_TEST_SUITE(permissions)

BOOST_AUTO_TEST_CASE(each_role_may_do_what_it_must_and_nothing_else) {
  Cell cell;
  try_all(cell, nobody);
}

BOOST_AUTO_TEST_CASE(streams_are_for_managers_alone,
                     *testing::needs_jetstream()) {
  Cell cell([](ServerOptions& options) {
    if (const char* program = std::getenv("REEVE_NATS_SERVER"))
      options.program = program;
    options.jetstream = JetStreamOptions{1 << 20, 16 << 20};
  });
  try_all(cell, streams);
}

// An agent answers who asks it, once, and writes into no other inbox.
BOOST_AUTO_TEST_CASE(an_agent_answers_who_asks_it_and_only_once) {
  Cell cell;
  ConnectionOptions options;
  options.credentials = cell.admit("agent-n1", Role::agent, "n1");
  auto n1 = Connection::connect(options);
  BOOST_REQUIRE(n1.has_value());
  std::mutex mutex;
  std::string asked_from;
  BOOST_REQUIRE((*n1)
                    ->subscribe(cell.subjects.agent_verbs("n1"),
                                [&](const Message& message) {
                                  const std::lock_guard lock(mutex);
                                  asked_from = message.reply;
                                  (void)(*n1)->publish(message.reply,
                                                       bytes_of("here"));
                                })
                    .has_value());
  BOOST_REQUIRE((*n1)->flush(patience).has_value());
  auto asker = cell.connect(Role::user);
  const auto answer =
      asker->request(cell.subjects.agent("n1", "output"), {}, patience);
  BOOST_REQUIRE_MESSAGE(answer, (answer ? std::string() : answer.error().text));
  BOOST_TEST(testing::text_of(*answer) == "here");
  BOOST_TEST((*n1)->stats().permission_violations == 0u);
  BOOST_TEST(responses_max == 1);
  const std::string again = [&] {
    const std::lock_guard lock(mutex);
    return asked_from;
  }();
  BOOST_REQUIRE((*n1)->publish(again, bytes_of("more")).has_value());
  BOOST_TEST(
      eventually([&] { return (*n1)->stats().permission_violations == 1; }));
}

// The commands that the configuration lets agents send are of the schema.
BOOST_AUTO_TEST_CASE(what_agents_may_send_are_commands) {
  std::set<std::string> known;
  for (const char* const* name = schema::EnumNamesCommandBody();
       *name != nullptr; ++name)
    known.insert(schema::snake_case(*name));
  for (const std::string_view kind : agent_commands)
    BOOST_TEST(known.count(std::string(kind)) == 1u, kind);
}

// The server's words to a client that says only this, in the first second.
std::string greeted(int port, const std::string& hello) {
  const int fd = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(static_cast<std::uint16_t>(port));
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  BOOST_REQUIRE(::connect(fd, reinterpret_cast<sockaddr*>(&address),
                          sizeof address) == 0);
  BOOST_REQUIRE(::send(fd, hello.data(), hello.size(), MSG_NOSIGNAL) ==
                static_cast<ssize_t>(hello.size()));
  std::string said;
  char block[4096];
  for (ssize_t n = 0; (n = ::recv(fd, block, sizeof block, 0)) > 0;)
    said.append(block, static_cast<std::size_t>(n));
  ::close(fd);
  return said;
}

BOOST_AUTO_TEST_CASE(nobody_is_let_in_without_a_key) {
  Cell cell;
  (void)cell.admit("ann", Role::user);
  for (const std::string& hello :
       {std::string("CONNECT {}\r\nPING\r\n"),
        std::string("CONNECT {\"user\":\"local\",\"pass\":\"\"}\r\nPING\r\n"),
        "CONNECT {\"nkey\":\"" + cell.users.front().public_key +
            "\",\"sig\":\"\"}\r\nPING\r\n",
        std::string("SUB > 1\r\nPING\r\n")}) {
    const std::string said = greeted(cell.server->port(), hello);
    BOOST_TEST(said.find("'Authorization Violation'") != std::string::npos,
               hello << said);
    BOOST_TEST(said.find("PONG") == std::string::npos);
  }
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace
}  // namespace reeve::bus::permissions_test
