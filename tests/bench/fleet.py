#!/usr/bin/env python3
"""A cell with 1,000 nodes on one machine: what an idle node costs the bus and
the manager, how long all of them take to come back after the bus server or
the daemon was killed, and what they take of memory.

Two hosts as network namespaces: the cell's, and one of all nodes, with a link
between them; all connections are TLS. The nodes are played by fleet.cpp, which
says what of them is real. Messages are those of the nodes' connections, sent
and received; bytes are those of the link; connects are those that the kernel
of the cell's host accepted.
"""
import ctypes
import json
import os
import signal
import subprocess
import sys
import threading
import time
import urllib.request

import figures
from figures import cells

os.environ.setdefault("REEVE_TESTS", os.path.join(figures.BIN, "../tests"))
import hosts as rig  # noqa: E402

METRICS_PORT = 9400
SETTINGS = f"""[agent]
enabled = false
[bus]
listen = "{rig.NETWORK}.1:4222"
[metrics]
listen = "127.0.0.1:{METRICS_PORT}"
"""
CLONE_NEWNET = 0x40000000
CONNECTIONS = 2  # of one node
FIRST = 10  # nodes that memory is counted from
BACK_S_MAX = 90
SAMPLE_S = 0.1
METRICS_EVERY = 3  # samples
WINDOW_S = 0.5  # of a peak


def tcp():
    """Counters of TCP in the network namespace of this thread."""
    names, values = [
        line.split()[1:] for line in
        cells.read("/proc/thread-self/net/snmp").splitlines()
        if line.startswith("Tcp:")]
    return dict(zip(names, map(int, values)))


def link_bytes():
    """Received and sent on this thread's eth0."""
    for line in cells.read("/proc/thread-self/net/dev").splitlines():
        if line.strip().startswith("eth0:"):
            words = line.split(":")[1].split()
            return int(words[0]) + int(words[8])
    return 0


METRICS = {"reeve_commands_total": "commands", "reeve_nodes_up": "up"}


def metrics():
    """Commands that the manager has heard, and nodes that it has not given up;
    nothing while it does not answer."""
    try:
        with urllib.request.urlopen(
                f"http://127.0.0.1:{METRICS_PORT}/metrics",
                timeout=1) as answer:
            text = answer.read().decode()
    except OSError:
        return {}
    found = dict(line.split() for line in text.splitlines()
                 if line.split()[0] in METRICS)
    return {METRICS[name]: float(value) for name, value in found.items()}


class Sampler(threading.Thread):
    """Looks at the cell's host from inside, until stop()."""

    def __init__(self, head, asks=True):
        super().__init__()
        self.head, self.asks = head, asks
        self.ended = threading.Event()
        self.samples = []
        self.failed = None
        self.start()

    def run(self):
        try:
            libc = ctypes.CDLL(None, use_errno=True)
            with open(f"/run/netns/{self.head.space}", "rb") as space:
                if libc.setns(space.fileno(), CLONE_NEWNET) != 0:
                    raise OSError(ctypes.get_errno(), "setns")
            count = 0
            while not self.ended.wait(SAMPLE_S):
                one = {"at": time.monotonic(), "bytes": link_bytes(),
                       "connects": tcp()["PassiveOpens"]}
                if self.asks and count % METRICS_EVERY == 0:
                    one.update(metrics())
                self.samples.append(one)
                count += 1
        except BaseException as error:  # to be told by stop()
            self.failed = error

    def stop(self):
        self.ended.set()
        self.join()
        if self.failed:
            raise self.failed
        return self.samples

    def peak(self, name):
        """The most a second, of a window; a counter may begin again at 0."""
        found = [(one["at"], one[name]) for one in self.samples
                 if name in one]
        best = 0
        for i, (begun, before) in enumerate(found):
            later = [one for one in found[i:] if one[0] >= begun + WINDOW_S]
            if later and later[0][1] >= before:
                best = max(best, (later[0][1] - before) /
                           (later[0][0] - begun))
        return best

    def least(self, name):
        return min(one[name] for one in self.samples if name in one)

    def total(self, name):
        return self.samples[-1][name] - self.samples[0][name]


