"""Other brokers under comparison: mosquitto and nats-server from Debian, and any --peer."""

import getpass
import os
import re
import shlex
import shutil
import subprocess

from harness import certificates
from harness.brokers import Broker, free_port

SYSTEM_PATH = f"/usr/sbin:{os.environ.get('PATH', '')}"


class Mosquitto(Broker):
    name = "mosquitto"
    takes_part = Broker.KEPT_TOO

    def __init__(self):
        self.binary = shutil.which("mosquitto", path=SYSTEM_PATH)

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
        # Where a subscriber is slow on purpose, it has the bound that mitud has by default.
        queued_max = 10_000 if scenario.shape == "slow" else 0
        # 2.0.11 ends when all its listeners are of WebSocket, so that it has a plain one beside.
        plain = [f"listener {free_port()} 127.0.0.1"] if scenario.websocket else []
        lines = [
            *plain, f"listener {port} 127.0.0.1", *self.wire(scenario), "allow_anonymous true",
            *self.persistence(folder),
            f"max_queued_messages {queued_max}", "max_inflight_messages 0", "max_queued_bytes 0",
            "sys_interval 0", "log_type error", "connection_messages false",
            f"set_tcp_nodelay {'true' if scenario.open_loop else 'false'}",
            f"user {getpass.getuser()}",
        ]
        config = folder / "mosquitto.conf"
        config.write_text("\n".join(lines) + "\n")
        return [self.binary, "-c", str(config)], port


    def persistence(self, folder):
        return ["persistence false"]

    @staticmethod
    def wire(scenario):
        """What its listener speaks. Ciphers and groups are the generator's choice, the same for all."""
        lines = ["protocol websockets"] if scenario.websocket else []
        if scenario.tls:
            files = certificates.made()
            lines += [f"certfile {files.server}", f"keyfile {files.server_key}"]
        if scenario.client_certificates:
            lines += [f"cafile {files.ca}", "require_certificate true"]
        return lines


class NatsServer(Broker):
    """NATS with its MQTT listener. Above QoS 0, and for retained messages, it keeps a stream on disk
    (JetStream), which it cannot do without."""

    name = "nats-server"

    def __init__(self):
        self.binary = shutil.which("nats-server", path=SYSTEM_PATH)

    def missing(self):
        return None if self.binary else "nats-server is not installed (apt-get install nats-server)"

    def cannot(self, scenario):
        if scenario.has_wire:
            return "compared without TLS and WebSocket only"
        if scenario.mqtt == 5:
            return "no MQTT 5"
        if scenario.qos == 2:
            return "no QoS 2 in MQTT"
        if scenario.shape == "shared":
            return "no shared subscriptions in MQTT"
        return None

    def version(self):
        told = subprocess.run([self.binary, "--version"], capture_output=True, text=True,
                              check=False)
        found = re.search(r"v(\d\S*)", told.stdout)
        return found.group(1) if found else None

    def command(self, folder, scenario):
        port = free_port()
        # -1: any free port for its own protocol. Windows as wide as the others', no log.
        config = folder / "nats.conf"
        config.write_text("\n".join([
            'server_name: "bench"', 'host: "127.0.0.1"', "port: -1", "max_connections: 1000000",
            f'log_file: "{folder}/nats.log"',
            f'jetstream {{ store_dir: "{folder}/store" }}',
            f'mqtt {{ host: "127.0.0.1", port: {port}, max_ack_pending: 65535 }}']) + "\n")
        return [self.binary, "-c", str(config)], port


class Peer(Broker):
    """Any other broker: a command with {port} in it, and {dir} for a folder of its own."""

    def __init__(self, text):
        self.name, equals, self.text = text.partition("=")
        if not equals or not self.name or "{port}" not in self.text:
            raise ValueError(f"--peer {text}: write NAME=COMMAND with {{port}} where its port goes")

    def cannot(self, scenario):
        return "compared without TLS and WebSocket only" if scenario.has_wire else None

    def missing(self):
        program = shlex.split(self.text)[0]
        return None if shutil.which(program) else f"{program} is not a program"

    def command(self, folder, scenario):
        port = free_port()
        return [word.replace("{port}", str(port)).replace("{dir}", str(folder))
                for word in shlex.split(self.text)], port
