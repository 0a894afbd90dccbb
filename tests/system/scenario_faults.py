"""What goes wrong in a scenario: a table of faults, a plan that is drawn from
it by a seed, and how each is done to a host and undone."""
import dataclasses
import glob
import os
import random
import shutil
import signal
import subprocess
import time
import typing

import cell as cells
import hosts as rig
from cell import wait_until
from scenario_log import Log

FAKETIME = next(iter(glob.glob("/usr/lib/*/faketime/libfaketimeMT.so.1")), "")
# How long a second daemon may take to be refused.
REFUSED_S_MAX = 30 * cells.SLOWNESS
FULL_DISK_ECHO_S = 2 * cells.SLOWNESS
# From one fault to the next.
PAUSE_S = (0.3, 3.0)
QUIET_S = (5.0, 9.0)
# Between the data of one bus server and that of another: with most of them gone
# no cell goes on by itself.
DATA_BACK_S = 40.0
# From one fault of a desk to the next of any desk.
DESK_PAUSE_S = (4.0, 12.0)


@dataclasses.dataclass(frozen=True)
class Fault:
    """One of a plan. Times in seconds from the begin of all trouble; `seed` is
    for what the fault itself draws."""
    at: float
    until: float
    kind: str
    host: str
    peer: str
    seed: int

    def __str__(self):
        to = f" (of {self.peer})" if KINDS[self.kind].to_peer else ""
        span = f" for {self.until - self.at:.1f} s" if self.lasts() else ""
        return f"{self.host}: {self.kind}{to}{span}"

    def lasts(self):
        return KINDS[self.kind].end is not None


@dataclasses.dataclass(frozen=True)
class Kind:
    """A row of the table. Of one lane, a host has one fault at a time."""
    weight: int
    lane: str
    seconds: tuple  # how long it lasts, at least and at most
    begin: typing.Callable  # of (world, host, fault)
    end: typing.Callable = None
    hosts: str = "any"  # or "manager", "agent"
    managers_min: int = 1
    to_peer: bool = False
    alone: bool = False  # nothing else happens meanwhile
    once: bool = False


def kill_daemon(world, host, fault):
    world.kill(host)


def start_daemon(world, host, fault):
    world.revive(host)  # unless room on its disk has done so


def stop_daemon(world, host, fault):
    host.daemon.send_signal(signal.SIGSTOP)


def continue_daemon(world, host, fault):
    host.daemon.send_signal(signal.SIGCONT)


def can_set_clocks():
    """A sanitizer wants to be the first library of a program."""
    return FAKETIME and not any(
        name in os.environ for name in cells.SANITIZERS)


def clock(offset):
    """The environment of a program whose clock is off by that."""
    return {"LD_PRELOAD": FAKETIME, "FAKETIME": offset,
            "FAKETIME_DONT_FAKE_MONOTONIC": "1"} if can_set_clocks() else {}


def start_with_clock_off(world, host, fault):
    world.kill(host)
    world.start(host, **clock("-1d" if fault.seed % 2 else "+1d"))


def end_clock_off(world, host, fault):
    world.kill(host)
    world.start(host)


def start_second(world, host, fault):
    """On a directory that has a daemon: it has to be refused."""
    wait_until(f"the daemon of {host.name} holds its directory",
               lambda: host.daemon.pid in host.owners() or
               host.daemon.poll() is not None)
    second = host.start_daemon()
    try:
        code = second.wait(timeout=REFUSED_S_MAX)
        if code == 0:
            world.find(f"a second daemon of {host.name} ended with 0")
    except subprocess.TimeoutExpired:
        world.find(f"a second daemon of {host.name} was not refused")
        second.kill()
        second.wait()


def signal_process(pid, number):
    try:
        if pid:
            os.kill(pid, number)
    except ProcessLookupError:
        pass


def kill_keeper(world, host, fault):
    signal_process(host.keeper_pid(), signal.SIGKILL)


def stop_keeper(world, host, fault):
    world.stopped[fault] = host.keeper_pid()
    signal_process(world.stopped[fault], signal.SIGSTOP)


def kill_bus(world, host, fault):
    signal_process(host.bus_pid(), signal.SIGKILL)


def stop_bus(world, host, fault):
    world.stopped[fault] = host.bus_pid()
    signal_process(world.stopped[fault], signal.SIGSTOP)


