"""`make models-report`: what the engine makes of chat templates, as a table.

A row of the table has a template's family of tool calls, the mark and the switch of its thinking, and whether
history is the template's own or composed turn by turn. Then how many prompts of the probe conversations are
refused, so that they became a transcript, and how many parts of them are lost or misplaced. Then what a loop
of 20 calls and the question behind it compute, over what a plain append computes, and the part of the
question's prompt that is computed again. Exit code 1: something is refused, lost, or computed again.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterator, Sequence
from datetime import date
from pathlib import Path

from bench.template_report.measurement import TemplateRow, measure
from bench.template_report.own_templates import OWN_TEMPLATES

_MARK = "<!-- templates: written by `make models-report` -->"
_HEAD = ("template", "calls", "thinking", "switch", "history", "refused", "lost", "loop", "again", "probe s")
_MOST_LOOP = 1.02


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure the templates; returns the exit code."""
    parser = argparse.ArgumentParser(
        prog="python -m bench.template_report",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "templates",
        type=Path,
        nargs="?",
        help="a folder of .jinja files; none: the templates of this project",
    )
    parser.add_argument("--json", action="store_true", help="a JSON object for each template, with its notes")
    parser.add_argument("--only", default="", metavar="TEXT", help="templates whose name contains this")
    parser.add_argument("--write", type=Path, metavar="FILE", help="put the table into this document")
    given = parser.parse_args(arguments)
    if given.templates is not None and not given.templates.is_dir():
        print(f"{given.templates} is not a folder", file=sys.stderr)
        return 2
    named = [(name, text) for name, text in _templates(given.templates) if given.only in name]
    if not named:
        print(
            f"no templates: {given.templates or 'this project'} has no .jinja file of that name",
            file=sys.stderr,
        )
        return 2
    rows: list[TemplateRow] = []
    for name, text in named:
        rows.append(measure(name, text))
        if given.json:
            print(json.dumps(rows[-1].document()), flush=True)
        if sys.stderr.isatty():
            print(f"\r{len(rows)} of {len(named)} templates", end="", file=sys.stderr, flush=True)
    if sys.stderr.isatty():
        print(file=sys.stderr)
    if not given.json:
        print("\n".join(table(rows)))
    print(summary(rows), file=sys.stderr)
    if given.write is not None:
        write_table(given.write, rows, given.templates)
    return int(any(is_bad(row) for row in rows))


def _templates(folder: Path | None) -> Iterator[tuple[str, str]]:
    if folder is None:
        yield from OWN_TEMPLATES.items()
    else:
        for file in sorted(folder.glob("*.jinja")):
            yield file.stem, file.read_text("utf-8")


def is_bad(row: TemplateRow) -> bool:
    """Whether a template's prompts are refused, lack something, or are computed again."""
    return bool(row.refused or row.lost or row.reuse > _MOST_LOOP)


def summary(rows: Sequence[TemplateRow]) -> str:
    """The counts of a table, as a sentence."""
    refused, lost = sum(bool(row.refused) for row in rows), sum(bool(row.lost) for row in rows)
    again = sum(row.reuse > _MOST_LOOP for row in rows)
    slowest = max(row.probe_s for row in rows)
    return (
        f"{len(rows)} templates: {refused} refuse something, {lost} lose something, {again} compute more than"
        f" {_MOST_LOOP} of a plain append in a loop; the longest probe took {slowest:.1f} s"
    )


def table(rows: Sequence[TemplateRow]) -> Iterator[str]:
    """The rows in Markdown."""
    yield "| " + " | ".join(_HEAD) + " |"
    yield "|" + "---|" * len(_HEAD)
    for row in rows:
        marks = (_code(text) for text in (row.family, row.thinking, row.switch))
        figures = (f"{row.reuse:.2f}", f"{row.question:.0%}", f"{row.probe_s:.1f}")
        cells = (row.name, *marks, row.history, str(len(row.refused)), str(len(row.lost)), *figures)
        yield "| " + " | ".join(cells) + " |"


def write_table(document: Path, rows: Sequence[TemplateRow], folder: Path | None) -> None:
    """Put a table, its date and its command into a document, in place of the one before."""
    before, _, rest = document.read_text("utf-8").partition(_MARK)
    behind = rest.partition(_MARK)[2]
    command = "make models-report" + (" TEMPLATES=DIR" if folder is not None else "")
    made = f"Made on {date.today().isoformat()} by `{command}`. {summary(rows)}."
    lines = [before.rstrip(), "", _MARK, "", made, "", *table(rows), "", _MARK]
    document.write_text("\n".join(lines) + (behind or "\n"), encoding="utf-8")


def _code(text: str) -> str:
    escaped = text.replace("|", "\\|")
    return f"`{escaped}`" if escaped else ""


if __name__ == "__main__":
    sys.exit(main())
