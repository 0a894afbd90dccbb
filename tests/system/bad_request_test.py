"""What people mistype and over-ask: each gets a message that helps, an exit
code that says its kind, and changes nothing."""
import json
import os
import socket
import subprocess
import sys

import cell as cells
from cell import BIN, Cell, CellTest, wait_until

WAITING_MAX = 5


class WrongUsageTest(CellTest):
    def setUp(self):
        self.head = self.cell.status()["head_seq"]

    def tearDown(self):
        self.assertEqual(self.head, self.cell.status()["head_seq"],
                         "a refused request changed the state")

    def refused(self, code, *arguments, says=()):
        done = self.cell.reeve(*arguments, code=code)
        self.assertEqual("", done.out)
        for word in says:
            self.assertIn(word, done.err)
        return done

    def test_an_unknown_command_names_the_nearest(self):
        self.refused(2, "submti", "--", "true", says=["submti", "submit"])
        self.refused(2, "log", "verfy", says=["verify"])

    def test_an_unknown_option_names_the_nearest(self):
        self.refused(2, "submit", "--cpsu", "1", "--", "true",
                     says=["--cpsu", "--cpus"])

    def test_a_size_that_does_not_parse_shows_one_that_does(self):
        for bad in ("4Q", "-1G", "lots", "", "4G4"):
            self.refused(2, "submit", "--mem", bad, "--", "true",
                         says=["--mem", bad])

    def test_a_time_that_does_not_parse_is_refused(self):
        for bad in ("10x", "soon", "-5s", ""):
            self.refused(2, "submit", "--time", bad, "--", "true",
                         says=["--time", bad])
        self.refused(2, "submit", "--not-before", "yesterdayish", "--",
                     "true", says=["yesterdayish"])
        self.refused(2, "events", "--from", "noonish", says=["noonish"])

    def test_counts_that_make_no_sense_are_refused(self):
        for option, bad in (("--cpus", "none"), ("--gpus", "1.5"),
                            ("--tasks", "0"), ("--tasks", "x"),
                            ("--nodes", "-1"), ("--priority", "high"),
                            ("--requeue", "-2"), ("--env", "=x"),
                            ("--label", "nothing")):
            with self.subTest(option=option, bad=bad):
                self.refused(2, "submit", option, bad, "--", "true",
                             says=[option])

    def test_no_command_to_run_is_wrong_usage(self):
        self.refused(2, "submit")
        self.refused(2, "run", "--")

    def test_an_unknown_session_is_not_found(self):
        for command in (["show"], ["logs"], ["wait"], ["cancel"],
                        ["history"], ["why"]):
            with self.subTest(command=command):
                self.refused(4, *command, "s-99999", says=["s-99999"])
        self.refused(2, "show", "nonsense", says=["nonsense"])

    def test_a_node_without_a_name_is_wrong_usage(self):
        self.refused(2, "node", "show", "", says=["name of a node"])

    def test_the_daemon_names_the_option_it_does_not_know(self):
        for words, says in ((["--foo"], "--foo"), ([], "--data")):
            done = subprocess.run([os.path.join(BIN, "reeved"), *words],
                                  capture_output=True, text=True, check=False,
                                  timeout=cells.PATIENCE_S)
            self.assertEqual(2, done.returncode)
            self.assertIn(says, done.stderr)

    def test_a_part_of_the_log_that_is_not_there_is_said(self):
        head = str(self.head)
        self.refused(2, "log", "cat", "--from", "3", "--to", "2",
                     says=['"3" is later than "2"'])
        self.refused(2, "log", "cat", "--from", "now", "--to", "-1h")
        for command in (["events"], ["log", "cat"]):
            with self.subTest(command=command):
                self.refused(0, *command, "--from", "999999",
                             says=["999999", "ends at " + head])
                done = self.refused(0, *command, "--from", "999999", "--quiet")
                self.assertEqual("", done.err)
        self.refused(4, "state", "--at", "999999", says=["ends at " + head])

    def test_an_unknown_node_is_not_found(self):
        self.refused(4, "node", "show", "nowhere", says=["nowhere"])
        self.refused(4, "node", "drain", "nowhere", says=["nowhere"])
        self.refused(4, "gpu", "quarantine", "nowhere", "0", says=["nowhere"])
        self.refused(4, "gpu", "release", "nowhere", "0", says=["nowhere"])
        self.refused(4, "gpu", "test", "nowhere", "0", says=["nowhere"])
        self.refused(4, "submit", "--on-node", "nowhere", "--", "true",
                     says=["nowhere"])

    def test_an_unknown_token_or_member_is_not_found(self):
        self.refused(4, "token", "revoke", "99999", says=["99999"])
        self.refused(4, "members", "remove", "agent-nowhere",
                     says=["agent-nowhere", "reeve members"])

    def test_a_token_that_makes_no_sense_is_refused(self):
        self.refused(2, "token", "create", says=["--role"])
        self.refused(2, "token", "create", "--role", "king",
                     says=["agent, manager, user"])
        self.refused(3, "token", "create", "--role", "agent", "--ttl", "1s",
                     says=["at least 1m"])
        self.refused(3, "token", "create", "--role", "agent", "--name=-x",
                     says=["letters, digits"])
        self.refused(4, "token", "create", "--role", "user", "--name",
                     "nobody-here", says=["reeve user set nobody-here"])

    def test_a_name_that_would_spoil_a_line_is_refused(self):
        for name in ("two\nlines", "\033[2J", "\x9b31m"):
            self.refused(3, "submit", "--name", name, "--", "true",
                         says=["control character"])

    def test_an_unknown_group_or_project_names_those_there_are(self):
        self.refused(4, "submit", "--group", "gold", "--", "true",
                     says=["gold", "default"])
        self.refused(4, "submit", "--project", "moon", "--", "true",
                     says=["moon", "default"])
        self.refused(4, "submit", "--after", "s-99999", "--", "true",
                     says=["s-99999"])

    def test_a_request_that_no_node_could_meet_names_the_largest(self):
        self.refused(3, "submit", "--cpus", "1000", "--", "true",
                     says=["32 CPUs"])
        self.refused(3, "submit", "--mem", "900T", "--", "true",
                     says=["memory", "has"])
        self.refused(3, "submit", "--gpus", "64", "--", "true",
                     says=["GPU"])
        self.refused(3, "submit", "--tasks", "4000", "--", "true",
                     says=["4000", "32"])
        self.refused(3, "submit", "--sim-duration", "1s",
                     says=["no simulated node"])

    def test_a_resource_of_a_later_release_is_refused_and_not_ignored(self):
        for option, value in (("--image", "alpine"), ("--volume", "v:/v")):
            with self.subTest(option=option):
                done = self.cell.reeve("submit", option, value, "--", "true",
                                       code=None)
                self.assertIn(done.code, (1, 2, 3))
                self.assertIn(option.strip("-"), done.err)

    def test_a_file_with_one_bad_line_submits_nothing(self):
        good = json.dumps({"command": ["true"]})
        for bad, word in (('{"comand": ["true"]}', "command"),
                          ('{"command": ["true"], "cpus": "x"}', "cpus"),
                          ("[1, 2", "JSON"), ("{}", "command")):
            with self.subTest(bad=bad):
                done = self.cell.reeve("submit", "--file", "-", code=2,
                                       input=f"{good}\n{bad}\n")
                self.assertIn(":2:", done.err)
                self.assertIn(word, done.err)

    def test_a_file_with_a_line_too_large_to_send_submits_nothing(self):
        lines = [{"command": ["true"]}, {"command": ["x" * (600 << 10)]}]
        done = self.cell.reeve(
            "submit", "--file", "-", code=2,
            input="".join(json.dumps(line) + "\n" for line in lines))
        self.assertIn("-:2: ", done.err)
        self.assertEqual("", done.out)

    def test_too_much_text_is_refused_by_the_rule_of_its_bound(self):
        self.refused(3, "submit", "--", "true", *["x" * 100_000] * 3,
                     says=["all texts together", str(256 << 10)])

    def test_errors_are_json_when_asked(self):
        done = self.cell.reeve("show", "s-99999", "--json", code=4)
        error = json.loads(done.err)["error"]
        self.assertEqual("not_found", error["code"])
        self.assertIn("s-99999", error["text"])

    def test_a_sequence_beyond_the_head_is_not_found(self):
        self.refused(4, "state", "--at", "99999999", "--digest",
                     says=["99999999"])
        self.refused(4, "replay", "--to", "99999999", says=["99999999"])

    def test_a_filter_that_does_not_parse_is_refused(self):
        self.refused(2, "log", "cat", "--filter", "colour=red",
                     says=["colour"])

    def test_a_second_daemon_says_by_which_pid_the_data_is_held(self):
        done = subprocess.run(
            [os.path.join(BIN, "reeved"), "--data", self.cell.data],
            capture_output=True, text=True, timeout=cells.PATIENCE_S,
            check=False)
        self.assertEqual(3, done.returncode, done.stderr)
        self.assertIn(str(self.cell.daemon_pid()), done.stderr)


