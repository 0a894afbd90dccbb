"""The faults of a network that tests inject (packet_faults.cpp), each shown to
happen between two hosts: datagrams that are counted, a stream that stays whole
whatever its packets meet."""
import os
import socket
import statistics
import subprocess
import threading
import time
import unittest

import cell as cells
import hosts as rig
from hosts import Hosts, wait_until

SEED = 20261126
DATAGRAMS = 600
PORT = 4711


class TwoHostsTest(unittest.TestCase):
    def setUp(self):
        self.hosts = Hosts()
        self.one = self.hosts.add("one")
        self.two = self.hosts.add("two")

    def tearDown(self):
        for host in self.hosts.all:
            host.heal()
            host.open_again()
            host.calm()
            self.assertEqual([], self.rules(host))
        self.hosts.detach()
        self.hosts.remove()

    def rules(self, host):
        out = subprocess.run([*host.prefix, "iptables", "-S"], check=True,
                             capture_output=True, text=True).stdout
        return [line for line in out.splitlines() if line.startswith("-A")]

    def reaches(self, sender, receiver):
        with receiver.socket(socket.SOCK_DGRAM) as into, \
                sender.socket(socket.SOCK_DGRAM) as out:
            into.bind((receiver.address, PORT))
            into.settimeout(0.2)
            try:
                out.sendto(b"x", (receiver.address, PORT))
                return into.recv(64) == b"x"
            except OSError:
                return False


class PacketFaultsTest(TwoHostsTest):
    def send(self, count=DATAGRAMS, pause_s=0.0005):
        """What came of numbered datagrams: each arrival with how long it took,
        in the order of arrival."""
        with self.two.socket(socket.SOCK_DGRAM) as into, \
                self.one.socket(socket.SOCK_DGRAM) as out:
            into.bind((self.two.address, PORT))
            sent, arrived = {}, []

            def receive():
                while True:
                    number = int(into.recv(64))
                    if number < 0:
                        return
                    arrived.append((number, time.monotonic() - sent[number]))

            reader = threading.Thread(target=receive)
            reader.start()
            for number in range(count):
                sent[number] = time.monotonic()
                out.sendto(b"%d" % number, (self.two.address, PORT))
                time.sleep(pause_s)
            counts = self.let_go()
            with self.one.socket(socket.SOCK_DGRAM) as last:
                last.sendto(b"-1", (self.two.address, PORT))
            reader.join()
        return arrived, counts

    def let_go(self):
        """All that is still held arrives before calm() returns."""
        time.sleep(0.3)
        return self.one.calm()

    def disturb(self, seed=SEED, **faults):
        self.one.disturb(seed, to=self.two.address, port=PORT, protocol="udp",
                         **faults)

    def numbers(self, arrived):
        return [number for number, _ in arrived]

    def test_a_calm_network_delivers_each_once_and_in_order(self):
        arrived, counts = self.send()
        self.assertEqual({}, counts)
        self.assertEqual(list(range(DATAGRAMS)), self.numbers(arrived))

    def test_packets_are_lost_at_about_the_rate_and_as_the_seed_says(self):
        lost = []
        for seed in (SEED, SEED, SEED + 1):
            self.disturb(seed, loss=0.2)
            arrived, counts = self.send()
            numbers = self.numbers(arrived)
            self.assertEqual(sorted(set(numbers)), numbers)
            self.assertEqual(DATAGRAMS, counts["seen"])
            lost.append(set(range(DATAGRAMS)) - set(numbers))
            self.assertEqual(len(lost[-1]), counts["lost"])
            self.assertAlmostEqual(0.2, len(lost[-1]) / DATAGRAMS, delta=0.08)
        self.assertEqual(lost[0], lost[1])
        self.assertNotEqual(lost[0], lost[2])

    def test_packets_are_duplicated(self):
        self.disturb(duplicate=0.3)
        arrived, counts = self.send()
        numbers = self.numbers(arrived)
        self.assertEqual(set(range(DATAGRAMS)), set(numbers))
        self.assertEqual(DATAGRAMS, counts["seen"])
        self.assertEqual(len(numbers) - DATAGRAMS, counts["duplicated"])
        self.assertAlmostEqual(0.3, counts["duplicated"] / DATAGRAMS,
                               delta=0.1)

    def test_packets_overtake_others(self):
        self.disturb(reorder=0.1)
        arrived, counts = self.send()
        numbers = self.numbers(arrived)
        self.assertEqual(list(range(DATAGRAMS)), sorted(numbers))
        overtaken = sum(a > b for a, b in zip(numbers, numbers[1:]))
        self.assertGreater(overtaken, DATAGRAMS * 0.05)
        self.assertAlmostEqual(0.1, counts["held_back"] / DATAGRAMS, delta=0.06)

    def test_packets_are_late_and_in_order(self):
        self.disturb(delay_ms=50, jitter_ms=20)
        arrived, counts = self.send()
        self.assertEqual(list(range(DATAGRAMS)), self.numbers(arrived))
        late = [seconds for _, seconds in arrived]
        self.assertGreaterEqual(min(late), 0.050)
        self.assertGreater(statistics.median(late), 0.055)
        self.assertEqual(DATAGRAMS, counts["delayed"])

    def test_a_stream_stays_whole_whatever_its_packets_meet(self):
        faults = {"delay_ms": 2, "jitter_ms": 3, "loss": 0.03,
                  "duplicate": 0.05, "reorder": 0.05}
        self.one.disturb(SEED, **faults)
        self.two.disturb(SEED + 1, **faults)
        whole = os.urandom(512 << 10)
        with self.two.socket(socket.SOCK_STREAM) as listener:
            listener.bind((self.two.address, PORT))
            listener.listen()
            echo = threading.Thread(target=self.echo, args=(listener,))
            echo.start()
            with self.one.socket(socket.SOCK_STREAM) as stream:
                stream.connect((self.two.address, PORT))
                sender = threading.Thread(target=stream.sendall, args=(whole,))
                sender.start()
                back = bytearray()
                while len(back) < len(whole):
                    back += stream.recv(1 << 16)
                sender.join()
            echo.join()
        self.assertEqual(whole, bytes(back))
        for host in (self.one, self.two):
            counts = host.calm()
            for name, count in counts.items():
                self.assertGreater(count, 0, (host.name, name, counts))

    def echo(self, listener):
        stream, _ = listener.accept()
        with stream:
            while piece := stream.recv(1 << 16):
                stream.sendall(piece)

    def test_other_receivers_and_ports_are_left_alone(self):
        three = self.hosts.add("three")
        self.one.disturb(SEED, to=three.address, loss=1)
        arrived, counts = self.send(count=50)
        self.assertEqual(list(range(50)), self.numbers(arrived))
        self.assertEqual(0, counts["seen"])
        self.one.disturb(SEED, port=PORT + 1, protocol="udp", loss=1)
        arrived, counts = self.send(count=50)
        self.assertEqual(list(range(50)), self.numbers(arrived))
        self.assertEqual(0, counts["seen"])

    def test_a_judge_that_died_lets_everything_through(self):
        self.disturb(loss=1)
        judge, _ = self.one.disturbed
        judge.kill()
        judge.communicate()
        wait_until("a datagram passes",
                   lambda: self.reaches(self.one, self.two))
        with self.assertRaises(ValueError):
            self.one.calm()


