"""Clients that keep their side of MQTT over any number of lost connections, and write down what they
do and see: publishers with a window, subscribers of several tempers, mortals with a will.

State is kept as a device would on flash: numbers in use, what is unacknowledged, which QoS 2 numbers
were begun. Python's asyncio, one thread.
"""

import asyncio
import collections
import contextlib
import pathlib
import random
import socket
import struct
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "e2e"))
import raw_mqtt as mqtt  # noqa: E402

LOST = (OSError, EOFError, asyncio.TimeoutError)
EXPIRY_S = 86_400
PADDING = bytes(range(64, 96)) * 512  # payloads are of different sizes


class Link:
    """One connection: whole packets in, bytes out."""

    def __init__(self, reader, writer):
        self._reader, self._writer = reader, writer
        self.is_cut = False

    @classmethod
    async def open(cls, port):
        reader, writer = await asyncio.wait_for(asyncio.open_connection("127.0.0.1", port), 10)
        writer.get_extra_info("socket").setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return cls(reader, writer)

    def send(self, *pieces):
        if self._writer.is_closing():
            raise ConnectionResetError
        self._writer.write(b"".join(pieces))

    async def drain(self):
        """Until the socket has taken what was sent."""
        if self._writer.is_closing():
            raise ConnectionResetError
        await self._writer.drain()

    async def receive(self):
        first = (await self._reader.readexactly(1))[0]
        size = shift = 0
        while True:
            digit = (await self._reader.readexactly(1))[0]
            size |= (digit & 0x7F) << shift
            shift += 7
            if digit < 0x80:
                break
        return mqtt.Packet(first >> 4, first & 15, await self._reader.readexactly(size))

    def cut(self, with_reset):
        """Without a word: as if the client had lost its power, or its network."""
        if with_reset:
            raw = self._writer.get_extra_info("socket")
            with contextlib.suppress(OSError):
                raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self._writer.transport.abort() if with_reset else self._writer.close()


class Client:
    """Connects, and again, until it is told to end. Subclasses act while it is connected."""

    def __init__(self, world, name, version=5, receive_maximum=None):
        self.world, self.name, self.version = world, name, version
        self.random = random.Random(f"{world.seed}/{name}")
        self.receive_maximum = receive_maximum
        self.link = None
        self.is_ending = False
        self.is_clean = False  # of the next connection
        self.may_connect = asyncio.Event()
        self.may_connect.set()
        self.send_window = 65_535  # the server's receive maximum
        self._next_id = self.random.randrange(1, 65_536)

    def record(self, kind, **what):
        return self.world.history.add(kind, self.name, **what)

    def next_id(self, in_use):
        while True:
            self._next_id = self._next_id % 65_535 + 1
            if self._next_id not in in_use:
                return self._next_id

    async def run(self):
        while not self.is_ending:
            await self.may_connect.wait()
            is_greeted = False
            try:
                self.link = await Link.open(self.world.port)
                present = await asyncio.wait_for(self.greet(), 30)
                is_greeted = True
                await self.serve(present)
            except LOST:
                pass
            finally:
                if self.link is not None:
                    self.link.cut(with_reset=True)
                    self.link = None
                if is_greeted:
                    self.record("disconnected", flag=False)
                self.lost()
            await asyncio.sleep(self.random.uniform(0.01, 0.1))

    def connect_packet(self):
        properties = None
        if self.version == 5:
            parts = [mqtt.prop.session_expiry(EXPIRY_S)]
            if self.receive_maximum:
                parts.append(mqtt.prop.receive_maximum(self.receive_maximum))
            properties = mqtt.block(*parts)
        return mqtt.connect(
            self.version, self.name, clean=self.is_clean, keep_alive_s=60, properties=properties
        )

    async def greet(self):
        is_clean = self.is_clean
        self.record("connecting", flag=is_clean)
        self.link.send(self.connect_packet())
        answer = await self.link.receive()
        if answer.type != mqtt.CONNACK or answer.connack_code != 0:
            self.world.note_refusal(self.name, answer)
            raise ConnectionResetError
        self.record("connected", flag=answer.session_present)
        self.is_clean = False
        if self.version == 5:
            maximum = answer.properties().get(0x21)
            self.send_window = maximum[0] if maximum else 65_535
        return answer.session_present

    async def serve(self, present):
        raise NotImplementedError

    def lost(self):
        """The connection is gone."""

    def cut(self):
        if self.link is not None:
            self.link.cut(with_reset=self.random.random() < 0.5)
            return True
        return False


