#!/usr/bin/env python3
"""The Alibaba openb trace through a fresh cell, as fast as it is accepted:
durable placements per second, the time from submit to placed, and the events of
one commit meanwhile. With --nodes and --requests that many, by copies of its
rows, in place of its own.
The files are looked for in $REEVE_OPENB, or ../shared/data/openb."""
import json
import os
import sys
import tempfile

import figures

OPENB = os.environ.get("REEVE_OPENB", os.path.join(
    figures.ROOT, "..", "shared", "data", "openb"))
PODS = os.path.join(OPENB, "openb_pod_list_default.csv")
NODES = os.path.join(OPENB, "openb_node_list_gpu_node.csv")


def copies(path, folder, rows_wanted):
    """A file with so many rows: those of this one again and again, each with a
    name of its own."""
    with open(path, encoding="utf-8") as file:
        header, *rows = file.read().splitlines()
    target = os.path.join(folder, os.path.basename(path))
    with open(target, "w", encoding="utf-8") as file:
        file.write(header + "\n")
        for number in range(rows_wanted):
            file.write(f"c{number // len(rows)}-"
                       f"{rows[number % len(rows)]}\n")
    return target


def one_run(nodes, requests):
    with tempfile.TemporaryDirectory() as folder, \
            figures.BenchCell("[agent]\nenabled = false\n") as cell:
        nodes_file = copies(NODES, folder, nodes) if nodes else NODES
        pods_file = copies(PODS, folder, requests) if requests else PODS
        cell.up()
        head = cell.head_events()
        before = {part: sum(figures.cpu_ms(pid))
                  for part, pid in cell.pids.items()}
        done = cell.reeve("trace", "run", pods_file, "--nodes", nodes_file,
                          "--compress", "0", "--json", seconds=600)
        summary = json.loads(done.out.splitlines()[-1])
        if not summary["digest_equal"]:
            raise AssertionError(f"the replay differs: {summary}")
        summary["cpu_ms"] = {
            part: (sum(figures.cpu_ms(pid)) - before[part])
            / summary["placed"] for part, pid in cell.pids.items()}
        # Nodes are declared first, thousands in one commit.
        declared = cell.stats()["kinds"]["node_registered"]["events"]
        summary["events_per_commit"] = cell.events_per_commit(
            head + declared + 1)
        return summary


def main():
    given = figures.arguments(__doc__, runs=3, nodes=0, requests=0)
    if not os.path.exists(PODS):
        sys.exit(f"openb: there is no {PODS}; $REEVE_OPENB names its folder")
    name = f"live_{given.nodes}_nodes" if given.nodes else "openb"
    runs = [one_run(given.nodes, given.requests) for _ in range(given.runs)]
    for part in runs[0]["cpu_ms"]:
        figures.report(f"{name}_cpu_per_session_{part.replace(' ', '_')}", "ms",
                       [run["cpu_ms"][part] for run in runs])
    figures.report(f"{name}_events_per_commit", "events",
                   [run["events_per_commit"] for run in runs])
    for key in ("p50", "p99"):
        figures.report(f"{name}_submit_to_placed_{key}", "ms",
                       [run["submit_to_placed_ms"][key] for run in runs])
    figures.report(f"{name}_sessions", "sessions/s",
                   [run["sessions_per_s"] for run in runs])
    figures.report(f"{name}_placements", "placements/s",
                   [run["placements_per_s"] for run in runs])


main()
