#!/usr/bin/env python3
"""A start with 100,000 waiting sessions: how long until it serves, whether
all are there, and what each of them takes of the daemon's memory.

The simulated nodes are full, and each session has a name of its own. The first
kill -9 follows the last acknowledgement at once. Times go from the start of
`reeve up` to the answer of `reeve status`, both as processes.
"""
import json
import os
import subprocess
import time

import figures

NODES = 2
CPUS_PER_NODE = 64
FIRST = 1000  # wait from the beginning: all code is warm


def submit(cell, count):
    path = os.path.join(cell.base, "sessions.jsonl")
    with open(path, "w", encoding="utf-8") as file:
        for number in range(count):
            file.write('{"command":["true"],"name":"waiting-%06d",'
                       '"sim-duration":"1h","cpus":%d}\n'
                       % (number, CPUS_PER_NODE))
    cell.reeve("submit", "--quiet", "--file", path, seconds=600)


def await_pending(cell, count):
    figures.cells.wait_until(
        f"{count} sessions wait",
        lambda: cell.states().get("pending", 0) == count, 120, pause=0.5)


def restart_ms(cell, waiting, how):
    if how == "stopped":
        cell.reeve("down")
    else:
        cell.kill_daemon()
    begun = time.perf_counter()
    cell.reeve("up", "--detach")
    status = cell.status()
    taken = (time.perf_counter() - begun) * 1000
    found = status["sessions"]
    if found.get("pending", 0) != waiting or found.get("running", 0) != NODES:
        raise AssertionError(f"{waiting} waited; now there are {found}")
    cell.pids["control plane"] = status["daemon_pid"]
    return taken


def daemon_bytes(cell):
    return figures.memory_bytes(cell.pids["control plane"])


def state_bytes(runs):
    """Of one waiting session in the manager's state, by its own bench."""
    done = subprocess.run(
        [os.path.join(figures.BIN, "replay_bench"), "--events", "10000",
         "--repeat", str(runs)], check=True, text=True,
        stdout=subprocess.PIPE)
    lines = [json.loads(line) for line in done.stdout.splitlines()]
    return next(line["value"] for line in lines
                if line["name"].startswith("state per waiting session"))


def main():
    given = figures.arguments(__doc__, runs=5, sessions=100_000)
    waiting = given.sessions + FIRST
    with figures.BenchCell("[agent]\nenabled = false\n") as cell:
        cell.up("--sim-nodes", str(NODES))
        submit(cell, FIRST + NODES)
        await_pending(cell, FIRST)
        restart_ms(cell, FIRST, "killed")
        empty = daemon_bytes(cell)
        took_s = figures.timed_ms(lambda: submit(cell, given.sessions)) / 1000
        killed = [restart_ms(cell, waiting, "killed")
                  for _ in range(given.runs)]
        full = daemon_bytes(cell)
        stopped = [restart_ms(cell, waiting, "stopped")
                   for _ in range(given.runs)]
    figures.report("submit_waiting", "sessions/s", [given.sessions / took_s])
    figures.report("state_per_waiting_session", "bytes",
                   [state_bytes(given.runs)])
    figures.report("daemon_per_waiting_session", "bytes",
                   [(full - empty) / given.sessions])
    figures.report(f"restart_stopped_with_{given.sessions}_waiting", "ms",
                   stopped)
    figures.report(f"restart_killed_with_{given.sessions}_waiting", "ms",
                   killed)


if __name__ == "__main__":
    main()