def continue_stopped(world, host, fault):
    signal_process(world.stopped.pop(fault), signal.SIGCONT)


def lose_data_of_bus(world, host, fault):
    """All at once: the server that is started next finds none of it."""
    data = os.path.join(host.data, "bus", "jetstream")
    lost = data + ".lost"
    try:
        os.rename(data, lost)
    except FileNotFoundError:
        pass  # just now it has none
    signal_process(host.bus_pid(), signal.SIGKILL)
    shutil.rmtree(lost, ignore_errors=True)


def cut(world, host, fault):
    host.cut()


def heal(world, host, fault):
    host.heal()


def deafen(world, host, fault):
    host.deafen()


def mute(world, host, fault):
    host.mute()


def part_from_peer(world, host, fault):
    peer = world.by_name[fault.peer].address
    host.deafen(peer)
    host.mute(peer)


def open_again(world, host, fault):
    host.open_again()


def disturb(world, host, fault):
    rng = random.Random(fault.seed)
    host.disturb(fault.seed, delay_ms=rng.choice((0, 5, 40)),
                 jitter_ms=rng.choice((1, 10, 60)),
                 loss=rng.choice((0.01, 0.05, 0.2)),
                 duplicate=rng.choice((0, 0.05)),
                 reorder=rng.choice((0, 0.05)))


def calm(world, host, fault):
    world.count_packets(host.calm())


def fill_disk(world, host, fault):
    host.fill()


def make_room(world, host, fault):
    """What found the disk full a moment ago may end by it a moment later."""
    host.make_room()
    time.sleep(FULL_DISK_ECHO_S)
    world.revive(host)


def copy_log(world, host, fault):
    world.kill(host)
    copy = os.path.join(host.base, "older")
    shutil.rmtree(copy, ignore_errors=True)
    shutil.copytree(os.path.join(host.data, "log"), copy)
    world.start(host)


def put_older_log(world, host, fault):
    """With one manager, what it was told since the copy is gone, and what the
    copy has not as ended may start again."""
    world.kill(host)
    log = os.path.join(host.data, "log")
    copy = os.path.join(host.base, "older")
    if len(world.managers) == 1:
        world.load.excuse_after(Log(host.reeve(
            "log", "cat", "--log", copy, "--json").lines()))
    shutil.rmtree(log)
    shutil.copytree(copy, log)
    world.start(host)


KINDS = {
    "daemon killed": Kind(6, "daemon", (0, 4), kill_daemon, start_daemon),
    "daemon stopped": Kind(4, "daemon", (1, 13), stop_daemon, continue_daemon),
    "clock a day off": Kind(2, "daemon", (3, 10), start_with_clock_off,
                            end_clock_off),
    "second daemon": Kind(1, "daemon", (0, 0), start_second),
    "keeper killed": Kind(2, "keeper", (0, 0), kill_keeper),
    "keeper stopped": Kind(1, "keeper", (1, 6), stop_keeper, continue_stopped),
    "bus server killed": Kind(4, "bus", (0, 0), kill_bus, hosts="manager"),
    "bus server stopped": Kind(2, "bus", (1, 8), stop_bus, continue_stopped,
                               hosts="manager"),
    "data of bus server lost": Kind(2, "bus", (0, 0), lose_data_of_bus,
                                    hosts="manager", managers_min=3),
    "link cut": Kind(4, "link", (1, 15), cut, heal),
    "nothing comes in": Kind(2, "link", (1, 15), deafen, open_again),
    "nothing goes out": Kind(2, "link", (1, 15), mute, open_again),
    "link to one cut": Kind(3, "link", (1, 15), part_from_peer, open_again,
                            to_peer=True),
    # Longer than a lease, an agent's patience and the wait for a leader.
    "link to one cut for long": Kind(1, "link", (20, 45), part_from_peer,
                                     open_again, hosts="manager",
                                     to_peer=True),
    "packets disturbed": Kind(5, "packets", (3, 15), disturb, calm),
    "disk full": Kind(2, "disk", (2, 8), fill_disk, make_room),
    "older copy of the log": Kind(1, "daemon", (2, 6), copy_log, put_older_log,
                                  hosts="manager", alone=True, once=True),
    "quiet": Kind(4, "", QUIET_S, None),
}


