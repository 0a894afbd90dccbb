#!/usr/bin/env python3
"""How long sessions wait: the Helios slice on a virtual clock by each policy,
beside the published replay of it. Exact, so each is run once. The file is
looked for in $REEVE_HELIOS, or ../shared/data/helios; without it this ends with
exit code 77."""
import json
import os
import subprocess
import sys
import tempfile

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
    ("conservative", 0, None),
    ("greedy", 60, (15055, 9404)),
    ("greedy", 0, (5902, 252)),
]
MAIN = ("easy", 0, (6102, 451))  # told last
# With nothing but estimates. The limits in the file are the true lengths, so
# in one run they are left out: only history tells.
ESTIMATED = ["easy,estimates=history", "sjf,easy,estimates=history"]


def simulate(jobs, policy, *words):
    words = [os.path.join(figures.BIN, "reeve"), "trace", "simulate", jobs,
             "--format", "helios", "--nodes", NODES, "--policy", policy,
             "--json", *words]
    done = subprocess.run(words, check=True, stdout=subprocess.PIPE,
                          text=True, stdin=subprocess.DEVNULL)
    return json.loads(done.stdout.splitlines()[-1])


def report(name, got, published=None):
    figures.report(f"{name}, mean queueing of the largest gangs", "s",
                   [got["largest_gangs_mean_queueing_s"]])
    for i, what in ((1, "queueing"), (0, "completion")):
        figures.report(f"{name}, mean {what}", "s", [got[f"mean_{what}_s"]],
                       ("published", published[i]) if published else None)


def without_limits(path):
    """The same jobs, and nobody said how long they may take."""
    with open(JOBS, encoding="utf-8") as rows, \
            open(path, "w", encoding="utf-8") as out:
        limit = None
        for row in rows:
            cells = row.rstrip("\n").split(",")
            if limit is None and "walltime_limit_s" in cells:
                limit = cells.index("walltime_limit_s")
            elif limit is not None:
                cells[limit] = ""
            out.write(",".join(cells) + "\n")


def told(policy, round_s, published):
    """With lengths that are known."""
    rounds = ["--round-s", str(round_s)] if round_s else []
    report(f"helios {policy}, " + (f"rounds of {round_s} s" if round_s
                                   else "event-driven"),
           simulate(JOBS, policy, "--durations", "true", *rounds), published)


def main():
    figures.arguments(__doc__)
    if not os.path.exists(JOBS):
        figures.say(f"queueing: there is no {JOBS}; $REEVE_HELIOS names its "
                    "folder")
        sys.exit(SKIPPED)
    for one in RUNS:
        told(*one)
    with tempfile.TemporaryDirectory() as base:
        untold = os.path.join(base, "untold.csv")
        without_limits(untold)
        for policy in ESTIMATED:
            report(f"helios {policy}, no limits told, event-driven",
                   simulate(untold, policy, "--durations", "limit"))
            report(f"helios {policy}, at most the true length, event-driven",
                   simulate(JOBS, policy, "--durations", "limit"))
    told(*MAIN)


main()
