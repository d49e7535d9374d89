"""The brokers that are compared: how each is started on a port of its own, and ended."""

import getpass
import json
import os
import pathlib
import re
import shlex
import shutil
import signal
import socket
import subprocess
import time

START_SECONDS_MAX = 20
STOP_SECONDS_MAX = 10


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

    def command(self, folder, scenario):
        """The arguments, and the port, or None where the broker chooses it itself."""
        raise NotImplementedError

    def missing(self):
        """Why it cannot be run here; None: it can."""
        return None

    def version(self):
        return None

    def start(self, folder, core, scenario):
        command, port = self.command(folder, scenario)
        log = folder / f"{self.name}.log"
        with log.open("wb") as out:
            process = subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=out, stderr=subprocess.STDOUT,
                preexec_fn=(lambda: os.sched_setaffinity(0, {core})) if core is not None else None)
        running = Running(self.name, process, port, log)
        deadline = time.monotonic() + START_SECONDS_MAX
        while time.monotonic() < deadline:
            if process.poll() is not None:
                raise StartFailure(f"{self.name} ended with {process.returncode}\n"
                                   f"{shlex.join(command)}\n{running.log_tail()}")
            if running.port is None:
                running.port = self.port_from(folder)
            elif accepts(running.port):
                return running
            time.sleep(0.02)
        running.stop()
        raise StartFailure(f"{self.name} did not listen within {START_SECONDS_MAX} s\n"
                           f"{shlex.join(command)}\n{running.log_tail()}")

    def port_from(self, folder):
        try:
            return json.loads((folder / "port.json").read_text())["mqtt"]
        except (OSError, ValueError, KeyError):
            return None


class NullRelay(Broker):
    name = "null relay"

    def __init__(self, bin_folder):
        self.binary = bin_folder / "mitu-null-relay"

    def missing(self):
        return None if self.binary.exists() else f"{self.binary} is not built"

    def command(self, folder, scenario):
        return [str(self.binary), "--port-file", str(folder / "port.json")], None


class Mitu(Broker):
    name = "mitu"

    def __init__(self, bin_folder, extra=()):
        self.binary = bin_folder / "mitud"
        self.extra = list(extra)

    def missing(self):
        return None if self.binary.exists() else f"{self.binary} is not built"

    def command(self, folder, scenario):
        (folder / "data").mkdir()
        return [str(self.binary), "--listen", "tcp://127.0.0.1:0", "--http", "127.0.0.1:0",
                "--data", str(folder / "data"), "--shards", "1", "--allow-anonymous",
                "--port-file", str(folder / "port.json"), *self.extra], None


class Mosquitto(Broker):
    name = "mosquitto"

    def __init__(self):
        self.binary = shutil.which("mosquitto", path=f"/usr/sbin:{os.environ.get('PATH', '')}")

    def missing(self):
        return None if self.binary else "mosquitto is not installed (apt-get install mosquitto)"

    def version(self):
        told = subprocess.run([self.binary, "-h"], capture_output=True, text=True, check=False)
        found = re.search(r"version (\S+)", told.stdout)
        return found.group(1) if found else None

    def command(self, folder, scenario):
        port = free_port()
        # Nothing is ever dropped: queues and windows have no bound (0). Its log is off, and it does
        # not write to disk. Nagle's algorithm is on by default and saves mosquitto CPU when it is
        # loaded; where latency is what is measured it is off, so that each figure is its best one.
        lines = [
            f"listener {port} 127.0.0.1", "allow_anonymous true", "persistence false",
            "max_queued_messages 0", "max_inflight_messages 0", "max_queued_bytes 0",
            "sys_interval 0", "log_type error", "connection_messages false",
            f"set_tcp_nodelay {'true' if scenario.open_loop else 'false'}",
            f"user {getpass.getuser()}",
        ]
        config = folder / "mosquitto.conf"
        config.write_text("\n".join(lines) + "\n")
        return [self.binary, "-c", str(config)], port


class Peer(Broker):
    """Any other broker: a command with {port} in it, and {dir} for a folder of its own."""

    def __init__(self, text):
        self.name, equals, self.text = text.partition("=")
        if not equals or not self.name or "{port}" not in self.text:
            raise ValueError(f"--peer {text}: write NAME=COMMAND with {{port}} where its port goes")

    def missing(self):
        program = shlex.split(self.text)[0]
        return None if shutil.which(program) else f"{program} is not a program"

    def command(self, folder, scenario):
        port = free_port()
        return [word.replace("{port}", str(port)).replace("{dir}", str(folder))
                for word in shlex.split(self.text)], port


def known(bin_folder, peers):
    """Every broker by name, in the order of the columns."""
    brokers = [NullRelay(bin_folder), Mitu(bin_folder), Mosquitto(), *map(Peer, peers)]
    return {broker.name: broker for broker in brokers}


def data_folder(parent, name):
    folder = pathlib.Path(parent) / re.sub(r"[^A-Za-z0-9]+", "-", name)
    folder.mkdir(parents=True)
    return folder
