#!/usr/bin/python3
"""What bench/compare makes of runs: which targets are met, and that every page and chart is whole."""

import pathlib
import sys
import tempfile
import unittest
import xml.etree.ElementTree

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE))

from harness import allocations, figures, flame, machine, ours, peers, performance  # noqa: E402
from harness import configuration, durability, price, profiles, report, scenarios  # noqa: E402
from harness import shards, targets  # noqa: E402

OPEN_FILES = 20_000


def a_run(scenario, cpu_us, ok=True):
    """What mitu-bench might say; every figure follows from `cpu_us`."""
    run = {"scenario": scenario.shape, "ok": ok, "parameters": {"clients": scenario.clients},
           "broker_cpu_us_per_message": cpu_us, "broker_cpu_share": 1.0,
           "delivered_per_s": max(1e6 / cpu_us, 1000 * scenario.rate),
           "verification": {"lost": 0 if ok else 1}}
    if scenario.open_loop:
        run["latency_us"] = {"p50": 10 * cpu_us, "p99": 90 * cpu_us, "p999": 95 * cpu_us,
                             "max": 99 * cpu_us}
    if scenario.kept:
        run |= {"syncs_per_message": cpu_us / 1000, "fsync_us": {"p50": 10, "p99": 30}}
    if scenario.kept and scenario.open_loop:
        run |= {"ack_latency_us": {"p50": 20 * cpu_us, "p99": 30 * cpu_us},
                "acks_per_fsync": {"p50": 2 * cpu_us, "p99": cpu_us}}
    if scenario.restarts:
        run["figures"] = {name: cpu_us for name in figures.RESTART_FIGURES}
    kinds = {"connect": "connection", "filters": "filter", "retained": "retained"}
    if scenario.shape == "handshake":
        run["logins_per_core_s"] = 1e6 / cpu_us
    if scenario.shape in kinds:
        run["memory"] = {f"bytes_per_{kinds[scenario.shape]}": 250 * cpu_us}
    return run


def a_summary(cpu_us_by_broker, names=None, ok=True):
    """Of all scenarios, or of those with these names: three turns of each broker that can."""
    every = scenarios.all_of(OPEN_FILES, quick=False)
    kinds = [peers.NatsServer(), ours.NullRelay(pathlib.Path("bin"))]
    results = {}
    for scenario in every:
        if names and scenario.name not in names:
            continue
        unable = {kind.name for kind in kinds if kind.cannot(scenario)}
        results[scenario] = {broker: [a_run(scenario, cpu_us * k, ok) for k in (0.9, 1.0, 1.2)]
                             for broker, cpu_us in cpu_us_by_broker.items()
                             if broker not in unable}
    return figures.summarize(results)


def verdict_of(summary, row):
    return next(found["verdict"] for found in targets.judge(summary) if found["row"] == row)


class Targets(unittest.TestCase):
    def test_every_row_of_the_issue_belongs_to_one_scenario_quick_or_not(self):
        for quick in (False, True):
            names = [one.name for one in scenarios.all_of(OPEN_FILES, quick)]
            self.assertEqual(len(names), len(set(names)))
            for target in targets.TARGETS:
                matching = [name for name in names if targets.is_of(target, name)]
                self.assertEqual(len(matching), target.quick or not quick, (target, quick))

    def test_a_median_at_the_target_is_met_and_one_above_is_missed(self):
        row, name = "pairs QoS 1, 64 B", "pairs 100 QoS 1, 64 B, v3.1.1"
        self.assertEqual(verdict_of(a_summary({"null relay": 1, "mitu": 2.9}, {name}), row), "met")
        self.assertEqual(verdict_of(a_summary({"null relay": 1, "mitu": 3}, {name}), row), "missed")

    def test_bytes_stand_for_themselves_and_filters_against_mosquitto(self):
        summary = a_summary({"mitu": 1.1, "mosquitto": 10})
        self.assertEqual(verdict_of(summary, "wildcard filter, bytes"), "met")  # 275
        self.assertEqual(verdict_of(summary, "100,000 wildcard filters, hit"), "met")  # 0.11

    def test_what_was_not_measured_or_lost_messages_is_neither_met_nor_missed(self):
        name = "pairs 100 QoS 0, 64 B, v3.1.1"
        alone = a_summary({"mitu": 1}, {name})
        self.assertEqual(verdict_of(alone, "pairs QoS 0, 64 B"), "not measured")
        lost = a_summary({"null relay": 1, "mitu": 1}, {name}, ok=False)
        self.assertEqual(verdict_of(lost, "pairs QoS 0, 64 B"), "unsound")

    def test_latency_counts_at_every_fixed_rate_and_only_if_the_rate_was_kept(self):
        name = "pairs 100 QoS 0, 64 B at 20,000/s"
        row = f"p99, {name}"
        slower = a_summary({"mitu": 2, "mosquitto": 1}, {name})
        self.assertEqual(verdict_of(slower, row), "missed")
        faster = a_summary({"mitu": 1, "mosquitto": 2}, {name})
        self.assertEqual(verdict_of(faster, row), "met")
        for run in faster[0]["brokers"]["mitu"]["runs"]:
            run["delivered_per_s"] = 1
        self.assertEqual(verdict_of(faster, row), "missed")


