"""deploy/up and deploy/down of a checkout, as its README has them."""
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import unittest

import cell as cells
from cell import BIN, read, wait_until

SOURCE = os.environ["REEVE_SOURCE"]
BUILD = os.path.dirname(BIN)
SKIPPED = 77
PROGRAMS = ("reeve", "reeved", "reeve-keeper", "reeve-log", "reeve-gpu-share")


class UpDownTest(unittest.TestCase):
    def setUp(self):
        self.home = tempfile.mkdtemp(prefix="reeve-up-", dir="/var/tmp")
        self.data = os.path.join(self.home, ".local/share/reeve")
        self.addCleanup(shutil.rmtree, self.home, ignore_errors=True)
        self.addCleanup(self.end_all)

    def end_all(self):
        self.script("down", code=None)
        for pid in cells.processes_of(self.home):
            os.kill(pid, signal.SIGKILL)

    def run_program(self, *command, code=0, cwd=None):
        environment = {name: value for name, value in os.environ.items()
                       if name != "REEVE_DATA"}
        done = subprocess.run(
            command, env={**environment, "HOME": self.home}, text=True,
            capture_output=True, check=False, cwd=cwd or "/",
            timeout=3 * cells.PATIENCE_S)
        if code is not None:
            self.assertEqual(code, done.returncode,
                             f"{command}:\n{done.stdout}{done.stderr}")
        return done

    def script(self, name, *arguments, **how):
        return self.run_program(os.path.join(SOURCE, "deploy", name),
                                *arguments, **how)

    def reeve(self, *arguments, **how):
        return self.run_program(os.path.join(BIN, "reeve"), *arguments, **how)

    def processes(self):
        return cells.processes_of(self.home)

    def head(self):
        return json.loads(
            self.reeve("log", "stats", "--json").stdout)["head_seq"]

    def lives_as(self, name):
        """The pid of that program of the cell, or nothing."""
        return next((pid for pid in self.processes()
                     if read(f"/proc/{pid}/comm").strip() == name), None)

    def test_up_twice_and_down(self):
        first = self.script("up")
        self.assertIn("hello from ", first.stdout)
        self.assertIn(f"REEVE_DATA={self.data}", first.stdout)
        for line in read(os.path.join(self.data, "up.pids")).splitlines():
            name, pid, start = line.split()
            self.assertEqual(cells.start_ticks(pid), int(start), name)
        before, head = self.processes(), self.head()
        again = self.script("up")
        self.assertNotIn("hello from ", again.stdout)
        self.assertEqual(before, self.processes())
        self.assertEqual(head, self.head())

        self.assertIn("nothing of the cell", self.script("down").stdout)
        self.assertEqual(set(), self.processes())
        self.assertIn("nothing of the cell", self.script("down").stdout)
        # What it held is there when it comes up again.
        self.script("up")
        self.assertIn("hello", self.reeve("ps", "--all").stdout)
        self.assertIn(f"removed {self.data}",
                      self.script("down", "--purge").stdout)
        self.assertFalse(os.path.exists(self.data))
        self.assertEqual(set(), self.processes())
        self.assertIn("nothing to do", self.script("down", "--purge").stdout)

    def test_down_ends_what_a_killed_daemon_left(self):
        self.script("up")
        self.reeve("submit", "--", "sleep", "1000")
        wait_until("the session runs", lambda: self.lives_as("sleep"))
        os.kill(self.lives_as("reeved"), signal.SIGKILL)
        self.assertTrue(self.processes())
        self.script("down", "--purge")
        self.assertEqual(set(), self.processes())
        self.assertFalse(os.path.exists(self.data))

    def test_purge_removes_nothing_but_a_cell(self):
        foreign = os.path.join(self.home, "foreign")
        os.mkdir(foreign)
        mine = os.path.join(foreign, "mine")
        with open(mine, "w", encoding="utf-8") as file:
            file.write("mine\n")
        told = self.script("down", "--purge", "--data", foreign, code=1)
        self.assertIn("does not hold the log of a cell", told.stderr)
        for precious, cwd in ((self.home, "/"), (SOURCE, "/"), ("/", "/"),
                              (foreign, foreign)):
            told = self.script("down", "--purge", "--data", precious, code=1,
                               cwd=cwd)
            self.assertIn("not removed", told.stderr)
        self.assertEqual("mine\n", read(mine))

    def test_purge_keeps_a_cell_that_holds_where_one_stands(self):
        self.script("up")
        told = self.script("down", "--purge", code=1,
                           cwd=os.path.join(self.data, "log"))
        self.assertIn("not removed", told.stderr)
        # It goes on.
        self.assertTrue(self.lives_as("reeved"))
        self.reeve("status")


if __name__ == "__main__":
    if BUILD != os.path.join(SOURCE, "build", "release") or "no work to do" \
            not in subprocess.run(["ninja", "-C", BUILD, "-n", *PROGRAMS],
                                  capture_output=True, text=True,
                                  check=False).stdout:
        print("skipped: deploy/up would build the release first")
        sys.exit(SKIPPED)
    sys.exit(cells.main())
