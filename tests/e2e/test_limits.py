"""Every limit with clients that we did not write: it holds, says why, and leaves the neighbours alone."""

import datetime
import pathlib
import socket
import tempfile
import time
import types
import unittest

import harness
import raw_mqtt as m
from configured import Authority, ConfiguredServer
from harness import eventually, only_mitud
from paho_client import Client, properties

# Each quota has a tenant of its own, so that no test is in the way of another.
TENANTS = {
    "free": "",
    "places": "connections_max: 2",
    "pace": "connect_rate_per_s: 1",
    "slow": "messages_per_s: 20",
    "thin": "bytes_per_s: 2KiB",
    "filters": "subscriptions_max: 2",
    "kept": "retained_messages_max: 2",
    "heavy": "retained_bytes_max: 1KiB",
    "stored": "queue_bytes_max: 16KiB",
}

LISTENERS = """
  - {name: people, bind: "127.0.0.1:0", authentication: [people]}
  - {name: narrow, bind: "127.0.0.1:0", limits: {connections_max: 1}}
  - {name: paced, bind: "127.0.0.1:0", limits: {connect_rate_per_s: 1, connect_burst: 1}}
  - {name: few, bind: "127.0.0.1:0", limits: {messages_per_s: 20}}
  - {name: lean, bind: "127.0.0.1:0", limits: {bytes_per_s: 2KiB}}
  - {name: small, bind: "127.0.0.1:0", limits: {packet_bytes_max: 1KiB}}
  - {name: wide, bind: "0.0.0.0:0"}
  - name: tls
    bind: "0.0.0.0:0"
    tls: {certificates: [{certificate: "{folder}/server.pem", key: "{folder}/server.key"}]}
  - name: tls_paced
    bind: "127.0.0.1:0"
    limits: {connect_rate_per_s: 1, connect_burst: 1}
    tls: {certificates: [{certificate: "{folder}/server.pem", key: "{folder}/server.key"}]}
  - {name: web, bind: "0.0.0.0:0", protocol: websocket}
"""

# 20 at once, and 20 a second: some two seconds.
MESSAGES = 60
PAYLOAD = "x" * 80


def policies():
    text = ""
    for tenant in TENANTS:
        text += f"kind: Tenant\nname: {tenant}\n---\n"
        text += f"kind: Policy\nname: {tenant}-open\nselector: {{tenant: {tenant}}}\n"
        text += 'access: {publish: {allow: ["#"]}, subscribe: {allow: ["#"]}}\n---\n'
    return text.removesuffix("---\n")


def configuration(more="", listeners=LISTENERS):
    text = "policies: {directory: \"{folder}/policies\"}\nlisteners:\n"
    text += '  - {name: open, bind: "127.0.0.1:0"}\n'
    for tenant in TENANTS:
        text += f'  - {{name: t_{tenant}, bind: "127.0.0.1:0", tenant: {tenant}}}\n'
    text += listeners
    text += "tenants:\n"
    for tenant, limits in TENANTS.items():
        text += f"  - {{name: {tenant}, limits: {{{limits}}}}}\n"
    text += "authentication:\n  allow_anonymous: always\n"
    text += '  methods: [{name: people, kind: password_file, file: "{folder}/passwords"}]\n'
    return text + more