class Fleet:
    """The nodes of one process."""

    def __init__(self, host, token, first, count):
        self.log = open(os.path.join(host.base, f"fleet-{first}.log"), "wb")
        self.child = subprocess.Popen(
            [*host.prefix, os.path.join(figures.BIN, "fleet"), "--token",
             token, "--data", os.path.join(host.data, "nodes"), "--programs",
             figures.BIN, "--first", str(first), "--count", str(count)],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=self.log,
            text=True, start_new_session=True)

    def read(self):
        line = self.child.stdout.readline()
        if not line:
            raise AssertionError(
                f"the fleet ended: {cells.read(self.log.name)[-2000:]}")
        return json.loads(line)

    def ask(self, word):
        self.child.stdin.write(word + "\n")
        self.child.stdin.flush()


class Nodes:
    def __init__(self, head, host, processes):
        self.head, self.host, self.processes = head, host, processes
        self.fleets = []
        self.count = 0

    def add(self, count):
        """Joined, and registered all of them."""
        token = self.head.reeve("token", "create", "--role", "agent",
                                "--uses", str(count)).out.strip()
        processes = min(self.processes, count)
        more = []
        for i in range(processes):
            part = count * (i + 1) // processes - count * i // processes
            more.append(Fleet(self.host, token, self.count + 1, part))
            self.count += part
        self.fleets += more
        for _ in ("joined", "serving"):
            for one in more:
                one.read()
        cells.wait_until("all are registered", lambda: self.report()[
            "registered"] == self.count, pause=0.5)

    def report(self, word="report"):
        """Sums over all processes."""
        for one in self.fleets:
            one.ask(word)
        sums = {}
        for one in self.fleets:
            for name, value in one.read().items():
                sums[name] = sums.get(name, 0) + value
        return sums

    def end(self):
        for one in self.fleets:
            one.child.stdin.close()
        for one in self.fleets:
            one.child.wait()
            one.log.close()


def cpu_ms(pid):
    return figures.cpu_ms(pid)[0]


def idle(head, nodes, seconds):
    """With nothing to do, from one moment to a later one."""
    pids = {"manager": head.daemon_pid(), "bus": head.bus_pid()}
    before = {part: cpu_ms(pid) for part, pid in pids.items()}
    first = nodes.report()
    sampler = Sampler(head, asks=False)
    begun = time.monotonic()
    time.sleep(seconds)
    taken = time.monotonic() - begun
    sampler.stop()
    last = nodes.report()
    of = taken * nodes.count
    per = {name: (last[name] - first[name]) / of
           for name in ("published", "received")}
    payload = sum(last[name] - first[name] for name in
                  ("published_bytes", "received_bytes")) / of
    figures.report("idle_node_messages", "1/s",
                   [per["published"] + per["received"]])
    figures.report("idle_node_payload", "bytes/s", [payload])
    figures.report("idle_node_link", "bytes/s",
                   [sampler.total("bytes") / of])
    for part, pid in pids.items():
        figures.report(f"idle_node_cpu_{part}", "us/s",
                       [(cpu_ms(pid) - before[part]) * 1000 / of])


def bus_killed(head, nodes):
    """Until all are connected and registered again. Returns the seconds until
    all are connected, which is the main figure."""
    nodes.report("mark")
    sampler = Sampler(head)
    time.sleep(1)
    manager, bus = head.daemon_pid(), head.bus_pid()
    used = cpu_ms(manager)
    begun = time.monotonic()
    os.kill(bus, signal.SIGKILL)
    connected = registered = None
    while registered is None or connected is None:
        now = nodes.report()
        passed = time.monotonic() - begun
        if connected is None and now["connected_again"] == nodes.count:
            connected = passed
        if registered is None and now["registered_again"] == nodes.count:
            registered = passed
        if passed > BACK_S_MAX:
            raise AssertionError(f"not all came back: {now}")
        time.sleep(SAMPLE_S)
    time.sleep(2)
    sampler.stop()
    figures.report("bus_killed_all_registered", "s", [registered])
    figures.report("bus_killed_nodes_up_least", "nodes",
                   [sampler.least("up")])
    figures.report("bus_killed_connects_peak", "1/s",
                   [sampler.peak("connects")])
    figures.report("bus_killed_connects", "per connection",
                   [sampler.total("connects") / nodes.count / CONNECTIONS])
    figures.report("bus_killed_commands_peak", "1/s",
                   [sampler.peak("commands")])
    figures.report("bus_killed_cpu_manager", "ms", [cpu_ms(manager) - used])
    figures.report("bus_killed_cpu_bus", "ms", [cpu_ms(head.bus_pid())])
    return connected


