"""Certificates, the clients' and the server's: mosquitto's client with good ones and bad ones, paho by SNI.

What makes them: openssl as an operator would, and python3-cryptography what openssl 3.0 cannot (an end
in the past, a revocation without a database).
"""

import datetime
import pathlib
import socket
import ssl
import subprocess
import tempfile
import threading
import unittest

import harness
import paho.mqtt.client as paho
from configured import Authority, ConfiguredServer
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.x509.oid import NameOID
from harness import eventually, only_mitud

CONFIGURATION = """
policies: {directory: "{folder}/policies"}
listeners:
  - {name: cn, bind: "127.0.0.1:0", authentication: [cn], tls: {mutual}}
  - {name: dns, bind: "127.0.0.1:0", authentication: [dns], tls: {mutual}}
  - {name: uri, bind: "127.0.0.1:0", authentication: [uri], tls: {mutual}}
  - {name: listed, bind: "127.0.0.1:0", authentication: [listed], tls: {mutual}}
  - {name: tenants, bind: "127.0.0.1:0", authentication: [organization], tls: {mutual}}
  - name: sni
    bind: "127.0.0.1:0"
    allow_anonymous: always
    authentication: [cn]
    tenants_by_sni: {one.test: nord, two.test: sued}
    tls:
      client_certificates: optional
      ca_file: "{folder}/ca.pem"
      certificates:
        - {certificate: "{folder}/server.pem", key: "{folder}/server.key"}
        - {names: [one.test], certificate: "{folder}/one.pem", key: "{folder}/one.key"}
        - names: [two.test]
          certificate: "{folder}/two.pem"
          key: "{folder}/locked.key"
          key_password_file: "{folder}/password"
authentication:
  methods:
    - {name: cn, kind: x509, x509: {identity_from: common_name}}
    - {name: dns, kind: x509, x509: {identity_from: san_dns, strip_suffix: .devices.test}}
    - {name: uri, kind: x509, x509: {identity_from: san_uri, strip_prefix: "urn:device:"}}
    - name: listed
      kind: x509
      x509: {identity_from: fingerprint, fingerprints_file: "{folder}/fingerprints"}
    - {name: organization, kind: x509, x509: {tenant_from: organization}}
access: {acl_file: "{folder}/acl"}
"""
MUTUAL = """{
      certificates: [{certificate: "{folder}/server.pem", key: "{folder}/server.key"}],
      client_certificates: required, ca_file: "{folder}/ca.pem", crl_files: ["{folder}/ca.crl"]}"""
POLICIES = """
kind: Tenant
name: nord
---
kind: Tenant
name: sued
---
kind: Policy
name: nord-any
selector: {tenant: nord}
access: {publish: {allow: ["#"]}, subscribe: {allow: ["#"]}}
---
kind: Policy
name: sued-any
selector: {tenant: sued}
access: {publish: {allow: ["#"]}, subscribe: {allow: ["#"]}}
"""


def load(path):
    return x509.load_pem_x509_certificate(pathlib.Path(path).read_bytes())