class LimitsCase(unittest.TestCase):
    more = ""

    @classmethod
    def setUpClass(cls):
        cls.folder = pathlib.Path(tempfile.mkdtemp(prefix="mitu-e2e-"))
        cls.authority = Authority(cls.folder)
        cls.authority.issue("server")
        harness.run(["mosquitto_passwd", "-b", "-c", cls.folder / "passwords", "eve", "one"])
        harness.run(["mosquitto_passwd", "-b", cls.folder / "passwords", "ann", "two"])
        (cls.folder / "policies").mkdir()
        (cls.folder / "policies" / "tenants.yaml").write_text(policies())
        cls.server = ConfiguredServer(configuration(cls.more), cls.folder)

    @classmethod
    def tearDownClass(cls):
        cls.server.stop()

    def setUp(self):
        self.name = self._testMethodName.removeprefix("test_")
        self.flows = 0

    def reload(self, more):
        self.server.configure(configuration(more))
        self.assertIn("config_reloaded", self.server.reload().values())

    def publish(self, listener, *words, topic="t", message=PAYLOAD, version="5"):
        """(status, output) of mosquitto_pub at QoS 1."""
        return harness.run(
            ["mosquitto_pub", "-h", "localhost", "-p", self.server.port(listener), "-q", "1"]
            + ["-V", version, "-t", topic, "-m", message, *words],
            check=False,
        )

    def assert_serves(self, listener, *words, **more):
        status, output = self.publish(listener, *words, **more)
        self.assertEqual((status, output), (0, ""))

    def assert_refuses(self, reason, listener, *words, **more):
        _, output = self.publish(listener, *words, **more)
        self.assertIn(reason.lower(), output.lower())

    def client(self, listener, name="", **more):
        broker = types.SimpleNamespace(host="127.0.0.1", port=self.server.port(listener))
        client = Client(broker, client_id=f"{self.name}{name}", **more)
        self.addCleanup(client.close)
        return client

    def refused(self, limit, scope):
        watched = types.SimpleNamespace(host="127.0.0.1", http_port=self.server.http_port)
        return harness.metric(watched, "mitu_refused_total", limit=limit, scope=scope)

    def flow(self, listener):
        """Begins to publish MESSAGES messages as fast as they are taken."""
        self.flows += 1
        topic = f"flow/{self.name}/{self.flows}"
        subscriber = self.client(listener, f"-{self.flows}")
        subscriber.subscribe(topic, 1)
        publisher = harness.Process(
            ["mosquitto_pub", "-h", "localhost", "-p", self.server.port(listener), "-V", "5"]
            + ["-q", "1", "-t", topic, "-l"],
            stdin=harness.subprocess.PIPE,
        )
        self.addCleanup(publisher.kill)
        publisher.stdin.write(f"{PAYLOAD}\n".encode() * MESSAGES)
        publisher.stdin.close()
        return publisher, subscriber

    def assert_slowed_and_not_lost(self, flows, neighbour, since):
        self.assert_serves(neighbour)
        for publisher, _ in flows:
            self.assertTrue(publisher.is_running(), "the neighbour did not wait for it")
        for publisher, subscriber in flows:
            self.assertEqual(publisher.wait(), 0, publisher.output())
            subscriber.expect(MESSAGES)
            self.assertGreater(time.monotonic() - since, 1.5)


