"""JSON Web Tokens that PyJWT makes, shown by mosquitto's client: keys of every kind, from files and from
a URL, and every way for a token to be refused."""

import base64
import hashlib
import hmac
import http.server
import json
import pathlib
import ssl
import tempfile
import threading
import time
import unittest

import harness
import jwt
from configured import Authority, ConfiguredServer
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from harness import eventually, only_mitud

SECRET = "a-secret-of-more-than-thirty-two-bytes"

CONFIGURATION = """
listeners:
  - {name: rsa, bind: "127.0.0.1:0", authentication: [rsa]}
  - {name: ec, bind: "127.0.0.1:0", authentication: [ec]}
  - {name: secret, bind: "127.0.0.1:0", authentication: [secret]}
  - {name: url, bind: "127.0.0.1:0", authentication: [url]}
  - {name: stranger, bind: "127.0.0.1:0", authentication: [stranger]}
authentication:
  methods:
    - {name: rsa, kind: jwt, jwt: {keys_file: "{folder}/rsa.pem", {common}}}
    - {name: ec, kind: jwt, jwt: {jwks_file: "{folder}/ec.json", {common}}}
    - name: secret
      kind: jwt
      jwt: {secret_file: "{folder}/secret", algorithms: [HS256], audience: mqtt, claims: {acl: acl}}
    - name: url
      kind: jwt
      jwt: {jwks_url: "https://localhost:{issuer}/keys", jwks_ca_file: "{folder}/ca.pem", {common}}
    - name: stranger
      kind: jwt
      jwt: {jwks_url: "https://localhost:{issuer}/keys", jwks_ca_file: "{folder}/other.pem", {common}}
access: {default: deny}
"""
COMMON = "issuer: e2e, audience: mqtt, leeway: 1s, claims: {tenant: tenant, acl: acl}"


def public_pem(key):
    return key.public_key().public_bytes(
        serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
    )


def jwk(key, kid):
    algorithm = jwt.algorithms.RSAAlgorithm if isinstance(key, rsa.RSAPrivateKey) else None
    if algorithm:
        return {**json.loads(algorithm.to_jwk(key.public_key())), "kid": kid, "use": "sig"}
    numbers = key.public_key().public_numbers()

    def part(value):
        return base64.urlsafe_b64encode(value.to_bytes(32, "big")).rstrip(b"=").decode()

    return {"kty": "EC", "crv": "P-256", "kid": kid, "x": part(numbers.x), "y": part(numbers.y)}


def token(key, algorithm, kid=None, **claims):
    body = {
        **{"iss": "e2e", "aud": "mqtt", "sub": "dev", "exp": int(time.time()) + 60},
        **{"acl": {"publish": ["open/#"], "subscribe": ["open/#"]}, "tenant": "default"},
    }
    body.update(claims)
    body = {name: value for name, value in body.items() if value is not None}
    return jwt.encode(body, key, algorithm, headers={"kid": kid} if kid else None)


class Issuer(http.server.BaseHTTPRequestHandler):
    """Publishes `keys`, as an identity provider does."""

    keys = []
    is_down = False
    asked = 0  # all
    answered = {}  # by status

    def do_GET(self):  # noqa: N802
        Issuer.asked += 1
        body = json.dumps({"keys": Issuer.keys}).encode()
        etag = f'"{hash(body) & 0xFFFFFFFF}"'
        status = 200
        if Issuer.is_down:
            status, body = 503, b"down"
        elif self.headers["If-None-Match"] == etag:
            status, body = 304, b""
        self.send_response(status)
        self.send_header("ETag", etag)
        self.send_header("Cache-Control", "max-age=5")
        if status != 304:
            self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)
        Issuer.answered[status] = Issuer.answered.get(status, 0) + 1

    def log_message(self, *_):
        pass


