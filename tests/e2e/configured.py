"""mitud with a configuration file, and what its listeners and methods need: certificates, files.

The addresses are the kernel's choice and are read from the server's log.
"""

import json
import pathlib
import signal
import tempfile

import harness


class Authority:
    """A CA made for one test, by openssl as an operator would."""

    def __init__(self, folder, name="ca"):
        self.folder, self.name = pathlib.Path(folder), name
        self.certificate = self.folder / f"{name}.pem"
        self.key = self.folder / f"{name}.key"
        self._openssl(
            *("req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"),
            *("-keyout", self.key, "-out", self.certificate, "-days", "2"),
            *("-subj", f"/CN={name}"),
        )

    @staticmethod
    def _openssl(*words):
        return harness.run(["openssl", *words])

    def issue(self, name, common_name="localhost", organization=None, names="DNS:localhost,IP:127.0.0.1"):
        """(certificate, key) of that subject."""
        key, request = self.folder / f"{name}.key", self.folder / f"{name}.csr"
        certificate, extensions = self.folder / f"{name}.pem", self.folder / f"{name}.ext"
        subject = f"/O={organization}/CN={common_name}" if organization else f"/CN={common_name}"
        self._openssl(
            *("req", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"),
            *("-keyout", key, "-out", request, "-subj", subject),
        )
        extensions.write_text(f"subjectAltName={names}\n")
        self._openssl(
            *("x509", "-req", "-in", request, "-CA", self.certificate, "-CAkey", self.key),
            *("-CAcreateserial", "-out", certificate, "-days", "2", "-extfile", extensions),
        )
        return certificate, key


class ConfiguredServer:
    """mitud started from `text`, a YAML configuration; `folder` stands for {folder} in it. `durability`
    as in harness.Broker; None: as the configuration says. One process unless `supervised`."""

    def __init__(
        self, text, folder=None, options=(), durability="none", supervised=False, program=None
    ):
        self.folder = pathlib.Path(folder or tempfile.mkdtemp(prefix="mitu-e2e-"))
        self.file = self.folder / "mitud.yaml"
        self._options = [*([] if supervised else ["--no-supervisor"]), *options]
        if durability is not None:
            self._options += ["--durability", durability]
        self._program = program or harness.BIN_DIR / "mitud"
        self.configure(text)
        self.process = None
        self.start()

    def configure(self, text):
        self.file.write_text(text.replace("{folder}", str(self.folder)))

    def start(self):
        port_file = self.folder / "ports.json"
        port_file.unlink(missing_ok=True)
        self.process = harness.Process(
            [
                *(self._program, "--config", self.file, "--http", "127.0.0.1:0"),
                *("--data", self.folder / "data", "--shards", "2", "--port-file", port_file),
                *("--log-format", "json", *self._options),
            ]
        )
        harness.eventually(
            lambda: port_file.exists() or not self.process.is_running(), "mitud serves"
        )
        if not self.process.is_running():
            raise AssertionError(f"mitud ended:\n{self.process.output()}")
        self.http_port = json.loads(port_file.read_text())["http"]

    def events(self, name):
        """The log's lines of that event."""
        found = []
        for line in list(self.process.lines):
            try:
                entry = json.loads(line)
            except ValueError:
                continue
            if name in entry.values():
                found.append(entry)
        return found

    def port(self, listener):
        for entry in self.events("listening"):
            if entry["listener"] == listener:
                return int(entry["address"].rsplit(":", 1)[1])
        raise AssertionError(f"no listener {listener}:\n{self.process.output()}")

    def reload(self):
        """SIGHUP; returns what the log says of it."""
        seen = len(self.events("config_reloaded")) + len(self.events("config_refused"))
        self.process._child.send_signal(signal.SIGHUP)

        def outcome():
            entries = self.events("config_reloaded") + self.events("config_refused")
            return entries[-1] if len(entries) > seen else None

        return harness.eventually(outcome, "the reload is logged")

    def stop(self):
        if self.process.is_running():
            self.process.terminate()
