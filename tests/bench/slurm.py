#!/usr/bin/env python3
"""Sessions of true through Reeve and jobs of true through Slurm, in turns, on
one machine: from the submit to the end of the last.

Slurm must be installed, and a rig must start it: --rig DIR, or $REEVE_SLURM_RIG
names a folder with a program `submit-bench`. Called as
`submit-bench complete 1 N`, with $BENCH_RESULTS naming a file, it puts N jobs
of true through a fresh Slurm, once for each way to submit them, and appends a
JSON object with `jobs_per_s` (and `cpu_ms_per_job`, all of Slurm and the jobs)
per way to that file. The best way counts. Without Slurm or a rig this ends
with exit code 77.
"""
import argparse
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile

import figures
import throughput

SKIPPED = 77
DAEMONS = ("slurmctld", "slurmd", "munged")


def arguments():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--rig", default=os.environ.get("REEVE_SLURM_RIG"),
                        help="folder of the rig; $REEVE_SLURM_RIG by default")
    parser.add_argument("--runs", type=int, default=3, help="3 by default")
    parser.add_argument("--sessions", type=int, default=2000,
                        help="2000 by default")
    return parser.parse_args()


def why_not(rig):
    """What is missing to run here; empty when nothing is."""
    search = os.environ.get("PATH", "") + ":/usr/sbin"
    missing = [name for name in DAEMONS if not shutil.which(name, path=search)]
    if missing:
        return f"Slurm is not installed: there is no {', '.join(missing)}"
    if not rig:
        return "no rig is named: give --rig DIR or set REEVE_SLURM_RIG"
    if not os.access(os.path.join(rig, "submit-bench"), os.X_OK):
        return f"the rig {rig} has no program submit-bench"
    return ""


def slurm(rig, count):
    """The best way's line of one run."""
    with tempfile.TemporaryDirectory() as directory:
        results = os.path.join(directory, "results.jsonl")
        subprocess.run(
            [os.path.join(rig, "submit-bench"), "complete", "1", str(count)],
            env={**os.environ, "BENCH_RESULTS": results}, check=True,
            stdout=sys.stderr, stdin=subprocess.DEVNULL)
        lines = [json.loads(line)
                 for line in figures.cells.read(results).splitlines()]
    for line in lines:
        if line["done"] != count or line["failed"]:
            raise AssertionError(f"not all jobs succeeded: {line}")
    return max(lines, key=lambda line: line["jobs_per_s"])


def main():
    given = arguments()
    reason = why_not(given.rig)
    if reason:
        figures.say(reason)
        sys.exit(SKIPPED)
    jobs, rates, slurm_cpu, reeve_cpu = [], [], [], []
    for _ in range(given.runs):
        line = slurm(given.rig, given.sessions)
        jobs.append(line["jobs_per_s"])
        slurm_cpu.append(line["cpu_ms_per_job"])
        rate, parts = throughput.one_run(given.sessions)
        rates.append(rate)
        reeve_cpu.append(sum(parts.values()))
    figures.report("slurm_cpu_per_job", "ms", slurm_cpu)
    figures.report("reeve_cpu_per_session", "ms", reeve_cpu,
                   ("slurm", statistics.median(slurm_cpu)))
    figures.report("slurm_jobs", "jobs/s", jobs)
    figures.report("reeve_sessions", "sessions/s", rates,
                   ("slurm", statistics.median(jobs)))
    figures.report("throughput_of_slurm", "ratio",
                   [rate / of for rate, of in zip(rates, jobs)])


if __name__ == "__main__":
    main()
