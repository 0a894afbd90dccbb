"""What GPUs do, as people get it: a live table, samples as JSON, metrics for
Prometheus, and what follows from their errors. The driver's library is the
tests' own."""
import fcntl
import json
import os
import pty
import shutil
import signal
import socket
import struct
import subprocess
import sys
import tempfile
import termios
import urllib.request

import cell as cells
from cell import BIN, CellTest, wait_until

TWO = ("device uuid=GPU-a model=NVIDIA_H100 minor=3 gpu=97 power=650500 "
       "temperature=61 sm_clock=1755 memory_clock=2619\n"
       "device uuid=GPU-b gpu=0\n")


def free_port():
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return one.getsockname()[1]


LABELS = ('{gpu="0",UUID="GPU-a",device="nvidia3",modelName="NVIDIA H100",'
          'Hostname="host-1"}')


class FakeDriverCell(CellTest):
    """A cell on a host with two GPUs."""
    MACHINE = TWO

    @classmethod
    def setUpClass(cls):
        cls.driver = tempfile.mkdtemp(prefix="reeve-driver-", dir="/var/tmp")
        os.symlink(os.environ["REEVE_FAKE_NVML"],
                   os.path.join(cls.driver, "libnvidia-ml.so.1"))
        cls.script = os.path.join(cls.driver, "machine.txt")
        cls.machine(cls.MACHINE)
        os.environ["REEVE_FAKE_NVML_SCRIPT"] = cls.script
        os.environ["LD_LIBRARY_PATH"] = cls.driver
        cls.port = free_port()
        # There may be a real probe, which would not find the GPUs.
        cls.SETTINGS = ('[agent]\nname = "host-1"\ngpu_tests = "none"\n'
                        '[metrics]\n'
                        f'listen = "127.0.0.1:{cls.port}"\n')
        super().setUpClass()

    @classmethod
    def tearDownClass(cls):
        super().tearDownClass()
        shutil.rmtree(cls.driver)

    @classmethod
    def machine(cls, text):
        with open(cls.script + ".new", "w", encoding="utf-8") as file:
            file.write(text)
        os.rename(cls.script + ".new", cls.script)

    def gpus(self):
        listed = self.cell.reeve("gpus", "--json").json()["gpus"]
        return {gpu["uuid"]: gpu for gpu in listed}


