"""What-if and trace simulate as an admin uses them: figures against a recount
in Python, the same bytes for the same input, beside a running daemon, and bad
input that is told by its place and writes nothing."""
import json
import math
import os
import random
import sys
import time

import cell as cells
from cell import CellTest
from usage_test import nanoseconds

SUMMARY_KEYS = [
    "policy", "seed", "nodes", "gpus", "sessions", "placed", "dropped",
    "allocated_gpu_pct", "mean_completion_s", "mean_queueing_s",
    "p99_queueing_s", "largest_gangs_mean_queueing_s", "decisions_per_s",
    "wall_s"]
HELIOS = ("job_id,user,tenant,class,submit_time,num_chips,chip_type,num_nodes,"
          "duration_s,walltime_limit_s,final_status\n")
OPENB = "name,cpu_milli,memory_mib,num_gpu,gpu_milli\n"
ROUND_S_MAX = 24 * 3600   # round_ns_max
FILL_LOAD_MAX = 1000      # fill_load_max


def in_turn(jobs, round_s=0):
    """(mean completion, mean and p99 queueing) of (submitted, length) where
    each job needs the whole cluster, so that any fair order is theirs."""
    free, waits, completions = 0, [], []
    for submitted, length in jobs:
        start = max(submitted, free)
        if round_s:
            start = math.ceil(start / round_s) * round_s
        free = start + length
        waits.append(start - submitted)
        completions.append(free - submitted)
    waits.sort()
    p99 = waits[math.ceil(0.99 * len(waits)) - 1]
    return (sum(completions) / len(jobs), sum(waits) / len(jobs), p99)


