"""A cell of its own for one test: real processes, private directories, and a
check at the end that nothing of it is left on the machine."""
import json
import os
import shutil
import signal
import subprocess
import tempfile
import time
import unittest

BIN = os.environ["REEVE_BIN"]
# How much longer all takes than in a release build: sanitizers set it.
SLOWNESS = int(os.environ.get("REEVE_SLOWNESS", "1"))
# This machine may be very slow; nothing here waits for luck, only for ends.
PATIENCE_S = 120 * SLOWNESS
# Where sanitizers find their options.
SANITIZERS = ("ASAN_OPTIONS", "UBSAN_OPTIONS", "LSAN_OPTIONS", "TSAN_OPTIONS")


def wait_until(what, condition, seconds=PATIENCE_S, pause=None):
    """The first true value of condition(); fails, saying what (or what())
    never came. Most looks start a program: without a `pause`, the longer it
    takes, the fewer."""
    begun = time.monotonic()
    while True:
        value = condition()
        if value:
            return value
        waited = time.monotonic() - begun
        if waited > seconds:
            raise AssertionError(f"not within {seconds} s: "
                                 f"{what() if callable(what) else what}")
        time.sleep(pause or min(max(0.05, waited / 10), 0.5))


def read(path, default=""):
    try:
        with open(path, encoding="utf-8", errors="replace") as file:
            return file.read()
    except OSError:
        return default


def start_ticks(pid):
    """Field 22 of stat: with the pid it names one process for ever."""
    text = read(f"/proc/{pid}/stat")
    return int(text[text.rindex(")") + 2:].split()[19]) if text else 0


def is_running(pid):
    """A process whose threads execute another program shows as ended for a
    moment."""
    for pause in (0, 0.05):
        time.sleep(pause)
        text = read(f"/proc/{pid}/stat")
        if text and text[text.rindex(")") + 2] != "Z":
            return True
    return False


def children_of(pids):
    parents = {}
    for name in os.listdir("/proc"):
        text = read(f"/proc/{name}/stat") if name.isdigit() else ""
        if text:
            fields = text[text.rindex(")") + 2:].split()
            parents.setdefault(int(fields[1]), []).append(int(name))
    found, waiting = set(), list(pids)
    while waiting:
        for child in parents.get(waiting.pop(), []):
            if child not in found:
                found.add(child)
                waiting.append(child)
    return found


def processes_of(directory):
    """Who names the directory on its command line or was started in it, with
    all below them."""
    found = set()
    for name in os.listdir("/proc"):
        if not name.isdigit() or int(name) == os.getpid():
            continue
        if directory in read(f"/proc/{name}/cmdline") and is_running(name):
            found.add(int(name))
    return {pid for pid in found | children_of(found) if is_running(pid)}


def groups_of(directory):
    """The control groups of the keeper of a directory, named as it does."""
    hashed = 14695981039346656037
    for byte in directory.encode():
        hashed = (hashed ^ byte) * 1099511628211 % (1 << 64)
    name = f"reeve-{(hashed ^ hashed >> 32) & 0xffffffff:08x}"
    return [os.path.join(base, name)
            for base, names, _ in os.walk("/sys/fs/cgroup") if name in names]


class Done:
    """How one call of the command line went."""

    def __init__(self, arguments, code, out, err):
        self.arguments, self.code = arguments, code
        self.out, self.err = out, err

    def __repr__(self):
        return (f"reeve {' '.join(self.arguments)}: exit {self.code}\n"
                f"stdout: {self.out[-3000:]}\nstderr: {self.err[-3000:]}")

    def json(self):
        return json.loads(self.out)

    def lines(self):
        return [json.loads(line) for line in self.out.splitlines()]


