"""The main job on real processes: submit, run, follow, limit, cancel, look."""
import json
import os
import signal
import sys
import time
import unittest

import cell as cells
from cell import CellTest, wait_until


class MainJobTest(CellTest):
    UP = ("--sim-nodes", "2")

    def marker(self, name):
        return os.path.join(self.cell.work, name)

    # ---- run, exit codes, signals

    def test_run_shows_output_and_exits_as_the_command(self):
        done = self.cell.reeve("run", "--", "sh", "-c",
                               "echo out; echo err >&2; exit 7", code=7)
        self.assertEqual("out\n", done.out)
        self.assertIn("err\n", done.err)

    def test_a_signal_gives_128_and_its_number(self):
        done = self.cell.reeve("run", "--", "sh", "-c", "kill -TERM $$",
                               code=128 + signal.SIGTERM)
        self.assertIn("SIGTERM", done.err)
        one = self.cell.submit("--", "sh", "-c", "kill -SEGV $$")
        self.cell.reeve("wait", one, code=128 + signal.SIGSEGV)
        shown = self.cell.show(one)
        self.assertEqual(signal.SIGSEGV, shown["signal"])
        self.assertIsNone(shown["exit_code"])
        self.assertEqual("failed", shown["state"])

    def test_an_exit_code_is_there_only_where_a_command_gave_one(self):
        waits = self.cell.submit("--not-before", "+1h", "--", "true")
        self.assertIsNone(self.cell.show(waits)["exit_code"])
        self.cell.reeve("cancel", waits)
        fails = self.cell.submit("--", "no-such-program")
        good = self.cell.submit("--", "true")
        done = self.cell.reeve("wait", "--json", waits, fails, good, code=130)
        self.assertEqual([None, None, 0],
                         [one["exit_code"] for one in done.lines()])
        self.assertIsNone(self.cell.show(fails)["tasks"][0]["exit_code"])
        for one in (waits, fails):
            self.assertNotIn("exit code", self.cell.reeve("history", one).out)
        self.assertIn("exit code 0", self.cell.reeve("history", good).out)

    def test_standard_input_that_a_session_does_not_get_is_told(self):
        def run(given, *options):
            read_end, write_end = os.pipe()
            os.write(write_end, given)
            os.close(write_end)
            with os.fdopen(read_end) as stdin:
                child = self.cell.start("run", *options, "--", "cat",
                                        stdin=stdin)
            done = self.cell.finish(child)
            self.assertEqual(("", 0), (done.out, done.code), done)
            return done.err
        self.assertIn("standard input does not reach", run(b"hello\n"))
        self.assertEqual("", run(b"hello\n", "--quiet"))
        self.assertEqual("", run(b""))
        with open(__file__, encoding="utf-8") as stdin:
            done = self.cell.finish(self.cell.start("run", "--", "cat",
                                                    stdin=stdin))
        self.assertIn("standard input does not reach", done.err)

    def test_run_of_a_simulated_session_misses_no_output(self):
        done = self.cell.reeve("run", "--sim-duration", "10ms")
        self.assertEqual(("", ""), (done.out, done.err))

    def test_a_command_that_is_not_there_is_127(self):
        done = self.cell.reeve("run", "--", "no-such-program", code=127)
        self.assertIn("not found", done.err)

    def test_run_brings_all_of_a_large_output_in_order(self):
        done = self.cell.reeve("run", "--", "seq", "1", "100000")
        self.assertEqual([str(n) for n in range(1, 100001)],
                         done.out.split())

    def test_run_shows_all_to_a_reader_that_stood_still(self):
        # More than a follower holds; nobody reads until all is written.
        last = 3_000_000
        child = self.cell.start("run", "--name", "flood", "--", "seq", "1",
                                str(last))
        wait_until("all is written", lambda: any(
            one["name"] == "flood" and one["state"] == "succeeded"
            for one in self.cell.reeve(
                "ps", "--all", "--json").json()["sessions"]))
        done = self.cell.finish(child)
        self.assertEqual(0, done.code, done)
        self.assertEqual([str(n) for n in range(1, last + 1)],
                         done.out.split())

    def test_environment_and_directory_are_those_asked_for(self):
        place = self.marker("place")
        os.makedirs(place, exist_ok=True)
        done = self.cell.reeve(
            "run", "--env", "GREETING=good day", "--workdir", place, "--",
            "sh", "-c", "echo $GREETING $RANK/$WORLD_SIZE; pwd; "
            "echo $REEVE_SESSION_ID; touch was-here")
        lines = done.out.splitlines()
        self.assertEqual(["good day 0/1", place], lines[:2])
        self.assertRegex(lines[2], r"^s-\d+$")
        self.assertTrue(os.path.exists(os.path.join(place, "was-here")))

    def test_a_named_directory_that_is_not_there_fails_the_start(self):
        gone = self.marker("gone")
        done = self.cell.reeve("run", "--workdir", gone, "--", "true",
                               code=126)
        self.assertIn(f"working directory {gone} does not exist on", done.err)
        one = done.err[done.err.index("s-"):].split()[0]
        self.assertEqual("start_failed", self.cell.show(one)["reason"])

    def test_the_callers_own_directory_is_replaced_with_a_word(self):
        closed = self.marker("closed")
        os.makedirs(closed, exist_ok=True)
        one = self.cell.reeve(
            "submit", "--", "sh", "-c", "pwd; while [ ! -e stop ]; do "
            "sleep 0.05; done", cwd=closed).out.strip()
        other = self.cell.reeve("run", "--", "pwd", cwd=closed)
        self.assertEqual(closed + "\n", other.out)
        self.cell.reeve("cancel", one)
        # As seen from a task: a directory that only its maker's host has.
        os.rmdir(closed)
        held = os.path.join(self.cell.data, "node")
        done = self.cell.reeve("run", "--", "pwd", cwd=held)
        self.assertEqual("/tmp/work\n", done.out)
        self.assertIn(f"working directory {held} cannot be entered", done.err)
        shown = self.cell.reeve("ps", "--all", "--limit", "1", "--json").json()
        session = shown["sessions"][0]["session_id"]
        self.assertTrue(shown["more"])
        self.assertIn("/tmp/work", self.cell.reeve("show", session).out)
        self.assertIn("/tmp/work", self.cell.reeve("history", session).out)

    def test_ps_shows_the_newest_and_says_that_there_are_older_ones(self):
        ids = [self.cell.submit("--not-before", "+1h", "--", "true")
               for _ in range(4)]
        done = self.cell.reeve("ps", "--limit", "2")
        lines = done.out.splitlines()
        self.assertEqual(ids[2:], [line.split()[0] for line in lines[1:]])
        self.assertIn("older", done.err)
        shown = self.cell.reeve("ps", "--limit", "3", "--json").json()
        self.assertEqual(ids[1:], [one["session_id"]
                                   for one in shown["sessions"]])
        self.assertTrue(shown["more"])
        self.cell.reeve("cancel", *ids)

    def test_a_session_does_not_see_the_cells_credentials(self):
        self.cell.reeve("run", "--", "sh", "-c",
                        f"! cat {self.cell.data}/bus/client.json")

    # ---- limits

    def test_a_memory_hog_is_killed_by_its_limit_and_reported_as_such(self):
        hog = "x = bytearray(1 << 20)\nwhile True: x += bytearray(1 << 23)"
        done = self.cell.reeve("run", "--mem", "64M", "--", "python3", "-c",
                               hog, code=128 + signal.SIGKILL)
        self.assertIn("memory limit", done.err)
        one = done.err[done.err.index("s-"):].split()[0]
        shown = self.cell.show(one)
        self.assertEqual("memory_limit", shown["reason"])
        peak = shown["tasks"][0]["peak_memory_bytes"]
        self.assertGreater(peak, 32 << 20)
        self.assertLessEqual(peak, 64 << 20)
        self.assertIn("memory limit", self.cell.reeve("why", one).out)

    def test_children_killed_by_the_limit_are_told_of_a_good_exit(self):
        command = ("--mem", "64M", "--", "sh", "-c", "tail /dev/zero; exit 0")
        said = "killed at the memory limit"
        done = self.cell.reeve("run", *command, code=None)
        # Control groups of version 2 end the whole task.
        self.assertIn(done.code, (0, 128 + signal.SIGKILL))
        self.assertIn(said, done.err)
        one = self.cell.submit(*command)
        for _ in ("follows it", "finds it ended"):
            self.assertIn(said, self.cell.reeve("wait", one,
                                                code=done.code).err)

    def test_a_time_limit_ends_the_session(self):
        one = self.cell.submit("--time", "1s", "--", "sleep", "3600")
        shown = self.cell.await_state(one, "failed")
        self.assertEqual("time_limit", shown["reason"])
        done = self.cell.reeve("wait", one, code=None)
        self.assertNotEqual(0, done.code)
        self.assertIn("time limit", done.err)

    # ---- cancel

    def test_cancel_ends_the_whole_tree_even_what_left_the_process_group(self):
        one = self.cell.submit(
            "--", "sh", "-c", "setsid sleep 4321 & (sleep 4321 &) ; "
            "touch tree; wait; sleep 4321")
        wait_until("the tree stands",
                   lambda: os.path.exists(self.marker("tree")))
        pid = self.cell.show(one)["tasks"][0]["pid"]
        tree = cells.children_of([pid]) | {pid}
        self.assertGreaterEqual(len(tree), 3, tree)
        self.cell.reeve("cancel", one)
        shown = self.cell.await_state(one, "cancelled")
        self.assertEqual("cancelled", shown["reason"])
        wait_until("the tree is gone",
                   lambda: not any(cells.is_running(p) for p in tree))

    def test_cancel_kills_a_task_that_ignores_the_polite_signal(self):
        one = self.cell.submit("--", "sh", "-c", "trap '' TERM; touch deaf; "
                               "while :; do sleep 0.1; done")
        wait_until("it is deaf", lambda: os.path.exists(self.marker("deaf")))
        self.cell.reeve("cancel", one)
        self.cell.await_state(one, "cancelled")

    def test_cancel_of_a_waiting_session_needs_no_task(self):
        one = self.cell.submit("--not-before", "+1h", "--", "true")
        self.cell.reeve("cancel", one)
        self.assertEqual([], self.cell.await_state(one, "cancelled")["tasks"])
        again = self.cell.reeve("cancel", one, code=3)
        self.assertIn("cancelled", again.err)

    def test_ctrl_c_on_run_cancels_the_session(self):
        child = self.cell.start("run", "--", "sh", "-c",
                                "touch running; sleep 3600")
        wait_until("it runs", lambda: os.path.exists(self.marker("running")))
        child.send_signal(signal.SIGINT)
        done = self.cell.finish(child)
        self.assertNotEqual(0, done.code, done)
        self.assertIn("cancel", done.err)
        one = done.err[done.err.index("s-"):].split()[0].strip(":")
        self.assertEqual("cancelled", self.cell.show(one)["state"])

    # ---- looking

    def test_logs_give_both_streams_and_follow_to_the_end(self):
        one = self.cell.submit(
            "--", "sh", "-c", "echo first; echo oops >&2; touch begun; "
            "while [ ! -e go ]; do sleep 0.05; done; echo last")
        wait_until("it has begun",
                   lambda: os.path.exists(self.marker("begun")))
        wait_until("the first line is readable", lambda: self.cell.reeve(
            "logs", one).out == "first\n")
        child = self.cell.start("logs", "-f", one)
        self.assertEqual("first\n", child.stdout.readline())
        open(self.marker("go"), "w", encoding="utf-8").close()
        done = self.cell.finish(child)
        self.assertEqual(("last\n", 0), (done.out, done.code), done)
        self.assertEqual("first\nlast\n", self.cell.reeve("logs", one).out)
        self.assertEqual("oops\n",
                         self.cell.reeve("logs", one, "--stderr").out)

    def test_submit_and_show_have_the_keys_that_scripts_use(self):
        answer = self.cell.reeve("submit", "--json", "--name", "keys", "--",
                                 "sh", "-c", "exit 3").json()
        self.assertEqual({"session_id", "seq", "sessions"}, set(answer))
        self.cell.reeve("wait", answer["session_id"], code=3)
        shown = self.cell.show(answer["session_id"])
        for key in ("session_id", "state", "attempt", "exit_code", "signal",
                    "submitted_at", "placed_at", "started_at", "ended_at",
                    "tasks"):
            self.assertIn(key, shown)
        self.assertEqual(("failed", 3, 0, 1), (
            shown["state"], shown["exit_code"], shown["signal"],
            shown["attempt"]))
        moments = [shown[key] for key in ("submitted_at", "placed_at",
                                          "started_at", "ended_at")]
        self.assertEqual(sorted(moments), moments)
        self.assertRegex(moments[0],
                         r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{9}Z$")

    def test_status_has_the_keys_that_scripts_use(self):
        status = self.cell.status()
        for key in ("daemon_pid", "bus_pid", "head_seq", "epoch", "nodes",
                    "sessions"):
            self.assertIn(key, status)
        self.assertEqual(self.cell.daemon_pid(), status["daemon_pid"])
        self.assertEqual(3, status["nodes"])
        self.assertTrue(cells.is_running(status["bus_pid"]))

    def test_history_tells_the_whole_life_with_causes(self):
        one = self.cell.submit("--", "true")
        self.cell.reeve("wait", one)
        events = self.cell.reeve("history", one, "--json").lines()
        self.assertEqual(
            ["session_submitted", "session_placed", "task_started",
             "task_exited", "session_ended"],
            [event["body_type"] for event in events])
        self.assertEqual(events[3]["seq"], events[4]["cause"])
        self.assertEqual(32, len(events[0]["command_id"]))
        self.assertEqual(5, len(
            self.cell.reeve("history", one).out.splitlines()))

    def test_ps_lists_what_lives_and_all_on_request(self):
        one = self.cell.submit("--name", "quick", "--", "true")
        two = self.cell.submit("--name", "slow", "--", "sleep", "3600")
        self.cell.reeve("wait", one)
        self.cell.await_state(two, "running")
        listed = [s["session_id"] for s in
                  self.cell.reeve("ps", "--json").json()["sessions"]]
        self.assertIn(two, listed)
        self.assertNotIn(one, listed)
        done = self.cell.reeve("ps", "--all", "--state", "succeeded",
                               "--json").json()["sessions"]
        self.assertIn(one, [s["session_id"] for s in done])
        self.assertIn("slow", self.cell.reeve("ps").out)
        self.cell.reeve("cancel", two)
        self.cell.await_state(two, "cancelled")

    def test_wait_takes_many_and_gives_the_worst_code(self):
        all_of_them = [self.cell.submit("--", "sh", "-c", f"exit {code}")
                       for code in (0, 4, 2)]
        self.cell.reeve("wait", *all_of_them, code=4)
        slow = self.cell.submit("--", "sleep", "3600")
        done = self.cell.reeve("wait", slow, "--timeout", "100ms", code=1)
        self.assertIn("in time", done.err)
        self.cell.reeve("cancel", slow)

    def test_events_follow_from_a_sequence_without_a_gap(self):
        head = self.cell.status()["head_seq"]
        child = self.cell.start("events", "-f", "--from", "1", "--json")
        lines = [json.loads(child.stdout.readline()) for _ in range(head)]
        self.assertEqual(list(range(1, head + 1)),
                         [event["seq"] for event in lines])
        one = self.cell.submit("--", "true")
        last = head
        while True:
            event = json.loads(child.stdout.readline())
            self.assertEqual(last + 1, event["seq"])
            last = event["seq"]
            if (event["body_type"] == "session_ended" and
                    f"s-{event['body']['session']}" == one):
                break
        child.send_signal(signal.SIGINT)
        self.cell.finish(child)

    def test_who_follows_from_a_later_event_is_told_what_is_waited_for(self):
        head = self.cell.status()["head_seq"]
        awaited = head + 1_000_000
        child = self.cell.start("events", "-f", "--from", str(awaited))
        self.assertRegex(
            child.stderr.readline(),
            rf"no event {awaited} yet: the log ends at \d+; waiting for it")
        self.cell.reeve("run", "--", "true")
        child.send_signal(signal.SIGINT)
        done = self.cell.finish(child)
        # Neither what comes before it, nor that the log had gone back.
        self.assertEqual(("", ""), (done.out, done.err))
        # It comes.
        head = self.cell.status()["head_seq"]
        child = self.cell.start("events", "-f", "--from", str(head + 3))
        child.stderr.readline()
        self.cell.reeve("run", "--", "true")
        self.assertEqual(str(head + 3), child.stdout.readline().split()[0])
        child.send_signal(signal.SIGINT)
        self.cell.finish(child)
        # A program that reads it is not disturbed, nor is who wants no words.
        for silent in ("--json", "--quiet"):
            child = self.cell.start("events", "-f", "--from", str(head + 1),
                                    silent)
            self.cell.reeve("run", "--", "true")
            self.assertNotEqual("", child.stdout.readline())
            child.send_signal(signal.SIGINT)
            self.assertEqual("", self.cell.finish(child).err)

    # ---- the log and the state

    def test_log_state_and_replay_agree_now_and_then(self):
        one = self.cell.submit("--", "true")
        self.cell.reeve("wait", one)
        live, replayed = self.cell.digests()
        self.assertEqual(live, replayed)
        self.assertRegex(live, r"^[0-9a-f]{32,}$")
        head = self.cell.status()["head_seq"]
        then = head // 2
        at = self.cell.reeve("state", "--at", str(then), "--digest").out
        again = self.cell.reeve("replay", "--to", str(then), "--digest").out
        self.assertEqual(at, again)
        self.assertNotEqual(at.strip(), live)
        events = self.cell.reeve("log", "cat", "--json", "--to",
                                 str(head)).lines()
        self.assertEqual(list(range(1, head + 1)), [e["seq"] for e in events])
        stats = self.cell.reeve("log", "stats", "--json").json()
        self.assertGreaterEqual(stats["head_seq"], head)
        self.assertEqual(stats["events"], sum(
            kind["events"] for kind in stats["kinds"].values()))
        self.assertGreater(stats["commits"], 0)
        self.assertLess(stats["commits"], stats["events"])
        proved = self.cell.reeve("log", "verify", "--json").json()
        self.assertTrue(proved["ok"])
        filtered = self.cell.reeve("log", "cat", "--json", "--filter",
                                   f"session={one}").lines()
        self.assertEqual(5, len(filtered))

    # ---- nodes

    def test_a_drained_node_takes_nothing_until_it_is_resumed(self):
        node = self.real_node()
        self.cell.reeve("node", "drain", node, "--reason", "new memory")
        one = self.cell.submit("--", "true")
        self.assertIn("drain", self.cell.reeve("why", one).out)
        self.assertEqual("pending", self.cell.show(one)["state"])
        self.assertIn("drained", self.cell.reeve("nodes").out)
        self.cell.reeve("node", "resume", node)
        self.cell.reeve("wait", one)

    def real_node(self):
        nodes = self.cell.reeve("nodes", "--json").json()["nodes"]
        return [n["name"] for n in nodes if not n["simulated"]][0]

    # ---- dependencies and requeue

    def test_a_dependency_holds_back_until_the_other_has_ended_so(self):
        one = self.cell.submit("--", "sh", "-c",
                               "while [ ! -e open ]; do sleep 0.05; done; "
                               "exit 1")
        later = self.cell.submit("--after", one + ":any", "--", "true")
        never = self.cell.submit("--after", one + ":ok", "--", "true")
        remedy = self.cell.submit("--after", one + ":failed", "--", "true")
        self.assertIn(one, self.cell.reeve("why", later).out)
        self.assertEqual("pending", self.cell.show(later)["state"])
        open(self.marker("open"), "w", encoding="utf-8").close()
        self.cell.reeve("wait", later, remedy)
        shown = self.cell.await_state(never, "failed", "cancelled")
        self.assertEqual("dependency_failed", shown["reason"])

    def test_a_failed_session_is_tried_again_as_often_as_asked(self):
        one = self.cell.submit("--requeue", "2", "--", "sh", "-c",
                               "echo try $REEVE_ATTEMPT; "
                               "[ $REEVE_ATTEMPT = 2 ]")
        self.cell.reeve("wait", one)
        shown = self.cell.show(one)
        self.assertEqual((2, "succeeded"), (shown["attempt"], shown["state"]))
        self.assertEqual("try 2\n", self.cell.reeve("logs", one).out)
        self.assertEqual("try 1\n", self.cell.reeve(
            "logs", one, "--attempt", "1").out)

    def test_output_of_a_try_is_there_while_the_next_waits_and_after_it(self):
        one = self.cell.submit("--requeue", "5", "--", "sh", "-c",
                               "echo why $REEVE_ATTEMPT; exit 1")

        def waits_for_seconds():
            shown = self.cell.show(one)
            return ("pending", 5) == (shown["state"], shown["attempt"])
        wait_until("it waits for seconds", waits_for_seconds)
        for state in ("pending", "cancelled"):
            with self.subTest(state=state):
                done = self.cell.reeve("logs", one)
                self.assertEqual("why 4\n", done.out)
                self.assertEqual(f"reeve: {one} is {state}: this is the output"
                                 " of attempt 4\n", done.err)
                done = self.cell.reeve("logs", one, "--attempt", "1")
                self.assertEqual(("why 1\n", ""), (done.out, done.err))
                done = self.cell.reeve("logs", one, "--attempt", "5")
                self.assertIn("no output yet", done.err)
                self.cell.reeve("cancel", one, code=None)

    # ---- files of sessions

    def test_a_file_of_sessions_is_submitted_whole(self):
        lines = "".join(json.dumps({
            "command": ["sh", "-c", f"exit {n}"], "name": f"n{n}"}) + "\n"
            for n in range(3))
        done = self.cell.reeve("submit", "--file", "-", "--json", input=lines)
        ids = [one["session_id"] for one in done.lines()]
        self.assertEqual(3, len(ids))
        self.cell.reeve("wait", *ids, code=2)
        self.assertEqual("n1", self.cell.show(ids[1])["name"])


class FirstStartTest(unittest.TestCase):
    def test_the_first_session_right_after_the_first_start_is_accepted(self):
        cell = cells.Cell()
        self.addCleanup(cell.remove)
        try:
            cell.up()
            cell.reeve("run", "--", "true")
        finally:
            left = cell.stop()
        self.assertEqual([], left)


class RestartTest(CellTest):
    def test_up_on_data_that_exists_goes_on_with_it(self):
        one = self.cell.submit("--", "true")
        self.cell.reeve("wait", one)
        head = self.cell.status()["head_seq"]
        again = self.cell.up()
        self.assertIn("already up", again.err)
        self.cell.reeve("down")
        self.cell.reeve("status", code=5)
        self.cell.up()
        self.assertGreater(self.cell.status()["head_seq"], head)
        self.assertEqual("succeeded", self.cell.show(one)["state"])

    def test_down_ends_running_sessions_and_says_so_in_the_log(self):
        one = self.cell.submit("--", "sleep", "3600")
        pid = self.cell.await_state(one, "running")["tasks"][0]["pid"]
        self.cell.reeve("down")
        self.assertFalse(cells.is_running(pid))
        self.cell.up()
        shown = self.cell.show(one)
        self.assertEqual(("cancelled", "cell_stopped"),
                         (shown["state"], shown["reason"]))

    def test_a_killed_daemon_leaves_tasks_running_and_readable(self):
        one = self.cell.submit("--", "sh", "-c", "echo before; "
                               "while [ ! -e after ]; do sleep 0.05; done; "
                               "echo after")
        shown = self.cell.await_state(one, "running")
        pid = shown["tasks"][0]["pid"]
        self.cell.kill_daemon()
        self.assertTrue(cells.is_running(pid))
        self.cell.up()
        self.assertEqual(pid, self.cell.show(one)["tasks"][0]["pid"])
        time.sleep(0.2)
        open(os.path.join(self.cell.work, "after"), "w",
             encoding="utf-8").close()
        self.cell.reeve("wait", one)
        self.assertEqual("before\nafter\n", self.cell.reeve("logs", one).out)


if __name__ == "__main__":
    sys.exit(cells.main())
