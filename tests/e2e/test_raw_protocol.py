"""Malformed input of every kind: each gets its answer, and never harms another client.

The rows are in malformed_connect.py and malformed_packets.py; one test each. Beside the one who errs, bystanders on every shard keep
talking, and are asked after each row whether they noticed.
"""

import random
import unittest

import harness
import malformed
import malformed_connect  # noqa: F401  (adds its rows)
import malformed_packets  # noqa: F401
import raw_mqtt as m
from harness import eventually, mosquitto_cannot, only_mitud


class Bystanders:
    """Clients that do nothing wrong. There are enough of them to sit on every shard."""

    COUNT = 8

    def __init__(self, broker):
        self._clients = []
        self._round = 0
        for index in range(self.COUNT):
            client = m.Connection(broker)
            client.hello(client_id=f"bystander-{index}")
            client.send(m.subscribe(1, (f"bystander/{index}", 1)))
            client.expect(m.SUBACK)
            self._clients.append(client)

    def check(self):
        """Each sends to its neighbour, at QoS 1, and gets what was sent to it, and nothing else."""
        self._round += 1
        for index, client in enumerate(self._clients):
            payload = f"{self._round} from {index}".encode()
            to = (index + 1) % self.COUNT
            client.send(
                m.publish(f"bystander/{to}", payload, qos=1, packet_id=self._round % 65535 + 1)
            )
        for index, client in enumerate(self._clients):
            got = {}
            for _ in range(2):
                packet = client.receive()
                got[packet.type] = packet
            if set(got) != {m.PUBACK, m.PUBLISH}:
                raise AssertionError(f"bystander {index} got {got}")
            publish = got[m.PUBLISH]
            wanted = f"{self._round} from {(index - 1) % self.COUNT}".encode()
            if publish.payload(5) != wanted:
                raise AssertionError(f"bystander {index} got {publish} instead of {wanted}")
            client.send(m.ack(m.PUBACK, publish.packet_id))

    def close(self):
        for client in self._clients:
            client.close()


class ProtocolCase(harness.BrokerCase):
    mosquitto_config = ("max_packet_size 1048576",)

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.bystanders = Bystanders(cls.broker)

    @classmethod
    def tearDownClass(cls):
        cls.bystanders.close()
        super().tearDownClass()

    def tearDown(self):
        super().tearDown()
        self.bystanders.check()

    def connection(self, version=5):
        connection = m.Connection(self.broker, version)
        self.addCleanup(connection.close)
        return connection


class MalformedInput(ProtocolCase):
    """Filled below, from the table."""

    def check_row(self, row):
        version = 4 if row.stage == "v311" else 5
        connection = self.connection(version)
        sent = row.sent
        if row.stage != "first":
            connack = connection.hello(client_id=row.name[:40])
            if callable(sent):
                sent = sent(connack)
        connection.send(sent)
        if isinstance(row.answer, malformed.Answered):
            self.check_goes_on(connection, row.answer.packet)
            return
        packets = connection.receive_until_closed()
        if harness.BROKER == "mosquitto":
            return  # it ends the connection; its codes are its own
        self.check_end(row, packets)

    def check_goes_on(self, connection, answer):
        connection.send(m.PING)
        got = connection.receive()
        if answer is not None:
            self.assertEqual(m.packet(got.type, got.flags, got.body).hex(), answer.hex())
            got = connection.receive()
        self.assertEqual(got.type, m.PINGRESP)

    def check_end(self, row, packets):
        if isinstance(row.answer, malformed.Refused):
            if row.answer.may_be_silent and not packets:
                return
            self.assertEqual([packet.type for packet in packets], [m.CONNACK], packets)
            self.assertFalse(packets[0].session_present)
            self.assertIn(packets[0].connack_code, row.answer.codes)
        elif isinstance(row.answer, malformed.Disconnected):
            self.assertEqual([packet.type for packet in packets], [m.DISCONNECT], packets)
            self.assertEqual(hex(packets[0].disconnect_reason), hex(row.answer.reason))
        else:
            self.assertEqual(packets, [])


