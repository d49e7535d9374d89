#!/usr/bin/env python3
"""The conformance tables: checks that they are whole and true, and makes docs/conformance.md of them.

    table.py check --build build/dev    every row against the tests that this build has
    table.py page [--update]            compares docs/conformance.md, or writes it

What `check` holds:

- every statement of the standard has one row, in the order of the standard;
- every row has tests or a reason;
- every test exists in a binary of the build, or as a scenario, or as an end-to-end suite, and ctest
  runs it: no name of it is disabled or skipped;
- a test of this folder names the statements that it holds;
- no statement is cited anywhere in the tree that is not in a table.
"""

import argparse
import concurrent.futures
import json
import os
import re
import subprocess
import sys

import yaml

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(os.path.dirname(HERE))
PAGE = os.path.join("docs", "conformance.md")
UPDATE = "tests/conformance/table.py page --update"
CITED_IN = ("apps", "clients", "mitu", "sim", "tests")
CITED_IN_FILES = (".cpp", ".hpp", ".md", ".py", ".scn")

ID = re.compile(r"MQTT-(\d+)\.(\d+)\.(\d+)-(\d+)")
GTEST = re.compile(r"[A-Za-z_0-9]+\.[A-Za-z_0-9]+")
KEYS = {"id", "binds", "says", "tests", "reason"}


class Standard:
    """One standard: its table, and what is known of its numbering."""

    def __init__(self, title, table, count, holes):
        self.title = title
        self.table = table
        self.count = count  # of statements in its appendix B
        self.holes = holes  # numbers that it leaves out


STANDARDS = (
    Standard("MQTT 5.0", "mqtt_5_0.yaml", 251, {"MQTT-2.2.1-1"}),
    Standard("MQTT 3.1.1", "mqtt_3_1_1.yaml", 141, set()),
)


def number(statement):
    return tuple(int(part) for part in ID.fullmatch(statement).groups())


def read_rows(path):
    with open(path, encoding="utf-8") as file:
        return yaml.safe_load(file)


# ---- the table by itself -----------------------------------------------------------------------


def check_row(row):
    """What is wrong with one row; it has an id."""
    statement = row["id"]
    for key in row.keys() - KEYS:
        yield f"{statement}: `{key}` means nothing here; a row has {', '.join(sorted(KEYS))}"
    if row.get("binds") not in ("server", "client", "both"):
        yield f"{statement}: binds is `{row.get('binds')}`; write server, client or both"
    if not str(row.get("says") or "").strip():
        yield f"{statement}: says nothing; write the statement in your own words"
    tests = row.get("tests")
    if tests is not None and (not isinstance(tests, list) or not tests):
        yield f"{statement}: tests is not a list of names"
    elif tests is not None and len(set(tests)) != len(tests):
        yield f"{statement}: names a test twice"
    if not tests and not str(row.get("reason") or "").strip():
        yield f"{statement}: has neither tests nor a reason"


def check_rows(standard, rows):
    """What is wrong with a table, whatever the tests are."""
    before = None
    for row in rows:
        statement = row.get("id")
        if not isinstance(statement, str) or not ID.fullmatch(statement):
            yield f"{standard.table}: `{statement}` is no id; write MQTT-x.y.z-n"
            continue
        if before is not None and number(statement) <= number(before):
            what = "is there twice" if statement == before else f"stands behind {before}"
            yield f"{standard.table}: {statement} {what}"
        same_section = before is not None and number(before)[:3] == number(statement)[:3]
        last = number(before)[3] if same_section else 0
        for missing in range(last + 1, number(statement)[3]):
            gap = f"{statement[: statement.rindex('-')]}-{missing}"
            if gap not in standard.holes:
                yield f"{standard.table}: {gap} is missing"
        before = statement
        for problem in check_row(row):
            yield f"{standard.table}: {problem}"
    if len(rows) != standard.count:
        yield (
            f"{standard.table}: {len(rows)} statements; {standard.title} has {standard.count} of them"
        )


# ---- the tests that there are ------------------------------------------------------------------


class Tests:
    """What ctest of a build directory would run."""

    def __init__(self, gtests, entries, scenarios):
        self.gtests = gtests  # "suite.name", of binaries that ctest runs
        self.entries = entries  # names of ctest that are not disabled
        self.scenarios = scenarios  # without .scn, relative to tests/scenarios

    def why_not(self, name):
        """Why this test holds nothing; None: it is run."""
        kind, _, rest = name.rpartition(":")
        if kind == "scenario":
            if rest not in self.scenarios:
                return f"there is no tests/scenarios/{rest}.scn"
            if self.entries is not None and not {"scenarios_virtual"} & self.entries:
                return "ctest does not play scenarios"
            return None
        if kind == "e2e":
            if self.entries is not None and "e2e_" + rest not in self.entries:
                return f"ctest has no e2e_{rest}"
            return None
        if kind or not GTEST.fullmatch(name):
            return "it is neither suite.test nor scenario:NAME nor e2e:NAME"
        return None if name in self.gtests else "no test binary of this build has it"


