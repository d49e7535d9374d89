"""Clients without sessions that are kept, in a process of their own: PING and QoS 0 again and again.

    bystanders.py PORT      a line of JSON every tenth of a second: how many, and the longest of each
"""

import asyncio
import json
import sys
import time

import clients

mqtt = clients.mqtt
PAIRS = 4  # on every shard, most likely
PAUSE_S = 0.05


class Bystanders:
    def __init__(self, port):
        self.port = port
        self.counts = {"pings": 0, "messages": 0, "connects": 0}
        self.longest_ms = {"pings": 0.0, "messages": 0.0, "connects": 0.0}

    def note(self, what, begun):
        self.counts[what] += 1
        self.longest_ms[what] = max(self.longest_ms[what], 1_000 * (time.monotonic() - begun))

    async def connect(self, name):
        begun = time.monotonic()
        link = await clients.Link.open(self.port)
        link.send(mqtt.connect(5, name, clean=True))
        answer = await asyncio.wait_for(link.receive(), 60)
        assert answer.type == mqtt.CONNACK and answer.connack_code == 0, answer
        self.note("connects", begun)
        return link

    async def ping(self, name):
        link = await self.connect(name)
        while True:
            begun = time.monotonic()
            link.send(mqtt.PING)
            answer = await asyncio.wait_for(link.receive(), 60)
            assert answer.type == mqtt.PINGRESP, answer
            self.note("pings", begun)
            await asyncio.sleep(PAUSE_S)

    async def exchange(self, name):
        """One client speaks to itself: QoS 0."""
        link = await self.connect(name)
        link.send(mqtt.subscribe(1, (name, 0)))
        answer = await asyncio.wait_for(link.receive(), 60)
        assert answer.type == mqtt.SUBACK and answer.body[-1] == 0, answer
        while True:
            begun = time.monotonic()
            link.send(mqtt.publish(name, b"x"))
            answer = await asyncio.wait_for(link.receive(), 60)
            assert answer.type == mqtt.PUBLISH, answer
            self.note("messages", begun)
            await asyncio.sleep(PAUSE_S)

    async def tell(self):
        while True:
            await asyncio.sleep(0.1)
            print(json.dumps({"counts": self.counts, "longest_ms": self.longest_ms}), flush=True)

    async def run(self):
        await asyncio.gather(
            *(self.ping(f"ping{index}") for index in range(PAIRS)),
            *(self.exchange(f"plain{index}") for index in range(PAIRS)),
            self.tell(),
        )


if __name__ == "__main__":
    asyncio.run(Bystanders(int(sys.argv[1])).run())