class Publisher(Client):
    """Sends to its topics with a window; what is not acknowledged is sent again, first, in its order.

    Each topic is (topic, qos, retain). The next message of a retained topic is a deletion sometimes.
    """

    def __init__(self, world, name, topics, window, pause_s, **arguments):
        super().__init__(world, name, **arguments)
        self.topics, self.window, self.pause_s = topics, window, pause_s
        self.serial = 0
        # packet id -> [message, topic, qos, retain, payload, "publish" or "release"], oldest first
        self.open = collections.OrderedDict()
        self.is_paused = False  # nothing new
        self._has_room = asyncio.Event()

    def lost(self):
        self._has_room.set()

    def send_publish(self, packet_id, dup):
        message, topic, qos, retain, payload, _ = self.open[packet_id]
        kind = None if not retain else "retain" if payload else "delete"
        self.record("publishing", message=message, topic=topic, qos=qos, flag=dup, data=kind)
        self.link.send(
            mqtt.publish(
                *(topic, payload, qos, packet_id, retain, dup), version=self.version
            )
        )

    def send_release(self, packet_id):
        self.link.send(mqtt.ack(mqtt.PUBREL, packet_id))

    async def serve(self, present):
        if not present:
            for entry in self.open.values():
                entry[5] = "publish" if entry[5] == "publish" else "lost"
            for packet_id in [i for i, entry in self.open.items() if entry[5] == "lost"]:
                del self.open[packet_id]
        for packet_id, entry in self.open.items():
            if entry[5] == "publish":
                self.send_publish(packet_id, dup=present)
            else:
                self.send_release(packet_id)
        sender = asyncio.ensure_future(self.send_new(self.link))
        try:
            while True:
                self.take(await self.link.receive())
        finally:
            self.link.is_cut = True
            sender.cancel()
            with contextlib.suppress(asyncio.CancelledError, *LOST):
                await sender

    async def send_new(self, link):
        while not link.is_cut:  # wait_for() may swallow a cancellation
            limit = min(self.window, self.send_window)
            if self.is_paused or self.is_ending or len(self.open) >= limit:
                self._has_room.clear()
                with contextlib.suppress(asyncio.TimeoutError):
                    await asyncio.wait_for(self._has_room.wait(), 0.1)
                continue
            self.serial += 1
            topic, qos, retain = self.random.choice(self.topics)
            message = f"{self.name}:{self.serial}"
            padding = PADDING[: int(self.random.paretovariate(0.8) * 20) % len(PADDING)]
            payload = message.encode() + b"|" + padding
            if retain and self.random.random() < 0.2:
                payload = b""
            packet_id = self.next_id(self.open)
            self.open[packet_id] = [message, topic, qos, retain, payload, "publish"]
            self.send_publish(packet_id, dup=False)
            await asyncio.sleep(self.random.expovariate(1 / self.pause_s))

    def take(self, packet):
        if packet.type not in (mqtt.PUBACK, mqtt.PUBREC, mqtt.PUBCOMP):
            return
        entry = self.open.get(packet.packet_id)
        if entry is None:
            return
        is_success = packet.ack_reason < 0x80
        if packet.type == mqtt.PUBCOMP or packet.type == mqtt.PUBACK:
            del self.open[packet.packet_id]
            self._has_room.set()
        if packet.type == mqtt.PUBCOMP:
            return
        if entry[5] == "publish":
            self.record("published", message=entry[0], flag=is_success)
            if not is_success:
                self.world.note_reason(packet.ack_reason)
        if packet.type == mqtt.PUBREC:
            if is_success:
                entry[5] = "release"
                # What is released is sent again in the order of PUBRECs.
                self.send_release(packet.packet_id)
            else:
                self.open.pop(packet.packet_id, None)
                self._has_room.set()


