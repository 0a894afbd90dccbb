"""Labels of nodes, what sessions ask of them, and what waits for what."""
import os
import sys

import cell as cells
from cell import CellTest

NODES = """sn,cpu_milli,memory_mib,gpu,model,labels
sim-a,8000,16384,2,A100,rack=r1 disk=nvme
sim-b,8000,16384,4,H100,rack=r2
"""


class ConstraintTest(CellTest):
    SETTINGS = "[agent]\ncpus = 32\nlabels = {rack = \"r0\", shared = true}\n"

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.cell.up_with_nodes(NODES)

    def sim(self, *options, code=0):
        return self.cell.reeve("submit", *options, "--sim-duration", "1h",
                               code=code)

    def test_nodes_show_their_labels(self):
        nodes = self.cell.reeve("nodes", "--json").json()["nodes"]
        labels = {node["name"]: {label["key"]: label["value"]
                                 for label in node.get("labels", [])}
                  for node in nodes}
        self.assertEqual({"rack": "r1", "disk": "nvme"}, labels["sim-a"])
        own = next(name for name in labels if not name.startswith("sim-"))
        self.assertEqual({"rack": "r0", "shared": "true"}, labels[own])
        self.assertIn("disk=nvme", self.cell.reeve("node", "show",
                                                   "sim-a").out)

    def test_what_no_node_offers_is_refused_with_numbers(self):
        self.sim("--constraint", "rack=r1 || rack=r2")
        for words, said in [
                (["--constraint", "rack=r9"],
                 "0 of 2 nodes of group default satisfy rack=r9"),
                (["--constraint", "rack=r1", "--gpus", "4"],
                 "1 of 2 nodes of group default satisfy rack=r1"),
                (["--constraint", "gpu_model=V100"], "0 of 2 nodes"),
                (["--within", "row"], "label row"),
                (["--together", "x@row"], "0 of 2 nodes of group default "
                 "satisfy label row of together x@row"),
                (["--apart", "x@row"], "0 of 2 nodes of group default satisfy "
                 "label row of apart x@row")]:
            with self.subTest(words=words):
                self.assertIn(said, self.sim(*words, code=3).err)
        refused = self.sim("--constraint", "rack=r1 disk=nvme", code=2)
        self.assertIn("  rack=r1 disk=nvme\n          ^", refused.err)

    def test_a_session_shows_its_wishes(self):
        made = self.sim("--constraint", "rack=r1", "--prefer", "disk=nvme",
                        "--together", "train", "--apart", "test@rack",
                        "--within", "rack").out.strip()
        shown = self.cell.show(made)
        self.assertEqual(
            ("rack=r1", ["disk=nvme"], "train", "test@rack", "rack"),
            (shown["constraint"], shown["prefer"], shown["together"],
             shown["apart"], shown["within"]))
        self.assertIn("test@rack", self.cell.reeve("show", made).out)

    def test_the_graph_draws_what_waits_for_what(self):
        first = self.cell.submit("--name", "load", "--", "sleep", "1000")
        second = self.cell.submit("--after", first, "--", "true")
        third = self.cell.submit("--after", f"{second}:any", "--", "true")
        text = self.cell.reeve("graph").out
        self.assertIn(f"{first} load", text)
        self.assertIn(f"`- ok: {second} (pending)", text)
        self.assertIn(f"`- any: {third} (pending)", text)
        text = self.cell.reeve("graph", second).out
        self.assertIn("waits for the end of", text)
        self.assertIn("its end is waited for by", text)
        self.assertIn(f'"{first}" -> "{second}"',
                      self.cell.reeve("graph", "--dot").out)
        refused = self.cell.reeve("submit", "--after", "s-9999", "--", "true",
                                  code=4)
        self.assertIn("there is no session s-9999", refused.err)
        refused = self.cell.reeve("submit", "--after", first, "--after",
                                  f"{first}:failed", "--", "true", code=3)
        self.assertIn("only one of them can be", refused.err)
        self.cell.reeve("cancel", first)
        self.cell.await_state(third, "succeeded")

    def test_settings_with_bad_labels_are_refused(self):
        path = os.path.join(self.cell.work, "bad.toml")
        for line, said in [("labels = {gpus = 4}", "without a label"),
                           ("labels = \"rack\"", "a table is expected"),
                           ("labels = {a = {b = 1}}", "one short value")]:
            with open(path, "w", encoding="utf-8") as file:
                file.write("[agent]\n" + line + "\n")
            done = self.cell.reeve("config", "check", path, code=2)
            self.assertIn(said, done.err)


if __name__ == "__main__":
    sys.exit(cells.main())
