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
        self.cell.reeve("cancel", late, early, running)
        self.cell.await_state(running, "cancelled")

    def test_who_is_held_is_listed_with_what_it_waits_for(self):
        running = self.cell.submit("--cpus", "2", "--", "sleep", "1000")
        self.cell.await_state(running, "running")
        after = self.cell.submit("--after", f"{running}:any", "--", "true")
        later = self.cell.submit("--name", "later", "--cpus", "1",
                                 "--not-before", "+2h", "--", "true")
        queue = self.cell.reeve("queue", "--json").json()
        self.assertEqual((0, 2), (queue["length"], queue["held"]))
        timed, depends = queue["entries"]
        self.assertEqual((later, after),
                         (timed["session_id"], depends["session_id"]))
        self.assertIsNotNone(timed["not_before_at"])
        self.assertEqual([int(running[2:])], depends["after"])
        text = self.cell.reeve("queue").out
        self.assertRegex(text, r"later .*not before \d{4}-")
        self.assertIn(f"{running} to end", text)
        self.cell.reeve("cancel", running)
        self.cell.await_state(after, "succeeded")
        # Now there is room, and it is expected when its time comes.
        timed, = self.cell.reeve("queue", "--json").json()["entries"]
        self.assertEqual(timed["not_before_at"], timed["expected_start_at"])
        why = self.cell.reeve("why", later).out
        self.assertIn(", expected then", why)
        self.assertIn("expected start", why)
        self.assertRegex(self.cell.reeve("history", later).out,
                         r"session_submitted .*, not before \d{4}-")
        self.cell.reeve("cancel", later)

    def test_a_dry_run_of_an_array_counts_all_of_it(self):
        def dry(array, code=0):
            return self.cell.reeve("submit", "--dry-run", "--array", array,
                                   "--", "true", code=code)
        self.assertIn("2 of 4 sessions would start at once", dry("1-4").out)
        self.assertIn("2 sessions would wait", dry("1-4").out)
        text = dry("1-4%1").out
        self.assertIn("1 of 4 sessions would start at once", text)
        self.assertIn("as many of its array run as may", text)
        self.cell.reeve("quota", "set", "user:root", "--waiting", "50",
                        "--sessions", "1")
        self.assertIn("may have 50 waiting sessions; this session wants 100",
                      dry("0-99%10", code=3).out)
        text = dry("1-40").out
        self.assertIn("1 of 40 sessions would start at once", text)
        self.assertIn("user root may have 1 session and has 1", text)
        self.cell.reeve("quota", "remove", "user:root")

    def test_another_drain_says_what_of_the_last_one_is_gone(self):
        node = self.cell.reeve("nodes", "--json").json()["nodes"][0]["name"]
        first = self.cell.reeve("node", "drain", node, "--deadline", "2h",
                                "--reason", "new disk").err
        self.assertIn("what runs there then ends at", first)
        later = self.cell.reeve("node", "drain", node, "--deadline", "3h",
                                "--reason", "new disk").err
        self.assertIn(" as before", later)
        text = self.cell.reeve("node", "drain", node).err
        self.assertRegex(text, "its deadline of .* is taken back")
        self.assertIn('its reason was "new disk"', text)
        self.assertNotIn("taken back",
                         self.cell.reeve("node", "drain", node).err)
        self.cell.reeve("node", "resume", node)

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
        self.assertIn("it would wait: 0 of 1 task fits", dry().out)
        self.cell.reeve("cancel", running)
        self.cell.await_state(running, "cancelled")


class SharesTest(CellTest):
    """Three groups with nodes of their own, two schedulers."""
    SETTINGS = ("[manager]\nschedulers = 2\n"
                "[agent]\ncpus = 2\ngroup = \"real\"\n")

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        for group in "a", "b", "real":
            cls.cell.reeve("group", "set", group)
        cls.cell.up_with_nodes("sn,cpu_milli,memory_mib,gpu,model,group\n"
                               "a1,4000,8192,2,A100,a\n"
                               "b1,4000,8192,2,A100,b\n")

    def sim(self, group, *options):
        return self.cell.submit("--group", group, "--sim-duration", "1h",
                                "--gpus", "1", *options)

    def test_each_group_is_served_and_asked(self):
        self.assertEqual("hello\n", self.cell.reeve(
            "run", "--group", "real", "--", "echo", "hello").out)
        for group in "a", "b":
            first, second, late = (self.sim(group) for _ in range(3))
            self.cell.await_state(first, "running")
            self.cell.await_state(second, "running")
            why = self.cell.reeve("why", late).out
            self.assertIn(f"the nearest, {group}1, lacks 1 GPU (", why)
            queue = self.cell.reeve("queue", "--group", group, "--sim",
                                    "--json").json()
            self.assertEqual([late], [entry["session_id"]
                                      for entry in queue["entries"]])
            self.cell.reeve("cancel", first)
            self.cell.await_state(late, "running")
            self.cell.reeve("cancel", second, late)

    def test_a_quota_holds_across_groups_and_a_restart(self):
        self.cell.reeve("quota", "set", "user:root", "--gpus", "1")
        held = self.sim("a")
        self.cell.await_state(held, "running")
        waiting = self.sim("b")
        self.assertIn("user root may have 1 GPU",
                      self.cell.reeve("why", waiting).out)
        self.cell.reeve("down")
        self.cell.up()
        self.assertIn("user root may have 1 GPU",
                      self.cell.reeve("why", waiting).out)
        self.cell.reeve("cancel", held)
        self.cell.await_state(waiting, "running")
        self.cell.reeve("cancel", waiting)
        self.cell.reeve("quota", "remove", "user:root")


if __name__ == "__main__":
    sys.exit(cells.main())
