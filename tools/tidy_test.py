"""Tests of tools/tidy, on trees made for the purpose and on the tree that it lives in."""

import importlib.machinery
import importlib.util
import io
import os
import contextlib
import tempfile
import unittest

HERE = os.path.dirname(os.path.abspath(__file__))


def load_tidy():
    loader = importlib.machinery.SourceFileLoader("tidy", os.path.join(HERE, "tidy"))
    module = importlib.util.module_from_spec(importlib.util.spec_from_loader("tidy", loader))
    import sys

    sys.modules["tidy"] = module  # dataclasses look their module up
    loader.exec_module(module)
    return module


tidy = load_tidy()

MAP = """
| Folder | Purpose | May use |
|---|---|---|
| `base` | ground | nothing |
| `ports` | doors | base |
| `mqtt` | bytes | base |
| `broker` | packets | mqtt, ports |
"""


def findings_in(path, text):
    return [str(finding) for finding in tidy.check_file(path, text, tidy.Map(MAP))]


class TheMap(unittest.TestCase):
    def check(self, folders, text=MAP):
        return [str(f) for f in tidy.check_map(tidy.Map(text), set(folders), "mitu/README.md")]

    def test_accepts_the_folders_that_it_names(self):
        self.assertEqual(self.check(["base", "ports", "mqtt", "broker"]), [])

    def test_names_a_folder_that_is_not_in_it(self):
        found = self.check(["base", "ports", "mqtt", "broker", "attic"])
        self.assertEqual(found, ["mitu/README.md:1: mitu/attic is not in the table; add its row"])

    def test_names_a_row_without_a_folder(self):
        found = self.check(["base", "ports", "mqtt"])
        self.assertEqual(found, ["mitu/README.md:7: mitu/broker is not there; remove its row"])

    def test_names_an_arrow_to_nowhere(self):
        text = "| `base` | ground | cellar |\n"
        self.assertIn("cellar, which has no row", self.check(["base"], text)[0])

    def test_names_a_circle(self):
        text = "| `a` | x | b |\n| `b` | x | a |\n"
        self.assertEqual(len(self.check(["a", "b"], text)), 2)

    def test_arrows_are_transitive(self):
        self.assertEqual(tidy.Map(MAP).reachable("broker"), {"mqtt", "ports", "base"})
        self.assertEqual(tidy.Map(MAP).reachable("base"), set())


class Includes(unittest.TestCase):
    def test_along_the_arrows_are_fine(self):
        text = '#include "mitu/broker/session.hpp"\n#include "mitu/base/result.hpp"\n'
        self.assertEqual(findings_in("mitu/broker/session.cpp", text), [])

    def test_against_the_arrows_are_found(self):
        found = findings_in("mitu/mqtt/decode.cpp", '\n#include "mitu/broker/session.hpp"\n')
        self.assertEqual(len(found), 1)
        self.assertTrue(found[0].startswith("mitu/mqtt/decode.cpp:2: mqtt may not use broker"))

    def test_tests_beside_the_subject_obey_too(self):
        found = findings_in("mitu/base/x_test.cpp", '#  include "mitu/mqtt/decode.hpp"\n')
        self.assertEqual(len(found), 1)

    def test_in_a_comment_do_not_count(self):
        text = '// #include "mitu/broker/a.hpp"\n/*\n#include "mitu/broker/b.hpp"\n*/\n'
        self.assertEqual(findings_in("mitu/base/x.cpp", text), [])

    def test_of_apps_are_free(self):
        self.assertEqual(findings_in("apps/mitud/main.cpp", '#include "mitu/broker/a.hpp"\n'), [])


