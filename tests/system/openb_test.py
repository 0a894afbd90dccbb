"""Recorded workloads in the openb format through a running cell: a generated
one always, the real one where $REEVE_OPENB (or ../shared/data/openb) has it."""
import json
import os
import random
import shutil
import sys
import unittest

import cell as cells
from cell import CellTest

OPENB = os.environ.get("REEVE_OPENB", os.path.join(
    os.environ["REEVE_SOURCE"], "..", "shared", "data", "openb"))
PODS = "openb_pod_list_default.csv"
NODES = "openb_node_list_gpu_node.csv"
REQUESTS = 1000


def generated(directory):
    """A workload with some of everything, and a few that can never fit."""
    generator = random.Random(1213)
    nodes = ["sn,cpu_milli,memory_mib,gpu,model"]
    for number in range(40):
        gpus, model = generator.choice([(8, "G2"), (4, "T4"), (2, "P100")])
        nodes.append(f"openb-node-{number:04},96000,393216,{gpus},{model}")
    pods = ["name,cpu_milli,memory_mib,num_gpu,gpu_milli,gpu_spec,qos,"
            "pod_phase,creation_time,deletion_time,scheduled_time"]
    impossible = 0
    for number in range(REQUESTS):
        gpus = generator.choice([0, 1, 1, 1, 2, 4])
        share = generator.choice([200, 470, 1000]) if gpus == 1 else 1000
        model = generator.choice(["", "", "T4", "G2|P100"]) if gpus else ""
        if gpus == 4 and model == "G2|P100":
            model = "G2"
        if number % 100 == 99:
            gpus, share, model = 8, 1000, "V100M32"
            impossible += 1
        begun = number * 10
        pods.append(
            f"openb-pod-{number:04},{generator.randrange(1, 16) * 1000},"
            f"{generator.randrange(1, 32) * 1024},{gpus},"
            f"{share if gpus else 0},{model},LS,Succeeded,{begun},"
            f"{begun + generator.randrange(1, 4000)},{begun}")
    paths = [os.path.join(directory, name) for name in (PODS, NODES)]
    for path, lines in zip(paths, (pods, nodes)):
        with open(path, "w", encoding="utf-8") as file:
            file.write("\n".join(lines) + "\n")
    return *paths, impossible


class TraceTest(CellTest):
    def check(self, pods, nodes, requests, refused=None):
        done = self.cell.reeve("trace", "run", pods, "--nodes", nodes,
                               "--compress", "0", "--json",
                               seconds=5 * cells.PATIENCE_S)
        summary = json.loads(done.out.splitlines()[-1])
        print(json.dumps(summary), flush=True)
        self.assertTrue(summary["digest_equal"])
        self.assertEqual(summary["live_digest"], summary["replay_digest"])
        self.assertEqual(summary["accepted"], summary["placed"])
        self.assertEqual(summary["accepted"], summary["finished"])
        self.assertEqual(requests, summary["accepted"] +
                         sum(summary["refused"].values()))
        if refused is not None:
            self.assertEqual(refused, sum(summary["refused"].values()))
        for key in ("sessions_per_s", "placements_per_s", "head_seq"):
            self.assertGreater(summary[key], 0)
        self.assertLessEqual(summary["submit_to_placed_ms"]["p50"],
                             summary["submit_to_placed_ms"]["p99"])
        for gpu in self.cell.reeve("gpus", "--limit", "100000",
                                   "--json").json()["gpus"]:
            self.assertEqual(1000, gpu["free_milli"], gpu)
        self.cell.reeve("log", "verify", seconds=3 * cells.PATIENCE_S)


class GeneratedTraceTest(TraceTest):
    def test_a_generated_trace_runs_whole(self):
        pods, nodes, impossible = generated(self.cell.work)
        self.check(pods, nodes, REQUESTS, impossible)

    def test_a_trace_with_a_bad_line_names_file_line_and_column(self):
        bad = os.path.join(self.cell.work, "bad.csv")
        with open(bad, "w", encoding="utf-8") as file:
            file.write("name,cpu_milli,memory_mib,num_gpu,gpu_milli\n"
                       "a,1000,1024,0,0\nb,many,1024,0,0\n")
        done = self.cell.reeve("trace", "run", bad, code=2)
        self.assertIn("bad.csv:3:3", done.err)
        self.assertIn("many", done.err)
        self.cell.reeve("trace", "run", bad + ".none", code=4)

    def test_a_trace_of_which_nothing_runs_does_not_succeed(self):
        path = os.path.join(self.cell.work, "alone.csv")
        with open(path, "w", encoding="utf-8") as file:
            file.write("name,cpu_milli,memory_mib,num_gpu,gpu_milli\n"
                       "a,1000,1024,9,1000\n")
        done = self.cell.reeve("trace", "run", path, "--compress", "0",
                               "--json", code=1)
        self.assertEqual(0, json.loads(done.out.splitlines()[-1])["accepted"])

    def test_what_ran_is_told_where_the_log_is_not_on_this_host(self):
        path = os.path.join(self.cell.work, "one.csv")
        with open(path, "w", encoding="utf-8") as file:
            file.write("name,cpu_milli,memory_mib,num_gpu,gpu_milli,"
                       "creation_time,deletion_time\na,1000,1024,0,0,0,10\n")
        desk = os.path.join(self.cell.base, "desk")
        shutil.copytree(os.path.join(self.cell.data, "bus"),
                        os.path.join(desk, "bus"),
                        ignore=lambda _, names: set(names) - {"client.json"})
        words = ["trace", "run", path, "--nodes", "1", "--compress", "0",
                 "--data", desk]
        done = self.cell.reeve(*words)
        self.assertIn("not compared", done.err)
        summary = self.cell.reeve(*words, "--json").json()
        self.assertEqual(1, summary["finished"])
        self.assertIn("live_digest", summary)
        self.assertNotIn("replay_digest", summary)
        self.assertNotIn("digest_equal", summary)


class RealTraceTest(TraceTest):
    @classmethod
    def setUpClass(cls):
        if not os.path.exists(os.path.join(OPENB, PODS)):
            raise unittest.SkipTest(f"{OPENB} does not have the real trace")
        super().setUpClass()

    def test_the_real_trace_runs_whole(self):
        pods = os.path.join(OPENB, PODS)
        lines = len(cells.read(pods).splitlines()) - 1
        self.check(pods, os.path.join(OPENB, NODES), lines)


if __name__ == "__main__":
    sys.exit(cells.main())
