"""Devices, their credentials and their policies, enforced by the real server.

The policies are those of tests/e2e/policies, laid over the ones compiled in.
"""

import csv
import ctypes
import ctypes.util
import json
import pathlib
import tempfile
import time
import unittest

import harness
import raw_mqtt as m
from harness import eventually
from paho_client import Client, properties

FOLDER = harness.REPOSITORY / "tests/e2e/policies"
SHADOW = "$mitu/things/{}/shadow/name/mitu-policy/{}"

# (device, tenant, class)
DEVICES = (
    *((f"m-{index}", "nord", "meter") for index in range(12)),
    ("watch", "nord", "watcher"),
    ("m-1", "sued", "meter"),
    ("m-2", "sued", "meter"),
    ("eye", "sued", "watcher"),
)


def argon2id(password):
    """A credential as the registry has it, by a hand that is not mitu's."""
    sodium = ctypes.CDLL(ctypes.util.find_library("sodium"))
    assert sodium.sodium_init() >= 0
    made = ctypes.create_string_buffer(128)
    # The smallest cost: these passwords guard nothing.
    failed = sodium.crypto_pwhash_str(
        made,
        password.encode(),
        ctypes.c_ulonglong(len(password.encode())),
        ctypes.c_ulonglong(1),
        ctypes.c_size_t(8192),
    )
    assert not failed
    return made.value.decode()


def password_of(device, tenant):
    return f"password of {device}@{tenant}"


class PolicyCase(harness.BrokerCase):
    @classmethod
    def setUpClass(cls):
        folder = tempfile.TemporaryDirectory(prefix="mitu-e2e-registry-")
        cls.addClassCleanup(folder.cleanup)
        cls.folder = pathlib.Path(folder.name)
        registry = cls.folder / "devices.csv"
        with open(registry, "w", encoding="utf-8", newline="") as file:
            writer = csv.writer(file)
            writer.writerow(("device", "tenant", "class", "labels", "credential"))
            for device, tenant, class_name in DEVICES:
                credential = argon2id(password_of(device, tenant))
                writer.writerow((device, tenant, class_name, "", credential))
        cls.broker_options = ("--registry", registry, "--policies", FOLDER)
        super().setUpClass()

    def device(self, device, tenant="nord", version=5, **arguments):
        """A paho client that has logged in as a device."""
        arguments.setdefault("user", (f"{device}@{tenant}", password_of(device, tenant)))
        client = Client(self.broker, client_id=device, version=version, **arguments)
        self.addCleanup(client.close)
        return client

    def raw_device(self, device, tenant="nord", version=5, **arguments):
        connection = m.Connection(self.broker, version)
        self.addCleanup(connection.close)
        arguments.setdefault("client_id", device)
        arguments.setdefault("user_name", f"{device}@{tenant}")
        arguments.setdefault("password", password_of(device, tenant))
        connection.send(m.connect(version=version, **arguments))
        return connection

    def status(self, tenant, class_name):
        """The numbers of one class, as `mitu fleet status` reads them."""
        code, body = harness.http_get(self.broker, "/api/v1/fleet/status")
        self.assertEqual(code, 200, body)
        rows = [
            group
            for group in json.loads(body)["groups"]
            if (group["tenant"], group["class"]) == (tenant, class_name)
        ]
        self.assertEqual(len(rows), 1, body)
        return rows[0]


