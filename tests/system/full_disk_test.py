"""A disk that fills up: admission closes, reading and cancelling go on, what
was acknowledged stays, and all opens again when there is room."""
import errno
import json
import os
import subprocess
import sys
import unittest

import cell as cells
from cell import Cell, wait_until

SKIPPED = 77
DISK_MIB = 96
FLOOR_MIB = 16


class FullDiskTest(unittest.TestCase):
    def setUp(self):
        self.cell = Cell(f"[agent]\ncpus = 32\n"
                         f"[log]\nfloor = \"{FLOOR_MIB}M\"\n")
        self.text = cells.read(os.path.join(self.cell.data, "cell.toml"))
        subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={DISK_MIB}m",
                        "reeve-test", self.cell.data], check=True)
        self.cell.settings(self.text)
        self.filler = os.path.join(self.cell.data, "filler")
        self.reserve = os.path.join(self.cell.data, "log", "reserve")

    def tearDown(self):
        words = self.cell.last_words()
        if os.path.exists(self.filler):
            os.unlink(self.filler)
        left = [one for one in self.cell.stop()
                if not one.startswith("mount")]
        subprocess.run(["umount", self.cell.data], check=True)
        self.assertEqual([], left, words)
        self.cell.remove()

    def fill(self, keep_bytes=0):
        """All but `keep_bytes` of what is free."""
        with open(self.filler, "ab") as file:
            while True:
                info = os.statvfs(self.cell.data)
                free = info.f_bavail * info.f_frsize - keep_bytes
                if free <= 0:
                    return
                try:
                    file.write(bytes(min(free, 1 << 20)))
                    file.flush()
                except OSError as error:
                    self.assertEqual(errno.ENOSPC, error.errno)
                    return

    def open_for_all(self):
        return self.cell.status()["admission_open"]

    def test_a_full_disk_closes_admission_and_loses_nothing(self):
        self.cell.up()
        pid = self.cell.daemon_pid()
        long_one = self.cell.submit("--", "sleep", "86400")
        task = self.cell.await_state(long_one, "running")["tasks"][0]["pid"]
        waiting = self.cell.submit("--not-before", "+1h", "--", "true")
        ended, late = (self.cell.submit("--not-before", "+1h", "--", "true")
                       for _ in range(2))
        self.assertTrue(self.open_for_all())
        acknowledged = {long_one, waiting, ended, late}

        self.fill(keep_bytes=FLOOR_MIB << 18)
        wait_until("admission is closed", lambda: not self.open_for_all())
        done = self.cell.reeve("submit", "--", "true", code=3)
        log = os.path.join(self.cell.data, "log")
        self.assertRegex(" ".join(done.err.split()), rf"under {log} has "
                         r"[\d.]+ MiB free, and new sessions need \d+ MiB "
                         rf"\(log.floor is {FLOOR_MIB} MiB\)")
        self.assertIn("admission", self.cell.reeve("status").out)

        # Reading and cancelling go on.
        self.assertEqual("running", self.cell.show(long_one)["state"])
        self.cell.reeve("cancel", waiting)
        self.cell.await_state(waiting, "cancelled")
        live, replayed = self.cell.digests()
        self.assertEqual(live, replayed)

        # Another program takes the last byte: a cancel is kept in the reserve.
        self.assertTrue(os.path.exists(self.reserve))
        self.fill()
        self.assertTrue(cells.is_running(pid))
        self.assertTrue(cells.is_running(task))
        self.assertEqual("running", self.cell.show(long_one)["state"])
        self.cell.reeve("log", "verify")
        self.cell.reeve("cancel", ended, seconds=30)
        self.assertEqual("cancelled", self.cell.show(ended)["state"])
        self.assertFalse(os.path.exists(self.reserve))
        # And takes that, too: nothing can be kept, and nobody waits.
        self.fill()
        done = self.cell.reeve("cancel", late, code=5, seconds=30)
        self.assertIn("free some space", done.err)
        done = self.cell.reeve("cancel", late, code=3, seconds=30)
        self.assertIn("free some space", done.err)
        self.assertTrue(cells.is_running(pid))

        os.unlink(self.filler)
        wait_until("admission is open again", self.open_for_all)
        self.cell.await_state(late, "cancelled")
        # What waited for room is kept a moment later.
        again = wait_until("commands are taken again", lambda: self.cell.reeve(
            "submit", "--", "true", code=None).out.strip())
        acknowledged.add(again)
        self.cell.reeve("wait", again)
        self.cell.reeve("cancel", long_one)
        self.cell.await_state(long_one, "cancelled")

        self.assertEqual(pid, self.cell.daemon_pid())
        # The daemon's log has each change once.
        words = cells.read(os.path.join(self.cell.data, "reeved.log"))
        for change in ("closed", "open again"):
            self.assertEqual(1, words.count(
                f"admission is {change}: the disk under {log} has "), words)
        submitted = {f"s-{e['body']['session']}" for e in self.cell.reeve(
            "log", "cat", "--json", "--filter",
            "kind=session_submitted").lines()}
        self.assertEqual(acknowledged, submitted)
        live, replayed = self.cell.digests()
        self.assertEqual(live, replayed)

    def test_doctor_measures_the_disk_by_the_floor_of_the_cell(self):
        def finding():
            told = json.loads(self.cell.reeve("doctor", "--json",
                                              code=None).out)
            return next(one for one in told["findings"]
                        if one["subject"] == "data")

        self.cell.up()
        self.assertTrue(self.open_for_all())
        self.assertEqual("ok", finding()["level"])
        self.cell.settings("[log]\nfloor = \"64M\"\n")
        self.assertEqual("wrong", finding()["level"])
        self.assertIn("below 64 MiB", finding()["mend"])

    def test_a_daemon_killed_on_a_full_disk_comes_back_whole(self):
        self.cell.up()
        ids = [self.cell.submit("--not-before", "+1h", "--", "true")
               for _ in range(5)]
        self.fill(keep_bytes=FLOOR_MIB << 18)
        wait_until("admission is closed", lambda: not self.open_for_all())
        self.cell.reeve("cancel", ids[0])
        head = self.cell.status()["head_seq"]
        self.cell.kill_daemon()
        # It may have given up ballast and reserve, together enough to open.
        self.fill(keep_bytes=FLOOR_MIB << 20)
        self.cell.up()
        self.assertGreaterEqual(self.cell.status()["head_seq"], head)
        self.assertFalse(self.open_for_all())
        self.assertEqual("cancelled", self.cell.show(ids[0])["state"])
        for one in ids[1:]:
            self.assertEqual("pending", self.cell.show(one)["state"])
        os.unlink(self.filler)
        wait_until("admission is open again", self.open_for_all)

    def free_what_was_laid_out(self):
        """Of the database's own files, which a killed one leaves too long."""
        folder = os.path.join(self.cell.data, "log", "db")
        for name in os.listdir(folder):
            path = os.path.join(folder, name)
            os.truncate(path, os.path.getsize(path))

    def test_one_killed_when_no_byte_is_free_comes_back_with_the_reserve(self):
        self.cell.up()
        one = self.cell.submit("--not-before", "+1h", "--", "true")
        self.fill(keep_bytes=FLOOR_MIB << 18)
        wait_until("admission is closed", lambda: not self.open_for_all())
        self.fill()
        self.cell.kill_daemon()
        self.free_what_was_laid_out()
        self.fill()
        info = os.statvfs(self.cell.data)
        self.assertEqual(0, info.f_bavail)
        self.assertTrue(os.path.exists(self.reserve))
        self.cell.up()
        self.assertFalse(os.path.exists(self.reserve))
        self.assertEqual("pending", self.cell.show(one)["state"])
        self.cell.reeve("cancel", one, seconds=30)
        self.cell.await_state(one, "cancelled")
        os.unlink(self.filler)
        wait_until("admission is open again", self.open_for_all)


if __name__ == "__main__":
    if os.geteuid() != 0:
        print("skipped: only root can mount a small disk")
        sys.exit(SKIPPED)
    sys.exit(cells.main())
