#include <boost/test/unit_test.hpp>

#include "tools/daemon/ingress.hpp"

namespace reeve::tools::unread_test {
namespace {

using schema::CommandBody;

BOOST_AUTO_TEST_CASE(all_commands_are_held_to_a_bound) {
  constexpr std::uint64_t mailbox_messages_max = 16;
  for (const CommandBody kind : schema::EnumValuesCommandBody()) {
    const bool urgent =
        kind == CommandBody::ReportFacts || kind == CommandBody::CancelSession;
    BOOST_TEST_CONTEXT(schema::EnumNameCommandBody(kind)) {
      BOOST_TEST(unread_max(kind, mailbox_messages_max) ==
                 (urgent ? urgent_room_max * 16 : 16u));
    }
  }
}

}  // namespace
}  // namespace reeve::tools::unread_test
