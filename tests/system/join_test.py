"""Hosts that join a cell, and leave it: real processes in network namespaces
with links between them."""
import base64
import json
import os
import shutil
import signal
import subprocess
import time
import unittest

import cell as cells
import hosts as rig
from head_cell import HEAD, HeadCase
from hosts import wait_until
from scenario_faults import can_set_clocks, clock

JOIN_S_MAX = 5 * cells.SLOWNESS
# With which reeved ends where it was removed.
REMOVED = 7
BLOCK_BYTES = 4096
TASKS = 4
# For which an agent is asked for one stream of a task.
OUTPUT_TIMEOUT_S = 5


def fields_of(token):
    body = token.removeprefix("reeve1:")
    return json.loads(base64.urlsafe_b64decode(body + "=" * (-len(body) % 4)))


def changed(token, **fields):
    """The token with other fields."""
    text = json.dumps({**fields_of(token), **fields}).encode()
    return "reeve1:" + base64.urlsafe_b64encode(text).decode().rstrip("=")


class JoinTest(HeadCase):
    def test_a_host_joins_runs_sessions_and_leaves(self):
        begun = time.monotonic()
        node = self.join("n1", "--group", "default", "--label", "rack=r7")
        self.await_node("n1", seconds=JOIN_S_MAX)
        self.assertLess(time.monotonic() - begun, 2 * JOIN_S_MAX)
        shown = self.head.reeve("node", "show", "n1", "--json").json()
        self.assertEqual([{"key": "rack", "value": "r7"}], shown["labels"])
        done = self.head.reeve("run", "--on-node", "n1", "--", "sh", "-c",
                               "ip -brief address show eth0")
        self.assertIn(node.address, done.out)
        # What it said is read from there, too.
        one = self.head.submit("--on-node", "n1", "--", "echo", "over there")
        self.head.reeve("wait", one)
        self.assertEqual("over there\n", self.head.reeve("logs", one).out)
        members = self.head.reeve("members", "--json").json()
        self.assertEqual(["agent-n1"], [one["principal"] for one in members])
        long = self.head.submit("--on-node", "n1", "--", "sleep", "600")
        self.head.await_state(long, "running")
        refused = node.reeve("leave", code=3)
        self.assertIn("--force", refused.err)
        self.head.reeve("cancel", long)
        self.head.await_state(long, "cancelled")
        node.reeve("leave")
        self.assertEqual([], self.head.reeve("members", "--json").json())
        self.assertNotIn("n1", self.nodes())
        self.assertFalse(os.path.exists(os.path.join(node.data, "cell.toml")))

    def test_output_of_an_earlier_try_is_read_where_it_ran(self):
        self.join("n1")
        self.await_node("n1")
        go_on = os.path.join(self.head.work, "go-on")
        one = self.head.submit(
            "--prefer", "node=n1", "--requeue", "1", "--", "sh", "-c",
            "echo on $REEVE_NODE; [ $REEVE_ATTEMPT = 2 ] && exit; "
            f"while [ ! -e {go_on} ]; do sleep 0.1; done; exit 1")
        self.head.await_state(one, "running")
        self.head.reeve("node", "drain", "n1")
        open(go_on, "w", encoding="utf-8").close()
        self.head.reeve("wait", one)
        self.assertEqual("on head\n", self.head.reeve("logs", one).out)
        self.assertEqual("on n1\n", self.head.reeve(
            "logs", one, "--attempt", "1").out)

    def test_a_session_waits_for_room_on_the_disk_of_its_node(self):
        node = self.join("n1", disk_mib=64)
        self.await_node("n1")
        self.head.reeve("run", "--on-node", "n1", "--", "true")
        node.fill()
        # The last block of the keeper's journal has room for some.
        some = [self.head.submit("--on-node", "n1", "--", "true")
                for _ in range(60)]

        def states():
            shown = {one["session_id"]: one["state"] for one in self.head.reeve(
                "ps", "--all", "--json").json()["sessions"]}
            return {shown[one] for one in some}
        wait_until("one waits", lambda: "placed" in states() and
                   not {"starting", "running"} & states())
        time.sleep(6)  # the launches come again
        self.assertIn("placed", states())
        self.assertNotIn("failed", states())
        node.make_room()
        self.head.reeve("wait", *some)
        self.assertEqual({"succeeded"}, states())

    def test_sessions_outlive_a_restart_of_their_agent(self):
        node = self.join("n1")
        self.await_node("n1")
        one = self.head.submit("--on-node", "n1", "--", "sh", "-c",
                               "sleep 3; echo done")
        pid = self.head.await_state(one, "running")["tasks"][0]["pid"]
        node.kill_daemon()
        self.assertTrue(cells.is_running(pid))
        node.up()
        self.head.reeve("wait", one)
        self.assertEqual("done\n", self.head.reeve("logs", one).out)
        self.assertEqual(1, self.head.show(one)["attempt"])

    def test_a_join_that_a_full_disk_cut_short_is_done_again(self):
        node = self.hosts.add("n1", disk_mib=8)
        node.empty()
        token = self.token("--role", "agent")
        # In no directory, as if another program had taken the room.
        with open(node.filler, "wb", buffering=0) as file:
            os.unlink(node.filler)
            size = os.statvfs(node.data).f_bavail * BLOCK_BYTES
            os.posix_fallocate(file.fileno(), 0, size)
            for blocks in (1, 2):
                file.truncate(size - blocks * BLOCK_BYTES)
                done = node.reeve("join", token, "--name", "n1", code=None)
                self.assertIn("No space left", done.err)
                self.assertFalse(os.path.exists(
                    os.path.join(node.data, "cell.toml")))
                refused = node.reeve("up", "--detach", code=6)
                self.assertIn("no cell", refused.err)
        self.assertEqual(["agent-n1"], [one["principal"] for one in
                         self.head.reeve("members", "--json").json()])
        # One that was killed leaves what it had begun.
        begun = os.path.join(node.data, "cell.toml.4711")
        open(begun, "w", encoding="utf-8").close()
        node.reeve("join", token, "--name", "n1")
        self.assertFalse(os.path.exists(begun))
        self.await_node("n1")
        self.head.reeve("run", "--on-node", "n1", "--", "true")

    def test_a_host_whose_daemon_was_killed_leaves_nothing_running(self):
        node = self.join("n1")
        self.await_node("n1")
        one = self.head.submit("--on-node", "n1", "--", "sleep", "600")
        pid = self.head.await_state(one, "running")["tasks"][0]["pid"]
        keeper = node.keeper_pid()
        node.kill_daemon()
        self.await_node("n1", "lost")
        self.head.await_state(one, "failed")
        self.assertTrue(cells.is_running(pid))
        node.reeve("leave")
        self.assertFalse(cells.is_running(pid))
        self.assertFalse(cells.is_running(keeper))
        self.assertEqual(set(), cells.processes_of(node.data))

    def test_run_asks_an_agent_that_is_gone_for_one_stream_alone(self):
        node = self.join("n1")
        self.await_node("n1")
        child = self.head.start(
            "run", "--on-node", "n1", "--tasks", str(TASKS), "--cpus", "0.1",
            "--", "sh", "-c", "echo ready; exec sleep 600")
        self.assertEqual([f"{rank}: ready\n" for rank in range(TASKS)],
                         sorted(child.stdout.readline()
                                for _ in range(TASKS)))
        one = self.head.reeve("ps", "--json").json()[
            "sessions"][0]["session_id"]
        node.kill_daemon()
        self.head.await_state(one, "failed")
        begun = time.monotonic()
        done = self.head.finish(child)
        self.assertLess(time.monotonic() - begun,
                        TASKS * OUTPUT_TIMEOUT_S, done)
        self.assertEqual(2 * TASKS, done.err.count("is missing"), done)

    def test_a_daemon_waits_for_its_cell_and_for_a_link(self):
        node = self.join("n1")
        self.await_node("n1")
        node.cut()
        self.await_node("n1", "lost")
        node.heal()
        self.await_node("n1")
        node.kill_daemon()
        self.head.reeve("down")
        child = node.start("up", "--detach")
        time.sleep(2)
        self.assertIsNone(child.poll())
        self.head.up()
        self.assertEqual(0, node.finish(child).code)
        self.await_node("n1")

    def test_a_removed_member_is_sent_away_at_once_with_its_tasks(self):
        node = self.join("n1")
        self.await_node("n1")
        one = self.head.submit("--on-node", "n1", "--", "sleep", "600")
        pid = self.head.await_state(one, "running")["tasks"][0]["pid"]
        daemon = node.daemon_pid()
        begun = time.monotonic()
        self.head.reeve("members", "remove", "agent-n1", "--reason", "stolen")
        wait_until("the daemon ends",
                   lambda: not cells.is_running(daemon))
        wait_until("the task ends", lambda: not cells.is_running(pid))
        self.assertLess(time.monotonic() - begun, 30 * cells.SLOWNESS)
        refused = node.reeve("up", "--detach", code=None)
        self.assertNotEqual(0, refused.code)
        self.assertIn("does not know", refused.err)
        # Nothing of it is left but files: it leaves what it was.
        node.reeve("leave")

    def test_a_node_with_its_settings_alone_says_how_to_join_again(self):
        node = self.join("n1")
        self.await_node("n1")
        node.reeve("down")
        settings = node.keep_settings_alone()
        refused = node.reeve("up", "--detach", code=4)
        self.assertIn("a node of the cell", refused.err)
        self.assertIn("reeve node resume n1", refused.err)
        self.assertIn("move cell.toml away", refused.err)
        self.assertEqual(settings, node.keep_settings_alone())

    def test_a_cell_that_kept_its_settings_alone_begins_anew_with_them(self):
        self.head.reeve("user", "set", "ann", "--uid", "12345")
        self.head.reeve("down")
        settings = self.head.keep_settings_alone()
        self.head.up()
        self.assertEqual(settings, cells.read(
            os.path.join(self.head.data, "cell.toml")))
        self.assertNotIn("ann", self.head.reeve("user", "list").out)

    def test_users_of_other_hosts(self):
        self.head.reeve("user", "set", "ann", "--uid", "12345")
        desk = self.hosts.add("desk")
        desk.empty()
        token = self.token("--role", "user", "--name", "ann")
        for option, value in (("--group", "default"), ("--label", "rack=r1"),
                              ("--address", "desk")):
            done = desk.reeve("join", token, option, value, code=2)
            self.assertIn(f"{option} is not for this token", done.err)
        desk.reeve("join", token)
        self.assertEqual("hello\n", desk.reeve("run", "--", "echo",
                                               "hello").out)
        sessions = desk.reeve("ps", "--all", "--json").json()[
            "sessions"]
        self.assertEqual(["ann"], [one["user"] for one in sessions])
        refused = desk.reeve("node", "drain", "head", code=3)
        self.assertIn("only root and admins", refused.err)
        self.assertEqual(2, desk.reeve("up", code=2).code)
        done = desk.reeve("token", "create", "--role", "manager", "--name",
                          "m2", code=2)
        self.assertIn("on the host of a manager of main", done.err)

    def test_a_host_that_cannot_answer_says_who_can(self):
        node = self.join("n1")
        for words in (["status"], ["nodes"], ["members"],
                      ["token", "create", "--role", "agent"]):
            done = node.reeve(*words, code=2)
            self.assertIn("this host is a node of the cell main", done.err)
            self.assertIn("reeve token create --role user", done.err)
        self.head.reeve("user", "set", "ann", "--uid", "12345")
        desk = self.hosts.add("desk")
        desk.empty()
        desk.reeve("join", self.token("--role", "user", "--name", "ann"))
        self.head.reeve("down")
        done = desk.reeve("status", code=5)
        self.assertIn("look whether its managers run", done.err)
        self.assertNotIn("reeve up", done.err)

    def test_the_bus_lets_a_host_in_once_it_has_joined(self):
        self.head.reeve("user", "set", "ann", "--uid", "12345")
        desk = self.hosts.add("desk")
        desk.empty()
        for _ in range(8):
            desk.reeve("join", self.token("--role", "user", "--name", "ann"))
            desk.reeve("ps")
            desk.reeve("leave")

    def test_tokens_that_let_nobody_in_say_why(self):
        used = self.token("--role", "agent")
        first = self.hosts.add("n1")
        first.empty()
        first.reeve("join", used, "--name", "n1")
        second = self.hosts.add("n2")
        second.empty()
        for token, said in (
                (used, "used"),
                (self.token("--role", "agent", "--name", "other"), "other"),
                ("reeve1:AAAA", "token"),
                (used[:-5], "token"),
                (used + "x", "token")):
            done = second.reeve("join", token, "--name", "n2", code=None)
            self.assertIn(done.code, (2, 3, 6), done)
            self.assertIn(said, done.err)
            self.assertFalse(os.path.exists(
                os.path.join(second.data, "cell.toml")))
        revoked = self.head.reeve("token", "create", "--role", "agent")
        number = self.head.reeve("token", "list", "--json").json()[-1]["token"]
        self.head.reeve("token", "revoke", str(number))
        done = second.reeve("join", revoked.out.strip(), "--name", "n2", code=3)
        self.assertIn("revoked", done.err)
        # Nobody else may come as the head's own node.
        done = self.head.reeve("token", "create", "--role", "agent", "--name",
                               "head", code=3)
        self.assertIn("choose another name", done.err)
        done = self.head.reeve("token", "revoke", "x", code=2)
        self.assertIn('"x" is no number of a token', done.err)
        done = self.head.reeve("token", "create", "--role", "agent", "--uses",
                               "0", code=2)
        self.assertIn("from 1 to 10000", done.err)
        # A name that is taken.
        done = second.reeve("join", self.token("--role", "agent"), "--name",
                            "n1", code=3)
        self.assertIn("n1", done.err)
        done = second.reeve("join", self.token("--role", "agent"), "--name",
                            "head", code=None)
        self.assertIn(done.code, (3,), done)
        # It was no fault of the host's.
        second.reeve("join", self.token("--role", "agent"), "--name", "n2")
        self.await_node("n2")

    def refused(self, host, token, *said):
        """A host that may not join is told why, and nothing is left there."""
        done = host.reeve("join", token, "--name", host.name, code=None)
        self.assertIn(done.code, (3, 5), done)
        for words in said:
            self.assertIn(words, done.err)
        self.assertFalse(os.path.exists(os.path.join(host.data, "cell.toml")))

    def test_a_join_that_found_nobody_is_done_again_by_another_token(self):
        node = self.hosts.add("n1")
        node.empty()
        token = self.token("--role", "agent")
        nobody = f"tls://{rig.NETWORK}.77:4222"
        done = node.reeve("join", changed(token, urls=[nobody]), "--name",
                          "n1", code=5)
        self.assertIn(nobody, done.err)
        self.assertIn("bus.advertise", done.err)
        node.reeve("join", token, "--name", "n1")
        self.await_node("n1")

    def test_what_another_cell_made_is_refused(self):
        other = self.hosts.add("other", HEAD.replace(
            f"{rig.NETWORK}.1", f"{rig.NETWORK}.2"))
        other.up()
        foreign = other.reeve("token", "create", "--role", "agent").out.strip()
        third = self.hosts.add("third")
        third.empty()
        # Where the token leads there is another cell.
        urls = fields_of(self.token("--role", "agent"))["urls"]
        self.refused(third, changed(foreign, urls=urls),
                     "that the CA of cell main did not sign", "another cell")
        # Of the right shape, and its secret is another.
        forged = changed(self.token("--role", "agent"),
                         seed=fields_of(foreign)["seed"])
        self.refused(third, forged, "does not know the key",
                     "ask an admin of main for a new token (reeve token",
                     "in an empty directory")
        # Its number or role is another, and it is not used up by that.
        token = self.token("--role", "agent")
        self.refused(third, changed(token, id=77),
                     "does not take this for token 77", "was changed",
                     "reeve token create")
        self.refused(third, changed(token, role="user"),
                     "is for one more agent", "was changed")
        self.assertEqual([0], [one["used"] for one in self.head.reeve(
            "token", "list", "--json").json()
            if one["token"] == fields_of(token)["id"]])
        # It was no fault of the host's.
        third.reeve("join", foreign, "--name", "third")
        wait_until("it is there", lambda: "third" in other.reeve("nodes").out)
        # A bus of another cell does not say that one was removed.
        own = os.path.join(third.data, "bus", "agent.json")
        kept = cells.read(own)
        authority = cells.read(os.path.join(self.head.data, "bus", "ca.pem"))
        with open(own, "w", encoding="utf-8") as file:
            json.dump({**json.loads(kept), "ca": authority}, file)
        unsure = third.reeve("leave", code=3)
        self.assertIn("did not sign", unsure.err)
        with open(own, "w", encoding="utf-8") as file:
            file.write(kept)
        third.reeve("leave")

    @unittest.skipUnless(can_set_clocks(), "no clock can be set off here")
    def test_clocks_and_tokens_out_of_their_time_say_what_to_do(self):
        token = self.token("--role", "agent", "--ttl", "1h")
        third = self.hosts.add("third")
        third.empty()
        for offset, words in (("-2d", "not valid yet"), ("+200d", "expired")):
            third.variables = clock(offset)
            self.refused(third, token, words,
                         "compare the clocks of both hosts")
        third.variables = {}
        # Two hours later.
        self.head.kill_daemon()
        self.head.variables = clock("+2h")
        self.head.up()
        self.refused(third, token, "expired at", "ask an admin for a new one")
        third.reeve("join", self.token("--role", "agent"), "--name", "third")
        self.await_node("third")

    def test_a_host_that_was_removed_while_it_was_down_ends_its_tasks(self):
        node = self.join("n1")
        self.await_node("n1")
        one = self.head.submit("--on-node", "n1", "--", "sleep", "600")
        pid = self.head.await_state(one, "running")["tasks"][0]["pid"]
        keeper = node.keeper_pid()
        node.kill_daemon()
        self.head.reeve("members", "remove", "agent-n1", "--reason", "stolen")
        self.assertTrue(cells.is_running(pid))
        daemon = node.start_daemon()
        self.assertEqual(REMOVED, daemon.wait(timeout=cells.PATIENCE_S))
        self.assertIn("it was removed", node.last_words())
        self.assertFalse(cells.is_running(keeper))
        self.assertFalse(cells.is_running(pid))

    def test_a_node_that_waits_for_its_cell_ends_with_its_tasks_when_told(self):
        node = self.join("n1")
        self.await_node("n1")
        one = self.head.submit("--on-node", "n1", "--", "sleep", "600")
        pid = self.head.await_state(one, "running")["tasks"][0]["pid"]
        keeper, bus = node.keeper_pid(), self.head.bus_pid()
        self.head.kill_daemon()
        os.kill(bus, signal.SIGKILL)
        node.kill_daemon()
        daemon = node.start_daemon()
        wait_until("it waits", lambda: "trying again" in node.last_words())
        self.assertTrue(cells.is_running(pid))
        daemon.terminate()
        daemon.wait(timeout=cells.PATIENCE_S)
        self.assertFalse(cells.is_running(keeper))
        self.assertFalse(cells.is_running(pid))

    def test_a_server_that_does_not_know_it_yet_removes_no_node(self):
        """The only other server is one of before the node joined."""
        stale = self.hosts.add("stale")
        node = self.hosts.add("n1")
        self.head.reeve("down")
        self.head.settings(HEAD + f'advertise = "{stale.address}"\n')
        self.head.up()
        files = shutil.copytree(os.path.join(self.head.data, "bus"),
                                os.path.join(stale.data, "bus"))
        config = os.path.join(files, "server.conf")
        text = cells.read(config).replace(self.head.data, stale.data).replace(
            self.head.address, stale.address)
        with open(config, "w", encoding="utf-8") as file:
            file.write(text)
        program = os.readlink(f"/proc/{self.head.bus_pid()}/exe")
        node.empty()
        node.reeve("join", self.token("--role", "agent"), "--name", "n1")
        self.await_node("n1")
        one = self.head.submit("--on-node", "n1", "--", "sleep", "600")
        pid = self.head.await_state(one, "running")["tasks"][0]["pid"]
        daemon, bus = node.daemon_pid(), self.head.bus_pid()
        with subprocess.Popen([*stale.prefix, program, "-c", config]) as server:
            try:
                self.head.kill_daemon()
                os.kill(bus, signal.SIGKILL)
                wait_until("the node is sent away", lambda: (
                    "does not know this node's key" in node.last_words()))
                time.sleep(2)
                self.head.up()
                self.await_node("n1")
            finally:
                server.terminate()
        self.assertEqual(daemon, node.daemon_pid())
        self.assertTrue(cells.is_running(pid))
        self.assertEqual("running", self.head.show(one)["state"])


if __name__ == "__main__":
    rig.main()