class Login(PolicyCase):
    def refusal(self, connection):
        packets = connection.receive_until_closed()
        self.assertEqual([packet.type for packet in packets], [m.CONNACK])
        return packets[0].connack_code

    def test_the_right_password_opens(self):
        for version in (4, 5):
            connection = self.raw_device("m-1", version=version)
            self.assertEqual(connection.expect(m.CONNACK).connack_code, 0)
            connection.ping()

    def test_a_wrong_password_does_not(self):
        for version, code in ((4, 4), (5, 0x86)):
            for password in ("wrong", "", password_of("m-1", "sued"), None):
                with self.subTest(version=version, password=password):
                    connection = self.raw_device("m-1", version=version, password=password)
                    self.assertEqual(self.refusal(connection), code)

    def test_the_client_id_of_another_device_is_refused(self):
        for version, code in ((4, 2), (5, 0x85)):
            with self.subTest(version=version):
                connection = self.raw_device("m-1", version=version, client_id="m-2")
                self.assertEqual(self.refusal(connection), code)

    def test_no_client_id_means_the_device_id(self):
        client = self.device("m-3")
        nameless = self.raw_device("m-3", client_id="")
        self.assertEqual(nameless.expect(m.CONNACK).connack_code, 0)
        eventually(lambda: client.disconnect, "the nameless one takes over")
        client.paho.loop_stop(force=True)

    def test_a_name_of_two_tenants_must_say_which(self):
        connection = self.raw_device("m-1", user_name="m-1")
        self.assertEqual(self.refusal(connection), 0x86)
        connection = self.raw_device("m-5", user_name="m-5")
        self.assertEqual(connection.expect(m.CONNACK).connack_code, 0)

    def test_a_wrong_password_harms_no_session(self):
        device = self.device("m-4")
        for _ in range(5):
            self.refusal(self.raw_device("m-4", password="wrong"))
        device.publish("t/m-4/x", "still here")
        self.assertIsNone(device.disconnect)

    def test_many_wrong_passwords_do_not_hold_up_the_others(self):
        guessers = [
            self.raw_device("m-6", password=f"guess {i}", client_id="m-6") for i in range(50)
        ]
        device = self.device("m-7")
        device.publish("t/m-7/x", "through")
        for guesser in guessers:
            self.assertIn(self.refusal(guesser), (0x86, 0x89))


class ClosedDoor(PolicyCase):
    anonymous = False

    def test_anonymous_clients_are_refused_where_they_are_not_allowed(self):
        for version, code in ((4, 5), (5, 0x87)):
            connection = self.raw_device("x", version=version, user_name=None, password=None)
            self.assertEqual(connection.expect(m.CONNACK).connack_code, code)

    def test_unknown_devices_are_refused(self):
        for version, code in ((4, 4), (5, 0x86)):
            connection = self.raw_device("nobody", version=version)
            self.assertEqual(connection.expect(m.CONNACK).connack_code, code)

    def test_devices_are_let_in(self):
        self.device("m-1").publish("t/m-1/x", "x")