class Doors(unittest.TestCase):
    """Each kind is found in the core, with the port to use, and left alone where it belongs."""

    CASES = (
        ("clocks", "auto t = std::chrono::steady_clock::now();", "mitu/ports/clock.hpp"),
        ("clocks", "auto t = std::time(nullptr);", "mitu/ports/clock.hpp"),
        ("clocks", "clock_gettime(CLOCK_MONOTONIC, &ts);", "mitu/ports/clock.hpp"),
        ("sleeps", "std::this_thread::sleep_for(1s);", "deadline"),
        ("sleeps", "    sleep(1);", "deadline"),
        ("entropy", "std::random_device device;", "mitu/ports/entropy.hpp"),
        ("entropy", "randombytes_buf(a, b);", "mitu/ports/entropy.hpp"),
        ("environment", 'const char* home = std::getenv("HOME");', "option"),
        ("sockets", "#include <sys/socket.h>", "mitu/ports/network.hpp"),
        ("sockets", "#include <boost/asio/ip/tcp.hpp>", "mitu/ports/network.hpp"),
        ("sockets", "int fd = ::socket(AF_INET, SOCK_STREAM, 0);", "mitu/ports/network.hpp"),
        ("threads", "std::thread worker{run};", "mitu/runtime/"),
        ("threads", "std::jthread worker{run};", "mitu/runtime/"),
    )

    def test_are_found_in_the_core(self):
        for kind, line, remedy in self.CASES:
            with self.subTest(line=line):
                found = findings_in("mitu/broker/session.cpp", "\n" + line + "\n")
                self.assertEqual(len(found), 1)
                self.assertIn("mitu/broker/session.cpp:2:", found[0])
                self.assertIn(f"({kind})", found[0])
                self.assertIn(remedy, found[0])

    def test_are_free_where_they_belong(self):
        for _, line, _ in self.CASES:
            for path in (
                "mitu/runtime/a.cpp",
                "mitu/http/a.cpp",
                "apps/mitud/a.cpp",
                "bench/a.cpp",
            ):
                with self.subTest(line=line, path=path):
                    self.assertEqual(findings_in(path, line + "\n"), [])

    def test_do_not_mistake_names_that_look_alike(self):
        for line in (
            "session.time(now);",
            "const Instant time = next_time();",
            "expiry_time(nullptr);",
            "uint64_t uptime(0);",
            "network.send(bytes);",
            "gateway->listen(port);",
            "broker::connect(packet);",
            "std::thread::id owner;",
            "operand(left);",
            "sleep_deadline(now);",
        ):
            with self.subTest(line=line):
                self.assertEqual(findings_in("mitu/broker/a.cpp", line + "\n"), [])

    def test_in_comments_and_texts_do_not_count(self):
        for line in (
            "// std::thread would be wrong here",
            "/* system_clock\n steady_clock */",
            'log("std::getenv");',
            'constexpr auto text = R"(random_device)";',
            "constexpr int big = 1'000'000; // getenv",
        ):
            with self.subTest(line=line):
                self.assertEqual(findings_in("mitu/broker/a.cpp", line + "\n"), [])

    def test_code_after_a_digit_separator_still_counts(self):
        found = findings_in("mitu/broker/a.cpp", "f(1'000, std::getenv(name), 2'000);\n")
        self.assertEqual(len(found), 1)

    def test_two_threads_may_test_what_is_shared(self):
        for path in ("mitu/broker/mailbox_test.cpp", "mitu/broker/mailbox_bench.cpp"):
            self.assertEqual(findings_in(path, "std::thread reader{run};\n"), [])

    def test_a_benchmark_may_look_at_the_clock(self):
        line = "const auto start = std::chrono::steady_clock::now();\n"
        self.assertEqual(findings_in("mitu/fleet/startup_bench.cpp", line), [])
        self.assertEqual(len(findings_in("mitu/fleet/startup_test.cpp", line)), 1)

    def test_an_exception_says_why(self):
        line = "std::thread a;  // tidy-allow(threads): the one that watches the others\n"
        self.assertEqual(findings_in("mitu/broker/a.cpp", line), [])
        without_reason = "std::thread a;  // tidy-allow(threads):\n"
        self.assertEqual(len(findings_in("mitu/broker/a.cpp", without_reason)), 1)
        of_another_kind = "std::thread a;  // tidy-allow(clocks): no\n"
        self.assertEqual(len(findings_in("mitu/broker/a.cpp", of_another_kind)), 1)


class Randomness(unittest.TestCase):
    def test_of_the_standard_library_is_found_everywhere(self):
        for line in (
            "int x = rand();",
            "std::srand(7);",
            "std::shuffle(a.begin(), a.end(), g);",
            "std::ranges::shuffle(a, g);",
            "std::uniform_int_distribution<int> d{0, 5};",
            "std::mt19937_64 generator{7};",
        ):
            for path in (
                "mitu/broker/a.cpp",
                "mitu/runtime/a.cpp",
                "apps/mitu/a.cpp",
                "bench/a.cpp",
            ):
                with self.subTest(line=line, path=path):
                    found = findings_in(path, line + "\n")
                    self.assertEqual(len(found), 1)
                    self.assertIn("mitu/base/random.hpp", found[0])

    def test_of_ours_is_fine(self):
        self.assertEqual(findings_in("mitu/base/a.cpp", "random.shuffle(items); operand(2);\n"), [])


class Trees(unittest.TestCase):
    def make(self, files):
        root = tempfile.TemporaryDirectory()
        self.addCleanup(root.cleanup)
        for path, text in files.items():
            full = os.path.join(root.name, path)
            os.makedirs(os.path.dirname(full), exist_ok=True)
            with open(full, "w", encoding="utf-8") as file:
                file.write(text)
        return root.name

    def run_main(self, root):
        output = io.StringIO()
        with contextlib.redirect_stdout(output):
            status = tidy.main([root])
        return status, output.getvalue()

    def test_a_clean_one_passes(self):
        root = self.make(
            {"mitu/README.md": "| `base` | x | nothing |\n", "mitu/base/a.hpp": "int a;\n"}
        )
        self.assertEqual(self.run_main(root), (0, "tools/tidy: 1 files, 0 errors, 0 warnings\n"))

    def test_a_finding_fails_it(self):
        root = self.make(
            {"mitu/README.md": "| `base` | x | nothing |\n", "mitu/base/a.hpp": "rand();\n"}
        )
        status, output = self.run_main(root)
        self.assertEqual(status, 1)
        self.assertIn("mitu/base/a.hpp:1: rand( (randomness)", output)

    def test_a_long_file_is_a_warning(self):
        long = "int a;\n" * (tidy.LINES_MAX + 1)
        root = self.make({"mitu/README.md": "| `base` | x | nothing |\n", "mitu/base/a.hpp": long})
        status, output = self.run_main(root)
        self.assertEqual(status, 0)
        self.assertIn("mitu/base/a.hpp:701: warning: 701 lines", output)

    def test_what_is_built_is_not_looked_at(self):
        root = self.make(
            {
                "mitu/README.md": "| `base` | x | nothing |\n",
                "mitu/base/a.hpp": "int a;\n",
                "build/dev/a.cpp": "rand();\n",
                "tests/e2e/mqttjs/node_modules/a.js": "x\n" * 2000,
            }
        )
        self.assertEqual(self.run_main(root)[0], 0)

    def test_the_map_of_this_tree_is_read(self):
        with open(os.path.join(HERE, "..", "mitu", "README.md"), encoding="utf-8") as file:
            uses = tidy.Map(file.read()).uses
        self.assertEqual(uses["base"], [])
        self.assertEqual(uses["mqtt"], ["memory"])
        self.assertIn("node", uses)


if __name__ == "__main__":
    unittest.main()
