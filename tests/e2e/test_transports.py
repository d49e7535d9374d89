"""Every transport with clients that we did not write: mosquitto's, paho, openssl, and their refusals."""

import os
import socket
import ssl
import struct
import threading
import unittest

import harness
import paho.mqtt.client as paho
import raw_mqtt as m
from configured import Authority, ConfiguredServer
from harness import eventually, only_mitud

CONFIGURATION = """
listeners:
  - {name: plain, bind: "127.0.0.1:0"}
  - name: tls
    bind: "127.0.0.1:0"
    tls: {certificates: [{certificate: "{folder}/server.pem", key: "{folder}/server.key"}]}
  - name: modern
    bind: "127.0.0.1:0"
    tls:
      certificates: [{certificate: "{folder}/server.pem", key: "{folder}/server.key"}]
      minimum_version: "1.3"
  - name: mutual
    bind: "127.0.0.1:0"
    tls:
      certificates: [{certificate: "{folder}/server.pem", key: "{folder}/server.key"}]
      client_certificates: required
      ca_file: "{folder}/ca.pem"
  - {name: web, bind: "127.0.0.1:0", protocol: websocket, websocket: {path: /mqtt}}
  - {name: web_strict, bind: "127.0.0.1:0", protocol: websocket, websocket: {origins: ["https://ok.example"]}}
  - name: secure_web
    bind: "127.0.0.1:0"
    protocol: websocket
    tls: {certificates: [{certificate: "{folder}/server.pem", key: "{folder}/server.key"}]}
  - {name: local, bind: "unix:{folder}/mqtt.sock", unix: {mode: "0600"}}
  - {name: proxied, bind: "127.0.0.1:0", proxy_protocol: {from: [127.0.0.1/32], required: true}}
  - {name: guarded, bind: "127.0.0.1:0", proxy_protocol: {from: [192.0.2.0/24], required: true}}
  - {name: proxied_web, bind: "127.0.0.1:0", protocol: websocket, proxy_protocol: {from: [127.0.0.1/32]}}
  - {name: near, bind: "127.0.0.1:0", allow_anonymous: loopback, proxy_protocol: {from: [127.0.0.1/32]}}
  - {name: six, bind: "[::1]:0"}
authentication: {allow_anonymous: always}
"""