def about(**words):
    """What a document says of mitu and of variants with these words."""
    return {"mitu": {"version": None, "words": ""},
            **{f"mitu {name}": {"version": None, "words": text} for name, text in words.items()}}


class Durability(unittest.TestCase):
    NAME = "durable: pairs 100 QoS 1, 64 B"
    AT_RATE = "durable: pairs 100 QoS 1, 64 B at 10,000/s"

    def test_fsyncs_are_judged_of_sync_alone(self):
        row = "fsyncs per 1,000 messages, pairs QoS 1"
        self.assertEqual(verdict_of(a_summary({"mitu sync": 40, "mitu none": 90}, {self.NAME}), row), "met")
        self.assertEqual(verdict_of(a_summary({"mitu sync": 51, "mitu none": 1}, {self.NAME}), row), "missed")
        self.assertEqual(verdict_of(a_summary({"mitu none": 1}, {self.NAME}), row), "not measured")

    def test_an_acknowledgement_takes_some_bare_fsyncs_of_the_same_run(self):
        row = "PUBACK p99 in bare fsyncs' p99, sync"
        self.assertEqual(verdict_of(a_summary({"mitu sync": 3}, {self.AT_RATE}), row), "met")
        self.assertEqual(verdict_of(a_summary({"mitu sync": 3.1}, {self.AT_RATE}), row), "missed")

    def test_restarts_are_of_sync_alone_and_every_figure_is_told(self):
        kill = next(one.name for one in scenarios.all_of(OPEN_FILES, False) if one.shape == "comeback")
        row = "first served after a kill"
        summary = a_summary({"mitu sync": 0.3}, {kill})
        self.assertEqual(verdict_of(summary, row), "met")
        self.assertEqual(verdict_of(a_summary({"mitu sync": 0.31}, {kill}), row), "missed")
        text = durability.section(summary)
        for means in figures.RESTART_FIGURES.values():
            self.assertIn(f"{kill}: {means}", text)
        restarting = next(one for one in scenarios.all_of(OPEN_FILES, True) if one.restarts)
        self.assertEqual([kind.name for kind in durability.brokers(pathlib.Path("bin"))
                          if kind.is_meant_for(restarting)], ["mitu sync"])

    def test_every_broker_is_in_either_kind_of_scenario_or_in_both(self):
        one = {kept: next(each for each in scenarios.all_of(OPEN_FILES, True) if each.kept == kept)
               for kept in (False, True)}
        kinds = [ours.Mitu(pathlib.Path("bin")), peers.Mosquitto(),
                 *durability.brokers(pathlib.Path("bin"))]
        meant = {kept: [kind.name for kind in kinds if kind.is_meant_for(one[kept])] for kept in one}
        self.assertEqual(meant[False], ["mitu", "mosquitto"])
        self.assertEqual(meant[True], ["mosquitto", "mitu none", "mitu async", "mitu sync",
                                       "mosquitto autosave", "mosquitto on change"])

    def test_each_level_is_in_the_configuration(self):
        scenario = next(one for one in scenarios.durable() if one.shape == "queued")
        for broker in durability.brokers(pathlib.Path("bin")):
            with tempfile.TemporaryDirectory() as folder:
                folder = pathlib.Path(folder)
                broker.command(folder, scenario)
                told = "".join(path.read_text() for path in folder.rglob("*.*"))
            if broker.durability:
                self.assertIn(f"durability: {broker.durability}", told)
                self.assertIn("queue_messages_max: 10000000", told)
            else:
                self.assertIn("persistence true", told)