def _add_rows():
    for row in malformed.rows:

        def test(self, row=row):
            if row.mosquitto_takes_it and harness.BROKER == "mosquitto":
                self.skipTest("mosquitto 2.0 takes it")
            self.check_row(row)

        test.__doc__ = f"{row.name}: {row.rule}"
        setattr(MalformedInput, f"test_{row.name}", test)


_add_rows()


class CutAndSlow(ProtocolCase):
    """What comes in pieces, late, or never."""

    def script(self, version):
        """A whole conversation; each packet is right."""
        return [
            m.connect(version=version, client_id=f"script-{version}"),
            m.subscribe(1, (self.topic("echo"), 2), version=version),
            m.publish(self.topic("echo"), b"one", qos=1, packet_id=2, version=version),
            m.publish(self.topic("echo"), b"two", qos=2, packet_id=3, version=version),
            m.ack(m.PUBREL, 3),
            m.unsubscribe(4, self.topic("echo"), version=version),
            m.PING,
        ]

    def answers(self, connection):
        """All answers to the script, in the order in which they came.

        Those that another shard gives may come after PINGRESP: MQTT orders packets of one flow, not
        flows among each other.
        """
        types = []
        while not (
            types.count(m.PUBLISH) == 2
            and {m.SUBACK, m.PUBACK, m.PUBREC, m.PUBCOMP, m.UNSUBACK, m.PINGRESP} <= set(types)
        ):
            types.append(connection.receive().type)
        return types

    def test_one_byte_at_a_time_is_as_good_as_all_at_once(self):
        for version in (4, 5):
            with self.subTest(version=version):
                connection = self.connection(version)
                for byte in b"".join(self.script(version)):
                    connection.send(bytes([byte]))
                types = self.answers(connection)
                self.assertEqual(types[0], m.CONNACK)
                self.assertEqual(types.count(m.PUBLISH), 2)
                for wanted in (m.SUBACK, m.PUBACK, m.PUBREC, m.PUBCOMP, m.UNSUBACK):
                    self.assertIn(wanted, types)

    def test_everything_in_one_segment_is_handled_in_order(self):
        # A client need not wait for CONNACK before it goes on [MQTT-3.1.4-6].
        for version in (4, 5):
            with self.subTest(version=version):
                connection = self.connection(version)
                connection.send(*self.script(version))
                types = self.answers(connection)
                self.assertEqual(types[0], m.CONNACK)
                self.assertEqual(types.count(m.PUBLISH), 2)

    def test_a_conversation_cut_anywhere_harms_nobody(self):
        for version in (4, 5):
            whole = b"".join(self.script(version))
            for size in range(len(whole)):
                connection = m.Connection(self.broker, version)
                connection.send(whole[:size])
                if size % 2:
                    connection.reset()
                else:
                    connection.close()
        self.bystanders.check()

    def test_a_peer_that_says_it_has_finished_is_let_go(self):
        connection = self.connection()
        connection.hello(client_id=self.name)
        connection.send(m.publish(self.topic("cut"), b"x" * 100)[:20])
        connection.half_close()
        connection.receive_until_closed()

    @mosquitto_cannot("waits for CONNECT without end")
    def test_silence_before_a_whole_connect_ends_the_connection(self):
        whole = m.connect(client_id=self.name)
        silent = {}
        for size in (0, 1, 2, len(whole) - 1):
            silent[size] = self.connection()
            silent[size].send(whole[:size])
        for size, connection in silent.items():
            with self.subTest(bytes_sent=size):
                self.assertEqual(connection.receive_until_closed(), [])

    @mosquitto_cannot("waits for CONNECT without end")
    def test_a_connect_that_drips_too_slowly_ends_the_connection(self):
        # Progress does not extend the time for CONNECT, or a thousand such peers hold a thousand
        # connections for ever.
        connection = self.connection()
        whole = m.connect(client_id="d" * 2000)
        position = 0

        def is_closed():
            nonlocal position
            connection.send(whole[position : position + 1])
            position += 1
            try:
                connection.receive(patience_s=0.1)
            except m.Closed:
                return True
            except AssertionError:
                pass
            return False

        eventually(is_closed, "the broker closes")
        self.assertLess(position, len(whole))

    def test_a_client_that_falls_silent_is_disconnected(self):
        # One and a half times the Keep Alive [MQTT-3.1.2-22].
        connection = self.connection()
        connection.hello(client_id=self.name, keep_alive_s=1)
        packets = connection.receive_until_closed()
        if harness.BROKER == "mitud":
            self.assertEqual([packet.disconnect_reason for packet in packets], [0x8D])

    def test_a_client_that_pings_is_kept(self):
        quick, silent = self.connection(), self.connection()
        quick.hello(client_id=self.name, keep_alive_s=1)
        silent.hello(client_id=self.name + "-silent", keep_alive_s=1)

        def silent_is_gone():
            quick.ping()
            try:
                silent.receive(patience_s=0.2)
            except m.Closed:
                return True
            except AssertionError:
                pass
            return False

        eventually(silent_is_gone, "the silent one is disconnected")
        quick.ping()


