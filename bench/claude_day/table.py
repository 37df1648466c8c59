"""The table of docs/compatibility.md: a row for each scenario, a column for each version of the client."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from bench.claude_day.scenario import Scenario

BEGIN, END = "<!-- claude-day -->", "<!-- /claude-day -->"
NOT_RUN = "not run"
_FIXED = ("scenario", "checked", "in CI")


@dataclass(frozen=True)
class Outcome:
    """How a scenario ended; without `problems` it passed, but for what the client itself lacks (`lacks`)."""

    name: str
    problems: tuple[str, ...]
    seconds: float
    date: str
    lacks: tuple[str, ...] = ()

    @property
    def cell(self) -> str:
        ended = f"{'**failed**' if self.problems else 'passed'}, {self.seconds:.0f} s, {self.date}"
        return "; ".join([ended, *(f"not in this version: {what}" for what in self.lacks)])


def merged(document: str, rows: Sequence[Scenario], outcomes: Sequence[Outcome], version: str) -> str:
    """The document with the outcomes in the column of `version`; all other cells stay.

    The table has this version and the oldest other one: a newer client replaces the newest.

    Raises:
        ValueError: the document has no place for the table.
    """
    before, found, rest = document.partition(BEGIN)
    old, ended, after = rest.partition(END)
    if not found or not ended:
        raise ValueError(f"the document lacks {BEGIN} or {END}")
    versions, cells = _read(old)
    oldest = sorted((other for other in versions if other != version), key=_key)[:1]
    columns = sorted([version, *oldest], key=_key, reverse=True)
    cells |= {(outcome.name, version): outcome.cell for outcome in outcomes}
    return f"{before}{BEGIN}\n\n{_written(rows, columns, cells)}\n{END}{after}"


def _read(text: str) -> tuple[list[str], dict[tuple[str, str], str]]:
    lines = [line.strip("| \n").split(" | ") for line in text.splitlines() if line.startswith("| ")]
    if not lines:
        return [], {}
    versions = lines[0][len(_FIXED) :]
    return versions, {
        (line[0], version): cell
        for line in lines[1:]
        for version, cell in zip(versions, line[len(_FIXED) :], strict=False)
    }


def _written(rows: Sequence[Scenario], columns: Sequence[str], cells: dict[tuple[str, str], str]) -> str:
    table = [[*_FIXED, *columns]]
    for row in rows:
        test = f"`{row.test}`" if row.test else "—"
        table.append([row.name, row.checked, test, *(cells.get((row.name, one), NOT_RUN) for one in columns)])
    lines = ["| " + " | ".join(line) + " |" for line in table]
    return "\n".join([lines[0], "|" + "---|" * len(table[0]), *lines[1:]]) + "\n"


def _key(version: str) -> list[int]:
    return [int(part) for part in re.findall(r"\d+", version)]
