#!/usr/bin/env python3
"""Keeps what the programs of a release say to each other: all messages on the
bus of a cell that does a bit of everything, and its log.

    REEVE_BIN=build/release/bin \\
        REEVE_FAKE_NVML=$PWD/build/release/gpu/libreeve_fake_nvml.so \\
        tests/traffic/record.py VERSION-protocol-NUMBER

writes it below tests/traffic/released, before the programs change: traffic_test
then holds every later program to it. A folder that is there is not written
again; the oldest may go when its protocol is no longer understood
(cluster/program.hpp). What is kept names no path, host or person of the
machine that it was recorded on."""
import collections
import os
import shutil
import struct
import sys
import tempfile
import threading

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, "..", "system"))
os.environ.setdefault("REEVE_TESTS", "")
import cell as cells  # noqa: E402
from cell import Cell, wait_until  # noqa: E402
from raw_bus import RawBus  # noqa: E402

SETTINGS = """cell = "kept"
[agent]
name = "n1"
cpus = 8
memory = "16G"
gpu_tests = "none"
labels = { rack = "r1" }
"""
NODES = """sn,cpu_milli,memory_mib,gpu,model
s1,16000,65536,2,H100
s2,16000,65536,2,H100
"""
NEUTRAL = "/tmp/reeve-kept"
MACHINE = ("device uuid=GPU-a model=NVIDIA_H100 gpu=97 power=650500\n"
           "device uuid=GPU-b gpu=0\n")
# Messages that are long and alike, by their identifiers: kept so often.
OFTEN = {b"RVG1": 3, b"RVH1": 12}


class Tap(threading.Thread):
    """All that passes, in the order of the bus."""

    def __init__(self, data):
        super().__init__(daemon=True)
        self.bus = RawBus(data, "reeved.json")
        self.bus.subscribe(">")
        self.kept, self.seen = [], collections.Counter()
        self.start()

    def run(self):
        for subject, payload in self.bus.messages():
            table = payload[4:8]
            self.seen[table] += 1
            if self.seen[table] <= OFTEN.get(table, sys.maxsize):
                self.kept.append((subject, payload))


def do_a_bit_of_everything(cell):
    reeve = cell.reeve
    reeve("user", "set", "ann", "--uid", "1001")
    reeve("project", "set", "vision", "--weight", "2")
    reeve("quota", "set", "project:vision", "--gpus", "3")
    reeve("reservation", "set", "night", "--node", "s2", "--from", "+20h",
          "--for", "2h", "--user", "ann")
    reeve("token", "create", "--role", "agent", "--name", "n7")
    done = cell.submit("--name", "hello", "--", "sh", "-c", "echo hello")
    reeve("wait", done)
    reeve("logs", done)
    failed = cell.submit("--", "sh", "-c", "exit 3")
    reeve("wait", failed, code=None)
    reeve("submit", "--sim-duration", "2s", "--gpus", "1", "--array", "1-3",
          "--name", "sweep")
    shares = cell.submit("--sim-duration", "2s", "--gpus", "0.5")
    long = cell.submit("--", "sleep", "600")
    cell.await_state(long, "running")
    stays = cell.submit("--", "sleep", "600")
    cell.await_state(stays, "running")
    waiting = cell.submit("--gpus", "2", "--on-node", "s1", "--sim-duration",
                         "60s")
    reeve("why", waiting, code=None)
    reeve("queue")
    # The agent comes back, and is told what should run.
    cell.kill_daemon()
    cell.up()
    wait_until("n1 is up", lambda: all(
        node["state"] == "up" for node in cell.reeve("nodes", "--json").json()[
            "nodes"]))
    reeve("cancel", long)
    cell.await_state(long, "cancelled")
    reeve("node", "drain", "s2", "--reason", "fan")
    reeve("node", "resume", "s2")
    reeve("gpu", "quarantine", "s1", "0", "--reason", "errors")
    reeve("gpu", "release", "s1", "0")
    reeve("wait", shares)
    reeve("cancel", waiting)
    reeve("cancel", stays)
    cell.await_state(stays, "cancelled")
    for words in (["status"], ["ps", "--all"], ["nodes"], ["gpus"],
                  ["show", done], ["quota", "list"], ["state", "--digest"],
                  ["members"], ["token", "list"], ["reservation", "list"]):
        reeve(*words, code=None)


def ask_again(cell, kept):
    """The answers, which go to the inbox of who asks: the same question, or
    command, gets the same again."""
    bus = RawBus(cell.data)
    out = []
    asked = [one for one in kept
             if one[0].split(".")[:2] in (["cmd", bus.principal],
                                          ["qry", bus.principal])]
    for subject, payload in asked:
        kind = "reply" if subject.startswith("cmd.") else "answer"
        out.append((kind, bus.request(subject, payload)))
    bus.close()
    return out


def write(folder, messages):
    with open(os.path.join(folder, "bus.bin"), "wb") as file:
        for subject, payload in messages:
            name = subject.encode()
            file.write(struct.pack("<II", len(name), len(payload)))
            file.write(name + payload)


def record(folder):
    driver = tempfile.mkdtemp(prefix="reeve-driver-", dir="/var/tmp")
    os.symlink(os.environ["REEVE_FAKE_NVML"],
               os.path.join(driver, "libnvidia-ml.so.1"))
    with open(os.path.join(driver, "machine"), "w", encoding="utf-8") as file:
        file.write(MACHINE)
    os.environ["REEVE_FAKE_NVML_SCRIPT"] = os.path.join(driver, "machine")
    os.environ["LD_LIBRARY_PATH"] = driver
    # What goes into messages is that of no machine.
    programs = os.path.join(NEUTRAL, "bin")
    shutil.copytree(cells.BIN, programs)
    os.environ["PATH"] = "/usr/local/bin:/usr/bin:/bin"
    cell = Cell(SETTINGS)
    cell.bin = programs
    cell.work = "/"
    try:
        nodes = os.path.join(cell.base, "nodes.csv")
        with open(nodes, "w", encoding="utf-8") as file:
            file.write(NODES)
        cell.up()
        tap = Tap(cell.data)
        # All that a daemon says from its start on.
        cell.kill_daemon()
        cell.up("--sim-nodes", nodes)
        do_a_bit_of_everything(cell)
        for table in OFTEN:
            wait_until(f"{table} came", lambda: tap.seen[table])
        kept = list(tap.kept)
        answers = ask_again(cell, kept)
        cell.reeve("down")
        cell.reeve("log", "export", os.path.join(folder, "log.segment"),
                   "--log", cell.data)
        digest = cell.reeve("replay", "--log", cell.data, "--digest").out
        with open(os.path.join(folder, "digest"), "w",
                  encoding="utf-8") as file:
            file.write(digest)
        write(folder, kept + answers)
    finally:
        print("\n".join(cell.stop()), end="")
        cell.remove()
        shutil.rmtree(driver)
        shutil.rmtree(NEUTRAL)


def main():
    folder = os.path.join(HERE, "released", sys.argv[1])
    if os.path.exists(folder):
        sys.exit(f"{folder} is there, and what is kept is not changed")
    os.makedirs(folder)
    try:
        record(folder)
    except BaseException:
        shutil.rmtree(folder)
        raise


if __name__ == "__main__":
    main()
