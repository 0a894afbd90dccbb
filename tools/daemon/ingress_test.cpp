#include "tools/daemon/ingress.hpp"

#include <atomic>
#include <boost/test/unit_test.hpp>
#include <caf/actor_system.hpp>
#include <caf/actor_system_config.hpp>
#include <caf/send.hpp>
#include <future>
#include <mutex>
#include <vector>

#include "actors/system/messages.hpp"
#include "actors/system/traced.hpp"
#include "bus/retry.hpp"
#include "bus/test_support.hpp"
#include "schema/wire.hpp"

namespace reeve::tools::ingress_test {
namespace {

using bus::testing::patience;
using schema::CommandBody;

constexpr std::uint64_t mailbox_messages_max = 16;

// A manager that reads nothing until it may.
class DeafManager : public actors::TracedActor {
 public:
  DeafManager(caf::actor_config& config, std::shared_future<void> may_read)
      : TracedActor(config), may_read_(std::move(may_read)) {}
  const char* name() const override { return "deaf-manager"; }
  caf::behavior make_behavior() override {
    return {[this](const actors::FromBus&) { may_read_.wait(); }};
  }

 private:
  std::shared_future<void> may_read_;
};

bus::Buffer command_of(std::uint64_t id, CommandBody kind) {
  flatbuffers::FlatBufferBuilder builder;
  const schema::Id128 id128(1, id);
  flatbuffers::Offset<void> body;
  if (kind == CommandBody::SubmitSession) {
    const auto request = schema::CreateResourceRequest(builder);
    schema::SessionSpecBuilder spec(builder);
    spec.add_request(request);
    body = schema::CreateSubmitSession(builder, spec.Finish()).Union();
  } else {
    body = schema::CreateCancelSession(builder, 7).Union();
  }
  return bus::Buffer::copy(schema::finish(
      builder, schema::CreateCommand(builder, &id128, kind, body)));
}

bus::Buffer join_of(std::uint64_t id, std::size_t name_bytes) {
  flatbuffers::FlatBufferBuilder builder;
  const schema::Id128 id128(1, id);
  const std::string name(name_bytes, 'n');
  const auto body =
      schema::CreateJoinDirect(builder, name.c_str(), "U", nullptr);
  return bus::Buffer::copy(schema::finish(
      builder,
      schema::CreateCommand(builder, &id128, CommandBody::Join, body.Union())));
}

bus::Buffer stats_of(const char* agent, const char* node) {
  flatbuffers::FlatBufferBuilder builder;
  const std::vector<flatbuffers::Offset<schema::DeviceStats>> none;
  return bus::Buffer::copy(schema::finish(
      builder, schema::CreateNodeStatsDirect(builder, agent, node, 1, &none)));
}

bus::Buffer beat_of(const char* agent) {
  flatbuffers::FlatBufferBuilder builder;
  return bus::Buffer::copy(
      schema::finish(builder, schema::CreateHeartbeatDirect(builder, agent)));
}

struct BehindManager {
  BehindManager() {
    manager = actors::spawn_shell<DeafManager>(system, "manager",
                                               std::source_location::current(),
                                               may_read.get_future().share());
    ingress.reset(new Ingress{*requests, *answers, quarantine, cell.subjects,
                              "reeved", manager, manager, log_reads,
                              mailbox_messages_max,
                              [this](const bus::Message&) { ++node_stats; }});
    BOOST_REQUIRE(open_ingress(*ingress).has_value());
    BOOST_REQUIRE(requests->flush(patience).has_value());
  }
  ~BehindManager() {
    may_read.set_value();
    requests.reset();
    caf::anon_send_exit(manager, caf::exit_reason::kill);
    ingress.reset();
    manager = nullptr;
  }

