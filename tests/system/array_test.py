"""Arrays on a running cell: many sessions by one command, each with its index,
ended one by one or all together."""
import json
import os
import sys

import cell as cells
from cell import CellTest, read, wait_until


class ArrayTest(CellTest):
    def array(self, *options):
        return self.cell.reeve("submit", "--json", "--array", *options).json()

    def test_each_index_runs_and_knows_itself(self):
        made = self.array(
            "3-6", "--", "sh", "-c",
            "echo $REEVE_ARRAY_INDEX $REEVE_ARRAY_FIRST "
            "$REEVE_ARRAY_SESSION_ID > a$REEVE_ARRAY_INDEX")
        self.assertEqual(4, made["sessions"])
        first = int(made["session_id"][2:])
        for i in range(4):
            shown = self.cell.await_state(f"s-{first + i}", "succeeded")
            self.assertEqual((first, 3 + i), (shown["array_session"],
                                              shown["array_index"]))
            said = read(os.path.join(self.cell.work, f"a{3 + i}"))
            self.assertEqual(f"{3 + i} 3 s-{first}", said.strip())
        text = self.cell.reeve("show", f"s-{first + 1}").out
        self.assertIn(f"index 4 of s-{first}", text)

    def test_one_or_all_are_cancelled(self):
        made = self.array("1-3", "--", "sleep", "1000")
        first = int(made["session_id"][2:])
        ids = [f"s-{first + i}" for i in range(3)]
        self.cell.reeve("cancel", ids[1])
        self.cell.await_state(ids[1], "cancelled")
        self.assertNotEqual("cancelled", self.cell.show(ids[0])["state"])
        done = self.cell.reeve("cancel", "--array", ids[0], "--json").json()
        self.assertEqual(3, done["sessions"])
        for one in ids:
            self.cell.await_state(one, "cancelled")
        refused = self.cell.reeve("cancel", "--array", ids[0], code=3)
        self.assertIn("has ended already", refused.err)
        refused = self.cell.reeve("cancel", "--array", ids[1], code=4)
        self.assertIn("not the first session of an array", refused.err)

    def test_an_array_outlives_the_daemon_whole(self):
        made = self.array("1-50", "--", "sleep", "1000")
        first = int(made["session_id"][2:])
        self.cell.kill_daemon()
        self.cell.up()
        for i in (0, 49):
            self.assertEqual(1 + i, self.cell.show(f"s-{first + i}")
                             ["array_index"])
        self.cell.reeve("cancel", "--array", f"s-{first}")
        wait_until("all have ended", lambda: not self.cell.reeve(
            "ps", "--json").json()["sessions"])
        live, replayed = self.cell.digests()
        self.assertEqual(live, replayed)

    def trace(self, array, code=0):
        path = os.path.join(self.cell.work, "array.jsonl")
        with open(path, "w", encoding="utf-8") as file:
            json.dump({"submit_at": 0, "array": array, "duration": 1}, file)
        return self.cell.reeve("trace", "run", path, "--format", "reeve",
                               "--nodes", "1", "--compress", "1", "--json",
                               code=code)

    def test_an_array_of_a_trace_runs_within_its_bound(self):
        summary = json.loads(self.trace("3-8%2").out.splitlines()[-1])
        self.assertEqual((6, 6, {}), (summary["accepted"], summary["finished"],
                                      summary["refused"]))
        made = [one for one in self.cell.reeve("ps", "--all", "--json").json()
                ["sessions"] if one.get("array_running_max") == 2]
        self.assertEqual(6, len(made))
        # Two at once, a second each.
        self.assertGreater(summary["wall_s"], 2.9)
        refused = self.trace("1-10001%2", code=2)
        self.assertIn("array.jsonl:1: array: 10001 sessions; at most 10000",
                      refused.err)

    def test_what_is_wrong_is_told(self):
        for code, words, said in [
                (2, ["submit", "--array", "5", "--", "true"], "1-100"),
                (2, ["submit", "--array", "5-1", "--", "true"],
                 "ends before it begins"),
                (2, ["run", "--array", "1-2", "--", "true"],
                 "reeve submit --array"),
                (3, ["submit", "--array", "1-10001", "--", "true"],
                 "at most 10000"),
                (4, ["cancel", "--array", "s-9999"], "no session s-9999")]:
            with self.subTest(words=words):
                self.assertIn(said, self.cell.reeve(*words, code=code).err)


if __name__ == "__main__":
    sys.exit(cells.main())
