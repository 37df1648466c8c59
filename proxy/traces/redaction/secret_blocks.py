"""Secrets below their name, or in a list behind it: `password: |` and the lines that belong to it."""

from __future__ import annotations

import re
from collections.abc import Iterator
from itertools import chain
from typing import NamedTuple

from proxy.traces.redaction.secret_lines import NUMBERED, QUOTE, line_head
from proxy.traces.redaction.secret_names import SecretName
from proxy.traces.redaction.secret_values import (
    TYPE_NAME,
    WORD,
    is_made_of_names,
    is_no_value,
    is_of_code,
    is_passphrase,
    is_reference,
    looks_random,
)

_KEY_ENDS = re.compile(r"(?P<style>[|>][-+0-9]{0,2})?[ \t]*(?:#[^\r\n\\]{0,200})?(?P<end>\r?\n|(?:\\r)?\\n)")
_OF_TEXT = r"(?P<rest>[^\r\n]*)(?:\r?\n|\Z)"
_OF_JSON = r"(?P<rest>(?:[^\\\r\n\"]|\\(?![nr\"]))*)(?P<end>(?:\\r)?\\n|(?=\\?\"|[\r\n]|\Z))"
_INDENT = r"(?P<indent>[ \t]*)"
_LINES = {  # numbered or not, in a JSON text or not
    (numbered, in_json): re.compile(
        (NUMBERED if numbered else "") + _INDENT + (_OF_JSON if in_json else _OF_TEXT)
    )
    for numbered in (False, True)
    for in_json in (False, True)
}
_ITEM = re.compile(
    rf"(?:[\s,]|\\[nrt]){{0,200}}+(?P<quote>{QUOTE})"
    r"(?P<value>(?:(?!(?P=quote))(?:\\.|[^\\\r\n])){0,500}+)(?P=quote)"
)
_MOST_OTHERS = (
    8  # what is no secret among the items of a list, before the rest of it is taken for no list of them
)
_ENDS_OF_CODE = (",", ";", "{", "(", "[", ")", "}", "]")


class _Line(NamedTuple):
    indent: int
    begin: int
    end: int


def values_below(text: str, at: int, begin: int, name: SecretName) -> Iterator[tuple[int, int]]:
    """Begin and end of each value below a key of YAML; the key begins at `begin`, and `:` ends before `at`.

    A block (`|`, `>`) goes as a whole.
    """
    key = _KEY_ENDS.match(text, at)
    head = line_head(text, begin) if key else None
    if key is None or head is None:
        return
    indent = len(head["indent"]) + (2 if head["item"] == "- " else 0)
    numbered = head.start("indent") > head.start()
    lines = _lines(text, key.end(), _LINES[numbered, key["end"].endswith("n")])
    if key["style"]:
        yield from _block(text, lines, indent, name)
    else:
        yield from _items(text, lines, indent, name)


def values_in_list(text: str, at: int, name: SecretName) -> Iterator[tuple[int, int]]:
    """Begin and end of each secret in quotes in a list whose bracket is at `at`."""
    at, others = at + 1, 0
    while others < _MOST_OTHERS and (item := _ITEM.match(text, at)):
        at = item.end()
        if _is_secret(item["value"], name):
            yield item.span("value")
        else:
            others += 1


def _lines(text: str, at: int, pattern: re.Pattern[str]) -> Iterator[_Line]:
    while at < len(text) and (line := pattern.match(text, at)) and line.end() > at:
        yield _Line(len(line["indent"]), line.start("rest"), line.end("rest"))
        at = line.end()


def _block(text: str, lines: Iterator[_Line], indent: int, name: SecretName) -> Iterator[tuple[int, int]]:
    begin = end = 0
    for line in lines:
        if line.begin == line.end:
            continue
        if line.indent <= indent:
            break
        if not begin:
            begin = line.begin
            if not name.certain and not looks_random(text[begin : line.end].rstrip()):
                return
        end = line.end
    if begin and not is_reference(text[begin:end].rstrip()):
        yield begin, end


def _items(text: str, lines: Iterator[_Line], indent: int, name: SecretName) -> Iterator[tuple[int, int]]:
    """Values of a list, or the only one, which stands on a line of its own."""
    first = next(lines, None)
    if first is None:
        return
    if not text.startswith("- ", first.begin):
        after = next(lines, None)
        alone = after is None or after.begin == after.end or after.indent <= indent
        if first.indent > indent and alone and _is_secret(text[first.begin : first.end].rstrip(), name):
            yield first.begin, first.begin + len(text[first.begin : first.end].rstrip())
        return
    if first.indent < indent - 2:
        return
    others = 0
    for line in chain((first,), lines):
        item = text[line.begin : line.end].rstrip()
        if line.indent != first.indent or not item.startswith("- ") or others == _MOST_OTHERS:
            return
        value = item[2:].strip()
        if _is_secret(value, name):
            begin = line.begin + item.index(value, 2)
            yield begin, begin + len(value)
        else:
            others += 1


def _is_secret(written: str, name: SecretName) -> bool:
    value = written.strip("\"'`")
    if not value or is_reference(value) or is_no_value(value) or is_made_of_names(value):
        return False
    if " " in value:
        return name.certain and not any(word.endswith(":") for word in value.split()) and is_passphrase(value)
    if is_of_code(value) or value.endswith((*_ENDS_OF_CODE, ":")):
        return False
    if WORD.fullmatch(value):
        return name.of_password and not TYPE_NAME.fullmatch(value)
    return name.certain
