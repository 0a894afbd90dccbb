#include "actors/agent/keeper/runtime_fixture.hpp"

#include <dirent.h>
#include <poll.h>
#include <sys/stat.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>

#include "actors/agent/keeper/files.hpp"

namespace reeve::keeper::test {

namespace {
template <class T>
std::string why(const Expected<T>& value) {
  return value ? std::string() : value.error().text;
}
}  // namespace

void nap() {
  ::poll(nullptr, 0, 20);
}

TempDirectory::TempDirectory() {
  char path[] = "/tmp/keeper-test-XXXXXX";
  BOOST_REQUIRE(::mkdtemp(path));
  path_ = path;
  ::chmod(path, 0755);
}

TempDirectory::~TempDirectory() {
  std::error_code ignored;
  std::filesystem::remove_all(path_, ignored);
}

RuntimeFixture::RuntimeFixture() {
  reconnect();
}

RuntimeFixture::~RuntimeFixture() {
  if (!client_) {
    auto opened = Client::open(config());
    if (opened) client_ = std::make_unique<Client>(std::move(*opened));
  }
  if (!client_) return;
  (void)client_->shutdown(0);
  while (client_->dispatch({}, patience_ms)) {
  }
  int pid = client_->keeper_pid();
  BOOST_CHECK(eventually([&] { return !process_lives(pid); }));
}

ClientConfig RuntimeFixture::config() const {
  return {directory() + "/run", REEVE_KEEPER, {}};
}

void RuntimeFixture::reconnect() {
  client_.reset();
  auto opened = Client::open(config());
  BOOST_REQUIRE_MESSAGE(opened.has_value(), why(opened));
  client_ = std::make_unique<Client>(std::move(*opened));
}

TaskSpec RuntimeFixture::script(const std::string& text) {
  TaskSpec spec;
  spec.key = {next_session_++, 1, 0};
  spec.epoch = 1;
  spec.argv = {"sh", "-c", text};
  spec.env = {"PATH=/usr/sbin:/usr/bin:/sbin:/bin", "LC_ALL=C"};
  spec.uid = spec.gid = 65534;
  return spec;
}

void RuntimeFixture::pump() {
  Handler handler;
  handler.started = [&](const Started& event) {
    started_[event.key] = event.pid;
    over_[event.key].note = event.note;
  };
  handler.exited = [&](const Exited& event) {
    over_[event.key].exited = true;
    over_[event.key].facts = event.facts;
  };
  handler.start_failed = [&](const StartFailed& event) {
    over_[event.key].start_error = event.error;
  };
  handler.refused = [&](const Refused& event) {
    over_[event.key].refusal = event.text;
    over_[event.key].refusal_code = event.code;
  };
  auto got = client_->dispatch(handler, patience_ms);
  BOOST_REQUIRE_MESSAGE(got.has_value(), why(got));
  BOOST_REQUIRE_MESSAGE(*got > 0, "the keeper said nothing for too long");
}

Outcome RuntimeFixture::run(const TaskSpec& spec) {
  over_.erase(spec.key);
  BOOST_REQUIRE(client_->launch(spec));
  return await(spec.key);
}

Outcome RuntimeFixture::await(const TaskKey& key) {
  for (;;) {
    auto& outcome = over_[key];
    if (outcome.exited || !outcome.start_error.empty() ||
        !outcome.refusal.empty()) {
      return outcome;
    }
    pump();
  }
}

void RuntimeFixture::await_started(const TaskKey& key) {
  while (!started_.contains(key)) {
    BOOST_REQUIRE_EQUAL(over_[key].start_error, "");
    pump();
  }
}

void RuntimeFixture::await_output(const TaskKey& key, const std::string& text) {
  BOOST_REQUIRE(
      eventually([&] { return output(key).find(text) != std::string::npos; }));
}

std::string RuntimeFixture::output(const TaskKey& key, Stream stream) {
  constexpr std::size_t enough = 8u << 20;
  auto piece = client_->read_output(key, stream, 0, enough);
  BOOST_REQUIRE_MESSAGE(piece.has_value(), why(piece));
  return piece->bytes;
}

TaskStatus RuntimeFixture::status(const TaskKey& key) {
  auto all = client_->list();
  BOOST_REQUIRE_MESSAGE(all.has_value(), why(all));
  for (const auto& task : *all) {
    if (task.key == key) return task;
  }
  BOOST_FAIL("task " + to_string(key) + " is not listed");
  return {};
}

std::vector<int> pids_with(const std::string& word) {
  std::vector<int> pids;
  DIR* proc = ::opendir("/proc");
  while (auto* entry = ::readdir(proc)) {
    // One that has just ended cannot be read any more.
    const auto line =
        read_file(std::string("/proc/") + entry->d_name + "/cmdline");
    if (!line || line->find(word) == line->npos) continue;
    pids.push_back(static_cast<int>(to_number(entry->d_name)));
  }
  ::closedir(proc);
  return pids;
}

int processes_with(const std::string& word) {
  return static_cast<int>(pids_with(word).size());
}

bool process_lives(int pid) {
  std::ifstream in("/proc/" + std::to_string(pid) + "/stat");
  std::string line;
  if (!std::getline(in, line)) return false;
  auto at = line.rfind(')');
  return at != std::string::npos && at + 2 < line.size() && line[at + 2] != 'Z';
}

boost::test_tools::assertion_result as_root(boost::unit_test::test_unit_id) {
  boost::test_tools::assertion_result result(::geteuid() == 0);
  result.message() << "this case must be run as root";
  return result;
}

}  // namespace reeve::keeper::test
