"""Several hosts on one machine: each a network namespace with an address of
its own on one bridge, and links that can be cut."""
import ctypes
import errno
import json
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import threading
import unittest

import cell as cells
from cell import Cell, wait_until

# In the ones set aside for documentation; nothing routes there.
NETWORK = "198.51.100"
SKIPPED = 77
FAULTS = os.path.join(os.environ["REEVE_TESTS"], "packet_faults")
# Of packets that packet_faults sent a second time.
MARK = 0x52
LIBC = ctypes.CDLL(None, use_errno=True)
CLONE_NEWNET = 0x40000000
# Of a packet that tells alone what has arrived.
BARE_BYTES_MAX = 88


def ip(*words, check=True, lines=None):
    return subprocess.run(["ip", *words], check=check, capture_output=True,
                          text=True, input=lines)


def why_not():
    """Why there can be no hosts here; None where there can."""
    if os.geteuid() != 0:
        return "network namespaces need root"
    for program in ("ip", "iptables"):
        if not shutil.which(program):
            return f"{program} is not installed"
    name = f"rv{os.getpid()}t"
    made = ip("netns", "add", name, check=False)
    if made.returncode != 0:
        return f"no network namespaces here: {made.stderr.strip()}"
    ip("netns", "del", name)
    return None


class Host(Cell):
    """A Cell whose commands and processes run on this host."""

    def __init__(self, hosts, name, number, settings="", disk_mib=0):
        self.hosts, self.name = hosts, name
        self.barred, self.disturbed = [], None
        self.disk_mib = disk_mib
        self.address = f"{NETWORK}.{number}"
        self.space = f"{hosts.prefix}{name}"
        self.veth = f"{hosts.prefix}v{number}"
        hosts.attach(self)
        base = os.path.join(hosts.base, name)
        super().__init__(settings, base=base)
        # Not "ip netns exec", which hides the control groups.
        self.prefix = ["nsenter", f"--net=/run/netns/{self.space}"]
        self.filler = os.path.join(self.data, "filler")
        if disk_mib:
            subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={disk_mib}m",
                            "reeve-test", self.data], check=True)
            self.settings(settings)

    def empty(self):
        """No cell yet: for `join`."""
        os.unlink(os.path.join(self.data, "cell.toml"))

    def keep_settings_alone(self):
        """All else in its directory is gone. Returns them."""
        kept = os.path.join(self.data, "cell.toml")
        for name in os.listdir(self.data):
            path = os.path.join(self.data, name)
            if os.path.isdir(path):
                shutil.rmtree(path)
            elif path != kept:
                os.unlink(path)
        return cells.read(kept)

    def bus_pid(self):
        """0 where none is known."""
        text = cells.read(os.path.join(self.data, "bus", "server.json"))
        return json.loads(text)["pid"] if text else 0

    def keeper_pid(self):
        """0 where none runs."""
        whose = f"--directory\0{self.data}/node\0"
        keepers = {pid for pid in cells.processes_of(self.data)
                   if whose in cells.read(f"/proc/{pid}/cmdline")}
        return min(keepers - cells.children_of(keepers), default=0)

    def owners(self):
        """The processes that say they hold its directory or its log."""
        return {int(text) for text in (
            cells.read(os.path.join(self.data, *path)).strip()
            for path in (("owner",), ("log", "owner"))) if text.isdigit()}

    def socket(self, kind=socket.SOCK_STREAM):
        """A socket of its network, for this process."""
        made = []

        def make():
            with open(f"/run/netns/{self.space}", "rb") as space:
                if LIBC.setns(space.fileno(), CLONE_NEWNET) != 0:
                    raise OSError(ctypes.get_errno(), "setns")
            made.append(socket.socket(socket.AF_INET, kind))
            made[0].settimeout(cells.PATIENCE_S)

        thread = threading.Thread(target=make)
        thread.start()
        thread.join()
        return made[0]

    def cut(self):
        """Nothing comes in or goes out."""
        self.hosts.in_hub("link", "set", self.veth, "down")

    def heal(self):
        self.hosts.in_hub("link", "set", self.veth, "up")

    def deafen(self, to=""):
        """What others send does not come in: one way is cut. `to`: of one
        sender alone."""
        self.bar("INPUT", "-i", "eth0", *(["-s", to] if to else []))

    def mute(self, to=""):
        """What it sends does not leave. `to`: to one receiver alone."""
        self.bar("OUTPUT", "-o", "eth0", *(["-d", to] if to else []))

    def refuse(self, other):
        """No connection between the two, nor one that was there: each learns it
        at once."""
        for one, to in ((self, other), (other, self)):
            one.bar("OUTPUT", "-d", to.address, "-p", "tcp",
                    target=("REJECT", "--reject-with", "tcp-reset"))

    def choke(self, other):
        """Of what `other` sends here nothing with contents comes in: it learns
        that what is sent from here arrives, and waits for its own."""
        self.bar("INPUT", "-s", other.address, "-p", "tcp", "-m", "length",
                 "--length", f"{BARE_BYTES_MAX + 1}:")

    def bar(self, chain, *which, target=("DROP",)):
        self.iptables("-I", chain, *which, "-j", *target)
        self.barred.append([chain, *which, "-j", *target])

    def open_again(self):
        while self.barred:
            self.iptables("-D", *self.barred.pop())

    def iptables(self, *words):
        subprocess.run([*self.prefix, "iptables", "-w", *words], check=True)

    def disturb(self, seed, to="", port=0, protocol="tcp", **faults):
        """What it sends meets the faults of packet_faults.cpp (delay_ms,
        jitter_ms, loss, duplicate, reorder) until calm(). `to`: to one
        receiver alone; `port`: to that port alone."""
        words = [f"--{name.replace('_', '-')}={value}"
                 for name, value in faults.items()]
        judge = subprocess.Popen(
            [*self.prefix, FAULTS, f"--seed={seed}", f"--mark={MARK}", *words],
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True)
        if judge.stdout.readline() != "ready\n":
            raise AssertionError(f"packet_faults ended: {judge.wait()}")
        rule = ["OUTPUT", "-o", "eth0", *(["-d", to] if to else []),
                *(["-p", protocol, "--dport", str(port)] if port else []),
                "-m", "mark", "!", "--mark", str(MARK),
                "-j", "NFQUEUE", "--queue-num", "0", "--queue-bypass"]
        self.iptables("-A", *rule)
        self.disturbed = judge, rule

    def calm(self):
        """Ends what disturb() began. Returns how many packets met what."""
        if not self.disturbed:
            return {}
        judge, rule = self.disturbed
        self.disturbed = None
        self.iptables("-D", *rule)
        judge.terminate()
        out, _ = judge.communicate(timeout=cells.PATIENCE_S)
        return json.loads(out)

    def fill(self):
        """Takes the last byte of its small disk."""
        with open(self.filler, "ab", buffering=0) as file:
            try:
                while file.write(bytes(1 << 16)):
                    pass
            except OSError as error:
                if error.errno != errno.ENOSPC:
                    raise

    def make_room(self):
        os.unlink(self.filler)

    def stop(self):
        self.heal()
        self.open_again()
        self.calm()
        if not self.disk_mib:
            return super().stop()
        if os.path.exists(self.filler):
            self.make_room()
        left = [one for one in super().stop() if not (
            one.startswith("mount ") and f" {self.data} " in one)]
        subprocess.run(["umount", self.data], check=True)
        return left


