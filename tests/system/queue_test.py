"""The queue of a group, and what would become of a session."""
import sys

import cell as cells
from cell import CellTest


class QueueTest(CellTest):
    SETTINGS = "[agent]\ncpus = 2\n"

    def test_who_waits_stands_in_order(self):
        running = self.cell.submit("--cpus", "2", "--time", "1h", "--",
                                   "sleep", "1000")
        self.cell.await_state(running, "running")
        self.assertIn("nobody waits", self.cell.reeve("queue").err)
        late = self.cell.submit("--name", "late", "--", "true")
        early = self.cell.submit("--priority", "5", "--name", "early", "--",
                                 "true")
        queue = self.cell.reeve("queue", "--json").json()
        self.assertEqual(("default", 2), (queue["group"], queue["length"]))
        self.assertEqual([early, late], [entry["session_id"]
                                         for entry in queue["entries"]])
        self.assertEqual("no room", queue["entries"][0]["reason"])
        self.assertIsNotNone(queue["entries"][0]["expected_start_at"])
        text = self.cell.reeve("queue", "--limit", "1").out
        self.assertIn("early", text)
        self.assertNotIn("late", text)
        refused = self.cell.reeve("queue", "--group", "none", code=4)
        self.assertIn("no resource group 'none'", refused.err)
        self.cell.reeve("cancel", running, late, early)
        self.cell.await_state(running, "cancelled")

    def test_a_dry_run_submits_nothing(self):
        def dry(*options, code=0):
            return self.cell.reeve("submit", "--dry-run", *options, "--",
                                   "true", code=code)
        head = self.cell.status()["head_seq"]
        self.assertIn("it would start at once on", dry().out)
        self.assertEqual(1, len(dry("--json").json()["nodes"]))
        refused = dry("--cpus", "64", code=3).out
        self.assertIn("it would be refused: needs 64 CPUs", refused)
        self.assertIn("never_fits", refused)
        self.assertEqual(head, self.cell.status()["head_seq"])
        running = self.cell.submit("--cpus", "2", "--", "sleep", "1000")
        self.cell.await_state(running, "running")
        self.assertIn("it would wait: 0 of 1 tasks fit", dry().out)
        self.cell.reeve("cancel", running)
        self.cell.await_state(running, "cancelled")


if __name__ == "__main__":
    sys.exit(cells.main())