  // Sends as many of one kind; how many were refused, as `bound` says.
  std::size_t refused_of(std::size_t count, CommandBody kind, const char* name,
                         std::uint64_t bound) {
    const std::string subject = cell.subjects.command("local", name);
    const auto reply = user->open_reply(subject, [&](const bus::Message& m) {
      const std::lock_guard lock(mutex);
      replies.push_back(m.hold());
    });
    BOOST_REQUIRE(reply.has_value());
    for (std::size_t i = 0; i < count; ++i)
      BOOST_REQUIRE(
          user->publish_request(subject, *reply, command_of(++ids, kind))
              .has_value());
    // The last one is refused, and answers come in order.
    BOOST_REQUIRE(bus::testing::eventually([&] {
      const std::lock_guard lock(mutex);
      return !replies.empty() && id_of(replies.back()) == ids;
    }));
    user->close_reply(*reply);
    const std::lock_guard lock(mutex);
    for (const bus::Message& message : replies) {
      const auto* rejection =
          schema::verified<schema::Reply>(message.data)->rejection();
      BOOST_REQUIRE(rejection != nullptr);
      BOOST_TEST((rejection->code() == schema::RejectCode::try_again));
      BOOST_TEST(schema::text(rejection->rule()) == bus::unread_rule);
      BOOST_TEST(rejection->limit() == bound);
    }
    const std::size_t refused = replies.size();
    replies.clear();
    return refused;
  }

  void tell(const std::string& subject, const bus::Buffer& what) {
    BOOST_REQUIRE(answers->publish(subject, what.bytes()).has_value());
  }

  std::uint64_t enqueued() const {
    auto* actor = caf::actor_cast<caf::abstract_actor*>(manager);
    return dynamic_cast<actors::TracedActor&>(*actor).record()->enqueued;
  }

  static std::uint64_t id_of(const bus::Message& message) {
    return schema::verified<schema::Reply>(message.data)->command_id()->low();
  }