@only_mitud("its own configuration")
class Transports(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        import pathlib
        import tempfile

        cls.folder = pathlib.Path(tempfile.mkdtemp(prefix="mitu-e2e-"))
        cls.authority = Authority(cls.folder)
        cls.authority.issue("server")
        cls.client = cls.authority.issue("client", common_name="device-1")
        cls.server = ConfiguredServer(CONFIGURATION, cls.folder)

    @classmethod
    def tearDownClass(cls):
        cls.server.stop()

    def publish(self, listener, *words, check=True):
        port = [] if listener == "local" else ["-h", "localhost", "-p", str(self.server.port(listener))]
        return harness.run(
            ["mosquitto_pub", *port, "-t", "e2e/t", "-m", "hello", "-q", "1", "-V", "5", *words],
            check=check,
        )

    def test_tls_serves_mosquitto_and_refuses_who_does_not_trust_it(self):
        self.publish("tls", "--cafile", self.authority.certificate)
        stranger = Authority(self.folder, "stranger")
        status, output = self.publish("tls", "--cafile", stranger.certificate, check=False)
        self.assertNotEqual(status, 0, output)

    def test_tls_versions_are_those_of_the_configuration(self):
        def handshake(listener, version):
            context = ssl.create_default_context(cafile=str(self.authority.certificate))
            context.minimum_version = context.maximum_version = version
            with socket.create_connection(("127.0.0.1", self.server.port(listener)), 10) as raw:
                with context.wrap_socket(raw, server_hostname="localhost") as secure:
                    return secure.version()

        self.assertEqual(handshake("tls", ssl.TLSVersion.TLSv1_2), "TLSv1.2")
        self.assertEqual(handshake("tls", ssl.TLSVersion.TLSv1_3), "TLSv1.3")
        self.assertEqual(handshake("modern", ssl.TLSVersion.TLSv1_3), "TLSv1.3")
        with self.assertRaises(ssl.SSLError):
            handshake("modern", ssl.TLSVersion.TLSv1_2)

    def test_mutual_tls_demands_a_certificate_of_its_ca(self):
        certificate, key = self.client
        trusted = ("--cafile", self.authority.certificate)
        self.publish("mutual", *trusted, "--cert", certificate, "--key", key)
        status, output = self.publish("mutual", *trusted, check=False)
        self.assertNotEqual(status, 0, output)
        stranger = Authority(self.folder, "other").issue("foreign", common_name="device-1")
        status, output = self.publish(
            "mutual", *trusted, "--cert", stranger[0], "--key", stranger[1], check=False
        )
        self.assertNotEqual(status, 0, output)

    def converse(self, listener, secure):
        """A message to itself by paho over WebSocket."""
        got = threading.Event()
        client = paho.Client("web-client", transport="websockets", protocol=paho.MQTTv311)
        client.ws_set_options(path="/mqtt")
        if secure:
            client.tls_set(ca_certs=str(self.authority.certificate))
        client.on_connect = lambda *_: client.subscribe("e2e/web", 1)
        client.on_subscribe = lambda *_: client.publish("e2e/web", b"x" * 70_000, 1)
        client.on_message = lambda _c, _u, message: len(message.payload) == 70_000 and got.set()
        client.connect("localhost", self.server.port(listener))
        client.loop_start()
        try:
            self.assertTrue(got.wait(harness.PATIENCE_S), "the message came back")
        finally:
            client.disconnect()
            client.loop_stop()

    def test_websocket_serves_paho(self):
        self.converse("web", secure=False)

    def test_secure_websocket_serves_paho(self):
        self.converse("secure_web", secure=True)

    def mqttjs(self, listener, scheme, path="/mqtt", ca=None):
        """(status, output) of MQTT.js, 3.1.1 and 5."""
        outcome = None
        for version in (4, 5):
            url = f"{scheme}://127.0.0.1:{self.server.port(listener)}{path}"
            outcome = harness.run(
                ["node", harness.REPOSITORY / "tests/e2e/mqttjs/web.mjs", url, ca or "", version],
                environment={**os.environ, "MITU_E2E_PATIENCE_S": str(harness.PATIENCE_S / 2)},
                check=False,
            )
            if outcome[0] != 0:
                return outcome
        return outcome

    def test_websocket_serves_mqttjs_and_refuses_another_path(self):
        status, output = self.mqttjs("web", "ws")
        self.assertEqual(status, 0, output)
        status, output = self.mqttjs("web", "ws", path="/other")
        self.assertEqual((status, output), (1, "closed\n"))

    def test_secure_websocket_serves_mqttjs_and_refuses_who_does_not_trust_it(self):
        status, output = self.mqttjs("secure_web", "wss", ca=self.authority.certificate)
        self.assertEqual(status, 0, output)
        status, output = self.mqttjs("secure_web", "wss")
        self.assertEqual(status, 1, output)
        self.assertIn("certificate", output)

    def upgrade(self, path="/mqtt", protocol="mqtt", origin=None, listener="web_strict", words=()):
        """The status of an upgrade by curl."""
        words = [
            *("curl", *words, "--silent", "--http1.1", "--include", "--max-time", "2"),
            *("-H", "Connection: Upgrade", "-H", "Upgrade: websocket"),
            *("-H", "Sec-WebSocket-Version: 13", "-H", "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ=="),
            *(("-H", f"Sec-WebSocket-Protocol: {protocol}") if protocol else ()),
            *(("-H", f"Origin: {origin}") if origin else ()),
            f"http://127.0.0.1:{self.server.port(listener)}{path}",
        ]
        _, output = harness.run(words, check=False)
        return int(output.split(" ", 2)[1]) if output.startswith("HTTP/") else output

    def test_websocket_refuses_other_paths_protocols_and_origins(self):
        self.assertEqual(self.upgrade(path="/other"), 404)
        self.assertEqual(self.upgrade(protocol=None), 400)
        self.assertEqual(self.upgrade(protocol="soap"), 400)
        self.assertEqual(self.upgrade(origin="https://evil.example"), 403)
        self.assertEqual(self.upgrade(origin="https://ok.example"), 101)

    def test_unix_socket_serves_mosquitto_and_has_its_mode(self):
        path = self.folder / "mqtt.sock"
        self.assertEqual(path.stat().st_mode & 0o777, 0o600)
        self.publish("local", "--unix", path)

    def test_ipv6_serves_mosquitto_and_not_those_who_come_by_ipv4(self):
        words = ["-p", self.server.port("six"), "-t", "t", "-m", "x"]
        harness.run(["mosquitto_pub", "-h", "::1", *words])
        status, output = harness.run(["mosquitto_pub", "-h", "127.0.0.1", *words], check=False)
        self.assertNotEqual(status, 0, output)

    def test_proxy_header_is_written_by_curl(self):
        """PROXY v1 by a client of others; curl can say no other address than its own."""
        status = self.upgrade(listener="proxied_web", words=("--haproxy-protocol",))
        self.assertEqual(status, 101)
        self.assertNotEqual(self.upgrade(listener="proxied_web"), 101, "without the header")

    def connack(self, listener, header):
        """The answer to a header and a CONNECT that are made by hand: no client writes v2."""
        with socket.create_connection(("127.0.0.1", self.server.port(listener)), 10) as sock:
            sock.settimeout(10)
            try:
                sock.sendall(header + m.connect(client_id="proxied"))
                return sock.recv(100)
            except ConnectionError:
                return b""

    def test_anonymous_clients_are_refused_where_a_proxy_says_that_they_are_far(self):
        near = b"PROXY TCP4 127.0.0.1 127.0.0.1 4711 1883\r\n"
        far = b"PROXY TCP4 203.0.113.9 127.0.0.1 4711 1883\r\n"
        self.assertEqual(self.connack("near", near)[3:4], b"\x00")
        self.assertEqual(self.connack("near", far)[3:4], b"\x87", "not authorized")

    def test_proxy_header_is_demanded_and_believed(self):
        def connack(header, listener="proxied"):
            return self.connack(listener, header)[:1]

        source, destination = socket.inet_aton("203.0.113.9"), socket.inet_aton("192.0.2.1")
        v2 = (
            b"\r\n\r\n\x00\r\nQUIT\n\x21\x11"
            + struct.pack("!H", 12)
            + source
            + destination
            + struct.pack("!HH", 4711, 1883)
        )
        self.assertEqual(connack(b"PROXY TCP4 203.0.113.9 192.0.2.1 4711 1883\r\n"), b"\x20")
        self.assertEqual(connack(v2), b"\x20")
        self.assertEqual(connack(b""), b"")
        self.assertEqual(connack(b"PROXY TCP4 nonsense\r\n"), b"")
        self.assertEqual(connack(v2[:-1] + b"\x00\x00"), b"", "v2 with a byte too many")
        for header in (b"PROXY TCP4 203.0.113.9 192.0.2.1 4711 1883\r\n", v2, b""):
            self.assertEqual(connack(header, "guarded"), b"", "from a peer that is not listed")

    def test_certificates_are_reloaded_and_nobody_is_dropped(self):
        context = ssl.create_default_context(cafile=str(self.authority.certificate))
        port = self.server.port("tls")

        def serial(sock):
            return sock.getpeercert()["serialNumber"]

        def dial():
            raw = socket.create_connection(("127.0.0.1", port), 10)
            return context.wrap_socket(raw, server_hostname="localhost")

        held = dial()
        held.sendall(m.connect(client_id="held"))
        self.assertEqual(held.recv(100)[:1], b"\x20")
        before = serial(held)
        self.authority.issue("server")  # the same files

        def renewed():
            with dial() as fresh:
                return serial(fresh) != before

        eventually(renewed, "new connections see the new certificate")
        held.sendall(b"\xc0\x00")
        self.assertEqual(held.recv(10)[:1], b"\xd0", "the old connection lives")
        held.close()

        good = (self.folder / "server.pem").read_text()
        (self.folder / "server.pem").write_text("nonsense")
        eventually(lambda: self.server.events("certificates_refused"), "a bad file is told of")
        with dial() as fresh:
            self.assertTrue(serial(fresh), "and the old certificate stays")
        (self.folder / "server.pem").write_text(good)


if __name__ == "__main__":
    unittest.main()
