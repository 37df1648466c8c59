"""Columns that are named like a secret, in the tables that databases print, in Markdown and in CSV.

A table is known by its head: names alone, and below them a line of dashes, or rows with as many cells. What
is aligned by blanks alone is no table here: prose and code would look like one.
"""

from __future__ import annotations

import re
from collections.abc import Generator, Iterator
from typing import NamedTuple

from proxy.traces.redaction.leads import places
from proxy.traces.redaction.secret_names import SecretName, secret_name
from proxy.traces.redaction.secret_values import (
    WORD,
    is_made_of_names,
    is_no_value,
    is_of_code,
    is_reference,
)

_LEADS = ("passw", "passphrase", "secret", "apikey", "_key", "_token", "accesstoken")
_LONGEST_HEAD = 1_000
_SEPARATORS = ("\t", ";", ",")
_QUOTED = r"(?P<quote>\\*[\"'])(?:(?!(?P=quote)).)*+(?P=quote)"
_CELLS = {separator: re.compile(rf"[ ]*(?:{_QUOTED}|[^{separator}]*)") for separator in _SEPARATORS}
_NAME = re.compile(r"[ ]?(?:\\*[\"'])?(?P<name>[A-Za-z_][\w.-]{0,39})(?:\\*[\"'])?[ ]?")
_NUMBER = re.compile(r"[ \t]{0,8}\d{1,7}(?:→|\t)")  # before a line, as tools print files
_DASHES = re.compile(r"[ ]?[|+]?(?=[^\r\n]*--)[-:|+ ]+[ ]?")
_LINE = re.compile(r"(?P<line>[^\r\n]*+)(?P<end>\r\n?|\n|\Z)")
_LINE_IN_JSON = re.compile(
    r"(?P<line>(?:[^\\\r\n\"]|\\+\"|\\(?!n|r\\n))*+)(?P<end>(?:\\r)?\\n|(?=\"|[\r\n])|\Z)"
)
_COUNTED = re.compile(r"\(\d{1,9} rows?\)\s*")  # below what psql prints


class _Line(NamedTuple):
    begin: int
    end: int
    next: int


class _Cell(NamedTuple):
    begin: int
    end: int
    quote: str


def values_of_tables(text: str, lowered: str) -> Iterator[tuple[int, int, str]]:
    """Begin and end of each secret in such a column; no line is looked at twice."""
    done = 0
    for at in places(lowered, _LEADS):
        if at < done:
            continue
        begin, in_json = _begin_of_line(text, done, at)
        lines = _lines(text, begin, _LINE_IN_JSON if in_json else _LINE)
        head = next(lines, _Line(begin, at, at))
        if not in_json and (escaped := text.find("\\n", at, head.end)) >= 0:
            head = head._replace(end=escaped)
            lines = _lines(text, escaped + 2, _LINE_IN_JSON)
        done = max(head.end, at + 1)
        if head.end - head.begin <= _LONGEST_HEAD:
            done = max(done, (yield from _below(text, head, lines)))


def _begin_of_line(text: str, least: int, at: int) -> tuple[int, bool]:
    """Where the line begins that has a name at `at`, and whether it is one of a text in quotes."""
    escaped = text.rfind("\\n", least, at)
    # A lone carriage return ends a line too: programs draw their progress with it.
    begin = max(
        least, *(text.rfind(end, least, at) + 1 for end in "\r\n"), escaped + 2 if escaped >= 0 else 0
    )
    quote = text.rfind('"', begin, at)
    while quote > begin and text[quote - 1] == "\\":
        quote = text.rfind('"', begin, quote)
    if quote >= 0 and text.find("\\n", at, at + _LONGEST_HEAD) >= 0:  # a text of several lines begins there
        begin = quote + 1
    return begin, begin > least and (text[begin - 1] == '"' or text.startswith("\\n", begin - 2))


def _lines(text: str, at: int, pattern: re.Pattern[str]) -> Iterator[_Line]:
    while line := pattern.match(text, at):
        yield _Line(at, line.end("line"), line.end())
        if line.end() == at or line.start("end") == line.end("end"):
            return
        at = line.end()


