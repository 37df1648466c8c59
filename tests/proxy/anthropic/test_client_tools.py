from __future__ import annotations

from typing import Any, get_args

import jsonschema
import pytest
from anthropic.types import beta

from proxy.anthropic.client_tools import known_tools, member_name
from proxy.anthropic.toolsets import BROWSER, COMPUTER, Member
from proxy.backends.upstream import Dialect
from proxy.translate.request import translate_request
from proxy.translate.tools import tool_set
from tests.proxy.live import body
from tests.proxy.package_types import tool_types

BASH = {"type": "bash_20250124", "name": "bash"}
EDITOR = {"type": "text_editor_20250728", "name": "str_replace_based_edit_tool"}
OLD_EDITOR = {"type": "text_editor_20241022", "name": "str_replace_editor"}
MEMORY = {"type": "memory_20250818", "name": "memory"}
SCREEN = {"name": "computer", "display_width_px": 1024, "display_height_px": 768}
COMPUTER_TOOL = {"type": "computer_20250124", **SCREEN}
OLD_COMPUTER = {"type": "computer_20241022", **SCREEN}
NEW_COMPUTER = {"type": "computer_20251124", "enable_zoom": True, **SCREEN}

# An input, and whether it is one of the tool.
INPUTS: list[tuple[dict[str, Any], dict[str, Any], bool]] = [
    (BASH, {"command": "ls"}, True),
    (BASH, {"restart": True}, True),
    (BASH, {"command": 3}, False),
    (EDITOR, {"command": "view", "path": "/a", "view_range": [1, -1]}, True),
    (EDITOR, {"command": "create", "path": "/a", "file_text": "x"}, True),
    (EDITOR, {"command": "str_replace", "path": "/a", "old_str": "x", "new_str": "y"}, True),
    (EDITOR, {"command": "insert", "path": "/a", "insert_line": 0, "insert_text": "y"}, True),
    (EDITOR, {"command": "undo_edit", "path": "/a"}, False),
    (EDITOR, {"command": "view"}, False),
    (OLD_EDITOR, {"command": "undo_edit", "path": "/a"}, True),
    (MEMORY, {"command": "view", "path": "/memories"}, True),
    (MEMORY, {"command": "rename", "old_path": "/memories/a", "new_path": "/memories/b"}, True),
    (MEMORY, {"command": "burn"}, False),
    (COMPUTER_TOOL, {"action": "left_click", "coordinate": [1, 2]}, True),
    (COMPUTER_TOOL, {"action": "scroll", "scroll_direction": "down", "scroll_amount": 3}, True),
    (COMPUTER_TOOL, {"action": "left_click", "coordinate": [1]}, False),
    (COMPUTER_TOOL, {"action": "zoom", "region": [0, 0, 9, 9]}, False),
    (NEW_COMPUTER, {"action": "zoom", "region": [0, 0, 9, 9]}, True),
    (OLD_COMPUTER, {"action": "scroll"}, False),
    (OLD_COMPUTER, {"action": "screenshot"}, True),
]


@pytest.mark.parametrize(("tool", "given", "fits"), INPUTS)
def test_a_tool_of_the_client_has_its_known_schema(
    tool: dict[str, Any], given: dict[str, Any], fits: bool
) -> None:
    (definition,) = known_tools(tool)
    assert definition.name == tool["name"]
    assert jsonschema.Draft202012Validator(definition.schema).is_valid(given) is fits


def test_each_client_tool_of_the_package_is_known_and_each_of_the_server_is_not() -> None:
    by_client = {kind for kind in tool_types() if known_tools({"type": kind, "name": "x"})}
    families = ("bash_", "text_editor_", "memory_", "computer_", "browser_toolset_")
    assert by_client == {kind for kind in tool_types() if kind.startswith(families)}


@pytest.mark.parametrize(("family", "members"), [("Computer", COMPUTER), ("Browser", BROWSER)])
def test_the_members_of_a_toolset_are_those_of_the_package(family: str, members: dict[str, Member]) -> None:
    for name, member in members.items():
        words = "".join(word.title() for word in name.split("_"))
        fields = getattr(beta, f"Beta{family}{words}Input").model_fields
        named = {field.alias or name: field for name, field in fields.items()}
        assert set(member.schema["properties"]) == set(named), name
        assert set(member.schema["required"]) == {n for n, f in named.items() if f.is_required()}, name
    assert set(members) == set(get_args(getattr(beta, f"Beta{family}MemberName")))


CONFIGS: list[tuple[Any, set[str], set[str]]] = [
    (None, {"navigate", "zoom"}, {"javascript_exec", "file_upload"}),
    ({"javascript_exec": {"enabled": True}, "zoom": {"enabled": False}}, {"javascript_exec"}, {"zoom"}),
    ({"javascript_exec": {"enabled": "yes"}, "zoom": None}, {"zoom"}, {"javascript_exec"}),
    ("odd", {"navigate"}, {"javascript_exec"}),
]


@pytest.mark.parametrize(("configs", "on", "off"), CONFIGS)
def test_members_are_switched_by_the_configs_of_the_request(
    configs: Any, on: set[str], off: set[str]
) -> None:
    tools = known_tools({"type": "browser_toolset_20260801", "configs": configs})
    names = {tool.member for tool in tools}
    assert on <= names
    assert not off & names


def test_a_call_of_a_member_goes_back_and_forth_under_its_two_names() -> None:
    toolset = {"type": "computer_toolset_20260801"}
    tools = tool_set([toolset, {"type": "browser_toolset_20260801"}])
    assert len(tools.functions) == len({one["function"]["name"] for one in tools.functions})
    name = member_name("computer", "left_click")
    assert tools.block_names(name) == {"name": "left_click", "toolset_name": "computer"}
    assert tools.judge(name, '{"coordinate": [1, 2]}').verdict == "valid"
    call = {"type": "tool_use", "id": "t", "name": "left_click", "toolset_name": "computer", "input": {}}
    turns = [{"role": "user", "content": "go"}, {"role": "assistant", "content": [call]}]
    chat = translate_request(body(messages=turns, tools=[toolset]), Dialect()).body
    assert chat["messages"][1]["tool_calls"][0]["function"]["name"] == name


def test_examples_of_inputs_reach_the_model_and_tools_for_code_only_do_not() -> None:
    own = {"name": "Go", "input_schema": {"type": "object"}}
    shown, hidden = (
        own | {"input_examples": [{"to": "left"}]},
        own | {"allowed_callers": ["code_execution_20260120"]},
    )
    (function,) = tool_set([shown]).functions
    assert function["function"]["description"] == 'Examples of its input: [{"to":"left"}]'
    assert not tool_set([hidden]).functions
    assert "only code" in tool_set([hidden]).notes[0]
