#!/usr/bin/env python3
"""Makes a page of what scenarios.py reported.

usage: scenario_report.py MACHINE COMMIT=FILE... > docs/scenarios.md

MACHINE and COMMIT say where and what ran; each FILE has one line of JSON for
each run (--report of scenarios.py).
"""
import collections
import json
import statistics
import sys

HEAD = """# The long run

Random scenarios, as [testing.md](testing.md#scenarios) describes them: what is
injected, what the load is, and what is held to. Made by
`tests/system/scenario_report.py` from what the runs reported.

On {machine}, several at once, so that they were
short of processor time.
"""


def number(value):
    return f"{value:,}"


def table(head, rows):
    yield "| " + " | ".join(head) + " |"
    yield "|" + "---|" * len(head)
    for row in rows:
        yield "| " + " | ".join(row) + " |"


def shape(run):
    return (run["commit"], run["managers"], run["agents"], run["seconds"])


def seeds(runs):
    """"1 to 4, 7" """
    parts = []
    for seed in sorted(run["seed"] for run in runs):
        if parts and parts[-1][1] == seed - 1:
            parts[-1][1] = seed
        else:
            parts.append([seed, seed])
    return ", ".join(str(first) if first == last else f"{first} to {last}"
                     for first, last in parts)


def by_shape(runs):
    groups = collections.defaultdict(list)
    for run in runs:
        groups[shape(run)].append(run)
    for (commit, managers, agents, seconds), some in groups.items():
        settled = [run["settled_s"] for run in some if "settled_s" in run]
        yield [commit, str(managers), str(agents), f"{seconds:g} s",
               seeds(some), str(len(some)),
               str(sum(run["passed"] for run in some)),
               f"{statistics.median(settled):.0f} s, {max(settled):.0f} s"]


def total(runs, key):
    return sum(run.get(key, 0) for run in runs)


def first_words(finding):
    """Of a stack, what it ended with."""
    return next((line for line in finding.splitlines() if "Error: " in line),
                finding.strip().splitlines()[0])


def lines(machine, runs):
    yield HEAD.format(machine=machine)
    yield from table(
        ["commit", "managers", "other hosts", "trouble for", "seeds", "runs",
         "passed", "at rest after (median, most)"], by_shape(runs))
    yield ""
    hours = total(runs, "seconds") / 3600
    yield (f"In all {number(len(runs))} runs, {hours:.1f} hours of trouble, "
           f"{number(sum(run['passed'] for run in runs))} passed.")
    yield ""
    ends = collections.Counter()
    faults = collections.Counter()
    packets = collections.Counter()
    for run in runs:
        ends.update(run.get("ends", {}))
        faults.update(run.get("faults", {}))
        packets.update(run.get("packets", {}))
    yield from table(["what came of it", ""], [
        ["commands acknowledged to clients with a ledger",
         number(total(runs, "accepted"))],
        ["sessions", number(total(runs, "sessions"))],
        *[[f"... that ended as {state}", number(count)]
          for state, count in ends.most_common()],
        ["events in the logs", number(total(runs, "events"))],
        ["epochs (a manager began to lead)", number(total(runs, "epochs"))],
        ["nodes lost", number(total(runs, "nodes_lost"))]])
    yield ""
    yield from table(["fault", "times"], [
        [kind, number(count)] for kind, count in sorted(faults.items())])
    yield ""
    yield "Packets: " + ", ".join(f"{number(count)} {kind}" for kind, count
                                  in sorted(packets.items())) + "."
    failed = [run for run in runs if not run["passed"]]
    if not failed:
        return
    yield ""
    yield "## What was found"
    for run in failed:
        yield ""
        yield (f"- Commit {run['commit']}, seed {run['seed']}, "
               f"{run['managers']} managers:")
        for finding in run["findings"]:
            yield "  - " + first_words(finding)


def main():
    files = [word.partition("=") for word in sys.argv[2:]]
    if not files or not all(path for _, _, path in files):
        print(__doc__, file=sys.stderr)
        return 2
    runs = []
    for commit, _, path in files:
        with open(path, encoding="utf-8") as file:
            runs += [{**json.loads(line), "commit": commit} for line in file]
    print("\n".join(lines(sys.argv[1], runs)))
    return 0


if __name__ == "__main__":
    sys.exit(main())
