"""SIGUSR2: another program takes over. No attempt to connect is refused, clients are told to come back,
and what was acknowledged has been delivered."""

import asyncio
import os
import pathlib
import shutil
import signal
import time
import unittest

import configured
import harness
import mqtt_fleet
import raw_mqtt

OPEN = """
listeners: [{name: mqtt, bind: "127.0.0.1:0"}]
authentication: {allow_anonymous: loopback}
"""


class EchoDevice:
    """Subscribes to its own topic and publishes numbers there at QoS 1, some at a time, as the
    protocol wants it: what was not acknowledged is sent again on the next connection."""

    OUTSTANDING_MAX = 5

    def __init__(self, port, index):
        self.port, self.client_id, self.topic = port, f"echo-{index}", f"echo/{index}"
        self.acknowledged, self.received, self.goodbyes = set(), set(), []
        self.refused = self.connections = 0
        self.unacknowledged, self.next_number = {}, 1
        self.is_enough = False

    @property
    def is_done(self):
        return self.is_enough and not self.unacknowledged and self.acknowledged <= self.received

    async def packet(self, reader):
        head = (await reader.readexactly(1))[0]
        size = shift = 0
        while True:
            digit = (await reader.readexactly(1))[0]
            size |= (digit & 0x7F) << shift
            shift += 7
            if digit < 0x80:
                break
        return raw_mqtt.Packet(head >> 4, head & 15, await reader.readexactly(size))

    def publish(self, number, packet_id, dup=False):
        return raw_mqtt.publish(self.topic, str(number).encode(), qos=1, packet_id=packet_id, dup=dup)

    async def live(self):
        while not self.is_done:
            try:
                reader, writer = await asyncio.open_connection(harness.HOST, self.port)
            except ConnectionRefusedError:
                self.refused += 1
                await asyncio.sleep(0.05)
                continue
            try:
                await self.talk(reader, writer)
            except (OSError, asyncio.IncompleteReadError):
                pass
            writer.close()

    async def talk(self, reader, writer):
        writer.write(raw_mqtt.connect(client_id=self.client_id, clean=False, properties=raw_mqtt.block(
            raw_mqtt.prop.session_expiry(600))))
        writer.write(raw_mqtt.subscribe(60_000, (self.topic, 1)))
        for expected in (raw_mqtt.CONNACK, raw_mqtt.SUBACK):
            packet = await self.packet(reader)
            if packet.type != expected:
                return
        self.connections += 1
        for packet_id, number in self.unacknowledged.items():
            writer.write(self.publish(number, packet_id, dup=True))
        while not self.is_done:
            while len(self.unacknowledged) < self.OUTSTANDING_MAX and not self.is_enough:
                packet_id = self.next_number % 50_000 + 1
                self.unacknowledged[packet_id] = self.next_number
                writer.write(self.publish(self.next_number, packet_id))
                self.next_number += 1
            packet = await self.packet(reader)
            if packet.type == raw_mqtt.PUBACK:
                self.acknowledged.add(self.unacknowledged.pop(packet.packet_id))
            elif packet.type == raw_mqtt.PUBLISH:
                self.received.add(int(packet.payload(5)))
                writer.write(raw_mqtt.ack(raw_mqtt.PUBACK, packet.packet_id))
            elif packet.type == raw_mqtt.DISCONNECT:
                self.goodbyes.append(packet.disconnect_reason)
                return


