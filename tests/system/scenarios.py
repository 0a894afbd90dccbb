#!/usr/bin/env python3
"""Random scenarios over several hosts: a cell under load, faults that a seed
draws from the table in scenario_faults.py, and at the end, with all of them
healed, what scenario_checks.py holds the cell to.

usage: scenarios.py --seed N [--seconds S] [--agents K] [--managers M]
                    [--runs N] [--only KIND]... [--report FILE] [--quiet]

One line of JSON for each run goes to standard output (or to FILE), what
happens to standard error. --runs goes on with the seeds after N. A run that
fails says the command that repeats it, leaves its files, and makes the exit
code 1. The seed decides what happens and when it begins; what the cell makes
of it depends on the machine as well.
"""
import argparse
import collections
import json
import os
import shlex
import shutil
import signal
import stat
import sys
import threading
import time
import traceback

SOURCE = os.path.dirname(os.path.abspath(__file__))
BUILD = os.path.join(os.path.dirname(os.path.dirname(SOURCE)), "build",
                     "release")
DEFAULTS = {"REEVE_BIN": os.path.join(BUILD, "bin"),
            "REEVE_TESTS": os.path.join(BUILD, "tests")}
for variable, default in DEFAULTS.items():
    os.environ.setdefault(variable, default)

# pylint: disable=wrong-import-position
import cell as cells
import hosts as rig
import ledger
import scenario_checks as checks
import scenario_faults as faults
from cell import wait_until
from manager_cell import await_bus
from scenario_load import Load

MANAGERS = (1, 3, 5)
AGENTS_MAX = 8
# Of users, where there are several managers: the owner's credentials name the
# bus server of the own host alone, a user's name those of all.
DESKS = 2
SIMULATED_NODES = 2
WATCH_S = 1.0
DISK_MIB_MIN = 256
# From the end of all faults: nodes are up, and each session has ended or runs.
SETTLE_S_MAX = 90 * cells.SLOWNESS
HEAD = """[agent]
name = "{name}"
cpus = 4
[bus]
listen = "{address}:4222"
"""
LOG = """[log]
floor = "16M"
snapshot_every = 2000
"""
MEMBERS = """[manager]
name = "m1"
members = {{{members}}}
"""


class Watch:
    """Looks, as long as there is load, whether two attempts of a session
    live."""

    def __init__(self, world):
        self.world = world
        self.ended = threading.Event()
        self.thread = threading.Thread(target=self.run, daemon=True)
        self.looks = 0

    def begin(self):
        self.thread.start()

    def end(self):
        self.ended.set()
        if self.thread.is_alive():
            self.thread.join()

    def run(self):
        told = set()
        while not self.ended.wait(WATCH_S):
            self.looks += 1
            attempts = collections.defaultdict(set)
            for name, attempt, _ in checks.living(self.world.load.tag):
                attempts[name].add(attempt)
            for name, some in attempts.items():
                if len(some) > 1 and name not in told and (
                        name not in self.world.load.excused):
                    told.add(name)
                    self.world.find(f"attempts {sorted(some)} of {name} live "
                                    "at one moment")


