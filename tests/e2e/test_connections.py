"""Many connections at once: they stay up, hear everything, and leave nothing behind.

2,000 of them, or MITU_E2E_CONNECTIONS (./dev soak: 19,000; one process may often open 20,000 files,
so that this is as many as one process can bring).
"""

import os
import resource
import selectors
import socket
import unittest

import harness
import raw_mqtt as m
from harness import eventually, only_mitud

COUNT = int(os.environ.get("MITU_E2E_CONNECTIONS", "2000"))
KEEP_ALIVE_S = 120


class Crowd:
    """Sockets that each hold one client, driven together."""

    # One source address has 28,000 ports, some still in TIME_WAIT; several have plenty.
    SOURCES = [f"127.0.0.{index}" for index in range(2, 10)]

    def __init__(self, broker):
        self._broker = broker
        self._selector = selectors.DefaultSelector()
        self.sockets = []
        self._inputs = {}

    def grow(self, count):
        """Opens `count` more, a few hundred at a time, each with CONNECT and SUBSCRIBE."""
        while count:
            batch = min(count, 500)
            fresh = [self._open(len(self.sockets) + index) for index in range(batch)]
            self.sockets += fresh
            self.expect(fresh, m.CONNACK, m.SUBACK)
            count -= batch

    def _open(self, index):
        sock = socket.socket()
        sock.bind((self.SOURCES[index % len(self.SOURCES)], 0))
        sock.connect((self._broker.host, self._broker.port))
        sock.sendall(
            m.connect(client_id=f"crowd-{index}", keep_alive_s=KEEP_ALIVE_S)
            + m.subscribe(1, ("crowd/all", 0), (f"crowd/{index}", 0))
        )
        sock.setblocking(False)
        self._selector.register(sock, selectors.EVENT_READ)
        self._inputs[sock] = b""
        return sock

    def send(self, data):
        for sock in self.sockets:
            sock.sendall(data)

    def expect(self, sockets, *types):
        """Each of `sockets` gets packets of these types, in this order, and no others."""
        wanted = {sock: list(types) for sock in sockets}

        def all_came():
            for key, _ in self._selector.select(0.1):
                sock = key.fileobj
                chunk = sock.recv(1 << 16)
                if not chunk:
                    raise AssertionError(f"a connection of {len(self.sockets)} was closed")
                self._inputs[sock] += chunk
                self._take(sock, wanted)
            return not wanted

        eventually(all_came, lambda: f"{types} for {len(wanted)} more", harness.PATIENCE_S * 4)

    def _take(self, sock, wanted):
        data = self._inputs[sock]
        while len(data) >= 2:
            size, start = m.read_varint(data, 1)
            if len(data) < start + size:
                break
            packet_type, data = data[0] >> 4, data[start + size :]
            if sock not in wanted or wanted[sock].pop(0) != packet_type:
                raise AssertionError(f"packet type {packet_type} was not expected")
            if not wanted[sock]:
                del wanted[sock]
        self._inputs[sock] = data

    def close(self):
        for sock in self.sockets:
            self._selector.unregister(sock)
            sock.close()
        self.sockets.clear()
        self._inputs.clear()
        self._selector.close()


class Connections(harness.BrokerCase):
    @classmethod
    def setUpClass(cls):
        soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        if hard < COUNT + 100:
            raise AssertionError(f"this process may open {hard} files; {COUNT + 100} are needed")
        resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, COUNT + 100), hard))
        super().setUpClass()

    def test_a_crowd_stays_up_and_hears_everything(self):
        pid = self.broker.process.pid
        files_before = harness.open_file_count(pid)
        memory_before = harness.resident_bytes(pid)
        crowd = Crowd(self.broker)
        self.addCleanup(crowd.close)
        crowd.grow(COUNT)
        grown = harness.resident_bytes(pid) - memory_before
        print(f"{COUNT} connections: {grown / COUNT:.0f} resident bytes each", flush=True)

        crowd.send(m.PING)
        crowd.expect(crowd.sockets, m.PINGRESP)

        publisher = m.Connection(self.broker)
        self.addCleanup(publisher.close)
        publisher.hello(client_id="crowd-publisher")
        publisher.send(m.publish("crowd/all", b"hello", qos=1, packet_id=1))
        publisher.expect(m.PUBACK)
        crowd.expect(crowd.sockets, m.PUBLISH)

        for index in range(0, COUNT, 97):
            publisher.send(m.publish(f"crowd/{index}", b"you", qos=1, packet_id=index + 1))
            publisher.expect(m.PUBACK)
            crowd.expect([crowd.sockets[index]], m.PUBLISH)

        crowd.send(m.PING)
        crowd.expect(crowd.sockets, m.PINGRESP)
        if harness.BROKER == "mitud":
            self.assertEqual(harness.metric(self.broker, "mitu_clients"), COUNT + 1)
        crowd.close()
        publisher.close()
        eventually(
            lambda: harness.open_file_count(pid) <= files_before,
            lambda: f"{files_before} open files, not {harness.open_file_count(pid)}",
        )

    @only_mitud("it raises, reports and meets the limit")
    def test_the_file_limit_is_met_with_a_clear_refusal(self):
        """With few files to open: those who fit are served, the others are closed at once."""
        limited = harness.Broker(files_max=128)
        self.addCleanup(limited.remove)
        served, refused = [], 0
        for index in range(200):
            connection = m.Connection(limited)
            self.addCleanup(connection.close)
            connection.send(m.connect(client_id=f"limited-{index}"))
            try:
                connection.expect(m.CONNACK)
                served.append(connection)
            except m.Closed:
                refused += 1
        self.assertGreater(len(served), 64)
        self.assertGreater(refused, 64)
        for connection in served:
            connection.ping()
        counted = harness.metric(limited, "mitu_network_refused_limit_total")
        counted += harness.metric(limited, "mitu_network_refused_no_files_total")
        self.assertEqual(counted, refused)
        self.assertIn("connection_refused", limited.process.output())

        # Whoever leaves makes room.
        served.pop().close()

        def fits():
            connection = m.Connection(limited)
            self.addCleanup(connection.close)
            connection.send(m.connect(client_id="limited-again"))
            try:
                return connection.expect(m.CONNACK)
            except m.Closed:
                return None

        eventually(fits, "there is room again")
        self.assertEqual(limited.stop(), 0)


if __name__ == "__main__":
    unittest.main()
