"""Starts the broker under test, and what the suites share.

The broker is mitud from MITU_BIN_DIR (default build/release/bin). With MITU_E2E_BROKER=mosquitto it
is mosquitto instead, which tells a wrong test from a wrong broker: what both fail is the test's
fault. Ports are always the kernel's choice; every process that is started is ended by its pid.
"""

import collections
import json
import os
import pathlib
import re
import shlex
import shutil
import signal
import socket
import subprocess
import tempfile
import threading
import time
import unittest
import urllib.error
import urllib.request

REPOSITORY = pathlib.Path(__file__).resolve().parents[2]
BIN_DIR = pathlib.Path(os.environ.get("MITU_BIN_DIR", REPOSITORY / "build/release/bin"))
BROKER = os.environ.get("MITU_E2E_BROKER", "mitud")
HOST = "127.0.0.1"
# Words that every mitud is started with besides: the same suites over another network.
MITUD_OPTIONS = shlex.split(os.environ.get("MITU_E2E_OPTIONS", ""))

# How long anything that ought to happen may take. Long, since sanitizers and a busy machine are
# slow; a test that passes never waits for it.
PATIENCE_S = float(os.environ.get("MITU_E2E_PATIENCE_S", "30"))


def kernel_has_io_uring():
    """As mitud needs it: Linux 6.1 or newer, and not switched off."""
    release = tuple(int(number) for number in re.findall(r"\d+", os.uname().release)[:2])
    switch = pathlib.Path("/proc/sys/kernel/io_uring_disabled")
    return release >= (6, 1) and (not switch.exists() or switch.read_text().strip() == "0")


def mosquitto_cannot(reason):
    """Skips a test when the broker is mosquitto. Nothing is skipped for mitud."""
    return unittest.skipIf(BROKER == "mosquitto", f"mosquitto 2.0: {reason}")


def only_mitud(reason):
    return unittest.skipIf(BROKER != "mitud", f"mitud alone: {reason}")


def eventually(predicate, what, patience_s=None):
    """Polls until `predicate()` is true and returns its value; fails with `what` when it never is."""
    deadline = time.monotonic() + (PATIENCE_S if patience_s is None else patience_s)
    while True:
        value = predicate()
        if value:
            return value
        if time.monotonic() > deadline:
            raise AssertionError(f"never happened: {what() if callable(what) else what}")
        time.sleep(0.005)


def let_time_pass(seconds):
    """For tests whose subject is time itself (expiry), not for waiting until something happened."""
    time.sleep(seconds)


def unused_port():
    """A port that was free a moment ago; only for programs that cannot choose one themselves."""
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        return probe.getsockname()[1]


def temporary_folder(case):
    """A directory that goes with the test."""
    folder = tempfile.TemporaryDirectory(prefix="mitu-e2e-")
    case.addCleanup(folder.cleanup)
    return pathlib.Path(folder.name)


class Process:
    """A child with its output in a file (for the log) and as lines (for the test)."""

    def __init__(self, command, environment=None, stdin=None, files_max=None, folder=None):
        self.command = [str(word) for word in command]
        limit = [] if files_max is None else ["prlimit", f"--nofile={files_max}:{files_max}"]
        self.lines = collections.deque(maxlen=100_000)
        self._child = subprocess.Popen(
            # Nothing outlives a test run that is itself killed.
            [*limit, "setpriv", "--pdeathsig", "KILL", "--", *self.command],
            stdin=stdin if stdin is not None else subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            env={**os.environ, **(environment or {})},
            cwd=folder,
        )
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self):
        for raw in self._child.stdout:
            self.lines.append(raw.decode("utf-8", "backslashreplace").rstrip("\n"))

    @property
    def pid(self):
        return self._child.pid

    @property
    def stdin(self):
        return self._child.stdin

    def is_running(self):
        return self._child.poll() is None

    def wait(self, patience_s=None):
        """The exit status; everything that was printed is in `lines` afterwards."""
        try:
            status = self._child.wait(PATIENCE_S if patience_s is None else patience_s)
        except subprocess.TimeoutExpired:
            self.kill()
            raise AssertionError(f"did not end: {self.command}\n{self.output()}") from None
        self._reader.join()
        self._child.stdout.close()
        return status

    def terminate(self):
        """Asks it to end; returns its exit status."""
        if self.is_running():
            self._child.send_signal(signal.SIGTERM)
        return self.wait()

    def kill(self):
        """kill -9: it gets no chance to say goodbye."""
        if self.is_running():
            self._child.kill()
        self._child.wait()
        self._reader.join()
        self._child.stdout.close()

    def output(self):
        return "\n".join(self.lines)


