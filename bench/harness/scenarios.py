"""What is measured: each scenario is one command line of mitu-bench."""

import dataclasses

# Besides its clients a broker has files open, and the generator keeps some connections to warm up.
FILES_KEPT = 300


@dataclasses.dataclass(frozen=True)
class Scenario:
    name: str
    shape: str
    clients: int
    qos: int = 0
    payload: int = 64
    mqtt: int = 4
    window: int = 100
    rate: float = 0
    quick: bool = False

    @property
    def open_loop(self):
        return self.rate > 0

    @property
    def saturated(self):
        return self.shape != "connect" and not self.open_loop

    def arguments(self):
        words = [self.shape, f"--clients={self.clients}", f"--qos={self.qos}",
                 f"--payload={self.payload}", f"--mqtt={self.mqtt}"]
        words.append(f"--rate={self.rate:g}" if self.open_loop else f"--window={self.window}")
        return words


def bytes_text(count):
    return f"{count // 1024} KiB" if count >= 1024 and count % 1024 == 0 else f"{count} B"


def mqtt_text(mqtt):
    return "v5" if mqtt == 5 else "v3.1.1"


def saturated():
    """Every shape, QoS, size and version, as fast as the window lets."""
    # 20: some ten messages in each of the thousand writes, as devices that share a topic see them.
    shapes = [("fan-in", "fan-in 100:1", 100, 100), ("fan-out", "fan-out 1:1000", 1000, 20),
              ("pairs", "pairs 100", 100, 100)]
    quick = {("fan-in", 0, 64, 4), ("fan-in", 1, 64, 4), ("fan-out", 0, 64, 4),
             ("fan-out", 0, 1024, 4), ("pairs", 0, 64, 4), ("pairs", 1, 64, 4), ("pairs", 2, 64, 4),
             ("pairs", 0, 64, 5)}
    for shape, label, clients, window in shapes:
        for mqtt in (4, 5):
            for payload in (64, 1024):
                for qos in (0, 1, 2):
                    yield Scenario(
                        f"{label} QoS {qos}, {bytes_text(payload)}, {mqtt_text(mqtt)}",
                        shape, clients, qos, payload, mqtt, window,
                        quick=(shape, qos, payload, mqtt) in quick)


def one_at_a_time():
    """A publisher sends when its last message has arrived: what a lone message costs."""
    yield Scenario("fan-out 1:1000 QoS 0, 64 B, one at a time", "fan-out", 1000, window=1, quick=True)
    yield Scenario("fan-in 100:1 QoS 0, 64 B, one at a time", "fan-in", 100, window=1)
    for qos in (0, 1, 2):
        yield Scenario(f"pairs 500 QoS {qos}, 64 B, one at a time", "pairs", 500, qos, window=1,
                       quick=qos < 2)


def fixed_rates():
    """Open loop: latency from when a message was due, at rates that every broker can carry."""
    yield Scenario("pairs 100 QoS 0, 64 B at 20,000/s", "pairs", 100, rate=20_000, quick=True)
    yield Scenario("pairs 100 QoS 0, 64 B at 50,000/s", "pairs", 100, rate=50_000)
    yield Scenario("pairs 100 QoS 1, 64 B at 20,000/s", "pairs", 100, 1, rate=20_000, quick=True)
    yield Scenario("pairs 100 QoS 2, 64 B at 10,000/s", "pairs", 100, 2, rate=10_000)
    yield Scenario("fan-in 100:1 QoS 0, 64 B at 50,000/s", "fan-in", 100, rate=50_000)
    yield Scenario("fan-in 100:1 QoS 1, 64 B at 20,000/s", "fan-in", 100, 1, rate=20_000)
    yield Scenario("fan-out 1:1000 QoS 0, 64 B at 50/s", "fan-out", 1000, rate=50, quick=True)
    yield Scenario("fan-out 1:1000 QoS 0, 1 KiB at 50/s", "fan-out", 1000, payload=1024, rate=50)


def fleets(open_files_max, quick):
    """Many connections: as many as asked for, or as one process may open here."""
    allowed = open_files_max - FILES_KEPT
    idle = min(5_000 if quick else 19_000, allowed)
    beating = min(5_000 if quick else 19_000, allowed)
    yield Scenario(f"connect and idle {idle:,}", "connect", idle, quick=True)
    yield Scenario(f"connect and idle {idle:,}, v5", "connect", idle, mqtt=5)
    yield Scenario(f"heartbeats of {beating:,} at 2,000/s", "heartbeat", beating, rate=2_000,
                   quick=True)


def all_of(open_files_max, quick):
    every = [*fleets(open_files_max, quick), *saturated(), *one_at_a_time(), *fixed_rates()]
    return [scenario for scenario in every if scenario.quick or not quick]
