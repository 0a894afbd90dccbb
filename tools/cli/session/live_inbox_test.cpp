#include "tools/cli/session/live_inbox.hpp"

#include <boost/test/unit_test.hpp>
#include <string>

namespace reeve::tools::live_inbox_test {
namespace {

LiveInbox::Entry entry_of(const std::string& text, bool is_event = false) {
  bus::Message message;
  message.data = std::as_bytes(std::span(text));
  return {message, is_event};
}

BOOST_AUTO_TEST_SUITE(live_inbox)

BOOST_AUTO_TEST_CASE(what_was_put_comes_out_in_order) {
  LiveInbox inbox;
  const std::string text = "text";
  inbox.put(entry_of(text));
  inbox.put(entry_of(text, true));
  BOOST_TEST(!inbox.take().value().is_event);
  BOOST_TEST(inbox.take().value().is_event);
  BOOST_TEST(!inbox.take());
  BOOST_TEST(!inbox.take_dropped());
}

BOOST_AUTO_TEST_CASE(output_over_live_output_bytes_max_is_dropped_and_told) {
  LiveInbox inbox;
  const std::string half(live_output_bytes_max / 2 - sizeof(LiveInbox::Entry),
                         'x');
  inbox.put(entry_of(half));
  inbox.put(entry_of(half));
  BOOST_TEST(!inbox.take_dropped());
  const std::string none;
  inbox.put(entry_of(none));
  BOOST_TEST(inbox.take_dropped());
  BOOST_TEST(!inbox.take_dropped());
  // How a session goes on is kept whatever waits.
  inbox.put(entry_of(half, true));
  BOOST_TEST(!inbox.take_dropped());
  BOOST_TEST(inbox.take().value().message.data.size() == half.size());
  inbox.put(entry_of(half));
  BOOST_TEST(!inbox.take_dropped());
  int waiting = 0;
  while (inbox.take()) ++waiting;
  BOOST_TEST(waiting == 3);
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace
}  // namespace reeve::tools::live_inbox_test
