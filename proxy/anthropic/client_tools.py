"""Tools that Anthropic defines and the client runs: their schemas, which a request names by type only.

Anthropic's models know them; any other has to be given them. Names, parameters and their meanings are those
of the `anthropic` package's types (`BetaToolUnionParam`, `BetaMemoryTool20250818Command`) and of the pages of
the API's documentation on each tool; the descriptions are our own.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from proxy.anthropic.toolsets import BROWSER, COMPUTER, Member

Schema = dict[str, Any]
_TEXT, _WHOLE = {"type": "string"}, {"type": "integer"}
_POINT = {"type": "array", "items": _WHOLE, "minItems": 2, "maxItems": 2, "description": "(x, y) in pixels"}
_LINES = {
    "type": "array",
    "items": _WHOLE,
    "minItems": 2,
    "maxItems": 2,
    "description": "first and last line for view, from 1; -1 as the last is the end",
}


@dataclass(frozen=True, slots=True)
class ToolDefinition:
    """A tool as a model is offered it; one of a toolset has its family and its name within that."""

    name: str
    description: str | None
    schema: Schema
    member: str = ""
    family: str = ""


def known_tools(tool: dict[str, Any]) -> list[ToolDefinition]:
    """The tools that an entry of `tools` stands for by its type; empty for a type that no client runs."""
    kind = str(tool.get("type") or "")
    if kind.startswith("computer_toolset_"):
        return _members("computer", COMPUTER, tool.get("configs"))
    if kind.startswith("browser_toolset_"):
        return _members("browser", BROWSER, tool.get("configs"))
    made = next((make for start, make in _BY_TYPE.items() if kind.startswith(start)), None)
    name = tool.get("name")
    return [made(name, tool, kind)] if made is not None and isinstance(name, str) else []


def member_name(family: str, member: str) -> str:
    """What a model calls a toolset's member: members of two families may share their name."""
    return f"{family}_{member}"


def _members(family: str, members: dict[str, Member], configs: Any) -> list[ToolDefinition]:
    return [
        ToolDefinition(member_name(family, name), member.description, member.schema, name, family)
        for name, member in members.items()
        if _enabled(name, member, configs)
    ]


def _enabled(name: str, member: Member, configs: Any) -> bool:
    """A member that is off by default is only switched on by a plain true."""
    config = configs.get(name) if isinstance(configs, dict) else None
    enabled = config.get("enabled") if isinstance(config, dict) else None
    return enabled if isinstance(enabled, bool) else member.by_default


def _bash(name: str, tool: dict[str, Any], kind: str) -> ToolDefinition:
    schema = _object(
        command=_TEXT | {"description": "the command; needed unless restart is true"},
        restart={"type": "boolean", "description": "true starts the session anew"},
    )
    return ToolDefinition(
        name,
        "Run a command in a bash session. Its state (folder, variables, background jobs) stays between calls;"
        " it has no input while a command runs.",
        schema,
    )


def _text_editor(name: str, tool: dict[str, Any], kind: str) -> ToolDefinition:
    commands = ["view", "create", "str_replace", "insert"]
    undo = kind in ("text_editor_20241022", "text_editor_20250124")
    schema = _object(
        ["command", "path"],
        command={"type": "string", "enum": [*commands, "undo_edit"] if undo else commands},
        path=_TEXT | {"description": "of the file, or of a folder to view"},
        view_range=_LINES,
        file_text=_TEXT | {"description": "the whole new file, for create"},
        old_str=_TEXT | {"description": "for str_replace: the text to replace, exactly as it is, once there"},
        new_str=_TEXT | {"description": "the text in its place"},
        insert_line=_WHOLE
        | {"description": "for insert: the line after which the text goes; 0 is the start"},
        insert_text=_TEXT | {"description": "for insert: the text"},
    )
    if undo:  # these take the text of insert as new_str
        del schema["properties"]["insert_text"]
    limit = tool.get("max_characters")
    shown = f" View shows at most {limit} characters." if isinstance(limit, int) else ""
    return ToolDefinition(
        name,
        "View and change text files: view shows one with line numbers or lists a folder, create writes one,"
        f" str_replace replaces a text that is there once, insert adds lines.{shown}",
        schema,
    )


def _memory(name: str, tool: dict[str, Any], kind: str) -> ToolDefinition:
    schema = _object(
        ["command"],
        command={"type": "string", "enum": ["view", "create", "str_replace", "insert", "delete", "rename"]},
        path=_TEXT | {"description": "below /memories; for all commands but rename"},
        view_range=_LINES,
        file_text=_TEXT | {"description": "the whole file, for create"},
        old_str=_TEXT | {"description": "for str_replace: the text to replace"},
        new_str=_TEXT | {"description": "the text in its place"},
        insert_line=_WHOLE | {"description": "for insert: the line at which the text goes"},
        insert_text=_TEXT | {"description": "for insert: the text"},
        old_path=_TEXT | {"description": "for rename: the path now"},
        new_path=_TEXT | {"description": "for rename: the new path"},
    )
    return ToolDefinition(
        name,
        "Files below /memories that stay between conversations. View the folder before you begin, and write"
        " down what you will need when this conversation is over: it may end at any time.",
        schema,
    )


def _computer(name: str, tool: dict[str, Any], kind: str) -> ToolDefinition:
    old = kind.endswith("_20241022")
    actions = [
        action
        for action in COMPUTER
        if (action in _FIRST_ACTIONS if old else True)
        and (action != "zoom" or tool.get("enable_zoom") is True)
    ]
    fields: dict[str, Schema] = {
        "action": {"type": "string", "enum": actions},
        "coordinate": _POINT,
        "start_coordinate": _POINT | {"description": "where a drag begins"},
        "text": _TEXT | {"description": "to type; the key to press; the keys to hold meanwhile"},
        "scroll_direction": {"type": "string", "enum": ["up", "down", "left", "right"]},
        "scroll_amount": _WHOLE | {"description": "steps of the wheel"},
        "duration": {"type": "number", "description": "seconds, for wait and hold_key"},
        "region": {"type": "array", "items": _WHOLE, "minItems": 4, "maxItems": 4},
    }
    unused = {"start_coordinate", "scroll_direction", "scroll_amount", "duration"} if old else set()
    if "zoom" not in actions:
        unused.add("region")
    schema = _object(["action"], **{key: value for key, value in fields.items() if key not in unused})
    width, height = tool.get("display_width_px"), tool.get("display_height_px")
    meanings = " ".join(f"{action}: {COMPUTER[action].description}" for action in actions)
    return ToolDefinition(
        name,
        f"Mouse, keyboard and screen of a computer; the screen has {width} x {height} pixels. {meanings}",
        schema,
    )


_FIRST_ACTIONS = (
    *("key", "type", "cursor_position", "mouse_move", "left_click", "left_click_drag"),
    *("right_click", "middle_click", "double_click", "screenshot"),
)
_BY_TYPE = {"bash_": _bash, "text_editor_": _text_editor, "memory_": _memory, "computer_": _computer}


def _object(required: list[str] | None = None, **properties: Schema) -> Schema:
    schema: Schema = {"type": "object", "properties": properties}
    return schema | {"required": required} if required else schema
