#!/usr/bin/env python3
"""What 100,000 waiting sessions cost the live daemon in memory, each, and how
long a start with them takes until it serves. The simulated nodes are full, and
each session has a name of its own."""
import os
import time

import figures

NODES = 2
CPUS_PER_NODE = 64


def write_sessions(path, count):
    with open(path, "w", encoding="utf-8") as file:
        for number in range(count):
            file.write('{"command":["true"],"name":"waiting-%06d",'
                       '"sim-duration":"1h","cpus":%d}\n'
                       % (number, CPUS_PER_NODE))


def submit(cell, path, count, pending):
    write_sessions(path, count)
    cell.reeve("submit", "--quiet", "--file", path, seconds=600)
    figures.cells.wait_until(
        f"{pending} sessions wait",
        lambda: cell.states().get("pending", 0) == pending, 120, pause=0.5)


def served(cell, count):
    """Whether an answer came that has all of them."""
    done = cell.reeve("status", "--json", code=None)
    return done.code == 0 and \
        done.json()["sessions"].get("pending", 0) == count


def restart_ms(cell, count, how):
    if how == "stopped":
        cell.reeve("down")
    else:
        cell.kill_daemon()

    def start():
        cell.up()
        if not served(cell, count):
            raise AssertionError(f"not {count} wait: {cell.states()}")
    return figures.timed_ms(start)


def main():
    given = figures.arguments(__doc__, runs=3, sessions=100_000)
    sizes = []
    with figures.BenchCell("[agent]\nenabled = false\n") as cell:
        cell.up("--sim-nodes", str(NODES))
        path = os.path.join(cell.base, "sessions.jsonl")
        # The nodes are full and all code is warm before the first look.
        submit(cell, path, 1000 + NODES, 1000)
        time.sleep(1)
        before = figures.memory_bytes(cell.pids["control plane"])
        begun = time.monotonic()
        submit(cell, path, given.sessions, given.sessions + 1000)
        took = time.monotonic() - begun
        time.sleep(3)
        after = figures.memory_bytes(cell.pids["control plane"])
        sizes.append((after - before) / given.sessions)
        waiting = given.sessions + 1000
        figures.report("submit_waiting", "sessions/s", [given.sessions / took])
        for how in ("killed", "stopped"):
            figures.report(
                f"restart_{how}_with_{given.sessions}_waiting", "ms",
                [restart_ms(cell, waiting, how) for _ in range(given.runs)])
        settled = figures.memory_bytes(cell.pids["control plane"])
        figures.report("daemon_resident_after_restart", "MiB",
                       [settled / 2**20])
        figures.report("memory_per_waiting_session_live", "bytes", sizes)


main()