def run(command, patience_s=None, stdin=None, check=True, environment=None, folder=None):
    """Runs a command to its end; returns (status, output)."""
    finished = subprocess.run(
        [str(word) for word in command],
        input=stdin,
        stdin=subprocess.DEVNULL if stdin is None else None,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        timeout=PATIENCE_S if patience_s is None else patience_s,
        env=environment,
        cwd=folder,
        check=False,
    )
    output = finished.stdout.decode("utf-8", "backslashreplace")
    if check and finished.returncode != 0:
        raise AssertionError(f"{command} ended with {finished.returncode}:\n{output}")
    return finished.returncode, output


class Broker:
    """One running broker with a data directory of its own."""

    def __init__(
        self,
        options=(),
        config_lines=(),
        environment=None,
        anonymous=True,
        files_max=None,
        durability="none",
        supervised=False,
    ):
        """`options` are mitud's; `config_lines` say the same in mosquitto's words. `durability`: whose
        subject is not what survives starts a second sooner without a store (with sanitizers). Without
        `supervised`, one process: it can be measured, and when it dies the test notices."""
        self.kind = BROKER
        self.directory = pathlib.Path(tempfile.mkdtemp(prefix="mitu-e2e-"))
        self.host, self.port, self.http_port = HOST, None, None
        self._options, self._config_lines = list(options), list(config_lines)
        self._environment, self._anonymous = environment, anonymous
        self._files_max, self._durability = files_max, durability
        self._supervised = supervised
        self.process = None
        self.start()

    def start(self, port=0):
        """Also starts it again after kill() or stop(), on the same data; `port`: where it was."""
        if self.kind == "mosquitto":
            self._start_mosquitto(port or unused_port())
        else:
            self._start_mitud(port)

    def _start_mitud(self, port):
        port_file = self.directory / "ports.json"
        port_file.unlink(missing_ok=True)
        command = [
            BIN_DIR / "mitud",
            *("--listen", f"tcp://{HOST}:{port}", "--http", f"{HOST}:0"),
            *("--data", self.directory / "data", "--shards", "2", "--port-file", port_file),
            *("--durability", self._durability),
            *(["--allow-anonymous"] if self._anonymous else []),
            *([] if self._supervised else ["--no-supervisor"]),
            *MITUD_OPTIONS,
            *self._options,
        ]
        if "io_uring" in MITUD_OPTIONS and not kernel_has_io_uring():
            raise unittest.SkipTest("this kernel has no io_uring for us")
        # With ASan, freed memory waits in quarantine; 256 MB of it would look like a leak.
        environment = {"ASAN_OPTIONS": "quarantine_size_mb=8", **(self._environment or {})}
        self.process = Process(command, environment, files_max=self._files_max)

        def ports():
            if not self.process.is_running():
                raise AssertionError(f"{command} ended:\n{self.process.output()}")
            try:
                return json.loads(port_file.read_text())
            except (FileNotFoundError, json.JSONDecodeError):
                return None

        found = eventually(ports, lambda: f"mitud writes its ports\n{self.process.output()}")
        self.port, self.http_port = found["mqtt"], found["http"]

    def _start_mosquitto(self, port):
        self.port = port
        config = self.directory / "mosquitto.conf"
        lines = [
            f"listener {self.port} {HOST}",
            f"allow_anonymous {'true' if self._anonymous else 'false'}",
            "connection_messages true",
            "log_dest stdout",
            "max_queued_messages 20000",
            *self._config_lines,
        ]
        if os.geteuid() == 0:
            lines.append("user root")
        config.write_text("\n".join(lines) + "\n")
        self.process = Process([shutil.which("mosquitto") or "/usr/sbin/mosquitto", "-c", config])

        def accepts():
            if not self.process.is_running():
                raise AssertionError(f"mosquitto ended:\n{self.process.output()}")
            with socket.socket() as probe:
                return probe.connect_ex((HOST, self.port)) == 0

        eventually(accepts, "mosquitto accepts connections")

    def is_running(self):
        return self.process.is_running()

    def stop(self):
        """SIGTERM; returns the exit status."""
        return self.process.terminate()

    def kill(self):
        self.process.kill()

    def remove(self):
        if self.process.is_running():
            self.process.kill()
        shutil.rmtree(self.directory, ignore_errors=True)

    def log_tail(self, lines=60):
        return "\n".join(list(self.process.lines)[-lines:])


