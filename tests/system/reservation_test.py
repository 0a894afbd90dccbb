"""Reservations and maintenance as an admin sets them on a running cell."""
import sys

import cell as cells
from cell import CellTest, wait_until


class ReservationTest(CellTest):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.cell.up("--sim-nodes", "2")
        nodes = cls.cell.reeve("nodes", "--json").json()["nodes"]
        cls.nodes = [node["name"] for node in nodes if node["simulated"]]

    def reserve(self, name, *options, code=0):
        return self.cell.reeve("reservation", "set", name, *options,
                               code=code)

    def listed(self):
        return {one["name"]: one for one in
                self.cell.reeve("reservation", "list", "--json").json()}

    def test_one_is_made_listed_changed_and_removed(self):
        node = self.nodes[0]
        self.reserve("demo", "--node", node, "--user", "root", "--from",
                     "+1h", "--for", "2h", "--reason", "a demo")
        one = self.listed()["demo"]
        self.assertEqual(("reservation", [node], ["root"], "a demo"),
                         (one["kind"], one["nodes"], one["users"],
                          one["reason"]))
        text = self.cell.reeve("reservation", "list").out
        self.assertIn("a demo", text)
        self.assertIn("demo", self.cell.reeve("node", "show", node).out)
        self.reserve("demo", "--node", node, "--device", "1", "--maintenance",
                     "--from", "+1d", "--for", "1h", "--every", "week")
        one = self.listed()["demo"]
        self.assertEqual(("maintenance", [1], 7 * 24 * 3600 * 10**9),
                         (one["kind"], one["devices"], one["every_ns"]))
        refused = self.reserve("other", "--node", node, "--maintenance",
                               "--from", "+8d", "--for", "2h", code=3)
        self.assertIn("reservation demo", refused.err)
        self.cell.kill_daemon()
        self.cell.up()
        self.assertIn("demo", self.listed())
        self.cell.reeve("reservation", "remove", "demo")
        self.assertNotIn("demo", self.listed())
        changes = self.cell.reeve("diff", "1", "now").out
        self.assertNotIn("demo", changes)
        history = self.cell.reeve("log", "cat").out
        self.assertIn("maintenance demo on 1 node", history)

    def test_one_that_is_over_goes_by_itself(self):
        self.reserve("short", "--node", self.nodes[1], "--user", "root",
                     "--from", "now", "--for", "2s")
        wait_until("it is over", lambda: "short" not in self.listed())

    def test_a_session_names_one_that_is_for_it(self):
        self.reserve("mine", "--node", self.nodes[1], "--project", "default",
                     "--from", "+1h", "--for", "1h")
        made = self.cell.submit("--reservation", "mine", "--sim-duration",
                                "1s")
        self.assertEqual("mine", self.cell.show(made)["reservation"])
        refused = self.cell.reeve("submit", "--reservation", "none",
                                  "--sim-duration", "1s", code=4)
        self.assertIn("there is no reservation 'none'", refused.err)
        self.cell.reeve("project", "set", "others")
        self.reserve("theirs", "--node", self.nodes[1], "--project", "others",
                     "--from", "+3h", "--for", "1h")
        refused = self.cell.reeve("submit", "--reservation", "theirs",
                                  "--sim-duration", "1s", code=3)
        self.assertIn("is not for root in project default", refused.err)

    def await_end(self, session):
        self.cell.await_state(session, "cancelled")
        self.assertEqual("reservation_gone",
                         self.cell.show(session)["reason"])
        return self.cell.reeve("why", session).out

    def test_who_waits_for_one_that_is_removed_ends(self):
        self.reserve("gone", "--node", self.nodes[0], "--user", "root",
                     "--from", "+10h", "--for", "1h")
        made = self.cell.submit("--reservation", "gone", "--sim-duration",
                                "1s")
        after = self.cell.submit("--after", made, "--sim-duration", "1s")
        self.assertIn("its reservation gone begins at",
                      self.cell.reeve("why", made).out)
        self.assertIn(f"it waits for {made} to succeed",
                      self.cell.reeve("why", after).out)
        self.cell.reeve("reservation", "remove", "gone")
        self.assertIn("its reservation gone was removed at",
                      self.await_end(made))
        self.cell.await_state(after, "cancelled")

    def test_who_waits_for_one_that_is_over_ends(self):
        where = ["--node", self.nodes[0], "--user", "root", "--from", "now"]
        self.reserve("brief", *where, "--for", "1h")
        whole = ("--reservation", "brief", "--gpus", "8", "--sim-duration",
                 "1h")
        first = self.cell.submit(*whole)
        self.cell.await_state(first, "running")
        second = self.cell.submit(*whole)
        self.reserve("brief", *where, "--for", "1s")
        self.assertIn("its reservation brief is over since",
                      self.await_end(second))
        self.assertEqual("running", self.cell.show(first)["state"])
        self.cell.reeve("cancel", first)

    def test_who_is_not_named_any_more_is_not_let_in(self):
        self.cell.reeve("project", "set", "heirs")
        times = ["--from", "+20h", "--for", "1h"]
        self.reserve("passed", "--node", self.nodes[0], "--user", "root",
                     *times)
        made = self.cell.submit("--reservation", "passed", "--sim-duration",
                                "1s")
        self.reserve("passed", "--node", self.nodes[0], "--project", "heirs",
                     *times)
        self.assertIn("is not for root in project default any more",
                      self.await_end(made))
        self.cell.reeve("reservation", "remove", "passed")

    def test_what_it_could_never_hold_is_refused(self):
        self.reserve("small", "--node", self.nodes[0], "--device", "0",
                     "--user", "root", "--from", "+30h", "--for", "1h")
        inside = ("submit", "--reservation", "small", "--sim-duration", "1s")
        for words, said in [
                (["--gpus", "2"], "are in reservation small (GPU 0 of each); "
                 "among them, it needs 2 GPUs in a task"),
                (["--tasks", "2", "--nodes", "2"],
                 "1 of 2 nodes of group default are in reservation small"),
                (["--on-node", self.nodes[1]], "is not in reservation small"),
                (["--constraint", f"node={self.nodes[1]}"],
                 "0 of 2 nodes of group default are in reservation small (GPU "
                 f"0 of each) and satisfy node={self.nodes[1]}"),
                (["--array", "1-2", "--gpus", "2"], "it needs 2 GPUs")]:
            with self.subTest(words=words):
                self.assertIn(said, self.cell.reeve(*inside, *words,
                                                    code=3).err)
        self.cell.reeve("cancel", self.cell.reeve(
            *inside, "--gpus", "1").out.strip())
        self.cell.reeve("reservation", "remove", "small")

    def test_what_is_wrong_is_told_and_changes_nothing(self):
        node = self.nodes[0]
        head = self.cell.status()["head_seq"]
        times = ["--from", "+1h", "--for", "1h"]
        for code, words, said in [
                (2, ["--user", "root", *times], "--node"),
                (2, ["--node", node, "--user", "root"], "--from"),
                (2, ["--node", node, "--user", "root", "--from", "now"],
                 "--for"),
                (2, ["--node", node, "--user", "root", *times, "--to", "+2h"],
                 "one of them"),
                (3, ["--node", node, *times], "names users or projects"),
                (3, ["--node", node, "--user", "root", "--from", "-2h",
                     "--for", "1h"], "over since"),
                (3, ["--node", node, "--user", "root", "--from", "+2h",
                     "--to", "+1h"], "end after it begins"),
                (3, ["--node", node, "--user", "root", *times, "--every",
                     "30m"], "meet itself"),
                (3, ["--node", node, "--maintenance", "--from", "+1h", "--for",
                     "10s", "--every", "20s"], "at least 1m"),
                (4, ["--node", "none", "--user", "root", *times], "'none'"),
                (4, ["--node", node, "--user", "nobody", *times], "nobody"),
                (4, ["--node", node, "--user", "root", "--device", "99",
                     *times], "no device 99")]:
            with self.subTest(words=words):
                self.assertIn(said, self.reserve("x", *words, code=code).err)
        self.cell.reeve("reservation", "remove", "x", code=4)
        self.assertEqual(head, self.cell.status()["head_seq"])


if __name__ == "__main__":
    sys.exit(cells.main())