class Access(PolicyCase):
    def watcher(self):
        watcher = self.device("watch")
        watcher.subscribe("#", 1)
        return watcher

    def test_what_the_policy_allows_gets_through(self):
        watcher, device = self.watcher(), self.device("m-1")
        device.publish("t/m-1/a/b", "x")
        device.publish("shared-by/nord/meter", "y")
        topics = sorted(message.topic for message in watcher.expect(2))
        self.assertEqual(topics, ["shared-by/nord/meter", "t/m-1/a/b"])

    def test_what_it_does_not_allow_is_refused_and_counted(self):
        watcher = self.watcher()
        device = self.raw_device("m-1")
        device.expect(m.CONNACK)
        refused = ("t/m-2/a", "c/m-1/x", "x", "t/m-1/secret/y", "shared-by/sued/meter", "$SYS/x")
        for packet_id, topic in enumerate(refused, start=1):
            device.send(m.publish(topic, b"no", qos=1, packet_id=packet_id))
            self.assertEqual(device.expect(m.PUBACK).ack_reason, 0x87, topic)
            device.send(m.publish(topic, b"no", qos=0))
        device.send(m.publish("t/m-1/fence", b"yes", qos=1, packet_id=99))
        device.expect(m.PUBACK)
        watcher.expect(1)
        self.assertEqual([message.topic for message in watcher.messages], ["t/m-1/fence"])
        _, body = harness.http_get(self.broker, "/api/v1/clients/nord/m-1")
        self.assertEqual(json.loads(body)["dropped"]["not_authorized"], 2 * len(refused))

    def test_version_311_gets_its_acknowledgement_but_not_its_way(self):
        watcher = self.watcher()
        device = self.device("m-1", version=4)
        device.publish("t/m-2/a", "no", 1)
        device.publish("t/m-2/a", "no", 2)
        device.publish("t/m-1/fence", "yes", 1)
        watcher.expect(1)
        self.assertEqual([message.topic for message in watcher.messages], ["t/m-1/fence"])

    def test_subscriptions_lie_within_what_is_allowed(self):
        for version, refusal in ((4, 0x80), (5, 0x87)):
            device = self.device("m-1", version=version)
            self.assertEqual(device.subscribe("c/m-1/#", 1), 1)
            self.assertEqual(device.subscribe("c/m-1/+/x", 1), 1)
            for filter_ in (
                "#",
                "+/m-1/#",
                "c/#",
                "c/+/x",
                "c/m-2/x",
                "t/m-1/#",
                "$share/g/c/m-2/x",
            ):
                with self.subTest(version=version, filter=filter_):
                    self.assertEqual(device.subscribe(filter_, 1), refusal)

    def test_a_will_is_held_to_the_policy_too(self):
        watcher = self.watcher()
        for topic in ("t/m-2/will", "t/m-1/will"):
            doomed = self.raw_device("m-1", will=(topic, b"lost", 1, False))
            # Refused at once, or published never; what it may not do, it does not do.
            if doomed.receive().connack_code == 0:
                doomed.reset()
        watcher.expect(1)
        self.assertEqual([message.topic for message in watcher.messages], ["t/m-1/will"])


class Limits(PolicyCase):
    def test_a_payload_above_the_limit_is_refused(self):
        watcher = self.device("watch")
        watcher.subscribe("t/#", 1)
        device = self.raw_device("m-1")
        device.expect(m.CONNACK)
        device.send(m.publish("t/m-1/x", b"x" * 1001, qos=1, packet_id=1))
        self.assertEqual(device.expect(m.PUBACK).ack_reason, 0x97)
        device.send(m.publish("t/m-1/x", b"x" * 1001, qos=0))
        device.send(m.publish("t/m-1/x", b"x" * 1000, qos=1, packet_id=2))
        self.assertEqual(device.expect(m.PUBACK).ack_reason & 0x80, 0)
        watcher.expect(1)
        self.assertEqual([len(message.payload) for message in watcher.messages], [1000])
        _, body = harness.http_get(self.broker, "/api/v1/clients/nord/m-1")
        self.assertEqual(json.loads(body)["dropped"]["payload_too_large"], 2)

    def test_a_device_that_is_too_fast_is_slowed_down_and_nobody_else(self):
        fast, other = self.device("m-2"), self.device("m-3")
        began = time.monotonic()
        count, per_second, burst = 60, 20, 10
        for index in range(count):
            fast.paho.publish("t/m-2/x", str(index), 1)
        other.publish("t/m-3/x", "at once")
        self.assertLess(time.monotonic() - began, (count - burst) / per_second)
        fast.publish("t/m-2/x", "last")
        self.assertGreater(time.monotonic() - began, (count - burst) / per_second * 0.9)
        self.assertGreater(harness.metric(self.broker, "mitu_rate_limited_total"), 0)

    def test_the_queue_of_a_device_that_is_away_is_bounded(self):
        keep = properties("CONNECT", SessionExpiryInterval=600)
        away = self.device("m-4", clean=False, connect_properties=keep)
        away.subscribe("c/m-4/#", 1)
        away.leave()
        watcher = self.device("watch")
        for index in range(20):
            watcher.publish("c/m-4/x", str(index))
        back = self.device("m-4", clean=False, connect_properties=keep)
        watcher.publish("c/m-4/x", "fence")
        eventually(lambda: "fence" in back.payloads, "fence")
        self.assertEqual(back.payloads, ["0", "1", "2", "3", "4", "fence"])
        _, body = harness.http_get(self.broker, "/api/v1/clients/nord/m-4")
        self.assertEqual(sum(json.loads(body)["dropped"].values()), 15)