class GpuTelemetryTest(FakeDriverCell):
    def metrics(self):
        url = f"http://127.0.0.1:{self.port}/metrics"
        with urllib.request.urlopen(url, timeout=cells.PATIENCE_S) as answer:
            return answer.read().decode().splitlines()

    def figures(self, name):
        """Of the first GPU, wherever it stands in the list."""
        names = (f"reeve_gpu_{name}{{", f"DCGM_FI_DEV_{name.upper()}{{")
        return [line.split()[-1] for line in self.metrics()
                if line.startswith(names) and 'UUID="GPU-a"' in line]

    def await_quarantine(self, uuid, reason):
        self.addCleanup(self.cell.reeve, "gpu", "release", "host-1", uuid,
                        "--force", code=None)
        told = f"({uuid}), by its agent: {reason}"
        wait_until(told, lambda: told in self.cell.reeve(
            "log", "cat", "--filter", "kind=device_quarantined").out)

    def await_metric(self, line):
        return wait_until(line, lambda: line in self.metrics())

    def test_a_container_engine_finds_the_gpus(self):
        path = os.path.join(self.cell.data, "node", "cdi", "reeve.json")
        wait_until("the CDI file is there", lambda: os.path.exists(path))
        self.assertEqual(0o600, os.stat(path).st_mode & 0o777)
        with open(path, encoding="utf-8") as file:
            kept = json.load(file)
        self.assertEqual("reeve.dev/gpu", kept["kind"])
        files = {device["name"]: [node["path"] for node in
                                  device["containerEdits"]["deviceNodes"]]
                 for device in kept["devices"]}
        self.assertEqual(["/dev/nvidia3"], files["GPU-a"])
        self.assertEqual(files["GPU-a"], files["0"])

    def test_each_sample_is_a_line_of_json(self):
        child = self.cell.start("gpus", "--live", "--json")
        for line in child.stdout.readline(), child.stdout.readline():
            sample = json.loads(line)
            self.assertEqual("host-1", sample["node"])
            first, second = sample["devices"]
            self.assertEqual("GPU-a", first["uuid"])
            self.assertEqual(0, first["index"])
            self.assertEqual(97, first["gpu_percent"])
            self.assertEqual(0, second["gpu_percent"])
            self.assertNotIn("power_mw", second)
        child.send_signal(signal.SIGINT)
        done = self.cell.finish(child)
        self.assertEqual((0, ""), (done.code, done.err))

    def test_a_terminal_gets_a_table_until_it_is_interrupted(self):
        ours, theirs = pty.openpty()
        fcntl.ioctl(theirs, termios.TIOCSWINSZ,
                    struct.pack("HHHH", 24, 60, 0, 0))
        child = subprocess.Popen(
            [os.path.join(BIN, "reeve"), "gpus", "--live"],
            cwd=self.cell.work, stdin=subprocess.DEVNULL, stdout=theirs,
            env={**self.cell.environment(), "TERM": "xterm"},
            stderr=subprocess.PIPE)
        os.close(theirs)
        text = ""
        while "97%" not in text:
            text += os.read(ours, 1 << 16).decode(errors="replace")
        child.send_signal(signal.SIGINT)
        try:
            while True:
                text += os.read(ours, 1 << 16).decode(errors="replace")
        except OSError:  # the other end is closed
            pass
        os.close(ours)
        _, err = child.communicate(timeout=cells.PATIENCE_S)
        self.assertEqual((0, b""), (child.returncode, err))
        self.assertTrue(text.startswith("\x1b[?1049h"), text)
        self.assertTrue(text.endswith("\x1b[?1049l"), text)

    def test_a_pipe_gets_no_table(self):
        refused = self.cell.reeve("gpus", "--live", code=2)
        self.assertIn("--json", refused.err)
        refused = self.cell.reeve("gpus", "--live", "--at", "5", code=2)
        self.assertIn("--live goes without --at", refused.err)

    def test_prometheus_reads_what_gpus_and_cell_do(self):
        self.await_metric(f"DCGM_FI_DEV_GPU_UTIL{LABELS} 97")
        found = self.metrics()
        for line in (f"DCGM_FI_DEV_POWER_USAGE{LABELS} 650.5",
                     f"DCGM_FI_DEV_GPU_TEMP{LABELS} 61",
                     "reeve_up 1", "reeve_nodes_up 1",
                     'reeve_manager_up{manager="main"} 1',
                     'reeve_sessions{state="pending"} 0'):
            self.assertIn(line, found)

    def test_a_lost_gpu_and_its_error_are_told(self):
        self.await_metric(f"DCGM_FI_DEV_GPU_TEMP{LABELS} 61")
        self.machine(TWO + "lost 0\nxid 0 79\n")
        # Once the agent has looked what there is, it is no GPU of the node.
        wait_until("GPU-a is lost", lambda: "1" in self.figures("lost"))
        self.assertIn("79", self.figures("xid_errors"))
        self.assertEqual([], self.figures("gpu_temp"))
        self.await_quarantine("GPU-a", "Xid 79: the GPU has fallen off the "
                              "bus: the host is to be restarted")
        self.machine(TWO)
        self.await_metric(f"reeve_gpu_lost{LABELS} 0")
        wait_until("GPU-a is offered again", lambda: "GPU-a" in self.gpus())

    def test_an_error_of_a_gpu_puts_it_into_quarantine(self):
        self.assertNotIn("quarantine", self.gpus()["GPU-b"])
        self.machine(TWO + "xid 1 48\n")
        reason = "Xid 48: an ECC error in memory that could not be corrected"
        self.await_quarantine("GPU-b", reason)
        quarantine = self.gpus()["GPU-b"]["quarantine"]
        self.assertEqual(reason, quarantine["reason"])
        self.assertTrue(quarantine["by_agent"])
        self.assertIn("QUARANTINED", self.cell.reeve("gpus").out)
        refused = self.cell.reeve("gpu", "release", "host-1", "GPU-b", code=3)
        self.assertIn("--force", refused.err)
        self.cell.reeve("gpu", "release", "host-1", "GPU-b", "--force")
        self.assertNotIn("quarantine", self.gpus()["GPU-b"])
        self.machine(TWO)


class HungDriverTest(FakeDriverCell):
    MACHINE = TWO + "hang nvmlDeviceGetCount_v2\n"

    def test_a_driver_that_hangs_at_the_start_holds_nothing_up(self):
        self.cell.reeve("run", "--cpus", "1", "--mem", "64M", "--", "true")
        self.assertEqual({}, self.gpus())
        limits = self.cell.reeve("node", "show", "host-1").out
        self.assertIn("the driver does not answer", limits)
        self.machine(TWO)
        wait_until("the GPUs come", lambda: len(self.gpus()) == 2)
        limits = self.cell.reeve("node", "show", "host-1").out
        self.assertNotIn("the driver does not answer", limits)


if __name__ == "__main__":
    sys.exit(cells.main())