class AllocationModes(unittest.TestCase):
    SATURATED = "fan-in 100:1 QoS 0, 64 B, v3.1.1"
    AT_RATE = "pairs 100 QoS 0, 64 B at 20,000/s"

    def compare(self, cpu_us, malloc_cpu_us, names, **words):
        words = words or {"malloc": "--messages-in malloc"}
        summary = a_summary({"mitu": cpu_us, **{f"mitu {name}": malloc_cpu_us for name in words}},
                            names)
        return allocations.compare(summary, about(**words))

    def verdicts(self, *arguments, **words):
        return [aim["verdict"] for row in self.compare(*arguments, **words) for aim in row["aims"]]

    def test_what_shorthands_mean_is_known_as_a_mode_and_other_variants_are_not(self):
        for name in ours.ALLOCATORS:
            self.assertTrue(allocations.is_mode(ours.VARIANTS[name]), name)
        self.assertTrue(allocations.is_mode("MALLOC_ARENA_MAX=1 --log-level debug"))
        for words in ("", None, "--shards 2", "A=LD_PRELOAD=x"):
            self.assertFalse(allocations.is_mode(words), words)

    def test_throughput_of_fan_in_and_pairs_has_an_aim_beside_glibc_alone(self):
        self.assertEqual(self.verdicts(1, 1.5, {self.SATURATED}), ["met"])
        self.assertEqual(self.verdicts(1, 1.3, {self.SATURATED}), ["missed"])
        self.assertEqual(self.verdicts(1, 1.3, {self.SATURATED}, other=(
            "LD_PRELOAD=libmimalloc.so.2.0 --messages-in malloc")), [])
        self.assertEqual(self.verdicts(1, 1.3, {"fan-out 1:1000 QoS 0, 64 B, v3.1.1"}), [])

    def test_p99_at_fixed_rates_has_one_too(self):
        self.assertEqual(self.verdicts(1, 4, {self.AT_RATE}), ["met"])
        self.assertEqual(self.verdicts(1, 3, {self.AT_RATE}), ["missed"])

    def test_where_the_generator_was_the_limit_too_little_says_nothing_and_enough_is_enough(self):
        for malloc_us, verdict in ((1.3, "generator's limit"), (1.5, "met")):
            summary = a_summary({"mitu": 1, "mitu malloc": malloc_us}, {self.SATURATED})
            summary[0]["brokers"]["mitu"]["metrics"]["broker_share"]["median"] = 0.8
            rows = allocations.compare(summary, about(malloc="--messages-in malloc"))
            self.assertEqual(rows[0]["aims"][0]["verdict"], verdict)
            self.assertIn("*", allocations.section(rows))

    def test_ratios_are_of_batches_to_the_mode_and_only_where_they_mean_something(self):
        saturated, = self.compare(1, 2, {self.SATURATED})
        self.assertEqual(saturated["ratios"]["per_s"]["median"], 2)
        self.assertEqual(saturated["ratios"]["cpu_us"]["median"], 0.5)
        self.assertNotIn("p99_us", saturated["ratios"])
        at_rate, = self.compare(1, 2, {self.AT_RATE})
        self.assertEqual(at_rate["ratios"]["p999_us"]["median"], 0.5)
        self.assertNotIn("per_s", at_rate["ratios"])

    def test_without_a_mode_there_is_no_section(self):
        rows = self.compare(1, 2, {self.SATURATED}, two="--shards 2")
        self.assertEqual(allocations.section(rows), "")

    def test_results_from_before_brokers_had_words_can_still_be_printed(self):
        summary = a_summary({"mitu": 1, "mitu tcmalloc": 1}, {self.SATURATED})
        old = {name: {"version": None} for name in ("mitu", "mitu tcmalloc")}
        self.assertEqual(allocations.compare(summary, old), [])


