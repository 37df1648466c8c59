"""The fields of a chat completion body that say which tools there are and which may be called."""

from __future__ import annotations

from typing import Any

from proxy.backends.upstream import LateTools
from proxy.translate.late_tools.shown_tools import Function
from proxy.translate.late_tools.tool_offer import ToolOffer

_ANYTHING = {"type": "object", "additionalProperties": True}  # the client knows the schema, and checks


def tool_fields(offer: ToolOffer, choice: dict[str, Any], late_tools: LateTools) -> dict[str, Any]:
    """`tools` and `tool_choice` for an upstream that takes late tools in this way.

    `choice` are the fields of the client's own choice. Tools that may not be called any more stay in `tools`,
    which the prompt begins with; only the built-in engine can be told that.
    """
    if late_tools == "text":
        return _listed(offer.head) | choice
    if late_tools == "listed":
        return _listed([*offer.head, *offer.came]) | choice
    any_tool = choice.get("tool_choice", "auto") == "auto"
    named = [_named(name) for name in offer.named] if any_tool else []
    marked = [function | {"defer_loading": True} for function in (*offer.late, *named)]
    fields = _listed([*offer.head, *marked]) | choice
    kind = choice.get("tool_choice", "auto")
    if offer.withheld and kind in ("auto", "required"):
        fields["tool_choice"] = _allowed([*offer.callable_names, *(offer.named if named else ())], kind)
    return fields


def _listed(functions: list[Function]) -> dict[str, Any]:
    return {"tools": functions} if functions else {}


def _named(name: str) -> Function:
    return {"type": "function", "function": {"name": name, "parameters": _ANYTHING}}


def _allowed(names: list[str], mode: str) -> dict[str, Any]:
    """OpenAI's choice among some of the tools."""
    tools = [{"type": "function", "function": {"name": name}} for name in dict.fromkeys(names)]
    return {"type": "allowed_tools", "allowed_tools": {"mode": mode, "tools": tools}}
