"""What comes and goes leaves no memory behind: many minutes of clients of every kind, then none.

Clients connect and disconnect (politely, without a word, by reset, or taken over), resume sessions,
read fast, slowly or not at all; retained messages are set and cleared; wills are published or not;
members of a shared subscription join and leave with messages unanswered. It begins with a shorter
time of the same, so that what any traffic needs once is there; then everybody goes. After the long
time everybody goes again, and what is resident must be what it was.

Not part of `./dev test`: `./dev soak` runs it. MITU_SOAK_SECONDS: how long (900).
"""

import os
import pathlib
import random
import socket
import threading
import time
import traceback

import harness
import raw_mqtt as m
from harness import eventually, only_mitud

SECONDS = float(os.environ.get("MITU_SOAK_SECONDS", "900"))
# glibc's arenas grow for the first minute or so, and then keep what they have.
WARM_SECONDS = max(60.0, SECONDS / 10)
ROW_SECONDS = 30.0
# Expiry of the sessions that are left to it, and the will that waits longest, and then some.
EXPIRY_S = 4
SETTLE_SECONDS = 90.0

SHARDS = 2
BATCH_BYTES = 128 << 10
# How far resident memory may be from where it began. Most of what is resident then is free and in
# holes of glibc's arenas (malloc_trim() would give it back), and how many there are is chance.
TOLERANCE_BYTES = 4 << 20
TOLERANCE_SHARE = 0.15

# What must be as it was, to the last one.
GAUGES = (
    "mitu_clients",
    "mitu_sessions",
    "mitu_subscriptions",
    "mitu_retained_messages",
    "mitu_stored_messages",
    "mitu_stored_bytes",
)

RESUMED = 24  # sessions that come back
KEPT = 2_000  # topics with retained messages
WILLS = 50  # topics of wills that are retained


def private_bytes(pid):
    """PSS without mapped files, which come and go with whoever else maps them."""
    found = {}
    for line in pathlib.Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
        words = line.split()
        if words[0] in ("Pss:", "Pss_File:"):
            found[words[0]] = int(words[1]) * 1024
    return found["Pss:"] - found["Pss_File:"]


class Worker(threading.Thread):
    """Clients of one kind, one round after the other until stop(). finish() undoes what lasts."""

    def __init__(self, broker, seed):
        super().__init__(daemon=True, name=f"{type(self).__name__} {seed}")
        self.broker = broker
        self.random = random.Random(f"{type(self).__name__} {seed}")
        self.prefix = f"{type(self).__name__.lower()}-{seed}"
        self.rounds = 0
        self.failure = None
        self._stopping = threading.Event()

    def run(self):
        try:
            while not self._stopping.is_set():
                self.round()
                self.rounds += 1
            self.finish()
        except Exception:  # told by the test, whatever it is
            self.failure = traceback.format_exc()

    def round(self):
        raise NotImplementedError

    def finish(self):
        pass

    def stop(self):
        self._stopping.set()

    def pause(self, seconds):
        """True: it is time to stop."""
        return self._stopping.wait(seconds)

    def connect(self, client_id, **arguments):
        """An accepted connection. `expiry_s`: how long the session stays; None: not at all."""
        version = self.random.choice((4, 5))
        expiry_s = arguments.pop("expiry_s", None)
        clean = arguments.pop("clean", expiry_s is None)
        if expiry_s is not None and version == 4:
            version = 5 if expiry_s < 3_600 else 4  # 3.1.1 knows for ever, or not at all
        if version == 5 and expiry_s is not None:
            arguments["properties"] = m.block(m.prop.session_expiry(expiry_s))
        connection = m.Connection(self.broker, version)
        connection.hello(client_id=client_id, clean=clean, **arguments)
        return connection

    def leave(self, connection):
        """Politely, without a word, or by reset."""
        way = self.random.randrange(3)
        if way == 0:
            connection.send(m.packet(m.DISCONNECT, 0))
        if way == 2:
            connection.reset()
        else:
            connection.close()

    def read_for(self, connection, seconds, answered=1.0):
        """Reads, and acknowledges this share of what is to be acknowledged."""
        until = time.monotonic() + seconds
        count = 0
        while not connection.is_closed:
            answers = []
            for packet in connection.poll():
                count += packet.type == m.PUBLISH
                if self.random.random() >= answered:
                    continue
                if packet.type == m.PUBLISH and packet.qos == 1:
                    answers.append(m.ack(m.PUBACK, packet.packet_id))
                elif packet.type == m.PUBLISH and packet.qos == 2:
                    answers.append(m.ack(m.PUBREC, packet.packet_id))
                elif packet.type == m.PUBREL:
                    answers.append(m.ack(m.PUBCOMP, packet.packet_id))
            connection.send(*answers)
            if time.monotonic() >= until or self.pause(0.01):
                break
        return count

    def payload(self, mean):
        return self.random.randbytes(min(int(self.random.expovariate(1 / mean)), 300_000))


