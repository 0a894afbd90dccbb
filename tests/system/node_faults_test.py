"""What a node meets: its keeper killed, and a daemon that is not root."""
import os
import pwd
import shutil
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
        wait_until("the keeper is stopped", lambda: cells.read(
            f"/proc/{self.keeper}/stat").rpartition(")")[2].split()[0] == "T")
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


class RuntimeDirTest(unittest.TestCase):
    """Where tasks have their files, said in other settings than the cell's."""

    def setUp(self):
        self.cell = Cell()
        self.settings = os.path.join(self.cell.base, "other.toml")
        with open(self.settings, "w", encoding="utf-8") as file:
            file.write(f'[agent]\nruntime_dir = "{self.cell.base}/run"\n')

    def tearDown(self):
        words = self.cell.last_words()
        left = self.cell.stop()
        self.assertEqual([], left, words)
        self.cell.remove()

    def test_down_finds_the_keeper_that_a_daemon_left_there(self):
        for number in (signal.SIGKILL, signal.SIGUSR1):
            with self.subTest(signal=number):
                self.cell.up("--config", self.settings)
                one = self.cell.submit("--", "sleep", "86400")
                task = self.cell.await_state(
                    one, "running")["tasks"][0]["pid"]
                pid = self.cell.daemon_pid()
                os.kill(pid, number)
                wait_until("the daemon is gone",
                           lambda: not cells.is_running(pid))
                self.assertTrue(cells.is_running(task))
                done = self.cell.reeve("down")
                self.assertIn("its keeper (pid ", done.err)
                self.assertFalse(cells.is_running(task))


class StartingTest(unittest.TestCase):
    """A daemon that still starts: its bus server waits for the test."""

    def setUp(self):
        self.cell = Cell()
        self.go = os.path.join(self.cell.base, "go")
        programs = os.path.join(self.cell.base, "programs")
        os.makedirs(programs)
        path = os.environ["PATH"] + ":/usr/sbin:/usr/local/sbin"
        server = os.path.join(programs, "nats-server")
        with open(server, "w", encoding="utf-8") as file:
            file.write(f"#!/bin/sh\nwhile [ ! -e {self.go} ]; do sleep 0.05; "
                       f"done\nexec {shutil.which('nats-server', path=path)}"
                       ' "$@"\n')
        os.chmod(server, 0o755)
        with open(os.path.join(self.cell.data, "reeved.log"), "ab") as log:
            self.daemon = subprocess.Popen(
                [os.path.join(BIN, "reeved"), "--data", self.cell.data],
                stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                start_new_session=True,
                env={**self.cell.environment(), "PATH": f"{programs}:{path}"})

    def tearDown(self):
        words = self.cell.last_words()
        left = self.cell.stop()
        self.daemon.wait(timeout=cells.PATIENCE_S)
        self.assertEqual([], left, words)
        self.cell.remove()

    def is_told_to_end(self):
        status = cells.read(f"/proc/{self.daemon.pid}/status")
        waiting = [int(line.split()[1], 16) for line in status.splitlines()
                   if line.startswith("ShdPnd:")]
        return any(mask >> (signal.SIGTERM - 1) & 1 for mask in waiting)

    def test_down_waits_for_it_and_ends_it(self):
        wait_until("it waits for its bus", lambda: os.path.exists(
            os.path.join(self.cell.data, "bus", "server.json")), pause=0.01)
        self.assertFalse(os.path.exists(
            os.path.join(self.cell.data, "reeved.pid")))
        down = self.cell.start("down")
        wait_until("it is told to end, or passed over", lambda:
                   self.is_told_to_end() or down.poll() is not None)
        with open(self.go, "w", encoding="utf-8"):
            pass
        done = self.cell.finish(down)
        self.assertEqual(0, done.code, done)
        self.assertIn(f"it was pid {self.daemon.pid}", done.err)
        self.assertEqual(0, self.daemon.wait(timeout=cells.PATIENCE_S))


