"""The members of Anthropic's toolsets (`computer_toolset_20260801`, `browser_toolset_20260801`).

One entry of `tools` stands for all of them; each call is a `tool_use` block with the member's name and the
family in `toolset_name`. Members and parameters are those of the `anthropic` package's types
(`BetaComputerMemberInput`, `BetaBrowserMemberInput`); the descriptions are our own.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

Schema = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Member:
    """One member; `by_default`: it is on unless the request's `configs` say otherwise."""

    description: str
    schema: Schema
    by_default: bool = True


def _takes(*required: str, **optional: Schema) -> Schema:
    """A schema of parameters that are required, by name, and of others."""
    properties = {name: _PARAMETERS[name] for name in required} | optional
    return {"type": "object", "properties": properties, "required": list(required)}


def _with(schema: Schema, **properties: Schema) -> Schema:
    return schema | {"properties": schema["properties"] | properties}


_TEXT, _WHOLE = {"type": "string"}, {"type": "integer"}


def _whole_numbers(count: int, meaning: str) -> Schema:
    return {"type": "array", "items": _WHOLE, "minItems": count, "maxItems": count, "description": meaning}


_POINT = _whole_numbers(2, "(x, y) in pixels from the left and the top edge")
_REGION = _whole_numbers(4, "(x0, y0, x1, y1) in pixels")
_DIRECTION = {"type": "string", "enum": ["up", "down", "left", "right"]}
_AT = {
    "type": "object",
    "properties": {"type": {"const": "coordinate"}, "x": _WHOLE, "y": _WHOLE},
    "required": ["type", "x", "y"],
    "description": "a point of the viewport in pixels",
}
_ELEMENT = {
    "type": "object",
    "properties": {"type": {"const": "ref"}, "ref": _TEXT},
    "required": ["type", "ref"],
    "description": 'an element, by a reference such as "ref_7" from read_page or find',
}
_PARAMETERS: dict[str, Schema] = {
    "text": _TEXT,
    "duration": {"type": "number", "description": "seconds"},
    "coordinate": _POINT,
    "start_coordinate": _POINT,
    "region": _REGION,
    "scroll_direction": _DIRECTION,
    "scroll_amount": _WHOLE | {"description": "steps of the wheel"},
    "tab_id": _TEXT,
    "url": _TEXT | {"description": 'an address, or "back", "forward" or "reload"'},
    "query": _TEXT | {"description": "what the element is, in words"},
    "target": {"anyOf": [_AT, _ELEMENT]},
    "from": _AT,
    "value": {"type": ["string", "number", "boolean"]},
}
_KEYS = _TEXT | {"description": 'keys to hold meanwhile, such as "ctrl+shift"'}
_SECONDS = _WHOLE | {"description": "seconds"}
_REPEAT = _WHOLE | {"description": "how many times; 1 if left out"}


def _click(how: str) -> Member:
    return Member(f"{how}, at the cursor if no coordinate is given.", _takes(coordinate=_POINT, text=_KEYS))


COMPUTER: dict[str, Member] = {
    "key": Member('Press a key or keys, such as "Return" or "ctrl+s".', _takes("text", repeat=_REPEAT)),
    "hold_key": Member("Hold a key down for a time.", _with(_takes("text", "duration"), duration=_SECONDS)),
    "type": Member("Type a text.", _takes("text")),
    "cursor_position": Member("Get the place of the cursor.", _takes()),
    "mouse_move": Member("Move the cursor without a click.", _takes("coordinate")),
    "left_mouse_down": Member("Press the left button and hold it.", _takes()),
    "left_mouse_up": Member("Release the left button.", _takes()),
    "left_click": _click("Click"),
    "left_click_drag": Member(
        "Drag from start_coordinate to coordinate.", _takes("coordinate", "start_coordinate", text=_KEYS)
    ),
    "right_click": _click("Click with the right button"),
    "middle_click": _click("Click with the middle button"),
    "double_click": _click("Click twice"),
    "triple_click": _click("Click three times"),
    "scroll": Member(
        "Turn the wheel, at the cursor if no coordinate is given.",
        _takes("scroll_direction", "scroll_amount", coordinate=_POINT, text=_KEYS),
    ),
    "wait": Member("Wait.", _with(_takes("duration"), duration=_SECONDS)),
    "screenshot": Member("Take a picture of the screen.", _takes()),
    "zoom": Member("Take a large picture of a part of the screen.", _takes("region")),
}