class Publisher(Worker):
    """Sends to everybody at every QoS, now and then something large."""

    def __init__(self, broker, seed):
        super().__init__(broker, seed)
        self._connection = None
        self._packet_id = 0

    def _topic(self):
        kind = self.random.random()
        if kind < 0.4:
            return f"soak/data/{self.random.randrange(100)}"
        if kind < 0.7:
            return f"soak/resume/{self.random.randrange(RESUMED)}"
        if kind < 0.98:
            return f"soak/work/{self.random.randrange(50)}"
        return f"soak/nobody/{self.rounds}"

    def round(self):
        if self._connection is None:
            self._connection = self.connect(self.prefix)
        block, owed = [], 0
        for _ in range(60):
            qos = self.random.choice((0, 0, 1, 1, 2))
            self._packet_id = self._packet_id % 60_000 + 1
            mean = 40_000 if self.random.random() < 0.01 else 500
            block.append(
                m.publish(
                    self._topic(),
                    self.payload(mean),
                    qos=qos,
                    packet_id=self._packet_id if qos else None,
                    version=self._connection.version,
                )
            )
            owed += qos > 0
        self._connection.send(*block)
        while owed:
            packet = self._connection.receive()
            if packet.type == m.PUBREC:
                self._connection.send(m.ack(m.PUBREL, packet.packet_id))
            else:
                owed -= packet.type in (m.PUBACK, m.PUBCOMP)
        if self.rounds % 200 == 199:
            self.finish()
        self.pause(0.02)

    def finish(self):
        if self._connection is not None:
            self.leave(self._connection)
        self._connection = None


class Passer(Worker):
    """Comes, subscribes, says something, and goes."""

    def round(self):
        connection = self.connect(f"{self.prefix}-{self.random.randrange(1_000_000)}")
        version = connection.version
        filters = {
            f"soak/passing/{self.random.randrange(50)}/+": self.random.randrange(3)
            for _ in range(5)
        }
        topic = f"soak/passing/{self.random.randrange(50)}/x"
        connection.send(
            m.subscribe(1, *filters.items(), version=version),
            m.publish(topic, self.payload(200), version=version),
        )
        if self.random.random() < 0.7:
            self.read_for(connection, self.random.random() * 0.05)
        if self.random.random() < 0.2:
            connection.send(m.unsubscribe(2, *filters, version=version))
        if self.random.random() < 0.05:
            connection.send(b"\xf7\xff\xff\xff\xff")  # nonsense: it is thrown out
        self.leave(connection)
        self.pause(0.005)


class Resumer(Worker):
    """Sessions that are away more than they are here; some are taken over."""

    def _id(self, number):
        return f"{self.prefix}-{number}"

    def round(self):
        number = self.random.randrange(RESUMED)
        connection = self.connect(self._id(number), expiry_s=3_600)
        connection.send(
            m.subscribe(
                1,
                (f"soak/resume/{number}", self.random.randrange(1, 3)),
                (f"soak/resume/{(number + 1) % RESUMED}", 1),
                version=connection.version,
            )
        )
        self.read_for(connection, self.random.random() * 0.3, self.random.choice((1, 1, 0.5, 0)))
        if self.random.random() < 0.1:
            again = self.connect(self._id(number), expiry_s=3_600)
            self.read_for(again, 0.02)
            self.leave(again)
        self.leave(connection)

    def finish(self):
        for number in range(RESUMED):
            connection = self.connect(self._id(number))
            connection.send(m.packet(m.DISCONNECT, 0))
            connection.close()


class Reader(Worker):
    """Reads everything that it can get, as fast as Python does."""

    def round(self):
        connection = self.connect(self.prefix)
        connection.send(
            m.subscribe(
                1, ("soak/data/#", 2), ("soak/passing/#", 0), version=connection.version
            )
        )
        self.read_for(connection, 5)
        self.leave(connection)