class ConfigTest(CellTest):
    """These need a daemon that does not start: a cell of their own each."""

    def refuses_to_start(self, settings, *words):
        other = Cell(settings)
        try:
            done = other.reeve("up", "--detach", code=None)
            self.assertNotEqual(0, done.code)
            for word in words:
                self.assertIn(word, done.err)
        finally:
            left = other.stop()
            other.remove()
        self.assertEqual([], left)

    def test_an_unknown_key_names_file_line_and_the_nearest(self):
        self.refuses_to_start("# first\n[agent]\ncpu = 3\n", "cell.toml:3",
                              "agent.cpu", "agent.cpus")

    def test_a_value_that_does_not_parse_is_named(self):
        self.refuses_to_start("[log]\nfloor = \"much\"\n", "cell.toml:2",
                              "log.floor", "much")

    def test_a_file_that_is_no_toml_is_named_with_its_line(self):
        self.refuses_to_start("[agent]\ncpus = = 3\n", "cell.toml:2")

    def test_a_daemon_that_cannot_be_recorded_ends_in_order(self):
        other = Cell()
        os.makedirs(os.path.join(other.data, "reeved.pid", "in the way"))
        try:
            done = subprocess.run(
                [os.path.join(BIN, "reeved"), "--data", other.data],
                capture_output=True, text=True, timeout=cells.PATIENCE_S,
                check=False, env=other.environment())
            self.assertEqual(1, done.returncode, done.stderr)
            self.assertIn("cannot write", done.stderr)
            # One that just dropped out would have left its name there.
            self.assertEqual("", cells.read(
                os.path.join(other.data, "log", "owner"), "missing"))
        finally:
            left = other.stop()
            other.remove()
        self.assertEqual([], left)

    def test_a_failed_start_tells_of_this_start_alone(self):
        other = Cell()
        try:
            other.up()
            other.reeve("down")
            with socket.socket() as taken:
                taken.bind(("127.0.0.1", 0))
                taken.listen()
                port = str(taken.getsockname()[1])
                done = other.up("--port", port, code=None)
                here = other.reeve("up", "--port", port, code=None)
            self.assertNotEqual(0, done.code)
            # The run before served and ended.
            self.assertNotIn("serving", done.err)
            self.assertNotIn("info ended", done.err)
            self.assertIn("its last words, from", done.err)
            self.assertIn("in use", done.err)
            # One that ends with the command has said it there already.
            self.assertEqual(done.code, here.code)
            self.assertIn("its last words are above", here.err)
            self.assertEqual(1, here.err.count("in use"), here.err)
        finally:
            left = other.stop()
            other.remove()
        self.assertEqual([], left)

    def test_config_check_finds_the_same(self):
        path = os.path.join(self.cell.work, "bad.toml")
        with open(path, "w", encoding="utf-8") as file:
            file.write("[manager]\nqueue_session_max = 3\n")
        done = self.cell.reeve("config", "check", path, code=2)
        self.assertIn("queue_sessions_max", done.err)

    def test_a_directory_that_is_no_cell_is_refused(self):
        other = os.path.join(self.cell.base, "other")
        os.makedirs(other)
        with open(os.path.join(other, "thesis.tex"), "w",
                  encoding="utf-8") as file:
            file.write("mine")
        self.cell.reeve("up", "--detach", "--data", other, code=6)
        self.assertEqual(["thesis.tex"], os.listdir(other))
        # Nor does a folder of that name make it one.
        for name in ("log/syslog", "log/apt"):
            os.makedirs(os.path.join(other, name))
        os.chmod(other, 0o755)
        self.cell.reeve("up", "--detach", "--data", other, code=6)
        self.assertEqual(["log", "thesis.tex"], sorted(os.listdir(other)))
        self.assertEqual(0o755, os.stat(other).st_mode & 0o777)

    def test_what_only_a_start_takes_is_told_where_the_cell_is_up(self):
        port = cells.read(os.path.join(self.cell.data, "bus", "server.json"))
        done = self.cell.up("--port", "4999")
        self.assertIn("--port is passed over", done.err)
        self.assertIn("already up", done.err)
        self.assertEqual(port, cells.read(
            os.path.join(self.cell.data, "bus", "server.json")))
        self.assertNotIn("passed over", self.cell.up().err)

    def test_the_script_that_starts_a_cell_knows_its_options(self):
        script = os.path.join(os.environ["REEVE_SOURCE"], "deploy", "up")
        done = subprocess.run([script, "--prot", "4999"], capture_output=True,
                              text=True, check=False,
                              env=self.cell.environment())
        self.assertEqual(2, done.returncode, done.stderr)
        self.assertIn("--prot", done.stderr)
        self.assertEqual("", done.stdout)

    def test_no_cell_at_all_says_how_to_start_one(self):
        done = self.cell.reeve("ps", "--data", self.cell.base + "/none",
                               code=5)
        self.assertIn("reeve up", done.err)


