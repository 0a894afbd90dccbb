#include "tools/daemon/growth.hpp"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <atomic>
#include <boost/test/unit_test.hpp>
#include <thread>

namespace reeve::tools::growth_test {
namespace {

using std::chrono::milliseconds;

// The bus server of another manager, as far as it is looked at.
class Listener {
 public:
  Listener() : fd_(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
    sockaddr_in at{};
    at.sin_family = AF_INET;
    at.sin_addr.s_addr = ::htonl(INADDR_LOOPBACK);
    socklen_t size = sizeof at;
    auto* address = reinterpret_cast<sockaddr*>(&at);
    BOOST_REQUIRE(::bind(fd_, address, size) == 0);
    BOOST_REQUIRE(::getsockname(fd_, address, &size) == 0);
    port_ = ::ntohs(at.sin_port);
  }
  Listener(const Listener&) = delete;
  Listener& operator=(const Listener&) = delete;
  ~Listener() { ::close(fd_); }

  // Until then who connects is refused.
  void listen() { BOOST_REQUIRE(::listen(fd_, 8) == 0); }
  bus::Address address() const { return {"127.0.0.1", port_}; }

 private:
  int fd_;
  int port_ = 0;
};

bool eventually(const std::function<bool()>& condition) {
  constexpr auto patience = std::chrono::seconds(20);
  const auto begun = std::chrono::steady_clock::now();
  while (!condition()) {
    if (std::chrono::steady_clock::now() - begun > patience) return false;
    std::this_thread::sleep_for(milliseconds(5));
  }
  return true;
}

BOOST_AUTO_TEST_SUITE(daemon_growth)

BOOST_AUTO_TEST_CASE(it_is_told_once_that_all_are_there) {
  Listener one;
  Listener two;
  one.listen();
  std::atomic<int> told{0};
  Growth growth([&] { return ++told > 0; }, milliseconds(1));
  growth.await({one.address(), two.address()});
  std::this_thread::sleep_for(milliseconds(200));
  BOOST_TEST(told == 0);
  two.listen();
  BOOST_TEST(eventually([&] { return told == 1; }));
  growth.await({one.address()});
  std::this_thread::sleep_for(milliseconds(200));
  BOOST_TEST(told == 1);
}

// A disk that is full has room again, say.
BOOST_AUTO_TEST_CASE(what_could_not_be_done_then_is_tried_again) {
  Listener one;
  one.listen();
  std::atomic<int> tries{0};
  Growth growth([&] { return ++tries == 3; }, milliseconds(1));
  growth.await({one.address()});
  BOOST_TEST(eventually([&] { return tries == 3; }));
  std::this_thread::sleep_for(milliseconds(100));
  BOOST_TEST(tries == 3);
}

// Not before the pause is over, and the end does not wait for it.
BOOST_AUTO_TEST_CASE(the_end_waits_for_no_other_try) {
  Listener one;
  one.listen();
  std::atomic<int> tries{0};
  Growth growth([&] { return ++tries < 0; }, std::chrono::hours(1));
  growth.await({one.address()});
  BOOST_TEST(eventually([&] { return tries == 1; }));
  growth.end();
  BOOST_TEST(tries == 1);
}

// The manager of a daemon that ends may name who joined until it is gone.
BOOST_AUTO_TEST_CASE(who_is_named_after_the_end_is_for_nobody) {
  Listener one;
  one.listen();
  std::atomic<int> told{0};
  Growth growth([&] { return ++told > 0; });
  growth.end();
  growth.await({one.address()});
  std::this_thread::sleep_for(milliseconds(100));
  BOOST_TEST(told == 0);
  growth.end();
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace
}  // namespace reeve::tools::growth_test
