"""What a model reads of tools within a conversation: definitions, and lines about what came and went.

Claude Code's ToolSearch promises its model the definitions in this form: a `<functions>` block, with one
`<function>` line of JSON for each tool.
"""

from __future__ import annotations

import json
from collections.abc import Iterable

from engine.wire.json_text import encode_json
from proxy.translate.late_tools.shown_tools import Function, ToolChange, name_of

_FIELDS = ("description", "name", "parameters")


def definitions_text(functions: Iterable[Function]) -> str:
    """The definitions of tools as a block of text."""
    lines = [f"<function>{_definition(function)}</function>" for function in functions]
    return "\n".join(["<functions>", *lines, "</functions>"])


def added_text(functions: Iterable[Function]) -> str:
    """That these tools may be called from here on."""
    return f"These tools are available from here on:\n{definitions_text(functions)}"


def available_line(name: str) -> str:
    """That a tool whose definition stands elsewhere may be called."""
    return f"[tool {name} is available]"


def again_line(name: str) -> str:
    """That a tool may be called from here on, as it was defined before."""
    return f"[tool {name} is available from here on]"


def removed_line(name: str) -> str:
    """That a tool may not be called from here on."""
    return f"[tool {name} is not available any more]"


def change_text(change: ToolChange, *, defined: bool) -> str:
    """What a model reads of a change; `defined`: with the definitions of tools, which stand nowhere else."""
    parts = [added_text(change.added)] if change.added and defined else []
    again = [*change.again, *([] if defined else map(name_of, change.added))]
    return "\n".join([*parts, *map(again_line, again), *map(removed_line, change.removed)])


def _definition(function: Function) -> str:
    fields = {key: function["function"][key] for key in _FIELDS if key in function["function"]}
    try:
        # As templates write the tools at the beginning of a prompt, with blanks.
        return json.dumps(fields, ensure_ascii=False)
    except RecursionError:
        return encode_json(fields).decode()
