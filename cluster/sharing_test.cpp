// Whose shares of one GPU may be together: at submit, at a placement, and after
// the setting has changed.
#include <boost/test/unit_test.hpp>

#include "cluster/project.hpp"
#include "cluster/testing.hpp"

namespace sharing_test {

using namespace reeve;
using namespace reeve::cluster;
using namespace reeve::cluster::testing;

namespace {

Spec share_of(const char* project, const char* user = "root") {
  Spec spec = one_task();
  spec.project = project;
  spec.user = user;
  spec.gpus = 1;
  spec.gpu_milli = 250;
  return spec;
}

struct Fixture {
  Cell cell;

  Fixture() {
    NodeOptions node;
    node.devices = 2;
    cell.add(node);
    for (const char* project : {"a", "b"})
      set(schema::AccountKind::project, project, GpuSharing::project);
    for (const char* user : {"ann", "bob"})
      set(schema::AccountKind::user, user, GpuSharing::project);
  }

  std::string set(schema::AccountKind kind, const char* name,
                  GpuSharing setting) {
    flatbuffers::FlatBufferBuilder builder;
    const auto text = builder.CreateString(name);
    schema::AccountSpecBuilder spec(builder);
    spec.add_kind(kind);
    spec.add_name(text);
    spec.add_gpu_sharing(setting);
    const auto made = spec.Finish();
    builder.Finish(schema::CreateSetAccount(builder, made));
    const auto decision = decide_set_account(
        cell.state,
        *flatbuffers::GetRoot<schema::SetAccount>(builder.GetBufferPointer()),
        cell.origin("root"), cell.writer);
    cell.settle();
    return verdict(decision);
  }
  std::string shared_by(GpuSharing setting) {
    return set(schema::AccountKind::group, "default", setting);
  }

  std::string placed(SessionId session, std::uint32_t device = 0) {
    return verdict(cell.try_place(
        session, {"n0"},
        {{device, cell.state.spec(cell.session(session)).gpu_milli,
          20 * gib}}));
  }
  // Submitted and placed on the device.
  std::string place(const Spec& spec, std::uint32_t device = 0) {
    return placed(cell.submit(spec), device);
  }
  const Device& device(std::uint32_t index = 0) const {
    return cell.state.node("n0")->devices[index];
  }

