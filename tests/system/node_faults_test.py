"""What a node meets: its keeper killed, and a daemon that is not root."""
import os
import pwd
import signal
import subprocess
import sys
import unittest

import cell as cells
from cell import BIN, Cell, CellTest, wait_until


class KeeperKilledTest(CellTest):
    def keeper(self):
        return wait_until("the keeper's pid is told", lambda: self.cell.status(
            )["counters"].get("keeper_pid"))

    def test_tasks_end_with_their_keeper_and_the_node_goes_on(self):
        plain = self.cell.submit("--", "sleep", "86400")
        again = self.cell.submit("--requeue", "1", "--", "sh", "-c",
                                 "[ $REEVE_ATTEMPT = 2 ] || sleep 86400")
        pids = [self.cell.await_state(one, "running")["tasks"][0]["pid"]
                for one in (plain, again)]
        keeper = self.keeper()
        os.kill(keeper, signal.SIGKILL)
        shown = self.cell.await_state(plain, "failed")
        self.assertEqual("task_lost", shown["reason"])
        self.assertIn("keeper", self.cell.reeve("why", plain).out)
        self.cell.reeve("wait", again)
        self.assertEqual(2, self.cell.show(again)["attempt"])
        self.assertFalse(any(cells.is_running(pid) for pid in pids))
        self.cell.reeve("run", "--", "true")
        self.assertNotEqual(keeper, self.keeper())

    def test_a_daemon_and_its_keeper_killed_together_come_back(self):
        one = self.cell.submit("--", "sleep", "86400")
        pid = self.cell.await_state(one, "running")["tasks"][0]["pid"]
        keeper = self.keeper()
        self.cell.kill_daemon()
        os.kill(keeper, signal.SIGKILL)
        wait_until("the task is gone", lambda: not cells.is_running(pid))
        self.cell.up()
        shown = self.cell.await_state(one, "failed")
        self.assertEqual("task_lost", shown["reason"])
        self.cell.reeve("run", "--", "true")


class DownTest(unittest.TestCase):
    """`down` ends all that the cell runs, whatever state it is in."""

    def setUp(self):
        self.cell = Cell()
        self.cell.up()
        one = self.cell.submit("--", "sh", "-c", "setsid sleep 4321 & sleep "
                               "4321")
        pid = self.cell.await_state(one, "running")["tasks"][0]["pid"]
        self.tree = cells.children_of([pid]) | {pid}
        self.keeper = wait_until("the keeper's pid is told", lambda:
                                 self.cell.status()["counters"].get(
                                     "keeper_pid"))

    def tearDown(self):
        words = self.cell.last_words()
        left = self.cell.stop()
        self.assertEqual([], left, words)
        self.cell.remove()

    def all_is_gone(self):
        left = [pid for pid in self.tree | {self.keeper}
                if cells.is_running(pid)]
        self.assertEqual([], left)
        self.assertEqual(set(), cells.processes_of(self.cell.base))

    def test_a_stopped_keeper_is_killed_with_its_tasks(self):
        os.kill(self.keeper, signal.SIGSTOP)
        done = self.cell.reeve("down")
        self.assertIn(f"pid {self.keeper}, was killed", done.err)
        self.all_is_gone()

    def test_what_a_killed_daemon_left_is_ended(self):
        self.cell.kill_daemon()
        self.assertTrue(cells.is_running(self.keeper))
        done = self.cell.reeve("down")
        self.assertIn(f"keeper (pid {self.keeper})", done.err)
        self.assertIn("bus server", done.err)
        self.all_is_gone()


class RemovedNodeTest(CellTest):
    def node(self):
        return self.cell.reeve("nodes", "--json").json()["nodes"][0]["name"]

    def test_a_removed_node_stays_out_until_it_is_resumed(self):
        name = self.node()
        one = self.cell.submit("--", "sleep", "86400")
        self.cell.await_state(one, "running")
        done = self.cell.reeve("node", "remove", name, code=3)
        self.assertIn("drain", done.err)
        self.cell.reeve("cancel", one)
        self.cell.await_state(one, "cancelled")
        self.cell.reeve("node", "remove", name)
        # The agent registers when it starts: it is refused, and says so.
        self.cell.kill_daemon()
        self.cell.up()
        wait_until("the refusal is told",
                   lambda: f"node {name} was removed" in
                   self.cell.last_words())
        self.assertEqual([], self.cell.reeve("nodes", "--json").json()["nodes"])
        done = self.cell.reeve("node", "show", name, code=4)
        self.assertIn("node resume", done.err)
        self.cell.reeve("submit", "--", "true", code=3)
        self.cell.reeve("node", "resume", name)
        wait_until("it is back", lambda: self.cell.reeve(
            "nodes", "--json").json()["nodes"])
        self.cell.reeve("run", "--", "true")


class OrdinaryUserTest(unittest.TestCase):
    """All of it without root, through user namespaces."""

    def setUp(self):
        self.cell = Cell()
        if os.geteuid() == 0:
            nobody = pwd.getpwnam("nobody")
            for path in (self.cell.base, self.cell.data, self.cell.work,
                         os.path.join(self.cell.data, "cell.toml")):
                os.chown(path, nobody.pw_uid, nobody.pw_gid)
            self.cell.identity = {"user": nobody.pw_uid,
                                  "group": nobody.pw_gid, "extra_groups": []}
        try:
            subprocess.run([os.path.join(BIN, "reeve"), "--version"],
                           check=True, stdout=subprocess.DEVNULL,
                           **self.cell.identity)
        except PermissionError:
            self.cell.remove()
            self.skipTest(f"{BIN} is closed to ordinary users")

    def tearDown(self):
        words = self.cell.last_words()
        left = self.cell.stop()
        self.assertEqual([], left, words)
        self.cell.remove()

    def test_sessions_run_and_what_cannot_be_had_is_said(self):
        self.cell.up()
        done = self.cell.reeve("run", "--", "sh", "-c",
                               "id -u; touch here; exit 4", code=4)
        uid = self.cell.identity.get("user", os.geteuid())
        self.assertEqual(f"{uid}\n", done.out)
        self.assertTrue(os.path.exists(self.cell.work + "/here"))
        one = self.cell.submit("--", "sh", "-c", "setsid sleep 4321 & "
                               "touch tree; wait")
        wait_until("the tree stands", lambda: os.path.exists(
            self.cell.work + "/tree"))
        pid = self.cell.show(one)["tasks"][0]["pid"]
        tree = cells.children_of([pid]) | {pid}
        self.cell.kill_daemon()
        self.cell.up()
        self.assertEqual(pid, self.cell.show(one)["tasks"][0]["pid"])
        self.cell.reeve("cancel", one)
        self.cell.await_state(one, "cancelled")
        wait_until("the tree is gone",
                   lambda: not any(cells.is_running(p) for p in tree))
        nodes = self.cell.reeve("nodes", "--json").json()["nodes"]
        shown = self.cell.reeve("node", "show", nodes[0]["name"]).out
        self.assertIn("not started as root", shown)


if __name__ == "__main__":
    sys.exit(cells.main())
