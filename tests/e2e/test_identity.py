"""Every way to say who one is, with clients that we did not write, and every way to be refused."""

import base64
import hashlib
import hmac
import http.server
import json
import os
import pathlib
import socket
import tempfile
import threading
import time
import unittest

import harness
import raw_mqtt as m
from configured import Authority, ConfiguredServer
from harness import eventually, only_mitud

SECRET = "0123456789abcdef0123456789abcdef"

CONFIGURATION = """
listeners:
  - {name: files, bind: "127.0.0.1:0", authentication: [people]}
  - {name: tokens, bind: "127.0.0.1:0", authentication: [jwt]}
  - {name: backend, bind: "127.0.0.1:0", authentication: [service]}
  - {name: scram, bind: "127.0.0.1:0", authentication: [scram]}
  - {name: tenant, bind: "127.0.0.1:0", tenant: acme, authentication: [people]}
  - {name: nobody, bind: "127.0.0.1:0", authentication: [people], allow_anonymous: never}
  - name: certificates
    bind: "127.0.0.1:0"
    authentication: [certificate]
    tls:
      certificates: [{certificate: "{folder}/server.pem", key: "{folder}/server.key"}]
      client_certificates: optional
      ca_file: "{folder}/ca.pem"
authentication:
  allow_anonymous: never
  methods:
    - {name: people, kind: password_file, file: "{folder}/passwords"}
    - name: jwt
      kind: jwt
      jwt: {secret_file: "{folder}/secret", algorithms: [HS256], issuer: e2e, leeway: 1s, claims: {client_id: cid, acl: acl}}
    - name: certificate
      kind: x509
      x509: {identity_from: common_name, tenant_from: none}
    - name: service
      kind: http
      http: {url: "http://127.0.0.1:{backend}/login", timeout: 2s, cache_ttl: 60s, cache_negative_ttl: 1s, when_down: allow_cached}
    - {name: scram, kind: scram, file: "{folder}/passwords"}
access: {acl_file: "{folder}/acl"}
"""

ACL = """
user ann
topic readwrite open/#
topic deny open/secret
user bob
topic read open/#
pattern readwrite own/%u/#
"""


def token(expires_in_s=60, secret=SECRET, **claims):
    """A JWT, signed by HS256."""

    def part(value):
        data = value if isinstance(value, bytes) else json.dumps(value).encode()
        return base64.urlsafe_b64encode(data).rstrip(b"=")

    body = {"iss": "e2e", "sub": "eve", "cid": "c-1", "exp": int(time.time()) + expires_in_s}
    body.update(claims)
    signed = part({"alg": "HS256", "typ": "JWT"}) + b"." + part(body)
    return (signed + b"." + part(hmac.digest(secret.encode(), signed, "sha256"))).decode()


class Backend(http.server.BaseHTTPRequestHandler):
    """Says yes to the password `sesame`."""

    asked = 0

    def do_POST(self):  # noqa: N802
        Backend.asked += 1
        login = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        allowed = login.get("password") == "sesame"
        answer = {"result": "allow" if allowed else "deny", "acl": {"all": ["open/#"]}}
        body = json.dumps(answer).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


