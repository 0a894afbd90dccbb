"""What tests and benchmarks of several managers share: three of them on hosts
of their own, who leads, whether their logs are one, and a client that submits
all the time."""
import contextlib
import json
import os
import signal
import threading
import time

import cell as cells
import hosts as rig
from hosts import HostsCase, wait_until
from raw_bus import RawBus

MEMBERS = ", ".join(f'm{n} = "{rig.NETWORK}.{n}"' for n in (1, 2, 3))
SETTINGS = f"[manager]\nname = \"m1\"\nmembers = {{{MEMBERS}}}\n"


def await_bus(host):
    """Until it can make tokens."""
    wait_until(f"{host.name} has a bus", lambda: host.bus_pid() and
               os.path.exists(os.path.join(host.data, "bus", "client.json")))


class Submitting:
    """Submits without end through the given hosts, and keeps what was
    acknowledged and what was refused."""

    def __init__(self, hosts, pause=0.05):
        self.hosts, self.pause = hosts, pause
        self.acknowledged, self.refused = [], []
        self.times = []
        self.ended = threading.Event()
        self.thread = threading.Thread(target=self.run)

    def run(self):
        number = 0
        while not self.ended.is_set():
            host = self.hosts[number % len(self.hosts)]
            number += 1
            done = host.reeve("submit", "--", "true", code=None)
            if done.code == 0:
                self.acknowledged.append(done.out.strip())
                self.times.append(time.monotonic())
            else:
                self.refused.append(done)
            time.sleep(self.pause)

    def __enter__(self):
        self.thread.start()
        return self

    def __exit__(self, *unused):
        self.ended.set()
        self.thread.join()


class Managers:
    """Of `hosts`, those in `all`."""
    SETTINGS = SETTINGS
    DISK_MIB = 0  # of small disks of their own

    def __init__(self, *arguments):
        super().__init__(*arguments)
        self.hosts, self.all = None, []
        self.tokens = {}  # of the managers that were to join, by name

    def form(self):
        """Three that begin as one cell."""
        self.all = [self.hosts.add(f"m{n}", self.SETTINGS, self.DISK_MIB)
                    for n in (1, 2, 3)]
        # Alone it waits; the others join by its tokens.
        child = self.all[0].start("up", "--detach")
        await_bus(self.all[0])
        self.join_rest(child)

    def join_rest(self, child):
        """`child`: brings the first one up."""
        first, children = self.all[0], [child]
        for host in self.all[1:]:
            host.empty()
            token = first.reeve("token", "create", "--role", "manager",
                                "--name", host.name).out.strip()
            self.tokens[host.name] = token
            children.append(host.start("join", token))
        for host, child in zip(self.all, children):
            done = host.finish(child)
            if done.code != 0:
                raise AssertionError(f"{done!r}\n{host.last_words()}")
        self.leader()

    def named(self, name):
        return next(host for host in self.all if host.name == name)

    def leader(self, of=None, seconds=cells.PATIENCE_S):
        """The host that leads, as `of` hears it."""
        def led():
            for host in of or self.all:
                done = host.reeve("status", "--json", code=None)
                if done.code == 0 and done.json()["role"] == "leading":
                    return self.named(done.json()["leader"])
            return None
        return wait_until("a manager leads", led, seconds)

    def joined(self, name, token, *options):
        """A new host, by a token that is made with these words."""
        host = self.hosts.add(name)
        host.empty()
        made = self.all[0].reeve("token", "create", *token).out.strip()
        host.reeve("join", made, *options)
        return host

    def await_node(self, name):
        """Until it is up, as the first manager that answers has it."""
        def up():
            for host in self.all:
                done = host.reeve("nodes", "--json", code=None)
                if done.code == 0:
                    return [one for one in done.json()["nodes"]
                            if one["name"] == name and one["state"] == "up"]
            return []
        wait_until(f"{name} is up", up)

    def others(self, host):
        return [one for one in self.all if one is not host]

    def states(self, host):
        return {one["principal"]: one for one in host.reeve(
            "members", "--json").json() if one["role"] == "manager"}

    def await_equal_logs(self):
        """All logs are one, and the state that the leader has follows."""
        leader = self.leader()

        def replayed():
            """By host, once each of them has all events."""
            live = leader.reeve("state", "--digest", "--json").json()
            done = {host.name: host.reeve(
                "replay", "--log", host.data, "--to", str(live["seq"]),
                "--digest", code=None) for host in self.all}
            if any(one.code != 0 for one in done.values()):
                return None
            return live["digest"], {name: one.out.strip()
                                    for name, one in done.items()}
        live, digests = wait_until("all logs are equally long", replayed)
        if digests != {host.name: live for host in self.all}:
            raise AssertionError(f"the state is {live}, and logs give "
                                 f"{digests}")

    def ask_bus(self, host, subject):
        """What the bus servers say, those that streams are with."""
        with contextlib.closing(RawBus(host.data, "reeved.json",
                                       host.socket())) as bus:
            return json.loads(bus.request(f"$JS.API.{subject}", b""))

    def leads_stream(self, stream, of):
        """The host whose bus server does, as that of `of` says; None where
        none does."""
        said = self.ask_bus(of, f"STREAM.INFO.{stream}")
        name = said.get("cluster", {}).get("leader", "").split("#")[0]
        return self.named(name) if name else None

    def end_hard(self, *hosts):
        for host in hosts:
            bus = host.bus_pid()
            host.kill_daemon()
            os.kill(bus, signal.SIGKILL)

    def check_ledger(self, acknowledged):
        """Nothing acknowledged is missing or doubled."""
        if len(acknowledged) != len(set(acknowledged)):
            raise AssertionError(f"some are doubled: {acknowledged}")
        shown = self.leader().reeve("ps", "--all", "--json", "--limit",
                                    "100000").json()["sessions"]
        there = {one["session_id"] for one in shown}
        lost = [one for one in acknowledged if one not in there]
        if lost:
            raise AssertionError(f"acknowledged and not there: {lost}")


class ManagersCase(Managers, HostsCase):
    """A cell of its own for each test; `form` says how it begins."""

    def setUp(self):
        super().setUp()
        self.form()