def kinds_for(managers, names=()):
    """What can happen here; `names`: no more than these."""
    return {name: kind for name, kind in KINDS.items()
            if managers >= kind.managers_min
            and (not names or name in names)
            and (kind.begin is not start_with_clock_off or can_set_clocks())
            and (kind.begin is not disturb or
                 os.path.exists(rig.FAULTS))}


def kinds_for_desks(kinds):
    """Of these, what can happen to a host without a daemon: to its link."""
    return {name: kind for name, kind in kinds.items()
            if kind.lane in ("link", "packets")}


class Planner:
    def __init__(self, seed, seconds, managers, agents, names=()):
        self.rng = random.Random(f"plan {seed}")
        self.seconds, self.managers, self.agents = seconds, managers, agents
        self.names = names
        self.kinds = kinds_for(len(managers), names)
        self.busy = {}  # (host, lane) -> until when
        self.now = 1.0
        self.faults = []
        self.data_lost = {}  # host -> when, of its bus server
        self.still = []  # (from, until) when nothing happens beside it

    def plan(self):
        while self.now < self.seconds:
            names = list(self.kinds)
            name = self.rng.choices(
                names, [self.kinds[one].weight for one in names])[0]
            self.draw(name, self.kinds[name])
        return self.faults

    def draw(self, name, kind):
        lasts = self.rng.uniform(*kind.seconds)
        if kind.alone or not kind.begin:
            self.now = max([self.now, *self.busy.values()])
        if not kind.begin:
            self.still.append((self.now, self.now + lasts))
            self.now += lasts
            return
        host = self.rng.choice({"any": self.managers + self.agents,
                                "manager": self.managers,
                                "agent": self.agents}[kind.hosts])
        others = self.managers if host in self.agents else (
            self.managers + self.agents)
        peer = self.rng.choice([one for one in others if one != host])
        seed = self.rng.randrange(1 << 32)
        free = self.busy.get((host, kind.lane), 0) <= self.now
        if kind.begin is lose_data_of_bus:
            free = free and all(
                one == host or self.now - when > DATA_BACK_S
                for one, when in self.data_lost.items())
            if free:
                self.data_lost[host] = self.now
        if free and self.now < self.seconds:
            until = min(self.now + lasts, self.seconds)
            self.faults.append(Fault(self.now, until, name, host, peer, seed))
            self.busy[host, kind.lane] = until
            if kind.alone:
                self.still.append((self.now, until))
                self.now = until
            if kind.once:
                del self.kinds[name]
        self.now += self.rng.uniform(*PAUSE_S)


class DeskPlanner:
    """Draws for itself: a seed does to all other hosts what it does where there
    are no desks."""

    def __init__(self, planner, seed, desks):
        self.rng = random.Random(f"desks {seed}")
        self.seconds, self.managers = planner.seconds, planner.managers
        self.still, self.desks = planner.still, desks
        self.kinds = kinds_for_desks(kinds_for(len(self.managers),
                                               planner.names))

    def plan(self):
        busy, faults, now = {}, [], 1.0
        while self.kinds and now < self.seconds:
            names = list(self.kinds)
            name = self.rng.choices(
                names, [self.kinds[one].weight for one in names])[0]
            lasts = self.rng.uniform(*self.kinds[name].seconds)
            host = self.rng.choice(self.desks)
            peer = self.rng.choice(self.managers)
            fault_seed = self.rng.randrange(1 << 32)
            lane = host, self.kinds[name].lane
            until = self.end_of(now, now + lasts)
            if busy.get(lane, 0) <= now < until:
                faults.append(Fault(now, until, name, host, peer, fault_seed))
                busy[lane] = until
            now += self.rng.uniform(*DESK_PAUSE_S)
        return faults

    def end_of(self, begin, end):
        """Not later than what needs quiet begins."""
        return min([end, self.seconds, *(
            first for first, last in self.still if last > begin)])


def plan(seed, seconds, managers, agents, names=(), desks=()):
    """The faults of `seconds`, by their begins."""
    planner = Planner(seed, seconds, managers, agents, names)
    faults = planner.plan()
    if desks:
        faults += DeskPlanner(planner, seed, desks).plan()
    return sorted(faults, key=lambda fault: fault.at)


def steps(faults):
    """(when, whether it begins, fault), by time: what to do one by one."""
    out = [(fault.at, True, fault) for fault in faults]
    out += [(fault.until, False, fault) for fault in faults if fault.lasts()]
    return sorted(out, key=lambda step: (step[0], step[2].at, not step[1]))
