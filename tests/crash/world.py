"""One round: a server, clients that check it, and faults at moments of a seed."""

import asyncio
import collections
import random
import time

import clients
import history as histories

CALM_S = 60  # for the drain at the end


class World:
    """Everything of one round. Times are those of one machine that may be slow: no promise here is
    about how long something takes."""

    def __init__(self, seed, server, may_lose=False):
        self.seed, self.server, self.port = seed, server, server.port
        self.may_lose = may_lose
        self.history = histories.History()
        self.random = random.Random(seed)
        self.reasons, self.refusals = collections.Counter(), collections.Counter()
        self.faults = collections.Counter()
        self.publishers, self.subscribers = [], []
        self._tasks, self._mortals, self._mortal_tasks = [], 0, set()
        self._reads = 0
        self._is_over = False
        self._make_clients()

    def note_reason(self, reason):
        self.reasons[reason] += 1

    def note_refusal(self, name, packet):
        self.refusals[packet.type, packet.body[:2].hex()] += 1

    def _make_clients(self):
        for index in range(6):
            name = f"p{index}"
            topics = [(f"load/{name}/1/{k}", 1, False) for k in range(2)]
            topics += [(f"load/{name}/2/{k}", 2, False) for k in range(2)]
            self.publishers.append(
                clients.Publisher(
                    *(self, name, topics),
                    window=(1, 4, 16)[index % 3],
                    pause_s=0.008,
                    version=(5, 4)[index % 2],
                )
            )
        for index in range(2):
            topics = [(f"retained/r{index}/{k}", 1 + k % 2, True) for k in range(4)]
            self.publishers.append(
                clients.Publisher(self, f"r{index}", topics, window=4, pause_s=0.05)
            )

        def subscriber(name, filters, **arguments):
            self.subscribers.append(clients.Subscriber(self, name, filters, **arguments))

        subscriber("steady", [("load/#", 2)])
        subscriber("steady_v3", [("load/+/+/0", 2)], version=4)
        subscriber("narrow", [("load/+/2/#", 2)], receive_maximum=2)
        subscriber("slow", [("load/+/1/0", 1), ("load/+/2/0", 2)], ack_delay_s=0.004)
        subscriber("lower", [("load/+/2/1", 1)])
        subscriber("absent", [("load/p0/#", 2), ("load/p1/#", 2)])
        subscriber("absent_v3", [("load/p2/#", 2)], version=4)
        subscriber("holds", [("load/p3/#", 2), ("load/p4/1/+", 1)], receive_maximum=8)
        subscriber(
            "fickle", [("load/p5/2/+", 2)], toggles=[("load/p0/1/0", 1), ("load/p1/2/1", 2)]
        )
        subscriber("anew", [("load/p3/+/1", 2)])
        subscriber("mourner", [("will/#", 2)])
        self.steady = self.subscribers[0]

    # ---- what happens besides ----

    def _spawn_mortal(self):
        self._mortals += 1
        mortal = clients.Mortal(
            *(self, f"mortal{self._mortals}", f"will/{self._mortals}"),
            qos=self.random.choice([1, 2]),
            says_goodbye=self.random.random() < 0.3,
            life_s=self.random.uniform(0.05, 2),
            version=self.random.choice([4, 5]),
        )
        task = asyncio.ensure_future(mortal.run())
        self._mortal_tasks.add(task)
        task.add_done_callback(self._mortal_tasks.discard)

    def _named(self, name):
        return next(client for client in self.subscribers if client.name == name)

    async def _unrest(self):
        """Cut connections, absences, withheld acknowledgements, changed minds."""
        while True:
            await asyncio.sleep(self.random.expovariate(1 / 0.15))
            chance = self.random.random()
            if chance < 0.35:
                victim = self.random.choice(self.publishers + self.subscribers)
                self.faults["connections cut"] += victim.cut()
            elif chance < 0.5:
                client = self._named(self.random.choice(["absent", "absent_v3"]))
                if client.may_connect.is_set():
                    client.may_connect.clear()
                    self.faults["absences"] += 1
                    client.cut()
                    asyncio.get_running_loop().call_later(
                        self.random.uniform(0.2, 3), client.may_connect.set
                    )
            elif chance < 0.65:
                client = self._named("holds")
                client.holds_acks = not client.holds_acks
            elif chance < 0.8:
                self._named("fickle").toggle()
            elif chance < 0.85:
                client = self._named("anew")
                client.is_clean = True
                self.faults["clean starts"] += 1
                client.cut()
            else:
                self._spawn_mortal()

    async def read_retained(self):
        """Waits for what must be there, were nobody writing."""
        last = {}
        for event in self.history.events:
            if event.kind == "publishing" and event.data:
                last[event.topic] = event
        surely = {topic for topic, event in last.items() if event.data == "retain"}
        for _ in range(20):
            self._reads += 1
            try:
                await clients.read_retained(self, f"reader{self._reads}", "retained/#", surely)
                return
            except clients.LOST:
                await asyncio.sleep(0.1)
        raise AssertionError("nobody can read the retained messages")

    # ---- faults of the server ----

    async def start(self):
        await asyncio.to_thread(self.server.start)
        self.history.add("started", "server")

    async def freeze(self, seconds):
        self.history.add("stopped", "server")
        self.server.freeze()
        await asyncio.sleep(seconds)
        self.server.thaw()
        self.history.add("continued", "server")
        self.faults["pauses (SIGSTOP)"] += 1

    async def kill(self):
        self.history.add("killed", "server")
        await asyncio.to_thread(self.server.kill)
        self.faults["kills (SIGKILL)"] += 1

    async def kill_and_start(self, between=None):
        """`between`: what happens to the directory while nobody runs. Some die while they start."""
        await self.kill()
        if between is not None:
            between()
        if self.random.random() < 0.2:
            self.server.launch()
            await asyncio.sleep(self.random.uniform(0.01, 0.25))
            await self.kill()
            self.faults["of them while it started"] += 1
        await self.start()

    # ---- the course of a round ----

    async def open(self):
        await self.start()
        # Who subscribes before the first message is owed all of them.
        self._tasks = [asyncio.ensure_future(client.run()) for client in self.subscribers]
        await self._until(
            lambda: all(c.confirmed.keys() == c.wanted.keys() for c in self.subscribers),
            "all have subscribed",
        )
        self._tasks += [asyncio.ensure_future(client.run()) for client in self.publishers]
        self._unrest_task = asyncio.ensure_future(self._unrest())

    async def strike(self, kills, between=None):
        for index in range(kills):
            await asyncio.sleep(self.random.choice([0.05, 0.4, 1.0, 2.0]) * self.random.random())
            if self.random.random() < 0.25:
                await self.freeze(self.random.uniform(0.05, 0.8))
                await asyncio.sleep(self.random.uniform(0, 0.3))
            await self.kill_and_start(between)
            if index % 5 == 4:
                await self.read_retained()
            self._look_at_tasks()

    def _look_at_tasks(self):
        for task in self._tasks:
            if task.done():
                task.result()  # raises what ended it
                raise AssertionError("a client ended")

    async def close(self):
        await self.close_without_retained()
        await self.read_retained()

    async def close_without_retained(self):
        """Nothing new; then everything that is owed must come."""
        self._unrest_task.cancel()
        for client in self.subscribers:
            client.may_connect.set()
            client.holds_acks = False
            client.ack_delay_s = 0
        for publisher in self.publishers:
            publisher.is_paused = True
        await self._until(
            lambda: not any(publisher.open for publisher in self.publishers),
            lambda: "every message is acknowledged, but: "
            + str([(p.name, list(p.open.values())[:2]) for p in self.publishers if p.open]),
        )
        if self._mortal_tasks:
            await asyncio.wait(self._mortal_tasks)
        until, left = time.monotonic() + CALM_S, None
        while time.monotonic() < until:
            await asyncio.sleep(3.0 if self.may_lose else 0.5)
            owed = len(histories.owed(self.history))
            if owed == 0:
                break
            if self.may_lose and owed == left:
                break
            if left is None or owed < left:  # it is slow, but it goes on
                left, until = owed, max(until, time.monotonic() + CALM_S / 2)
        await asyncio.sleep(1.0)  # for what should not come

    async def _until(self, predicate, what):
        until = time.monotonic() + CALM_S
        while not predicate():
            self._look_at_tasks()
            if time.monotonic() > until:
                raise AssertionError(f"never: {what() if callable(what) else what}")
            await asyncio.sleep(0.02)

    async def end(self):
        for client in self.publishers + self.subscribers:
            client.is_ending = True
        for task in [*self._tasks, *self._mortal_tasks]:
            task.cancel()
        await asyncio.gather(*self._tasks, *self._mortal_tasks, return_exceptions=True)


async def play(world, kills, between=None):
    """A whole round; returns the checker."""
    try:
        await world.open()
        await world.strike(kills, between)
        await world.close()
    finally:
        await world.end()
    return histories.Checker(world.history)