@only_mitud("its own configuration")
class Tokens(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.folder = pathlib.Path(tempfile.mkdtemp(prefix="mitu-e2e-"))
        authority = Authority(cls.folder)
        certificate, key = authority.issue("issuer")
        Authority(cls.folder, "other")
        cls.rsa = rsa.generate_private_key(65537, 2048)
        cls.ec, cls.old, cls.new = (ec.generate_private_key(ec.SECP256R1()) for _ in range(3))
        (cls.folder / "rsa.pem").write_bytes(public_pem(cls.rsa))
        (cls.folder / "ec.json").write_text(json.dumps({"keys": [jwk(cls.ec, "e")]}))
        (cls.folder / "secret").write_text(SECRET + "\n")
        Issuer.keys = [jwk(cls.old, "old"), jwk(cls.rsa, "r")]
        cls.issuer = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Issuer)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(certificate, key)
        cls.issuer.socket = context.wrap_socket(cls.issuer.socket, server_side=True)
        threading.Thread(target=cls.issuer.serve_forever, daemon=True).start()
        text = CONFIGURATION.replace("{issuer}", str(cls.issuer.server_address[1]))
        cls.server = ConfiguredServer(text.replace("{common}", COMMON), cls.folder)

    @classmethod
    def tearDownClass(cls):
        cls.server.stop()
        cls.issuer.shutdown()
        cls.issuer.server_close()

    def publish(self, listener, password, topic="open/t"):
        return harness.run(
            ["mosquitto_pub", "-h", "localhost", "-p", str(self.server.port(listener)), "-V", "5"]
            + ["-q", "1", "-t", topic, "-m", "x", "-u", "dev", "-P", password],
            check=False,
        )

    def assert_let_in(self, listener, password):
        status, output = self.publish(listener, password)
        self.assertEqual((status, "refused" in output.lower()), (0, False), output)

    def assert_refused(self, listener, password):
        status, output = self.publish(listener, password)
        self.assertNotEqual(status, 0, output)
        return output

    def test_each_kind_of_key_lets_in_and_the_claims_say_what_may_be_done(self):
        for listener, password in (
            ("rsa", token(self.rsa, "RS256")),
            ("ec", token(self.ec, "ES256", "e")),
            ("secret", token(SECRET, "HS256", tenant=None)),
        ):
            with self.subTest(listener):
                self.assert_let_in(listener, password)
                _, output = self.publish(listener, password, "closed/t")
                self.assertIn("not authorized", output.lower())

    def test_a_token_is_refused_for_each_reason(self):
        now = int(time.time())
        public = public_pem(self.rsa).decode()
        forged = base64.urlsafe_b64encode(b'{"alg":"none"}').rstrip(b"=").decode()
        body, signature = token(self.rsa, "RS256").split(".")[1:]
        for name, password, reason in (
            ("expired", token(self.rsa, "RS256", exp=now - 60), "expired"),
            ("not yet valid", token(self.rsa, "RS256", nbf=now + 600), "begins in"),
            ("for others", token(self.rsa, "RS256", aud="other"), "aud is"),
            ("for nobody", token(self.rsa, "RS256", aud=None), "no aud"),
            ("of another issuer", token(self.rsa, "RS256", iss="other"), "iss is"),
            ("of another key", token(self.old_rsa(), "RS256"), "signature"),
            ("of another algorithm", token(self.ec, "ES256"), "alg is"),
            ("unsigned", f"{forged}.{body}.", "alg is"),
            ("none, with a signature", f"{forged}.{body}.{signature}", "alg is"),
            ("without an end", token(self.rsa, "RS256", exp=None), "no exp"),
            ("without the tenant it needs", token(self.rsa, "RS256", tenant=None), "no tenant"),
            ("with rights of no shape", token(self.rsa, "RS256", acl=7), "acl"),
            ("no token", "sesame", ""),
        ):
            with self.subTest(name):
                seen = len(self.server.events("login_refused"))
                self.assert_refused("rsa", password)
                refusals = eventually(
                    lambda seen=seen: self.server.events("login_refused")[seen:], "it is logged"
                )
                self.assertIn(reason, refusals[-1]["reason"])
        with self.subTest("a public key as the secret of HMAC"):
            header = base64.urlsafe_b64encode(b'{"alg":"HS256"}').rstrip(b"=").decode()
            proof = hmac.digest(public.encode(), f"{header}.{body}".encode(), hashlib.sha256)
            mac = base64.urlsafe_b64encode(proof).rstrip(b"=").decode()
            self.assert_refused("rsa", f"{header}.{body}.{mac}")

    @staticmethod
    def old_rsa():
        return rsa.generate_private_key(65537, 2048)

    def test_keys_of_a_url_rotate_and_stay_while_it_is_down(self):
        self.assert_let_in("url", token(self.old, "ES256", "old"))
        self.assert_let_in("url", token(self.rsa, "RS256", "r"))
        fetched = eventually(lambda: self.server.events("jwt_keys_fetched"), "the keys came")
        self.assertEqual((fetched[0]["method"], fetched[0]["keys"]), ("url", 2))

        # The issuer signs with a new key at once; the first token of it fetches the key early.
        Issuer.keys = [jwk(self.new, "new")]
        fresh = token(self.new, "ES256", "new")
        eventually(lambda: self.publish("url", fresh)[0] == 0, "the new key counts")
        self.assert_refused("url", token(self.old, "ES256", "old"))
        asked = Issuer.asked
        for i in range(5):
            self.assert_refused("url", token(self.new, "ES256", f"made-up-{i}"))
        self.assertLessEqual(Issuer.asked, asked + 1, "unknown kids do not drive the issuer")

        eventually(lambda: Issuer.answered.get(304), "it is asked whether keys have changed")
        Issuer.is_down = True
        eventually(
            lambda: [e for e in self.server.events("jwt_keys_not_fetched") if "503" in e["reason"]],
            "that it is down is told",
        )
        self.assert_let_in("url", fresh)
        Issuer.is_down = False

    def test_keys_are_not_taken_from_a_server_that_nobody_vouches_for(self):
        refusals = eventually(
            lambda: [
                entry
                for entry in self.server.events("jwt_keys_not_fetched")
                if entry["method"] == "stranger"
            ],
            "it says why",
        )
        self.assertIn("tls", refusals[0]["reason"])
        output = self.assert_refused("stranger", token(self.old, "ES256", "old"))
        self.assertIn("unavailable", output.lower())


if __name__ == "__main__":
    unittest.main()
