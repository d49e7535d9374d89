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
    publishers: int = 10
    count: int = 0           # filters; retained messages
    misses: bool = False
    slow_bytes: int = 0      # that the slow subscriber reads per second
    tls: str = ""            # 1.2 or 1.3
    client_certificates: bool = False
    resume: bool = False
    websocket: bool = False
    kept: bool = False       # sessions and their messages are to survive: see durability.py
    small_store: bool = False  # its cache and buffers: 24 MiB in all instead of 128
    backlog: int = 10        # offline, comeback: messages that wait for each
    turns_max: int = 1_000   # of each broker, whatever --repeat says
    seconds_spare: int = 90  # connecting thousands, draining, a busy machine
    quick: bool = False

    @property
    def open_loop(self):
        return self.rate > 0

    @property
    def has_wire(self):
        """Whether something stands between socket and MQTT."""
        return bool(self.tls) or self.websocket

    @property
    def restarts(self):
        """Whether the broker ends and comes again in it."""
        return self.shape in ("offline", "comeback")

    @property
    def needs_broker(self):
        """Whether it takes matching of topics, or memory: more than the null relay has."""
        return self.shape in ("filters", "retained")

    def arguments(self):
        if self.restarts:
            return [self.shape, f"--clients={self.clients}", f"--backlog={self.backlog}",
                    f"--window={self.window}", "--keep-sessions",
                    *([f"--count={self.count}"] if self.shape == "offline" else [])]
        words = [self.shape, f"--qos={self.qos}", f"--payload={self.payload}",
                 f"--mqtt={self.mqtt}"]
        if self.needs_broker:
            words.append(f"--count={self.count}")
        else:
            words.append(f"--clients={self.clients}")
        if self.shape in ("shared", "filters"):
            words.append(f"--publishers={self.publishers}")
        if self.misses:
            words.append("--misses")
        if self.slow_bytes:
            words.append(f"--slow-bytes={self.slow_bytes}")
        words += [f"--tls={self.tls}"] if self.tls else []
        words += ["--websocket"] if self.websocket else []
        words += ["--resume"] if self.resume else []
        words += ["--keep-sessions"] if self.kept else []
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
    yield Scenario("fan-out 1:1000 QoS 1, 64 B, one at a time", "fan-out", 1000, 1, window=1)
    yield Scenario("fan-out 1:1000 QoS 0, 1 KiB, one at a time", "fan-out", 1000, payload=1024,
                   window=1)
    yield Scenario("pairs 500 QoS 0, 1 KiB, one at a time", "pairs", 500, payload=1024, window=1)
    for qos in (0, 1):
        yield Scenario(f"pairs 500 QoS {qos}, 64 B, v5, one at a time", "pairs", 500, qos, mqtt=5,
                       window=1)


def fixed_rates():
    """Open loop: latency from when a message was due, at rates that every broker can carry."""
    yield Scenario("pairs 100 QoS 0, 64 B at 20,000/s", "pairs", 100, rate=20_000, quick=True)
    yield Scenario("pairs 100 QoS 0, 64 B at 50,000/s", "pairs", 100, rate=50_000)
    yield Scenario("pairs 100 QoS 1, 64 B at 20,000/s", "pairs", 100, 1, rate=20_000, quick=True)
    yield Scenario("pairs 100 QoS 2, 64 B at 10,000/s", "pairs", 100, 2, rate=10_000)
    for qos in (0, 1):
        yield Scenario(f"pairs 100 QoS {qos}, 64 B, v5 at 20,000/s", "pairs", 100, qos, mqtt=5,
                       rate=20_000)
    yield Scenario("pairs 100 QoS 0, 1 KiB at 20,000/s", "pairs", 100, payload=1024, rate=20_000)
    yield Scenario("fan-in 100:1 QoS 0, 64 B at 50,000/s", "fan-in", 100, rate=50_000)
    yield Scenario("fan-in 100:1 QoS 0, 1 KiB at 20,000/s", "fan-in", 100, payload=1024,
                   rate=20_000)
    yield Scenario("fan-in 100:1 QoS 1, 64 B at 20,000/s", "fan-in", 100, 1, rate=20_000)
    yield Scenario("fan-out 1:1000 QoS 0, 64 B at 50/s", "fan-out", 1000, rate=50, quick=True)
    yield Scenario("fan-out 1:1000 QoS 0, 1 KiB at 50/s", "fan-out", 1000, payload=1024, rate=50)
    yield Scenario("fan-out 1:1000 QoS 1, 64 B at 50/s", "fan-out", 1000, 1, rate=50)


def shared():
    """Work that is shared out: each message goes to one of the members."""
    for members in (10, 100):
        for qos in (0, 1):
            yield Scenario(f"shared 10:{members} QoS {qos}, 64 B", "shared", members, qos,
                           quick=members == 10)
    yield Scenario("shared 10:10 QoS 1, 64 B, v5", "shared", 10, 1, mqtt=5)


def slow():
    """Ten subscribers that read, and an eleventh that does not, or hardly."""
    for qos in (0, 1):
        yield Scenario(f"slow: one of 11 stops, QoS {qos}, 1 KiB", "slow", 10, qos, 1024,
                       window=20, quick=qos == 0)
    yield Scenario("slow: one of 11 reads 10 kB/s, QoS 0, 1 KiB at 5,000/s", "slow", 10,
                   payload=1024, rate=5_000, slow_bytes=10_000, quick=True)
    yield Scenario("slow: one of 11 stops, QoS 1, 1 KiB at 2,000/s", "slow", 10, 1, 1024,
                   rate=2_000)


