"""Calls that are still being written, read as far as they have come."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tui.screen.calls.call_draft import partial_json, read_draft

EDIT = {"file_path": "/a/b.py", "old_string": 'say("x")\n', "new_string": "\u2713 \\ done"}
HERMES = "<tool_call>\n" + json.dumps({"name": "Edit", "arguments": EDIT}) + "\n</tool_call>"
QWEN = (
    "<tool_call>\n<function=Edit>\n<parameter=file_path>\n/a/b.py\n</parameter>\n"
    "<parameter=old_string>\na < b\n</parameter>\n<parameter=new_string>\nc"
)
GLM = (
    "<tool_call>Edit\n<arg_key>file_path</arg_key>\n<arg_value>/a/b.py</arg_value>\n"
    "<arg_key>todos</arg_key>\n<arg_value>[1, 2"
)


@pytest.mark.parametrize(
    ("text", "tool", "name", "arguments"),
    [
        (json.dumps(EDIT), "Edit", "Edit", EDIT),
        (json.dumps(EDIT)[:40], "Edit", "Edit", {"file_path": "/a/b.py", "old_string": ""}),
        ('{"command": "ls", "timeout": 12', "Bash", "Bash", {"command": "ls", "timeout": 12}),
        ('{"command": "ls", "wait": tr', "Bash", "Bash", {"command": "ls", "wait": None}),
        ('{"command": "caf\\u00', "Bash", "Bash", {"command": "caf"}),
        ('{"command": "a\\\\', "Bash", "Bash", {"command": "a\\"}),
        (HERMES, "", "Edit", EDIT),
        ('<tool_call>\n{"name": "Edit", "arguments": {"file_path": "/a', "", "Edit", {"file_path": "/a"}),
        ('{"name": "Edit", "arguments": "{\\"file_path\\": \\"/a', "", "Edit", {"file_path": "/a"}),
        (QWEN, "", "Edit", {"file_path": "/a/b.py", "old_string": "a < b", "new_string": "c"}),
        (QWEN[:90], "", "Edit", {"file_path": "/a/b.py"}),
        ('<invoke name="Bash"><parameter name="command">ls</param', "", "Bash", {"command": "ls"}),
        (GLM, "", "Edit", {"file_path": "/a/b.py", "todos": "[1, 2"}),
        ('[TOOL_CALLS]Bash[ARGS]{"command": "l', "", "Bash", {"command": "l"}),
        ('<|channel|>commentary to=functions.Bash <|message|>{"command": "l', "", "Bash", {"command": "l"}),
        ("", "Bash", "Bash", {}),
        ("print(1)", "", "", {}),
    ],
)  # fmt: skip
def test_a_call_is_read_as_far_as_it_has_come(
    text: str, tool: str, name: str, arguments: dict[str, Any]
) -> None:
    draft = read_draft(text, tool)
    assert (draft.name, draft.arguments) == (name, arguments)


@given(
    st.dictionaries(st.text(min_size=1, max_size=5), st.text(max_size=12) | st.integers(), max_size=3),
    st.data(),
)
def test_each_beginning_of_an_object_is_one(found: dict[str, Any], data: st.DataObject) -> None:
    text = json.dumps(found)
    cut = data.draw(st.integers(1, len(text)))
    read = partial_json(text[:cut])
    assert read is not None
    assert all(
        isinstance(value, str)
        or read[key] in (found[key], None)
        or str(found[key]).startswith(str(read[key]))
        for key, value in read.items()
        if key in found
    )
    assert cut < len(text) or read == found


@given(st.text(alphabet='{}[]":,\\u0<>=/ anul', max_size=40), st.sampled_from(["", "Bash"]))
def test_no_text_raises(text: str, tool: str) -> None:
    read_draft(text, tool)