class LinkTest(TwoHostsTest):
    def setUp(self):
        super().setUp()
        self.three = self.hosts.add("three")
        self.lacking()

    def all_ways(self):
        return {(a.name, b.name) for a in self.hosts.all
                for b in self.hosts.all if a is not b}

    def ways(self):
        return {(a.name, b.name) for a in self.hosts.all
                for b in self.hosts.all if a is not b and self.reaches(a, b)}

    def lacking(self, *ways):
        # A ping may be late where other tests run.
        wait_until(f"the lacking ways are {ways}",
                   lambda: self.all_ways() - set(ways) == self.ways())

    def test_a_link_is_cut_both_ways(self):
        self.one.cut()
        self.lacking(("one", "two"), ("one", "three"), ("two", "one"),
                     ("three", "one"))
        self.one.heal()
        self.lacking()

    def test_a_link_is_cut_one_way(self):
        self.one.deafen()
        self.lacking(("two", "one"), ("three", "one"))
        self.one.open_again()
        self.one.mute()
        self.lacking(("one", "two"), ("one", "three"))
        self.one.open_again()
        self.lacking()

    def test_a_link_to_one_peer_alone_is_cut(self):
        self.one.deafen(self.two.address)
        self.lacking(("two", "one"))
        self.one.mute(self.two.address)
        self.lacking(("two", "one"), ("one", "two"))
        self.one.open_again()
        self.lacking()


if __name__ == "__main__":
    rig.main(None if os.path.exists(rig.FAULTS) else
             "packet_faults was not built: libnetfilter-queue-dev is missing")
