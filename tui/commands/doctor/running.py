"""Runs checks in order: what needs a check that does not hold is not checked."""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace

from tui.commands.doctor.examination import Examination
from tui.commands.doctor.findings import Check, Checked, Finding, Standing, failed, not_checked


def run_checks(
    checks: Sequence[Check],
    examination: Examination,
    *,
    repairs: bool = False,
    begun: Callable[[Check], None] = lambda check: None,
) -> Iterator[Checked]:
    """The checks as they are made; with `repairs` what is safe is repaired, and checked once more.

    A check comes after those that it needs.
    """
    held: dict[str, bool] = {}
    titles = {check.name: check.title for check in checks}
    for check in checks:
        begun(check)
        start = time.monotonic()
        lacking = next((name for name in check.needs if not held[name]), "")
        done: tuple[str, ...] = ()
        if lacking:
            finding = not_checked(f'it needs "{titles[lacking]}"')
        else:
            finding = _found(check, examination)
            if repairs and finding.repair is not None:
                finding, done = _repaired(check, examination, finding)
        held[check.name] = finding.holds
        yield Checked(check, finding, done, time.monotonic() - start)


def _found(check: Check, examination: Examination) -> Finding:
    try:
        return check.run(examination)
    except OSError as error:  # a file that went away, a folder that cannot be read
        where = f"{error.filename}: " if error.filename else ""
        return failed(f"{where}{error.strerror or error}", "make it readable for you, then try again")
    except Exception as error:  # of a file or an answer that nobody thought of: the other checks go on
        return failed(
            f"the check itself ended with {type(error).__name__}: {error}"[:500],
            "report it with this line; anyclaude-tui made a mistake",
        )


def _repaired(check: Check, examination: Examination, finding: Finding) -> tuple[Finding, tuple[str, ...]]:
    assert finding.repair is not None
    done: list[str] = []
    try:
        done.extend(finding.repair())  # what was done before an error stays in it
    except (OSError, sqlite3.Error) as error:
        note = f"it could not be repaired: {error}"
        return replace(finding, details=(*finding.details, note)), tuple(done)
    again = _found(check, examination)
    return replace(again, repair=None), tuple(done)


def exit_code_of(results: Sequence[Checked]) -> int:
    """1 if a check failed."""
    return int(any(result.finding.standing is Standing.FAILED for result in results))