class Subscriber(Client):
    """Keeps a session and acknowledges. `ack_delay_s` makes it slow; `toggles` are filters that it
    leaves and takes again."""

    def __init__(self, world, name, filters, toggles=(), ack_delay_s=0.0, **arguments):
        super().__init__(world, name, **arguments)
        self.filters, self.toggles, self.ack_delay_s = filters, toggles, ack_delay_s
        self.begun = {}  # packet id -> message, until PUBREL
        self.wanted = {name: qos for name, qos in [*filters, *toggles]}
        self.confirmed = {}
        self.requests = {}  # packet id -> (what, filter)
        self.holds_acks = False
        self._is_served = False
        self._acks = collections.deque()
        self._has_acks = asyncio.Event()

    def lost(self):
        self._is_served = False
        self._acks.clear()
        self.requests.clear()

    async def serve(self, present):
        if not present:
            self.begun.clear()
            self.confirmed.clear()
        self._is_served = True
        worker = asyncio.ensure_future(self.acknowledge(self.link))
        try:
            self.ask()
            while True:
                self.take(await self.link.receive())
        finally:
            self.link.is_cut = True
            worker.cancel()
            with contextlib.suppress(asyncio.CancelledError, *LOST):
                await worker

    def ask(self):
        """Sends what makes `confirmed` like `wanted`; one request for a filter at a time."""
        asked = {topic_filter for _, topic_filter in self.requests.values()}
        for topic_filter, qos in self.wanted.items():
            if self.confirmed.get(topic_filter) != qos and topic_filter not in asked:
                packet_id = self.next_id(self.requests)
                self.requests[packet_id] = ("subscribe", topic_filter)
                self.record("subscribing", topic=topic_filter, qos=qos)
                self.link.send(
                    mqtt.subscribe(packet_id, (topic_filter, qos), version=self.version)
                )
        for topic_filter in list(self.confirmed):
            if topic_filter not in self.wanted and topic_filter not in asked:
                packet_id = self.next_id(self.requests)
                self.requests[packet_id] = ("unsubscribe", topic_filter)
                self.record("unsubscribing", topic=topic_filter)
                self.link.send(mqtt.unsubscribe(packet_id, topic_filter, version=self.version))

    def toggle(self):
        """Changes one's mind about a filter, when nothing of it is open."""
        if not self._is_served or self.requests or not self.toggles:
            return
        topic_filter, qos = self.random.choice(self.toggles)
        if self.confirmed.keys() != self.wanted.keys():
            return
        if topic_filter in self.wanted:
            del self.wanted[topic_filter]
        else:
            self.wanted[topic_filter] = qos
        with contextlib.suppress(OSError):
            self.ask()

    def take(self, packet):
        if packet.type == mqtt.PUBLISH:
            payload = packet.payload(self.version)
            message = payload.split(b"|", 1)[0].decode("utf-8", "replace")
            number = packet.packet_id if packet.qos else 0
            is_new = packet.qos < 2 or number not in self.begun
            self.record(
                "received",
                message=message,
                topic=packet.topic,
                qos=packet.qos,
                flag=is_new,
                packet_id=number,
            )
            if packet.qos == 2:
                self.begun.setdefault(number, message)
            if packet.qos:
                self.answer(mqtt.PUBREC if packet.qos == 2 else mqtt.PUBACK, number)
        elif packet.type == mqtt.PUBREL:
            self.begun.pop(packet.packet_id, None)
            self.answer(mqtt.PUBCOMP, packet.packet_id)
        elif packet.type in (mqtt.SUBACK, mqtt.UNSUBACK):
            self.take_answer(packet)

    def take_answer(self, packet):
        what, topic_filter = self.requests.pop(packet.packet_id)
        if what == "subscribe":
            granted = packet.body[-1]
            if granted > 2:
                self.world.note_reason(granted)
                return
            self.record("subscribed", topic=topic_filter, qos=granted)
            self.confirmed[topic_filter] = self.wanted.get(topic_filter, granted)
        else:
            self.record("unsubscribed", topic=topic_filter)
            self.confirmed.pop(topic_filter, None)
        self.ask()

    def answer(self, kind, packet_id):
        if not self.ack_delay_s and not self.holds_acks and not self._acks:
            self.link.send(mqtt.ack(kind, packet_id))
            return
        self._acks.append((kind, packet_id))
        self._has_acks.set()

    async def acknowledge(self, link):
        """In the order of arrival, each after its delay."""
        while not link.is_cut:
            if not self._acks or self.holds_acks:
                self._has_acks.clear()
                with contextlib.suppress(asyncio.TimeoutError):
                    await asyncio.wait_for(self._has_acks.wait(), 0.1)
                continue
            if self.ack_delay_s:
                await asyncio.sleep(self.random.uniform(0, 2 * self.ack_delay_s))
            if self._acks:
                self.link.send(mqtt.ack(*self._acks.popleft()))


