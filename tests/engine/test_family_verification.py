"""The verification finds every family whole, and finds out a reader and a grammar that are not."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

import pytest

from engine import family_verification
from engine.family_verification import main
from engine.tool_calls.families.json_format import JsonFormat
from engine.tool_calls.families.registry import FAMILIES, family_named
from engine.tool_calls.reading.family import ArgumentsRule
from engine.tool_calls.schemas.tools import ToolSchema, ToolSchemas

HERMES = family_named("hermes")
assert isinstance(HERMES, JsonFormat)


class Misread(JsonFormat):
    """Writes another call than it is given."""

    def write(self, calls: Sequence[tuple[str, Mapping[str, Any]]], tools: ToolSchemas) -> str:
        return HERMES.write([(name, dict.fromkeys(arguments, "x")) for name, arguments in calls], tools)


class Lax(JsonFormat):
    """Allows anything behind its mark."""

    def grammar(self, tools: Sequence[ToolSchema], arguments: ArgumentsRule) -> str:
        return "calls: /(?s:.*)/"


def test_every_family_holds_and_those_that_do_not_are_found(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    misread, lax = (
        kind(name, HERMES.openings, HERMES.calls) for kind, name in ((Misread, "misread"), (Lax, "lax"))
    )
    monkeypatch.setattr(family_verification, "FAMILIES", (*FAMILIES, misread, lax))
    monkeypatch.setattr("logging.disable", lambda _: None)
    assert main() == 1
    found = {line["family"]: line for line in map(json.loads, capsys.readouterr().out.splitlines())}
    for family in FAMILIES:
        assert found.pop(family.name) == {"family": family.name, "reader": "", "grammar": ""}
    assert "Edit is read as another call" in found["misread"]["reader"]
    assert "it forbids a call of Edit" in found["misread"]["grammar"]
    assert found["lax"] == {
        "family": "lax",
        "reader": "",
        "grammar": "it allows a call of a tool that is not offered",
    }
