"""HTTP backends and chains, asked for mosquitto's client: by POST and GET, slow, and down in each way."""

import http.server
import json
import pathlib
import tempfile
import threading
import time
import unittest
import urllib.parse

import harness
from configured import ConfiguredServer
from harness import eventually, only_mitud
from test_tokens import SECRET, token

CONFIGURATION = """
listeners:
  - {name: post, bind: "127.0.0.1:0", authentication: [post]}
  - {name: get, bind: "127.0.0.1:0", authentication: [get]}
  - {name: slow, bind: "127.0.0.1:0", authentication: [slow]}
  - {name: deny, bind: "127.0.0.1:0", authentication: [deny, people]}
  - {name: ignore, bind: "127.0.0.1:0", authentication: [ignore, people]}
  - {name: cached, bind: "127.0.0.1:0", authentication: [cached, people]}
  - {name: chain, bind: "127.0.0.1:0", authentication: [jwt, people, others]}
  - {name: nobody, bind: "127.0.0.1:0", authentication: [people]}
authentication:
  allow_anonymous: never
  methods:
    - {name: post, kind: http, http: {url: "http://127.0.0.1:{backend}/login", {brief}}}
    - {name: get, kind: http, http: {url: "http://127.0.0.1:{backend}/login?key=7", method: get, {brief}}}
    - {name: slow, kind: http, http: {url: "http://127.0.0.1:{backend}/slow", timeout: 300ms, {brief}}}
    - {name: deny, kind: http, http: {url: "http://127.0.0.1:{down}/", when_down: deny, {brief}}}
    - {name: ignore, kind: http, http: {url: "http://127.0.0.1:{down}/", when_down: ignore, {brief}}}
    - {name: cached, kind: http, http: {url: "http://127.0.0.1:{down}/", when_down: allow_cached, {brief}}}
    - {name: jwt, kind: jwt, jwt: {secret_file: "{folder}/secret", algorithms: [HS256]}}
    - {name: people, kind: password_file, file: "{folder}/people"}
    - {name: others, kind: password_file, file: "{folder}/others"}
access: {acl_file: "{folder}/acl"}
"""


class Backend(http.server.BaseHTTPRequestHandler):
    """Says yes to the password `sesame&`, and remembers what it was asked."""

    asked = []

    def do_POST(self):  # noqa: N802
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.judge(json.loads(body))

    def do_GET(self):  # noqa: N802
        query = urllib.parse.urlsplit(self.path).query
        self.judge(dict(urllib.parse.parse_qsl(query, strict_parsing=True)))

    def judge(self, login):
        Backend.asked.append((self.command, self.path, login))
        if self.path.startswith("/slow"):
            time.sleep(1)
        allowed = login.get("password") == "sesame&"
        body = json.dumps({"result": "allow" if allowed else "deny"}).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        try:
            self.wfile.write(body)
        except ConnectionError:
            pass  # it was too slow

    def log_message(self, *_):
        pass


def serve(port=0):
    server = http.server.ThreadingHTTPServer(("127.0.0.1", port), Backend)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    return server


