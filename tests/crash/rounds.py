"""A round from its beginning to its verdict, for the tests whose rounds must have no violation at all."""

import asyncio

import report
import world


def play(case, one, kills, total):
    """Plays `one`, a world; adds it to `total`, a report; fails `case` with what there is to see."""
    case.addCleanup(one.server.remove)
    try:
        checker = asyncio.run(world.play(one, kills))
    except AssertionError as error:
        kept = report.keep(one)
        raise AssertionError(
            f"seed {one.seed}: {error}\n{report.tail(one.server)}\nall of it: {kept}"
        ) from error
    checker.check()
    total.add(one, checker)
    # Nobody was turned away, and no answer was an error: the load is what was intended.
    case.assertEqual(dict(one.reasons), {})
    case.assertEqual(dict(one.refusals), {})
    if checker.violations:
        kept = report.keep(one, checker)
        case.fail(f"seed {one.seed}: {report.violations(checker)}\nall of it: {kept}")
    # A round that has exercised nothing proves nothing.
    for what in ("deliveries", "wills that came", "retained values compared"):
        case.assertGreater(checker.counts[what], 0, what)
    one.server.remove()