class Heartbeats(PolicyCase):
    def missed(self):
        return self.status("nord", "meter")["heartbeat_missed"]

    def test_version_5_is_told_the_interval_and_held_to_it(self):
        device = self.raw_device("m-1", keep_alive_s=600)
        connack = device.expect(m.CONNACK)
        self.assertEqual(connack.properties()[0x13], [1])  # Server Keep Alive
        packets = device.receive_until_closed()
        self.assertEqual([packet.disconnect_reason for packet in packets], [0x8D])

    def test_silence_is_shown_as_missed_until_the_device_is_heard_again(self):
        device = self.raw_device("m-2", version=4)  # no Keep Alive: the connection stays
        device.expect(m.CONNACK)
        eventually(lambda: self.missed() == 0, "nothing is missed yet")
        eventually(lambda: self.missed() == 1, lambda: f"one is missed, not {self.missed()}")
        self.assertEqual(self.status("nord", "meter")["online"], 1)
        device.ping()
        eventually(lambda: self.missed() == 0, lambda: f"none is missed, not {self.missed()}")
        device.send(m.disconnect())
        device.receive_until_closed()

    def test_a_device_that_says_goodbye_is_not_missed(self):
        polite, lost = self.raw_device("m-3", version=4), self.raw_device("m-4", version=4)
        for device in (polite, lost):
            device.expect(m.CONNACK)
        polite.send(m.disconnect())
        polite.receive_until_closed()
        lost.reset()
        eventually(lambda: self.missed() == 1, lambda: f"one is missed, not {self.missed()}")
        self.assertEqual(self.status("nord", "meter")["online"], 0)
        back = self.raw_device("m-4", version=4)
        back.expect(m.CONNACK)
        eventually(lambda: self.missed() == 0, lambda: f"none is missed, not {self.missed()}")
        back.send(m.disconnect())
        back.receive_until_closed()