class Sleeper(Worker):
    """Subscribes to much and reads little, or nothing; then it is gone."""

    def round(self):
        connection = self.connect(self.prefix)
        connection.send(
            m.subscribe(1, ("soak/data/#", self.random.randrange(2)), version=connection.version)
        )
        reads = self.random.random() < 0.7
        for _ in range(self.random.randrange(20, 100)):
            if reads:
                connection._socket.settimeout(0.001)
                try:
                    if not connection._socket.recv(2_000):
                        break
                except (TimeoutError, ConnectionResetError):
                    pass
            if self.pause(0.1):
                break
        self.leave(connection)


class Keeper(Worker):
    """Sets retained messages and clears them; who subscribes gets those that are there."""

    def __init__(self, broker, seed):
        super().__init__(broker, seed)
        self._kept = set()

    def _set(self, numbers, is_kept):
        connection = self.connect(f"{self.prefix}-sets")
        for at in range(0, len(numbers), 100):
            part = numbers[at : at + 100]
            connection.send(
                *(
                    m.publish(
                        f"soak/kept/{self.prefix}/{number}",
                        b"k" + self.payload(300) if is_kept else b"",
                        qos=1,
                        packet_id=index + 1,
                        retain=True,
                        version=connection.version,
                    )
                    for index, number in enumerate(part)
                )
            )
            for _ in part:
                connection.expect(m.PUBACK)
        (self._kept.update if is_kept else self._kept.difference_update)(numbers)
        connection.send(m.packet(m.DISCONNECT, 0))
        connection.close()

    def round(self):
        for is_kept in (True, False):
            self._set(self.random.sample(range(KEPT), 150), is_kept)
        if self.rounds % 20 == 0:
            self._look()
        self.pause(0.1)

    def _look(self):
        connection = self.connect(f"{self.prefix}-looks")
        everything = f"soak/kept/{self.prefix}/#"
        connection.send(m.subscribe(1, (everything, 0), version=connection.version))
        count = 0
        while count < len(self._kept):
            count += connection.receive().type == m.PUBLISH
        self.leave(connection)

    def finish(self):
        self._set(sorted(self._kept), False)


class Testator(Worker):
    """Leaves wills: some are published, some wait, some are retained, some are taken back."""

    def round(self):
        kept = self.random.random() < 0.3
        topic = f"soak/wills/{self.random.randrange(WILLS)}" if kept else "soak/data/wills"
        will = (topic, b"w" + self.payload(400), self.random.randrange(3), kept)
        if self.random.random() < 0.3:
            delayed = (*will, m.block(m.prop.will_delay(self.random.randrange(3))))
            connection = m.Connection(self.broker, 5)
            connection.hello(
                client_id=f"{self.prefix}-{self.random.randrange(100)}",
                will=delayed,
                properties=m.block(m.prop.session_expiry(EXPIRY_S)),
            )
        else:
            connection = self.connect(f"{self.prefix}-{self.random.randrange(100)}", will=will)
        self.leave(connection)
        self.pause(0.01)

    def finish(self):
        harness.let_time_pass(EXPIRY_S)  # wills that wait
        connection = self.connect(self.prefix)
        for number in range(WILLS):
            topic = f"soak/wills/{number}"
            connection.send(
                m.publish(topic, qos=1, packet_id=1, retain=True, version=connection.version)
            )
            connection.expect(m.PUBACK)
        connection.send(m.packet(m.DISCONNECT, 0))
        connection.close()


class Sharer(Worker):
    """A member of a shared subscription that leaves some of its work undone."""

    def round(self):
        stays = self.random.random() < 0.3
        connection = self.connect(
            f"{self.prefix}-{self.random.randrange(30)}", expiry_s=EXPIRY_S if stays else None
        )
        qos = self.random.randrange(3)
        connection.send(
            m.subscribe(1, ("$share/group/soak/work/#", qos), version=connection.version)
        )
        self.read_for(connection, self.random.random(), self.random.choice((1, 1, 0.5)))
        self.leave(connection)


KINDS = (
    (Publisher, 2),
    (Passer, 2),
    (Resumer, 2),
    (Reader, 1),
    (Sleeper, 3),
    (Keeper, 1),
    (Testator, 1),
    (Sharer, 3),
)


