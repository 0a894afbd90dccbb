"""What GPUs do, as people get it: a live table, samples as JSON, and metrics
for Prometheus. The driver's library is the tests' own."""
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


class GpuTelemetryTest(CellTest):
    @classmethod
    def setUpClass(cls):
        cls.driver = tempfile.mkdtemp(prefix="reeve-driver-", dir="/var/tmp")
        os.symlink(os.environ["REEVE_FAKE_NVML"],
                   os.path.join(cls.driver, "libnvidia-ml.so.1"))
        cls.script = os.path.join(cls.driver, "machine.txt")
        cls.machine(TWO)
        os.environ["REEVE_FAKE_NVML_SCRIPT"] = cls.script
        os.environ["LD_LIBRARY_PATH"] = cls.driver
        cls.port = free_port()
        cls.SETTINGS = ('[agent]\nname = "host-1"\n[metrics]\n'
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

    def metrics(self):
        url = f"http://127.0.0.1:{self.port}/metrics"
        with urllib.request.urlopen(url, timeout=cells.PATIENCE_S) as answer:
            return answer.read().decode().splitlines()

    def await_metric(self, line):
        return wait_until(line, lambda: line in self.metrics())

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
                     'reeve_sessions{state="pending"} 0'):
            self.assertIn(line, found)

    def test_a_lost_gpu_and_its_error_are_told(self):
        self.await_metric(f"DCGM_FI_DEV_GPU_TEMP{LABELS} 61")
        self.machine(TWO + "lost 0\nxid 0 79\n")
        self.await_metric(f"reeve_gpu_lost{LABELS} 1")
        found = self.metrics()
        self.assertIn(f"DCGM_FI_DEV_XID_ERRORS{LABELS} 79", found)
        self.assertNotIn(f"DCGM_FI_DEV_GPU_TEMP{LABELS} 61", found)
        self.machine(TWO)
        self.await_metric(f"reeve_gpu_lost{LABELS} 0")


if __name__ == "__main__":
    sys.exit(cells.main())
