"""What must hold of a cell at the end of a scenario, when all faults are
healed: each finding is a sentence."""
import collections
import hashlib
import os

import cell as cells
from cell import read, wait_until
from scenario_log import Log

PATIENCE_S = 3 * cells.PATIENCE_S


def environment_of(pid):
    words = read(f"/proc/{pid}/environ").split("\0")
    return dict(word.split("=", 1) for word in words if "=" in word)


def living(tag):
    """The pid namespaces of the tasks that live, by (name of the session,
    attempt, rank)."""
    found = collections.defaultdict(set)
    for pid in filter(str.isdigit, os.listdir("/proc")):
        what = environment_of(pid)
        name = what.get("REEVE_SESSION_NAME", "")
        if not name.startswith(tag) or not cells.is_running(pid):
            continue
        try:
            space = os.readlink(f"/proc/{pid}/ns/pid")
        except OSError:
            continue
        found[name, int(what["REEVE_ATTEMPT"]), int(what["RANK"])].add(space)
    return found


def orphans(base):
    """Processes that were started in a directory or name it."""
    for pid in filter(str.isdigit, os.listdir("/proc")):
        try:
            where = os.readlink(f"/proc/{pid}/cwd")
        except OSError:
            continue
        command = read(f"/proc/{pid}/cmdline").replace("\0", " ")
        if base + "/" in where + "/" + command and int(pid) != os.getpid():
            yield f"process {pid}: {command}"


class Checks:
    def __init__(self, world):
        self.world, self.load = world, world.load
        self.leader = world.leader()
        self.log = Log(self.leader.reeve("log", "cat", "--json",
                                         seconds=PATIENCE_S).lines())

    def expect(self, good, sentence):
        if not good:
            self.world.find(sentence)

    def log_is_whole(self):
        """Its chain, its fold, its invariants, and that the live state is what
        it says: nothing is held twice."""
        self.expect(not self.log.gaps, f"gaps in the log: {self.log.gaps}")
        self.leader.reeve("log", "verify", seconds=PATIENCE_S)
        live, replayed = self.leader.digests()
        self.expect(live == replayed, f"the live state has digest {live}, the "
                                      f"replayed one {replayed}")

    def nodes_hold_what_they_have(self):
        for node in self.leader.reeve("nodes", "--json").json()["nodes"]:
            for free, whole in ((node["free_cpu_milli"], node["cpu_milli"]),
                                (node["free_memory_bytes"],
                                 node["memory_bytes"]),
                                *((one["free_milli"], 1000)
                                  for one in node["devices"])):
                self.expect(0 <= free <= whole, f"booked wrongly: {node}")

    def managers_agree(self):
        """Each has the whole log of the leader."""
        def logs():
            return {host.name: hashlib.sha256(host.reeve(
                "log", "cat", "--json", "--log", host.data,
                seconds=PATIENCE_S).out.encode()).hexdigest()
                for host in self.world.managers}
        wait_until(lambda: f"the managers' logs are equal, they are {logs()}",
                   lambda: len(set(logs().values())) == 1, pause=1)

    def answers_hold(self):
        """Nothing acknowledged is missing or doubled, nothing refused was
        done."""
        for told in self.load.ledgers():
            for command in told.intents - self.load.excused:
                there = self.log.by_command.get(command, [])
                self.expect(len(there) <= 1, f"{command} is doubled: {there}")
                answers = sorted(told.accepted.get(command, ()))
                if answers:
                    self.expect(answers == there, f"{command} was acknowledged "
                                f"as {answers} and is {there}")
                elif command in told.rejected:
                    self.expect(not there, f"{command} was refused and is "
                                           f"{there}")
                else:
                    self.world.find(f"{command} was never answered")
        for one in list(self.load.submissions.values()):
            if one.name in self.load.excused:
                continue
            there = [f"s-{number}" for number in self.log.by_name[one.name]]
            self.expect(len(there) <= 1, f"{one.name} is doubled: {there}")
            if one.session:
                self.expect(there == [one.session], f"{one.name} was "
                            f"acknowledged as {one.session} and is {there}")
            self.expect(not (one.refused and there),
                        f"{one.name} was refused and is {there}")

    def sessions_end_once_or_run(self):
        """And a session that runs has each of its tasks in one pid namespace,
        any other has none."""
        alive = living(self.load.tag)
        expected = set()
        for session in self.log.sessions.values():
            who = f"s-{session.number} ({session.name})"
            self.expect(len(session.ends) <= 1,
                        f"{who} ended {len(session.ends)} times")
            one = self.load.submissions.get(session.name)
            if session.ends:
                continue
            self.expect(one and one.long, f"{who} has not ended")
            self.expect(not one or not one.cancelled or
                        one.name in self.load.excused,
                        f"{who} was cancelled and runs")
            if one and session.real and session.attempt > 0:
                expected |= {(session.name, session.attempt, rank)
                             for rank in range(session.tasks)}
        for key in expected | set(alive):
            wanted = int(key in expected)
            self.expect(len(alive.get(key, ())) == wanted,
                        f"{key} (session, attempt, rank) lives in "
                        f"{len(alive.get(key, ()))} pid namespaces, not in "
                        f"{wanted}")

    def nothing_started_twice(self):
        for key, count in self.log.starts.items():
            self.expect(count == 1, f"{key} (session, attempt, rank) started "
                                    f"{count} times in the log")
        excused = self.load.excused | self.load.may_start_again
        for host in [*self.world.managers, *self.world.desks]:
            for name in ("started", "marks"):
                path = os.path.join(host.work, name)
                marks = collections.Counter(read(path).splitlines())
                for mark, count in marks.items():
                    self.expect(count == 1 or mark.split()[0] in excused,
                                f"started {count} times: {mark}")

    def there_was_load(self):
        accepted = sum(len(told.accepted) for told in self.load.ledgers())
        self.expect(accepted > self.world.options.seconds,
                    f"hardly any load: {accepted} commands were accepted")
        return accepted


def check(world):
    """Finds what is wrong. Returns figures for the report."""
    checks = Checks(world)
    checks.log_is_whole()
    checks.nodes_hold_what_they_have()
    checks.managers_agree()
    checks.answers_hold()
    checks.sessions_end_once_or_run()
    checks.nothing_started_twice()
    ends = collections.Counter(end for one in checks.log.sessions.values()
                               for end in one.ends)
    return {"events": checks.log.head, "sessions": len(checks.log.sessions),
            "accepted": checks.there_was_load(), "ends": ends,
            "epochs": checks.log.kinds["epoch_started"],
            "nodes_lost": checks.log.kinds["node_lost"]}
