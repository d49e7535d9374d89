"""Strikes at the named points of the way to the disk and back: MITU_TRIAL of mitud, rule by rule.

`MITU_TRIAL=list mitud` prints the points; nothing here knows them by heart but what a few of them need.
"""

import asyncio
import collections
import os
import subprocess
import time
import typing

import history as histories
import server as servers
import world

PATIENCE_S = 25  # for a point to be reached under load
LATER_PATIENCE_S = 8  # for a later pass: it may never come, and that is no fault
PASSES_MAX = (1, 20, 100, 400)  # how late a strike may come, the first time, the second, ...
# Points whose first passes need a cause: another rule that brings them about.
CAUSES = {
    "engine.before_reopen": "fail:disk.log_sync:9",
    "engine.reopened": "fail:disk.log_append:9",
}
REPAIRS = "repair."  # a table must be damaged: test_points does that by itself
ASYNC_ONLY = ("committer.before_sync", "committer.synced")


class Strike(typing.NamedTuple):
    what: str  # kill, tear, power, fail
    point: str

    def __str__(self):
        return f"{self.what} at {self.point}"


def all_strikes():
    """Every strike that the binary knows, but for delays: [Strike]."""
    listed = subprocess.run(
        [servers.harness.BIN_DIR / "mitud"],
        env={**os.environ, "MITU_TRIAL": "list"},
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    found = []
    for line in listed.splitlines():
        point, kinds = line.split("\t")
        found += [Strike(what, point) for what in kinds.split(",") if what != "slow"]
    return found


class Ledger:
    """Which strikes have hit, and how often."""

    def __init__(self):
        self.hits, self.misses = collections.Counter(), collections.Counter()

    def never(self, strikes):
        return [str(strike) for strike in strikes if not self.hits[strike]]


class Struck(world.World):
    """A world whose server is struck instead of killed at random moments."""

    def __init__(self, seed, server, ledger, **arguments):
        super().__init__(seed, server, **arguments)
        self.ledger = ledger
        self._passes_max = {}  # of points that were not reached so often

    def rule(self, strike, count):
        """The `count`-th strike of its kind, from 0: (which pass, the script). The first comes at the
        first pass, which is often one of the start, others later."""
        if strike.point in CAUSES:
            return 1, f"{CAUSES[strike.point]},{strike.what}:{strike.point}:1"
        passes_max = PASSES_MAX[min(count, len(PASSES_MAX) - 1)]
        passes_max = min(passes_max, self._passes_max.get(strike.point, passes_max))
        at = int(passes_max ** self.random.random())
        return at, f"{strike.what}:{strike.point}:{at}"

    async def suffer(self, strike, count, between=None):
        """Starts on trial and waits for the strike. False: the point was not reached so often.
        `between`: what happens to the directory while nobody runs."""
        if self.server.process.is_running():
            await self.kill()
        if between is not None:
            between()
        at, script = self.rule(strike, count)
        self.server.launch(script)
        launched_at, serves = time.monotonic(), False
        word = "failed" if strike.what == "fail" else "killed at"
        while time.monotonic() < launched_at + (PATIENCE_S if at == 1 else LATER_PATIENCE_S):
            self._look_at_tasks()
            if not serves and self.server.serves():
                serves = True
                self.server.note_start()
                self.history.add("started", "server")
            if self.server.struck(f"{word} {strike.point}") or not self.server.process.is_running():
                break
            await asyncio.sleep(0.01)
        begin = len(self.history.events)
        if strike.what == "fail":
            return await self._survive_failure(strike, at, begin)
        if self.server.process.is_running() and not self.server.struck(f"{word} {strike.point}"):
            return self._note_miss(strike, at)
        status = await self._see_end()
        if not self.server.struck(f"{word} {strike.point}"):
            raise AssertionError(f"{strike}: mitud ended by itself, {status}")
        self.ledger.hits[strike] += 1
        self.faults[NAMES[strike.what]] += 1
        return True

    async def _see_end(self):
        """Its status, once it has ended and all that it said is there."""
        status = await asyncio.to_thread(self.server.process.wait)
        self.history.add("killed", "server")
        return status

    def _note_miss(self, strike, at):
        self.ledger.misses[strike] += 1
        self._passes_max[strike.point] = max(1, at // 2)
        return False

    async def _survive_failure(self, strike, at, begin):
        if self.server.process.is_running() and not self.server.struck(f"failed {strike.point}"):
            return self._note_miss(strike, at)
        # It goes on, or, if that was while it started, says why it cannot and ends.
        until = time.monotonic() + PATIENCE_S
        while self.server.process.is_running() and self.acknowledged_since(begin) < 20:
            self._look_at_tasks()
            if time.monotonic() > until:
                raise AssertionError(f"{strike}: nothing is acknowledged any more")
            await asyncio.sleep(0.05)
        if not self.server.process.is_running():
            status = await self._see_end()
            if status != 2:
                raise AssertionError(f"{strike}: mitud ended with {status}")
            self.faults["starts refused by a failing disk"] += 1
        if not self.server.struck(f"failed {strike.point}"):
            raise AssertionError(f"{strike}: mitud ended without it")
        self.ledger.hits[strike] += 1
        self.faults[NAMES["fail"]] += 1
        return True

    def acknowledged_since(self, begin):
        return sum(event.kind == "published" and event.flag for event in self.history.events[begin:])

    async def suffer_all(self, strikes, between=None):
        """[(strike, count)], one after the other; in the end it starts without a trial."""
        if between is not None:
            await self._start_and_read()  # what the log has is in tables now
        for index, (strike, count) in enumerate(strikes):
            await self.suffer(strike, count, between)
            if index % 8 == 7:
                await self._start_and_read()
        await self._start_and_read()

    async def _start_and_read(self):
        if self.server.process.is_running():
            await self.kill()
        await self.start()
        await self.read_retained()


NAMES = {
    "kill": "kills at points",
    "tear": "writes torn at points",
    "power": "losses of power at points",
    "fail": "failed calls of the disk",
}


async def play(one, strikes, between=None):
    """A whole round; returns the checker."""
    try:
        await one.open()
        await one.suffer_all(strikes, between)
        await one.close()
    finally:
        await one.end()
    return histories.Checker(one.history)
