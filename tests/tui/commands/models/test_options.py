"""The command line of `models`: each command reaches its function with its options, and help teaches."""

from __future__ import annotations

from typing import Any

import pytest
from typer.testing import CliRunner

from tui.cli import app
from tui.commands.models.benching import BenchOptions

COMMANDS: dict[str, tuple[list[str], str, tuple[Any, ...], dict[str, Any]]] = {
    "list": (["list", "--json"], "listing.run_models_list", (), {"as_json": True}),
    "suggest": (["list", "--suggest"], "suggesting.run_models_suggest", (), {"as_json": False}),
    "show": (["show", "m"], "showing.run_models_show", ("m",), {"as_json": False}),
    "use": (["use", "m", "--now"], "using.run_models_use", ("m",), {"now": True, "as_json": False}),
    "pull": (
        ["pull", "a/m", "--revision", "v1"],
        "pulling.run_models_pull",
        ("a/m",),
        {"revision": "v1", "as_json": False},
    ),
    "rm": (["rm", "m", "-y"], "removing.run_models_rm", ("m",), {"yes": True, "as_json": False}),
    "bench": (
        ["bench", "m", "--lengths", "1k", "--decode", "8", "--seconds", "9", "--beside-host"],
        "benching.run_models_bench",
        ("m", BenchOptions([1024], 8, 9)),
        {"as_json": False, "beside_host": True},
    ),
}


@pytest.mark.parametrize("command", COMMANDS)
def test_a_command_reaches_its_function(command: str, monkeypatch: pytest.MonkeyPatch) -> None:
    words, function, given, named = COMMANDS[command]
    calls: list[tuple[Any, ...]] = []

    def run(invocation: Any, *arguments: Any, **options: Any) -> int:
        calls.append((invocation.options["config"], arguments, options))
        return 7

    monkeypatch.setattr(f"tui.commands.models.{function}", run)
    ended = CliRunner().invoke(app, ["models", *words, "--config", "/c.json"])
    assert ended.exit_code == 7
    assert calls == [("/c.json", given, named)]


def test_help_teaches_at_80_columns(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    for words in ([], ["list"], ["show"], ["pull"], ["rm"], ["bench"]):
        shown = CliRunner().invoke(app, ["models", *words, "--help"])
        assert shown.exit_code == 0
        assert "Usage: " in shown.output
    assert "Ctrl-C keeps" in shown.output
