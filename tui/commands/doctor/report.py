"""The findings as a table for people, and as JSON."""

from __future__ import annotations

import json
import shutil
import sys
from collections.abc import Iterator, Sequence
from typing import Any

from tui.client.figures import plural
from tui.client.wire_text import hanging, line_text
from tui.commands.doctor.findings import Check, Checked, Standing

_COLOURS = {Standing.OK: "32", Standing.WARNING: "33", Standing.FAILED: "31", Standing.NOT_CHECKED: "2"}
_STANDING_WIDTH = max(len(standing) for standing in Standing) + 2
_LONGEST = 4000  # characters of one evidence
_WIDTHS = (60, 140)
_ERASE = "\r\x1b[K"


class ProgressLine:
    """On a terminal, one line on stderr that names the check that runs."""

    def __init__(self) -> None:
        self._shows = sys.stderr.isatty()

    def begun(self, check: Check) -> None:
        if self._shows:
            sys.stderr.write(f"{_ERASE}checking {check.title} …")
            sys.stderr.flush()

    def cleared(self) -> None:
        """Make room for a row."""
        if self._shows:
            sys.stderr.write(_ERASE)
            sys.stderr.flush()


def row(
    result: Checked, *, title_width: int, width: int, coloured: bool = False, details: bool = False
) -> str:
    """One row of the table: standing, title, evidence; below it what was done, and what to do."""
    finding = result.finding
    standing = f"{finding.standing:<{_STANDING_WIDTH}}"
    if coloured:
        standing = f"\x1b[{_COLOURS[finding.standing]}m{standing}\x1b[0m"
    indent = " " * (_STANDING_WIDTH + title_width + 2)
    lines = list(_wrapped(finding.evidence, "", indent, width))
    shows_all = details or finding.standing is Standing.FAILED
    for detail in finding.details if shows_all else ():
        lines += _wrapped(detail, "", indent, width)
    for repair in result.repairs:
        lines += _wrapped(repair, "fixed: ", indent, width)
    if finding.advice:
        lines += _wrapped(finding.advice, "→ ", indent, width)
    first, *others = lines
    head = f"{standing}{result.check.title:<{title_width}}  {first.lstrip()}"
    return "\n".join([head, *others]) + "\n"


def _wrapped(text: str, mark: str, indent: str, width: int) -> Iterator[str]:
    # Paths and options stay whole, to be copied.
    lines = hanging(mark + line_text(text, _LONGEST), width - len(indent), len(mark), whole_words=True)
    yield from (indent + line for line in lines)


def terminal_width() -> int:
    """The width of the table's lines."""
    return max(_WIDTHS[0], min(_WIDTHS[1], shutil.get_terminal_size((110, 24)).columns))


def summary(results: Sequence[Checked]) -> str:
    """One line: how many checks ended how."""
    counts = {
        standing: sum(result.finding.standing is standing for result in results) for standing in Standing
    }
    others = [f"{count} {standing}" for standing, count in counts.items() if count and standing != "ok"]
    return f"{plural(len(results), 'check')}: {', '.join([f'{counts[Standing.OK]} ok', *others])}"


def as_json(results: Sequence[Checked]) -> str:
    """One JSON object with all checks."""
    counts = {str(standing): 0 for standing in Standing}
    rows = []
    for result in results:
        counts[result.finding.standing] += 1
        rows.append(_record(result))
    return json.dumps({"checks": rows, "counts": counts}, indent=1) + "\n"


def _record(result: Checked) -> dict[str, Any]:
    finding = result.finding
    return {
        "name": result.check.name,
        "title": result.check.title,
        "standing": str(finding.standing),
        "evidence": finding.evidence,
        "advice": finding.advice,
        "details": list(finding.details),
        "needs": list(result.check.needs),
        "repairable": finding.repair is not None,
        "repairs": list(result.repairs),
        "seconds": round(result.took_s, 3),
    }