_TAB = {"tab_id": _TEXT | {"description": "the tab; the active one if left out"}}


def _browser_click(how: str) -> Member:
    return Member(f"{how} a point or an element.", _takes("target", modifiers=_KEYS, **_TAB))


def _at_point(description: str) -> Member:
    return Member(description, _with(_takes("target", **_TAB), target=_AT))


_OUTPUT_OF_TAB = _takes(**_TAB)
BROWSER: dict[str, Member] = {
    "navigate": Member("Open an address, or go through the history.", _takes("url", **_TAB)),
    "list_tabs": Member("List the open tabs.", _takes()),
    "new_tab": Member("Open an empty tab.", _takes()),
    "switch_tab": Member("Make a tab the active one.", _takes("tab_id")),
    "close_tab": Member("Close a tab.", _takes("tab_id")),
    "read_page": Member(
        "Get the page's elements as a tree, with references to them.",
        _takes(
            depth=_WHOLE,
            filter={"type": "string", "enum": ["all", "interactive"]},
            ref=_TEXT | {"description": "the element to begin at"},
            **_TAB,
        ),
    ),
    "get_page_text": Member("Get the page's text.", _OUTPUT_OF_TAB),
    "read_console": Member("Get what was written to the console since the last time.", _OUTPUT_OF_TAB),
    "read_network": Member("Get the network requests since the last time.", _OUTPUT_OF_TAB),
    "find": Member("Find elements by a description, with references to them.", _takes("query", **_TAB)),
    "form_input": Member(
        "Set the value of a form's element.", _with(_takes("target", "value", **_TAB), target=_ELEMENT)
    ),
    "file_upload": Member(
        "Give files to a form's element.",
        _with(
            _takes(
                "target",
                paths={"type": "array", "items": _TEXT},
                document_ids={"type": "array", "items": _TEXT},
                **_TAB,
            ),
            target=_ELEMENT,
        ),
        by_default=False,
    ),
    "scroll_to": Member("Scroll to an element.", _with(_takes("target", **_TAB), target=_ELEMENT)),
    "screenshot": Member("Take a picture of the page as it is shown.", _OUTPUT_OF_TAB),
    "zoom": Member("Take a large picture of a part of the page.", _takes("region", **_TAB)),
    "left_click": _browser_click("Click"),
    "right_click": _browser_click("Click with the right button"),
    "middle_click": _browser_click("Click with the middle button"),
    "double_click": _browser_click("Click twice"),
    "triple_click": _browser_click("Click three times"),
    "hover": Member("Move the cursor to a point or an element.", _takes("target", **_TAB)),
    "left_click_drag": Member(
        "Drag between two points.", _with(_takes("from", "target", **_TAB), target=_AT)
    ),
    "left_mouse_down": _at_point("Press the left button and hold it, at a point."),
    "left_mouse_up": _at_point("Release the left button, at a point."),
    "mouse_move": _at_point("Move the cursor to a point."),
    "scroll": Member(
        "Turn the wheel, at a point.",
        _with(_takes("scroll_direction", "target", scroll_amount=_WHOLE, **_TAB), target=_AT),
    ),
    "type": Member("Type a text.", _takes("text", **_TAB)),
    "key": Member("Press a key or keys; blanks part those in a row.", _takes("text", repeat=_REPEAT, **_TAB)),
    "hold_key": Member("Hold a key down for a time.", _takes("text", "duration", **_TAB)),
    "wait": Member("Wait.", _takes("duration", **_TAB)),
    "javascript_exec": Member(
        "Run JavaScript in the page and get the value of its last expression; no return.",
        _takes("text", **_TAB),
        by_default=False,
    ),
}
