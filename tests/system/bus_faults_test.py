"""The bus as an enemy: malformed, oversized and foreign messages, a server
that is killed, a daemon that stands still."""
import json
import os
import random
import signal
import struct
import sys
import time

import cell as cells
from cell import CellTest, wait_until
from raw_bus import RawBus

SEED = int(os.environ.get("REEVE_SEED", "20261123"))


class HostileMessagesTest(CellTest):
    def setUp(self):
        self.bus = RawBus(self.cell.data)
        self.before = self.settled()
        self.head = self.cell.status()["head_seq"]
        self.pid = self.cell.daemon_pid()

    def tearDown(self):
        self.bus.close()
        self.assertEqual(self.pid, self.cell.status()["daemon_pid"])
        self.assertEqual(self.head, self.cell.status()["head_seq"])
        self.cell.reeve("run", "--", "true")

    def quarantined(self):
        return self.cell.status()["counters"]["quarantined"]

    def settled(self):
        """The figure of the daemon's last look, once no more comes."""
        while True:
            before = self.quarantined()
            time.sleep(0.5)
            if self.quarantined() == before:
                return before

    def expect_quarantined(self, count):
        wait_until(lambda: f"{count} more are in quarantine, "
                   f"{self.quarantined() - self.before} are",
                   lambda: self.quarantined() >= self.before + count)
        self.assertEqual(self.before + count, self.quarantined())

    def test_garbage_is_counted_and_kept_for_a_person_to_look_at(self):
        self.bus.command(b"hello")
        self.bus.command(b"")
        self.bus.query(b"\0" * 64)
        self.bus.publish("log.read", b"\xff" * 100)
        self.bus.flush()
        self.expect_quarantined(4)
        kept = os.listdir(os.path.join(self.cell.data, "quarantine"))
        self.assertGreaterEqual(len(kept), 1)

    def test_random_bytes_with_the_right_identifier_do_no_harm(self):
        print(f"seed {SEED}: REEVE_SEED={SEED} repeats it", flush=True)
        generator = random.Random(SEED)
        count = 500
        for number in range(count):
            size = generator.randrange(8, 600)
            body = generator.randbytes(size)
            root = struct.pack("<I", generator.randrange(8, size + 8))
            if number % 2:
                self.bus.command(root + b"RVC1" + body)
            else:
                self.bus.query(root + b"RVQ1" + body)
        self.bus.flush()
        # By chance some could be sound; nearly all are not.
        wait_until("nearly all are in quarantine", lambda: self.quarantined()
                   >= self.before + count * 9 // 10)

    def test_a_message_over_the_bound_of_its_kind_is_quarantined(self):
        self.bus.command(b"\0" * (600 << 10))
        self.bus.query(b"\0" * (100 << 10))
        self.bus.flush()
        self.expect_quarantined(2)

    def test_a_message_over_the_servers_bound_ends_that_connection_only(self):
        with self.assertRaises(OSError):
            self.bus.command(b"\0" * (self.bus.info["max_payload"] + 1))
            self.bus.flush()
        self.assertEqual(self.before, self.quarantined())

    def test_credentials_reach_only_what_is_theirs(self):
        self.bus.publish("cmd.someone-else.submit_session", b"x")
        self.bus.publish("agent.sim.order", b"x")
        self.bus.publish("evt.session.1.session_ended", b"x")
        self.bus.publish("stat.sim", b"x")
        self.bus.publish("out.sim.1.0", b"x")
        self.bus.flush()
        violations = [e for e in self.bus.errors if "Permissions" in e]
        self.assertEqual(5, len(violations), self.bus.errors)
        self.assertEqual(self.before, self.quarantined())


class BusKilledTest(CellTest):
    UP = ("--sim-nodes", "2")

    def test_a_killed_bus_server_comes_back_and_nothing_is_lost(self):
        count = 3000
        lines = "".join(json.dumps(
            {"sim-duration": "1ms", "name": f"n{n}"}) + "\n"
            for n in range(count))
        path = os.path.join(self.cell.work, "many.jsonl")
        with open(path, "w", encoding="utf-8") as file:
            file.write(lines)
        events = os.path.join(self.cell.base, "events")
        with open(events, "wb") as file:
            follower = self.cell.start("events", "-f", "--from", "1", "--json",
                                       stdout=file)
        child = self.cell.start("submit", "--file", path, "--json")
        wait_until("both are connected and at it", lambda:
                   "session_submitted" in cells.read(events), pause=0.01)
        pids = set()
        for _ in range(3):
            time.sleep(0.2)
            pid = self.bus_pid()
            pids.add(pid)
            os.kill(pid, signal.SIGKILL)
            wait_until("another bus server serves",
                       lambda: self.serves_without(pid))
        done = self.cell.finish(child, seconds=3 * cells.PATIENCE_S)
        self.assertEqual(0, done.code, done)
        ids = [one["session_id"] for one in done.lines()]
        self.assertEqual(count, len(set(ids)))
        self.assertEqual(3, len(pids))
        self.assertEqual(self.bus_pid(), self.cell.status()["bus_pid"])
        wait_until("all have ended", lambda: self.cell.status()["sessions"]
                   .get("succeeded", 0) == count)
        head = self.cell.status()["head_seq"]
        wait_until("the follower has seen the head", lambda: cells.read(
            events).count("\n") >= head)
        follower.send_signal(signal.SIGINT)
        follower.wait(timeout=cells.PATIENCE_S)
        seen = [json.loads(line)["seq"]
                for line in cells.read(events).splitlines()]
        self.assertEqual(list(range(1, len(seen) + 1)), seen)

    def bus_pid(self):
        text = cells.read(os.path.join(self.cell.data, "bus", "server.json"))
        return json.loads(text)["pid"]

    def serves_without(self, pid):
        done = self.cell.reeve("status", "--json", code=None)
        return (done.code == 0 and self.bus_pid() != pid and
                cells.is_running(self.bus_pid()))


class StandingStillTest(CellTest):
    def test_a_daemon_that_stood_still_goes_on_where_it_was(self):
        long_one = self.cell.submit("--", "sleep", "86400")
        shown = self.cell.await_state(long_one, "running")
        pid = self.cell.daemon_pid()
        os.kill(pid, signal.SIGSTOP)
        try:
            child = self.cell.start("submit", "--", "true")
            # Longer than nodes may be silent.
            time.sleep(20)
            self.assertIsNone(child.poll(), "an answer without a daemon")
        finally:
            os.kill(pid, signal.SIGCONT)
        done = self.cell.finish(child)
        self.assertEqual(0, done.code, done)
        self.cell.reeve("wait", done.out.strip())
        now = self.cell.show(long_one)
        self.assertEqual(("running", 1, shown["tasks"][0]["pid"]), (
            now["state"], now["attempt"], now["tasks"][0]["pid"]),
            self.cell.reeve("history", long_one).out)
        live, replayed = self.cell.digests()
        self.assertEqual(live, replayed)

    def test_a_command_waits_for_a_bus_and_can_be_interrupted(self):
        bus_back_max = 5  # seconds
        session = self.cell.submit("--", "sleep", "86400")
        self.cell.await_state(session, "running")
        pid = self.cell.daemon_pid()
        os.kill(pid, signal.SIGSTOP)
        try:
            record = cells.read(os.path.join(self.cell.data, "bus",
                                             "server.json"))
            os.kill(json.loads(record)["pid"], signal.SIGKILL)
            began = time.monotonic()
            done = self.cell.reeve("ps", code=5)
            self.assertGreater(time.monotonic() - began, bus_back_max - 0.5)
            self.assertIn("cannot be reached", done.err)
            began = time.monotonic()
            child = self.cell.start("wait", session)
            time.sleep(1)
            child.send_signal(signal.SIGINT)
            self.assertEqual(-signal.SIGINT,
                             child.wait(timeout=cells.PATIENCE_S))
            self.assertLess(time.monotonic() - began, bus_back_max - 1)
        finally:
            os.kill(pid, signal.SIGCONT)
        self.cell.reeve("ps")
        self.cell.reeve("cancel", session)


if __name__ == "__main__":
    sys.exit(cells.main())