class Settings(PolicyCase):
    SETTINGS = {"interval_s": 10, "colour": {"red": 1, "green": 2}}
    DESIRED = {"revision": 3, "settings": SETTINGS}

    def shadow(self, device):
        client = self.device(device)
        client.subscribe(SHADOW.format(device, "get/+"), 1)
        client.subscribe(SHADOW.format(device, "update/+"), 1)
        return client

    def ask(self, client, device, suffix, body=""):
        """Publishes to the shadow; returns the answers by suffix, once all that are due came."""
        before = len(client.messages)
        client.publish(SHADOW.format(device, suffix), body if body == "" else json.dumps(body))
        eventually(
            lambda: any(
                message.topic.endswith((f"{suffix}/accepted", f"{suffix}/rejected"))
                for message in client.messages[before:]
            ),
            lambda: f"an answer to {suffix}",
        )
        return {
            message.topic.split("mitu-policy/")[1]: json.loads(message.payload or b"null")
            for message in client.messages[before:]
        }

    def report(self, client, device, reported):
        return self.ask(client, device, "update", {"state": {"reported": reported}})

    def drifted(self):
        return self.status("nord", "meter")["drifted"]

    def test_a_device_gets_its_settings_and_reports_them(self):
        self.assertEqual(self.drifted(), 0)
        client = self.shadow("m-1")
        eventually(lambda: self.drifted() == 1, "a new device has drifted")
        answer = self.ask(client, "m-1", "get")["get/accepted"]
        self.assertEqual(answer["state"]["desired"], self.DESIRED)
        self.assertEqual(answer["state"]["delta"], self.DESIRED)
        self.assertIn("version", answer)

        self.report(client, "m-1", {"revision": 3, "settings": {"interval_s": 10}})
        eventually(
            lambda: any(message.topic.endswith("update/delta") for message in client.messages),
            "a delta, as long as something is missing",
        )
        self.assertEqual(self.drifted(), 1)
        answers = self.report(client, "m-1", self.DESIRED)
        self.assertIn("update/accepted", answers)
        eventually(lambda: self.drifted() == 0, lambda: f"none has drifted, not {self.drifted()}")

        answer = self.ask(client, "m-1", "get")["get/accepted"]
        self.assertEqual(answer["state"]["reported"], self.DESIRED)
        self.assertNotIn("delta", answer["state"])

    def test_drift_that_comes_back_is_seen(self):
        client = self.shadow("m-2")
        self.report(client, "m-2", self.DESIRED)
        eventually(lambda: self.drifted() == 0, lambda: f"none has drifted, not {self.drifted()}")
        self.report(client, "m-2", {"settings": {"interval_s": 11}})
        eventually(lambda: self.drifted() == 1, lambda: f"one has drifted, not {self.drifted()}")
        self.report(client, "m-2", {"settings": {"interval_s": 10}})
        eventually(lambda: self.drifted() == 0, lambda: f"none has drifted, not {self.drifted()}")

    def test_what_is_desired_is_not_the_devices_to_change(self):
        client = self.shadow("m-3")
        answers = self.ask(client, "m-3", "update", {"state": {"desired": {"revision": 9}}})
        self.assertEqual(answers["update/rejected"]["code"], 403)
        self.report(client, "m-3", self.DESIRED)

    def test_what_is_not_json_is_rejected(self):
        client = self.shadow("m-4")
        for payload in ("{", "[]", "7", '{"state": 1}', "\0", '{"state":{"reported":' + "[" * 30):
            before = len(client.messages)
            client.publish(SHADOW.format("m-4", "update"), payload)
            eventually(lambda: len(client.messages) > before, "a rejection")
            message = client.messages[before]
            self.assertTrue(message.topic.endswith("update/rejected"), message.topic)
            self.assertEqual(json.loads(message.payload)["code"], 400)
        self.report(client, "m-4", self.DESIRED)

    def test_the_simulated_fleet_ends_without_drift(self):
        """mitu's own policy agents apply and report, until nothing has drifted."""
        credentials = self.folder / "credentials.csv"
        with open(credentials, "w", encoding="utf-8", newline="") as file:
            writer = csv.writer(file)
            writer.writerow(("device", "tenant", "class", "password"))
            for device, tenant, class_name in DEVICES:
                if class_name == "meter":
                    writer.writerow((device, tenant, class_name, password_of(device, tenant)))
        fleet = harness.Process(
            [harness.BIN_DIR / "mitu", "fleet", "simulate", "--credentials", credentials]
            + ["--host", self.broker.host, "--port", self.broker.port, "--quiet"]
        )
        self.addCleanup(fleet.kill)
        for tenant, count in (("nord", 12), ("sued", 2)):
            eventually(
                lambda: self.status(tenant, "meter")["online"] == count,
                lambda: f"{count} online: {self.status(tenant, 'meter')}\n{fleet.output()}",
            )
            eventually(
                lambda: self.status(tenant, "meter")["drifted"] == 0,
                lambda: f"0 drifted: {self.status(tenant, 'meter')}",
            )
        _, output = harness.run(
            [harness.BIN_DIR / "mitu", "fleet", "status", "--json"]
            + ["--http", f"{self.broker.host}:{self.broker.http_port}"]
        )
        totals = json.loads(output)["totals"]
        self.assertEqual((totals["online"], totals["drifted"]), (14, 0))
        self.assertEqual(fleet.terminate(), 0, fleet.output())


