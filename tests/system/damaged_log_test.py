"""A log that was truncated, altered, replaced or is not ours: every program
refuses it, names the sequence where it can, says what to do and exits with 6.
The store's own tests flip and cut every byte; here it is what a user sees."""
import os
import random
import re
import shutil
import subprocess
import sys
import time
import unittest

import cell as cells
from cell import BIN, Cell


class DamagedLogTest(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.cell = Cell("[agent]\ncpus = 32\n")
        cls.cell.up("--sim-nodes", "2")
        for _ in range(20):
            cls.cell.submit("--sim-duration", "1ms")
        last = cls.cell.submit("--", "true")
        cls.cell.reeve("wait", last)
        cls.head = cls.cell.status()["head_seq"]
        # The head mark may lag, but not for long.
        time.sleep(1)
        # As it lies on the disk while it is in use.
        cls.cell.kill_daemon()
        cls.whole = os.path.join(cls.cell.base, "whole")
        shutil.copytree(os.path.join(cls.cell.data, "log"), cls.whole)
        cls.last = cls.cell.reeve("log", "stats", "--log", cls.whole,
                                  "--json").json()["head_seq"]

    @classmethod
    def tearDownClass(cls):
        cls.cell.up()
        left = cls.cell.stop()
        if left:
            raise AssertionError("left behind: " + "\n".join(left))
        cls.cell.remove()

    def setUp(self):
        self.copy = os.path.join(self.cell.base, self._testMethodName)
        shutil.copytree(self.whole, os.path.join(self.copy, "log"))
        self.log = os.path.join(self.copy, "log")

    def wal(self):
        names = sorted(name for name in os.listdir(self.log + "/db")
                       if name.endswith(".log"))
        return os.path.join(self.log, "db", max(
            names, key=lambda n: os.path.getsize(self.log + "/db/" + n)))

    def flip(self, path, offset):
        with open(path, "r+b") as file:
            file.seek(offset)
            byte = file.read(1)[0]
            file.seek(offset)
            file.write(bytes([byte ^ 0x40]))

    def refused(self, *words):
        """By the tools and by the daemon, which changes nothing."""
        said = []
        for command in (["log", "verify"], ["replay", "--digest"],
                        ["log", "cat", "--json"], ["log", "stats"]):
            done = self.cell.reeve(*command, "--log", self.copy, code=6)
            self.assertNotIn("digest", done.out)
            said.append(done.err)
        daemon = subprocess.run(
            [os.path.join(BIN, "reeved"), "--data", self.copy],
            capture_output=True, text=True, timeout=cells.PATIENCE_S,
            check=False)
        self.assertEqual(6, daemon.returncode, daemon.stderr)
        said.append(daemon.stderr)
        for text in said:
            for word in words:
                self.assertIn(word, text)
            # What to do next, always.
            self.assertRegex(text, "restore|use the version")
        return said

    def names_the_mark(self, said):
        for text in said:
            marked = re.search(r"event (\d+) was acknowledged", text)
            self.assertTrue(marked, text)
            self.assertLessEqual(self.head, int(marked.group(1)))
            self.assertLessEqual(int(marked.group(1)), self.last)

    def test_the_copy_itself_is_whole(self):
        self.cell.reeve("log", "verify", "--log", self.copy)
        out = self.cell.reeve("replay", "--log", self.copy, "--json").json()
        self.assertGreaterEqual(out["seq"], self.head)

    def test_a_truncated_log_names_the_events_that_are_missing(self):
        size = os.path.getsize(self.wal())
        os.truncate(self.wal(), size // 2)
        for text in self.refused("was acknowledged", "are missing"):
            numbers = re.search(r"ends at event (\d+), but event (\d+) was "
                                r"acknowledged: (\d+)", text)
            ends, marked, missing = map(int, numbers.groups())
            self.assertEqual(marked - ends, missing)
            self.assertLess(ends, marked)
            self.assertLessEqual(marked, self.last)

    def test_a_log_whose_tail_is_gone_names_the_event_it_must_reach(self):
        os.unlink(self.wal())
        self.names_the_mark(self.refused("restore"))

    def test_a_flipped_bit_anywhere_is_noticed(self):
        generator = random.Random(7)
        size = os.path.getsize(self.wal())
        for _ in range(8):
            offset = generator.randrange(size - 1)
            with self.subTest(offset=offset):
                self.flip(self.wal(), offset)
                self.names_the_mark(self.refused())
                self.flip(self.wal(), offset)

    def test_an_older_copy_in_its_place_is_noticed(self):
        mark = os.path.join(self.log, "head.mark")
        newer = shutil.copy(mark, self.copy)
        # The whole log of another, shorter life.
        other = Cell()
        try:
            other.up()
            other.reeve("down")
            shutil.rmtree(self.log)
            shutil.copytree(os.path.join(other.data, "log"), self.log)
        finally:
            left = other.stop()
            other.remove()
        self.assertEqual([], left)
        os.replace(newer, mark)
        self.refused("not the one its head mark belongs to")

    def test_a_missing_head_mark_is_no_reason_to_trust(self):
        os.unlink(os.path.join(self.log, "head.mark"))
        self.refused("head.mark", "restore")

    def test_a_foreign_directory_is_no_log(self):
        shutil.rmtree(self.log)
        os.makedirs(self.log)
        with open(os.path.join(self.log, "holiday.jpg"), "wb") as file:
            file.write(b"\xff\xd8\xff")
        done = self.cell.reeve("log", "verify", "--log", self.log, code=6)
        self.assertIn("no log", done.err)
        self.assertIn("name a cell's data directory", done.err)
        self.cell.reeve("log", "verify", "--log", self.copy + "/none",
                        code=4)


class OlderCopyTest(unittest.TestCase):
    """The whole log as it was some time ago, its mark with it: all of it is
    true, but the node was told more since."""

    def setUp(self):
        self.cell = Cell("[agent]\ncpus = 32\n")

    def tearDown(self):
        words = self.cell.last_words()
        left = self.cell.stop()
        self.assertEqual([], left, words)
        self.cell.remove()

    def ended(self):
        one = self.cell.submit("--", "true")
        self.cell.reeve("wait", one)
        return one

    def test_it_is_gone_on_with_and_no_number_is_used_again(self):
        log = os.path.join(self.cell.data, "log")
        older = os.path.join(self.cell.base, "older")
        self.cell.up()
        known = self.ended()
        self.cell.reeve("down")
        shutil.copytree(log, older)
        for _ in range(2):
            self.cell.up()
            self.ended()
            self.cell.reeve("down")
        self.cell.up()
        epoch = self.cell.status()["epoch"]
        left = self.cell.submit("--", "sleep", "86400")
        task = self.cell.await_state(left, "running")["tasks"][0]["pid"]
        self.cell.kill_daemon()
        shutil.rmtree(log)
        shutil.copytree(older, log)
        self.cell.up()
        cells.wait_until("what only the newer log knew has ended",
                         lambda: not cells.is_running(task))
        done = self.cell.reeve("run", "--", "echo", "here")
        self.assertEqual("here\n", done.out)
        self.assertGreater(self.cell.status()["epoch"], epoch)
        self.assertGreater(int(self.ended().split("-")[1]),
                           int(left.split("-")[1]))
        self.assertEqual("succeeded", self.cell.show(known)["state"])
        self.cell.reeve("show", left, code=4)
        self.assertIn("an older copy of it was put in place", cells.read(
            os.path.join(self.cell.data, "reeved.log")))
        live, replayed = self.cell.digests()
        self.assertEqual(live, replayed)
        self.cell.reeve("log", "verify")


if __name__ == "__main__":
    sys.exit(cells.main())
