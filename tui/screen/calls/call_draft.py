"""A tool call that is still being written: its tool and its arguments, as far as they can be read by now.

Upstreams send the arguments as JSON, and the tool's name apart. The built-in engine sends a call that no
grammar constrains as the model writes it, with the marks of its family; the common ones are known here. What
cannot be read stays raw text: this is for people who watch, and the finished call takes its place.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, field
from typing import Any

_FUNCTION = re.compile(r"""<function=([^>\s]+)|<(?:\w+:)?invoke\s+name=["']([^"'>]+)""")
_PARAMETER = re.compile(
    r"""<(?:\w+:)?parameter(?:=([^>]+)|\s+name=["']([^"'>]+)["'][^>]*)>\n?(.*?)"""
    r"""(?:\n?</(?:\w+:)?parameter>|(?=<(?:\w+:)?parameter[=\s])|\Z)""",
    re.DOTALL,
)
_PAIR = re.compile(r"<arg_key>(.*?)</arg_key>\s*<arg_value>(.*?)(?:</arg_value>|\Z)", re.DOTALL)
_NAME_BEFORE_PAIRS = re.compile(r"<tool_call>\s*([\w.-]+)")
_NAME_BEFORE_JSON = re.compile(r"(?:functions\.|\[TOOL_CALLS\]\s*|<\|tool_call_begin\|>\s*)([\w-]+)")
_JSON_PARTS = re.compile(r'"(?:[^"\\]|\\.)*("?)|[{}\[\]]', re.DOTALL)
_HALF_ESCAPE = re.compile(r"(?<!\\)((?:\\\\)*)\\(?:u[0-9a-fA-F]{0,3})?\Z")
_HALF_WORD = re.compile(r"[\w.+-]+\Z")
_HALF_MARK = re.compile(r"\n?</?[\w:=_|]*\Z")
_ARGUMENTS = ("arguments", "parameters", "input", "args")
_CLOSING = {"{": "}", "[": "]"}


@dataclass(frozen=True, slots=True)
class CallDraft:
    """What can be read of a call; without a name and arguments it is `raw` alone."""

    name: str
    arguments: dict[str, Any] = field(default_factory=dict)
    raw: str = ""


def read_draft(text: str, tool: str = "") -> CallDraft:
    """The call that `text` is the beginning of; `tool`: its name, where `text` is its arguments alone."""
    if not tool and (found := _tagged(text)) is not None:
        return found
    begin = text.find("{")
    if begin < 0:
        return CallDraft(tool or _name(text), raw=text)
    read = partial_json(text[begin:])
    if read is None:
        return CallDraft(tool or _name(text), raw=text)
    if tool:
        return CallDraft(tool, read, text)
    if isinstance(name := read.get("name"), str):
        inner: Any = next((read[key] for key in _ARGUMENTS if key in read), {})
        if isinstance(inner, str):
            inner = partial_json(inner) or {}
        return CallDraft(name, inner if isinstance(inner, dict) else {}, text)
    return CallDraft(_name(text[:begin]), read, text)


def _name(text: str) -> str:
    found = _NAME_BEFORE_JSON.search(text)
    return found[1] if found else ""


def _tagged(text: str) -> CallDraft | None:
    """A call in tags: `<function=Edit><parameter=file_path>…`, or pairs of `<arg_key>` and `<arg_value>`."""
    functions = list(_FUNCTION.finditer(text))
    if functions:
        last = functions[-1]
        pairs = [(one[1] or one[2], one[3]) for one in _PARAMETER.finditer(text, last.end())]
        name = last[1] or last[2]
    elif "<arg_key>" in text and (named := _NAME_BEFORE_PAIRS.search(text)):
        pairs, name = [(one[1], one[2]) for one in _PAIR.finditer(text)], named[1]
    else:
        return None
    if pairs:
        pairs[-1] = (pairs[-1][0], _HALF_MARK.sub("", pairs[-1][1]))
    return CallDraft(name, {key.strip(): _value(value) for key, value in pairs}, text)


def _value(text: str) -> Any:
    """A value between tags: a list or an object is one, everything else stays a text."""
    if text[:1] in ("[", "{"):
        try:
            return json.loads(text)
        except (ValueError, RecursionError):
            pass
    return text


def partial_json(text: str) -> dict[str, Any] | None:
    """The object that `text` begins with, closed where it ends; None: it cannot be read."""
    text = _HALF_ESCAPE.sub(r"\1", text)
    open_brackets: list[str] = []
    in_string = False
    for part in _JSON_PARTS.finditer(text):
        sign = part[0]
        if sign[0] == '"':
            in_string = not part[1]
        elif sign in _CLOSING:
            open_brackets.append(sign)
        elif not open_brackets:
            break
        else:
            open_brackets.pop()
            if not open_brackets:  # the object is whole, whatever follows it
                text = text[: part.end()]
                break
    closing = "".join(_CLOSING[sign] for sign in reversed(open_brackets))
    quote = '"' if in_string else ""
    without_word = text if in_string else _HALF_WORD.sub("", text)
    for begun in (text + quote, without_word):
        for ending in ("", ": null", " null"):
            head = begun.rstrip().removesuffix(",") if not (ending or in_string) else begun
            try:
                found = json.loads(head + ending + closing, strict=False)
            except (ValueError, RecursionError):
                continue
            return found if isinstance(found, dict) else None
    return None
