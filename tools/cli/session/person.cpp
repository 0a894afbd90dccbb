#include "tools/cli/session/person.hpp"

#include <fmt/format.h>
#include <pwd.h>

#include "tools/cli/account/accounts.hpp"

namespace reeve::tools {
namespace {

// Without an entry here their group is nobody's, too.
Person person_of(std::uint32_t uid, const passwd* entry) {
  if (entry == nullptr) return {uid, nobody_uid, {}};
  return {uid, entry->pw_gid, entry->pw_dir};
}

}  // namespace

Expected<Person> People::find(const std::string& name, bool simulated) {
  const auto account = find_account(cell_, AccountKind::user, name);
  if (account) return person_of(account->uid, ::getpwuid(account->uid));
  if (account.error().code != Errc::not_found)
    return tl::unexpected(account.error());
  const passwd* entry = ::getpwnam(name.c_str());
  if (entry != nullptr) return person_of(entry->pw_uid, entry);
  if (simulated) return person_of(nobody_uid, nullptr);
  return fail(Errc::not_found,
              fmt::format("neither the cell nor this host has a user '{0}': "
                          "\"reeve user set {0} --uid N\" says as whom their "
                          "sessions run",
                          name));
}

Expected<Person> People::named(const std::string& name, bool simulated) {
  const std::pair key(name, simulated);
  if (const auto known = known_.find(key); known != known_.end())
    return known->second;
  auto person = find(name, simulated);
  if (person) known_.emplace(key, *person);
  return person;
}

Status People::settle(Submission& submission, const Surroundings& here) {
  if (submission.user == here.user && here.user == here.caller) return {};
  const auto person = named(submission.user, submission.simulated);
  if (!person) return tl::unexpected(person.error());
  act_for(submission, *person, here);
  return {};
}

}  // namespace reeve::tools
