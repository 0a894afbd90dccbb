#!/usr/bin/env python3
"""reeve run -- true from the start of the command to its exit, one at a time
on an idle cell; in turns with what a process costs on this machine."""
import os
import statistics
import subprocess

import figures


def main():
    given = figures.arguments(__doc__, runs=100)
    with figures.BenchCell("[agent]\ncpus = 64\n") as cell:
        cell.up()
        reeve = os.path.join(figures.BIN, "reeve")
        commands = {
            "plain true": ["true"],
            "reeve --version": [reeve, "--version"],
            "reeve status": [reeve, "status"],
            "reeve run -- true": [reeve, "run", "--", "true"],
        }
        times_ms = {name: [] for name in commands}
        for turn in range(given.runs + 3):
            for name, command in commands.items():
                taken = figures.timed_ms(lambda: subprocess.run(
                    command, cwd=cell.work, env=cell.environment(), check=True,
                    stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL))
                if turn >= 3:  # the first ones find cold caches
                    times_ms[name].append(taken)
        plain = ("plain true", statistics.median(times_ms["plain true"]))
        for name, values in times_ms.items():
            figures.report(name, "ms", values,
                           plain if name != "plain true" else None)


main()
