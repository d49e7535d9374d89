"""Many small MQTT 3.1.1 clients in one asyncio loop, for numbers: each comes back at once when it is
cut off, as a device with an impatient library does."""

import asyncio
import time

import harness
import raw_mqtt


class Device:
    """One client: connects, and connects again whenever the connection is gone."""

    def __init__(self, fleet, index):
        self.fleet = fleet
        self.client_id = f"fleet-{index}"
        self.served_at = None  # monotonic time of the last CONNACK; None: not connected
        self.refused = 0

    async def live(self):
        hello = raw_mqtt.connect(version=4, client_id=self.client_id, keep_alive_s=600)
        while True:
            try:
                reader, writer = await asyncio.open_connection(harness.HOST, self.fleet.port)
            except ConnectionRefusedError:
                self.refused += 1
                await asyncio.sleep(0.05)
                continue
            except OSError:
                await asyncio.sleep(0.05)
                continue
            try:
                writer.write(hello)
                answer = await reader.readexactly(4)
                if answer == b"\x20\x02\x00\x00":
                    self.served_at = time.monotonic()
                    await reader.read(1)  # until the end
            except (OSError, asyncio.IncompleteReadError):
                pass
            self.served_at = None
            writer.close()


class Fleet:
    def __init__(self, port, count):
        self.port = port
        self.devices = [Device(self, index) for index in range(count)]
        self._tasks = []

    async def __aenter__(self):
        self._tasks = [asyncio.create_task(device.live()) for device in self.devices]
        return self

    async def __aexit__(self, *_):
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    @property
    def refused(self):
        return sum(device.refused for device in self.devices)

    async def all_served(self, since=0.0):
        """Waits until every device has been served after `since`; returns (first, last) of those
        instants."""
        deadline = time.monotonic() + harness.PATIENCE_S
        while True:
            times = [device.served_at for device in self.devices]
            if all(at is not None and at > since for at in times):
                return min(times), max(times)
            if time.monotonic() > deadline:
                missing = sum(at is None or at <= since for at in times)
                raise AssertionError(f"{missing} of {len(times)} devices are not served")
            await asyncio.sleep(0.01)
