"""Kills the daemon again and again under load and compares what clients were
told with what the log holds.

Faults: SIGKILL of reeved at random moments (also while it starts), many times,
now and then together with the bus server.
The seed is printed; REEVE_SEED=N repeats the moments, REEVE_KILLS=N the count.
Checked at the end: no acknowledged command is missing, none was carried out
twice, every session ended exactly once, no process was started twice, long
processes kept their pid, the live state equals the replayed log, and the
chain of the log is whole.
"""
import collections
import json
import os
import random
import signal
import statistics
import sys
import time
import unittest

import cell as cells
import ledger
from cell import Cell, wait_until

KILLS = int(os.environ.get("REEVE_KILLS", 200 // cells.SLOWNESS))
SEED = int(os.environ.get("REEVE_SEED", str(random.randrange(1 << 32))))
# A life of the daemon under load; some are cut while it still starts.
LIFE_S_MAX = 0.3 * cells.SLOWNESS
# How often the bus server is killed with it.
BUS_KILLED_TOO = 0.1
CLIENT_S = 1800
SIMULATED_NODES = 4
SETTINGS = """[agent]
cpus = 64
[log]
snapshot_every = 2000
"""


class CrashTest(unittest.TestCase):
    def setUp(self):
        print(f"seed {SEED}: REEVE_SEED={SEED} repeats it", flush=True)
        self.random = random.Random(SEED)
        self.cell = Cell(SETTINGS)
        self.clients = []
        self.serving_s = []

    def tearDown(self):
        for client in self.clients:
            if client.poll() is None:
                client.kill()
            client.wait()
        words = self.cell.last_words()
        left = self.cell.stop()
        self.assertEqual([], left, words)
        self.cell.remove()

    def start_client(self, number):
        client, path = ledger.start_client(self.cell, number, CLIENT_S)
        self.clients.append(client)
        return path

    def serves(self, daemon):
        words = cells.read(
            os.path.join(self.cell.data, "reeved.pid")).split()
        if words and int(words[0]) == daemon.pid:
            return True
        self.assertIsNone(daemon.poll(), "the daemon ended by itself: "
                          + self.cell.last_words())
        return False

    def bus_pid(self):
        text = cells.read(os.path.join(self.cell.data, "bus", "server.json"))
        return json.loads(text)["pid"]

    def kill(self, daemon):
        daemon.send_signal(signal.SIGKILL)
        daemon.wait()

    def await_end_of_all(self):
        def ended():
            counts = self.cell.status()["sessions"]
            alive = sum(counts.get(state, 0) for state in (
                "pending", "placed", "starting", "running", "stopping"))
            return alive == len(self.long)
        wait_until("all sessions but the long ones have ended", ended,
                   seconds=180 * cells.SLOWNESS, pause=0.5)

    def test_nothing_acknowledged_is_lost_and_nothing_runs_twice(self):
        self.cell.up("--sim-nodes", str(SIMULATED_NODES))
        self.long = [self.cell.submit("--cpus", "0.1", "--", "sleep", "86400")
                     for _ in range(3)]
        shown = [self.cell.await_state(one, "running") for one in self.long]
        pids = [one["tasks"][0]["pid"] for one in shown]
        births = [cells.start_ticks(pid) for pid in pids]
        self.assertTrue(all(births), shown)
        paths = [self.start_client(number) for number in (1, 2)]

        self.cell.kill_daemon()
        self.kill_often()

        daemon = self.cell.start_daemon()
        wait_until("the daemon serves", lambda: self.serves(daemon))
        for client in self.clients:
            client.terminate()
        for client in self.clients:
            self.assertEqual(0, client.wait(timeout=3 * cells.PATIENCE_S))
        self.await_end_of_all()

        for pid, birth, one in zip(pids, births, self.long):
            now = self.cell.show(one)
            self.assertEqual("running", now["state"])
            self.assertEqual(pid, now["tasks"][0]["pid"])
            self.assertEqual(1, now["attempt"])
            self.assertEqual(birth, cells.start_ticks(pid))
        self.compare(paths)
        self.cell.reeve("log", "verify", seconds=3 * cells.PATIENCE_S)
        live, replayed = self.cell.digests()
        self.assertEqual(live, replayed)
        self.cell.reeve("down")
        daemon.wait(timeout=cells.PATIENCE_S)

    def kill_often(self):
        begun = time.monotonic()
        cut_early = 0
        for _ in range(KILLS):
            at = time.monotonic()
            daemon = self.cell.start_daemon()
            if self.random.random() < 0.2:
                time.sleep(self.random.random() * LIFE_S_MAX)
                cut_early += not self.serves(daemon)
            else:
                wait_until("the daemon serves",
                           lambda: self.serves(daemon), pause=0.002)
                self.serving_s.append(time.monotonic() - at)
                time.sleep(self.random.random() * LIFE_S_MAX)
            self.kill(daemon)
            if self.random.random() < BUS_KILLED_TOO:
                os.kill(self.bus_pid(), signal.SIGKILL)
        wall = time.monotonic() - begun
        print(f"{KILLS} kills in {wall:.1f} s, {cut_early} while starting; "
              f"start to serving: median "
              f"{statistics.median(self.serving_s) * 1e3:.0f} ms, longest "
              f"{max(self.serving_s) * 1e3:.0f} ms", flush=True)

    def compare(self, paths):
        submitted = collections.defaultdict(list)
        ended = collections.Counter()
        ends = collections.Counter()
        starts = collections.Counter()
        sequence = 0
        log = self.cell.reeve("log", "cat", "--json",
                              seconds=3 * cells.PATIENCE_S)
        for event in log.lines():
            sequence += 1
            self.assertEqual(sequence, event["seq"], "a gap in the log")
            body, kind = event["body"], event["body_type"]
            if kind == "session_submitted":
                submitted[event["command_id"]].append(
                    (event["seq"], body["session"]))
            elif kind == "session_ended":
                ended[body["session"]] += 1
                ends[body["state"], body["reason"]] += 1
            elif kind == "task_started":
                starts[body["session"], body["attempt"],
                       body.get("rank", 0)] += 1
        markers = collections.Counter(
            cells.read(os.path.join(self.cell.work, "started")).splitlines())
        accepted = unknown = intents = 0
        ours = set()
        for path in paths:
            told = ledger.Ledger(path)
            accepted += len(told.accepted)
            unknown += told.unknown
            intents += len(told.intents)
            self.assertEqual({}, told.rejected)
            for command, answers in told.accepted.items():
                self.assertEqual(1, len(answers),
                                 f"{command} got several answers: {answers}")
                self.assertEqual(sorted(answers), submitted[command],
                                 f"{command} was acknowledged as {answers}")
            for command in told.intents:
                self.assertLessEqual(len(submitted[command]), 1, command)
                self.assertIn(command, told.accepted)
            ours |= told.intents
        for command, events in submitted.items():
            for _, session in events:
                self.assertEqual(int(command in ours), ended[session],
                                 f"ends of s-{session}")
        self.assertEqual({("succeeded", "exited")}, set(ends), ends)
        self.assertEqual([], [key for key, n in starts.items() if n > 1])
        self.assertEqual([], [line for line, n in markers.items() if n > 1],
                         "processes that were started twice")
        real = [c for c in ours if int(c[16:], 16) % 3 == 0]
        started = {line.split()[0] for line in markers}
        self.assertEqual(set(real), started, "real tasks and their marks")
        self.assertGreater(accepted, KILLS, "there was hardly any load")
        print(f"{sequence} events; {intents} commands, {accepted} accepted, "
              f"{unknown} times of unknown outcome and sent again; "
              f"{len(started)} real tasks, each started once", flush=True)


if __name__ == "__main__":
    sys.exit(cells.main())