class Garbage(ProtocolCase):
    """Bytes without a plan. The seed is fixed, so that what is found once is found again."""

    SEED = 0x51F3

    def feed(self, connection, data):
        connection.send(data)
        connection.close()

    def test_random_bytes_as_first_words(self):
        generator = random.Random(self.SEED)
        for _ in range(500):
            self.feed(m.Connection(self.broker), generator.randbytes(generator.randrange(1, 300)))

    def test_random_bytes_after_connect(self):
        generator = random.Random(self.SEED + 1)
        for index in range(500):
            version = generator.choice((4, 5))
            connection = m.Connection(self.broker, version)
            connection.hello(client_id=f"garbage-{index}")
            self.feed(connection, generator.randbytes(generator.randrange(1, 300)))

    def test_good_packets_with_some_bits_turned(self):
        generator = random.Random(self.SEED + 2)
        good = [
            m.publish(
                "garbage/a",
                b"payload",
                qos=2,
                packet_id=7,
                properties=m.block(m.prop.user("a", "b")),
            ),
            m.subscribe(
                9,
                ("garbage/+", 1),
                ("$share/g/garbage/#", 2),
                properties=m.block(m.prop.subscription_id(5)),
            ),
            m.unsubscribe(10, "garbage/+", "$share/g/garbage/#"),
            m.ack(m.PUBREL, 7, reason=0, properties=m.block(m.prop.reason_string("x"))),
            m.disconnect(0x04, m.block(m.prop.reason_string("bye"))),
            m.connect(
                client_id="x", will=("garbage/will", b"w", 1, True), user_name="u", password="p"
            ),
        ]
        for index in range(1000):
            data = bytearray(b"".join(generator.sample(good, 3)))
            for _ in range(generator.randrange(1, 6)):
                data[generator.randrange(len(data))] ^= 1 << generator.randrange(8)
            connection = m.Connection(self.broker)
            if index % 4:
                connection.hello(client_id=f"turned-{index % 50}")
            self.feed(connection, bytes(data))

    def test_ten_thousand_tiny_connections_leave_nothing_behind(self):
        generator = random.Random(self.SEED + 3)

        def storm(count):
            for _ in range(count):
                self.feed(m.Connection(self.broker), generator.randbytes(3))

        def open_files():
            return harness.open_file_count(self.broker.process.pid)

        before = open_files()
        storm(2_000)  # whatever grows once has grown
        eventually(
            lambda: open_files() <= before, lambda: f"{before} open files, not {open_files()}"
        )
        resident = harness.resident_bytes(self.broker.process.pid)
        storm(8_000)
        eventually(
            lambda: open_files() <= before, lambda: f"{before} open files, not {open_files()}"
        )
        grown = harness.resident_bytes(self.broker.process.pid) - resident
        self.assertLess(grown, 16 << 20)


class Metrics(ProtocolCase):
    @only_mitud("it has the counter")
    def test_protocol_errors_are_counted(self):
        def count():
            return harness.metric(self.broker, "mitu_protocol_errors_total")

        before = count()
        connection = self.connection()
        connection.hello(client_id=self.name)
        connection.send(m.packet(0, 0))
        connection.receive_until_closed()
        eventually(
            lambda: count() == before + 1, lambda: f"{before + 1} protocol errors, not {count()}"
        )


if __name__ == "__main__":
    unittest.main()