class World:
    """The hosts of one scenario and what happens to them."""

    def __init__(self, options, say):
        self.options, self.say = options, say
        self.seed = options.seed
        self.hosts = rig.Hosts()
        self.managers, self.agents, self.desks = [], [], []
        self.by_name = {}
        self.findings = []
        self.stopped = {}  # processes that stand still, by fault
        self.packets = collections.Counter()
        self.settled_s = 0
        self.load = Load(self)
        self.watch = Watch(self)

    def find(self, sentence):
        self.say(f"WRONG: {sentence}")
        self.findings.append(sentence)

    def count_packets(self, counts):
        self.packets.update(counts)

    def nodes(self):
        """The hosts with a daemon."""
        return [*self.managers, *self.agents]

    def add(self, name, settings="", disk_mib=None):
        if disk_mib is None:
            # Longer runs write more.
            disk_mib = DISK_MIB_MIN + int(self.options.seconds)
        host = self.hosts.add(name, settings, disk_mib=disk_mib)
        host.daemon = None
        self.by_name[name] = host
        return host

    def form(self):
        # The cell and its certificates are older than any clock will be off.
        past = faults.clock("-3d")
        count = self.options.managers
        members = ", ".join(f'm{n} = "{rig.NETWORK}.{n}"'
                            for n in range(1, count + 1))
        head = self.add("m1", HEAD.format(name="m1",
                                          address=f"{rig.NETWORK}.1") + LOG + (
            MEMBERS.format(members=members) if count > 1 else ""))
        head.variables = past
        self.managers.append(head)
        self.start(head)
        # Of several the first one waits for the others.
        if count > 1:
            await_bus(head)
        else:
            wait_until("the manager is up", lambda: self.serves(head))
        for number in range(2, count + 1):
            self.managers.append(self.join(f"m{number}", "manager", past))
        for host in self.managers:
            wait_until(f"{host.name} is up", lambda: self.serves(host))
        self.leader()
        for host in self.managers:
            host.variables = {}
            self.kill(host)
            self.start(host)
        for host in self.managers:
            wait_until(f"{host.name} is up again", lambda: self.serves(host))
        self.leader()
        head.up("--sim-nodes", str(SIMULATED_NODES))
        for number in range(1, self.options.agents + 1):
            self.agents.append(self.join(f"n{number}", "agent"))
        if count > 1:
            self.desks = [self.add_desk(number)
                          for number in range(1, DESKS + 1)]
        self.await_none("not up, with nothing gone wrong yet", self.not_up)

    def join(self, name, role, variables=None):
        host = self.add(name)
        host.variables = variables or {}
        host.empty()
        token = self.managers[0].reeve(
            "token", "create", "--role", role, "--name", name).out.strip()
        host.reeve("join", "--name", name, "--no-start", token)
        if role == "manager":
            with open(os.path.join(host.data, "cell.toml"), "a",
                      encoding="utf-8") as file:
                file.write(LOG)
        self.start(host)
        return host

    def add_desk(self, number):
        """A host of a user, who tries the managers in an order of its own."""
        host = self.add(f"d{number}", disk_mib=0)
        host.empty()
        first = self.managers[number % len(self.managers)]
        # As root, as who runs this: none else may look into its directories.
        first.reeve("user", "set", host.name, "--uid", str(os.getuid()))
        host.reeve("join", first.reeve(
            "token", "create", "--role", "user", "--name",
            host.name).out.strip())
        urls = json.loads(cells.read(ledger.credentials(host)))["urls"]
        wanted = {f"tls://{one.address}:4222" for one in self.managers}
        if set(urls) != wanted or first.address not in urls[0]:
            raise AssertionError(f"{host.name} was given {urls}")
        return host

    def leader(self):
        """The manager that leads; waits for one."""
        if len(self.managers) == 1:
            return self.managers[0]
        return wait_until("a manager leads", lambda: next(
            (one for one in self.managers if self.leads(one)), None),
            SETTLE_S_MAX, pause=0.5)

    def leads(self, host):
        # Another one may answer there.
        done = host.reeve("status", "--json", code=None)
        return done.code == 0 and done.json()["role"] == "leading" and (
            done.json()["leader"] == host.name)

    def not_up(self):
        """Hosts that run tasks and are not up, as the leader sees it."""
        done = self.leader().reeve("nodes", "--json", code=None)
        if done.code != 0:
            return done
        states = {node["name"]: node["state"] for node in done.json()["nodes"]}
        return {host.name: states.get(host.name, "unknown")
                for host in self.nodes() if states.get(host.name) != "up"}

    def start(self, host, **environment):
        host.daemon = host.start_daemon(**environment)

    def serves(self, host):
        words = cells.read(os.path.join(host.data, "reeved.pid")).split()
        return bool(words) and int(words[0]) == host.daemon.pid

    def kill(self, host):
        self.note_end(host)
        host.daemon.kill()
        host.daemon.wait()

    def note_end(self, host):
        """A daemon ends by itself on a full disk alone."""
        code = host.daemon.poll()
        if code is not None and not os.path.exists(host.filler):
            self.find(f"the daemon of {host.name} ended by itself with {code}: "
                      + host.last_words())
        return code is not None

    def revive(self, host):
        if host.daemon.poll() is not None:
            self.start(host)

    def trouble(self):
        names = [host.name for host in self.managers]
        agents = [host.name for host in self.agents]
        desks = [host.name for host in self.desks]
        plan = faults.plan(self.seed, self.options.seconds, names, agents,
                           self.options.only, desks)
        begun = time.monotonic()
        for when, begins, fault in faults.steps(plan):
            time.sleep(max(0, begun + when - time.monotonic()))
            host, kind = self.by_name[fault.host], faults.KINDS[fault.kind]
            self.say(f"{time.monotonic() - begun:6.1f} s "
                     f"{'begin' if begins else 'end  '} {fault}")
            (kind.begin if begins else kind.end)(self, host, fault)
        time.sleep(max(0, begun + self.options.seconds - time.monotonic()))
        return plan

    def settle(self):
        """All is healed. Waits until it is quiet."""
        begun = time.monotonic()
        for host in self.nodes():
            self.note_end(host)
            self.revive(host)
        self.say("all is healed")
        for sentence in self.load.end(SETTLE_S_MAX):
            self.find(sentence)
        self.await_none("not up", self.not_up)
        self.await_none("not at rest", self.restless)
        self.settled_s = time.monotonic() - begun
        self.say(f"at rest after {self.settled_s:.1f} s")

    def await_none(self, what, left):
        try:
            wait_until(what, lambda: not left(), SETTLE_S_MAX, pause=0.5)
        except AssertionError:
            self.find(f"{what} after {SETTLE_S_MAX} s: {left()}")

    def restless(self):
        """The sessions that have to end or to start, or have ended where the
        cell has not heard of it yet."""
        alive = {key[:2] for key in checks.living(self.load.tag)}
        done = self.leader().reeve("ps", "--json", code=None)
        if done.code != 0:
            return done
        long = {one.name for one in self.load.submissions.values() if one.long}
        return [one for one in done.json()["sessions"]
                if one["state"] != "running" or one["name"] not in long
                or (one["name"], one["attempt"]) not in alive]

    def end(self):
        """All of it, in whatever state it is."""
        for pid in self.stopped.values():
            faults.signal_process(pid, signal.SIGCONT)
        for host in self.hosts.all:
            if host.daemon:
                host.daemon.send_signal(signal.SIGCONT)
        self.watch.end()
        self.load.abandon()
        if self.findings:
            self.keep_files()
        left = self.hosts.stop()
        for sentence in left:
            self.find(f"left behind: {sentence}")
        if left:
            self.say(self.hosts.last_words())
        for host in self.hosts.all:
            if host.daemon:
                host.daemon.wait(timeout=cells.PATIENCE_S)
        for sentence in checks.orphans(self.hosts.base):
            self.find(f"left behind: {sentence}")

    def keep_files(self):
        """What is on the small disks goes with them."""
        for host in self.hosts.all:
            shutil.copytree(
                host.data, os.path.join(host.base, "left"), symlinks=True,
                ignore=lambda folder, names: [
                    name for name in names if name == "filler" or
                    stat.S_ISSOCK(os.lstat(os.path.join(folder, name)).st_mode)
                ])


