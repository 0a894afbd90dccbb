#!/usr/bin/env python3
"""Sessions of true on one node, from submit to the end of the last, with the
CPU of each part and the events of one commit; in turns with the same count of
plain processes."""
import datetime
import os
import statistics
import time

import figures

WARM_UP = 5
PARALLEL = 2  # plain processes at a time, as many as the machine has cores


def plain(count):
    """Spawns and waits for `count` processes; per second."""
    begun = time.perf_counter()
    running = 0
    for _ in range(count):
        if running == PARALLEL:
            os.wait()
            running -= 1
        os.posix_spawnp("true", ["true"], os.environ)
        running += 1
    for _ in range(running):
        os.wait()
    return count / (time.perf_counter() - begun)


class Cpu:
    """CPU since the beginning, in ms by part."""

    def __init__(self, cell):
        self.pids = cell.pids
        self.before = self.read()

    def read(self):
        found = {}
        for part, pid in self.pids.items():
            own, children = figures.cpu_ms(pid)
            found[part] = own
            if part == "keeper":
                found["tasks"] = children
        return found

    def since(self):
        return {part: value - self.before[part]
                for part, value in self.read().items()}


def await_end(cell, count):
    def ended():
        states = cell.states()
        bad = {state: states[state]
               for state in ("failed", "cancelled", "lost")
               if states.get(state)}
        if bad:
            raise AssertionError(f"not all succeeded: {states}")
        return states.get("succeeded", 0) >= count
    # A question costs the cell, too: few of them.
    figures.cells.wait_until(f"{count} sessions have succeeded", ended, 600,
                             pause=0.5)


def last_end_s(cell, count):
    """When the last session ended, as the log has it."""
    done = cell.reeve("ps", "--all", "--limit", str(count), "--json")
    text = max(session["ended_at"] for session in done.json()["sessions"])
    whole = datetime.datetime.strptime(text[:19] + "+0000",
                                       "%Y-%m-%dT%H:%M:%S%z")
    return whole.timestamp() + float("0" + text[19:-1])


def one_run(count):
    """Sessions per second, CPU in ms per session by part, and the events of
    one commit."""
    with figures.BenchCell("[agent]\ncpus = 64\n") as cell:
        cell.up()
        for _ in range(WARM_UP):
            cell.reeve("run", "--", "true")
        path = os.path.join(cell.base, "sessions.jsonl")
        with open(path, "w", encoding="utf-8") as file:
            file.write('{"command":["true"]}\n' * count)
        first = cell.head_events() + 1
        cpu = Cpu(cell)
        begun = time.time()
        cell.reeve("submit", "--quiet", "--file", path)
        await_end(cell, count + WARM_UP)
        parts = cpu.since()
        wall = last_end_s(cell, count + WARM_UP) - begun
        return (count / wall,
                {part: ms / count for part, ms in parts.items()},
                cell.events_per_commit(first))


def main():
    given = figures.arguments(__doc__, runs=3, sessions=2000)
    rates, plains, parts, groups = [], [], [], []
    for _ in range(given.runs):
        plains.append(plain(given.sessions))
        rate, cpu, group = one_run(given.sessions)
        rates.append(rate)
        parts.append(cpu)
        groups.append(group)
    spawned = ("plain spawn-and-wait", statistics.median(plains))
    for part in parts[0]:
        figures.report(f"cpu_per_session_{part.replace(' ', '_')}", "ms",
                       [cpu[part] for cpu in parts])
    figures.report("throughput_events_per_commit", "events", groups)
    figures.report("plain_spawn_and_wait", "1/s", plains)
    figures.report("throughput_of_plain", "ratio",
                   [rate / of for rate, of in zip(rates, plains)])
    figures.report("throughput", "sessions/s", rates, spawned)


if __name__ == "__main__":
    main()