class Tenants(PolicyCase):
    def test_tenants_are_walls(self):
        """The same device ids, topics and shares in two tenants: nothing passes."""
        north, south = self.device("watch"), self.device("eye", "sued")
        anonymous = Client(self.broker, client_id="anonymous")
        self.addCleanup(anonymous.close)
        everyone = {"nord": north, "sued": south, "default": anonymous}
        for client in everyone.values():
            client.subscribe("t/#", 1)
            client.subscribe("$share/crew/s/#", 1)
        for name, client in everyone.items():
            client.publish("t/x", f"of {name}")
            client.publish("s/x", f"shared of {name}")
            client.publish("t/kept", f"kept by {name}", retain=True)
        for name, client in everyone.items():
            client.expect(3)
            wanted = sorted((f"of {name}", f"shared of {name}", f"kept by {name}"))
            self.assertEqual(sorted(client.payloads), wanted)
        late = Client(self.broker, client_id="late")
        self.addCleanup(late.close)
        late.subscribe("t/#", 1)
        late.expect(1)
        late.publish("t/fence", "fence")
        late.expect(2)
        self.assertEqual(sorted(late.payloads), ["fence", "kept by default"])

    def test_the_same_id_in_two_tenants_is_two_clients(self):
        north, south = self.device("m-1"), self.device("m-1", "sued")
        stranger = Client(self.broker, client_id="m-1")
        self.addCleanup(stranger.close)
        for client in (north, south, stranger):
            client.publish("t/m-1/x", "here")
        for client in (north, south, stranger):
            self.assertIsNone(client.disconnect)


class Configuration(unittest.TestCase):
    def check(self, *options):
        return harness.run([harness.BIN_DIR / "mitud", "--check-config", *options], check=False)

    def test_what_is_right_is_confirmed(self):
        status, output = self.check("--policies", FOLDER)
        self.assertEqual(status, 0, output)
        self.assertTrue(output.startswith("ok"), output)

    def test_one_file_configures_and_flags_win_over_it(self):
        with tempfile.TemporaryDirectory() as folder:
            path = pathlib.Path(folder, "mitud.yaml")
            path.write_text("node:\n  shards: 999\nlisteners:\n  - {name: a, bnd: '*:1883'}\n")
            status, output = self.check("--data", folder)
            self.assertEqual(status, 2, output)
            self.assertIn("mitud.yaml:2: node.shards is 999; use 0..256", output)
            self.assertIn("mitud.yaml:4: listeners[0].bnd is not known; did you mean bind?", output)
            path.write_text("node:\n  shards: 999\n")
            status, output = self.check("--data", folder, "--shards", "2")
            self.assertEqual(status, 0, output)
            status, output = self.check("--data", folder, "--config", "", "--io", "uring")
            self.assertEqual(status, 2, output)
            self.assertIn("--io: node.io is", output)

    def test_what_is_wrong_is_named_with_file_line_value_and_remedy(self):
        good = (FOLDER / "nord.yaml").read_text()
        for at, before, after, words in (
            ("interval: 0s", "interval: 1s", "interval: 0s", ('"0s"', "1s..24h")),
            ("per_second: 0", "per_second: 20", "per_second: 0", ("0", "1..1000000")),
            ("t/#/", "t/${device}/#", "t/#/${device}", ("t/#/${device}",)),
            ("_maximum", "payload_bytes_max", "payload_bytes_maximum", ("payload_bytes_max?",)),
            # What is wrong between documents is named where the later one begins.
            ("kind: Policy", "tenant: nord,", "tenant: nowhere,", ("nowhere",)),
        ):
            with self.subTest(wrong=after), tempfile.TemporaryDirectory() as folder:
                text = good.replace(before, after, 1)
                self.assertNotEqual(text, good)
                path = pathlib.Path(folder, "nord.yaml")
                path.write_text(text)
                status, output = self.check("--policies", folder)
                self.assertEqual(status, 2, output)
                line = 1 + text[: text.index(at)].count("\n")
                self.assertIn(f"nord.yaml:{line}:", output)
                for word in words:
                    self.assertIn(word, output)


if __name__ == "__main__":
    unittest.main()