def run(options, say):
    """One scenario from begin to end. Its report."""
    world = World(options, say)
    report = {"seed": options.seed, "seconds": options.seconds,
              "agents": options.agents, "managers": options.managers}
    try:
        world.form()
        world.load.begin()
        world.watch.begin()
        plan = world.trouble()
        report["faults"] = collections.Counter(one.kind for one in plan)
        report["packets"] = world.packets
        world.settle()
        world.watch.end()
        report.update(checks.check(world))
        report["settled_s"] = round(world.settled_s, 1)
    except Exception:  # pylint: disable=broad-except
        world.find(traceback.format_exc())
        say(world.hosts.last_words())
    finally:
        world.end()
        if not world.findings:
            world.hosts.remove()
    report["passed"] = not world.findings
    report["findings"] = world.findings
    if world.findings:
        report["files"] = world.hosts.base
        report["repeat"] = command(options)
    return report


def command(options):
    """What repeats a run."""
    words = [f"{name}={os.environ[name]}" for name, default in DEFAULTS.items()
             if os.environ[name] != default]
    words += ["python3", os.path.relpath(__file__), "--seed",
              str(options.seed), "--seconds", f"{options.seconds:g}",
              "--agents", str(options.agents)]
    if options.managers != 1:
        words += ["--managers", str(options.managers)]
    for name in options.only:
        words += ["--only", name]
    return shlex.join(words)


def parse(words):
    parser = argparse.ArgumentParser(
        description="random scenarios over several hosts")
    parser.add_argument("--seed", type=int, required=True)
    parser.add_argument("--seconds", type=float, default=60)
    parser.add_argument("--agents", type=int, default=4,
                        choices=range(1, AGENTS_MAX + 1))
    parser.add_argument("--managers", type=int, default=1, choices=MANAGERS)
    parser.add_argument("--runs", type=int, default=1)
    parser.add_argument("--only", action="append", default=[],
                        choices=list(faults.KINDS))
    parser.add_argument("--report", help="a file for the lines of JSON")
    parser.add_argument("--quiet", action="store_true")
    return parser.parse_args(words)


def say_to_stderr(text):
    print(text, file=sys.stderr, flush=True)


def why_not():
    """Why no scenario can run here; None where one can."""
    reason = rig.why_not()
    if not reason and not os.path.exists(rig.FAULTS):
        say_to_stderr("packets are not disturbed: packet_faults was not built, "
                      "libnetfilter-queue-dev is missing")
    return reason


def main():
    options = parse(sys.argv[1:])
    reason = why_not()
    if reason:
        print(f"skipped: {reason}")
        return rig.SKIPPED
    # Ended from outside, it leaves nothing behind either.
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: sys.exit(128 + signal.SIGTERM))
    failed = 0
    first = options.seed
    for options.seed in range(first, first + options.runs):
        say_to_stderr(f"seed {options.seed}")
        report = run(options, (lambda text: None) if options.quiet
                     else say_to_stderr)
        failed += not report["passed"]
        with open(options.report or "/dev/stdout", "a",
                  encoding="utf-8") as out:
            out.write(json.dumps(report) + "\n")
        if not report["passed"]:
            say_to_stderr(f"failed; this repeats it: {report['repeat']}")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
