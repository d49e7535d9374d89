"""README.md keeps its word: its console blocks are run, and their output is compared.

In a block, `$ ` begins a command and what follows is its output. `...` stands for any lines, N for
any number, and blanks for any blanks. A command that ends in `&` is left running until the block is
through. Two things are not taken literally: ports become free ones and /tmp/mitu a directory of our
own, and `./dev test`, which runs this very test, is only looked at.
"""

import json
import os
import re
import shlex
import unittest

import harness
from harness import eventually, only_mitud

README = harness.REPOSITORY / "README.md"


def blocks(text):
    """Each console block as a list of (command, lines of output)."""
    for body in re.findall(r"^```console\n(.*?)^```", text, re.DOTALL | re.MULTILINE):
        commands = []
        for line in body.splitlines():
            if line.startswith("$ "):
                commands.append((line[2:].split("#")[0].strip(), []))
            else:
                commands[-1][1].append(line)
        yield commands


def pattern_of(line):
    """The words of a line; N is any number."""
    words = [r"\d+" if word == "N" else re.escape(word) for word in line.split()]
    return r"\s*" + r"\s+".join(words) + r"\s*"


def difference(expected, output):
    """None, or the first expected line that does not come."""
    lines = [line for line in output.splitlines() if line.strip()]
    at, gap = 0, False
    for wanted in expected:
        if wanted.strip() == "...":
            gap = True
            continue
        pattern = pattern_of(wanted)
        if gap:
            while at < len(lines) and not re.fullmatch(pattern, lines[at]):
                at += 1
        if at == len(lines) or not re.fullmatch(pattern, lines[at]):
            return wanted
        at, gap = at + 1, False
    return None if gap or at == len(lines) else lines[at]


class Comparison(unittest.TestCase):
    """The comparison itself can fail."""

    def test_of_what_is_the_same(self):
        self.assertIsNone(difference(["a  b"], "a b\n"))
        self.assertIsNone(difference(["...", "N passed"], "x\ny\n12 passed\n"))
        self.assertIsNone(difference(["a", "..."], "a\nb\n"))
        self.assertIsNone(difference(["a", "...", "b"], "a\nb\n"))

    def test_of_what_is_not(self):
        self.assertEqual(difference(["a b"], "a c\n"), "a b")
        self.assertEqual(difference(["a"], "a\nb\n"), "b")
        self.assertEqual(difference(["...", "N passed"], "none passed\n"), "N passed")
        self.assertEqual(difference(["a", "b"], "a\n"), "b")


@only_mitud("it is its README")
class Readme(unittest.TestCase):
    def setUp(self):
        self.folder = harness.temporary_folder(self)
        self.port = harness.unused_port()

    def adapted(self, command):
        """The words of `command`, kept away from fixed ports and shared directories."""
        words = [word.replace("/tmp/mitu", str(self.folder)) for word in shlex.split(command)]
        words = [word.replace(":1883", f":{self.port}") for word in words]
        if words[0].endswith("/mitud"):
            words += ["--http", "127.0.0.1:0", "--port-file", str(self.folder / "ports.json")]
        return words

    def run_block(self, commands):
        for command, expected in commands:
            with self.subTest(command=command):
                if command == "./dev test":
                    self.assertIsNone(
                        difference(expected, "== x\n== test: all passed\n9 passed, 0 failed")
                    )
                elif command.endswith("&"):
                    self.start(self.adapted(command.removesuffix("&")))
                else:
                    _, output = harness.run(
                        self.adapted(command),
                        environment={
                            **os.environ,
                            "MITU_PORT": "0",
                            "MITU_HTTP_PORT": "0",
                            "MITU_URL": f"mqtt://127.0.0.1:{self.port}",
                        },
                        patience_s=900,
                        folder=harness.REPOSITORY,
                    )
                    missing = difference(expected, output)
                    self.assertIsNone(missing, f"expected:\n{missing}\nin:\n{output}")

    def start(self, words):
        process = harness.Process(words, folder=harness.REPOSITORY)
        self.addCleanup(process.kill)

        def serves():
            try:
                return json.loads((self.folder / "ports.json").read_text())["mqtt"] == self.port
            except (FileNotFoundError, json.JSONDecodeError):
                return False

        eventually(serves, lambda: f"{words[0]} serves\n{process.output()}")

    def test_its_blocks_do_what_they_show(self):
        found = list(blocks(README.read_text(encoding="utf-8")))
        self.assertGreater(len(found), 1)
        commands = [command for block in found for command, _ in block]
        self.assertIn("./dev test", commands)
        self.assertTrue(any(command.startswith("./dev run") for command in commands))
        for block in found:
            self.run_block(block)

    def test_its_links_lead_somewhere(self):
        for file in [README, *sorted((harness.REPOSITORY / "docs").glob("*.md"))]:
            text = file.read_text(encoding="utf-8")
            for target in re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", text):
                with self.subTest(file=file.name, link=target):
                    self.assertTrue((file.parent / target).exists())


if __name__ == "__main__":
    unittest.main()