def plain_name(suite, test):
    """INSTANCE/Suite/TYPE.test/PARAMETER, as it stands in the source; None: disabled."""
    parts = suite.split("/")
    suite = parts[-2] if len(parts) > 1 and parts[-1].isdigit() else parts[-1]
    test = test.split("/")[0]
    return None if "DISABLED_" in suite + test else f"{suite}.{test}"


def list_gtests(binary):
    listed = subprocess.run(
        [binary, "--gtest_list_tests"], check=True, capture_output=True, text=True
    ).stdout
    suite = None
    for line in listed.splitlines():
        line = line.split("#")[0].rstrip()
        if line.endswith(".") and not line.startswith(" "):
            suite = line[:-1]
        elif line.startswith("  ") and suite is not None:
            name = plain_name(suite, line.strip())
            if name is not None:
                yield name


def find_scenarios():
    folder = os.path.join(ROOT, "tests", "scenarios")
    for where, _, names in os.walk(folder):
        for name in names:
            if name.endswith(".scn"):
                yield os.path.relpath(os.path.join(where, name), folder)[: -len(".scn")]


def find_tests(build):
    shown = subprocess.run(
        ["ctest", "--test-dir", build, "--show-only=json-v1"],
        check=True, capture_output=True, text=True,
    ).stdout
    entries, binaries = set(), set()
    for entry in json.loads(shown[shown.index("{") :])["tests"]:
        properties = {each["name"]: each["value"] for each in entry.get("properties", ())}
        if properties.get("DISABLED") or not entry.get("command"):
            continue
        entries.add(entry["name"])
        command = entry["command"]
        if os.path.dirname(command[0]) == os.path.join(os.path.abspath(build), "tests"):
            if any("gtest_filter" in word for word in command[1:]):
                continue
            binaries.add(command[0])
    gtests = set()
    with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
        for names in pool.map(lambda path: list(list_gtests(path)), sorted(binaries)):
            gtests.update(names)
    has_scenarios = "scenarios_virtual" in entries
    if not has_scenarios:
        print("conformance: this build plays no scenarios; that they exist is all that is checked")
        entries.add("scenarios_virtual")
    return Tests(gtests, entries, set(find_scenarios()))


# ---- the table against the tree ----------------------------------------------------------------


TEST = re.compile(r"^TEST(?:_[FP])?\(\s*(\w+),\s*(\w+)\)", re.MULTILINE)


class Source:
    """Where a test is written."""

    def __init__(self, file_text, body, is_ours):
        self.file_text = file_text
        self.body = body
        self.is_ours = is_ours  # of this folder

    def why_not(self, statement):
        """Why the test does not hold the statement, as far as its text shows it."""
        if "GTEST_SKIP" in self.body:
            return "it may skip itself"
        if self.is_ours and not re.search(re.escape(statement) + r"(?!\d)", self.file_text):
            return "its file does not name the statement"
        return None


def sources_in(text, is_ours):
    """suite.test -> Source, of one file."""
    starts = list(TEST.finditer(text))
    ends = [start.start() for start in starts[1:]] + [len(text)]
    return {
        f"{start[1]}.{start[2]}": Source(text, text[start.start() : end], is_ours)
        for start, end in zip(starts, ends)
    }


def find_sources():
    found = {}
    for top in ("mitu", "sim", "tests"):
        for where, _, names in os.walk(os.path.join(ROOT, top)):
            for name in sorted(names):
                if name.endswith("_test.cpp"):
                    with open(os.path.join(where, name), encoding="utf-8") as file:
                        found.update(sources_in(file.read(), where == HERE))
    return found


def check_tests(rows, tests, sources):
    for row in rows:
        for name in row.get("tests") or ():
            why = tests.why_not(name)
            if why is None and name in sources:
                why = sources[name].why_not(row["id"])
            if why is not None:
                yield f"{row['id']}: {name}: {why}"


def find_citations():
    """(path, line number, id) of every statement that the tree names."""
    for top in CITED_IN:
        for where, folders, names in os.walk(os.path.join(ROOT, top)):
            folders[:] = [name for name in folders if name not in ("node_modules", "__pycache__")]
            for name in sorted(names):
                if not name.endswith(CITED_IN_FILES) or name in ("table.py", "table_test.py"):
                    continue
                path = os.path.join(where, name)
                with open(path, encoding="utf-8", errors="replace") as file:
                    for at, line in enumerate(file, start=1):
                        for match in ID.finditer(line):
                            yield os.path.relpath(path, ROOT), at, match.group()