class UnitTest(unittest.TestCase):
    """The systemd unit, as far as it can be followed without systemd."""

    def setUp(self):
        self.cell = Cell()
        os.unlink(os.path.join(self.cell.data, "cell.toml"))
        path = os.path.join(os.environ["REEVE_SOURCE"], "deploy", "systemd",
                            "reeved.service")
        self.unit = dict(line.split("=", 1)
                         for line in cells.read(path).splitlines()
                         if "=" in line and not line.startswith("#"))

    def tearDown(self):
        words = self.cell.last_words()
        left = self.cell.stop()
        self.assertEqual([], left, words)
        self.cell.remove()

    def start(self):
        program, *words = self.unit["ExecStart"].split()
        words = [word.replace("${REEVE_DATA}", self.cell.data)
                 for word in words]
        with open(os.path.join(self.cell.data, "reeved.log"), "ab") as log:
            daemon = subprocess.Popen(
                [os.path.join(BIN, os.path.basename(program)), *words],
                stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                env=self.cell.environment())
        wait_until("it serves", lambda: str(daemon.pid) in cells.read(
            os.path.join(self.cell.data, "reeved.pid")).split())
        return daemon

    def end(self, daemon, name):
        daemon.send_signal(signal.Signals[self.unit[name]])
        self.assertEqual(0, daemon.wait(timeout=cells.PATIENCE_S))

    def test_tasks_outlive_a_restart_and_end_with_a_stop(self):
        self.assertEqual("process", self.unit["KillMode"])
        self.assertNotIn("ExecStop", self.unit)
        daemon = self.start()
        wait_until("the node has joined", lambda: self.cell.reeve(
            "nodes", "--json").json()["nodes"])
        one = self.cell.submit("--", "sleep", "86400")
        task = self.cell.await_state(one, "running")["tasks"][0]["pid"]
        self.end(daemon, "RestartKillSignal")
        self.assertTrue(cells.is_running(task))
        daemon = self.start()
        shown = self.cell.show(one)
        self.assertEqual(("running", 1, task), (
            shown["state"], shown["attempt"], shown["tasks"][0]["pid"]))
        self.end(daemon, "KillSignal")
        self.assertFalse(cells.is_running(task))
        self.assertEqual(set(), cells.processes_of(self.cell.base))


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


class KeptOutputTest(CellTest):
    SETTINGS = '[agent]\ncpus = 4\nkept_output_bytes_max = "100K"\n'

    def test_the_oldest_output_makes_room_and_is_told_to_be_gone(self):
        written = 40_000
        ended = []
        for _ in range(3):
            ended.append(self.cell.submit(
                "--", "sh", "-c", f"head -c {written} /dev/zero | tr '\\0' x"))
            self.cell.reeve("wait", ended[-1])
        wait_until("the first is gone", lambda: "no longer kept" in
                   self.cell.reeve("logs", ended[0], code=None).err)
        for one in ended[1:]:
            done = self.cell.reeve("logs", one)
            self.assertEqual("x" * written, done.out)
        left = sum(os.path.getsize(entry.path) for entry in os.scandir(
            os.path.join(self.cell.data, "node", "output")))
        self.assertEqual(2 * written, left)


class OrdinaryUserTest(unittest.TestCase):
    """All of it without root, through user namespaces."""

    def setUp(self):
        self.cell = Cell()
        if os.geteuid() == 0:
            nobody = pwd.getpwnam("nobody")
            # The build may lie where nobody else may look.
            self.cell.bin = shutil.copytree(
                BIN, os.path.join(self.cell.base, "bin"))
            os.chmod(self.cell.bin, 0o755)
            for name in os.listdir(self.cell.bin):
                os.chmod(os.path.join(self.cell.bin, name), 0o755)
            for path in (self.cell.base, self.cell.data, self.cell.work,
                         os.path.join(self.cell.data, "cell.toml")):
                os.chown(path, nobody.pw_uid, nobody.pw_gid)
            self.cell.identity = {"user": nobody.pw_uid,
                                  "group": nobody.pw_gid, "extra_groups": []}

    def tearDown(self):
        words = self.cell.last_words()
        left = self.cell.stop()
        self.assertEqual([], left, words)
        self.cell.remove()

    def test_sessions_run_and_what_cannot_be_had_is_said(self):
        told = self.cell.up().err.splitlines()
        self.assertNotIn("not started as root", self.cell.up().err)
        done = self.cell.reeve("run", "--", "sh", "-c",
                               "id -u; touch here; exit 4", code=4)
        uid = self.cell.identity.get("user", os.geteuid())
        self.assertEqual(f"{uid}\n", done.out)
        self.assertTrue(os.path.exists(self.cell.work + "/here"))
        one = self.cell.submit("--", "sh", "-c", "setsid sleep 4321 & "
                               "touch tree; wait")
        wait_until("the tree stands", lambda: os.path.exists(
            self.cell.work + "/tree"))
        pid = self.cell.await_state(one, "running")["tasks"][0]["pid"]
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
        # All that is found there, whoever starts the cell is told at once.
        self.assertEqual([f"reeve: {one}" for one in nodes[0]["limits"]],
                         told[:-1])
        self.assertIn("is up", told[-1])


if __name__ == "__main__":
    sys.exit(cells.main())