class Hosts:
    def __init__(self):
        self.base = tempfile.mkdtemp(prefix="reeve-hosts-", dir="/var/tmp")
        self.prefix = f"rv{os.getpid()}"
        self.hub = f"{self.prefix}hub"
        self.all = []
        ip("netns", "add", self.hub)
        self.in_hub("link", "add", "br0", "type", "bridge")
        self.in_hub("link", "set", "br0", "up")

    def in_hub(self, *words):
        ip("-n", self.hub, *words)

    def attach(self, host):
        ip("netns", "add", host.space)
        ip("link", "add", "eth0", "netns", host.space, "type", "veth", "peer",
           "name", host.veth, "netns", self.hub)
        self.in_hub("link", "set", host.veth, "master", "br0", "up")
        ip("-n", host.space, "-batch", "-", lines="link set lo up\n"
           f"addr add {host.address}/24 dev eth0\nlink set eth0 up\n")

    def add(self, name, settings="", disk_mib=0):
        """`disk_mib`: of a small disk of its own for its data."""
        host = Host(self, name, len(self.all) + 1, settings, disk_mib)
        self.all.append(host)
        return host

    def last_words(self):
        return "\n".join(f"{host.name}: {host.last_words()}"
                         for host in self.all)

    def stop(self):
        """Ends all hosts. Returns what was left over, as sentences."""
        left = [f"{host.name}: {one}" for host in reversed(self.all)
                for one in host.stop()]
        self.detach()
        return left

    def detach(self):
        """The networks go, with their links and rules."""
        for host in self.all:
            ip("netns", "del", host.space, check=False)
        ip("netns", "del", self.hub, check=False)

    def remove(self):
        shutil.rmtree(self.base, ignore_errors=True)


__all__ = ["Hosts", "Host", "why_not", "SKIPPED", "cells", "wait_until"]


class HostsCase(unittest.TestCase):
    """Hosts of its own for each test, of which nothing may be left."""

    def setUp(self):
        super().setUp()
        self.hosts = Hosts()
        # Where the set-up fails, too.
        self.addCleanup(self.end_hosts)

    def end_hosts(self):
        words = self.hosts.last_words()
        left = self.hosts.stop()
        self.assertEqual([], left, words)
        self.hosts.remove()


def main(reason=None):
    """Runs the tests of a file, unless there can be no hosts here or `reason`
    says why else not."""
    reason = why_not() or reason
    if reason:
        print(f"skipped: {reason}")
        sys.exit(SKIPPED)
    cells.main()