def check_citations(citations, known):
    for path, line, statement in citations:
        if statement not in known:
            yield f"{path}:{line}: no standard has {statement}"


# ---- the page ----------------------------------------------------------------------------------

SECTIONS = re.compile(r"^# (\d+(?:\.\d+)?) (.+)$")


def sections_of(path):
    """(title, [ids]) in the order of the table; a section is a comment `# 3.1 CONNECT`."""
    sections = []
    with open(path, encoding="utf-8") as file:
        for line in file:
            heading = SECTIONS.match(line)
            if heading:
                sections.append((f"{heading[1]} {heading[2].strip()}", []))
            found = re.match(r"- id: (\S+)", line)
            if found:
                sections[-1][1].append(found[1])
    return sections


def cell(text):
    return str(text).replace("|", "\\|")


def render_standard(standard, rows, sections):
    by_id = {row["id"]: row for row in rows}
    for title, ids in sections:
        yield f"### {standard.title}, {title}"
        yield ""
        yield "| Statement | Binds | What it says | Held by |"
        yield "|---|---|---|---|"
        for statement in ids:
            row = by_id[statement]
            held = "<br>".join(f"`{name}`" for name in row.get("tests") or ())
            reason = cell(row["reason"]) if row.get("reason") else ""
            held = "<br>".join(part for part in (held, reason) if part)
            yield f"| {statement} | {row['binds']} | {cell(row['says'])} | {held} |"
        yield ""


def render(tables, choices):
    """The page, of [(standard, rows, sections)]."""
    lines = [
        "# Conformance",
        "",
        f"<!-- Made by {UPDATE} of the tables beside it; a test compares. -->",
        "",
        "Every numbered statement of both standards, and the test that holds it. The sentences are ours;",
        "the standards' are at <https://docs.oasis-open.org/mqtt/mqtt/>. A test is a `suite.test` of the unit",
        "tests, a `scenario:` of [tests/scenarios](../tests/scenarios/README.md), or an `e2e:` suite against",
        "the real server. All of them run in `./dev test`, which also checks that the tables have no gap.",
        "",
        "| Standard | Statements | Held by tests | Only by a reason |",
        "|---|---|---|---|",
    ]
    for standard, rows, _ in tables:
        held = sum(1 for row in rows if row.get("tests"))
        lines.append(f"| {standard.title} | {len(rows)} | {held} | {len(rows) - held} |")
    lines += ["", choices.rstrip(), "", "## Statements without a test", ""]
    for standard, rows, _ in tables:
        for row in rows:
            if not row.get("tests"):
                lines.append(f"- {standard.title}, {row['id']}: {row['says']}. {row['reason']}")
    lines += ["", "## All statements", ""]
    for standard, rows, sections in tables:
        lines.extend(render_standard(standard, rows, sections))
    return "\n".join(lines).rstrip() + "\n"


# ---- commands ----------------------------------------------------------------------------------


def read_tables():
    for standard in STANDARDS:
        path = os.path.join(HERE, standard.table)
        yield standard, read_rows(path), sections_of(path)


def run_check(options):
    tests = find_tests(options.build)
    sources = find_sources()
    problems, known, used = [], set(), set()
    for standard, rows, _ in read_tables():
        problems += check_rows(standard, rows)
        problems += (f"{standard.table}: {each}" for each in check_tests(rows, tests, sources))
        known |= {row.get("id") for row in rows}
        used |= {name for row in rows for name in row.get("tests") or ()}
        held = sum(1 for row in rows if row.get("tests"))
        print(f"{standard.title}: {len(rows)} statements, {held} held by tests")
    problems += check_citations(find_citations(), known)
    for problem in problems:
        print(problem, file=sys.stderr)
    print(f"conformance: {len(used)} tests named, {len(problems)} problems")
    return 1 if problems else 0


def run_page(options):
    with open(os.path.join(HERE, "choices.md"), encoding="utf-8") as file:
        page = render(list(read_tables()), file.read())
    path = os.path.join(ROOT, PAGE)
    if options.update:
        with open(path, "w", encoding="utf-8") as file:
            file.write(page)
        return 0
    try:
        with open(path, encoding="utf-8") as file:
            is_same = file.read() == page
    except FileNotFoundError:
        is_same = False
    if not is_same:
        print(f"{PAGE} is not what the tables say; run {UPDATE}", file=sys.stderr)
    return 0 if is_same else 1


def main(arguments):
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    commands = parser.add_subparsers(required=True)
    check = commands.add_parser("check", help="the tables against the tests of a build")
    check.add_argument("--build", required=True, help="a build directory of the dev preset")
    check.set_defaults(run=run_check)
    page = commands.add_parser("page", help=f"compares {PAGE} with the tables")
    page.add_argument("--update", action="store_true", help="writes it")
    page.set_defaults(run=run_page)
    options = parser.parse_args(arguments)
    return options.run(options)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