@only_mitud("its own configuration")
class Identity(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.folder = pathlib.Path(tempfile.mkdtemp(prefix="mitu-e2e-"))
        cls.authority = Authority(cls.folder)
        cls.authority.issue("server")
        cls.certificate = cls.authority.issue("device", common_name="ann")
        harness.run(["mosquitto_passwd", "-b", "-c", cls.folder / "passwords", "ann", "one"])
        for user, password in (("bob", "two"), ("sue", "three")):
            scram = ["--scram"] if user == "sue" else []
            harness.run(
                [harness.BIN_DIR / "mitu", "passwd", cls.folder / "passwords", user]
                + ["--password-stdin", *scram],
                stdin=f"{password}\n".encode(),
            )
        (cls.folder / "secret").write_text(SECRET + "\n")
        (cls.folder / "acl").write_text(ACL)
        cls.backend = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Backend)
        threading.Thread(target=cls.backend.serve_forever, daemon=True).start()
        text = CONFIGURATION.replace("{backend}", str(cls.backend.server_address[1]))
        cls.server = ConfiguredServer(text, cls.folder)

    @classmethod
    def tearDownClass(cls):
        cls.server.stop()
        cls.backend.server_close()

    def publish(self, listener, topic="open/t", *words, user=None, password=None, client=None):
        """(status, output) of mosquitto_pub at QoS 1 by MQTT 5, which says why it is refused."""
        host = ["-h", "localhost", "-p", str(self.server.port(listener))]
        if user is not None:
            host += ["-u", user]
        if password is not None:
            host += ["-P", password]
        if client is not None:
            host += ["-i", client]
        return harness.run(
            ["mosquitto_pub", *host, "-V", "5", "-q", "1", "-t", topic, "-m", "x", *words],
            check=False,
        )

    def assert_let_in(self, *arguments, **options):
        status, output = self.publish(*arguments, **options)
        self.assertEqual((status, "refused" in output.lower()), (0, False), output)

    def assert_refused(self, *arguments, **options):
        status, output = self.publish(*arguments, **options)
        self.assertNotEqual(status, 0, output)

    def test_password_files_of_mosquitto_and_ours(self):
        self.assert_let_in("files", user="ann", password="one")
        self.assert_let_in("files", "own/bob/t", user="bob", password="two")
        self.assert_refused("files", user="ann", password="two")
        self.assert_refused("files", user="nobody", password="one")
        self.assert_refused("files")
        self.assert_refused("nobody")

    def test_acl_files(self):
        _, output = self.publish("files", "open/secret", user="ann", password="one")
        self.assertIn("not authorized", output.lower())
        _, output = self.publish("files", "open/t", user="bob", password="two")
        self.assertIn("not authorized", output.lower(), "bob may only read")
        _, output = self.publish("files", "own/ann/t", user="bob", password="two")
        self.assertIn("not authorized", output.lower(), "what is ann's own")

    def test_tokens(self):
        acl = {"publish": ["open/#"], "subscribe": ["open/#"]}
        self.assert_let_in("tokens", user="eve", password=token(acl=acl), client="c-1")
        self.assert_refused("tokens", user="eve", password=token(acl=acl), client="c-2")
        self.assert_refused("tokens", user="eve", password=token(-120), client="c-1")
        self.assert_refused("tokens", user="eve", password=token(secret="f" * 32), client="c-1")
        self.assert_refused("tokens", user="eve", password=token(iss="other"), client="c-1")
        self.assert_refused("tokens", user="eve", password="no token", client="c-1")
        _, output = self.publish(
            "tokens", "closed/t", user="eve", password=token(acl=acl), client="c-1"
        )
        self.assertIn("not authorized", output.lower())

    def test_a_token_that_expires_ends_the_connection(self):
        with socket.create_connection(("127.0.0.1", self.server.port("tokens")), 10) as sock:
            sock.settimeout(harness.PATIENCE_S)
            sock.sendall(
                m.connect(client_id="c-1", user_name="eve", password=token(2).encode())
            )
            self.assertEqual(sock.recv(100)[:1], b"\x20")
            last = sock.recv(100)
            self.assertEqual((last[0], last[2]), (0xE0, 0xA0), "DISCONNECT, maximum connect time")

    def test_certificates(self):
        trusted = ("--cafile", self.authority.certificate)
        certificate, key = self.certificate
        self.assert_let_in(
            "certificates", "open/t", *trusted, "--cert", certificate, "--key", key
        )
        self.assert_refused("certificates", "open/t", *trusted)

    def test_http_backend_its_cache_and_what_happens_when_it_is_down(self):
        self.assert_let_in("backend", user="kay", password="sesame", client="kay-1")
        asked = Backend.asked
        self.assert_let_in("backend", user="kay", password="sesame", client="kay-1")
        self.assertEqual(Backend.asked, asked, "the answer is remembered")
        self.assert_refused("backend", user="kay", password="wrong")
        _, output = self.publish("backend", "closed/t", user="kay", password="sesame")
        self.assertIn("not authorized", output.lower(), "the backend's rules hold")
        self.backend.shutdown()
        self.backend.socket.close()
        self.assert_refused("backend", user="new", password="sesame")
        self.assert_let_in("backend", user="kay", password="sesame", client="kay-1")

    def scram(self, password):
        """The last packet of a SCRAM-SHA-256 login of `sue`, and whether the server proved itself."""

        def exchange(sock, packet):
            sock.sendall(packet)
            return sock.recv(1_000)

        def auth_data(packet):
            at = packet.index(b"\x16")
            size = int.from_bytes(packet[at + 1 : at + 3], "big")
            return packet[at + 3 : at + 3 + size]

        method = m.block(b"\x15" + m.text("SCRAM-SHA-256"))
        nonce = base64.b64encode(os.urandom(12)).decode()
        first_bare = f"n=sue,r={nonce}"

        def properties(data):
            return b"\x15" + m.text("SCRAM-SHA-256") + b"\x16" + m.u16(len(data)) + data

        with socket.create_connection(("127.0.0.1", self.server.port("scram")), 10) as sock:
            sock.settimeout(harness.PATIENCE_S)
            block = properties(("n,," + first_bare).encode())
            body = m.text("MQTT") + b"\x05\x02" + m.u16(0) + m.varint(len(block)) + block
            challenge = exchange(sock, m.packet(1, 0, body + m.text("sue-client")))
            self.assertEqual(challenge[0], 0xF0, challenge)
            server_first = auth_data(challenge).decode()
            fields = dict(field.split("=", 1) for field in server_first.split(","))
            self.assertTrue(fields["r"].startswith(nonce))
            without_proof = f"c=biws,r={fields['r']}"
            message = f"{first_bare},{server_first},{without_proof}".encode()
            salted = hashlib.pbkdf2_hmac(
                "sha256", password.encode(), base64.b64decode(fields["s"]), int(fields["i"])
            )
            client_key = hmac.digest(salted, b"Client Key", "sha256")
            signature = hmac.digest(hashlib.sha256(client_key).digest(), message, "sha256")
            proof = base64.b64encode(bytes(a ^ b for a, b in zip(client_key, signature)))
            block = properties(without_proof.encode() + b",p=" + proof)
            answer = exchange(sock, m.packet(15, 0, b"\x18" + m.varint(len(block)) + block))
            server = hmac.digest(hmac.digest(salted, b"Server Key", "sha256"), message, "sha256")
            del method
            return answer, base64.b64encode(server) in answer

    def test_scram(self):
        answer, is_proved = self.scram("three")
        self.assertEqual((answer[0], answer[3], is_proved), (0x20, 0x00, True), answer)
        answer, _ = self.scram("four")
        self.assertEqual((answer[0], answer[3]), (0x20, 0x87), answer)

    def test_files_are_read_anew_and_hold_for_those_who_are_here(self):
        subscriber = harness.Process(
            ["stdbuf", "-oL", "mosquitto_sub", "-h", "localhost", "-p", self.server.port("files"), "-V", "5", "-d"]
            + ["-u", "ann", "-P", "one", "-i", "ann-reads", "-t", "open/news", "-q", "1"]
        )
        self.addCleanup(subscriber.kill)
        eventually(lambda: any("Subscribed" in line for line in subscriber.lines), "subscribed")
        self.assert_let_in("files", "open/news", user="ann", password="one")
        eventually(lambda: "x" in subscriber.lines, "the first message comes")
        (self.folder / "acl").write_text(ACL.replace("topic readwrite open/#", "topic write open/#"))
        harness.run(["mosquitto_passwd", "-b", self.folder / "passwords", "ann", "changed"])
        self.addCleanup((self.folder / "acl").write_text, ACL)
        self.server.reload()
        eventually(lambda: self.server.events("subscriptions_revoked"), "the subscription ends")
        self.assert_let_in("files", "open/news", user="ann", password="changed")
        self.assert_refused("files", user="ann", password="one")
        self.assertEqual(list(subscriber.lines).count("x"), 1)
        (self.folder / "acl").write_text("nonsense\n")
        self.assertIn("acl", json.dumps(self.server.reload()), "it says which file is wrong")
        self.assert_let_in("files", user="ann", password="changed")
        (self.folder / "acl").write_text(ACL)
        harness.run(["mosquitto_passwd", "-b", self.folder / "passwords", "ann", "one"])
        self.server.reload()


if __name__ == "__main__":
    unittest.main()
