"""The server under test: started, killed, frozen and started again on one directory and one port."""

import json
import os
import pathlib
import random
import shutil
import signal
import socket
import sys
import tempfile
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "e2e"))
import harness  # noqa: E402

CONFIGURATION = """
authentication: {allow_anonymous: always}
store:
  {durability: %(durability)s, will_grace: 1s, free_bytes_min: %(free_bytes_min)s,
   write_buffer_bytes: %(write_buffer)s}
flapping: {enabled: false}
%(more)s
"""


def free_port():
    """Below the kernel's own range: a client that dials a closed port of that range may meet itself."""
    while True:
        port = random.randrange(15_000, 30_000)
        with socket.socket() as probe:
            try:
                probe.bind(("127.0.0.1", port))
                return port
            except OSError:
                continue


class Server:
    """Threading  one thread at a time; start() waits until the server listens."""

    alone = ("--no-supervisor",)  # one process, which nobody starts again

    def __init__(
        self,
        durability="sync",
        shards=2,
        data=None,
        preload=None,
        free_bytes_min="1MiB",
        write_buffer="64MiB",
        more="",
    ):
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="mitu-crash-"))
        self.data = pathlib.Path(data) if data else self.folder / "data"
        self.port = free_port()
        self.preload = preload or {}
        self.process, self.said = None, []  # what former processes have said
        self.starts, self.start_s = 0, []
        self._shards = shards
        self._file = self.folder / "mitud.yaml"
        self._file.write_text(
            CONFIGURATION
            % {
                "durability": durability,
                "free_bytes_min": free_bytes_min,
                "write_buffer": write_buffer,
                "more": more,
            }
        )

    def launch(self, trial=None):
        """Only the process; see wait_until_it_serves(). `trial`: its MITU_TRIAL."""
        self._port_file = self.folder / "ports.json"
        self._port_file.unlink(missing_ok=True)
        if self.process is not None:
            self.said += ["", *self.process.lines]
        self._launched_at = time.monotonic()
        self.process = harness.Process(
            [
                *(harness.BIN_DIR / "mitud", "--config", self._file, *self.alone),
                *("--listen", f"tcp://127.0.0.1:{self.port}", "--http", "127.0.0.1:0"),
                *("--data", self.data, "--shards", self._shards, "--log-format", "json"),
                *("--port-file", self._port_file),
            ],
            {
                "ASAN_OPTIONS": "quarantine_size_mb=8",
                **({"MITU_TRIAL": trial} if trial else {}),
                **self.preload,
            },
        )

    def wait_until_it_serves(self):
        def serves():
            if not self.process.is_running():
                raise AssertionError(f"mitud does not start:\n{self.process.output()}")
            return self.serves()

        harness.eventually(serves, lambda: f"mitud serves\n{self.process.output()}", 60)
        self.note_start()

    def serves(self):
        return self._port_file.exists()

    def note_start(self):
        self.start_s.append(time.monotonic() - self._launched_at)
        self.starts += 1

    def start(self, trial=None):
        self.launch(trial)
        self.wait_until_it_serves()

    def struck(self, what):
        """Whether the trial says so: "killed at POINT", "failed POINT"."""
        return f"trial: {what}" in list(self.process.lines)

    @property
    def http_port(self):
        return json.loads(self._port_file.read_text())["http"]

    def kill(self):
        self.process.kill()

    def freeze(self):
        os.kill(self.process.pid, signal.SIGSTOP)

    def thaw(self):
        os.kill(self.process.pid, signal.SIGCONT)

    def events(self, name):
        """The log's lines of that event, of this process."""
        found = []
        for line in list(self.process.lines):
            try:
                entry = json.loads(line)
            except ValueError:
                continue
            if name in entry.values():
                found.append(entry)
        return found

    def newest_log(self):
        """The newest write-ahead log of the store."""
        logs = sorted(
            (path for path in (self.data / "store").rglob("*.log") if path.name[0].isdigit()),
            key=lambda path: int(path.stem),
        )
        return logs[-1] if logs else None

    def damage_table(self):
        """Wipes the end of the newest table: it does not open any more. False: there is none."""
        tables = sorted((self.data / "store").glob("*.sst"), key=lambda path: int(path.stem))
        if not tables:
            return False
        with tables[-1].open("r+b") as file:
            file.seek(-8, os.SEEK_END)
            file.write(bytes(8))
        return True

    def remove(self):
        if self.process is not None and self.process.is_running():
            self.process.kill()
        shutil.rmtree(self.folder, ignore_errors=True)
