"""`./dev run` as a person has it: a live status until Ctrl-C, and nothing left behind."""

import os
import pathlib
import pty
import re
import select
import time
import unittest

import harness
import test_replay
from harness import eventually, only_mitud

# Ports of the kernel's choice; where temporary files go is ours, so that we see what is left.
ENVIRONMENT = {"MITU_PORT": "0", "MITU_HTTP_PORT": "0"}


class Terminal:
    """A command with a terminal of its own."""

    def __init__(self, command, environment):
        self.output = ""
        self.pid, self._terminal = pty.fork()
        if self.pid == 0:
            os.chdir(harness.REPOSITORY)
            os.environ.update(environment, TERM="xterm")
            os.execvp(command[0], command)

    def read(self):
        """Takes what has been printed. False: the command has ended."""
        while select.select([self._terminal], [], [], 0)[0]:
            try:
                chunk = os.read(self._terminal, 1 << 16)
            except OSError:  # EIO: the other side is closed
                return False
            if not chunk:
                return False
            self.output += chunk.decode("utf-8", "replace")
        return True

    def await_output(self, text, patience_s):
        eventually(
            lambda: self.read() and text in self.output,
            lambda: f"{text!r} in:\n{self.output[-3000:]}",
            patience_s,
        )

    def press_ctrl_c(self):
        os.write(self._terminal, b"\x03")

    def wait(self):
        eventually(lambda: not self.read(), lambda: f"the end of:\n{self.output[-3000:]}")
        return os.waitstatus_to_exitcode(os.waitpid(self.pid, 0)[1])

    def hang_up(self):
        """What is still running gets SIGHUP."""
        os.close(self._terminal)


def processes_that_mention(text):
    found = []
    for folder in pathlib.Path("/proc").glob("[0-9]*"):
        try:
            words = (folder / "cmdline").read_bytes().split(b"\0")
        except OSError:
            continue  # it has ended meanwhile
        if any(text.encode() in word for word in words):
            found.append((int(folder.name), words))
    return found


@only_mitud("it starts mitud")
class DevRun(unittest.TestCase):
    def setUp(self):
        self.folder = harness.temporary_folder(self)
        self.environment = {**ENVIRONMENT, "TMPDIR": str(self.folder)}

    def check_nothing_is_left(self):
        self.assertEqual(list(self.folder.iterdir()), [])
        self.assertEqual(processes_that_mention(str(self.folder)), [])

    def test_ctrl_c_ends_it_and_leaves_nothing_behind(self):
        terminal = Terminal(["./dev", "run", "--devices", "60"], self.environment)
        self.addCleanup(terminal.hang_up)
        terminal.await_output("Ctrl-C ends it", 900)
        terminal.await_output("total", 60)  # the live status
        self.assertNotEqual(processes_that_mention(str(self.folder)), [])
        terminal.press_ctrl_c()
        self.assertEqual(terminal.wait(), 130)
        self.check_nothing_is_left()

    def test_a_replay_ends_by_itself_with_every_device_in_step(self):
        rows = self.folder / "rows.csv"
        test_replay.write_like_the_real_one(rows)
        began = time.monotonic()
        _, output = harness.run(
            ["./dev", "run", "--replay", rows, "--devices", "200", "--seconds", "15"],
            patience_s=900,
            environment={**os.environ, **self.environment},
            folder=harness.REPOSITORY,
        )
        self.assertGreater(time.monotonic() - began, 14)
        header = re.search(r"^TENANT .*$", output, re.MULTILINE)
        total = re.search(r"^total( +\d+)+$", output, re.MULTILINE)
        self.assertTrue(header and total, output)
        titles, numbers = header.group().split()[-5:], total.group().split()[-5:]
        found = dict(zip(titles, map(int, numbers)))
        self.assertEqual((found["DEVICES"], found["ONLINE"], found["DRIFTED"]), (200, 200, 0))
        self.assertIn("8143 of 8143 rows", output)
        rows.unlink()
        self.check_nothing_is_left()

    def test_a_file_that_is_not_there_is_named(self):
        status, output = harness.run(
            ["./dev", "run", "--replay", self.folder / "nowhere.csv"],
            folder=harness.REPOSITORY,
            check=False,
        )
        self.assertEqual(status, 2)
        self.assertIn("nowhere.csv", output)


if __name__ == "__main__":
    unittest.main()
