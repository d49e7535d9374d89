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
  - {name: acme, bind: "127.0.0.1:0", tenant: acme, authentication: [people], allow_anonymous: never}
tenants:
  - {name: acme}
authentication:
  allow_anonymous: loopback
  methods:
    - {name: people, kind: password_file, file: "{folder}/passwords"}
access: {acl_file: "{folder}/acl"}
"""

ACL = """
topic readwrite open/#
topic read $SYS/#
user ann
topic readwrite open/#
topic read $SYS/#
"""


@only_mitud("its own tools")
class Seeing(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.folder = pathlib.Path(tempfile.mkdtemp(prefix="mitu-e2e-"))
        harness.run(["mosquitto_passwd", "-b", "-c", cls.folder / "passwords", "ann", "one"])
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


if __name__ == "__main__":
    unittest.main()