class BrokerCase(unittest.TestCase):
    """A class of tests that share one broker. It must survive all of them, and end cleanly."""

    broker_options = ()
    mosquitto_config = ()
    anonymous = True
    durability = "none"
    broker = None

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.broker = Broker(
            *(cls.broker_options, cls.mosquitto_config),
            anonymous=cls.anonymous,
            durability=cls.durability,
        )

    @classmethod
    def tearDownClass(cls):
        broker, cls.broker = cls.broker, None
        try:
            if not broker.is_running():
                raise AssertionError(f"the broker died on the way:\n{broker.log_tail()}")
            status = broker.stop()
            if status != 0:
                raise AssertionError(f"the broker ended with {status}:\n{broker.log_tail()}")
        finally:
            broker.remove()
            super().tearDownClass()

    def setUp(self):
        super().setUp()
        self.assertTrue(self.broker.is_running(), lambda: self.broker.log_tail())
        # One name per test: topics and client ids of one test never meet those of another.
        self.name = self._testMethodName.removeprefix("test_")
        if hasattr(self, "version"):
            self.name += f"_v{self.version}"

    def topic(self, *levels):
        return "/".join(["e2e", self.name, *levels])

    def tearDown(self):
        super().tearDown()
        if not self.broker.is_running():
            self.fail(f"the broker died in this test:\n{self.broker.log_tail()}")


# ---- what the kernel and the broker say of a running broker ----


def worker_of(supervisor_pid):
    """The process that serves, under a supervisor; None: there is none at this moment."""
    children = pathlib.Path(f"/proc/{supervisor_pid}/task/{supervisor_pid}/children").read_text()
    return int(children.split()[0]) if children.split() else None


def open_file_count(pid):
    return len(os.listdir(f"/proc/{pid}/fd"))


def resident_bytes(pid):
    for line in pathlib.Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1]) * 1024
    raise AssertionError(f"/proc/{pid}/status names no VmRSS")


def http_get(broker, path):
    """(status, body) of the broker's HTTP listener."""
    url = f"http://{broker.host}:{broker.http_port}{path}"
    try:
        with urllib.request.urlopen(url, timeout=PATIENCE_S) as response:
            return response.status, response.read().decode()
    except urllib.error.HTTPError as error:
        with error:
            return error.code, error.read().decode()


def metric(broker, name, **labels):
    """The sum of the samples of one metric that have these labels; 0 if there is none."""
    status, body = http_get(broker, "/metrics")
    if status != 200:
        raise AssertionError(f"/metrics answers {status}: {body}")
    total = 0.0
    for line in body.splitlines():
        sample = re.fullmatch(r"([a-zA-Z_:][\w:]*)(?:\{(.*)\})? (\S+)(?: \d+)?", line)
        if not sample or sample.group(1) != name:
            continue
        found = dict(re.findall(r'(\w+)="((?:[^"\\]|\\.)*)"', sample.group(2) or ""))
        if all(found.get(key) == value for key, value in labels.items()):
            total += float(sample.group(3))
    return total
