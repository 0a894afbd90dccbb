"""What a scenario's cell has to do: commands without a pause from clients with
a ledger, and named sessions of all kinds: pinned to nodes, gangs, and such with
devices of simulated nodes."""
import dataclasses
import random
import subprocess
import threading

import ledger
from ledger import Ledger

CLIENTS = 2
CLIENT_PAUSE_MS = 25
# Longer than any scenario: they are told to end.
CLIENT_S = 7 * 86400
SUBMITTERS = 2
SUBMIT_S_MAX = 60
SUBMIT_PAUSE_S = (0.1, 0.8)
# Of those that stay to the end.
LONG_MAX = 12
# Exit codes of `reeve` for what the cell refused, and did not do.
REFUSED = (2, 3, 4)
# Marks each start of a task, with a process in a session of its own beside it.
TASK = ("echo $REEVE_SESSION_NAME $REEVE_ATTEMPT $RANK >> marks; "
        "setsid sleep 86400 & sleep {seconds}; true")


@dataclasses.dataclass
class Submission:
    name: str
    long: bool
    session: str = ""  # once it is acknowledged
    refused: bool = False
    cancelled: bool = False  # acknowledged
    by: str = ""  # the host where it was submitted


class Load:
    def __init__(self, world):
        self.world = world
        self.tag = f"scenario-{world.hosts.prefix}"
        self.clients = []  # (process, path of its ledger)
        self.submissions = {}  # by name
        self.ending = threading.Event()
        self.threads = []
        # Commands and names whose fate an older log may have changed.
        self.excused = set()
        self.may_start_again = set()
        self.lock = threading.Lock()

    def begin(self):
        for number in range(1, CLIENTS + 1):
            self.clients.append(ledger.start_client(
                self.caller(number), number, CLIENT_S, CLIENT_PAUSE_MS))
        for number in range(SUBMITTERS):
            self.threads.append(threading.Thread(
                target=self.submit_often, args=(number,)))
            self.threads[-1].start()

    def caller(self, number):
        """Each at another desk, where there are some."""
        hosts = self.world.desks or self.world.managers
        return hosts[number % len(hosts)]

    def submitter(self, number):
        """The first is the owner at a manager, who may cancel all."""
        return self.world.managers[0] if number == 0 else self.caller(number)

    def end(self, seconds):
        """No new work. Returns what went wrong, as sentences."""
        self.ending.set()
        for process, _ in self.clients:
            process.terminate()
        for thread in self.threads:
            thread.join(SUBMIT_S_MAX + seconds)
        wrong = []
        for process, path in self.clients:
            try:
                code = process.wait(timeout=seconds)
            except subprocess.TimeoutExpired:
                process.kill()
                code = f"{process.wait()}, not within {seconds} s"
            if code != 0:
                with open(path + ".errors", encoding="utf-8") as errors:
                    wrong.append(f"a ledger client ended with {code}: "
                                 f"{errors.read().strip()}")
        return wrong

    def abandon(self):
        self.ending.set()
        for process, _ in self.clients:
            process.kill()
            process.wait()
        for thread in self.threads:
            thread.join()

    def ledgers(self):
        return [Ledger(path) for _, path in self.clients]

    def submit_often(self, number):
        rng = random.Random(f"load {self.world.seed} {number}")
        count = 0
        while not self.ending.is_set():
            count += 1
            one = self.draw(rng, f"{self.tag}-{number}-{count}")
            if rng.random() < 0.2:
                self.cancel_one(rng, number)
            self.submit(*one, number)
            self.ending.wait(rng.uniform(*SUBMIT_PAUSE_S))

    def draw(self, rng, name):
        with self.lock:
            long = sum(one.long for one in self.submissions.values())
        long = rng.random() < 0.15 and long < LONG_MAX
        seconds = 86400 if long else rng.choice((0, 0.2, 1, 3))
        words = ["--name", name, "--cpus", "0.1"]
        if not long and rng.random() < 0.3:
            return Submission(name, long), [
                *words, "--gpus", rng.choice(("0.25", "0.5", "1", "3")),
                "--sim-duration", rng.choice(("10ms", "1s", "4s"))]
        node = rng.choice([host.name for host in self.world.nodes()])
        if rng.random() < 0.25:
            words += ["--tasks", "2", "--nodes", "2"]
        else:
            words += ["--on-node", node]
        if rng.random() < 0.5:
            words += ["--requeue", "3"]
            # Less than some links are cut for.
            if rng.random() < 0.5:
                words += ["--cut-off", "10s"]
        return Submission(name, long), [
            *words, "--", "sh", "-c", TASK.format(seconds=seconds)]

    def submit(self, one, words, number):
        one.by = self.submitter(number).name
        with self.lock:
            self.submissions[one.name] = one
        done = self.call(number, "submit", *words)
        if not done:
            return
        with self.lock:
            if done.code == 0:
                one.session = done.out.strip()
            one.refused = done.code in REFUSED

    def cancel_one(self, rng, number):
        host = self.submitter(number)
        with self.lock:
            known = [one for one in self.submissions.values() if one.session
                     and (host not in self.world.desks or one.by == host.name)]
        if not known:
            return
        one = rng.choice(known)
        done = self.call(number, "cancel", one.session)
        if done and done.code == 0:
            one.cancelled = True

    def call(self, number, *words):
        """None where no answer came in time."""
        try:
            return self.submitter(number).reeve(*words, code=None,
                                                seconds=SUBMIT_S_MAX)
        except subprocess.TimeoutExpired:
            return None

    def excuse_after(self, log):
        """The cell goes on from `log`: what was told of later events until now
        may be gone or come again, and so may what was never told. What has not
        ended there may start again."""
        head = log.head
        with self.lock:
            self.may_start_again |= {
                session.command for session in log.sessions.values()
                if not session.ends}
            for one in self.submissions.values():
                self.excused.add(one.name)
            for told in self.ledgers():
                for command in told.intents:
                    answers = told.accepted.get(command, set())
                    if not any(seq <= head for seq, _ in answers):
                        self.excused.add(command)
