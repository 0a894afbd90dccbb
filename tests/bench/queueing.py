#!/usr/bin/env python3
"""How long sessions wait: the Helios slice on a virtual clock by each policy,
beside the published replay of it. Exact, so each is run once. The file is
looked for in $REEVE_HELIOS, or ../shared/data/helios; without it this ends with
exit code 77."""
import json
import os
import subprocess
import sys

import figures

SKIPPED = 77
HELIOS = os.environ.get("REEVE_HELIOS", os.path.join(
    figures.ROOT, "..", "shared", "data", "helios"))
JOBS = os.path.join(HELIOS, "helios_venus_2vc_sept.csv")
NODES = "vcvGl=20,vcvlY=2"

# (policy, seconds of a round, published mean completion and mean queueing)
RUNS = [
    ("fifo", 60, (28557, 22907)),
    ("fifo", 0, (16534, 10883)),
    ("sjf", 60, (10373, 4722)),
    ("sjf", 0, (6273, 622)),
    ("easy", 60, (14116, 8465)),
    ("easy", 0, (6102, 451)),
    ("conservative", 0, None),
    ("greedy", 60, (15055, 9404)),
    ("greedy", 0, (5902, 252)),
    ("easy,estimates=history", 0, None),
]


def simulate(policy, round_s):
    words = [os.path.join(figures.BIN, "reeve"), "trace", "simulate", JOBS,
             "--format", "helios", "--nodes", NODES, "--policy", policy,
             "--json"]
    if round_s:
        words += ["--round-s", str(round_s)]
    # An estimate from history is one only where the length is not told.
    if "history" not in policy:
        words += ["--durations", "true"]
    done = subprocess.run(words, check=True, stdout=subprocess.PIPE,
                          text=True, stdin=subprocess.DEVNULL)
    return json.loads(done.stdout.splitlines()[-1])


def main():
    figures.arguments(__doc__)
    if not os.path.exists(JOBS):
        figures.say(f"queueing: there is no {JOBS}; $REEVE_HELIOS names its "
                    "folder")
        sys.exit(SKIPPED)
    for policy, round_s, published in RUNS:
        got = simulate(policy, round_s)
        name = f"helios {policy}, " + (f"rounds of {round_s} s" if round_s
                                       else "event-driven")
        for i, what in enumerate(("completion", "queueing")):
            figures.report(f"{name}, mean {what}", "s", [got[f"mean_{what}_s"]],
                           ("published", published[i]) if published else None)
        figures.report(f"{name}, mean queueing of the largest gangs", "s",
                       [got["largest_gangs_mean_queueing_s"]])


main()