@only_mitud("its own configuration")
class Backends(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.folder = pathlib.Path(tempfile.mkdtemp(prefix="mitu-e2e-"))
        for file, user, password in (
            *(("people", "ann", "one"), ("people", "kay", "local")),
            *(("others", "ann", "other"), ("others", "bob", "two")),
        ):
            path = cls.folder / file
            create = [] if path.exists() else ["-c"]
            harness.run(["mosquitto_passwd", "-b", *create, path, user, password])
        (cls.folder / "secret").write_text(SECRET)
        (cls.folder / "acl").write_text("topic readwrite #\npattern readwrite #\n")
        cls.backend, cls.down = serve(), serve()
        text = CONFIGURATION.replace("{backend}", str(cls.backend.server_address[1]))
        text = text.replace("{down}", str(cls.down.server_address[1]))
        text = text.replace("{brief}", "cache_ttl: 1ms, cache_negative_ttl: 0s")
        cls.server = ConfiguredServer(text, cls.folder)

    @classmethod
    def tearDownClass(cls):
        cls.server.stop()
        for server in (cls.backend, cls.down):
            server.server_close()

    def publish(self, listener, user=None, password=None):
        words = ["-u", user] if user is not None else []
        words += ["-P", password] if password is not None else []
        return harness.run(
            ["mosquitto_pub", "-h", "localhost", "-p", str(self.server.port(listener)), "-V", "5"]
            + ["-i", f"{user}-1", "-q", "1", "-t", "t", "-m", "x", *words],
            check=False,
        )

    def assert_let_in(self, *arguments):
        status, output = self.publish(*arguments)
        self.assertEqual((status, "refused" in output.lower()), (0, False), output)

    def assert_refused(self, *arguments):
        status, output = self.publish(*arguments)
        self.assertNotEqual(status, 0, output)
        return output.lower()

    def test_get_asks_in_the_query_what_post_asks_in_the_body(self):
        for listener in ("post", "get"):
            with self.subTest(listener):
                Backend.asked.clear()
                self.assert_let_in(listener, "k=y", "sesame&")
                self.assert_refused(listener, "k=y", "wrong")
                (method, path, login), (_, _, other) = Backend.asked
                self.assertEqual(method, listener.upper())
                self.assertEqual(other["password"], "wrong")
                told = {name: login[name] for name in ("user_name", "password", "client_id", "peer")}
                self.assertEqual(
                    told,
                    {"user_name": "k=y", "password": "sesame&", "client_id": "k=y-1", "peer": "127.0.0.1"},
                )
                if listener == "get":
                    self.assertTrue(path.startswith("/login?key=7&client_id="), path)

    def test_a_slow_backend_is_not_waited_for(self):
        begun = time.monotonic()
        self.assertIn("unavailable", self.assert_refused("slow", "kay", "sesame&"))
        self.assertLess(time.monotonic() - begun, 1.0)

    def test_a_backend_that_is_down_does_what_was_chosen(self):
        for listener in ("deny", "ignore", "cached"):
            self.assert_let_in(listener, "kay", "sesame&")
        self.down.shutdown()
        self.down.server_close()
        self.assertIn("unavailable", self.assert_refused("deny", "kay", "sesame&"))
        self.assertIn("unavailable", self.assert_refused("deny", "kay", "local"))
        with self.subTest("ignore: the next method of the chain decides"):
            self.assert_let_in("ignore", "kay", "local")
            self.assert_refused("ignore", "kay", "sesame&")
        with self.subTest("allow_cached: who was let in before, with the same credentials"):
            self.assert_let_in("cached", "kay", "sesame&")
            self.assertIn("unavailable", self.assert_refused("cached", "kay", "local"))
            self.assertIn("unavailable", self.assert_refused("cached", "ann", "one"))

    def test_methods_are_asked_in_their_order_and_the_first_that_knows_decides(self):
        self.assert_let_in("chain", "dev", token(SECRET, "HS256", tenant=None, acl=None))
        self.assert_let_in("chain", "ann", "one")
        self.assert_let_in("chain", "bob", "two")
        self.assert_refused("chain", "ann", "other")  # the second file has no say about ann
        self.assert_refused("chain", "eve", "one")
        expired = token(SECRET, "HS256", exp=int(time.time()) - 600)
        self.assert_refused("chain", "ann", expired)

    def test_nobody_is_anonymous_unless_that_is_configured(self):
        self.assertIn("not authorized", self.assert_refused("nobody"))

    def test_what_a_backend_said_is_told(self):
        self.assert_refused("post", "mia", "wrong")
        refused = eventually(
            lambda: [e for e in self.server.events("login_refused") if e.get("user") == "mia"],
            "it is logged",
        )
        self.assertIn("deny", refused[0]["reason"])


if __name__ == "__main__":
    unittest.main()