  const std::string refused = "wrong_state gpu_sharing 0 0";
};

}  // namespace

BOOST_FIXTURE_TEST_SUITE(sharing, Fixture)

BOOST_AUTO_TEST_CASE(one_project_at_a_time_shares_a_gpu) {
  BOOST_TEST(place(share_of("a", "ann")) == "accepted");
  const SessionId second = cell.submit(share_of("a", "bob"));
  BOOST_TEST(placed(second) == "accepted");
  BOOST_TEST(place(share_of("b", "ann")) == refused);
  BOOST_TEST(place(share_of("b", "ann"), 1) == "accepted");
  BOOST_TEST(device().projects.count() == 2U);
  const Owners& owners = cell.session(second).owners;
  BOOST_TEST(device().projects.only() == owners.project);
  BOOST_TEST(device().users.only() == several_sharers);
}

BOOST_AUTO_TEST_CASE(when_the_last_of_a_project_ends_another_may) {
  const SessionId one = cell.submit(share_of("a"));
  const SessionId two = cell.submit(share_of("a"));
  const SessionId other = cell.submit(share_of("b"));
  for (const SessionId session : {one, two}) {
    BOOST_TEST(placed(session) == "accepted");
    cell.start(session);
  }
  cell.exit(one);
  BOOST_TEST(placed(other) == refused);
  cell.exit(two);
  BOOST_TEST(device().projects.none());
  BOOST_TEST(placed(other) == "accepted");
}

BOOST_AUTO_TEST_CASE(by_user_a_project_is_not_enough) {
  BOOST_TEST(shared_by(GpuSharing::user) == "accepted");
  BOOST_TEST(place(share_of("a", "ann")) == "accepted");
  BOOST_TEST(place(share_of("a", "bob")) == refused);
  BOOST_TEST(place(share_of("b", "ann")) == "accepted");
}

BOOST_AUTO_TEST_CASE(anyone_shares_with_anyone) {
  BOOST_TEST(shared_by(GpuSharing::anyone) == "accepted");
  BOOST_TEST(place(share_of("a", "ann")) == "accepted");
  BOOST_TEST(place(share_of("b", "bob")) == "accepted");
}

BOOST_AUTO_TEST_CASE(without_shares_only_whole_gpus_are_let_in) {
  const SessionId before = cell.submit(share_of("a"));
  BOOST_TEST(shared_by(GpuSharing::none) == "accepted");
  const auto no = cell.try_submit(share_of("a"));
  BOOST_TEST(verdict(no) == "impossible gpu_sharing 1000 250");
  BOOST_TEST(no.error().text ==
             "group default gives no shares of a GPU, and this session asks "
             "for 0.25 of one: ask for a whole GPU (--gpus 1), for a MIG "
             "instance by the name of its model, or in another group");
  Spec whole = share_of("a");
  whole.gpu_milli = 1000;
  BOOST_TEST(place(whole) == "accepted");
  BOOST_TEST(verdict(cell.try_submit(one_task())) == "accepted");
  // One that waits from before is not placed either.
  BOOST_TEST(placed(before, 1) == "wrong_state gpu_sharing 0 1");
}

// What runs goes on; what comes later is held to the new setting, by who is
// there and not by the setting they came with.
BOOST_AUTO_TEST_CASE(a_change_holds_for_what_is_placed_later) {
  BOOST_TEST(shared_by(GpuSharing::anyone) == "accepted");
  const SessionId ann = cell.submit(share_of("a", "ann"));
  const SessionId bob = cell.submit(share_of("b", "bob"));
  for (const SessionId session : {ann, bob}) {
    BOOST_TEST(placed(session) == "accepted");
    cell.start(session);
  }
  BOOST_TEST(shared_by(GpuSharing::project) == "accepted");
  BOOST_TEST((cell.state_of(bob) == SessionState::running));
  const SessionId more = cell.submit(share_of("a", "ann"));
  BOOST_TEST(placed(more) == refused);
  cell.exit(bob);
  BOOST_TEST(placed(more) == "accepted");
}

BOOST_AUTO_TEST_CASE(a_share_beside_nobody_is_anybodys) {
  Spec whole = share_of("a");
  whole.gpu_milli = 1000;
  BOOST_TEST(place(whole) == "accepted");
  BOOST_TEST(device().projects.none());
  BOOST_TEST(place(share_of("b"), 1) == "accepted");
}

BOOST_AUTO_TEST_CASE(only_a_group_has_the_setting) {
  BOOST_TEST(set(schema::AccountKind::project, "a", GpuSharing::user) ==
             "malformed account_field 0 0");
  BOOST_TEST(shared_by(static_cast<GpuSharing>(9)) ==
             "malformed gpu_sharing 0 0");
}

BOOST_AUTO_TEST_CASE(the_setting_and_who_shares_outlive_a_restart) {
  shared_by(GpuSharing::user);
  BOOST_TEST(place(share_of("a", "ann")) == "accepted");
  const auto restored = State::decode_snapshot(cell.state.encode_snapshot());
  BOOST_REQUIRE(restored);
  BOOST_TEST(restored->digest_hex() == cell.state.digest_hex());
  BOOST_TEST(restored->check_invariants().has_value());
  const auto* group =
      restored->accounts().find(schema::AccountKind::group, "default");
  BOOST_REQUIRE(group != nullptr);
  BOOST_TEST((group->gpu_sharing == GpuSharing::user));
  BOOST_TEST((restored->node("n0")->devices[0].users == device().users));
  // A scheduler is told it, too.
  bool told = false;
  tell_as_events(cell.state, [&](const schema::Event& event) {
    const auto* changed = event.body_as_AccountChanged();
    if (changed && changed->account()->gpu_sharing() == GpuSharing::user)
      told = true;
  });
  BOOST_TEST(told);
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace sharing_test
