"""usage and timeline over the log of a real cell: the sums equal a recount in
Python over `log cat --json`, exactly; what is wrong is told and changes
nothing."""
import csv
import datetime
import io
import os
import shutil
import sys
import time
import unittest
from collections import defaultdict

import cell as cells
from cell import Cell

ZERO = (0, 0, 0)


def nanoseconds(text):
    """RFC 3339 with nanoseconds, exact."""
    whole, rest = text.rstrip("Z").split(".")
    at = datetime.datetime.fromisoformat(whole + "+00:00")
    return int(at.timestamp()) * 10**9 + int(rest)


def plus(a, b, factor=1):
    return tuple(x + factor * y for x, y in zip(a, b))


class Recount:
    """Usage counted from the events alone, by walking from change to change.
    Held amounts are (cpu_milli, memory_bytes, gpu_milli) times nanoseconds."""

    def __init__(self, events, begin, end):
        self.begin, self.end = begin, end
        self.sessions, self.nodes = {}, {}
        self.held = defaultdict(lambda: ZERO)  # (kind, key): amount
        self.free = defaultdict(lambda: ZERO)  # (node, phase): amount
        now = 0
        for event in events:
            at = nanoseconds(event["time_at"])
            if at > end:
                break
            self.pass_time(now, at)
            now = at
            self.apply(event)
        self.pass_time(now, end)

    def pass_time(self, since, until):
        ns = min(until, self.end) - max(since, self.begin)
        if ns <= 0:
            return
        on_node = defaultdict(lambda: ZERO)
        for session in self.sessions.values():
            spec = session["spec"]
            for task in session["tasks"].values():
                rate = (spec["request"].get("cpu_milli", 0),
                        spec["request"].get("memory_bytes", 0),
                        sum(d["milli"] for d in task.get("devices", [])))
                name = self.nodes[task.get("node", 0)]["name"]
                on_node[name] = plus(on_node[name], rate)
                for kind, key in (("user", spec["user"]),
                                  ("project", spec["project"]),
                                  ("group", spec["group"]), ("node", name)):
                    self.held[kind, key] = plus(self.held[kind, key], rate, ns)
        for node in self.nodes.values():
            if node["removed"]:
                continue
            phase = ("lost" if node["lost"] else
                     "drained" if node["drained"] else "idle")
            free = plus(node["capacity"], on_node[node["name"]], -1)
            key = node["name"], phase
            self.free[key] = plus(self.free[key], free, ns)

    def apply(self, event):
        kind, body = event["body_type"], event["body"]
        if kind == "node_registered":
            spec = body["spec"]
            known = self.nodes.get(body.get("node", 0), {})
            self.nodes[body.get("node", 0)] = {
                "lost": False, "drained": False, "removed": False, **known,
                "name": spec["name"],
                "capacity": (spec.get("cpu_milli", 0),
                             spec.get("memory_bytes", 0),
                             1000 * len(spec.get("devices", [])))}
        elif kind.startswith("node_"):
            key, value = {"node_lost": ("lost", True),
                          "node_returned": ("lost", False),
                          "node_drained": ("drained", True),
                          "node_resumed": ("drained", False),
                          "node_removed": ("removed", True)}[kind]
            self.nodes[body.get("node", 0)][key] = value
        elif kind == "session_submitted":
            self.sessions[body["session"]] = {"spec": body["spec"],
                                                 "tasks": {}}
        elif kind == "session_placed":
            self.sessions[body["session"]]["tasks"] = dict(
                enumerate(body["tasks"]))
        elif kind == "task_exited":
            del self.sessions[body["session"]]["tasks"][
                body.get("rank", 0)]
        elif kind == "session_requeued":
            self.sessions[body["session"]]["tasks"] = {}
        elif kind == "session_ended":
            del self.sessions[body["session"]]


def amount(row, part="held"):
    return tuple(row[part][key] for key in
                 ("cpu_milli_ns", "memory_byte_ns", "gpu_milli_ns"))


