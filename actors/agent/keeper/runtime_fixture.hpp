// A keeper of its own for each test, in a private directory, and the waiting
// for what it says. Everything is gone again at the end.
#pragma once

#include <boost/test/unit_test.hpp>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "actors/agent/keeper/client.hpp"

namespace reeve::keeper::test {

// Generous: it passes only when something hangs.
inline constexpr int patience_ms = 60'000;

struct Outcome {
  bool exited = false;
  ExitFacts facts;
  std::string start_error;
  std::string refusal;
  Errc refusal_code = Errc::internal;
  std::string note;
};

// A private directory that others may enter; removed with all in it.
class TempDirectory {
 public:
  TempDirectory();
  ~TempDirectory();
  const std::string& path() const { return path_; }

 private:
  std::string path_;
};

class RuntimeFixture {
 public:
  RuntimeFixture();
  ~RuntimeFixture();

  Client& client() { return *client_; }
  ClientConfig config() const;
  // Connects anew; starts a keeper when none lives.
  void reconnect();
  void drop_client() { client_.reset(); }

  // A shell script of a user, with a key nobody had before.
  TaskSpec script(const std::string& text);
  // Orders and waits for the end, or for the refusal.
  Outcome run(const TaskSpec& spec);
  Outcome await(const TaskKey& key);
  void await_started(const TaskKey& key);
  // Until the task has written this; fails when it ends before.
  void await_output(const TaskKey& key, const std::string& text);
  std::string output(const TaskKey& key, Stream stream = Stream::out);
  TaskStatus status(const TaskKey& key);

  const std::string& directory() const { return temp_.path(); }

 private:
  void pump();

  TempDirectory temp_;
  std::unique_ptr<Client> client_;
  std::uint64_t next_session_ = 1;
  std::map<TaskKey, Outcome> over_;
  std::map<TaskKey, int> started_;
};

// Processes whose command line has this word.
std::vector<int> pids_with(const std::string& word);
int processes_with(const std::string& word);
bool process_lives(int pid);
// Waits until `holds()`; false when patience ran out.
template <class F>
bool eventually(F&& holds);
void nap();

template <class F>
bool eventually(F&& holds) {
  for (int waited_ms = 0; waited_ms < patience_ms; waited_ms += 20) {
    if (holds()) return true;
    nap();
  }
  return false;
}

boost::test_tools::assertion_result as_root(boost::unit_test::test_unit_id);

}  // namespace reeve::keeper::test