def _below(text: str, head: _Line, lines: Iterator[_Line]) -> Generator[tuple[int, int, str], None, int]:
    """The secrets of the table below a line, if it is the head of one; returns where what was read ends."""
    numbered = bool(_NUMBER.match(text, head.begin, head.end))
    head = _without_number(text, head, numbered)
    lines = (_without_number(text, line, numbered) for line in lines)
    written = text[head.begin : head.end]
    separator = next((one for one in ("|", *_SEPARATORS) if one in written), "")
    names = [_NAME.fullmatch(text[cell.begin : cell.end]) for cell in _cells(text, head, separator)]
    columns = {
        place: name
        for place, found in enumerate(names)
        if found is not None and (name := secret_name(found["name"])).certain
    }
    if not columns or not all(found or separator == "|" for found in names):
        return head.end
    words = separator != "|"
    if separator in ("", "|"):
        rule = next(lines, None)
        if rule is None or not _DASHES.fullmatch(text, rule.begin, rule.end):
            return head.end
        words = "+" in text[rule.begin : rule.end]  # of a database; a word in a document may be about it
    if not separator:
        return (yield from _only_column(text, head, lines, columns[0]))
    end = head.end
    for row in lines:
        cells = _cells(text, row, separator)
        if words and _DASHES.fullmatch(text, row.begin, row.end):
            continue
        if len(cells) != len(names) and not (row.end == len(text) and len(cells) < len(names)):
            break
        for place, name in columns.items():
            if place < len(cells) and _is_secret(text, cells[place], name, words=words):
                yield cells[place].begin, cells[place].end, ""
        end = row.end
    return end


def _only_column(
    text: str, head: _Line, rows: Iterator[_Line], name: SecretName
) -> Generator[tuple[int, int, str], None, int]:
    """The values of a table of one column, which ends with the number of its rows; a heading has none."""
    found: list[tuple[int, int, str]] = []
    end = head.end
    for row in rows if text.startswith(" ", head.begin) else ():
        if _COUNTED.fullmatch(text, row.begin, row.end):
            yield from found
            break
        [cell] = _cells(text, row, "")
        if not text.startswith(" ", row.begin) or cell.begin == cell.end:
            break
        if _is_secret(text, cell, name, words=True):
            found.append((cell.begin, cell.end, ""))
        end = row.end
    return end


def _without_number(text: str, line: _Line, numbered: bool) -> _Line:
    number = _NUMBER.match(text, line.begin, line.end) if numbered else None
    return line._replace(begin=number.end()) if number else line


def _cells(text: str, line: _Line, separator: str) -> list[_Cell]:
    """What stands in the cells of a line, without blanks and quotes; none if quotes are amiss."""
    cells: list[_Cell] = []
    at = line.begin
    pattern = _CELLS.get(separator)
    while True:
        quoted = pattern.match(text, at, line.end) if pattern else None
        end = quoted.end() if quoted else text.find(separator, at, line.end) if separator else line.end
        end = line.end if end < 0 else end
        begin, stop = at, end
        while begin < stop and text[begin] == " ":
            begin += 1
        while begin < stop and text[stop - 1] == " ":
            stop -= 1
        quote = quoted["quote"] or "" if quoted else ""
        cells.append(_Cell(begin + len(quote), max(begin + len(quote), stop - len(quote)), quote))
        if end >= line.end:
            return cells
        if text[end] != separator:
            return []
        at = end + 1


def _is_secret(text: str, cell: _Cell, name: SecretName, *, words: bool) -> bool:
    value = text[cell.begin : cell.end]
    if not value or is_reference(value) or is_no_value(value) or is_made_of_names(value):
        return False
    if value.isdigit() and (not name.of_password or len(value) < 4):
        return False
    if not cell.quote and is_of_code(value):
        return False
    return any(map(str.isalnum, value)) and (words or not WORD.fullmatch(value))