class Cores(unittest.TestCase):
    def test_a_generator_has_the_next_core_or_shares(self):
        two = machine.Cores([0, 1])
        self.assertEqual((two.of_broker(), two.of_generator([0]), two.shares([0])),
                         ([0], [1], False))
        self.assertEqual((two.of_broker(2), two.of_generator([0, 1]), two.shares([0, 1])),
                         ([0, 1], [0, 1], True))
        self.assertEqual(machine.Cores([2, 3, 5], [3]).of_generator([3]), [2])
        self.assertEqual(machine.Cores([4, 6, 7]).of_generator([4, 6]), [7])
        self.assertTrue(machine.Cores([3]).shares([3]))

    def test_words_of_a_variant_replace_the_number_of_shards(self):
        scenario = next(scenarios.saturated())
        with tempfile.TemporaryDirectory() as folder:
            for number, words in enumerate(("--shards 2", "--shards=2", "--log-level debug")):
                inner = pathlib.Path(folder) / str(number)
                inner.mkdir()
                command, _ = ours.Variant(pathlib.Path("bin"), f"v={words}").command(inner, scenario)
                counts = [word for word in command if word.startswith("--shards")]
                self.assertEqual(len(counts), 1, command)


class Shards(unittest.TestCase):
    def test_names_are_still_one_of_a_kind_with_wide_windows(self):
        for quick in (False, True):
            names = [one.name for one in scenarios.all_of(OPEN_FILES, quick, wide=True)]
            self.assertEqual(len(names), len(set(names)))
            self.assertIn("pairs 100 QoS 0, 64 B, window 1,000", names)

    FAN_OUT = "fan-out 1:1000 QoS 0, 1 KiB, v3.1.1"

    def row(self, cores, generator_cores, ratio_of_rates=1.0, ratio_of_cpu=1.0, generator=0.2):
        """One row, for two shards that deliver and cost so many times what one does."""
        one, two = ours.Mitu(pathlib.Path("bin")), ours.Sharded(pathlib.Path("bin"), 2)
        summary = a_summary({one.name: 1, two.name: 1}, {self.FAN_OUT})
        for name, rate, cpu in ((one.name, 1, 1), (two.name, ratio_of_rates, ratio_of_cpu)):
            for run in summary[0]["brokers"][name]["runs"]:
                run["delivered_per_s"] *= rate
                run["broker_cpu_us_per_message"] *= cpu
            summary[0]["brokers"][name]["metrics"]["generator_share"] = {"median": generator}
        brokers = {name: {"words": "", "shards": count, "cores": cores,
                          "generator_cores": generator_cores}
                   for name, count in ((one.name, 1), (two.name, 2))}
        found, = shards.compare(summary, brokers)
        self.assertIn(found["verdict"], shards.section([found]))
        return found

    def test_on_one_core_cpu_is_judged(self):
        self.assertEqual(self.row([0], [1], ratio_of_cpu=1.29)["verdict"], "met")
        self.assertEqual(self.row([0], [1], ratio_of_cpu=1.31)["verdict"], "missed")

    def test_on_two_cores_throughput_is_judged_where_the_generator_leaves_room(self):
        self.assertEqual(self.row([0, 1], [0, 1], 1.61)["verdict"], "met")
        self.assertEqual(self.row([0, 1], [0, 1], 1.59)["verdict"], "missed")
        crowded = self.row([0, 1], [0, 1], 1.2, generator=0.5)
        self.assertEqual(crowded["verdict"], "no room")
        self.assertAlmostEqual(crowded["possible"], 2 / 1.5)
        self.assertAlmostEqual(crowded["of_possible"], 0.9)

    def test_a_generator_with_a_core_of_its_own_leaves_room_until_that_is_full(self):
        self.assertEqual(self.row([0, 1], [2], 1.5, generator=0.5)["possible"], 2)
        self.assertEqual(self.row([0, 1], [2], 1.5, generator=0.5)["verdict"], "missed")
        self.assertEqual(self.row([0, 1], [2], 1.5, generator=0.8)["verdict"], "no room")

    def test_only_the_same_cores_are_compared_and_no_other_words(self):
        brokers = {
            "mitu": {"words": "", "shards": 1, "cores": [0]},
            "mitu 2 shards": {"words": "", "shards": 2, "cores": [0]},
            "mitu 2 shards on 2 cores": {"words": "", "shards": 2, "cores": [0, 1]},
            "mitu malloc": {"words": "--messages-in malloc", "shards": 1, "cores": [0]},
            "mosquitto": {"version": None},
        }
        self.assertEqual([pair[:2] for pair in shards.pairs_of(brokers)],
                         [("mitu", "mitu 2 shards")])


