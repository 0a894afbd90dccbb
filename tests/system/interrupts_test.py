"""A command that is told to end while it waits: it ends soon, whatever it waits
for, and nothing else ends with it."""
import os
import signal
import sys
import time

import cell as cells
from cell import CellTest

# From a signal to the end of the command, on a busy machine.
SOON_S = 3 * cells.SLOWNESS
OUTPUT_BYTES = 50 << 20


class InterruptsTest(CellTest):
    def setUp(self):
        self.pid = self.cell.daemon_pid()
        self.session = self.cell.submit("--", "sleep", "86400")
        self.task = self.cell.await_state(
            self.session, "running")["tasks"][0]["pid"]
        self.addCleanup(self.end)

    def end(self):
        os.kill(self.pid, signal.SIGCONT)
        self.assertEqual(self.pid, self.cell.daemon_pid())
        self.assertTrue(cells.is_running(self.task))
        self.cell.reeve("cancel", self.session)
        self.cell.await_state(self.session, "cancelled")

    def silence(self):
        """The daemon lives and does not answer; end() wakes it."""
        os.kill(self.pid, signal.SIGSTOP)

    def ended(self, child, number, seconds=SOON_S):
        """How it went on after the signal."""
        begun = time.monotonic()
        child.send_signal(number)
        done = self.cell.finish(child)
        self.assertLess(time.monotonic() - begun, seconds, done)
        return done

    def test_up_of_a_running_cell_leaves_it_when_it_is_interrupted(self):
        for number in (signal.SIGINT, signal.SIGHUP):
            with self.subTest(signal=number):
                self.silence()
                child = self.cell.start("up", "--detach")
                time.sleep(1)
                done = self.ended(child, number)
                self.assertEqual(1, done.code, done)
                self.assertIn("interrupted", done.err)
                os.kill(self.pid, signal.SIGCONT)
                self.cell.reeve("run", "--", "true")
                self.assertEqual(self.pid, self.cell.daemon_pid())
                self.assertTrue(cells.is_running(self.task))

    def test_up_ends_with_the_daemon_that_it_waits_for(self):
        other = cells.Cell()
        try:
            other.up()
            pid = other.daemon_pid()
            os.kill(pid, signal.SIGSTOP)
            child = other.start("up", "--detach")
            time.sleep(1)
            os.kill(pid, signal.SIGKILL)
            begun = time.monotonic()
            done = other.finish(child)
            self.assertLess(time.monotonic() - begun, 10 * cells.SLOWNESS)
            self.assertEqual(5, done.code, done)
            self.assertIn("the daemon ended", done.err)
        finally:
            self.assertEqual([], other.stop())
        other.remove()

    def test_run_is_left_at_the_second_interrupt_though_nobody_answers(self):
        child = self.cell.start("run", "--", "sh", "-c",
                                "echo ready; sleep 600")
        self.assertEqual("ready\n", child.stdout.readline())
        self.silence()
        child.send_signal(signal.SIGINT)
        time.sleep(1)
        self.assertIsNone(child.poll())
        done = self.ended(child, signal.SIGINT)
        self.assertEqual(130, done.code, done)
        self.assertIn("has not said that it cancels", done.err)
        # It was asked to, and does once it can.
        os.kill(self.pid, signal.SIGCONT)
        name = done.err.partition("cancelling ")[2].split()[0]
        self.cell.await_state(name, "cancelled")

    def test_a_submission_that_nobody_answers_can_be_interrupted(self):
        self.silence()
        child = self.cell.start("run", "--", "true")
        time.sleep(1)
        done = self.ended(child, signal.SIGINT)
        self.assertEqual(-signal.SIGINT, done.code, done)
        self.assertIn("interrupted before the cell answered", done.err)

    def test_a_wait_with_a_time_does_not_take_longer_in_silence(self):
        self.silence()
        begun = time.monotonic()
        done = self.cell.reeve("wait", "--timeout", "1s", self.session, code=1)
        self.assertLess(time.monotonic() - begun, SOON_S)
        self.assertIn("did not end in time", done.err)
        child = self.cell.start("wait", self.session)
        time.sleep(1)
        self.assertEqual(128 + signal.SIGINT,
                         self.ended(child, signal.SIGINT).code)
        os.kill(self.pid, signal.SIGCONT)
        one = self.cell.submit("--", "true")
        self.cell.reeve("wait", one)
        self.cell.reeve("wait", "--timeout", "1ms", one)

    def test_logs_that_nobody_reads_end_at_once(self):
        one = self.cell.submit("--", "head", "-c", str(OUTPUT_BYTES),
                               "/dev/zero")
        self.cell.reeve("wait", one)
        for options in ([], ["-f"]):
            with self.subTest(options=options):
                child = self.cell.start("logs", one, *options)
                time.sleep(1)
                self.assertIsNone(child.poll())
                begun = time.monotonic()
                child.terminate()
                self.assertEqual(-signal.SIGTERM,
                                 child.wait(timeout=cells.PATIENCE_S))
                self.assertLess(time.monotonic() - begun, SOON_S)

    def test_logs_that_follow_tell_by_which_signal_they_ended(self):
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            with self.subTest(signal=number):
                child = self.cell.start("logs", "-f", self.session)
                time.sleep(1)
                self.assertEqual(128 + number, self.ended(child, number).code)


if __name__ == "__main__":
    sys.exit(cells.main())
