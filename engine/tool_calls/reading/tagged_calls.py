"""Calls with their arguments as bare text between tags.

Nothing between the tags is escaped, so a closing tag ends a value only if valid structure follows: the next
argument, or the end of the call. Where another argument begins but does not go on like one, what is meant is
unknown, and it is no call. The end of a section is revoked if text follows it and then another closing
tag of a value with valid structure behind it: then the first end was content. The text behind an end is
buffered until that is known: at the next call or at the end of the answer.

Still ambiguous: a string that contains its closing tag followed by the opening tag of the next argument (or
of the next call); or by the end of the section and at once an opening mark; or by the end of the section,
other text, and the start of a call.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any, Literal

import regex

from engine.tool_calls.reading.json_extent import JsonExtent
from engine.tool_calls.reading.mark_search import partial_mark_start
from engine.tool_calls.reading.nested_tags import nested_json
from engine.tool_calls.reading.pieces import CallBegin, CallEnd, CallPiece
from engine.tool_calls.reading.tagged_value import TaggedValue, ValueKind
from engine.tool_calls.reading.unescaped_reader import UnescapedReader
from engine.tool_calls.schemas.argument_texts import accepts, argument_json, string_piece, text_as_json
from engine.tool_calls.schemas.text_schemas import text_schema
from engine.tool_calls.schemas.tools import ToolSchema, ToolSchemas, parse_json

Follow = Literal["parameter", "call", "end", "wait", "nothing"]

SPACE = r"[ \t\r\n]{0,40}"
"""White space between the tags of a call; limited, so that a reader does not wait forever."""


@dataclass(frozen=True, slots=True)
class TaggedSyntax:
    """The tags of a family; `header`, `parameter` and `next_call` are patterns, the others are texts.

    `header` precedes the arguments and has the tool's name in its group `name`. `parameter` opens an argument
    (group `key`, and where the family marks strings, group `type`, which is `string_type` for a string).
    `close` ends a value; `$key` in it is the argument's name. `call_end` ends a call, `section_end` ends what
    the opening mark opened, `next_call` begins a further call in the section. With `newlines`, one line break
    at either end of a value is layout. With `section_may_stay_open`, `call_end` also ends the section. A
    value that begins with the first of `wrap` ends with the second, in front of `close`. With `nested`, the
    mark before each tag, lists and objects are tags too: see `engine.tool_calls.reading.nested_tags`. With
    `paired_newlines`, a line break at each end of a value is layout, one at one end is not. With
    `json_bodies`, one JSON object may stand in place of all arguments; the group `empty` of `header` is
    a tag that ends its call. `key_begin` is the pattern of an argument's first tag, up to its name.
    """

    openings: tuple[str, ...]
    header: str
    parameter: str
    close: str
    call_end: str
    section_end: str
    next_call: str = ""
    newlines: bool = False
    section_may_stay_open: bool = False
    string_type: str = ""
    wrap: tuple[str, str] = ("", "")
    nested: str = ""
    paired_newlines: bool = False
    json_bodies: bool = False
    key_begin: str = ""


@lru_cache(maxsize=1024)
def tagged_patterns(syntax: TaggedSyntax, key: str = "", *, wrapped: bool = False) -> TaggedPatterns:
    """The patterns of a syntax, for the value of one argument; `wrapped`: it is between the `wrap` marks."""
    end = syntax.wrap[1] if wrapped else ""
    return TaggedPatterns(replace(syntax, close=end + syntax.close.replace("$key", key)))


class TaggedPatterns:
    """The compiled patterns of a syntax."""

    def __init__(self, syntax: TaggedSyntax) -> None:
        self.syntax = syntax
        call_end = SPACE + regex.escape(syntax.call_end) if syntax.call_end else ""
        section_end = regex.escape(syntax.section_end)
        openings = "|".join(regex.escape(opening) for opening in syntax.openings)
        self.header = regex.compile(SPACE + syntax.header)
        self.parameter = regex.compile(SPACE + syntax.parameter)
        self.key_begin = regex.compile(SPACE + syntax.key_begin) if syntax.key_begin else None
        self.call_end = regex.compile(call_end)
        self.end = regex.compile(call_end + SPACE + section_end)
        self.next_call = regex.compile(call_end + SPACE + syntax.next_call) if syntax.next_call else None
        self.opening = regex.compile(f"(?:{openings}){SPACE}{syntax.header}")
        self.end_marks = regex.compile(f"{regex.escape(syntax.close)}|{openings}")
        self.end_starts = (syntax.close, *syntax.openings)
        broken_end = syntax.call_end if syntax.section_may_stay_open else syntax.section_end
        self.broken_marks = regex.compile(f"(?P<end>{regex.escape(broken_end)})|{openings}")
        self.broken_starts = (broken_end, *syntax.openings)


class TaggedCallReader(UnescapedReader):
    """Reads the calls of one section; see `engine.tool_calls.reading.family.CallReader`."""

    def __init__(self, syntax: TaggedSyntax, opening: str, tools: ToolSchemas) -> None:
        super().__init__(opening, tools)
        self._plain = syntax
        self._use(tagged_patterns(syntax))
        self._tool = ToolSchema("")
        self._keys: set[str] = set()
        self._body = JsonExtent()
        self._value = TaggedValue("", "text", free=False)

    def _use(self, patterns: TaggedPatterns) -> None:
        self._patterns, self._syntax = patterns, patterns.syntax

    # States; each returns whether the next one can run at once

    def _header(self, pieces: list[CallPiece]) -> bool:
        found = self._patterns.header.match(self._buffer, partial=True)
        if found is None:
            return self._skip("it does not begin like a call")
        if found.partial:
            return self._skip("it is truncated") if self._closed else False
        self._take(found.end())
        name = found["name"]
        if name not in self._tools:
            return self._skip(f"it names {name!r}, which was not offered")
        self._tool, self._arguments, self._keys = self._tools[name], [], set()
        pieces.append(CallBegin(name))
        self._state = self._arguments_or_end
        if found.groupdict().get("empty"):
            self._use_behind_all()
            self._state = self._behind_all
        return True

    def _arguments_or_end(self, pieces: list[CallPiece]) -> bool:
        """Behind the header or an argument: another argument, or the end."""
        follow, end, found = self._follow(0)
        match follow:
            case "wait":
                return False
            case "nothing" if self._syntax.json_bodies and self._at_body():
                self._take(self._buffer.index("{"))
                self._body, self._state = JsonExtent(), self._in_body
                return True
            case "nothing":
                return self._skip("it is truncated" if self._closed else "it does not continue like a call")
            case "parameter":
                self._take(end)
                return self._open(found, pieces)
        return self._end_or_next(follow, end, pieces)

    def _end_or_next(self, follow: Follow, end: int, pieces: list[CallPiece]) -> bool:
        self._take(end)
        self._end_call(pieces)
        if follow == "call":
            self._use(tagged_patterns(self._plain))
            self._state = self._header
            return True
        self._finish()
        return False

    def _in_body(self, pieces: list[CallPiece]) -> bool:
        """In a JSON object that stands in place of all arguments."""
        text = self._pop_text(self._body.feed(self._buffer))
        self._raw.append(text)
        self._emit(text, pieces)
        if not self._body.done:
            return self._skip("it is truncated") if self._closed else False
        try:
            parse_json("".join(self._arguments))
        except ValueError as error:
            return self._skip(f"its arguments are not valid JSON: {error}")
        self._use_behind_all(self._plain.call_end)
        self._state = self._behind_all
        return True

    def _behind_all(self, pieces: list[CallPiece]) -> bool:
        """Behind all arguments: the end of the section, or a further call."""
        follow, end, _ = self._follow(0)
        if follow == "wait":
            return False
        if follow in ("call", "end"):
            return self._end_or_next(follow, end, pieces)
        return self._skip("it is truncated" if self._closed else "it does not continue like a call")

    def _value_begin(self, pieces: list[CallPiece]) -> bool:
        if not self._buffer and not self._closed:
            return False
        if wrap := self._plain.wrap[0]:
            if self._buffer.startswith(wrap):
                self._take(len(wrap))
                self._use(tagged_patterns(self._plain, self._value.key, wrapped=True))
            elif wrap.startswith(self._buffer) and not self._closed:
                return False
        self._value.after_newline = self._syntax.paired_newlines and self._buffer.startswith("\n")
        if self._value.after_newline or (self._syntax.newlines and self._buffer.startswith("\n")):
            self._take(1)
        self._state = self._in_value
        return True

    def _in_value(self, pieces: list[CallPiece]) -> bool:
        close = self._syntax.close
        at = self._buffer.find(close)
        if at < 0:
            self._add_to_value(
                self._pop_text(self._before_newline(partial_mark_start(self._buffer, (close,)))), pieces
            )
            return self._skip("it is truncated") if self._closed else False
        self._add_to_value(self._pop_text(self._before_newline(at)), pieces)
        at = self._buffer.find(close) + len(close)
        follow, end, _ = ("nothing", 0, None) if self._value.in_string else self._follow(at)
        if follow == "wait":
            return False
        if follow == "nothing" and self._at_limit and not self._buffer[at:].strip():
            return self._skip("it is truncated")  # the closing tag is not content
        begins = self._patterns.key_begin
        if follow == "nothing" and begins and not self._value.in_string and begins.match(self._buffer, at):
            return self._skip("another argument does not continue like one")
        if follow == "nothing":
            self._add_to_value(self._pop_text(at), pieces)
        elif follow == "end" and self._value.free:
            self._keep_end(end, self._behind_end)
        else:
            self._end_value(pieces)
            self._take(at)
            self._state = self._arguments_or_end
        return True

    def _behind_end(self, pieces: list[CallPiece]) -> bool:
        """Behind an end of the section; it was content if a value is closed before the next call."""
        mark = self._patterns.end_marks.search(self._buffer)
        if mark is None:
            starts = self._patterns.end_starts
            self._keep_behind(len(self._buffer) if self._closed else partial_mark_start(self._buffer, starts))
            return self._accept_end(pieces) if self._closed else False
        self._keep_behind(mark.start())
        if mark[0] == self._syntax.close:
            follow, _, _ = self._follow(len(mark[0]))
            if follow == "wait":
                return False
            if follow != "nothing":
                kept = self._kept()
                self._buffer = kept + self._buffer
                self._add_to_value(self._pop_text(self._before_newline(len(kept))), pieces)
                self._state = self._in_value
                return True
        elif self._only_space_behind:
            return self._accept_end(pieces)
        else:
            begins = self._patterns.opening.match(self._buffer, partial=True)
            if begins is not None and begins.partial and not self._closed:
                return False
            if begins is not None and not begins.partial:
                return self._accept_end(pieces)
        self._keep_behind(len(mark[0]))
        return True

    def _broken(self, pieces: list[CallPiece]) -> bool:
        """In a call that cannot be read: find the mark that ends it, or the next call."""
        mark = self._patterns.broken_marks.search(self._buffer)
        if mark is None:
            starts = self._patterns.broken_starts
            self._take(len(self._buffer) if self._closed else partial_mark_start(self._buffer, starts))
            return self._give_up(pieces) if self._closed else False
        self._take(mark.start())
        if mark["end"] is not None:
            self._take(len(mark[0]))
            return self._give_up(pieces)
        begins = self._patterns.opening.match(self._buffer, partial=True)
        if begins is not None and begins.partial and not self._closed:
            return False
        if begins is not None and not begins.partial:
            return self._give_up(pieces)
        self._take(len(mark[0]))
        return True

    # Steps

    def _follow(self, at: int) -> tuple[Follow, int, Any]:
        """What follows at `at`, behind a header or a closing tag: its kind, its end, its match."""
        patterns, text = self._patterns, self._buffer
        parameter = patterns.parameter.match(text, at, partial=True)
        end = patterns.end.match(text, at, partial=True)
        call = patterns.next_call.match(text, at, partial=True) if patterns.next_call else None
        kinds: tuple[tuple[Follow, Any], ...] = (("parameter", parameter), ("end", end), ("call", call))
        call_end = patterns.call_end.match(text, at)
        for kind, found in kinds:
            if found is not None and not found.partial:
                # The header of a further call belongs to that call.
                return kind, call_end.end() if kind == "call" and call_end else found.end(), found
        if not self._closed and any(found is not None for _, found in kinds):
            return "wait", 0, None
        if call_end is not None:
            # If nothing follows the last argument, the end of the answer is the end of the call.
            stops = not text[at:].strip() and not self._at_limit
            if end is not None and (parameter is None or stops):
                return "end", len(text), None
            # The start of a further call does not change this one.
            if call is not None or self._syntax.section_may_stay_open:
                return "end", call_end.end(), None
        return "nothing", 0, None

    def _open(self, found: Any, pieces: list[CallPiece]) -> bool:
        key = found["key"]
        if key in self._keys:
            return self._skip(f"it gives {key!r} twice")
        types = self._tool.types(key)
        kind: ValueKind = "whole"
        if types == {"string"}:
            kind = "text"
        elif types and "string" not in types:
            kind = "json"
        if (written := found.groupdict().get("type")) is not None:
            kind = "text" if written == self._syntax.string_type else "json"
        elif self._plain.nested and kind == "json":
            kind = "nested"
        self._emit(f"{', ' if self._keys else '{'}{json.dumps(key, ensure_ascii=False)}: ", pieces)
        if kind == "text":
            self._emit('"', pieces)
        self._keys.add(key)
        free = kind in ("text", "whole") and bool(text_schema(self._tool.argument(key)).texts)
        self._value = TaggedValue(key, kind, free, self._plain.nested)
        if self._plain.wrap[0] or "$key" in self._plain.close:
            self._use(tagged_patterns(self._plain, key))
        self._state = self._value_begin
        return True

    def _add_to_value(self, text: str, pieces: list[CallPiece]) -> None:
        self._raw.append(text)
        if self._value.kind == "text" and not self._value.after_newline:
            self._emit(string_piece(text), pieces)
        else:
            self._value.add(text)

    def _end_value(self, pieces: list[CallPiece]) -> None:
        value = self._value
        text = value.text
        if value.after_newline:
            text = self._without_newlines(text)
        match value.kind:
            case "text":
                self._emit(f'{string_piece(text)}"', pieces)
            case "json":
                self._emit(text_as_json(text) or f'"{string_piece(text)}"', pieces)
            case "whole" | "nested":
                nested = self._plain.nested
                if nested and (f"{nested}<" in text or not text.strip()):
                    self._emit(nested_json(text, self._tool, value.key, nested), pieces)
                else:
                    self._emit(argument_json(text, self._tool, value.key), pieces)

    def _accept_end(self, pieces: list[CallPiece]) -> bool:
        self._end_value(pieces)
        self._end_there()
        self._end_call(pieces)
        self._finish()
        return False

    def _end_call(self, pieces: list[CallPiece]) -> None:
        if not self._body.done:
            self._emit("}" if self._keys else "{}", pieces)
        self._body = JsonExtent()
        pieces.append(CallEnd(self._tool.name, "".join(self._arguments), "".join(self._raw)))
        self._raw = []

    def _at_body(self) -> bool:
        return not self._keys and self._buffer.lstrip()[:1] == "{"

    def _use_behind_all(self, call_end: str = "") -> None:
        """No argument may follow."""
        self._use(tagged_patterns(replace(self._plain, parameter="(?!)", call_end=call_end)))

    def _without_newlines(self, text: str) -> str:
        """A value behind a line break: with another at its end both are layout, if the schema lets them."""
        argument, written = self._tool.argument(self._value.key), f"\n{text}"
        if not text.endswith("\n") or (accepts(argument, written) and not accepts(argument, text[:-1])):
            return written
        return text[:-1]

    def _before_newline(self, at: int) -> int:
        """`at`, or the position of the line break before it if that is layout."""
        return at - 1 if self._syntax.newlines and at and self._buffer[at - 1] == "\n" else at
