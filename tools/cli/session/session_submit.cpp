// run, submit.
#include <fcntl.h>
#include <fmt/format.h>
#include <pwd.h>
#include <signal.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <cstdlib>
#include <cstring>

#include "bus/client.hpp"
#include "bus/credentials.hpp"
#include "bus/pipeline.hpp"
#include "cluster/session_id.hpp"
#include "schema/json.hpp"
#include "tools/args/commands.hpp"
#include "tools/cli/cell.hpp"
#include "tools/cli/handlers.hpp"
#include "tools/cli/interrupts.hpp"
#include "tools/cli/session/follow.hpp"
#include "tools/cli/session/person.hpp"
#include "tools/cli/session/submission_file.hpp"
#include "tools/cli/session/why_text.hpp"
#include "tools/cli/waiting.hpp"

extern char** environ;

namespace reeve::tools {
namespace {

using std::string;

Surroundings surroundings(const Context& context) {
  Surroundings out;
  out.uid = ::getuid();
  out.gid = ::getgid();
  const passwd* entry = ::getpwuid(out.uid);
  out.user = entry ? string(entry->pw_name) : fmt::format("{}", out.uid);
  const auto credentials =
      bus::load_credentials(bus::client_credentials_path(context.data));
  out.caller = credentials ? credentials->principal : out.user;
  std::error_code ignored;
  out.directory = std::filesystem::current_path(ignored).string();
  if (out.directory.empty()) out.directory = "/";
  for (char** entry_text = environ; *entry_text != nullptr; ++entry_text) {
    const char* equals = std::strchr(*entry_text, '=');
    if (equals != nullptr)
      out.variables.emplace_back(
          string(static_cast<const char*>(*entry_text), equals), equals + 1);
  }
  out.time = time_frame();
  return out;
}

Expected<Submission> submission_of(const Arguments& arguments,
                                   const Surroundings& here) {
  Submission out = blank_submission(here);
  for (const auto& option : session_options())
    for (const string& value : arguments.all(option.name))
      if (auto good = set_key(out, option.name.substr(2), value, here); !good)
        return fail(Errc::usage, fmt::format("--{}", good.error().text));
  out.argv = arguments.rest;
  return out;
}

string submitted_json(const schema::Reply& reply) {
  return JsonObject()
      .text("session_id", to_text(SessionId{reply.session()}))
      .number("seq", reply.seq())
      .number("sessions", std::max(reply.sessions(), 1u))
      .done();
}

Result dry_run(const Context& context, Cell& cell,
               const Submission& submission) {
  flatbuffers::FlatBufferBuilder builder(1024);
  const auto spec = build_submission(builder, submission);
  const auto& array = submission.array;
  const auto body =
      schema::CreateDryRunQuery(builder, spec, array.has_value(),
                                array ? array->from : 0, array ? array->to : 0);
  const auto answer =
      cell.ask(builder, schema::QueryBody::DryRunQuery, body.Union());
  if (!answer) return tl::unexpected(answer.error());
  const auto* run = (*answer)->body_as_DryRunAnswer();
  if (run == nullptr)
    return fail(Errc::internal, "the cell answered another question");
  string json;
  if (context.json)
    schema::append_json(json, run, schema::DryRunAnswerTypeTable());
  print(context.json ? json + '\n'
                     : dry_run_text(*run, context.terminal, now_ns()));
  return schema::text(run->rejection()).empty() ? 0 : 3;
}

Expected<Held<schema::Reply>> submit_one(Cell& cell,
                                         const Submission& submission) {
  const schema::Id128 id = random_id();
  const auto bytes = encode_submit(submission, id.high(), id.low());
  if (!bytes) return tl::unexpected(bytes.error());
  return cell.command(*bytes);
}

Expected<string> read_all(const string& file) {
  if (file == "-")
    return read_bounded(STDIN_FILENO, "standard input",
                        submission_file_bytes_max);
  const int in = ::open(file.c_str(), O_RDONLY | O_CLOEXEC);
  if (in < 0)
    return fail(Errc::not_found,
                fmt::format("cannot read {}: {}", file, std::strerror(errno)));
  auto text = read_bounded(in, file, submission_file_bytes_max);
  ::close(in);
  return text;
}

// The answers to many submissions, in the order of the file.
struct Answers {
  struct One {
    bool answered = false;
    string json;
    string id;
    Error error;
  };
  std::vector<One> all;
  std::atomic<std::size_t> come{0};
};

Result print_answers(const Context& context, const Answers& answers) {
  string out;
  int code = 0;
  for (std::size_t i = 0; i < answers.all.size(); ++i) {
    const auto& one = answers.all[i];
    if (one.answered) {
      out += (context.json ? one.json : one.id) + '\n';
      continue;
    }
    code = report(
        {one.error.code, fmt::format("session {}: {}", i + 1, one.error.text)},
        context.json);
  }
  print(out);
  return code;
}

// Whatever keeps one of them from being sent is found before the first is.
Expected<std::vector<std::vector<std::byte>>> encode_all(
    Cell& cell, std::vector<Submission>& sessions, const Surroundings& here) {
  std::vector<std::vector<std::byte>> out;
  People people(cell);
  for (Submission& session : sessions) {
    const auto with_place = [&](const Error& error) {
      return fail(error.code, fmt::format("{}: {}", session.place, error.text));
    };
    if (auto good = people.settle(session, here); !good)
      return with_place(good.error());
    const schema::Id128 id = random_id();
    auto bytes = encode_submit(session, id.high(), id.low());
    if (!bytes) return with_place(bytes.error());
    out.push_back(std::move(*bytes));
  }
  return out;
}

// What was accepted is told whatever becomes of the rest.
void submit_all(const Context& context, bus::Client& client,
                const std::vector<std::vector<std::byte>>& commands,
                const std::shared_ptr<Answers>& answers) {
  bus::Pipeline pipeline(client);
  const Waiting waiting(context.quiet, [&] {
    return fmt::format("submitted {} of {}", answers->come.load(),
                       commands.size());
  });
  for (std::size_t i = 0; i < commands.size(); ++i) {
    auto sent = pipeline.submit(commands[i], [answers, i](auto buffer) {
      auto& one = answers->all[i];
      ++answers->come;
      if (!buffer) {
        one.error = buffer.error();
        return;
      }
      const auto* reply = schema::verified<schema::Reply>(*buffer);
      one.answered = reply->rejection() == nullptr;
      if (one.answered) {
        one.json = submitted_json(*reply);
        one.id = to_text(SessionId{reply->session()});
      } else {
        one.error = rejection_error(*reply->rejection());
      }
    });
    if (!sent) answers->all[i].error = sent.error();
  }
  // Those that are still without an answer then get an error at its end.
  (void)pipeline.drain(std::chrono::minutes(10));
}

Result submit_file(const Context& context, const Arguments& arguments,
                   const Submission& defaults, const Surroundings& here) {
  const string file(arguments.text("--file"));
  const auto text = read_all(file);
  if (!text) return tl::unexpected(text.error());
  auto sessions = parse_submission_file(*text, file, defaults, here);
  if (!sessions) return tl::unexpected(sessions.error());
  auto cell = Cell::connect(context);
  if (!cell) return tl::unexpected(cell.error());
  const auto commands = encode_all(**cell, *sessions, here);
  if (!commands) return tl::unexpected(commands.error());
  auto answers = std::make_shared<Answers>();
  answers->all.resize(commands->size());
  submit_all(context, (*cell)->client(), *commands, answers);
  return print_answers(context, *answers);
}

// Whether somebody sends what no session gets to read. A pipe that a script
// has open, with nothing in it, is no reason for a word.
bool standard_input_waits() {
  struct stat file {};
  if (::fstat(STDIN_FILENO, &file) != 0) return false;
  if (S_ISREG(file.st_mode)) {
    const off_t at = ::lseek(STDIN_FILENO, 0, SEEK_CUR);
    return at >= 0 && at < file.st_size;
  }
  int bytes = 0;
  return S_ISFIFO(file.st_mode) &&
         ::ioctl(STDIN_FILENO, FIONREAD, &bytes) == 0 && bytes > 0;
}

// A first signal cancels the session, a second one leaves it.
class Canceller {
 public:
  Canceller(Cell& cell, SessionId session) : cell_(cell), session_(session) {}