class UsageTest(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.cell = Cell("[agent]\ncpus = 32\n")
        cls.cell.up("--sim-nodes", "3")
        submit = cls.cell.submit
        all = [submit(
            "--name", f"job-{i}", "--gpus", ["1", "0.25", "2"][i % 3],
            "--mem", "2G", "--sim-duration", f"{50 + 40 * i}ms")
               for i in range(30)]
        gang = submit("--tasks", "2", "--gpus", "2", "--sim-duration", "400ms")
        cls.cell.reeve("node", "drain", "sim-0001")
        real = submit("--name", "</script><img src=x onerror=alert(1)>",
                      "--", "sleep", "0.3")
        cls.cell.reeve("wait", gang, real, code=None)
        cls.cell.reeve("node", "resume", "sim-0001")
        cls.cell.reeve("wait", *all, code=None)
        # Still held when the log ends.
        submit("--gpus", "3", "--sim-duration", "1h")
        time.sleep(0.3)
        cls.cell.reeve("node", "drain", "sim-0002")
        cls.events = cls.cell.reeve("log", "cat", "--json").lines()

    @classmethod
    def tearDownClass(cls):
        left = cls.cell.stop()
        if left:
            raise AssertionError("left behind: " + "\n".join(left))
        cls.cell.remove()

    def usage(self, *arguments):
        # To a moment at which the log is known, whatever the cell does now.
        last = str(self.events[-1]["seq"])
        if "--to" not in arguments:
            arguments += ("--to", last)
        return self.cell.reeve("usage", *arguments, "--json").json()

    def compare(self, begin, end, *arguments):
        recount = Recount(self.events, begin, end)
        for by in ("user", "project", "group", "node"):
            with self.subTest(by=by, begin=begin, end=end):
                period, = self.usage("--by", by, *arguments)["periods"]
                rows = {row[by]: amount(row) for row in period["rows"]
                        if amount(row) != ZERO}
                counted = {key: value for (kind, key), value
                           in recount.held.items() if kind == by}
                self.assertEqual(counted, rows)
                total = period["total"]
                for part in ("idle", "drained", "lost"):
                    sums = ZERO
                    for (_, phase), value in recount.free.items():
                        if phase == part:
                            sums = plus(sums, value)
                    self.assertEqual(sums, amount(total, part), part)
                if by == "node":
                    for row in period["rows"]:
                        for part in ("idle", "drained", "lost"):
                            self.assertEqual(recount.free[row["node"], part],
                                             amount(row, part))
        return recount

    def test_sums_of_the_whole_log_equal_a_recount(self):
        begin, end = (nanoseconds(self.events[i]["time_at"]) for i in (0, -1))
        recount = self.compare(begin, end)
        self.assertTrue(any(phase == "drained" for _, phase in recount.free))

    def test_borders_in_the_middle_of_intervals(self):
        first, last = (nanoseconds(self.events[i]["time_at"]) for i in (0, -1))
        for part in (0.2, 0.5, 0.8):
            begin = int(first + (last - first) * part)
            end = begin + (last - begin) // 3
            as_text = lambda at: time.strftime(
                "%Y-%m-%dT%H:%M:%S", time.gmtime(at // 10**9)) + \
                f".{at % 10**9:09}Z"
            self.compare(begin, end, "--from", as_text(begin),
                         "--to", as_text(end))
        middle = self.events[len(self.events) // 2]
        self.compare(nanoseconds(middle["time_at"]), last, "--from",
                     str(middle["seq"]))

    def test_csv_has_the_same_integers(self):
        last = str(self.events[-1]["seq"])
        text = self.cell.reeve("usage", "--by", "node", "--csv", "--to",
                               last).out
        rows = list(csv.DictReader(io.StringIO(text)))
        period, = self.usage("--by", "node")["periods"]
        self.assertEqual(len(period["rows"]) + 1, len(rows))
        for row, line in zip(period["rows"] + [period["total"]], rows):
            for part in ("held", "idle", "drained", "lost"):
                self.assertEqual(amount(row, part), tuple(
                    int(line[f"{part}_{key}"]) for key in
                    ("cpu_milli_ns", "memory_byte_ns", "gpu_milli_ns")))
        self.assertEqual("", rows[-1]["node"])

    def test_periods_add_up_to_the_whole(self):
        whole, = self.usage()["periods"]
        for per in ("day", "month"):
            sums = ZERO
            for period in self.usage("--per", per)["periods"]:
                sums = plus(sums, amount(period["total"], "capacity"))
            self.assertEqual(amount(whole["total"], "capacity"), sums)

    def test_people_see_hours_and_what_was_idle(self):
        out = self.cell.reeve("usage").out
        for word in ("GPU HOURS", "all held", "idle", "drained", "capacity"):
            self.assertIn(word, out)

    def test_the_timeline_draws_in_plain_letters_into_a_pipe(self):
        out = self.cell.reeve("timeline").out
        self.assertTrue(out.isascii())
        self.assertNotIn("\033", out)
        self.assertIn("sim-0000", out)
        one = self.cell.reeve("timeline", "--node", "sim-0001").out
        self.assertNotIn("sim-0000", one)

    def test_the_page_is_whole_and_has_no_markup_from_outside(self):
        page = os.path.join(self.cell.work, "page.html")
        self.cell.reeve("timeline", "--html", page)
        text = cells.read(page)
        self.assertTrue(text.rstrip().endswith("</html>"))
        self.assertNotIn("<img", text)
        self.assertEqual(text, self.cell.reeve("timeline", "--html", "-").out)

    def test_what_is_wrong_is_said_and_nothing_is_written(self):
        page = os.path.join(self.cell.work, "never.html")
        missing = os.path.join(self.cell.work, "none", "page.html")
        for code, words, *arguments in (
                (2, ["--by", "colour", "user"], "usage", "--by", "colour"),
                (2, ["--per"], "usage", "--per", "week"),
                (2, ["--csv and --json"], "usage", "--csv", "--json"),
                (2, ["log begins at"], "usage", "--from", "2001-01-01"),
                (2, ["lies ahead"], "usage", "--to", "+2h"),
                (2, ["no time between"], "usage", "--from", "9", "--to", "9"),
                (2, ["log ends at", "--to now"], "usage", "--from", "-0s"),
                (2, ["log begins at"], "usage", "--to", "2001-01-01"),
                (2, ["no time between"], "usage", "--from", "-1s", "--to",
                 "-2s"),
                (2, ["is no time"], "usage", "--from", "soon"),
                (4, ["no event 99999999"], "usage", "--to", "99999999"),
                (4, ["no node"], "timeline", "--node", "nowhere", "--html",
                 page),
                # bar_width_min and bar_width_max
                (2, ["width"], "timeline", "--width", "39"),
                (2, ["width"], "timeline", "--width", "1001"),
                (1, ["cannot write", missing], "timeline", "--html", missing),
                (1, ["cannot write"], "timeline", "--html", self.cell.work),
                (1, ["No space"], "timeline", "--html", "/dev/full"),
                (4, [], "usage", "--log", self.cell.work + "/none")):
            with self.subTest(arguments=arguments):
                done = self.cell.reeve(*arguments, code=code)
                self.assertEqual("", done.out)
                for word in words:
                    self.assertIn(word, done.err)
        for width in ("40", "1000"):
            self.cell.reeve("timeline", "--width", width)
        self.assertEqual([], [name for name in os.listdir(self.cell.work)
                              if "never" in name])

    def test_a_damaged_log_gives_no_half_of_an_answer(self):
        copy = os.path.join(self.cell.base, "damaged")
        shutil.copytree(os.path.join(self.cell.data, "log"), copy)
        page = os.path.join(self.cell.work, "damaged.html")
        db = os.path.join(copy, "db")
        wal = max((os.path.join(db, name) for name in os.listdir(db)
                   if name.endswith(".log")), key=os.path.getsize)
        with open(wal, "r+b") as file:
            file.seek(os.path.getsize(wal) // 2)
            byte = file.read(1)[0]
            file.seek(-1, os.SEEK_CUR)
            file.write(bytes([byte ^ 0x40]))
        for arguments in (["usage"], ["usage", "--json"],
                          ["timeline", "--html", page]):
            done = self.cell.reeve(*arguments, "--log", copy, code=6)
            self.assertEqual("", done.out)
        self.assertFalse(os.path.exists(page))


if __name__ == "__main__":
    sys.exit(cells.main())