class Table:
    """A line each half minute: what the server holds."""

    HEAD = (
        "   when  PSS MiB  clients  sessions  subscriptions  retained  messages  batches MiB"
        "  received/s"
    )

    def __init__(self, broker):
        self._broker = broker
        self._begin = time.monotonic()
        self._last = (self._begin, 0.0)
        print(self.HEAD, flush=True)

    def row(self, label=None):
        def gauge(name):
            return int(harness.metric(self._broker, f"mitu_{name}"))

        now, received = time.monotonic(), gauge("messages_received_total")
        before, received_before = self._last
        self._last = (now, received)
        rate = (received - received_before) / max(now - before, 1e-3)
        print(
            f"{label or f'{now - self._begin:5.0f} s':>7}"
            f"{private_bytes(self._broker.process.pid) / (1 << 20):>9.1f}{gauge('clients'):>9}"
            f"{gauge('sessions'):>10}{gauge('subscriptions'):>15}{gauge('retained_messages'):>10}"
            f"{gauge('stored_messages'):>10}{gauge('message_batch_bytes') / (1 << 20):>13.1f}"
            f"{rate:>12,.0f}",
            flush=True,
        )


@only_mitud("the promise is ours")
class SoakMemory(harness.BrokerCase):
    def live(self, seconds, table):
        """All kinds of clients for so long; then all of them go."""
        workers = [kind(self.broker, seed) for kind, count in KINDS for seed in range(count)]
        for worker in workers:
            worker.start()
        until = time.monotonic() + seconds
        while time.monotonic() < until and not any(worker.failure for worker in workers):
            harness.let_time_pass(max(0, min(ROW_SECONDS, until - time.monotonic())))
            table.row()
        for worker in workers:
            worker.stop()
        for worker in workers:
            worker.join(SETTLE_SECONDS)
        for worker in workers:
            self.assertFalse(worker.is_alive(), f"{worker.name} does not end")
            self.assertIsNone(worker.failure, f"{worker.name}:\n{worker.failure}")
            self.assertGreater(worker.rounds, 0, f"{worker.name} did nothing")

    def pulse(self):
        """Somebody comes and goes on every shard: in any fleet turns go on, and tidying too."""
        for number in range(4 * SHARDS):
            with m.Connection(self.broker, 4) as connection:
                connection.hello(client_id=f"pulse-{number}")
                connection.ping()
                connection.send(m.packet(m.DISCONNECT, 0))

    def gauges(self):
        return {name: int(harness.metric(self.broker, name)) for name in GAUGES}

    def batch_bytes(self):
        return int(harness.metric(self.broker, "mitu_message_batch_bytes"))

    def settled(self):
        """(gauges, bytes of batches, PSS), once nothing of it gets less any more."""
        eventually(
            lambda: self.pulse() or not any(self.gauges().values()),
            lambda: f"all is gone: {self.gauges()}",
            SETTLE_SECONDS,
        )
        least, since = None, time.monotonic()
        while time.monotonic() - since < 10:  # spares go back to the system now and then
            harness.let_time_pass(0.5)
            self.pulse()
            bytes_now = private_bytes(self.broker.process.pid)
            if least is None or bytes_now < least - (64 << 10):
                least, since = bytes_now, time.monotonic()
        return self.gauges(), self.batch_bytes(), private_bytes(self.broker.process.pid)

    def test_all_that_came_is_gone(self):
        print(f"\n{WARM_SECONDS:.0f} s to warm up, then {SECONDS:.0f} s", flush=True)
        table = Table(self.broker)
        table.row("fresh")
        self.live(WARM_SECONDS, table)
        gauges, batches, began_bytes = self.settled()
        table.row("began")

        self.live(SECONDS, table)
        gauges_now, batches_now, bytes_now = self.settled()
        table.row("ended")

        self.assertEqual(gauges_now, gauges)
        # One that is filled and one for what lasts, a shard; which of them is out is chance.
        self.assertLessEqual(batches_now, max(batches, 2 * BATCH_BYTES * SHARDS))
        allowed = began_bytes + max(TOLERANCE_BYTES, TOLERANCE_SHARE * began_bytes)
        self.assertLessEqual(
            bytes_now,
            allowed,
            f"{bytes_now >> 10} KiB are resident, and {began_bytes >> 10} KiB were at first",
        )
        print(f"{bytes_now - began_bytes >> 10:+} KiB in {SECONDS:.0f} s", flush=True)