class Mortal(Client):
    """Lives once, with a will: says goodbye, or is lost, or is there when the server dies."""

    def __init__(self, world, name, topic, qos, says_goodbye, life_s, **arguments):
        super().__init__(world, name, **arguments)
        self.topic, self.qos, self.says_goodbye, self.life_s = topic, qos, says_goodbye, life_s
        self.will = f"{name}:0"

    async def run(self):
        is_greeted, is_discarded = False, False
        try:
            self.link = await Link.open(self.world.port)
            self.record("will", message=self.will, topic=self.topic, qos=self.qos)
            await asyncio.wait_for(self.greet(), 30)
            is_greeted = True
            with contextlib.suppress(asyncio.TimeoutError):
                await asyncio.wait_for(self.link.receive(), self.life_s)
            if self.says_goodbye:
                self.record("disconnecting")
                self.link.send(mqtt.disconnect())
                with contextlib.suppress(asyncio.IncompleteReadError):
                    await asyncio.wait_for(self.link.receive(), 10)
                is_discarded = True
        except LOST:
            pass
        finally:
            if self.link is not None:
                self.link.cut(with_reset=self.random.random() < 0.5)
                self.link = None
            if is_greeted:
                self.record("disconnected", flag=is_discarded)

    def connect_packet(self):
        return mqtt.connect(
            self.version,
            self.name,
            clean=True,
            keep_alive_s=60,
            will=(self.topic, self.will.encode(), self.qos, False),
        )


async def read_retained(world, name, topics, surely_there):
    """What a new subscriber is given. It waits for `surely_there`, then a moment for the rest."""
    link = await Link.open(world.port)
    given = {}
    try:
        link.send(mqtt.connect(5, name, clean=True))
        answer = await asyncio.wait_for(link.receive(), 30)
        if answer.type != mqtt.CONNACK or answer.connack_code:
            raise ConnectionResetError
        began_at = world.history.add("retained_read", name)
        link.send(mqtt.subscribe(1, (topics, 1)))

        async def take():
            while True:
                packet = await link.receive()
                if packet.type == mqtt.PUBLISH and packet.qos:
                    link.send(mqtt.ack(mqtt.PUBACK, packet.packet_id))
                if packet.type == mqtt.PUBLISH and packet.flags & 1:
                    given[packet.topic] = packet.payload(5).split(b"|", 1)[0].decode()

        taking = asyncio.ensure_future(take())
        try:
            for _ in range(50):
                await asyncio.wait([taking], timeout=0.1)
                if surely_there <= given.keys():
                    break
            await asyncio.wait([taking], timeout=0.3)
            if taking.done():
                raise ConnectionResetError
        finally:
            taking.cancel()
            with contextlib.suppress(asyncio.CancelledError, *LOST):
                await taking
        world.history.add("retained", name, data=(given, began_at))
    finally:
        link.cut(with_reset=False)