@only_mitud("its own configuration")
class Limits(LimitsCase):
    """Of tenants and listeners, of one client, bans and flapping."""

    more = """limits: {packet_bytes_max: 2KiB, subscriptions_max: 3, inflight_max: 4, queue_messages_max: 5,
  topic_levels_max: 4, wildcard_levels_max: 1}
flapping: {enabled: true, connects_max: 3, window: 60s, ban_duration: 60s}
"""

    # --- connections ---

    def test_connections_of_a_tenant(self):
        first = self.client("t_places", "-1")
        second = self.client("t_places", "-2")
        third = self.client("t_places", "-3", expect_refusal=True)
        self.assertEqual(third.connack[1], 0x97)
        self.assertEqual(third.connack[2].UserProperty, [("retry-after-s", "30")])
        self.assertIn("connections (tenant)", third.connack[2].ReasonString)
        third.close()
        self.assert_refuses("quota exceeded", "t_places")
        self.assert_refuses("broker unavailable", "t_places", version="311")
        self.assertGreaterEqual(self.refused("connections", "tenant"), 3)
        self.assert_serves("t_free")
        second.paho.loop_stop(force=True)  # its connection stays, and nobody reads it
        self.client("t_places", "-2")  # takes its own place over
        first.leave()
        eventually(lambda: self.publish("t_places")[0] == 0, "a place is free again")

    def test_connections_of_a_listener(self):
        self.client("narrow")
        self.assert_refuses("quota exceeded", "narrow")
        self.assertGreaterEqual(self.refused("connections", "listener"), 1)
        self.assert_serves("open")

    def test_connect_rates_of_a_tenant_and_a_listener(self):
        for listener, scope in (("t_pace", "tenant"), ("paced", "listener")):
            self.assert_serves(listener)
            self.assert_refuses("connection rate exceeded", listener)
            refused = self.client(listener, expect_refusal=True)
            if refused.connack[1] != 0:  # a slow machine may have had its second by now
                self.assertEqual(refused.connack[1], 0x9F)
                self.assertEqual(refused.connack[2].UserProperty, [("retry-after-s", "1")])
            self.assertGreaterEqual(self.refused("connect_rate", scope), 1)
        self.assert_serves("t_free")
        eventually(lambda: self.publish("paced")[0] == 0, "its turn comes")

    def test_connect_rates_come_before_the_handshake(self):
        def handshake():
            return harness.run(
                ["openssl", "s_client", "-connect", f"localhost:{self.server.port('tls_paced')}"]
                + ["-CAfile", self.authority.certificate, "-brief"],
                check=False,
                stdin=b"",
            )[1]

        first, second = handshake(), handshake()
        self.assertIn("Protocol version", first)
        self.assertNotIn("Protocol version", second)
        self.assertGreaterEqual(self.refused("connect_rate", "listener"), 1)
        logged = [e for e in self.server.events("connection_refused") if e["listener"] == "tls_paced"]
        self.assertTrue(logged and logged[0]["peer"].startswith("127.0.0.1:"), logged)
        self.assert_serves("tls", "--cafile", self.authority.certificate)

    # --- what a client may hold ---

    def test_subscriptions_of_a_client_and_a_tenant(self):
        for listener, most in (("open", 3), ("t_filters", 2)):
            client = self.client(listener, listener)
            answers = [client.subscribe(f"s/{i}", 1) for i in range(4)]
            self.assertEqual(answers, [1] * most + [0x97] * (4 - most))
            client.unsubscribe("s/0")
            self.assertEqual(client.subscribe("s/9", 1), 1)
        old = self.client("t_filters", "-old", version=4)
        self.assertEqual(old.subscribe("s/1", 1), 0x80)
        self.assertGreaterEqual(self.refused("subscriptions", "client"), 1)
        self.assertGreaterEqual(self.refused("subscriptions", "tenant"), 3)
        self.assertEqual(self.client("t_free", "-free").subscribe("s/1", 1), 1)

    def test_depth_of_topics_and_wildcards(self):
        client = self.client("open")
        self.assertEqual(client.subscribe("a/b/c/d", 1), 1)
        self.assertEqual(client.subscribe("a/b/c/d/e", 1), 0x97)
        self.assertEqual(client.subscribe("a/+/c", 1), 1)
        self.assertEqual(client.subscribe("a/+/c/#", 1), 0x97)
        self.assert_serves("open", topic="a/b/c/d")
        self.assert_refuses("topic name invalid", "open", topic="a/b/c/d/e")
        self.assert_serves("open", topic="a/b/c/d/e", version="311")  # 3.1.1: acknowledged, dropped
        client.expect(1)
        self.assertEqual([message.topic for message in client.messages], ["a/b/c/d"])
        self.assertGreaterEqual(self.refused("topic_levels", "client"), 3)
        self.assertGreaterEqual(self.refused("wildcard_levels", "client"), 1)

    def test_packet_sizes_of_the_server_and_a_listener(self):
        for listener, most in (("open", 2_048), ("small", 1_024)):
            client = self.client(listener, listener)
            self.assertEqual(client.connack[2].MaximumPacketSize, most)
            client.publish("t", b"x" * (most - 100))
            client.paho.publish("t", b"x" * (most + 100), 1)
            eventually(lambda: client.disconnect, "DISCONNECT")
            self.assertEqual(client.disconnect[0], 0x95)
            client.paho.loop_stop(force=True)
        self.assert_serves("open", message="x" * 1_500)

    def test_inflight_and_queue_of_a_client(self):
        with socket.create_connection(("127.0.0.1", self.server.port("open")), 10) as sock:
            sock.settimeout(harness.PATIENCE_S)
            never_expires = m.block(m.prop.session_expiry(1_000))
            sock.sendall(m.connect(client_id="lazy", properties=never_expires))
            sock.recv(1_000)
            sock.sendall(m.subscribe(1, ("lazy/t", 1)))
            sock.recv(1_000)
            for i in range(20):
                self.assert_serves("open", topic="lazy/t", message=f"message-{i:02}")
            received = b""
            while received.count(b"message-") < 4:
                received += sock.recv(10_000)
            sock.settimeout(0.3)
            with self.assertRaises(TimeoutError):
                received += sock.recv(10_000)
                self.fail(f"more than may be in flight: {received}")
        # It never said that it got them: all four come again, and what waited behind them.
        broker = types.SimpleNamespace(host="127.0.0.1", port=self.server.port("open"))
        again = Client(broker, client_id="lazy", clean=False)
        self.addCleanup(again.close)
        again.expect(9)
        harness.let_time_pass(0.2)
        self.assertEqual(again.payloads, [f"message-{i:02}" for i in range(9)])
        self.assertGreaterEqual(self.refused("queue", "client"), 11)

    def test_bytes_that_wait_for_a_tenant(self):
        keep = properties("CONNECT", SessionExpiryInterval=1_000)
        for listener in ("t_stored", "t_free"):
            for index in range(6):
                away = self.client(listener, f"-{listener}-{index}", connect_properties=keep)
                away.subscribe(f"away/{index}", 1)
                away.leave()
        refused = 0
        for index in range(5):
            for _ in range(5):
                output = self.publish("t_stored", topic=f"away/{index}", message="x" * 1_000)[1]
                refused += "quota exceeded" in output.lower()
        self.assertGreaterEqual(refused, 5, "25 of 1,000 bytes do not fit in 16 KiB")
        self.assertLessEqual(refused, 15)
        self.assertGreaterEqual(self.refused("message_bytes", "tenant"), 5)
        for index in range(5):
            self.assert_serves("t_free", topic=f"away/{index}", message="x" * 1_000)

    def test_retained_messages_and_bytes_of_a_tenant(self):
        for index in range(2):
            self.assert_serves("t_kept", "-r", topic=f"r/{index}")
        self.assert_refuses("quota exceeded", "t_kept", "-r", topic="r/2")
        self.assert_serves("t_kept", "-r", topic="r/0", message="another")
        self.assert_serves("t_heavy", "-r", topic="r/0", message="x" * 900)
        self.assert_refuses("quota exceeded", "t_heavy", "-r", topic="r/1", message="x" * 900)
        self.assertGreaterEqual(self.refused("retained_messages", "tenant"), 1)
        self.assertGreaterEqual(self.refused("retained_bytes", "tenant"), 1)
        for index in range(3):
            self.assert_serves("t_free", "-r", topic=f"r/{index}", message="x" * 900)

    # --- who is not wanted ---

    def test_a_client_that_flaps_is_banned(self):
        for _ in range(3):
            self.assert_serves("t_free", "-i", "flappy")
        self.assert_refuses("banned", "t_free", "-i", "flappy")
        self.assert_refuses("banned", "t_free", "-i", "flappy")
        self.assert_refuses("not authori", "t_free", "-i", "flappy", version="311")
        self.assert_serves("t_free", "-i", "calm")
        self.assert_serves("open", "-i", "flappy")  # another tenant's client of that name
        self.assertGreaterEqual(self.refused("flapping", "client"), 1)

    def test_bans_of_the_configuration(self):
        in_a_moment = datetime.datetime.now(datetime.timezone.utc) + datetime.timedelta(seconds=4)
        self.addCleanup(self.reload, self.more)
        self.reload(
            self.more
            + f"""bans:
  - {{client_id: mallory, tenant: free, reason: "for a moment", until: "{in_a_moment:%Y-%m-%dT%H:%M:%SZ}"}}
  - {{user: eve}}
  - {{address: 127.0.0.2}}
  - {{address: 127.0.3.0/24}}
"""
        )
        self.assert_refuses("banned", "t_free", "-i", "mallory")
        self.assert_serves("open", "-i", "mallory")
        self.assert_refuses("banned", "people", "-u", "eve", "-P", "one")
        self.assert_serves("people", "-u", "ann", "-P", "two")
        self.assert_refuses("banned", "wide", "-A", "127.0.0.2")
        self.assert_refuses("banned", "wide", "-A", "127.0.3.99")
        self.assert_serves("wide", "-A", "127.0.4.99")
        self.assertGreaterEqual(self.refused("ban", "client"), 2)

        # Where a handshake stands in front, it does not begin.
        trusted = ("--cafile", self.authority.certificate, "--insecure")
        before = self.refused("ban", "server")
        status, output = self.publish("tls", *trusted, "-A", "127.0.3.7")
        self.assertNotEqual(status, 0, output)
        url = f"http://127.0.0.1:{self.server.port('web')}/mqtt"
        upgrade = ["curl", "-s", "-m", "5", "-o", "/dev/null", "-w", "%{http_code}", url]
        self.assertEqual(harness.run([*upgrade, "--interface", "127.0.0.2"], check=False)[1], "000")
        self.assertNotEqual(harness.run(upgrade, check=False)[1], "000")
        self.assertEqual(self.refused("ban", "server"), before + 2)
        self.assert_serves("tls", *trusted, "-A", "127.0.4.7")

        eventually(lambda: self.publish("t_free", "-i", "mallory")[0] == 0, "the ban ends")
        self.reload(self.more)
        self.assert_serves("wide", "-A", "127.0.0.2")