class QueueBoundTest(CellTest):
    SETTINGS = f"[manager]\nqueue_sessions_max = {WAITING_MAX}\n"

    def test_over_the_queue_bound_one_is_told_to_try_again(self):
        hold = [self.cell.submit("--not-before", "+1h", "--", "true")
                for _ in range(WAITING_MAX)]
        done = self.cell.reeve("submit", "--", "true", code=3)
        self.assertIn("try again", done.err)
        self.assertIn(str(WAITING_MAX), done.err)
        self.cell.reeve("cancel", hold[0])
        self.cell.reeve("run", "--", "true")


class PartOfAFileTest(CellTest):
    def test_what_was_accepted_of_a_file_is_told_beside_what_was_not(self):
        good, wordy = ({"command": ["true", "x" * size]}
                       for size in (1, 300 << 10))
        done = self.cell.reeve(
            "submit", "--file", "-", code=3,
            input="".join(json.dumps(line) + "\n"
                          for line in (good, wordy, good)))
        self.assertEqual(2, len(done.out.split()), done)
        self.assertIn("session 2: ", done.err)
        self.cell.reeve("wait", *done.out.split())


class MailboxBoundTest(CellTest):
    SETTINGS = ("[agent]\ncpus = 32\n"
                "[manager]\nmailbox_messages_max = 16\n")

    def test_a_flood_is_answered_whole_and_none_of_it_is_lost(self):
        # 1,000 at once against a bound of 16 messages. Whether the manager
        # ever falls so far behind is a matter of time; the test of the ingress
        # (tools/daemon/) has one that reads nothing.
        count = 1000
        lines = (json.dumps({"sim-duration": "1ms"}) + "\n") * count
        self.cell.up("--sim-nodes", "4")
        done = self.cell.reeve("submit", "--file", "-", "--json", code=None,
                               input=lines)
        accepted = [one["session_id"] for one in done.lines()]
        refused = [line for line in done.err.splitlines() if line]
        self.assertEqual(count, len(accepted) + len(refused), done)
        for line in refused:
            self.assertIn("try again", line)
            self.assertIn("16", line)
        wait_until("all that were accepted have ended",
                   lambda: self.cell.status()["sessions"].get(
                       "succeeded", 0) == len(accepted))


if __name__ == "__main__":
    sys.exit(cells.main())
