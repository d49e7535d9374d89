"""A slow subscriber does not pin memory: what is resident stays near what lives.

Sessions that are away keep one message in twelve; the rest passes through to a subscriber that
reads. A bump arena would keep a whole batch for each survivor. Then half of the sessions end, in an
order that leaves holes everywhere, and others come with messages of other sizes.
"""

import random
import socket
import threading

import harness
import raw_mqtt as m
from harness import eventually, only_mitud

SESSIONS = 48
SHARDS = 2
BATCH_BYTES = 128 << 10
FACTOR = 1.5
ENOUGH_BYTES = 64 << 20  # the promise begins here


class Publisher:
    """A 3.1.1 client that sends as fast as the server reads, and counts its PUBACKs."""

    def __init__(self, broker, client_id):
        self._socket = socket.create_connection((broker.host, broker.port))
        self._socket.sendall(m.connect(version=4, client_id=client_id))
        self._socket.recv(4)
        self.acknowledged = 0
        self.sent = 0
        self._packet_id = 0
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self):
        left = 0
        while True:
            data = self._socket.recv(1 << 16)
            if not data:
                return
            # Nothing but PUBACKs of four bytes comes.
            left += len(data)
            self.acknowledged += left // 4
            left %= 4

    def publish(self, topic, payload):
        self._packet_id = self._packet_id % 60_000 + 1
        self.sent += 1
        return m.publish(topic, payload, qos=1, packet_id=self._packet_id, version=4)

    def send(self, data):
        self._socket.sendall(data)

    def wait(self):
        eventually(
            lambda: self.acknowledged >= self.sent,
            lambda: f"{self.acknowledged} of {self.sent} are acknowledged",
        )

    def close(self):
        self._socket.shutdown(socket.SHUT_RDWR)
        self._reader.join()
        self._socket.close()


class Drain:
    """Subscribes to everything that passes through, and throws it away."""

    def __init__(self, broker):
        self._socket = socket.create_connection((broker.host, broker.port))
        self._socket.sendall(
            m.connect(version=4, client_id="drain") + m.subscribe(1, ("fast/#", 0), version=4)
        )
        self.received_bytes = 0
        self._thread = threading.Thread(target=self._read, daemon=True)
        self._thread.start()

    def _read(self):
        while data := self._socket.recv(1 << 20):
            self.received_bytes += len(data)

    def close(self):
        self._socket.shutdown(socket.SHUT_RDWR)
        self._thread.join()
        self._socket.close()


@only_mitud("the promise is ours")
class MemoryBoundTest(harness.BrokerCase):
    def setUp(self):
        super().setUp()
        self.random = random.Random(20_260_101)
        self.live = {}  # session -> bytes that wait for it
        self.drain = Drain(self.broker)
        self.addCleanup(self.drain.close)
        self.publisher = Publisher(self.broker, "publisher")
        self.addCleanup(self.publisher.close)
        eventually(lambda: self.drain.received_bytes >= len(b"CONNSUBAC"), "the drain is subscribed")
        # Once around, so that what any traffic needs is there and counts as idle.
        self.publisher.send(m.publish("fast/warm", bytes(1_000), version=4) * 1_000)
        self.idle_bytes = harness.resident_bytes(self.broker.process.pid)

    def begin_session(self, name):
        with m.Connection(self.broker, version=4) as client:
            client.send(
                m.connect(version=4, client_id=name, clean=False),
                m.subscribe(1, (f"slow/{name}/#", 1), version=4),
            )
            self.assertEqual(client.receive().type, m.CONNACK)
            self.assertEqual(client.receive().type, m.SUBACK)
            client.send(m.packet(m.DISCONNECT, 0))
        self.live[name] = 0

    def end_session(self, name):
        with m.Connection(self.broker, version=4) as client:
            client.send(m.connect(version=4, client_id=name, clean=True))
            self.assertEqual(client.receive().type, m.CONNACK)
            client.send(m.packet(m.DISCONNECT, 0))
        del self.live[name]

    def fill(self, names, bytes_each, sizes, passing):
        """Each of `names` gets `bytes_each` of messages, with `passing` others between any two."""
        filler = self.random.randbytes(max(sizes))
        waiting = [name for name in names if self.live[name] < bytes_each]
        while waiting:
            block = []
            for name in waiting:
                topic = f"slow/{name}/reading"
                payload = filler[: self.random.randint(*sizes)]
                block.append(self.publisher.publish(topic, payload))
                self.live[name] += len(topic) + len(payload)
                for _ in range(passing):
                    size = self.random.randint(*sizes)
                    block.append(m.publish("fast/reading", filler[:size], version=4))
            self.publisher.send(b"".join(block))
            waiting = [name for name in waiting if self.live[name] < bytes_each]
        self.publisher.wait()

    def expect_bound(self, when):
        live = sum(self.live.values())
        self.assertGreaterEqual(live, ENOUGH_BYTES)
        allowed = FACTOR * live + 2 * BATCH_BYTES * SHARDS

        def above_idle():
            # Turns go on in any fleet; tidying happens between them.
            self.publisher.send(m.publish("fast/pulse", b"x", version=4))
            return harness.resident_bytes(self.broker.process.pid) - self.idle_bytes

        eventually(
            lambda: above_idle() <= allowed,
            lambda: f"{when}: {above_idle() / live:.2f} times the {live >> 20} MiB that live",
        )
        print(f"{when}: resident {above_idle() / live:.2f} times the {live >> 20} MiB that live")

    def test_resident_memory_follows_what_lives(self):
        names = [f"s{index:02d}" for index in range(SESSIONS)]
        for name in names:
            self.begin_session(name)
        self.fill(names, 3 << 20, sizes=(256, 2_000), passing=11)
        self.expect_bound("one in twelve stays")

        gone = self.random.sample(names, SESSIONS // 2)
        for name in gone:
            self.end_session(name)
        self.expect_bound("half of the sessions ended")

        for name in gone:
            self.begin_session(f"{name}-again")
        fresh = [f"{name}-again" for name in gone]
        self.fill(fresh, 1 << 20, sizes=(8_000, 12_000), passing=3)
        self.expect_bound("larger messages came into the holes")

        for name in self.random.sample(fresh, len(fresh) // 2):
            self.end_session(name)
        self.expect_bound("and some of those went")