class Cell:
    """base/cell is its data, base/work where sessions run."""

    def __init__(self, settings="", base=None):
        self.base = base or tempfile.mkdtemp(
            prefix="reeve-system-", dir="/var/tmp")
        self.data = os.path.join(self.base, "cell")
        self.work = os.path.join(self.base, "work")
        os.makedirs(self.work)
        os.makedirs(self.data)
        self.settings(settings)
        self.started = []
        self.bin = BIN
        self.prefix = []  # of each call: where it runs
        self.identity = {}  # of the calls: user, group, extra_groups
        self.variables = {}  # of the environment, of calls and daemons

    def settings(self, text):
        path = os.path.join(self.data, "cell.toml")
        with open(path, "w", encoding="utf-8") as file:
            file.write(text)

    def environment(self):
        """A sanitizer's report on any process of the cell goes to a file."""
        options = {name: f"{os.environ[name]}:log_path={self.base}/report"
                   for name in SANITIZERS if name in os.environ}
        return {**os.environ, **options, "REEVE_DATA": self.data,
                "NO_COLOR": "1", "COLUMNS": "", **self.variables}

    def reports(self):
        """What sanitizers had to say, by program and process."""
        return [f"{name}: {read(os.path.join(self.base, name))}"
                for name in sorted(os.listdir(self.base))
                if name.startswith("report.")]

    def start(self, *arguments, **how):
        """A call that goes on; ended with the test."""
        how = {"cwd": self.work, "env": self.environment(), "text": True,
               "stdin": subprocess.DEVNULL, "stdout": subprocess.PIPE,
               "stderr": subprocess.PIPE, **self.identity, **how}
        child = subprocess.Popen(
            [*self.prefix, os.path.join(self.bin, "reeve"), *arguments], **how)
        self.started.append(child)
        return child

    def finish(self, child, seconds=PATIENCE_S):
        out, err = child.communicate(timeout=seconds)
        return Done(child.args[len(self.prefix) + 1:], child.returncode,
                    out or "", err or "")

    def reeve(self, *arguments, code=0, seconds=PATIENCE_S, **how):
        """Runs to its end; `code` None takes any exit code."""
        given = how.pop("input", None)
        done = subprocess.run(
            [*self.prefix, os.path.join(self.bin, "reeve"), *arguments],
            cwd=how.pop("cwd", self.work), env=self.environment(),
            capture_output=True, text=True, timeout=seconds, check=False,
            **self.identity, **({"input": given} if given is not None
               else {"stdin": subprocess.DEVNULL}), **how)
        done = Done(arguments, done.returncode, done.stdout, done.stderr)
        if code is not None and done.code != code:
            raise AssertionError(f"exit code {code} is expected of {done!r}\n"
                                 f"{self.last_words()}")
        return done

    def up(self, *arguments, **how):
        return self.reeve("up", "--detach", *arguments, **how)

    def up_with_nodes(self, text):
        """Declares the simulated nodes of a CSV."""
        path = os.path.join(self.work, "nodes.csv")
        with open(path, "w", encoding="utf-8") as file:
            file.write(text)
        return self.up("--sim-nodes", path)

    def submit(self, *arguments):
        return self.reeve("submit", *arguments).out.strip()

    def show(self, session):
        return self.reeve("show", session, "--json").json()

    def status(self):
        return self.reeve("status", "--json").json()

    def await_state(self, session, *states):
        def reached():
            shown = self.show(session)
            return shown if shown["state"] in states else None
        return wait_until(lambda: f"{session} is {' or '.join(states)}; "
                          f"{self.show(session)}", reached)

    def start_daemon(self, **environment):
        """Straight, without the CLI: it is to be killed while it starts."""
        with open(os.path.join(self.data, "reeved.log"), "ab") as log:
            return subprocess.Popen(
                [*self.prefix, os.path.join(self.bin, "reeved"), "--data",
                 self.data], stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                cwd=self.base, start_new_session=True,
                env={**self.environment(), **environment})

    def daemon_pid(self):
        return int(read(os.path.join(self.data, "reeved.pid")).split()[0])

    def kill_daemon(self, pid=None):
        pid = pid or self.daemon_pid()
        os.kill(pid, signal.SIGKILL)
        wait_until(f"the daemon, pid {pid}, is gone",
                   lambda: not is_running(pid), pause=0.005)

    def digests(self):
        """Live and replayed at one sequence."""
        live = self.reeve("state", "--digest", "--json").json()
        replayed = self.reeve("replay", "--log", self.data, "--to",
                              str(live["seq"]), "--digest").out.strip()
        return live["digest"], replayed

    def last_words(self):
        text = read(os.path.join(self.data, "reeved.log"))
        return "the daemon's last words:\n" + text[-3000:]

    def stop(self):
        """Ends all of it. Returns what was left over, as sentences."""
        for child in self.started:
            if child.poll() is None:
                child.kill()
            child.communicate()
        left = []
        down = self.reeve("down", code=None)
        if down.code != 0:
            left.append(f"{down!r}")
        end = time.monotonic() + 20
        while processes_of(self.base) and time.monotonic() < end:
            time.sleep(0.05)
        for pid in sorted(processes_of(self.base)):
            command = read(f"/proc/{pid}/cmdline").replace("\0", " ")
            left.append(f"process {pid}: {command}")
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                pass
        left += [f"control group {group}"
                 for group in groups_of(os.path.join(self.data, "node"))]
        left += [f"mount {line}" for line in
                 read("/proc/self/mountinfo").splitlines()
                 if self.base + "/" in line]
        return left + self.reports()

    def remove(self):
        shutil.rmtree(self.base, ignore_errors=True)


class CellTest(unittest.TestCase):
    """One cell for a class of tests; SETTINGS and UP say how it starts."""
    SETTINGS = "[agent]\ncpus = 32\n"
    UP = ()

    @classmethod
    def setUpClass(cls):
        cls.cell = Cell(cls.SETTINGS)
        try:
            cls.cell.up(*cls.UP)
        except BaseException:
            cls.cell.stop()
            raise

    @classmethod
    def tearDownClass(cls):
        words = cls.cell.last_words()
        left = cls.cell.stop()
        if left:
            raise AssertionError("left behind: " + "\n".join(left) + words)
        cls.cell.remove()


def main():
    unittest.main(verbosity=2)
