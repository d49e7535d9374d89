#!/usr/bin/python3
"""What bench/compare makes of runs: which targets are met, and that every page and chart is whole."""

import pathlib
import sys
import tempfile
import unittest
import xml.etree.ElementTree

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE))

from harness import allocations, figures, machine, ours, peers, performance  # noqa: E402
from harness import report, scenarios, shards, targets  # noqa: E402

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
    kinds = {"connect": "connection", "filters": "filter", "retained": "retained"}
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
                self.assertEqual(len(matching), 1, (target, quick))

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
        with tempfile.TemporaryDirectory() as folder:
            for number, words in enumerate(("--shards 2", "--shards=2", "--log-level debug")):
                inner = pathlib.Path(folder) / str(number)
                inner.mkdir()
                command, _ = ours.Variant(pathlib.Path("bin"), f"v={words}").command(inner, None)
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


class Pages(unittest.TestCase):
    def test_tables_page_and_charts_are_whole_though_some_brokers_cannot_do_all(self):
        brokers = {"null relay": 0.1, "mitu": 0.4, "mitu <tcmalloc>": 0.3, "mosquitto": 4,
                   "nats-server": 2}
        summary = a_summary(brokers)
        text = report.tables(summary, list(brokers), 3) + targets.section(targets.judge(summary))
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
            drawn = list(folder.glob("*.svg"))
            self.assertGreater(len(drawn), 10)
            for path in drawn:
                xml.etree.ElementTree.parse(path)
                self.assertIn(f"]({path.name})", page)


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
