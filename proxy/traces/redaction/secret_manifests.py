"""Manifests of Kubernetes whose kind is `Secret`: each value of their data is one, whatever its key is."""

from __future__ import annotations

import re
from collections.abc import Iterator

from proxy.traces.redaction.leads import matches
from proxy.traces.redaction.secret_lines import line_head
from proxy.traces.redaction.secret_values import is_reference

_KIND = re.compile(r"kind:[ \t]*[\"']?secret[\"']?[ \t]*(?=\r?\n|\Z)")
_DATA = re.compile(r"(?:data|stringdata):[ \t]*\r?\n")
_ENTRY = re.compile(
    r"(?:[ \t]*\d{1,7}(?:→|\t))?(?P<indent>[ \t]*)"
    r"(?:(?P<key>[\w.\"'-]{1,100}:)[ \t]*(?P<value>[^\r\n]*)|(?P<more>[^\r\n]*))(?:\r?\n|\Z)"
)
_OPENS_BLOCK = re.compile(r"[|>][-+0-9]{0,2}[ \t]*")


def values_of_manifests(text: str, lowered: str) -> Iterator[tuple[int, int, str]]:
    """Begin and end of each value of the data of each such manifest in a text."""
    done = 0
    for kind in matches(_KIND, lowered, ("kind:",)):
        if kind.start() < done or line_head(text, kind.start()) is None:
            continue
        begin = max(lowered.rfind("\n---", done, kind.start()), done)
        done = lowered.find("\n---", kind.end())
        done = len(text) if done < 0 else done
        for data in matches(_DATA, lowered[begin:done], ("data:", "stringdata:")):
            head = line_head(text, begin + data.start())
            if head is not None:
                yield from _values(text, begin + data.end(), done, len(head["indent"]))


def _values(text: str, at: int, end: int, indent: int) -> Iterator[tuple[int, int, str]]:
    """The values of all lines that are indented more than `data:` is."""
    in_block, of_keys = False, -1
    while at < end and (entry := _ENTRY.match(text, at)) and entry.end() > at:
        at = entry.end()
        depth = len(entry["indent"])
        blank = not entry["key"] and not entry["more"]
        if depth <= indent and not blank:
            return
        of_keys = depth if of_keys < 0 else of_keys
        in_block = in_block and depth > of_keys
        group = "value" if entry["value"] else "more" if in_block and entry["more"] else ""
        if in_block:
            begin, stop = entry.end("indent"), entry.end(group) if group else entry.end("indent")
        elif group:
            begin, stop = entry.span(group)
        else:
            continue
        value = text[begin:stop].rstrip()
        if not in_block and _OPENS_BLOCK.fullmatch(value):
            in_block = True
        elif value.strip("\"'") and not is_reference(value.strip("\"'")):
            quote = value[0] if value[0] in "\"'" and value.endswith(value[0]) and len(value) > 1 else ""
            yield begin, begin + len(value), quote
