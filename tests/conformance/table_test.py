"""Tests of table.py, on rows made for the purpose."""

import unittest

import table

STANDARD = table.Standard("Test 1.0", "test.yaml", 3, {"MQTT-1.1.0-2"})


def row(statement, **fields):
    return {"id": statement, "binds": "server", "says": "Something", "tests": ["a.b"], **fields}


WHOLE = [row("MQTT-1.1.0-1"), row("MQTT-1.1.0-3"), row("MQTT-1.10.0-1")]


def problems(rows):
    return list(table.check_rows(STANDARD, rows))


class Rows(unittest.TestCase):
    def test_whole_table_has_no_problem(self):
        self.assertEqual(problems(WHOLE), [])

    def test_statement_that_is_missing_is_named(self):
        self.assertEqual(
            problems([row("MQTT-1.1.0-1"), row("MQTT-1.1.0-4"), row("MQTT-1.10.0-1")]),
            ["test.yaml: MQTT-1.1.0-3 is missing"],
        )

    def test_statement_that_is_missing_at_the_end_is_counted(self):
        self.assertIn("2 statements", problems(WHOLE[:2])[0])

    def test_statement_twice_is_named(self):
        self.assertIn(
            "test.yaml: MQTT-1.1.0-1 is there twice", problems([WHOLE[0], WHOLE[0], WHOLE[2]])
        )

    def test_order_is_that_of_numbers(self):
        self.assertIn(
            "test.yaml: MQTT-1.1.0-1 stands behind MQTT-1.10.0-1",
            problems([WHOLE[2], WHOLE[0], WHOLE[1]]),
        )

    def test_row_without_tests_needs_a_reason(self):
        self.assertIn("neither", problems([*WHOLE[:2], row("MQTT-1.10.0-1", tests=None)])[0])
        self.assertIn("neither", problems([*WHOLE[:2], row("MQTT-1.10.0-1", tests=None, reason=" ")])[0])
        self.assertEqual(
            problems([*WHOLE[:2], row("MQTT-1.10.0-1", tests=None, reason="Nobody can see it.")]), []
        )

    def test_fields_mean_something(self):
        for bad in (
            {"binds": "broker"}, {"says": ""}, {"tests": "a.b"}, {"tests": []},
            {"tests": ["a.b", "a.b"]}, {"test": "a.b"}, {"id": "MQTT-1.10-1"}, {"id": None},
        ):
            with self.subTest(**bad):
                self.assertNotEqual(problems([*WHOLE[:2], row("MQTT-1.10.0-1") | bad]), [])


class TestsThatThereAre(unittest.TestCase):
    TESTS = table.Tests({"a.b"}, {"scenarios_virtual", "e2e_paho"}, {"one", "regress/two"})

    def test_those_that_run_are_taken(self):
        for name in ("a.b", "scenario:one", "scenario:regress/two", "e2e:paho"):
            with self.subTest(name=name):
                self.assertIsNone(self.TESTS.why_not(name))

    def test_those_that_do_not_are_named(self):
        for name in ("a.c", "b", "scenario:three", "e2e:sessions", "unit:a.b", ""):
            with self.subTest(name=name):
                self.assertIsNotNone(self.TESTS.why_not(name))

    def test_scenarios_that_nobody_plays_hold_nothing(self):
        self.assertIsNotNone(table.Tests(set(), set(), {"one"}).why_not("scenario:one"))

    def test_names_of_parameters_are_left_out(self):
        self.assertEqual(table.plain_name("shards/RoutingTest", "reaches/0"), "RoutingTest.reaches")
        self.assertEqual(table.plain_name("decode", "refuses"), "decode.refuses")
        self.assertEqual(table.plain_name("all/Typed/3", "holds/1"), "Typed.holds")
        self.assertEqual(table.plain_name("Typed/0", "holds"), "Typed.holds")

    def test_disabled_tests_are_none(self):
        self.assertIsNone(table.plain_name("decode", "DISABLED_refuses"))
        self.assertIsNone(table.plain_name("shards/DISABLED_Routing", "reaches/0"))

    def test_tests_of_this_folder_name_their_statements(self):
        def problems_with(text, is_ours=True):
            sources = table.sources_in(text, is_ours)
            return list(table.check_tests([row("MQTT-1.1.0-1")], self.TESTS, sources))

        self.assertEqual(problems_with("// [MQTT-1.1.0-1]\nTEST(a, b) {}\n"), [])
        self.assertEqual(problems_with("TEST(a, b) {}\n", is_ours=False), [])
        self.assertEqual(problems_with(""), [], "those of other folders need no comment")
        self.assertEqual(len(problems_with("// [MQTT-1.1.0-12]\nTEST(a, b) {}\n")), 1)

    def test_a_test_that_may_skip_itself_holds_nothing(self):
        text = "TEST_F(a, b) {\n  if (x) GTEST_SKIP();\n}\n\nTEST(a, c) {}\n"
        rows = [row("MQTT-1.1.0-1"), row("MQTT-1.1.0-3", tests=["a.c"])]
        tests = table.Tests({"a.b", "a.c"}, set(), set())
        found = list(table.check_tests(rows, tests, table.sources_in(text, False)))
        self.assertEqual(found, ["MQTT-1.1.0-1: a.b: it may skip itself"])

    def test_statement_that_no_standard_has_is_found_where_it_stands(self):
        found = table.check_citations([("a.cpp", 7, "MQTT-9.9.9-9")], {"MQTT-1.1.0-1"})
        self.assertEqual(list(found), ["a.cpp:7: no standard has MQTT-9.9.9-9"])


class Page(unittest.TestCase):
    def test_it_counts_and_lists(self):
        rows = [WHOLE[0], row("MQTT-1.1.0-3", tests=None, reason="Nobody can see it.")]
        page = table.render(
            [(STANDARD, rows, [("1.1 First", ["MQTT-1.1.0-1", "MQTT-1.1.0-3"])])], "## Choices\n"
        )
        self.assertIn("| Test 1.0 | 2 | 1 | 1 |", page)
        self.assertIn("- Test 1.0, MQTT-1.1.0-3: Something. Nobody can see it.", page)
        self.assertIn("| MQTT-1.1.0-1 | server | Something | `a.b` |", page)


if __name__ == "__main__":
    unittest.main()