  bus::testing::Cell cell;
  std::unique_ptr<bus::Connection> requests = cell.connect(bus::Role::daemon);
  std::unique_ptr<bus::Connection> answers = cell.connect(bus::Role::daemon);
  std::unique_ptr<bus::Connection> user = cell.connect(bus::Role::user);
  bus::Quarantine quarantine{bus::QuarantineOptions{}};
  actors::Gate log_reads{1};
  std::promise<void> may_read;
  caf::actor_system_config config;
  caf::actor_system system{config};
  caf::actor manager;
  std::unique_ptr<Ingress> ingress;
  std::mutex mutex;
  std::vector<bus::Message> replies;
  std::uint64_t ids = 0;
  std::atomic<int> node_stats{0};
};

BOOST_AUTO_TEST_CASE(submissions_to_a_manager_that_is_behind_are_refused) {
  BehindManager behind;
  // One over the bound is taken: it finds as many waiting as may.
  BOOST_TEST(behind.refused_of(100, CommandBody::SubmitSession,
                               "submit_session", mailbox_messages_max) ==
             100 - mailbox_messages_max - 1);
}

BOOST_AUTO_TEST_CASE(who_may_lead_no_more_does_not_say_that_it_took_nothing) {
  BehindManager behind;
  std::atomic<std::size_t> asked{0};
  std::atomic<bool> leads{false};
  behind.ingress->leads = [&] { return ++asked, leads.load(); };
  const std::string subject =
      behind.cell.subjects.command("local", "submit_session");
  constexpr std::size_t silent = 10;
  for (std::size_t i = 0; i < mailbox_messages_max + 1 + silent; ++i)
    BOOST_REQUIRE(behind.user
                      ->publish_request(
                          subject, "_INBOX.local.none",
                          command_of(++behind.ids, CommandBody::SubmitSession))
                      .has_value());
  BOOST_REQUIRE(bus::testing::eventually([&] { return asked == silent; }));
  leads = true;
  BOOST_TEST(behind.refused_of(1, CommandBody::SubmitSession, "submit_session",
                               mailbox_messages_max) == 1u);
}

BOOST_AUTO_TEST_CASE(cancels_get_through_where_submissions_do_not) {
  BehindManager behind;
  behind.refused_of(mailbox_messages_max + 2, CommandBody::SubmitSession,
                    "submit_session", mailbox_messages_max);
  constexpr std::uint64_t bound = urgent_room_max * mailbox_messages_max;
  BOOST_TEST(behind.refused_of(100, CommandBody::CancelSession,
                               "cancel_session",
                               bound) == 100 - (bound - mailbox_messages_max));
}

BOOST_AUTO_TEST_CASE(what_is_said_in_short_has_a_bound_of_its_own) {
  for (const CommandBody kind :
       {CommandBody::Join, CommandBody::Leave, CommandBody::QuarantineDevice,
        CommandBody::ReportTest})
    BOOST_TEST(command_bytes_max_of(kind) == short_command_bytes_max);
  for (const CommandBody kind :
       {CommandBody::SubmitSession, CommandBody::RegisterNodes,
        CommandBody::ReportFacts})
    BOOST_TEST(command_bytes_max_of(kind) == schema::command_bytes_max);
}

BOOST_AUTO_TEST_CASE(a_join_over_its_bound_does_not_reach_the_manager) {
  BehindManager behind;
  const std::string subject = behind.cell.subjects.command("local", "join");
  const std::size_t around = join_of(1, 1'024).size() - 1'024;
  const auto at = join_of(1, short_command_bytes_max - around);
  const auto past = join_of(2, short_command_bytes_max - around + 8);
  BOOST_REQUIRE(at.size() == short_command_bytes_max);
  BOOST_REQUIRE(past.size() > short_command_bytes_max);
  const auto before = behind.enqueued();
  BOOST_REQUIRE(behind.user->publish_request(subject, "_INBOX.local.none", at)
                    .has_value());
  const auto answer = behind.user->request(subject, past, patience);
  BOOST_REQUIRE_MESSAGE(answer, (answer ? std::string() : answer.error().text));
  const auto* reply = schema::verified<schema::Reply>(*answer);
  BOOST_REQUIRE(reply != nullptr);
  BOOST_REQUIRE(reply->rejection() != nullptr);
  BOOST_TEST((reply->rejection()->code() == schema::RejectCode::over_limit));
  BOOST_TEST(schema::text(reply->rejection()->rule()) ==
             "short_command_bytes_max");
  BOOST_TEST(behind.enqueued() == before + 1);
}

BOOST_AUTO_TEST_CASE(figures_and_heartbeats_are_told_apart_on_one_subject) {
  BehindManager behind;
  const std::string subject = behind.cell.subjects.stat("n1");
  const auto before = behind.enqueued();
  behind.tell(subject, stats_of("n1", "n1"));
  BOOST_TEST(bus::testing::eventually([&] { return behind.node_stats == 1; }));
  BOOST_TEST(behind.enqueued() == before);
  behind.tell(subject, beat_of("n1"));
  BOOST_TEST(
      bus::testing::eventually([&] { return behind.enqueued() > before; }));
  BOOST_TEST(behind.quarantine.count() == 0u);
  BOOST_REQUIRE(behind.answers->publish(subject, {}).has_value());
  BOOST_TEST(
      bus::testing::eventually([&] { return behind.quarantine.count() == 1; }));
  BOOST_TEST(behind.node_stats == 1);
}

BOOST_AUTO_TEST_CASE(what_an_agent_says_of_another_is_quarantined) {
  BehindManager behind;
  const auto before = behind.enqueued();
  const std::string subject = behind.cell.subjects.stat("n1");
  behind.tell(subject, beat_of("n2"));
  behind.tell(subject, stats_of("n2", "n2"));
  behind.tell(subject, stats_of("n1", "n2"));
  BOOST_TEST(
      bus::testing::eventually([&] { return behind.quarantine.count() == 3; }));
  BOOST_TEST(behind.quarantine.recent().front().reason ==
             "it speaks for agent n2 and node n2, which are not its sender's");
  // What comes after it on the subject is taken: nothing else was.
  behind.tell(subject, beat_of("n1"));
  BOOST_TEST(
      bus::testing::eventually([&] { return behind.enqueued() > before; }));
  BOOST_TEST(behind.enqueued() == before + 1);
  BOOST_TEST(behind.node_stats == 0);
}

}  // namespace
}  // namespace reeve::tools::ingress_test