class Price(unittest.TestCase):
    BROKERS = {"mitu": {"features": ["access", "limits"], "words": ""},
               "mitu bare": {"features": [], "words": ""},
               "mitu access": {"features": ["access"], "words": ""},
               "mitu malloc": {"features": ["access"], "words": "--messages-in malloc"},
               "mosquitto": {"version": None}}

    def rows(self, names):
        summary = a_summary({"mitu": 1.2, "mitu bare": 1, "mitu access": 1.1, "mitu malloc": 3,
                             "mosquitto": 9}, names)
        return price.compare(summary, self.BROKERS)

    def test_each_feature_and_all_of_them_stand_beside_the_bare_broker(self):
        row, = self.rows({"pairs 100 QoS 0, 64 B, v3.1.1"})
        self.assertEqual(list(row["ratios"]), ["mitu access", "mitu"])
        self.assertAlmostEqual(row["ratios"]["mitu access"]["median"], 1.1)
        self.assertAlmostEqual(row["ratios"]["mitu"]["median"], 1.2)
        self.assertIn("all of them 1.20", price.section([row]))

    def test_of_connections_memory_has_a_price_too(self):
        rows = self.rows({"connect and idle 2,000, TLS 1.3"})
        self.assertEqual([row["metric"] for row in rows], ["cpu_us", "bytes_per_connection"])

    def test_without_a_bare_broker_there_is_none(self):
        self.assertEqual(price.compare(a_summary({"mitu": 1}), {"mitu": {"features": ["access"]}}), [])
        self.assertEqual(price.section([]), "")

    def test_what_is_switched_on_is_in_the_configuration_and_nothing_else(self):
        scenario = next(one for one in scenarios.wires() if one.client_certificates)
        marks = {"access": "deny:", "limits": "message_rate", "tenants": configuration.TENANT}
        for features in ((), ("access",), ("limits",), ("tenants",), configuration.FEATURES):
            with tempfile.TemporaryDirectory() as folder:
                folder = pathlib.Path(folder)
                configuration.write(folder, scenario, features)
                told = "".join(path.read_text() for path in folder.rglob("*.yaml"))
            self.assertIn("client_certificates: required", told)
            for feature, mark in marks.items():
                self.assertEqual(mark in told, feature in features, (feature, features))


class Pages(unittest.TestCase):
    def test_tables_page_and_charts_are_whole_though_some_brokers_cannot_do_all(self):
        brokers = {"null relay": 0.1, "mitu": 0.4, "mitu <tcmalloc>": 0.3, "mosquitto": 4,
                   "nats-server": 2}
        summary = a_summary(brokers)
        kept, others = figures.split(summary)
        text = (report.tables(others, list(brokers), 3) + durability.section(kept)
                + targets.section(targets.judge(summary)))
        for scenario in scenarios.all_of(OPEN_FILES, quick=False):
            self.assertIn(scenario.name, text)
        document = {"started": "2026-01-02T03:04:05+00:00", "command": "bench/compare",
                    "commit": "0" * 40, "changed": False, "machine": {"cpu": "some CPU"},
                    "build": {}, "settings": {"repeat": 3, "seconds": 1.0, "warmup_s": 1.0},
                    "brokers": {name: {"version": None} for name in brokers},
                    "scenarios": summary,
                    "allocation_modes": allocations.compare(summary, {
                        "mitu <tcmalloc>": {"words": ours.VARIANTS["malloc+tcmalloc"]}})}
        with tempfile.TemporaryDirectory() as folder:
            folder = pathlib.Path(folder)
            performance.write(document, folder)
            page = (folder / "README.md").read_text()
            self.assertIn("## Allocation modes", page)
            self.assertIn("## TLS and WebSocket", page)
            self.assertIn("| log-ins, TLS 1.3, resumed | ", page)
            drawn = list(folder.glob("*.svg"))
            self.assertGreater(len(drawn), 10)
            for path in drawn:
                xml.etree.ElementTree.parse(path)
                self.assertIn(f"]({path.name})", page)


