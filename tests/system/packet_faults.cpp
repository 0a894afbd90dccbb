// Faults of a network, for tests: judges the packets that a rule of iptables
// hands to a queue of netfilter, in the network namespace it is started in.
//
// usage: packet_faults --seed N [--queue N] [--mark N] [--delay-ms N]
//                      [--jitter-ms N] [--loss P] [--duplicate P] [--reorder P]
//
// Rates are from 0 to 1. Each packet draws its fate, three numbers of the seed:
//
//   lost        never sent
//   delayed     sent delay + [0, jitter) later; those behind it wait, too
//   held back   sent 20 ms later than that; those behind it overtake it
//   duplicated  sent twice; the copy has the mark, by which the rule has to
//               pass it over:
//               -m mark ! --mark N -j NFQUEUE --queue-num N --queue-bypass
//
// Says "ready" once it judges. On SIGTERM it lets go of all that it holds and
// says what it did, as one line of JSON.
#include <fmt/format.h>
#include <netinet/in.h>
#include <poll.h>
#include <signal.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <array>
#include <chrono>
#include <cstdint>
#include <cstdio>
#include <cstring>
#include <map>
#include <memory>
#include <random>
#include <stdexcept>
#include <vector>

// After <netinet/in.h>, whose types it would define again.
#include <libnetfilter_queue/libnetfilter_queue.h>
#include <linux/netfilter.h>

namespace {

using Clock = std::chrono::steady_clock;
using Milliseconds = std::chrono::duration<double, std::milli>;

// More than fit are let through as they are.
constexpr std::uint32_t held_packets_max = 8192;
constexpr int packet_bytes_max = 65535;
constexpr int receive_buffer_bytes = 8 << 20;
constexpr Milliseconds held_back_for{20};

struct Options {
  std::uint64_t seed = 0;
  std::uint16_t queue = 0;
  std::uint32_t mark = 0x52;
  double delay_ms = 0;
  double jitter_ms = 0;
  double loss = 0;
  double duplicate = 0;
  double reorder = 0;
};

struct Counts {
  std::uint64_t seen = 0;
  std::uint64_t lost = 0;
  std::uint64_t delayed = 0;
  std::uint64_t held_back = 0;
  std::uint64_t duplicated = 0;
};

struct Held {
  std::uint32_t id = 0;
  std::vector<std::uint8_t> copy;  // to be sent, too; mostly none
};

[[noreturn]] void fail(const char* what) {
  throw std::runtime_error(fmt::format("{}: {}", what, std::strerror(errno)));
}

// Sends whole IPv4 packets with a mark.
class Sender {
 public:
  explicit Sender(std::uint32_t mark)
      : socket_(::socket(AF_INET, SOCK_RAW | SOCK_CLOEXEC, IPPROTO_RAW)) {
    if (socket_ < 0) fail("a raw socket");
    if (::setsockopt(socket_, SOL_SOCKET, SO_MARK, &mark, sizeof mark) != 0)
      fail("the mark of the raw socket");
  }
  Sender(const Sender&) = delete;
  Sender& operator=(const Sender&) = delete;
  ~Sender() { ::close(socket_); }

  bool send(const std::vector<std::uint8_t>& packet) const {
    constexpr std::size_t destination_at = 16;
    sockaddr_in to{};
    to.sin_family = AF_INET;
    std::memcpy(&to.sin_addr, packet.data() + destination_at,
                sizeof to.sin_addr);
    const auto sent =
        ::sendto(socket_, packet.data(), packet.size(), 0,
                 reinterpret_cast<const sockaddr*>(&to), sizeof to);
    return sent == static_cast<ssize_t>(packet.size());
  }

 private:
  int socket_;
};

class Judge {
 public:
  explicit Judge(const Options& options)
      : options_(options), sender_(options.mark), random_(options.seed) {
    if (!handle_) fail("netfilter's queues");
    queue_ =
        nfq_create_queue(handle_.get(), options.queue, &Judge::on_packet, this);
    if (!queue_) fail("the queue (is another program at it?)");
    if (nfq_set_mode(queue_, NFQNL_COPY_PACKET, packet_bytes_max) < 0)
      fail("the queue's mode");
    if (nfq_set_queue_maxlen(queue_, held_packets_max) < 0)
      fail("the queue's length");
    if (nfq_set_queue_flags(queue_, NFQA_CFG_F_FAIL_OPEN,
                            NFQA_CFG_F_FAIL_OPEN) < 0)
      fail("the queue's flags");
    nfnl_rcvbufsiz(nfq_nfnlh(handle_.get()), receive_buffer_bytes);
  }
  Judge(const Judge&) = delete;
  Judge& operator=(const Judge&) = delete;
  ~Judge() { nfq_destroy_queue(queue_); }

  // Until a signal is there to read.
  void run(int signals) {
    std::array<pollfd, 2> waits{pollfd{nfq_fd(handle_.get()), POLLIN, 0},
                                pollfd{signals, POLLIN, 0}};
    while (waits[1].revents == 0) {
      const timespec pause = until_next();
      if (::ppoll(waits.data(), waits.size(), &pause, nullptr) < 0)
        fail("waiting for packets");
      read_packets();
      release(Clock::now());
    }
    read_packets();
    release(Clock::time_point::max());
  }

