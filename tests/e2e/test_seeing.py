"""Seeing what the broker does: refusals by client, `$SYS`, traces, metrics; with mosquitto's clients."""

import json
import pathlib
import tempfile
import unittest

import harness
from configured import ConfiguredServer
from harness import only_mitud

CONFIGURATION = """
listeners:
  - {name: open, bind: "127.0.0.1:0"}
  - {name: wide, bind: "127.0.0.1:0", authentication: [people], allow_anonymous: never}
  - {name: acme, bind: "127.0.0.1:0", tenant: acme, authentication: [people], allow_anonymous: never}
tenants:
  - {name: acme}
authentication:
  allow_anonymous: loopback
  methods:
    - {name: people, kind: password_file, file: "{folder}/passwords"}
access: {acl_file: "{folder}/acl"}
sys_topics: {interval: 1s}
"""

ACL = """
topic readwrite open/#
topic read $SYS/#
user ann
topic readwrite open/#
topic read $SYS/#
user all
topic readwrite #
"""


@only_mitud("its own tools")
class Seeing(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.folder = pathlib.Path(tempfile.mkdtemp(prefix="mitu-e2e-"))
        harness.run(["mosquitto_passwd", "-b", "-c", cls.folder / "passwords", "ann", "one"])
        harness.run(["mosquitto_passwd", "-b", cls.folder / "passwords", "all", "one"])
        (cls.folder / "acl").write_text(ACL)
        cls.server = ConfiguredServer(CONFIGURATION, cls.folder)

    @classmethod
    def tearDownClass(cls):
        cls.server.stop()

    def publish(self, topic, *words, listener="open"):
        host = ["-h", "localhost", "-p", str(self.server.port(listener))]
        return harness.run(
            ["mosquitto_pub", *host, "-V", "5", "-q", "1", "-t", topic, "-m", "x", *words],
            check=False,
        )

    def mitu(self, *words, check=True):
        url = ["--url", f"127.0.0.1:{self.server.http_port}"]
        return harness.run([harness.BIN_DIR / "mitu", *words, *url], check=check)

    def client(self, client_id, tenant="default"):
        words = ["client", "show", client_id, "--tenant", tenant, "--json"]
        return json.loads(self.mitu(*words)[1])

    def test_a_client_that_never_got_in_is_shown_with_the_reason(self):
        for _ in range(2):
            self.publish("open/t", "-i", "stranger", "-u", "ann", "-P", "two", listener="acme")
        shown = self.client("stranger", "acme")
        self.assertFalse(shown["has_session"])
        refusal = shown["refusals"][0]
        self.assertEqual(
            (refusal["kind"], refusal["reason"], refusal["count"], refusal["tenant"]),
            ("connect_refused", "bad_user_name_or_password", 2, "acme"),
        )
        self.assertRegex(refusal["at"], r"^20\d\d-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$")
        people = self.mitu("client", "show", "stranger", "--tenant", "acme")[1]
        self.assertIn("bad_user_name_or_password", people)
        status, output = self.mitu("client", "show", "nobody", check=False)
        self.assertNotEqual(status, 0)
        self.assertIn("no such client", output)

    def test_what_a_client_may_not_publish_is_shown_with_time_and_reason(self):
        session = ["-i", "talker", "-c", "-x", "60"]
        self.publish("open/t", *session)
        self.publish("closed/t", *session)
        refusal = self.client("talker")["refusals"][0]
        self.assertEqual(
            (refusal["kind"], refusal["reason"]), ("message_dropped", "not_authorized")
        )

    def test_sys_topics_are_each_tenants_own_and_heard_once(self):
        def heard(listener, *words):
            host = ["-h", "localhost", "-p", str(self.server.port(listener))]
            output = harness.run(
                ["mosquitto_sub", *host, "-t", "$SYS/#", "-W", "4", "-F", "%t=%p", *words],
                check=False,
            )[1]
            return [line for line in output.splitlines() if line.startswith("$SYS/")]

        self.assertIn("$SYS/broker/heap/current", "\n".join(heard("open")), "default is alone")
        mine = heard("acme", "-u", "ann", "-P", "one", "-i", "reader")
        values = dict(line.split("=", 1) for line in mine)
        self.assertEqual(values["$SYS/broker/clients/connected"], "1", "of this tenant only")
        self.assertTrue(values["$SYS/broker/version"].startswith("mitud version "))
        self.assertIn("$SYS/broker/load/bytes/received/15min", values)
        self.assertIn("$SYS/broker/retained messages/count", values)
        self.assertNotIn("$SYS/broker/heap/current", values, "the server's are not this tenant's")
        versions = [line for line in mine if line.startswith("$SYS/broker/version=")]
        self.assertEqual(len(versions), 1)
        others = "\n".join(heard("open"))
        self.assertIn("$SYS/broker/clients/total=", others, "the default tenant has its own tree")
        self.assertNotIn("$SYS/broker/heap/current", others, "it is not alone any more")

        status, output = self.publish("$SYS/broker/version")
        self.assertIn("not authorized", output.lower())
        harness.run(["mosquitto_pub", "-h", "localhost", "-p", str(self.server.port("open"))]
                    + ["-t", "open/kept", "-r", "-m", "seen"])
        host = ["-h", "localhost", "-p", str(self.server.port("wide"))]
        words = ["mosquitto_sub", *host, "-u", "all", "-P", "one", "-t", "#", "-W", "2", "-F", "%t"]
        topics = harness.run(words, check=False)[1]
        self.assertNotIn("$SYS", topics, "a wildcard in front does not match it")

    def test_a_client_is_followed_live(self):
        administrator = ["--url", f"unix:{self.server.folder}/data/api.sock"]
        tracer = harness.Process(
            [harness.BIN_DIR / "mitu", "trace", "client", "followed", "--duration", "30s", "--json"]
            + administrator
        )
        topic = harness.Process(
            [harness.BIN_DIR / "mitu", "trace", "topic", "open/+", "--duration", "30s", "--payload"]
            + administrator
        )

        def told(**wanted):
            for line in list(tracer.lines):
                event = json.loads(line)
                if all(event.get(key) == value for key, value in wanted.items()):
                    return event
            return None

        def comes():
            self.publish("open/t", "-i", "followed", "-m", "hush-hush")
            return told(event="disconnected")

        try:
            harness.eventually(comes, "the client is traced")
            self.assertIn("MQTT 5.0", told(event="connected")["text"])
            publish = told(event="packet_in", packet="PUBLISH")
            self.assertEqual((publish["topic"], publish["qos"], publish["bytes"]), ("open/t", 1, 9))
            self.assertNotIn("payload", publish)
            self.assertEqual(told(event="packet_out", packet="PUBACK")["packet_id"], 1)
            self.assertIsNotNone(told(event="packet_out", packet="CONNACK", reason="success"))
            self.publish("closed/t", "-i", "followed")
            harness.eventually(lambda: told(event="dropped", reason="not_authorized"), "the drop")
            harness.eventually(
                lambda: [l for l in list(topic.lines) if "routed" in l and "hush-hush" in l],
                "the topic is traced, with its payload",
            )
            self.assertFalse([line for line in list(topic.lines) if "closed/t" in line])
        finally:
            tracer.terminate()
            topic.terminate()

    def test_a_tenants_numbers_are_for_those_who_may_see_them(self):
        def metrics(*headers):
            words = [word for header in headers for word in ("-H", header)]
            url = f"http://127.0.0.1:{self.server.http_port}/metrics"
            return harness.run(["curl", "-s", *words, url])[1]

        self.assertIn('tenant="acme"', metrics(), "nobody is set up, and this is the same machine")
        without = metrics("Forwarded: for=192.0.2.1")
        self.assertIn("mitu_clients", without)
        self.assertNotIn('tenant="', without)


if __name__ == "__main__":
    unittest.main()
