"""A disk whose syncs take half a second, under publishers that send as fast as they can. Memory stays
within a bound and the publishers are held back; others are served meanwhile; nothing
acknowledged is lost, over a kill at the end too.

MITU_CRASH_SLOW_S: for how long (6). MITU_CRASH_REPORT: as for test_crash.
"""

import asyncio
import json
import os
import pathlib
import sys
import time
import unittest

import clients
import history as histories
import report
import server
import world

SYNC_MS = 500
SECONDS = float(os.environ.get("MITU_CRASH_SLOW_S", "6"))
PAYLOAD = bytes(range(32, 96)) * 1_024  # 64 KiB
WINDOW = 4_096  # of each publisher: 256 MiB, were nobody to hold it back
SHARDS = 2
LIMITS = "limits: {queue_messages_max: 1000000, queue_bytes_max: 16GiB}"  # the keeper keeps all
# What may be on its way to the disk: 8 MiB a shard, the group that is written, the next one; the rows
# that RocksDB has in memory; and as much again for copies on the way.
GROWTH_BYTES_MAX = 128 << 20
PROMPT_S = 2.0  # on a machine that is busy with other things
# To a topic whose home waits for the disk it stands in line behind what is to be kept: a few syncs.
MESSAGE_S = 10 * SYNC_MS / 1_000


class Flood(clients.Publisher):
    """Sends until the socket takes no more."""

    sent_bytes = 0

    async def send_new(self, link):
        while not link.is_cut and not self.is_ending:
            if self.is_paused or len(self.open) >= WINDOW:
                await asyncio.sleep(0.05)
                continue
            self.serial += 1
            topic, qos, retain = self.random.choice(self.topics)
            message = f"{self.name}:{self.serial}"
            packet_id = self.next_id(self.open)
            payload = message.encode() + b"|" + PAYLOAD
            self.open[packet_id] = [message, topic, qos, retain, payload, "publish"]
            self.send_publish(packet_id, dup=False)
            await link.drain()
            self.sent_bytes += len(payload)


class Slow(world.World):
    """Publishers without restraint, and one session that is away until the end."""

    def _make_clients(self):
        for index in range(4):
            topics = [(f"flood/{index}/{qos}", qos, False) for qos in (1, 2)]
            self.publishers.append(Flood(self, f"f{index}", topics, WINDOW, 0, version=4))
        self.keeper = clients.Subscriber(self, "keeper", [("flood/#", 2)])
        self.subscribers.append(self.keeper)

    async def _unrest(self):
        return


def told(bystanders):
    """The last that they said."""
    lines = list(bystanders.lines)
    return json.loads(lines[-1]) if lines else {"counts": {"messages": 0}}


def resident_bytes(pid):
    for line in pathlib.Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1]) << 10
    raise AssertionError("no VmRSS")


class SlowDisk(unittest.TestCase):
    def test_a_slow_disk_holds_back_publishers_and_nobody_else(self):
        under_test = server.Server(shards=SHARDS, write_buffer="8MiB", more=LIMITS)
        self.addCleanup(under_test.remove)
        one = Slow(1, under_test)
        try:
            asyncio.run(self.flood(one))
        except AssertionError as error:
            raise AssertionError(f"{error}\n{report.tail(under_test)}") from error
        checker = histories.check(one.history)
        total = report.Report(f"syncs of {SYNC_MS} ms")
        total.add(one, checker)
        total.counts.update(self.measured)
        print("\n" + total.table(), flush=True)
        total.save(os.environ.get("MITU_CRASH_REPORT"), "slow_disk")
        self.assertEqual(dict(one.reasons), {})
        self.assertLess(self.measured["memory grew by at most, MB"], GROWTH_BYTES_MAX >> 20)
        self.assertGreater(self.measured["PINGs answered meanwhile"], 0)
        self.assertLess(self.measured["longest PING, ms"], 1_000 * PROMPT_S)
        self.assertGreater(self.measured["QoS 0 messages meanwhile"], 0)
        self.assertLess(self.measured["longest QoS 0 message, ms"], 1_000 * MESSAGE_S)
        if checker.violations:
            self.fail(f"{report.violations(checker)}\nall of it: {report.keep(one, checker)}")

    async def flood(self, one):
        """Fills `measured`."""
        bystanders = None
        try:
            await asyncio.to_thread(one.server.start, f"slow:disk.log_sync:{SYNC_MS}")
            one.history.add("started", "server")
            one._tasks = [asyncio.ensure_future(one.keeper.run())]
            await one._until(lambda: one.keeper.confirmed, "the session is there")
            one.keeper.may_connect.clear()
            one.keeper.cut()
            bystanders = server.harness.Process(
                [sys.executable, pathlib.Path(__file__).with_name("bystanders.py"), one.port]
            )
            await one._until(lambda: told(bystanders)["counts"]["messages"] > 8, "they talk")
            pid = one.server.process.pid
            before = peak = resident_bytes(pid)
            one._tasks += [asyncio.ensure_future(client.run()) for client in one.publishers]
            until = time.monotonic() + SECONDS
            while time.monotonic() < until:
                await asyncio.sleep(0.05)
                peak = max(peak, resident_bytes(pid))
                one._look_at_tasks()
                self.assertTrue(bystanders.is_running(), bystanders.output())
            taken = sum(client.sent_bytes for client in one.publishers)
            heard = told(bystanders)
            self.measured = {
                "slow disks": 1,
                "seconds of syncs that took 500 ms": int(SECONDS),
                "memory grew by at most, MB": (peak - before) >> 20,
                "taken from publishers, MB": taken >> 20,
                "PINGs answered meanwhile": heard["counts"]["pings"],
                "longest PING, ms": round(heard["longest_ms"]["pings"]),
                "QoS 0 messages meanwhile": heard["counts"]["messages"],
                "longest QoS 0 message, ms": round(heard["longest_ms"]["messages"]),
            }
            await one.kill_and_start()
            one._unrest_task = asyncio.ensure_future(one._unrest())
            await one.close_without_retained()
        finally:
            if bystanders is not None:
                bystanders.kill()
            await one.end()


if __name__ == "__main__":
    unittest.main()