@only_mitud("its own configuration")
class GlobalLimits(LimitsCase):
    """Rates, and what the server has in all; live ones by a reload."""

    def tearDown(self):
        self.reload(self.more)

    def test_rates_of_tenants_and_listeners_slow_down_and_lose_nothing(self):
        since = time.monotonic()
        flows = [self.flow(listener) for listener in ("t_slow", "t_thin", "few", "lean")]
        self.assert_slowed_and_not_lost(flows, "t_free", since)
        for limit in ("message_rate", "byte_rate"):
            for scope in ("tenant", "listener"):
                self.assertGreaterEqual(self.refused(limit, scope), 1, (limit, scope))

    def test_rates_of_one_client(self):
        for limits in ("messages_per_s: 20", "bytes_per_s: 2KiB"):
            self.reload(f"limits: {{client: {{{limits}}}}}\n")
            since = time.monotonic()
            self.assert_slowed_and_not_lost([self.flow("t_free")], "t_free", since)
        self.assertGreaterEqual(self.refused("message_rate", "client"), 1)
        self.assertGreaterEqual(self.refused("byte_rate", "client"), 1)

    def test_connects_of_one_client(self):
        self.reload("limits: {client: {connects_per_minute: 2}}\n")
        for _ in range(2):
            self.assert_serves("t_free", "-i", "hasty")
        self.assert_refuses("connection rate exceeded", "t_free", "-i", "hasty")
        self.assert_serves("t_free", "-i", "calm")
        self.assertGreaterEqual(self.refused("connect_rate", "client"), 1)

    def test_rates_of_the_server(self):
        for limits in ("messages_per_s: 20", "bytes_per_s: 2KiB"):
            self.reload(f"limits: {{{limits}}}\n")
            since = time.monotonic()
            publisher, subscriber = self.flow("t_free")
            self.assertEqual(publisher.wait(), 0, publisher.output())
            subscriber.expect(MESSAGES)
            self.assertGreater(time.monotonic() - since, 1.5)
        self.assertGreaterEqual(self.refused("message_rate", "server"), 1)
        self.assertGreaterEqual(self.refused("byte_rate", "server"), 1)

    def test_connect_rate_of_the_server(self):
        self.reload("limits: {connect_rate_per_s: 1}\n")
        self.publish("open")
        self.assert_refuses("connection rate exceeded", "t_free")
        self.assertGreaterEqual(self.refused("connect_rate", "server"), 1)

    def test_retained_messages_and_bytes_of_the_server(self):
        self.reload("limits: {retained_messages_max: 3}\n")
        answers = [self.publish("t_free", "-r", topic=f"g/{i}")[1].lower() for i in range(4)]
        self.assertIn("quota exceeded", answers[3])
        self.assertGreaterEqual(self.refused("retained_messages", "server"), 1)
        self.reload("limits: {retained_bytes_max: 1KiB}\n")
        self.assert_refuses("quota exceeded", "t_free", "-r", topic="g/0", message="x" * 2_000)
        self.assertGreaterEqual(self.refused("retained_bytes", "server"), 1)
        self.assert_serves("t_free", topic="g/9")


