"""What the benchmarks written in Python share: a cell of their own, CPU and
memory of processes, and the one line that reports a figure. A program's main
figure comes last."""
import argparse
import json
import os
import statistics
import sys
import time

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(os.path.dirname(HERE))
os.environ.setdefault("REEVE_BIN", os.path.join(ROOT, "build/release/bin"))
sys.dont_write_bytecode = True
sys.path.insert(0, os.path.join(ROOT, "tests/system"))

import cell as cells  # noqa: E402

BIN = cells.BIN
TICKS = os.sysconf("SC_CLK_TCK")


def machine():
    model = "unknown processor"
    for line in cells.read("/proc/cpuinfo").splitlines():
        if line.startswith("model name"):
            model = line.split(":", 1)[1].strip()
            break
    load = os.getloadavg()[0]
    return f"{model}, {os.cpu_count()} cores, load {load:.1f}"


def report(name, unit, values, peer=None):
    """Prints one figure; peer is (name, value) measured in the same run."""
    values = [round(value, 4) for value in values]
    print(json.dumps({
        "name": name, "unit": unit,
        "value": round(statistics.median(values), 4),
        "median_of": len(values), "min": min(values), "max": max(values),
        "machine": machine(),
        "peer": {"name": peer[0], "value": round(peer[1], 4)} if peer
        else None}), flush=True)


def say(*words):
    print(*words, file=sys.stderr, flush=True)


def arguments(about, **numbers):
    """Options of whole numbers by their defaults: runs=3 is --runs 3."""
    parser = argparse.ArgumentParser(description=about)
    for name, value in numbers.items():
        parser.add_argument("--" + name, type=int, default=value,
                            help=f"{value} by default")
    return parser.parse_args()


def cpu_ms(pid):
    """CPU of a process so far and of those it waited for: (own, children)."""
    text = cells.read(f"/proc/{pid}/stat")
    fields = text[text.rindex(")") + 2:].split()
    return ((int(fields[11]) + int(fields[12])) * 1000 / TICKS,
            (int(fields[13]) + int(fields[14])) * 1000 / TICKS)


def memory_bytes(pid):
    """Resident memory of a process that is its own, without files."""
    for line in cells.read(f"/proc/{pid}/status").splitlines():
        if line.startswith("RssAnon:"):
            return int(line.split()[1]) * 1024
    return 0


class BenchCell(cells.Cell):
    """A fresh cell that is stopped and removed at the end of a with-block."""

    def __enter__(self):
        return self

    def __exit__(self, *error):
        for left in self.stop():
            say("left behind:", left)
        self.remove()

    def up(self, *arguments, **how):
        done = super().up(*arguments, **how)
        status = self.status()
        self.pids = {"control plane": status["daemon_pid"],
                     "bus": status["bus_pid"]}
        for pid in cells.processes_of(self.base):
            # Inits that wait for a task have its command line, and a name.
            if cells.read(f"/proc/{pid}/comm").strip() == "reeve-keeper":
                self.pids.setdefault("keeper", pid)
        return done

    def states(self):
        return self.status()["sessions"]

    def head_events(self):
        return self.status()["head_seq"]

    def stats(self, first=1):
        """Of the log, from this event on."""
        return self.reeve("log", "stats", "--from", str(first),
                          "--json").json()

    def events_per_commit(self, first):
        """The size of the groups that the load made, from this event on."""
        stats = self.stats(first)
        return stats["events"] / stats["commits"]


def timed_ms(call):
    begun = time.perf_counter()
    call()
    return (time.perf_counter() - begun) * 1000