@harness.only_mitud("it exchanges its program")
class Upgrade(unittest.TestCase):
    def setUp(self):
        super().setUp()
        self.folder = harness.temporary_folder(self)
        # A program of its own, since it is to be exchanged.
        self.program = pathlib.Path(shutil.copy(harness.BIN_DIR / "mitud", self.folder / "mitud"))
        self.server = configured.ConfiguredServer(OPEN, self.folder, supervised=True, program=self.program)
        self.addCleanup(self.server.stop)
        self.await_event("worker_serves")
        self.port = self.server.port("mqtt")

    def await_event(self, name, count=1):
        harness.eventually(lambda: len(self.server.events(name)) >= count,
                           lambda: f"{name}\n{self.server.process.output()}")
        return self.server.events(name)[-1]

    def worker(self):
        return harness.worker_of(self.server.process.pid)

    def install(self, new):
        """As a package manager does: the file is another one, under the same name."""
        os.replace(new, self.program)

    def ask(self):
        os.kill(self.server.process.pid, signal.SIGUSR2)

    def connected(self, version=5):
        connection = raw_mqtt.Connection(self.address, version)
        self.addCleanup(connection.close)
        connection.send(raw_mqtt.connect(version=version, client_id=f"{self._testMethodName}-{version}"))
        self.assertEqual(connection.receive().type, raw_mqtt.CONNACK)
        return connection

    @property
    def address(self):
        return type("Address", (), {"host": harness.HOST, "port": self.port})

    def program_of(self, pid):
        return os.readlink(f"/proc/{pid}/exe")

    def test_supervisor_and_worker_are_the_new_program_with_the_same_pid_and_sockets(self):
        first = self.worker()
        v5, v3 = self.connected(5), self.connected(4)
        self.install(shutil.copy(harness.BIN_DIR / "mitud", self.folder / "new"))
        self.assertTrue(self.program_of(first).endswith("(deleted)"))
        self.ask()
        self.await_event("supervisor_upgraded")
        goodbye = v5.receive()
        self.assertEqual((goodbye.type, goodbye.disconnect_reason), (raw_mqtt.DISCONNECT, 0x8B))
        with self.assertRaises(raw_mqtt.Closed):
            v3.receive()
        self.assertNotEqual(self.worker(), first)
        for pid in (self.server.process.pid, self.worker()):
            self.assertEqual(self.program_of(pid), str(self.program))
        self.connected()
        # The API's Unix socket is where it was, and what came over is complete: it heals again.
        self.assertTrue((self.folder / "data/api.sock").exists())
        os.kill(self.worker(), signal.SIGKILL)
        self.await_event("worker_serves", 3)
        self.connected()
        self.ask()
        self.await_event("supervisor_upgraded", 2)
        self.connected()
        self.assertEqual(self.server.process.terminate(), 0)

    def test_under_load_loses_nothing_that_was_acknowledged_and_refuses_nobody(self):
        devices = [EchoDevice(self.port, index) for index in range(20)]
        downtime = asyncio.run(self.upgrade_under(devices))
        for device in devices:
            self.assertEqual(device.refused, 0)
            self.assertGreaterEqual(device.connections, 2)
            self.assertEqual(set(device.goodbyes), {0x8B})
            self.assertEqual(device.acknowledged, set(range(1, device.next_number)))
            self.assertEqual(device.acknowledged - device.received, set())
        count = sum(len(device.acknowledged) for device in devices)
        print(f"\nupgrade under load: {count} messages at QoS 1, none lost; "
              f"from SIGUSR2 until it was done {downtime:.2f} s", flush=True)

    async def upgrade_under(self, devices):
        tasks = [asyncio.create_task(device.live()) for device in devices]
        await self.until(lambda: all(len(device.acknowledged) > 20 for device in devices))
        self.ask()
        begin = time.monotonic()
        await self.until(lambda: self.server.events("supervisor_upgraded"))
        downtime = time.monotonic() - begin
        counts = [len(device.acknowledged) for device in devices]
        await self.until(lambda: all(len(device.acknowledged) > count + 20
                                     for device, count in zip(devices, counts)))
        for device in devices:
            device.is_enough = True
        # What is lost never comes: then the assertions say what it was.
        await asyncio.wait(tasks, timeout=harness.PATIENCE_S)
        for task in tasks:
            task.cancel()
        return downtime

    async def until(self, predicate):
        deadline = time.monotonic() + harness.PATIENCE_S
        while not predicate():
            self.assertLess(time.monotonic(), deadline, self.server.process.output)
            await asyncio.sleep(0.01)

    def test_lets_many_go_at_a_pace_and_all_are_back(self):
        async def many():
            async with mqtt_fleet.Fleet(self.port, 500) as fleet:
                await fleet.all_served()
                begin = time.monotonic()
                self.ask()
                await self.until(lambda: self.server.events("supervisor_upgraded"))
                await fleet.all_served(since=begin)
                return fleet.refused

        self.assertEqual(asyncio.run(many()), 0)
        self.assertEqual(self.await_event("draining")["clients_per_s"], 2000)
        self.assertGreater(self.await_event("upgrade_drained")["ms"], 200)

    def refused(self, why):
        """The upgrade fails, and nobody has noticed."""
        worker, client = self.worker(), self.connected()
        self.ask()
        self.assertIn(why, self.await_event("upgrade_failed")["reason"])
        self.assertEqual(self.await_event("upgrade_failed")["effect"], "nothing has changed")
        client.send(raw_mqtt.PING)
        self.assertEqual(client.receive().type, raw_mqtt.PINGRESP)
        self.assertEqual(self.worker(), worker)
        self.assertFalse(self.server.events("draining"))

    def test_to_a_program_that_cannot_run_changes_nothing(self):
        broken = self.folder / "broken"
        broken.write_bytes(b"\x7fELF this is none")
        broken.chmod(0o755)
        self.install(broken)
        self.refused("exit code 127")

    def test_to_a_program_that_ends_at_once_changes_nothing(self):
        broken = self.folder / "broken"
        broken.write_text("#!/bin/sh\nexit 1\n")
        broken.chmod(0o755)
        self.install(broken)
        self.refused("exit code 1")

    def test_with_a_configuration_that_is_wrong_changes_nothing(self):
        self.server.configure("listeners: 7\n")
        self.refused("exit code 2")
        self.server.configure(OPEN)
        self.ask()
        self.await_event("supervisor_upgraded")

    def mitu_upgrade(self, *options):
        return harness.run([harness.BIN_DIR / "mitu", "upgrade", *options,
                            "--url", f"unix:{self.folder}/data/api.sock"], check=False)

    def test_by_mitu_says_when_another_process_serves_or_why_none_does(self):
        before = self.worker()
        status, said = self.mitu_upgrade()
        self.assertEqual(status, 0, said)
        self.assertRegex(said, rf"\Aok  \S+ -> \S+  worker {self.worker()}\n")
        self.assertNotEqual(self.worker(), before)
        broken = self.folder / "broken"
        broken.write_text("#!/bin/sh\nexit 1\n")
        broken.chmod(0o755)
        self.install(broken)
        status, said = self.mitu_upgrade()
        self.assertEqual(status, 1)
        self.assertIn("the server goes on as it was: the new worker ended: exit code 1", said)
        self.connected()

    def test_without_a_supervisor_is_refused_and_the_server_goes_on(self):
        alone = configured.ConfiguredServer(OPEN, harness.temporary_folder(self))
        self.addCleanup(alone.stop)
        os.kill(alone.process.pid, signal.SIGUSR2)
        harness.eventually(lambda: alone.events("upgrade_refused"), "it says so")
        status, said = harness.run([harness.BIN_DIR / "mitu", "upgrade", "--url",
                                    f"unix:{alone.folder}/data/api.sock"], check=False)
        self.assertEqual(status, 1)
        self.assertIn("this server has no supervisor", said)
        self.assertEqual(alone.process.terminate(), 0)


if __name__ == "__main__":
    unittest.main()