def manager_killed(head, nodes):
    """It serves again, hears all, and has given up none."""
    before = nodes.report()["reconnects"]
    head.kill_daemon()
    begun = time.monotonic()
    head.up()
    serving = time.monotonic() - begun
    sampler = Sampler(head)
    time.sleep(15)  # a node that is not heard is lost by then
    sampler.stop()
    status = head.status()
    now = nodes.report()
    figures.report("manager_killed_serves", "s", [serving])
    figures.report("manager_killed_nodes_up_least", "nodes",
                   [min(sampler.least("up"), status["nodes_up"])])
    figures.report("manager_killed_connects", "connections",
                   [now["reconnects"] - before])
    figures.report("manager_killed_commands_peak", "1/s",
                   [sampler.peak("commands")])
    figures.report("manager_killed_cpu_manager", "ms",
                   [cpu_ms(head.daemon_pid())])


def memory(head):
    return {"manager": figures.memory_bytes(head.daemon_pid()),
            "bus": figures.memory_bytes(head.bus_pid())}


def own_memory(head, hosts):
    """Of a node daemon that has a process to itself, and of its keeper."""
    node = hosts.add("one")
    node.empty()
    token = head.reeve("token", "create", "--role", "agent").out.strip()
    node.reeve("join", token, "--name", "one")
    time.sleep(3)
    daemon = node.daemon_pid()
    others = cells.processes_of(node.base) - {daemon}
    figures.report("node_memory_daemon", "MiB",
                   [figures.memory_bytes(daemon) / (1 << 20)])
    figures.report("node_memory_keeper", "MiB",
                   [sum(map(figures.memory_bytes, others)) / (1 << 20)])
    node.reeve("leave", "--force", code=None)


def main():
    given = figures.arguments(__doc__, nodes=1000, processes=4, idle=60)
    reason = rig.why_not()
    if reason:
        figures.say(f"skipped: {reason}")
        sys.exit(rig.SKIPPED)
    # All that was started ends, whoever ends this.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    hosts = rig.Hosts()
    head = hosts.add("head", SETTINGS)
    host = hosts.add("nodes")
    host.empty()
    nodes = Nodes(head, host, given.processes)
    try:
        head.up()
        own_memory(head, hosts)
        nodes.add(FIRST)
        few = memory(head)
        figures.say(f"{FIRST} nodes serve")
        took = figures.timed_ms(lambda: nodes.add(given.nodes - FIRST)) / 1000
        figures.report("join", "nodes/s", [(given.nodes - FIRST) / took])
        time.sleep(5)
        many = memory(head)
        idle(head, nodes, given.idle)
        connected = bus_killed(head, nodes)
        time.sleep(5)
        manager_killed(head, nodes)
        for part, value in many.items():
            figures.report(f"memory_{part}_per_node", "KiB",
                           [(value - few[part]) / (1 << 10) /
                            (given.nodes - FIRST)])
            figures.report(f"memory_{part}", "MiB", [value / (1 << 20)])
        figures.report("bus_killed_all_connected", "s", [connected])
    finally:
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        words = hosts.last_words()
        nodes.end()
        left = hosts.stop()
        if left:
            figures.say("left behind:", *left, words)
        hosts.remove()


if __name__ == "__main__":
    main()
