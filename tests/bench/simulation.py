#!/usr/bin/env python3
"""How fast whole cells are simulated (docs/simulation.md): the same seeds each
time, one process, all invariants checked as they are in every run. Days in
which no agent lived cost next to nothing and are not counted."""
import os
import re
import subprocess

import figures

PROGRAM = os.path.join(os.path.dirname(figures.BIN), "tests/simulate")
DAYS = re.compile(r"(\d+) seeds, ([\d.]+) virtual days")
STEPS = re.compile(r"(\d+) steps, (\d+) events")


def main():
    given = figures.arguments(__doc__, runs=3, seeds=30)
    days_per_minute, steps_per_second = [], []
    for _ in range(given.runs):
        text = ""

        def run():
            nonlocal text
            text = subprocess.run(
                [PROGRAM, "--seeds", f"1..{given.seeds}"], check=True,
                stdout=subprocess.PIPE, text=True).stdout
        seconds = figures.timed_ms(run) / 1000
        days_per_minute.append(
            float(DAYS.search(text).group(2)) / seconds * 60)
        steps_per_second.append(int(STEPS.search(text).group(1)) / seconds)
    figures.report("steps of simulated cells", "1/s", steps_per_second)
    figures.report("simulated cells", "virtual days/min", days_per_minute)


main()