class Signer:
    """What openssl's command line cannot sign."""

    def __init__(self, authority):
        self.authority = authority
        self.certificate = load(authority.certificate)
        self.key = serialization.load_pem_private_key(authority.key.read_bytes(), None)
        self.now = datetime.datetime.utcnow()

    def expired(self, certificate):
        """The same certificate, but that it ended yesterday."""
        old = load(certificate)
        day = datetime.timedelta(days=1)
        made = (
            x509.CertificateBuilder()
            .subject_name(old.subject)
            .issuer_name(self.certificate.subject)
            .public_key(old.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(self.now - 3 * day)
            .not_valid_after(self.now - day)
            .sign(self.key, hashes.SHA256())
        )
        path = certificate.with_name(f"expired-{certificate.name}")
        path.write_bytes(made.public_bytes(serialization.Encoding.PEM))
        return path

    def revoke(self, *certificates):
        day = datetime.timedelta(days=1)
        crl = (
            x509.CertificateRevocationListBuilder()
            .issuer_name(self.certificate.subject)
            .last_update(self.now - day)
            .next_update(self.now + day)
        )
        for certificate in certificates:
            crl = crl.add_revoked_certificate(
                x509.RevokedCertificateBuilder()
                .serial_number(load(certificate).serial_number)
                .revocation_date(self.now - day)
                .build()
            )
        made = crl.sign(self.key, hashes.SHA256())
        (self.authority.folder / "ca.crl").write_bytes(
            made.public_bytes(serialization.Encoding.PEM)
        )


def fingerprint(certificate):
    return load(certificate).fingerprint(hashes.SHA256()).hex()


@only_mitud("its own configuration")
class Certificates(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.folder = folder = pathlib.Path(tempfile.mkdtemp(prefix="mitu-e2e-"))
        cls.authority = authority = Authority(folder)
        authority.issue("server")
        for name in ("one", "two"):
            authority.issue(name, common_name=f"{name}.test", names=f"DNS:{name}.test")
        harness.run(
            ["openssl", "pkey", "-in", folder / "two.key", "-aes256", "-passout", "pass:sesame"]
            + ["-out", folder / "locked.key"]
        )
        (folder / "password").write_text("sesame\n")
        cls.pump = authority.issue(
            "pump", "pump-7", "nord", "DNS:pump-7.devices.test,URI:urn:device:pump-7"
        )
        cls.other = authority.issue("other", "other-8", "nobody", "DNS:elsewhere.test")
        cls.lost = authority.issue("lost", "pump-7", "nord", "DNS:pump-7.devices.test")
        cls.signer = Signer(authority)
        cls.signer.revoke(cls.lost[0])
        (folder / "fingerprints").write_text(f"# pumps\n{fingerprint(cls.pump[0])} pump-7\n")
        (folder / "acl").write_text("topic readwrite #\npattern readwrite own/%u/#\n")
        (folder / "policies").mkdir()
        (folder / "policies/tenants.yaml").write_text(POLICIES)
        cls.server = ConfiguredServer(CONFIGURATION.replace("{mutual}", MUTUAL), folder)

    @classmethod
    def tearDownClass(cls):
        cls.server.stop()

    def publish(self, listener, pair, topic="own/pump-7/t"):
        certificate, key = pair
        return harness.run(
            ["mosquitto_pub", "-h", "localhost", "-p", str(self.server.port(listener)), "-V", "5"]
            + ["--cafile", self.authority.certificate, "--cert", certificate, "--key", key]
            + ["-q", "1", "-t", topic, "-m", "x"],
            check=False,
        )

    def assert_let_in(self, listener, pair):
        status, output = self.publish(listener, pair)
        self.assertEqual((status, "not authorized" in output.lower()), (0, False), output)

    def assert_refused(self, listener, pair):
        status, output = self.publish(listener, pair)
        self.assertNotEqual(status, 0, output)
        return output

    def test_each_part_of_a_certificate_can_be_the_identity(self):
        for listener in ("cn", "dns", "uri", "listed"):
            with self.subTest(listener):
                self.assert_let_in(listener, self.pump)
                _, output = self.publish(listener, self.pump, "own/other-8/t")
                self.assertIn("not authorized", output.lower(), "what is another's own")

    def test_certificates_that_do_not_say_who_they_are_of_are_refused(self):
        for listener in ("dns", "uri", "listed"):
            with self.subTest(listener):
                self.assertIn("not authorized", self.assert_refused(listener, self.other).lower())

    def test_wrong_expired_and_revoked_certificates_are_refused(self):
        stranger = Authority(self.folder, "stranger").issue("foreign", "pump-7")
        self.assert_refused("cn", stranger)
        self.assert_refused("cn", (self.signer.expired(self.pump[0]), self.pump[1]))
        self.assert_refused("cn", self.lost)
        self.assert_let_in("cn", self.pump)

    def test_a_certificate_is_refused_once_a_new_list_revokes_it(self):
        late = self.authority.issue("late", "pump-7")
        self.assert_let_in("cn", late)
        self.signer.revoke(self.lost[0], late[0])
        self.addCleanup(self.signer.revoke, self.lost[0])
        eventually(lambda: self.publish("cn", late)[0] != 0, "the new list holds")
        self.assert_let_in("cn", self.pump)

    def test_the_organization_is_the_tenant(self):
        self.assert_let_in("tenants", self.pump)
        self.assert_refused("tenants", self.other)

    def shown(self, server_name):
        """The subject that openssl s_client is shown."""
        finished = subprocess.run(
            ["openssl", "s_client", "-connect", f"127.0.0.1:{self.server.port('sni')}", "-brief"]
            + (["-servername", server_name] if server_name else ["-noservername"]),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=harness.PATIENCE_S,
            check=False,
        )
        for line in (finished.stdout + finished.stderr).decode().splitlines():
            if line.startswith("Peer certificate:"):
                return line.split("CN = ")[1].strip()
        return finished.stderr.decode()

    def test_sni_chooses_the_certificate_and_its_encrypted_key(self):
        self.assertEqual(self.shown("one.test"), "one.test")
        self.assertEqual(self.shown("two.test"), "two.test")
        self.assertEqual(self.shown("unknown.test"), "localhost")
        self.assertEqual(self.shown(None), "localhost")

    def paho(self, server_name):
        """A client that asks for that server and is connected to this one."""
        port = self.server.port("sni")

        class Client(paho.Client):
            def _create_socket_connection(self):
                return socket.create_connection(("127.0.0.1", port), harness.PATIENCE_S)

        client = Client("same-name", protocol=paho.MQTTv311)
        client.tls_set(ca_certs=str(self.authority.certificate), cert_reqs=ssl.CERT_REQUIRED)
        client.messages, client.losses = [], []
        connected, subscribed = threading.Event(), threading.Event()
        client.on_connect = lambda *_: connected.set()
        client.on_subscribe = lambda *_: subscribed.set()
        client.on_disconnect = lambda _c, _u, reason: client.losses.append(reason)
        client.on_message = lambda _c, _u, message: client.messages.append(message.payload)
        client.connect(server_name, port)
        client.loop_start()
        self.addCleanup(client.loop_stop)
        self.addCleanup(client.disconnect)
        self.assertTrue(connected.wait(harness.PATIENCE_S))
        client.subscribe("#", 1)
        self.assertTrue(subscribed.wait(harness.PATIENCE_S))
        return client

    def test_sni_chooses_the_tenant(self):
        one, two = self.paho("one.test"), self.paho("two.test")
        one.publish("t", b"of one", 1, retain=True)
        two.publish("t", b"of two", 1)
        eventually(lambda: one.messages and two.messages, "each has its own")
        self.assertEqual((one.messages, two.messages), ([b"of one"], [b"of two"]))
        self.assertEqual((one.losses, two.losses), ([], []), "nobody is taken over")
        with self.assertRaises(ssl.SSLCertVerificationError):
            self.paho("three.test")

    def test_a_key_that_cannot_be_decrypted_is_told_of_at_start(self):
        text = CONFIGURATION.replace("{mutual}", MUTUAL).replace("/password", "/wrong")
        (self.folder / "wrong").write_text("open\n")
        file = self.folder / "wrong.yaml"
        file.write_text(text.replace("{folder}", str(self.folder)))
        status, output = harness.run(
            [harness.BIN_DIR / "mitud", "--config", file, "--http", "127.0.0.1:0"]
            + ["--data", self.folder / "other-data"],
            check=False,
        )
        self.assertEqual(status, 2, output)
        self.assertIn("locked.key", output)
        self.assertIn("cannot be decrypted", output)


if __name__ == "__main__":
    unittest.main()