@only_mitud("its own configuration")
class FewPlaces(LimitsCase):
    """The server's own places, and the bytes that wait for one client."""

    more = "limits: {connections_max: 3, queue_bytes_max: 4KiB}\n"

    def test_connections_of_the_server(self):
        held = [self.client(listener, f"-{listener}") for listener in ("open", "t_free", "t_kept")]
        self.assert_refuses("quota exceeded", "t_free")
        self.assertGreaterEqual(self.refused("connections", "server"), 1)
        held[0].paho.loop_stop(force=True)  # its connection stays, and nobody reads it
        self.client("open", "-open")  # takes its own place over
        held[1].leave()
        eventually(lambda: self.publish("t_kept")[0] == 0, "a place is free again")

    def test_bytes_that_wait_for_a_client(self):
        keep = properties("CONNECT", SessionExpiryInterval=1_000)
        away = self.client("open", connect_properties=keep)
        away.subscribe("away", 1)
        away.leave()
        for _ in range(10):
            self.assert_serves("open", topic="away", message="x" * 1_000)
        back = self.client("open", clean=False)
        back.expect(2)
        harness.let_time_pass(0.2)
        self.assertLessEqual(len(back.messages), 4)
        self.assertGreaterEqual(self.refused("queue", "client"), 6)


@only_mitud("its own configuration")
class MemoryBudget(LimitsCase):
    """Each step by itself: the budget is so that the process is over this step's threshold alone."""

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.resident = harness.resident_bytes(cls.server.process.pid)
        cls.budget = max(4 * cls.resident, cls.resident + (400 << 20)) >> 20 << 20
        cls.server.stop()

    @classmethod
    def tearDownClass(cls):
        pass  # each test stops its own

    def start(self, step, percent=1):
        """With that step on its own; at one percent it is on at once."""
        steps = ("refuse_connections_at", "drop_qos0_at", "refuse_retained_at", "disconnect_slow_at")
        on = [step] + ["drop_qos0_at"] * (step == "disconnect_slow_at")  # messages go before clients
        at = ", ".join(f"{each}: {percent if each in on else 100}" for each in steps)
        budget = f"{self.budget >> 20}MiB"
        self.server.configure(configuration(f"memory: {{budget_bytes: {budget}, {at}}}\n"))
        self.server.start()
        self.addCleanup(self.server.stop)

    def step_is_on(self):
        watched = types.SimpleNamespace(host="127.0.0.1", http_port=self.server.http_port)
        return harness.metric(watched, "mitu_memory_shedding_steps") > 0

    def test_new_connections_are_refused_and_who_is_in_stays(self):
        self.start("refuse_connections_at", -(-(self.resident + (30 << 20)) * 100 // self.budget))
        away = self.client(
            "open", "-away", connect_properties=properties("CONNECT", SessionExpiryInterval=1_000)
        )
        away.subscribe("big", 1)
        away.leave()
        inside = self.client("open", "-inside")
        for _ in range(60):
            inside.publish("big", b"x" * 1_000_000)
        eventually(self.step_is_on, "the step is on")
        self.assert_refuses("server busy", "t_free")
        self.assert_refuses("broker unavailable", "t_free", version="311")
        status, _ = self.publish("tls", "--cafile", self.authority.certificate)
        self.assertNotEqual(status, 0, "before the handshake")
        self.assertGreaterEqual(self.refused("memory", "server"), 3)
        inside.publish("t", "x")
        self.assertIsNone(inside.disconnect)

    def test_retained_messages_are_refused_and_others_are_not(self):
        self.start("refuse_retained_at")
        eventually(self.step_is_on, "the step is on")
        self.assert_refuses("quota exceeded", "t_free", "-r", topic="r")
        self.assert_serves("t_free", topic="r")

    def stuck_reader(self):
        """Subscribed to `big`, and reads nothing any more."""
        sock = socket.socket()
        self.addCleanup(sock.close)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4_096)
        sock.settimeout(harness.PATIENCE_S)
        sock.connect(("127.0.0.1", self.server.port("t_free")))
        sock.sendall(m.connect(client_id="stuck"))
        sock.recv(1_000)
        sock.sendall(m.subscribe(1, ("big", 1)))
        sock.recv(1_000)
        return sock

    def fill(self, qos):
        client = self.client("t_free", "-fills")
        for _ in range(60):
            client.paho.publish("big", b"x" * 100_000, qos)
        client.publish("end", "x")

    def test_qos_0_is_dropped_for_who_reads_too_slowly(self):
        self.start("drop_qos0_at")
        eventually(self.step_is_on, "the step is on")
        self.stuck_reader()
        reader = self.client("t_free", "-reads")
        reader.subscribe("end", 1)
        self.fill(qos=0)
        reader.expect(1)
        eventually(lambda: self.refused("memory", "server") > 0, "messages are dropped")

    def test_the_slowest_is_disconnected_and_its_neighbours_are_not(self):
        self.start("disconnect_slow_at")
        eventually(self.step_is_on, "the step is on")
        self.stuck_reader()
        reader = self.client("t_free", "-reads")
        reader.subscribe("end", 1)
        self.fill(qos=1)
        eventually(lambda: self.server.events("client_shed"), "the slowest goes")
        self.assertEqual(self.server.events("client_shed")[0]["client"], "stuck")
        reader.expect(1)
        self.assertIsNone(reader.disconnect)


if __name__ == "__main__":
    unittest.main()