  const Counts& counts() const { return counts_; }

 private:
  struct Close {
    void operator()(nfq_handle* handle) const { nfq_close(handle); }
  };

  static int on_packet(nfq_q_handle*, nfgenmsg*, nfq_data* data, void* self) {
    static_cast<Judge*>(self)->judge(data);
    return 0;
  }

  double draw() { return static_cast<double>(random_() >> 11) * 0x1p-53; }

  // Always as many numbers, so that the seed alone tells the fate of the
  // n-th packet.
  void judge(nfq_data* data) {
    const auto* header = nfq_get_msg_packet_hdr(data);
    if (!header) return;
    const double fate = draw(), order = draw(), wait = draw();
    ++counts_.seen;
    Held held{ntohl(header->packet_id), {}};
    if (fate < options_.loss) {
      ++counts_.lost;
      nfq_set_verdict(queue_, held.id, NF_DROP, 0, nullptr);
      return;
    }
    if (fate < options_.loss + options_.duplicate) {
      unsigned char* bytes = nullptr;
      const int size = nfq_get_payload(data, &bytes);
      if (size >= 20) held.copy.assign(bytes, bytes + size);
    }
    const Milliseconds delay(options_.delay_ms + wait * options_.jitter_ms);
    auto due = Clock::now() + std::chrono::ceil<Clock::duration>(delay);
    if (delay.count() > 0) ++counts_.delayed;
    due = newest_due_ = std::max(due, newest_due_);
    if (order < options_.reorder) {
      ++counts_.held_back;
      due += std::chrono::ceil<Clock::duration>(held_back_for);
    }
    held_.emplace(due, std::move(held));
  }

  void read_packets() {
    alignas(nlmsghdr) static std::array<char, packet_bytes_max + 4096> buffer;
    for (;;) {
      const auto size = ::recv(nfq_fd(handle_.get()), buffer.data(),
                               buffer.size(), MSG_DONTWAIT);
      // Too many at once: the kernel let them through.
      if (size < 0 && errno == ENOBUFS) continue;
      if (size < 0) return;
      nfq_handle_packet(handle_.get(), buffer.data(), static_cast<int>(size));
    }
  }

  void release(Clock::time_point now) {
    while (!held_.empty() && held_.begin()->first <= now) {
      const Held held = std::move(held_.begin()->second);
      held_.erase(held_.begin());
      nfq_set_verdict(queue_, held.id, NF_ACCEPT, 0, nullptr);
      if (!held.copy.empty() && sender_.send(held.copy)) ++counts_.duplicated;
    }
  }

  timespec until_next() const {
    using namespace std::chrono;
    const auto wait = held_.empty() ? Clock::duration(hours(1))
                                    : held_.begin()->first - Clock::now();
    const auto left = std::max(duration_cast<nanoseconds>(wait), 0ns).count();
    constexpr long second = 1'000'000'000;
    return {left / second, left % second};
  }

  const Options options_;
  Sender sender_;
  std::mt19937_64 random_;
  std::unique_ptr<nfq_handle, Close> handle_{nfq_open()};
  nfq_q_handle* queue_ = nullptr;
  std::multimap<Clock::time_point, Held> held_;  // those at once in order
  Clock::time_point newest_due_{};
  Counts counts_;
};

int signals_to_end() {
  sigset_t set;
  sigemptyset(&set);
  sigaddset(&set, SIGTERM);
  sigaddset(&set, SIGINT);
  ::sigprocmask(SIG_BLOCK, &set, nullptr);
  const int signals = ::signalfd(-1, &set, SFD_CLOEXEC);
  if (signals < 0) fail("signals");
  return signals;
}

void add_options(CLI::App& app, Options& options) {
  app.add_option("--seed", options.seed)->required();
  app.add_option("--queue", options.queue);
  app.add_option("--mark", options.mark);
  app.add_option("--delay-ms", options.delay_ms)->check(CLI::NonNegativeNumber);
  app.add_option("--jitter-ms", options.jitter_ms)
      ->check(CLI::NonNegativeNumber);
  for (auto& [name, rate] : {std::pair{"--loss", &options.loss},
                             {"--duplicate", &options.duplicate},
                             {"--reorder", &options.reorder}})
    app.add_option(name, *rate)->check(CLI::Range(0.0, 1.0));
}

}  // namespace

int main(int argc, char** argv) {
  Options options;
  CLI::App app("faults of a network, for tests");
  add_options(app, options);
  CLI11_PARSE(app, argc, argv);
  try {
    const int signals = signals_to_end();
    Judge judge(options);
    fmt::print("ready\n");
    std::fflush(stdout);
    judge.run(signals);
    const Counts& counts = judge.counts();
    fmt::print(
        "{{\"seen\":{},\"lost\":{},\"delayed\":{},\"held_back\":{},"
        "\"duplicated\":{}}}\n",
        counts.seen, counts.lost, counts.delayed, counts.held_back,
        counts.duplicated);
  } catch (const std::exception& error) {
    fmt::print(stderr, "packet_faults: {}\n", error.what());
    return 1;
  }
}