  OnSignal operator()(int signal) {
    if (asked_) return OnSignal::leave;
    asked_ = true;
    if (signal == SIGHUP) {
      cancel();
      return OnSignal::leave;
    }
    say(fmt::format("reeve: cancelling {} (again to leave it)",
                    to_text(session_)));
    cancel();
    return OnSignal::go_on;
  }

  void cancel() {
    flatbuffers::FlatBufferBuilder builder(128);
    const auto body = schema::CreateCancelSession(builder, session_.value);
    const auto reply = cell_.command(
        builder, schema::CommandBody::CancelSession, body.Union());
    // One that has just ended cannot be cancelled, and need not be.
    if (!reply && interrupt_pending())
      say(fmt::format("reeve: the cell has not said that it cancels {}",
                      to_text(session_)));
    else if (!reply && (reply.error().code == Errc::unreachable ||
                        reply.error().code == Errc::busy))
      say(fmt::format("reeve: {}", reply.error().text));
  }

 private:
  Cell& cell_;
  SessionId session_;
  bool asked_ = false;
};

}  // namespace

Result command_submit(const Context& context, const Arguments& arguments) {
  const Surroundings here = surroundings(context);
  auto submission = submission_of(arguments, here);
  if (!submission) return tl::unexpected(submission.error());
  if (arguments.has("--file") && arguments.has("--dry-run"))
    return fail(Errc::usage, "--dry-run is of one session, not of a file");
  if (arguments.has("--file"))
    return submit_file(context, arguments, *submission, here);
  if (auto good = check_submission(*submission); !good)
    return tl::unexpected(good.error());
  auto cell = Cell::connect(context);
  if (!cell) return tl::unexpected(cell.error());
  if (auto good = People(**cell).settle(*submission, here); !good)
    return tl::unexpected(good.error());
  if (arguments.has("--dry-run")) return dry_run(context, **cell, *submission);
  const auto reply = submit_one(**cell, *submission);
  if (!reply) return tl::unexpected(reply.error());
  print(context.json ? submitted_json(**reply) + '\n'
                     : to_text(SessionId{(*reply)->session()}) + '\n');
  leave(0);
}

Result command_run(const Context& context, const Arguments& arguments) {
  // Before the bus starts threads: they take over which signals are blocked.
  Interrupts interrupts;
  ::signal(SIGPIPE, SIG_IGN);
  const Surroundings here = surroundings(context);
  auto submission = submission_of(arguments, here);
  if (!submission) return tl::unexpected(submission.error());
  if (auto good = check_submission(*submission); !good)
    return tl::unexpected(good.error());
  if (submission->array)
    return fail(Errc::usage,
                "--array: run follows the output of one session; \"reeve "
                "submit --array\" queues many");
  auto cell = Cell::connect(context);
  if (!cell) return tl::unexpected(cell.error());
  if (auto good = People(**cell).settle(*submission, here); !good)
    return tl::unexpected(good.error());
  const auto reply = submit_one(**cell, *submission);
  if (!reply && reply.error().code == Errc::unreachable && interrupt_pending())
    say("reeve: interrupted before the cell answered: it may have the session "
        "all the same, \"reeve ps\" shows it");
  if (!reply) return tl::unexpected(reply.error());
  const SessionId session{(*reply)->session()};
  if (context.json) say(submitted_json(**reply));
  // Only now: who sends it may have begun when we did.
  if (!context.json && !context.quiet && standard_input_waits())
    say("reeve: standard input does not reach the session; what waits there is "
        "left unread");
  Canceller canceller(**cell, session);
  Follower follower(**cell, interrupts, session, {});
  const auto outcome = follower.follow(std::ref(canceller));
  if (!outcome && outcome.error().code == Errc::io) canceller.cancel();
  // As any program that writes into a pipe, without a word.
  if (!outcome && outcome.error().text == reader_is_gone) leave(128 + SIGPIPE);
  if (!outcome) return tl::unexpected(outcome.error());
  if (!*outcome) return exit_cancelled;
  const string why = explain(**outcome);
  if (!why.empty() && !context.quiet)
    say(fmt::format("reeve: {} {}", to_text(session), why));
  const string note = note_of(**outcome);
  if (!note.empty() && !context.quiet)
    say(fmt::format("reeve: {}: {}", to_text(session), note));
  leave(exit_code_of(**outcome));
}

}  // namespace reeve::tools