class WhatifTest(CellTest):
    UP = ("--sim-nodes", "2")

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        # Two nodes of eight GPUs, four times what fits at once.
        requests = os.path.join(cls.cell.work, "many.jsonl")
        with open(requests, "w", encoding="utf-8") as file:
            for i in range(64):
                file.write(json.dumps({"gpus": 1, "sim-duration": "250ms",
                                       "project": "default"}) + "\n")
        ids = cls.cell.reeve("submit", "--file", requests).out.split()
        cls.cell.reeve("wait", *ids)
        cls.head = str(cls.cell.status()["head_seq"])

    def setUp(self):
        self.folder = os.path.join(self.cell.base, self._testMethodName)
        os.makedirs(self.folder)

    def file(self, name, text):
        path = os.path.join(self.folder, name)
        with open(path, "w", encoding="utf-8") as file:
            file.write(text)
        return path

    def refused(self, code, part, *arguments):
        was = sorted(os.listdir(self.folder))
        done = self.cell.reeve(*arguments, code=code)
        self.assertIn(part, done.err)
        self.assertEqual("", done.out)
        self.assertEqual(was, sorted(os.listdir(self.folder)))

    # -- trace simulate -------------------------------------------------------

    def helios(self, jobs):
        return self.file("jobs.csv", HELIOS + "".join(
            f"{i},ann,vc,x,{int(at * 1e6)},16,,2,{length},{length},COMPLETED\n"
            for i, (at, length) in enumerate(jobs)))

    def test_a_queueing_replay_gives_the_figures_of_a_recount(self):
        chance = random.Random(7)
        at, jobs = 0, []
        for _ in range(300):
            at += chance.randrange(0, 90)
            jobs.append((at, chance.randrange(1, 120)))
        path = self.helios(jobs)
        for round_s in (0, 60):
            done = self.cell.reeve(
                "trace", "simulate", path, "--format", "helios", "--nodes",
                "vc=2", "--round-s", str(round_s), "--durations", "true",
                "--json").json()
            self.assertEqual(SUMMARY_KEYS, list(done))
            self.assertEqual({"at_100": None, "at_130": None},
                             done["allocated_gpu_pct"])
            self.assertEqual((2, 16, 300, 300, 0),
                             tuple(done[key] for key in (
                                 "nodes", "gpus", "sessions", "placed",
                                 "dropped")))
            completion, queueing, p99 = in_turn(jobs, round_s)
            self.assertAlmostEqual(completion, done["mean_completion_s"], 2)
            self.assertAlmostEqual(queueing, done["mean_queueing_s"], 2)
            self.assertAlmostEqual(p99, done["p99_queueing_s"], 2)

    def test_a_fill_is_the_same_for_the_same_seed(self):
        chance = random.Random(3)
        path = self.file("pods.csv", OPENB + "".join(
            f"p{i},4000,1024,{chance.choice([1, 1, 2, 4])},"
            f"{1000 if i % 2 else 400},\n".replace(",\n", "\n")
            for i in range(50)))
        def fill(seed):
            done = self.cell.reeve(
                "trace", "simulate", path, "--nodes", "20", "--fill", "1.3",
                "--seed", str(seed), "--json").json()
            self.assertIsNone(done["mean_queueing_s"])
            self.assertEqual(done["sessions"],
                             done["placed"] + done["dropped"])
            return [done[key] for key in SUMMARY_KEYS[1:8]]
        first = fill(1)
        self.assertEqual(first, fill(1))
        self.assertNotEqual(first, fill(2))
        held = first[-1]
        self.assertGreater(held["at_100"], 80)
        self.assertGreaterEqual(held["at_130"], held["at_100"])

    def test_what_a_trace_lacks_is_told_by_its_place(self):
        jobs = self.helios([(0, 1)])
        pods = self.file("pods.csv", OPENB + "a,1,1,0,0\nb,1,1\n")
        torn = self.file("torn.csv", OPENB + "a,1,1,0,0\nb,1,1,x,0\n")
        binary = os.path.join(self.folder, "packed.csv")
        with open(binary, "wb") as file:
            file.write(b"\x1f\x8b\x08\x00 and so on")
        few = self.file("few.csv", "name,cpu_milli\n")
        simulate = ("trace", "simulate")
        for code, part, arguments in (
                (2, "pods.csv:3: 3 columns where the header has 5",
                 (pods, "--nodes", "2")),
                (2, 'torn.csv:3:7: "x"', (torn, "--nodes", "2")),
                (6, "packed.csv:1:1: byte 0x1f", (binary, "--nodes", "2")),
                (2, 'column "memory_mib" is missing', (few, "--nodes", "2")),
                (2, "it looks like --format helios", (jobs, "--nodes", "2")),
                (2, "which nodes?", (self.file("p", OPENB + "a,1,1,0,0\n"),)),
                (4, "no such file", (os.path.join(self.folder, "no such file"),
                                     "--nodes", "2")),
                (2, "--policy: there is no",
                 (jobs, "--format", "helios", "--policy", "fastest")),
                (2, f"{ROUND_S_MAX}", (jobs, "--format", "helios",
                                       "--round-s", f"{ROUND_S_MAX + 1}")),
                (2, f"{FILL_LOAD_MAX}", (jobs, "--format", "helios", "--fill",
                                         f"{FILL_LOAD_MAX + 1}")),
                (2, "--durations", (jobs, "--durations", "guessed")),
                (2, "--round-s", (jobs, "--format", "helios", "--fill", "1",
                                  "--round-s", "60", "--nodes", "2"))):
            with self.subTest(part=part):
                self.refused(code, part, *simulate, *arguments)
        self.cell.reeve(*simulate, jobs, "--format", "helios", "--nodes", "2",
                        "--round-s", f"{ROUND_S_MAX}")
        self.cell.reeve(*simulate, jobs, "--format", "helios", "--nodes", "2",
                        "--fill", f"{FILL_LOAD_MAX}")

    # -- whatif ---------------------------------------------------------------

    def waits(self):
        """Seconds from submission to the first placement, of each session."""
        at, out = {}, {}
        for event in self.cell.reeve("log", "cat", "--to", self.head,
                                     "--json").lines():
            when = nanoseconds(event["time_at"])
            body = event.get("body", {})
            if event["body_type"] == "session_submitted":
                at[body["session"]] = when
            elif event["body_type"] == "session_placed":
                out.setdefault(body["session"],
                               (when - at[body["session"]]) / 1e9)
        return sorted(out.values())

    def test_what_really_happened_is_what_the_log_says(self):
        waits = self.waits()
        told = self.cell.reeve("whatif", "--to", self.head, "--json").json()
        really = told["really"]
        self.assertEqual(64, told["sessions"])
        self.assertEqual(64, really["started"])
        self.assertAlmostEqual(sum(waits) / len(waits),
                               really["waiting_s"]["mean"], 2)
        self.assertAlmostEqual(waits[-1], really["waiting_s"]["max"], 2)
        self.assertAlmostEqual(waits[31], really["waiting_s"]["p50"], 2)
        # The scheduler is the same: without a change it does the same, but
        # for what the cell itself takes.
        self.assertAlmostEqual(really["waiting_s"]["mean"],
                               told["whatif"]["waiting_s"]["mean"], 0)
        self.assertIsNone(told["whatif"]["policy"])

    def test_more_nodes_wait_less_and_fewer_more(self):
        mean = {}
        for nodes in ("+6", "-1", "2"):
            told = self.cell.reeve("whatif", f"--nodes={nodes}",
                                   "--json").json()
            mean[nodes] = told["whatif"]["waiting_s"]["mean"]
        self.assertEqual(0, mean["+6"])
        self.assertLess(mean["2"], mean["-1"])

    def test_the_same_log_gives_the_same_bytes(self):
        def once(name):
            path = os.path.join(self.folder, name)
            done = self.cell.reeve("whatif", "--nodes", "+1", "--html", path,
                                   "--json")
            with open(path, "rb") as file:
                return done.out, file.read()
        self.assertEqual(once("a.html"), once("b.html"))

    def test_it_reads_beside_a_daemon_that_writes(self):
        self.cell.submit("--gpus", "1", "--sim-duration", "1h")
        running = self.cell.reeve("whatif", "--json").json()
        self.assertGreaterEqual(running["really"]["started"], 64)
        self.assertEqual(running["really"]["completion_s"]["count"], 64)

    def test_bad_words_are_refused(self):
        held = self.file("held.html", "as it was")
        for code, part, arguments in (
                (2, "--policy: there is no", ("--policy", "fastest")),
                (2, "is no time", ("--from", "soon")),
                (2, "the log begins at", ("--from", "2001-01-01")),
                (2, "fewer", ("--nodes=-9",)),
                (2, "not several", ("--nodes", "+1", "--nodes", "+2")),
                (4, "cannot read", ("--nodes", "none.csv")),
                (2, "leave it out with --trace", ("--trace", held, "--to",
                                                  "5")),
                (2, "name it with --trace", ("--format", "swf")),
                (2, "standard output", ("--json", "--html", "-")),
                (1, "cannot write", ("--html", "/no/such/place.html")),
                (4, "no log", ("--log", os.path.join(self.folder, "none"))),
                (2, "held.html:1: column", ("--trace", held, "--html",
                                            held))):
            with self.subTest(part=part):
                self.refused(code, part, "whatif", *arguments)
        self.assertEqual("as it was", cells.read(held))

    def test_a_trace_is_set_beside_its_own_record(self):
        lines = "".join(json.dumps(
            {"submit_at": i, "gpus": 8, "duration": 10, "waited": 20}) + "\n"
            for i in range(4))
        path = self.file("t.jsonl", lines + json.dumps(
            {"submit_at": 1, "gpus": 8, "duration": 10}) + "\n")
        told = self.cell.reeve("whatif", "--trace", path, "--format", "reeve",
                               "--nodes", "4", "--json").json()
        self.assertEqual("as recorded", told["really_is"])
        self.assertEqual(4, told["sessions"])
        self.assertEqual(1, told["left_out"]["withdrawn"])
        self.assertEqual(20, told["really"]["waiting_s"]["mean"])
        self.assertEqual(0, told["whatif"]["waiting_s"]["mean"])
        silent = self.file("s.jsonl", json.dumps(
            {"submit_at": 0, "gpus": 8, "duration": 10}) + "\n")
        told = self.cell.reeve("whatif", "--trace", silent, "--format",
                               "reeve", "--nodes", "4", "--json").json()
        self.assertEqual("default policy", told["really_is"])


