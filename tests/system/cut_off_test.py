"""A host that is cut off ends what may be started elsewhere, before it is: real
processes in network namespaces."""
import time

import cell as cells
import hosts as rig
from head_cell import HeadCase

# Long enough that a busy machine has it noticed that both run on.
BRIEF_S = 10


class CutOffTest(HeadCase):
    def setUp(self):
        super().setUp()
        self.node = self.join("n1")
        self.await_node("n1")

    def running(self, *options):
        """(its id, the process of its task) on n1."""
        session = self.head.submit("--prefer", "node=n1", "--cpus", "0.1",
                                   *options, "--",
                                   "sleep", "600")
        task = self.head.await_state(session, "running")["tasks"][0]
        self.assertEqual("n1", task["node"])
        return session, task["pid"]

    def test_nothing_runs_twice_and_who_is_back_in_time_goes_on(self):
        brief, first = self.running("--requeue", "1", "--cut-off",
                                    f"{BRIEF_S}s")
        patient, kept = self.running("--requeue", "1")
        plain, left = self.running()
        self.node.cut()
        cut = time.monotonic()
        self.await_node("n1", "lost")
        # It was tried once: nobody waits for it.
        self.head.await_state(plain, "failed")
        self.assertEqual("running", self.head.show(brief)["state"])
        why = self.head.reeve("why", brief).out
        self.assertIn("node n1 is lost", why)
        self.assertIn(f"nothing of the cell for {BRIEF_S}s", why)

        def second():
            shown = self.head.show(brief)
            return shown if shown["attempt"] == 2 else None
        while not second():
            self.assertLess(time.monotonic() - cut, cells.PATIENCE_S)
            if time.monotonic() - cut < BRIEF_S - 2:
                self.assertTrue(cells.is_running(first))
            time.sleep(0.1)
        self.assertFalse(cells.is_running(first), "two attempts live")
        self.assertGreater(time.monotonic() - cut, BRIEF_S)
        there = self.head.await_state(brief, "running")["tasks"][0]
        self.assertEqual("head", there["node"])
        self.assertTrue(cells.is_running(kept))
        self.assertTrue(cells.is_running(left))
        self.node.heal()
        self.await_node("n1")
        self.assertFalse(cells.is_running(left))
        self.assertTrue(cells.is_running(kept))
        shown = self.head.show(patient)
        self.assertEqual(("running", 1), (shown["state"], shown["attempt"]))
        self.assertEqual(2, self.head.show(brief)["attempt"])
        for session in (brief, patient):
            self.head.reeve("cancel", session)
            self.head.await_state(session, "cancelled")


if __name__ == "__main__":
    rig.main()
