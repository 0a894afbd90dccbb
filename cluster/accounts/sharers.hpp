// Who holds shares of one GPU, and who may hold one beside them.
#pragma once

#include <cstdint>

#include "cluster/accounts/accounts.hpp"

namespace reeve::cluster {

using schema::GpuSharing;

// In the place of an account: anyone's shares may be together; nobody gets one.
inline constexpr AccountIndex any_sharer = no_account;
inline constexpr AccountIndex no_sharer = no_account - 1;
inline constexpr AccountIndex several_sharers = no_account - 2;

// All who hold a share, each once for each share, as three sums and the account
// that all of them are. The sums tell that again when one of several leaves:
// all are their mean where the squares of the differences from it add up to 0.
class Sharers {
 public:
  void add(AccountIndex account) {
    only_ = none() || only_ == account ? account : several_sharers;
    ++count_;
    sum_ += account;
    squares_ += square(account);
  }
  void remove(AccountIndex account) {
    --count_;
    sum_ -= account;
    squares_ -= square(account);
    if (none()) only_ = any_sharer;
    if (only_ == several_sharers) look_for_one();
  }

  bool none() const { return count_ == 0; }
  std::uint32_t count() const { return count_; }
  // Also where there is none.
  bool all_are(AccountIndex account) const {
    return none() || only_ == account;
  }
  // The account that all are; else `several_sharers`, and `any_sharer` where
  // there is none.
  AccountIndex only() const { return only_; }

  bool operator==(const Sharers&) const = default;

 private:
  static std::uint64_t square(AccountIndex account) {
    return std::uint64_t{account} * account;
  }
  void look_for_one() {
    const auto mean = static_cast<AccountIndex>(sum_ / count_);
    if (sum_ == std::uint64_t{count_} * mean &&
        squares_ == count_ * square(mean))
      only_ = mean;
  }

  std::uint32_t count_ = 0;
  AccountIndex only_ = any_sharer;
  std::uint64_t sum_ = 0;
  std::uint64_t squares_ = 0;
};

// Of whom all shares of one GPU are, where one is this owner's. A setting that
// a later program wrote lets nobody share.
inline AccountIndex sharer_of(GpuSharing setting, const Owners& owners) {
  switch (setting) {
    case GpuSharing::project: return owners.project;
    case GpuSharing::user: return owners.user;
    case GpuSharing::anyone: return any_sharer;
    case GpuSharing::none: return no_sharer;
  }
  return no_sharer;
}

}  // namespace reeve::cluster
