"""How a session ends: the grace it has, and the warning before its limit."""
import os
import sys
import time

import cell as cells
from cell import CellTest, read, wait_until

PATIENT = ("trap 'echo asked > {0}; sleep 8; echo done >> {0}; exit 0' TERM;"
           " echo ready > {0}; while :; do sleep 0.1; done")


class StoppingTest(CellTest):
    def file(self, name):
        return os.path.join(self.cell.work, name)

    def ready(self, name):
        wait_until(f"{name} is there", lambda: read(self.file(name)))

    def test_a_grace_leaves_time_to_end_and_without_one_there_is_less(self):
        patient = self.cell.submit("--grace", "60s", "--", "sh", "-c",
                                   PATIENT.format("patient"))
        hasty = self.cell.submit("--", "sh", "-c", PATIENT.format("hasty"))
        self.ready("patient")
        self.ready("hasty")
        self.cell.reeve("cancel", patient, hasty)
        for one in (patient, hasty):
            self.cell.await_state(one, "cancelled")
        self.assertEqual("asked\ndone\n", read(self.file("patient")))
        self.assertEqual("asked\n", read(self.file("hasty")))
        self.assertEqual(9, self.cell.show(hasty)["signal"])

    def test_a_warning_comes_before_the_limit(self):
        began = time.monotonic()
        made = self.cell.submit(
            "--time", "20s", "--warn", "USR1@12s", "--", "sh", "-c",
            "trap 'echo warned >> warned' USR1; while :; do sleep 0.1; done")
        wait_until("the warning", lambda: read(self.file("warned")))
        self.assertLess(6, time.monotonic() - began)
        self.assertEqual("running", self.cell.show(made)["state"])
        shown = self.cell.await_state(made, "failed")
        self.assertEqual("time_limit", shown["reason"])
        self.assertEqual("warned\n", read(self.file("warned")))
        self.assertIn("signal 10", self.cell.reeve("history", made).out)

    def test_what_is_wrong_is_told(self):
        for words, said in [
                (["--warn", "USR1@1m"], "a longer time is needed"),
                (["--time", "1m", "--warn", "USR1@1m"],
                 "a longer time is needed"),
                (["--time", "1m", "--warn", "NONE@1s"], "no signal"),
                (["--grace", "soon"], "--grace"),
                (["--on-preempt", "never"], "requeue, end")]:
            with self.subTest(words=words):
                done = self.cell.reeve("submit", *words, "--", "true", code=2)
                self.assertIn(said, done.err)
        done = self.cell.reeve("submit", "--grace", "61m", "--", "true",
                               code=3)
        self.assertIn("the grace", done.err)


if __name__ == "__main__":
    sys.exit(cells.main())
