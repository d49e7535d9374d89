"""What every broker under comparison has in common: it is started on a port of its own, and ended."""

import json
import os
import pathlib
import re
import shlex
import signal
import socket
import subprocess
import time

START_SECONDS_MAX = 20
STOP_SECONDS_MAX = 10
LOG = "broker.log"


class StartFailure(Exception):
    """A broker did not come up; the text says why."""


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def accepts(port):
    try:
        with socket.create_connection(("127.0.0.1", port), timeout=1):
            return True
    except OSError:
        return False


class Running:
    """A broker process; stop() ends it by its id."""

    def __init__(self, name, process, port, log):
        self.name = name
        self.process = process
        self.port = port
        self.http_port = None
        self.log = log

    @property
    def pid(self):
        return self.process.pid

    def cpu_seconds(self):
        # Linux: the CPU clock of a process, user and system, all threads (see clock_getcpuclockid).
        try:
            return time.clock_gettime(((~self.pid) << 3) | 2)
        except OSError:
            return 0.0

    def log_tail(self, lines=15):
        return "\n".join(self.log.read_text(errors="replace").splitlines()[-lines:])

    def stop(self):
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
            try:
                self.process.wait(timeout=STOP_SECONDS_MAX)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait(timeout=STOP_SECONDS_MAX)


class Broker:
    """One kind of broker. Subclasses say how it is told its port."""

    name = ""
    is_scraped = False   # whether /metrics is asked for while it is measured
    cores_wanted = None  # as many as all brokers have
    fixed_port = None    # None: it chooses one itself, and writes it down
    # In which scenarios: those in which nothing has to be kept, those in which it has, or both.
    KEPT_NEVER, KEPT_ONLY, KEPT_TOO = range(3)
    takes_part = KEPT_NEVER
    durability = None

    def command(self, folder, scenario):
        """The arguments, and the port, or None where the broker chooses it itself."""
        raise NotImplementedError

    def missing(self):
        """Why it cannot be run here; None: it can."""
        return None

    def cannot(self, scenario):
        """Why it cannot do this scenario; None: it can."""
        return None

    def is_meant_for(self, scenario):
        """Whether it is to be compared there; if not, it is no news."""
        if scenario.restarts:
            return self.durability == "sync"  # nobody else has what it had
        return self.takes_part in (Broker.KEPT_ONLY if scenario.kept else Broker.KEPT_NEVER,
                                   Broker.KEPT_TOO)

    def version(self):
        return None

    def about(self):
        """What the result says of it."""
        return {"version": self.version()}

    def environment(self):
        """What its environment has beside ours."""
        return {}

    def start(self, folder, cores, scenario, variables=None):
        """Returns when it listens. `variables`: of its environment, beside its own."""
        process = self.launch(folder, cores, scenario, variables)
        running = Running(self.name, process, self.fixed_port, folder / LOG)
        deadline = time.monotonic() + START_SECONDS_MAX
        while time.monotonic() < deadline:
            if process.poll() is not None:
                raise StartFailure(f"{self.name} ended with {process.returncode}\n"
                                   f"{shlex.join(process.args)}\n{running.log_tail()}")
            if running.port is None:
                running.port = self.port_from(folder)
                running.http_port = self.port_from(folder, "http") if self.is_scraped else None
            elif accepts(running.port):
                return running
            time.sleep(0.02)
        running.stop()
        raise StartFailure(f"{self.name} did not listen within {START_SECONDS_MAX} s\n"
                           f"{shlex.join(process.args)}\n{running.log_tail()}")

    def launch(self, folder, cores, scenario, variables=None):
        """Starts it, and returns its process at once."""
        command, self.fixed_port = self.command(folder, scenario)
        with (folder / LOG).open("ab") as out:
            return subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=out, stderr=subprocess.STDOUT,
                env={**os.environ, **joined(self.environment(), variables or {})},
                preexec_fn=lambda: os.sched_setaffinity(0, cores))

    def port_from(self, folder, door="mqtt"):
        try:
            return json.loads((folder / "port.json").read_text())[door]
        except (OSError, ValueError, KeyError):
            return None


def joined(first, second):
    """Two environments; what both preload is loaded."""
    preload = " ".join(one["LD_PRELOAD"] for one in (first, second) if "LD_PRELOAD" in one)
    return {**first, **second, **({"LD_PRELOAD": preload} if preload else {})}


def data_folder(parent, name):
    folder = pathlib.Path(parent) / re.sub(r"[^A-Za-z0-9]+", "-", name)
    folder.mkdir(parents=True)
    return folder
