"""Readings of the broken JSON of a call's arguments that change nothing but its punctuation.

Tried in order: strict JSON; the errors with one possible repair (`lenient_json`); and guesses: quotes within
strings (`unescaped_quotes`), and the repair library, whose result is checked (`repair_check`).
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import json_repair

from engine.tool_calls.repair.json_strings import NotLenientJson
from engine.tool_calls.repair.lenient_json import read_lenient, with_count
from engine.tool_calls.repair.repair_check import RepairMismatch, repairs_between
from engine.tool_calls.repair.unescaped_quotes import REPAIR, TooManyReadings, readings_with_unescaped_quotes
from engine.tool_calls.schemas.tools import parse_json

MAX_REPAIRABLE = 1 << 20  # characters; longer text is not repaired
_MAX_GUESSED = 1 << 15  # characters; the repair library takes 3 ms for 1,000 and finds little in longer text
_MAX_SCANNED = (
    1 << 24
)  # steps; it may scan from each quote and bracket to the end of the text, which takes 0.5 s
_MAX_WRAPPED = 3

_FENCE = re.compile(r"\s*```[\w-]*[ \t]*\n?(.*?)```\s*", re.DOTALL)
_FIRST = re.compile(r"[{\[]")
_MARK = re.compile(r"[\"'“”{\[]")
_FIRST_KEY = re.compile(r'\s*"[^"\\{}\[\]]+"\s*:')
_CLOSERS = re.compile(r"[\s}\]]*")
_SPOKEN = re.compile(r"[^{}\[\]\"“”`<>\\]*")  # text that is not JSON
_EMPTY_FIRST = re.compile(r"\s*(?:\{\s*\}\s*)+(?=\{)")


@dataclass(frozen=True, slots=True)
class Reading:
    """One reading of a text: the value, its strict JSON text, and what was changed.

    `closed`: brackets were missing, perhaps in another place than where they were added. `suspect`: it is not
    a result, even if no other reading fits.
    """

    value: Any
    text: str
    repairs: tuple[str, ...]
    closed: bool = False
    suspect: bool = False


class Unreadable(ValueError):
    """The text has no certain reading; raised by `readings`. The message says why."""


def readings(text: str, schema: Any, root: Mapping[str, Any], *, ended: bool = False) -> list[Reading]:
    """The readings of a JSON object or array; more than one only if the text is ambiguous.

    `schema` says which keys to expect; `ended`: a mark behind the text shows that it is not truncated.

    Raises:
        Unreadable: there is none.
    """
    first: tuple[str, ...] = ()
    for _ in range(_MAX_WRAPPED):
        try:
            value = parse_json(text)
        except ValueError:
            break
        if isinstance(value, dict | list):
            return [Reading(value, text, first)]
        if not isinstance(value, str):
            raise Unreadable("the arguments are not a JSON object")
        first, text = ("decoded JSON that was encoded twice",), value
    if len(text) > MAX_REPAIRABLE:
        raise Unreadable(f"the arguments are not valid JSON, and too long to repair ({len(text)} characters)")
    return [
        replace(found, repairs=(*first, *found.repairs)) for found in _repaired(text, schema, root, ended)
    ]


def _repaired(text: str, schema: Any, root: Mapping[str, Any], ended: bool) -> list[Reading]:
    repairs: list[str] = []
    if fence := _FENCE.fullmatch(text):
        text = fence[1].rstrip()
        repairs.append("took it out of a code fence")
        if (strict := _strict(text)) is not None:
            return [Reading(strict, text, tuple(repairs))]
    if again := _repeated(text):
        return [again]
    if (unescaped := _strict_of_escaped(text)) is not None:
        return [Reading(unescaped[0], unescaped[1], ("removed one layer of backslashes",))]
    if _FIRST_KEY.match(text):
        text = "{" + text
        repairs.append("opened 1 bracket")
    start = _FIRST.search(text)
    if start is None:
        raise Unreadable("there is no JSON in it")
    before = text[: start.start()]
    if before.strip():
        if not _SPOKEN.fullmatch(before):
            raise Unreadable("there is more than JSON in it")
        repairs.append("left out the text before the JSON")
    text = text[start.start() :].rstrip()
    why = "it is not valid JSON"
    found: list[Reading] = []
    try:
        lenient, doubtful = _lenient(text, repairs, ended)
    except NotLenientJson as error:
        why = str(error)
    else:
        found.append(lenient)
        if not doubtful:
            return found
    found += _guessed(text, repairs, schema, root)
    if not found:
        raise Unreadable(f"the arguments are not valid JSON: {why}")
    return found


def _lenient(text: str, repairs: list[str], ended: bool) -> tuple[Reading, bool]:
    read = read_lenient(text, ended=ended)
    behind = text[read.end :]
    changes = [*repairs, *read.repairs]
    doubtful = read.doubtful
    if behind.strip():
        if _CLOSERS.fullmatch(behind):
            spare = len("".join(behind.split()))
            changes.append(f"left out {with_count(spare, 'closing bracket')} too many")
        elif _SPOKEN.fullmatch(behind):
            changes.append("left out the text behind the JSON")
            doubtful = True
        else:
            # The JSON is complete: what follows is not part of it.
            raise Unreadable("more follows behind the JSON")
    try:
        value = parse_json(read.text)
    except ValueError as error:
        raise NotLenientJson(str(error)) from None
    return Reading(value, read.text, tuple(changes), read.closed), doubtful


def _guessed(text: str, repairs: list[str], schema: Any, root: Mapping[str, Any]) -> list[Reading]:
    found: list[Reading] = []
    try:
        for read, suspect in readings_with_unescaped_quotes(text, schema, root):
            if (value := _strict(read)) is not None:
                found.append(Reading(value, read, (*repairs, REPAIR), suspect=suspect))
    except TooManyReadings as error:
        raise Unreadable(str(error)) from None
    if len(text) <= _MAX_GUESSED and len(text) * len(_MARK.findall(text)) <= _MAX_SCANNED:
        try:
            guess = json_repair.loads(text, skip_json_loads=True)
            if isinstance(guess, dict | list) and guess:
                changes = repairs_between(text, guess)
                spelled = json_text(guess)
                closed = any(change.startswith("closed ") for change in changes)
                found.append(Reading(guess, spelled, (*repairs, *changes), closed))
        except (RepairMismatch, ValueError, RecursionError):
            pass
    return found


def _strict(text: str) -> dict[str, Any] | list[Any] | None:
    try:
        value = parse_json(text)
    except ValueError:
        return None
    return value if isinstance(value, dict | list) else None


def _repeated(text: str) -> Reading | None:
    """An empty object before the arguments, or the arguments twice, as servers make by joining deltas."""
    if (empty := _EMPTY_FIRST.match(text)) and (value := _strict(text[empty.end() :])) is not None:
        return Reading(value, text[empty.end() :], ("left out an empty object before the arguments",))
    half = text.strip()
    middle = len(half) // 2
    if half.startswith("{") and half[:middle].strip() == half[middle:].strip():
        once = half[:middle].strip()
        if (value := _strict(once)) is not None:
            return Reading(value, once, ("removed a second copy of the arguments",))
    return None


def _strict_of_escaped(text: str) -> tuple[Any, str] | None:
    """A value whose text is that of a JSON string without its quotes."""
    if not re.match(r'\s*[{\[]\s*(?:\{\s*)?\\"', text):
        return None
    try:
        once = parse_json(f'"{text.strip()}"')
    except ValueError:
        return None
    value = _strict(once)
    return None if value is None else (value, once)


def json_text(value: Any) -> str:
    """A value as JSON text that can be sent as UTF-8.

    Raises:
        ValueError: JSON cannot express a number in it, or it is nested too deeply.
    """
    try:
        text = json.dumps(value, ensure_ascii=False, allow_nan=False)
        if not text.isascii() and any("\ud800" <= letter <= "\udfff" for letter in text):
            text = json.dumps(value, allow_nan=False)
    except RecursionError:
        raise ValueError("nested too deeply") from None
    return text
