"""The log as an instrument, as an admin uses it: past moments, what changed,
why, copies, archives beside a running daemon, and repair. Every refusal names
the place, exits as promised and writes nothing."""
import json
import os
import random
import shutil
import sys
import time

import cell as cells
from cell import Cell, CellTest, wait_until

SESSIONS = 500


def bytes_of(path):
    with open(path, "rb") as file:
        return file.read()


def tree(path):
    """Names and sizes below a directory, without what the clock changes."""
    return sorted(
        (os.path.relpath(os.path.join(base, name), path),
         os.path.getsize(os.path.join(base, name)))
        for base, _, names in os.walk(path) for name in names)


class LogToolsTest(CellTest):
    UP = ("--sim-nodes", "2")

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        requests = os.path.join(cls.cell.work, "many.jsonl")
        with open(requests, "w", encoding="utf-8") as file:
            for _ in range(SESSIONS):
                file.write(json.dumps(
                    {"command": ["x"], "sim-duration": "1ms"}) + "\n")
        ids = cls.cell.reeve("submit", "--file", requests).out.split()
        cls.cell.reeve("wait", *ids)
        cls.before = cls.cell.status()["head_seq"]
        cls.held = cls.cell.submit("--gpus", "2", "--sim-duration", "1h")
        cls.cell.await_state(cls.held, "running")
        cls.cell.reeve("node", "drain", "sim-0001", "--reason", "new memory")
        cls.after = cls.cell.status()["head_seq"]

    def setUp(self):
        self.folder = os.path.join(self.cell.base, self._testMethodName)
        os.makedirs(self.folder)
        self.file = os.path.join(self.folder, "all.segment")
        self.copy = os.path.join(self.folder, "copy")

    def events(self, *arguments):
        return self.cell.reeve("log", "cat", "--json", *arguments).out

    def refused(self, code, word, *arguments):
        """With a sentence, and nothing written in the test's folder."""
        was = tree(self.folder)
        done = self.cell.reeve(*arguments, code=code)
        self.assertIn(word, done.err)
        self.assertEqual("", done.out)
        self.assertEqual(was, tree(self.folder))
        return done.err

    # A moment.

    def test_a_moment_is_a_sequence_or_a_time(self):
        cell = self.cell
        then = cell.reeve("state", "--at", str(self.before), "--json").json()
        self.assertEqual(self.before, then["seq"])
        now = cell.reeve("state", "--at", "now", "--json").json()
        self.assertGreaterEqual(now["seq"], self.after)
        digest = cell.reeve("state", "--at", str(self.before), "--digest")
        replayed = cell.reeve("replay", "--to", str(self.before), "--digest")
        self.assertEqual(digest.out, replayed.out)

    def test_sessions_nodes_and_gpus_are_shown_as_they_were(self):
        cell = self.cell
        at = ("--at", str(self.before))
        cell.reeve("show", self.held, *at, code=4)
        shown = cell.reeve("show", "s-1", "--at", "now", "--json").json()
        self.assertEqual("succeeded", shown["state"])
        first = shown["submitted_seq"]
        shown = cell.reeve("show", "s-1", "--at", str(first), "--json").json()
        self.assertEqual("pending", shown["state"])
        nodes = {node["name"]: node["state"] for node in
                 cell.reeve("nodes", "--json", *at).json()["nodes"]}
        self.assertEqual("up", nodes["sim-0001"])
        node = cell.reeve("node", "show", "sim-0001", "--at", "now",
                          "--json").json()
        self.assertEqual("drained", node["state"])
        for moment, holders in ((at, 0), (("--at", "now"), 2)):
            gpus = cell.reeve("gpus", "--json", *moment).json()["gpus"]
            self.assertEqual(holders, sum(
                1 for gpu in gpus if gpu.get("holders")))

    def test_what_is_asked_of_the_log_now_is_what_the_cell_says(self):
        for command in (("nodes",), ("gpus",), ("node", "show", "sim-0000"),
                        ("show", self.held)):
            live = self.cell.reeve(*command, "--json").json()
            then = self.cell.reeve(*command, "--json", "--at", "now").json()
            self.assertEqual(live, then, command)

    def test_diff_says_what_changed(self):
        cell = self.cell
        lines = cell.reeve("diff", str(self.before), str(self.after),
                           "--json").lines()
        sums = lines.pop()
        self.assertEqual(1, sums["submitted"])
        self.assertEqual(0, sums["ended"])
        self.assertEqual(len(lines), sums["changes"])
        changes = {(line["what"], line["id"]): line for line in lines}
        session = changes["session", self.held]
        self.assertEqual("added", session["change"])
        self.assertEqual("running", session["fields"]["state"]["after"])
        node = changes["node", "sim-0001"]["fields"]
        self.assertEqual({"before": "up", "after": "drained"}, node["state"])
        self.assertEqual("new memory", node["drain_reason"]["after"])
        held = [line for (what, _), line in changes.items()
                if what == "device"]
        self.assertEqual(2, len(held))
        for line in held:
            self.assertEqual(self.held, line["fields"]["held_by"]["after"])
        text = cell.reeve("diff", str(self.before), str(self.after)).out
        self.assertIn(f"+ session {self.held}: state running", text)
        self.assertIn("~ node sim-0001: state up -> drained", text)
        self.assertEqual(0, cell.reeve(
            "diff", "5", "5", "--json").lines()[-1]["changes"])

    def test_history_names_causes_live_and_from_a_copy(self):
        cell = self.cell
        live = cell.reeve("history", "s-1").out
        self.assertIn("session_submitted", live)
        self.assertIn("session_ended", live)
        shutil.copytree(os.path.join(cell.data, "log"), self.copy)
        self.assertEqual(live, cell.reeve("history", "s-1", "--log",
                                          self.copy).out)
        tree_text = cell.reeve("history", "s-1", "--tree").out
        self.assertEqual(sorted(live.split()), sorted(
            tree_text.replace("├─ ", "").replace("└─ ", "")
            .replace("│  ", "").split()))
        self.refused(4, "no session s-99999", "history", "s-99999", "--at",
                     "now")

    # Copies.

    def test_an_export_imported_is_the_same_log(self):
        cell = self.cell
        cell.reeve("log", "export", self.file, "--to", str(self.after))
        cell.reeve("log", "verify", "--log", self.file)
        cell.reeve("log", "import", self.file, "--log", self.copy)
        cell.reeve("log", "verify", "--log", self.copy)
        head = cell.reeve("log", "stats", "--log", self.copy,
                          "--json").json()["head_seq"]
        self.assertEqual(self.events("--to", str(head)),
                         self.events("--log", self.copy))
        again = self.file + ".again"
        cell.reeve("log", "export", again, "--log", self.copy)
        self.assertEqual(bytes_of(self.file), bytes_of(again))
        done = cell.reeve("log", "import", self.file, "--log", self.copy,
                          "--json").json()
        self.assertEqual(0, done["events"])

    def test_an_import_is_continued(self):
        cell = self.cell
        cell.reeve("log", "export", self.file, "--to", str(self.before))
        later = self.file + ".later"
        cell.reeve("log", "export", later, "--from", str(self.before // 2))
        self.refused(3, "import what goes before first", "log", "import",
                     later, "--log", self.copy)
        cell.reeve("log", "import", self.file, "--log", self.copy)
        cell.reeve("log", "import", later, "--log", self.copy)
        cell.reeve("log", "verify", "--log", self.copy)
        self.refused(3, "not overwritten", "log", "export", self.file)

    def test_a_cell_goes_on_with_an_imported_log(self):
        cell = self.cell
        cell.reeve("log", "export", self.file)
        other = Cell("[agent]\ncpus = 32\n")
        try:
            other.reeve("log", "import", self.file, "--log",
                        other.data + "/log")
            other.up()
            self.assertEqual("succeeded", other.show("s-1")["state"])
            session = other.submit("--", "true")
            other.reeve("wait", session)
            live, replayed = other.digests()
            self.assertEqual(live, replayed)
        finally:
            left = other.stop()
            other.remove()
        self.assertEqual([], left)

    # Archives.

    def test_archives_are_read_in_place_by_tools_and_daemon(self):
        cell = Cell("[agent]\ncpus = 32\n")
        try:
            self.archive_in(cell)
        finally:
            left = cell.stop()
            cell.remove()
        self.assertEqual([], left)

    def archive_in(self, cell):
        self.cell.reeve("log", "export", self.file)
        log = os.path.join(cell.data, "log")
        cell.reeve("log", "import", self.file, "--log", log)
        cell.up()
        head = cell.status()["head_seq"]
        whole = cell.reeve("log", "cat", "--json", "--to", str(head)).out
        digest = cell.reeve("replay", "--to", str(head), "--digest").out
        done = cell.reeve("log", "archive", "--keep", "300", "--segment",
                          "1000", "--json").json()
        self.assertTrue(done["left_to_daemon"])
        self.assertEqual(1, done["archives"][0]["from"])
        archived = done["archives"][-1]["to"]
        names = os.listdir(os.path.join(log, "archive"))
        self.assertEqual(len(done["archives"]),
                         len([n for n in names if n.endswith(".segment")]))
        wait_until("the daemon removes them",
                   lambda: f"events up to {archived} are in archives alone"
                   in cells.read(os.path.join(cell.data, "reeved.log")))

        def check():
            self.assertEqual(whole, cell.reeve(
                "log", "cat", "--json", "--to", str(head)).out)
            self.assertEqual(digest, cell.reeve(
                "replay", "--to", str(head), "--digest").out)
            border = ("--from", str(archived - 1), "--to", str(archived + 2))
            self.assertEqual(4, len(cell.reeve(
                "log", "cat", "--json", *border).lines()))
            cell.reeve("log", "verify")
            events = cell.reeve("events", "--from", "1", "--json").out
            self.assertTrue(events.startswith(whole))
        check()
        cell.kill_daemon()
        cell.up()
        check()
        cell.reeve("down")
        cell.reeve("log", "verify")
        # What is not there is not said to be whole.
        beyond = cell.reeve("log", "verify", "--from", "1000000", code=4)
        self.assertIn("the log ends at", beyond.err)
        self.assertEqual("", beyond.out)
        cell.reeve("log", "verify", "--from", "9", "--to", "5", code=2)
        cell.reeve("log", "verify", "--from", "5", "--to", "9")
        # Damage is named where it is read; the cell starts without.
        path = os.path.join(log, "archive", sorted(
            n for n in names if n.endswith(".segment"))[0])
        with open(path, "r+b") as file:
            file.truncate(os.path.getsize(path) // 2)
        done = cell.reeve("log", "verify", code=6)
        self.assertIn(os.path.basename(path), done.err)
        cell.up()
        cell.reeve("wait", cell.submit("--", "true"))
        cell.reeve("down")
        plan = cell.reeve("log", "repair", "--from", self.file, "--json",
                          code=6).json()
        self.assertEqual(0, plan["lost_from"])
        cell.reeve("log", "repair", "--from", self.file, "--yes", plan["plan"])
        cell.reeve("log", "verify")
        cell.up()
        self.assertEqual(whole, cell.reeve(
            "log", "cat", "--json", "--to", str(head)).out)

    def test_what_is_too_little_is_not_archived(self):
        # archive_events_min, and kept_events of the newest.
        refusal = self.refused(2, "--segment", "log", "archive", "--segment",
                               "999")
        self.assertIn("1000", refusal)
        done = self.cell.reeve("log", "archive", "--json").json()
        self.assertEqual([], done["archives"])
        self.assertFalse(os.path.exists(
            os.path.join(self.cell.data, "log", "archive")))

    # Repair.

    def test_repair_shows_asks_and_takes_what_follows(self):
        cell = self.cell
        cell.reeve("log", "export", self.file)
        cell.reeve("log", "import", self.file, "--log", self.copy)
        self.assertIn("nothing to repair", cell.reeve(
            "log", "repair", "--log", self.copy).out)
        tables = [os.path.join(self.copy, "db", name)
                  for name in os.listdir(self.copy + "/db")
                  if name.endswith(".sst")]
        table = max(tables, key=os.path.getsize)
        with open(table, "r+b") as file:
            file.seek(os.path.getsize(table) // 2)
            file.write(bytes(64))
        cell.reeve("log", "verify", "--log", self.copy, code=6)
        was = tree(self.copy)
        shown = cell.reeve("log", "repair", "--log", self.copy, code=6)
        self.assertIn("LOST", shown.out)
        self.assertIn("nothing was changed", shown.err)
        found = cell.reeve("log", "repair", "--log", self.copy, "--from",
                           self.file, "--json", code=6).json()
        self.assertEqual(0, found["lost_from"])
        self.assertIn(self.file, [p["source"] for p in found["pieces"]])
        self.assertEqual(was, tree(self.copy))
        self.refused(3, "not the id of this plan", "log", "repair", "--json",
                     "--log", self.copy, "--from", self.file, "--yes", "00")
        cell.reeve("log", "repair", "--log", self.copy, "--from", self.file,
                   "--yes", found["plan"])
        cell.reeve("log", "verify", "--log", self.copy)
        self.assertEqual(self.events(
            "--to", str(self.before)), self.events(
                "--log", self.copy, "--to", str(self.before)))
        self.assertTrue(os.path.isdir(found["quarantine"] + "/db"))

    def test_a_log_in_use_is_not_repaired(self):
        self.refused(3, "held by process", "log", "repair")

    # Bad input.

    def test_a_moment_that_is_none_is_refused(self):
        refused = self.refused
        refused(2, "the first event is of", "state", "--at", "2001-01-01")
        refused(2, "nonsense", "state", "--at", "nonsense")
        refused(4, "the log ends at", "state", "--at", "99999999")
        refused(2, "earlier moment first", "diff", "20", "10")
        refused(2, "A B", "diff", "20")
        refused(2, "colour", "log", "cat", "--filter", "colour=red")
        refused(4, "there is no log", "diff", "1", "2", "--log", "/nowhere")

    def test_files_that_are_no_exports_are_refused(self):
        refused = self.refused
        foreign = os.path.join(self.folder, "holiday.jpg")
        with open(foreign, "wb") as file:
            file.write(b"\xff\xd8\xff" * 100)
        for command in (("log", "import", foreign, "--log", self.copy),
                        ("log", "verify", "--log", foreign)):
            self.assertIn("no export or archive",
                          refused(6, "holiday.jpg", *command))
        refused(4, "none", "log", "import", "none", "--log", self.copy)
        self.cell.reeve("log", "export", self.file)
        whole = bytes_of(self.file)
        bad = os.path.join(self.folder, "bad.segment")
        generator = random.Random(11)
        for _ in range(6):
            at = generator.randrange(len(whole))
            with open(bad, "wb") as file:
                file.write(whole[:at] + bytes([whole[at] ^ 1])
                           + whole[at + 1:])
            refused(6, "bad.segment", "log", "import", bad, "--log", self.copy)
        with open(bad, "wb") as file:
            file.write(whole[:-1])
        refused(6, "cut short", "log", "import", bad, "--log", self.copy)
        newer = bytearray(whole)
        newer[8] = 9
        with open(bad, "wb") as file:
            file.write(newer)
        refused(6, "newer", "log", "import", bad, "--log", self.copy)

    def test_an_import_into_another_log_is_refused(self):
        other = Cell()
        try:
            other.up()
            other.reeve("down")
            other.reeve("log", "export", self.file)
            refusal = self.refused(6, "another log", "log", "import", self.file)
            self.assertIn(self.file, refusal)
        finally:
            left = other.stop()
            other.remove()
        self.assertEqual([], left)

    def test_tools_read_while_the_daemon_writes(self):
        ids = []
        end = time.monotonic() + 5
        while time.monotonic() < end:
            ids.append(self.cell.submit("--sim-duration", "1ms"))
            self.cell.reeve("state", "--at", "now")
            self.cell.reeve("history", ids[-1])
            self.cell.reeve("diff", str(self.after), "now")
        self.cell.reeve("log", "verify")


if __name__ == "__main__":
    sys.exit(cells.main())
