#!/usr/bin/env python3
"""Three managers on hosts of their own: how long the cell is without a leader
after a cut link, a SIGSTOP, a kill -9 of the daemon with its bus server and of
the daemon alone, and how many commits per second the three keep, beside a bare
stream on the same bus servers."""
import json
import os
import signal
import subprocess
import sys
import time

import figures

os.environ.setdefault("REEVE_TESTS", os.path.join(figures.BIN, "../tests"))
os.environ.setdefault("REEVE_SOURCE", figures.ROOT)

import hosts as rig  # noqa: E402
from hosts import wait_until  # noqa: E402
from manager_cell import Managers, Submitting  # noqa: E402

# What was acknowledged within this after a fault was on its way before.
ON_ITS_WAY_S = 0.3
BARE_MESSAGES = 1000
# From all following to the next fault: a new leader sees to it every two
# seconds that other bus servers lead than its own.
AT_REST_S = 5


def kill(leader, after):
    leader.kill_daemon()
    after()
    leader.up()


def host(leader, after):
    """All that the leader's host had of the cell ends at once. One whose power
    fails ends no connections either: to the others its link is cut."""
    for pid in leader.daemon_pid(), leader.bus_pid():
        os.kill(pid, signal.SIGKILL)
    after()
    leader.up()


def pause(leader, after):
    pid = leader.daemon_pid()
    os.kill(pid, signal.SIGSTOP)
    after()
    os.kill(pid, signal.SIGCONT)


def partition(leader, after):
    leader.cut()
    after()
    leader.heal()


def takeover_s(cell, fault):
    """From the fault to what is acknowledged first after it."""
    leader = cell.leader()
    rest = cell.others(leader)
    found = []
    with Submitting(rest, pause=0.01) as work:
        wait_until("some are acknowledged",
                   lambda: len(work.acknowledged) > 3)

        def after():
            begun = time.monotonic()

            def next_one():
                return next((at for at in work.times
                             if at > begun + ON_ITS_WAY_S), None)
            found.append(wait_until("another leads", next_one,
                                    pause=0.01) - begun)
        fault(leader, after)
    wait_until("it follows", lambda: cell.states(cell.leader(rest)).get(
        leader.name, {}).get("state") == "following")
    time.sleep(AT_REST_S)
    return found[0]


def stream(leader, *words, by="reeved.json"):
    """What stream_bench says, on that host."""
    return json.loads(subprocess.run(
        [*leader.prefix, os.path.join(figures.BIN, "stream_bench"),
         os.path.join(leader.data, "bus", by), *map(str, words)],
        check=True, capture_output=True, text=True).stdout)


def commits_alone(cell, commands):
    """Commits of one command each, one after the other, per second, and so many
    messages of their size to a bare stream."""
    leader = cell.leader()
    before = stream(leader, "count")
    ours = stream(leader, "submit", commands,
                  by="client.json")["per_second"]
    now = stream(leader, "count")
    size = (now["bytes"] - before["bytes"]) // commands
    return ours, stream(leader, "publish", commands, size)["per_second"]


def commits(cell, sessions):
    """(commits, commands) per second and those of a bare stream."""
    leader = cell.leader()
    path = os.path.join(leader.base, "sessions.jsonl")
    with open(path, "w", encoding="utf-8") as file:
        file.write('{"command":["true"],"not-before":"+1h"}\n' * sessions)
    before = stream(leader, "count")
    begun = time.perf_counter()
    leader.reeve("submit", "--quiet", "--file", path, seconds=600)
    took = time.perf_counter() - begun
    now = stream(leader, "count")
    messages = now["messages"] - before["messages"]
    size = (now["bytes"] - before["bytes"]) // messages
    bare = stream(leader, "publish", BARE_MESSAGES, size)["per_second"]
    return messages / took, sessions / took, bare


def main():
    given = figures.arguments(__doc__, runs=50, sessions=5000, loads=5)
    reason = rig.why_not()
    if reason:
        print(f"skipped: {reason}", file=sys.stderr)
        sys.exit(rig.SKIPPED)
    cell = Managers()
    cell.hosts = rig.Hosts()
    try:
        cell.form()
        kept = [commits(cell, given.sessions) for _ in range(given.loads)]
        bare = [one[2] for one in kept]
        figures.report("commits of three managers", "1/s",
                       [one[0] for one in kept],
                       ("bare stream", sorted(bare)[len(bare) // 2]))
        figures.report("commits of three managers, of bare", "ratio",
                       [one[0] / one[2] for one in kept])
        figures.report("commands kept by three managers", "1/s",
                       [one[1] for one in kept])
        alone = [commits_alone(cell, BARE_MESSAGES)
                 for _ in range(given.loads)]
        bare = [one[1] for one in alone]
        figures.report("commits of one command", "1/s",
                       [one[0] for one in alone],
                       ("bare stream", sorted(bare)[len(bare) // 2]))
        figures.report("commits of one command, of bare", "ratio",
                       [one[0] / one[1] for one in alone])
        for name, fault in (("a cut link", partition), ("SIGSTOP", pause),
                            ("kill -9 of daemon and bus server", host),
                            ("kill -9", kill)):
            figures.report(f"takeover after {name}", "s",
                           [takeover_s(cell, fault)
                            for _ in range(given.runs)])
    finally:
        for left in cell.hosts.stop():
            figures.say("left behind:", left)
        cell.hosts.remove()


if __name__ == "__main__":
    main()