def stored():
    """Very many wildcard filters, very many retained messages: what they cost, and what they slow
    down."""
    for count in (100_000, 1_000_000):
        for misses in (False, True):
            yield Scenario(f"{count:,} wildcard filters, {'misses' if misses else 'hits'}",
                           "filters", 0, count=count, misses=misses,
                           seconds_spare=90 if count == 100_000 else 300, quick=count == 100_000)
    yield Scenario("100,000 retained, 64 B", "retained", 0, count=100_000, quick=True)
    yield Scenario("100,000 retained, 64 B, v5", "retained", 0, count=100_000, mqtt=5)


def fleets(open_files_max, quick):
    """Many connections: as many as asked for, or as one process may open here."""
    allowed = open_files_max - FILES_KEPT
    idle = min(5_000 if quick else 19_000, allowed)
    beating = min(5_000 if quick else 19_000, allowed)
    yield Scenario(f"connect and idle {idle:,}", "connect", idle, quick=True)
    yield Scenario(f"connect and idle {idle:,}, v5", "connect", idle, mqtt=5)
    yield Scenario(f"heartbeats of {beating:,} at 2,000/s", "heartbeat", beating, rate=2_000,
                   quick=True)


def durable():
    """Nothing acknowledged is lost: what that costs, beside not caring."""
    for qos in (1, 2):
        yield Scenario(f"durable: pairs 100 QoS {qos}, 64 B", "pairs", 100, qos, kept=True, quick=True)
    yield Scenario("durable: queued 100 QoS 1, 64 B", "queued", 100, 1, kept=True, quick=True)
    yield Scenario("durable: retained writes 100 QoS 1, 64 B", "set-retained", 100, 1, kept=True,
                   quick=True)
    yield Scenario("durable: pairs 100 QoS 1, 1 KiB", "pairs", 100, 1, 1024, kept=True)
    for rate in (1_000, 10_000):
        yield Scenario(f"durable: pairs 100 QoS 1, 64 B at {rate:,}/s", "pairs", 100, 1, rate=rate,
                       kept=True, quick=rate == 10_000)


def restarted(open_files_max, quick):
    """What sessions take that are away, and how soon all is as it was."""
    for count in (100_000, 1_000_000):
        # Of a million the memory is judged: the store's own, which does not grow with them, is little.
        many = count > 100_000
        yield Scenario(f"durable: {count:,} sessions away, 10 messages each"
                       f"{', a small store' if many else ''}", "offline", 512, count=count,
                       window=1000, kept=True, small_store=many, quick=not many, turns_max=1,
                       seconds_spare=1_800 if many else 300)
    clients = min(5_000 if quick else 19_000, open_files_max - FILES_KEPT)
    yield Scenario(f"durable: {clients:,} come back after a kill, 10 messages each", "comeback", clients,
                   window=1000, kept=True, quick=True, seconds_spare=300)


WIRES = {
    "TLS 1.3": {"tls": "1.3"}, "TLS 1.2": {"tls": "1.2"},
    "mutual TLS 1.3": {"tls": "1.3", "client_certificates": True},
    "WebSocket": {"websocket": True}, "WebSocket and TLS 1.3": {"tls": "1.3", "websocket": True},
}


def wires():
    """TLS and WebSocket: what it costs that somebody comes, stays, and speaks."""
    yield Scenario("log-ins, plain", "handshake", 16, quick=True)
    for label in ("TLS 1.3", "TLS 1.2", "mutual TLS 1.3"):
        yield Scenario(f"log-ins, {label}", "handshake", 16, quick=True, **WIRES[label])
    for label in ("TLS 1.3", "TLS 1.2"):
        yield Scenario(f"log-ins, {label}, resumed", "handshake", 16, resume=True, quick=True,
                       **WIRES[label])
    yield Scenario("log-ins, WebSocket", "handshake", 16, **WIRES["WebSocket"])
    for label in ("TLS 1.3", "WebSocket", "WebSocket and TLS 1.3"):
        for qos in (0, 1):
            yield Scenario(f"pairs 100 QoS {qos}, 64 B over {label}", "pairs", 100, qos,
                           quick=label != "WebSocket and TLS 1.3", **WIRES[label])
            yield Scenario(f"pairs 500 QoS {qos}, 64 B over {label}, one at a time", "pairs", 500,
                           qos, window=1, quick=qos == 0 and label != "WebSocket and TLS 1.3",
                           **WIRES[label])
    yield Scenario("connect and idle 2,000, plain", "connect", 2_000, quick=True)
    for label, wire in WIRES.items():
        yield Scenario(f"connect and idle 2,000, {label}", "connect", 2_000, quick=True, **wire)


def wide_windows():
    """For brokers with several cores: the wider the window, the more messages to one read and one
    write of the generator, the less CPU it needs for each, and the further it is from the limit."""
    for qos in (0, 1, 2):
        yield Scenario(f"pairs 100 QoS {qos}, 64 B, window 1,000", "pairs", 100, qos, window=1000,
                       quick=True)
    yield Scenario("fan-out 1:1000 QoS 0, 1 KiB, window 100", "fan-out", 1000, payload=1024,
                   window=100, quick=True)
    yield Scenario("shared 10:10 QoS 0, 64 B, window 1,000", "shared", 10, window=1000, quick=True)
    for misses in (False, True):
        yield Scenario(f"100,000 wildcard filters, {'misses' if misses else 'hits'}, window 1,000",
                       "filters", count=100_000, clients=0, window=1000, misses=misses, quick=True)


def all_of(open_files_max, quick, wide=False):
    """`wide`: those with wide windows, too."""
    every = [*fleets(open_files_max, quick), *saturated(), *one_at_a_time(), *fixed_rates(),
             *shared(), *slow(), *stored(), *wires(), *durable(),
             *restarted(open_files_max, quick), *(wide_windows() if wide else ())]
    return [scenario for scenario in every if scenario.quick or not quick]
