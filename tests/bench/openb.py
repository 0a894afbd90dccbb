#!/usr/bin/env python3
"""The Alibaba openb trace through a fresh cell, as fast as it is accepted:
durable placements per second, and the time from submit to placed.
The files are looked for in $REEVE_OPENB, or ../shared/data/openb."""
import json
import os
import sys

import figures

OPENB = os.environ.get("REEVE_OPENB", os.path.join(
    figures.ROOT, "..", "shared", "data", "openb"))
PODS = os.path.join(OPENB, "openb_pod_list_default.csv")
NODES = os.path.join(OPENB, "openb_node_list_gpu_node.csv")


def one_run():
    with figures.BenchCell("[agent]\nenabled = false\n") as cell:
        cell.up()
        before = {part: sum(figures.cpu_ms(pid))
                  for part, pid in cell.pids.items()}
        done = cell.reeve("trace", "run", PODS, "--nodes", NODES,
                          "--compress", "0", "--json", seconds=600)
        summary = json.loads(done.out.splitlines()[-1])
        if not summary["digest_equal"]:
            raise AssertionError(f"the replay differs: {summary}")
        summary["cpu_ms"] = {
            part: (sum(figures.cpu_ms(pid)) - before[part])
            / summary["placed"] for part, pid in cell.pids.items()}
        return summary


def main():
    given = figures.arguments(__doc__, runs=3)
    if not os.path.exists(PODS):
        sys.exit(f"openb: there is no {PODS}; $REEVE_OPENB names its folder")
    runs = [one_run() for _ in range(given.runs)]
    for part in runs[0]["cpu_ms"]:
        figures.report(f"openb_cpu_per_session_{part.replace(' ', '_')}", "ms",
                       [run["cpu_ms"][part] for run in runs])
    for key in ("p50", "p99"):
        figures.report(f"openb_submit_to_placed_{key}", "ms",
                       [run["submit_to_placed_ms"][key] for run in runs])
    figures.report("openb_sessions", "sessions/s",
                   [run["sessions_per_s"] for run in runs])
    figures.report("openb_placements", "placements/s",
                   [run["placements_per_s"] for run in runs])


main()