# As `perf script --fields comm,tid,time,ip,sym,dso` prints: the innermost frame first.
PERF_SCRIPT = """shard-0 15023    10.500000: 
\t          1371f3 mitu::broker::MessageStore::view (/b/mitud)
\t          12d6ad mitu::broker::Shard::turn (/b/mitud)
\t           d44a3 [unknown] (/usr/lib/libstdc++.so.6.0.30)

shard-0 15023    10.600000: 
\tffffffff82017dad tcp_sendmsg ([kernel.kallsyms])
\t          10aba4 __send (/usr/lib/libc.so.6)

shard-0 15023    10.700000: 
\t          1371f3 mitu::broker::MessageStore::view (/b/mitud)
\t          12d6ad mitu::broker::Shard::turn (/b/mitud)
\t           d44a3 [unknown] (/usr/lib/libstdc++.so.6.0.30)

Login pool 15024/15025    11.100000: 
\t               0 [unknown] ([unknown])
"""


class Profiles(unittest.TestCase):
    TURN = ("shard-0", "[libstdc++.so.6.0.30]", "mitu::broker::Shard::turn",
            "mitu::broker::MessageStore::view")

    def test_equal_stacks_are_one_and_begin_with_their_thread(self):
        folded = profiles.fold(PERF_SCRIPT)
        self.assertEqual(folded, {self.TURN: 2, ("shard-0", "__send", "tcp_sendmsg_[k]"): 1,
                                  ("Login pool", "[unknown]"): 1})
        self.assertIn("shard-0;__send;tcp_sendmsg_[k] 1\n", profiles.to_folded_lines(folded))

    def test_what_is_outside_the_measured_window_is_left_out(self):
        self.assertEqual(profiles.fold(PERF_SCRIPT, 10.55, 11.0),
                         {self.TURN: 1, ("shard-0", "__send", "tcp_sendmsg_[k]"): 1})

    def test_a_function_that_calls_itself_counts_once(self):
        rows = profiles.shares({("t", "a", "b", "a"): 3, ("t", "a"): 1})
        self.assertEqual(rows, [("a", 1.0, 1.0), ("b", 0.75, 0.0)])

    def test_calls_are_summed_over_threads_and_errors_are_no_column_of_their_own(self):
        traced = """ shard-0 (15023), 51884 events, 100.0%

   syscall            calls  errors  total       min       avg       max       stddev
   --------------- --------  ------ -------- --------- --------- ---------     ------
   sendto             12867      0   256.666     0.015     0.020     0.094      0.19%
   epoll_pwait2         135      3     3.653     0.000     0.027     0.055      1.76%

 shard-1 (15024), 10 events, 0.0%
   sendto                 5      0     0.666     0.015     0.020     0.094      0.19%
"""
        self.assertEqual(profiles.calls_by_perf(traced), {"sendto": 12872, "epoll_pwait2": 135})
        counted = """% time     seconds  usecs/call     calls    errors syscall
------ ----------- ----------- --------- --------- ----------------
 55.74    0.106362          14      7400           recvfrom
 42.90    0.081853          11      7412        12 sendto
------ ----------- ----------- --------- --------- ----------------
100.00    0.190805          12     14886        12 total
"""
        self.assertEqual(profiles.calls_by_strace(counted), {"recvfrom": 7400, "sendto": 7412})

    def test_names_lose_their_arguments_and_nothing_else(self):
        for name, plain in (
                ("mitu::A::view(mitu::Handle) const", "mitu::A::view"),
                ("mitu::mqtt::(anonymous namespace)::lay_out(Q const&, bool)",
                 "mitu::mqtt::(anonymous namespace)::lay_out"),
                ("std::function<void (int)>::operator()(int) const",
                 "std::function<void (int)>::operator()"),
                ("mitu::operator<(A<3> const&, int)", "mitu::operator<"),
                ("visit(mitu::Node&)'2", "visit"), ("main", "main")):
            self.assertEqual(profiles.without_arguments(name), plain)

    def test_what_starting_took_cancels_out(self):
        annotated = """Ir
{total} (100.0%)  PROGRAM TOTALS

{view} ( 4.75%)  ???:mitu::A::view(mitu::Handle) const [/b/mitud]
 1,000 ( 0.10%)  ./csu/libc-start.c:start [/usr/lib/libc.so.6]
"""
        short = profiles.instructions(annotated.format(total="21,000", view="20,000"))
        long = profiles.instructions(annotated.format(total="121,000", view="120,000"))
        self.assertEqual(long, (121_000, {"mitu::A::view": 120_000, "start": 1_000}))
        total, each = profiles.per_message(short, long, 100, 1_100)
        self.assertEqual((total, each), (100, {"mitu::A::view": 100, "start": 0}))
        with self.assertRaises(ValueError):
            profiles.per_message(short, long, 100, 100)

    def test_a_flame_graph_has_a_box_a_function_as_wide_as_its_share(self):
        drawn = flame.draw("a <title>", "a note", profiles.fold(PERF_SCRIPT))
        root = xml.etree.ElementTree.fromstring(drawn)
        names = {"s": "http://www.w3.org/2000/svg"}
        widths = {group.find("s:title", names).text: float(group.find("s:rect", names).get("width"))
                  for group in root.findall("s:g", names)}
        whole = widths["all: 100.00 %, 4 samples"]
        self.assertAlmostEqual(
            widths["mitu::broker::MessageStore::view: 50.00 %, 2 samples"], whole / 2, places=1)
        self.assertAlmostEqual(widths["tcp_sendmsg_[k]: 25.00 %, 1 samples"], whole / 4, places=1)
        self.assertIn(">MessageStore::view<", drawn)
        self.assertNotIn("<script", drawn)
        self.assertEqual(flame.draw("nothing", "", {}), "")

    def test_labels_say_what_fits(self):
        name = "mitu::broker::(anonymous namespace)::Table<int, Slot<3>>::find"
        self.assertEqual(flame.short(name), "Table::find")
        self.assertEqual(flame.short("tcp_ack_[k]"), "tcp_ack")
        self.assertEqual(flame.fitting(name, 500), "Table::find")
        self.assertEqual(flame.fitting(name, 45), "Table…")
        self.assertEqual(flame.fitting(name, 20), "")


class Variants(unittest.TestCase):
    def test_first_words_are_the_environment_and_the_rest_arguments(self):
        variant = ours.Variant(pathlib.Path("bin"), "two=A=1 B_C=x=y --shards=2 D=3")
        self.assertEqual(variant.name, "mitu two")
        self.assertEqual(variant.environment(), {"A": "1", "B_C": "x=y"})
        self.assertEqual(variant.extra, ["--shards=2", "D=3"])

    def test_a_library_that_is_not_there_is_told_and_not_left_to_the_loader(self):
        variant = ours.Variant(pathlib.Path("bin"), "other=LD_PRELOAD=libno-such-thing.so.9")
        self.assertIn("libno-such-thing.so.9", variant.missing())

    def test_a_name_without_words_must_be_known(self):
        self.assertEqual(ours.Variant(pathlib.Path("bin"), "tcmalloc").preload,
                         ["libtcmalloc_minimal.so.4"])
        for text in ("", "nobody", "x=", "=y"):
            with self.assertRaises(ValueError):
                ours.Variant(pathlib.Path("bin"), text)


if __name__ == "__main__":
    unittest.main()
