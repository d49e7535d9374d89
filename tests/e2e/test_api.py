"""The API administers a running server: curl and `mitu` change it, mosquitto's clients feel it."""

import json
import pathlib
import shutil
import tempfile
import unittest

import harness
from configured import Authority, ConfiguredServer
from harness import eventually, only_mitud

CONFIGURATION = """
listeners:
  - {name: main, bind: "127.0.0.1:0"}
  - {name: side, bind: "127.0.0.1:0"}
authentication:
  allow_anonymous: never
  methods: [{name: people, kind: users}]
access: {acl_file: "{folder}/acl"}
users:
  - {name: filed, credential: "{credential}"}
bans:
  - {client_id: filed-out, reason: written down}
api:
  tls: {certificate: "{folder}/api.pem", key: "{folder}/api.key"}
  login_rate_per_minute: 3
  token_ttl: 1h
"""
PASSWORD = "correct horse"


@only_mitud("its own API")
class Administration(unittest.TestCase):
    def setUp(self):
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="mitu-e2e-"))
        self.authority = Authority(self.folder)
        self.authority.issue("api")
        (self.folder / "acl").write_text("pattern readwrite open/#\n")
        harness.run(
            [harness.BIN_DIR / "mitu", "passwd", self.folder / "passwords", "filed", "--password-stdin"],
            stdin=b"filed password\n",
        )
        credential = (self.folder / "passwords").read_text().strip().split(":", 1)[1]
        self.text = CONFIGURATION.replace("{credential}", credential)
        self.server = ConfiguredServer(self.text, self.folder)
        self.socket = self.folder / "data" / "api.sock"
        self.children = []
        self.token = None
        self.token = self.key("root", "admin")

    def tearDown(self):
        for child in self.children:
            if child.is_running():
                child.terminate()
        self.server.stop()
        shutil.rmtree(self.folder, ignore_errors=True)

    # --- who asks ---

    def call(self, method, path, body=None, token=None, headers=(), words=()):
        """(status, answer) by curl over HTTPS; the first time over the Unix socket."""
        token = token or self.token
        where = ["--unix-socket", self.socket, f"http://localhost/api/v1{path}"]
        if token is not None:
            where = [
                *("--cacert", self.authority.certificate, "-H", f"Authorization: Bearer {token}"),
                f"https://127.0.0.1:{self.server.http_port}/api/v1{path}",
            ]
        data = [] if body is None else ["--json", json.dumps(body)]
        extra = [word for header in headers for word in ("-H", header)]
        _, output = harness.run(
            ["curl", "-sS", "-X", method, "-w", "\n%{http_code}", *data, *extra, *words, *where]
        )
        text, status = output.rsplit("\n", 1)
        return int(status), json.loads(text) if text.strip() else None

    def done(self, method, path, body=None, **how):
        status, answer = self.call(method, path, body, **how)
        self.assertLess(status, 300, answer)
        return answer

    def refused(self, code, method, path, body=None, **how):
        status, answer = self.call(method, path, body, **how)
        self.assertGreaterEqual(status, 400, answer)
        self.assertEqual(answer["code"], code, answer)
        return answer

    def key(self, name, role, tenant=None):
        return self.done("POST", "/api-keys", {"name": name, "role": role, "tenant": tenant})["secret"]

    def mitu(self, *words, stdin=None, check=True):
        url = f"unix:{self.socket}"
        return harness.run([harness.BIN_DIR / "mitu", *words, "--url", url], stdin=stdin, check=check)

    # --- what clients feel ---

    def publish(self, user="dora", password=PASSWORD, client="c-1", listener="main"):
        return harness.run(
            ["mosquitto_pub", "-h", "127.0.0.1", "-p", str(self.server.port(listener)), "-V", "5"]
            + ["-i", client, "-u", user, "-P", password, "-q", "1", "-t", "open/t", "-m", "x"],
            check=False,
        )

    def listen(self, user="dora", password=PASSWORD, client="ear", listener="main"):
        """mosquitto_sub that has subscribed, and ends with its connection."""
        child = harness.Process(
            ["stdbuf", "-oL", "mosquitto_sub", "-d", "-V", "5"]
            + ["-h", "127.0.0.1", "-p", str(self.server.port(listener))]
            + ["-i", client, "-u", user, "-P", password, "-q", "1", "-t", "open/#"]
        )
        self.children.append(child)
        eventually(lambda: "Subscribed" in child.output(), lambda: f"subscribed: {child.output()}")
        return child

    def disconnected(self, child, reason):
        eventually(lambda: f"DISCONNECT ({reason})" in child.output(), child.output)
        child.kill()  # it would come again and again

    def add_user(self, name="dora"):
        return self.done("POST", "/users/default", {"name": name, "password": PASSWORD})

    def restart(self):
        self.server.stop()
        self.server.start()

    # --- the promises ---

    def test_a_ban_acts_at_once_lasts_and_can_be_lifted(self):
        self.add_user()
        child = self.listen(client="victim")
        ban = self.done(
            "POST", "/bans", {"kind": "client_id", "value": "victim", "reason": "it floods"}
        )
        self.assertTrue(ban["created_by"].startswith("key:"), ban)
        self.assertIsNotNone(ban["created_at"])
        self.disconnected(child, 152)
        status, output = self.publish(client="victim")
        self.assertNotEqual(status, 0)
        self.assertIn("Banned", output)
        self.refused(1300, "POST", "/bans", {"kind": "client_id", "value": "victim"})

        self.restart()
        listed = {one["id"]: one for one in self.done("GET", "/bans")["items"]}
        self.assertEqual(listed[ban["id"]], ban)
        self.assertNotEqual(self.publish(client="victim")[0], 0)
        self.done("DELETE", f"/bans/{ban['id']}")
        self.assertEqual(self.publish(client="victim")[0], 0)
        self.refused(1204, "DELETE", f"/bans/{ban['id']}")
        filed = next(one for one in listed.values() if one["value"] == "filed-out")
        self.assertIsNone(filed["created_at"])
        self.assertIn("mitud.yaml:", self.refused(1304, "DELETE", f"/bans/{filed['id']}")["message"])

        by_user = self.listen(client="other")
        self.mitu("ban", "add", "user", "dora", "--tenant", "default", "--for", "1s")
        self.disconnected(by_user, 152)
        eventually(lambda: self.publish()[0] == 0, "the ban has expired")
        by_address = self.listen(client="third")
        network = self.done("POST", "/bans", {"kind": "network", "value": "127.0.0.0/8"})
        self.disconnected(by_address, 152)
        self.assertNotEqual(self.publish()[0], 0)
        shown = json.loads(self.mitu("ban", "list", "--json")[1])
        self.assertIn("127.0.0.0/8", json.dumps(shown))
        self.mitu("ban", "remove", network["id"])
        self.assertEqual(self.publish()[0], 0)
        self.refused(1003, "POST", "/bans", {"kind": "address", "value": "300.1.1.1"})

    def test_the_life_of_a_user(self):
        self.assertNotEqual(self.publish()[0], 0)
        made = self.add_user()
        self.assertEqual(self.publish()[0], 0)
        self.assertNotEqual(self.publish(password="wrong")[0], 0)
        self.refused(1300, "POST", "/users/default", {"name": "dora", "password": PASSWORD})
        self.refused(1003, "POST", "/users/default", {"name": "a:b", "password": PASSWORD})

        self.restart()
        self.assertEqual(self.publish()[0], 0)
        self.assertEqual(self.done("GET", "/users/default/dora"), made)
        child = self.listen()
        off = self.done("PATCH", "/users/default/dora", {"enabled": False})
        self.assertGreater(off["revision"], made["revision"])
        self.disconnected(child, 135)
        self.assertNotEqual(self.publish()[0], 0)
        stale = [f"If-Match: \"{made['revision']}\""]
        self.refused(1301, "PATCH", "/users/default/dora", {"enabled": True}, headers=stale)
        self.done("PATCH", "/users/default/dora", {"enabled": True, "password": "another one"})
        self.assertNotEqual(self.publish()[0], 0)
        child = self.listen(password="another one")
        self.mitu("user", "remove", "dora")
        self.disconnected(child, 135)
        self.assertNotEqual(self.publish(password="another one")[0], 0)
        self.refused(1205, "DELETE", "/users/default/dora")

        self.assertEqual(self.publish(user="filed", password="filed password")[0], 0)
        self.refused(1304, "PATCH", "/users/default/filed", {"enabled": False})
        managed = (self.folder / "data" / "managed.yaml").read_text()
        self.assertNotIn("another one", managed)

    def test_roles_and_tenants_are_walls(self):
        self.add_user()
        self.done("POST", "/users/acme", {"name": "theirs", "password": PASSWORD})
        viewer = self.key("eye", "viewer")
        for method, path, body in (
            ("POST", "/bans", {"kind": "user", "value": "dora"}),
            ("POST", "/users/default", {"name": "x", "password": PASSWORD}),
            ("PATCH", "/listeners/side", {"enabled": False}),
            ("POST", "/config/reload", None),
        ):
            self.refused(1103, method, path, body, token=viewer)
        theirs = self.key("acme admin", "admin", tenant="acme")
        names = [one["name"] for one in self.done("GET", "/users", token=theirs)["items"]]
        self.assertEqual(names, ["theirs"])
        self.assertEqual(self.call("GET", "/users/default/dora", token=theirs)[0], 404)
        ours = self.done("POST", "/bans", {"kind": "user", "value": "bad", "tenant": "default"})
        self.assertEqual(self.done("GET", "/bans", token=theirs)["items"], [])
        self.assertEqual(self.call("DELETE", f"/bans/{ours['id']}", token=theirs)[0], 404)
        address = {"kind": "address", "value": "127.0.0.1"}
        self.refused(1104, "POST", "/bans", address, token=theirs)
        self.refused(1104, "POST", "/config/reload", token=theirs)
        # The same name in another tenant is somebody else.
        self.done("POST", "/bans", {"kind": "user", "value": "dora"}, token=theirs)
        self.assertEqual(self.publish()[0], 0)

    def test_a_listener_goes_off_and_on(self):
        self.add_user()
        child = self.listen(listener="side")
        listed = {one["name"]: one for one in self.done("GET", "/listeners")["items"]}
        self.assertEqual(listed["side"]["connections"], 1)
        self.assertEqual(listed["main"]["connections"], 0)
        port = self.server.port("side")
        self.mitu("listener", "disable", "side")
        eventually(lambda: "refused" in self.publish(listener="side")[1], "nobody comes in")
        self.assertEqual(self.publish(listener="main")[0], 0)
        self.assertTrue(child.is_running())
        eventually(lambda: "open/t" in child.output(), "who was in stays and is served")
        child.terminate()

        self.restart()
        listed = {one["name"]: one for one in self.done("GET", "/listeners")["items"]}
        self.assertFalse(listed["side"]["enabled"])
        self.assertEqual(self.publish(listener="main")[0], 0)
        self.assertEqual(self.done("PATCH", "/listeners/side", {"enabled": True})["enabled"], True)
        eventually(
            lambda: any(one["listener"] == "side" for one in self.server.events("listening")),
            "it says where",
        )
        self.assertEqual(self.publish(listener="side")[0], 0)
        self.refused(1208, "PATCH", "/listeners/nothing", {"enabled": True})
        self.assertGreater(port, 0)

    def test_the_configuration_is_shown_and_reloaded(self):
        self.add_user()
        shown = self.done("GET", "/config")
        self.assertNotIn("argon2id", json.dumps(shown))
        self.assertEqual(shown["config"]["api"]["token_ttl"], "1h")
        before = shown["revision"]
        self.assertIn('token_ttl: "1h"', self.mitu("config", "show")[1].replace("'", '"'))
        self.assertEqual(json.loads(self.mitu("config", "show", "--json")[1]), shown)

        self.server.configure(self.text.replace("filed-out", "someone-else") + "limits: {inflight_max: 7}\n")
        report = self.done("POST", "/config/reload")
        self.assertTrue(any(key.startswith("bans") for key in report["applied"]), report)
        self.assertEqual(report["needs_restart"], ["limits.inflight_max"])
        self.assertGreater(report["revision"], before)
        self.assertEqual(self.done("GET", "/config")["revision"], report["revision"])
        self.assertEqual(self.server.reload()["on_restart"], "limits.inflight_max")
        self.assertIn(
            f"revision: {report['revision']}", (self.folder / "data" / "managed.yaml").read_text()
        )
        self.assertIn("limits.inflight_max", self.mitu("config", "reload")[1])

        self.server.configure(self.text + "limits: {inflight_max: none}\n")
        refusal = self.refused(1003, "POST", "/config/reload")
        self.assertIn("inflight_max", refusal["message"])
        # A change of one entry takes in nothing of a file that is being written.
        self.done("POST", "/bans", {"kind": "user", "value": "eve"})
        self.assertEqual(self.publish()[0], 0)

    def test_logins_are_as_configured(self):
        self.done(
            "POST", "/api-users", {"name": "ann", "role": "viewer", "password": "a good one"}
        )
        login = self.done("POST", "/login", {"name": "ann", "password": "a good one"})
        self.assertEqual(login["expires_in_s"], 3_600)
        for _ in range(3):
            self.refused(1101, "POST", "/login", {"name": "ann", "password": "a bad one"})
        self.refused(1102, "POST", "/login", {"name": "ann", "password": "a bad one"})

    def test_the_certificate_of_the_api_is_read_again(self):
        second = Authority(self.folder, name="second")
        second.issue("api")
        self.authority = second
        eventually(lambda: self.server.events("certificates_reloaded"), "the new one is loaded")
        self.done("GET", "/whoami")
        (self.folder / "api.pem").write_text("no certificate\n")
        eventually(lambda: self.server.events("certificates_refused"), "a bad one is refused")
        self.done("GET", "/whoami")

    def test_every_change_is_in_the_audit_log(self):
        self.add_user()
        self.done("POST", "/bans", {"kind": "user", "value": "eve", "reason": "x"})
        self.done("PATCH", "/listeners/side", {"enabled": False})
        self.done("POST", "/config/reload")
        self.done("DELETE", "/users/default/dora")
        lines = (self.folder / "data" / "audit.log").read_text()
        for operation in ("add_user", "add_ban", "change_listener", "reload_config", "remove_user"):
            self.assertIn(operation, lines)
        self.assertNotIn(PASSWORD, lines)


if __name__ == "__main__":
    unittest.main()
