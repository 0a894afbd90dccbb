// A slow, obvious scheduler for small cells, for tests: written from the rules
// of docs/scheduling.md alone. It decides nothing; it is shown what the real
// one did, and says what is wrong with it. Every question walks all sessions,
// all nodes, all devices, all sets of victims.
//
// Where the rules leave a choice (uses that are nearly equal, who of an account
// that is full was looked at first, which nodes are kept), every choice is
// right.
#pragma once

#include <functional>
#include <map>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "cluster/accounts/quota.hpp"
#include "cluster/scheduling/naive_cell.hpp"

namespace reeve::cluster {

class ObviousScheduler {
 public:
  using Session = NaiveCell::Session;
  using Standing = NaiveCell::Standing;
  using Key = std::pair<AccountKind, std::string>;

  struct Account {
    std::string parent;
    double weight = 1;
    std::optional<Quota> quota;
  };

  NaiveCell cell;
  Policy policy;
  Time now;
  std::map<Key, Account> accounts;

  // ---- what happens

  void submit(std::uint64_t id, const TestSession& spec);
  void exit(std::uint64_t id, std::uint32_t rank);
  void end(std::uint64_t id, bool succeeded);
  void requeue(std::uint64_t id);

  // ---- what the real one did; empty: nothing is wrong

  // All placements of a pass, before they are confirmed.
  std::string check_pass(const std::vector<Proposal>& proposals);
  // Those told to make room, after a pass.
  std::string check_victims(const std::vector<Preemption>& told);
  // The starts that a plan promises to those that wait, after a pass; 0 is
  // none.
  using Told = std::function<Time(std::uint64_t)>;
  std::string check_promises(const Told& told);
  // More came between than submissions, time and passes.
  void forget_promises() { promised_.clear(); }

  // ---- questions

  // The first of those that could start if there were room; null: none, or
  // the rules do not tell which.
  const Session* head() const;
  // The queue: those that could start if there were room, in an order that the
  // rules allow; nothing: they do not tell all of it.
  std::optional<std::vector<const Session*>> queue() const;
  // When it fits first, if what runs ends as estimated; 0: never.
  Time earliest(const Session& session) const;
  // The same for all that wait, each beside those before it: for one node
  // without devices.
  std::vector<std::pair<std::uint64_t, Time>> profile() const;

 private:
  struct Used {
    std::string user;
    std::string project;
    double amount = 0;  // weighted
    Time from;
    Time to;
  };
  enum class Turn { before, after, unclear };

  // Order (obvious_order.cpp).
  Turn turn(const Session& a, const Session& b) const;
  Turn by_value(double a, double b, double slack) const;
  bool before(const Session& a, const Session& b) const {
    return turn(a, b) == Turn::before;
  }
  double dominant_share(const std::string& user, const Session* without,
                        const Session* with) const;
  double use(const Key& account) const;
  double past_use(const Key& account) const;
  double weight(const Key& account) const;
  bool owned_by(const std::string& user, const std::string& project,
                const Key& account) const;
  std::vector<Key> path(const Session& session) const;
  double fair_factor(const std::string& user) const;
  double weighted(const TestSession& spec) const;

  // Limits (obvious_order.cpp).
  std::vector<Key> owners(const Session& session) const;
  bool over_quota(const Session& session) const;
  bool array_full(const Session& session) const;
  bool may_start(const Session& session) const;
  // One of its account that is over the quota may stand before it.
  bool excused(const Session& session) const;

  // Passes (obvious_scheduler.cpp).
  std::vector<const Session*> waiting() const;
  bool patience_over() const;
  // Its place depends on the company of others: none is planned by what that
  // will be.
  static bool in_company(const Session& session) {
    return !session.spec.together.empty() || !session.spec.apart.empty();
  }
  bool overdue() const;
  Time end_of(const Session& session) const;
  NaiveCell at(Time time) const;
  std::string should_be_first(const Session& started) const;
  std::string should_have_started() const;
  bool must_start(const Session& session) const;
  bool fits_beside(const Session& session, const Session& head,
                   Time start) const;
  std::string start(const Proposal& proposal);

  bool may_be_old() const;
  std::string check_earliest(const Told& told) const;
  std::string check_profile(const Told& told) const;
  std::string check_kept(const Told& told) const;

  void estimate(Session& session) const;

  // Places (obvious_places.cpp).
  std::string check_place(const Proposal& proposal) const;

  // Who makes room (obvious_preempt.cpp).
  struct Cost {
    std::int32_t priority = INT32_MIN;
    double lost = 0;
  };
  bool stuck(const Session& session) const;
  const Session* hopeful() const;
  bool may_go(const Session& victim, const Session& head) const;
  bool works(const std::vector<const Session*>& gone,
             const Session& head) const;
  Cost cost(const std::vector<const Session*>& gone) const;
  std::string cheapest(const std::vector<const Session*>& gone,
                       const Session& head) const;

  std::vector<Used> used_;
  std::map<std::string, std::vector<std::uint64_t>> lengths_;  // by user
  std::uint64_t asked_for_ = 0;  // whose room others were last asked for
  Time asked_at_;
  std::uint64_t kept_for_ = 0;              // nodes are kept for it since
  std::vector<std::uint64_t> could_start_;  // when the pass began
  std::map<std::uint64_t, Time> promised_;
  std::uint64_t promised_id_ = 0;  // the last session there was then
};

}  // namespace reeve::cluster