NODES = """sn,cpu_milli,memory_mib,gpu,model,labels
sim-a,8000,16384,0,,rack=r1
sim-b,8000,16384,0,,rack=r2
"""


class ReplayTest(CellTest):
    """A real log with an array, constraints, a reservation and one who makes
    room: what-if without a change does the same."""

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.cell.up_with_nodes(NODES)
        cls.cell.reeve("group", "set", "default", "--policy",
                       "preemption=priority,preempt_after=1s")

    def submit(self, *options):
        made = self.cell.reeve("submit", "--json", *options).json()
        return int(made["session_id"][2:])

    def test_a_run_that_changes_nothing_gives_what_the_log_has(self):
        r1 = ("--constraint", "rack=r1")
        r2 = ("--constraint", "rack=r2", "--cpus", "8")
        self.cell.reeve("reservation", "set", "demo", "--node", "sim-b",
                        "--user", "root", "--from", "+12s", "--for", "5s")
        array = self.submit("--array", "1-6%2", *r1, "--sim-duration", "1s")
        low = self.submit(*r1, "--cpus", "6", "--sim-duration", "12s")
        into = self.submit(*r2, "--time", "30s", "--sim-duration", "1s")
        inside = self.submit(*r2, "--reservation", "demo", "--sim-duration",
                             "1s")
        short = self.submit(*r2, "--time", "2s", "--sim-duration", "1s")
        self.cell.await_state(f"s-{low}", "running")
        time.sleep(1.5)
        high = self.submit(*r1, "--cpus", "6", "--priority", "5",
                           "--sim-duration", "1s")
        everyone = [array + i for i in range(6)] + [low, into, inside, short,
                                                    high]
        self.cell.reeve("wait", *(f"s-{one}" for one in everyone))
        head = str(self.cell.status()["head_seq"])
        # It went as it was meant to.
        at, started, attempts = {}, {}, {}
        for event in self.cell.reeve("log", "cat", "--to", head,
                                     "--json").lines():
            when = nanoseconds(event["time_at"]) / 1e9
            body = event.get("body", {})
            if event["body_type"] == "session_submitted":
                at[body["session"]] = when
            elif event["body_type"] == "session_placed":
                started.setdefault(body["session"],
                                   when - at[body["session"]])
                attempts[body["session"]] = body["attempt"]
        self.assertEqual(2, attempts[low])
        self.assertLess(started[short], 1)
        self.assertGreater(started[inside], 1)
        self.assertGreater(started[into] + at[into],
                           started[inside] + at[inside] + 4)
        self.assertLess(started[high], 2)
        self.assertGreater(started[array + 5], 1.9)
        # And so it goes again.
        told = self.cell.reeve("whatif", "--to", head, "--json").json()
        really, again = told["really"], told["whatif"]
        self.assertEqual(11, really["started"])
        for key in ("started", "ended", "refused", "requeued"):
            self.assertEqual(really[key], again[key], key)
        self.assertEqual(1, again["requeued"])
        for figure in ("waiting_s", "completion_s"):
            for part in ("mean", "p50", "p95", "max"):
                self.assertAlmostEqual(really[figure][part],
                                       again[figure][part], delta=0.7,
                                       msg=f"{figure} {part}: {told}")
        other = self.cell.reeve("whatif", "--to", head, "--policy", "greedy",
                                "--json").json()["whatif"]
        self.assertEqual(0, other["requeued"])


if __name__ == "__main__":
    sys.exit(cells.main())
