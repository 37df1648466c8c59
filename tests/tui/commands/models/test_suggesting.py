"""The short list of models: by memory, with dated sources, and the same in the docs."""

from __future__ import annotations

import json
import re
from datetime import date
from pathlib import Path

import pytest

from engine.memory.table import mac
from engine.memory_budget.limits import memory_limit
from tests.tui.commands.models.homes import Home
from tui.commands.models.suggesting import SUGGESTIONS, markdown, model_fit, run_models_suggest, suggested_for

PAGE = Path(__file__).parents[4] / "docs" / "models-command.md"


def test_every_size_has_a_model_that_fits_and_a_dated_source() -> None:
    assert [row.memory_gb for row in SUGGESTIONS] == [8, 16, 24, 32, 48, 64, 96, 128]
    for row in SUGGESTIONS:
        assert row.weights_gb * 1e9 < memory_limit(mac(row.memory_gb)).bytes
        assert date(2025, 1, 1) < date.fromisoformat(row.date) < date(2026, 11, 29)
        assert row.source.startswith("https://")
        assert re.fullmatch(r"[\w.-]+/[\w.-]+", row.model)
    assert suggested_for(4) is None
    assert suggested_for(36) == suggested_for(32)


def test_the_docs_have_the_same_table() -> None:
    assert markdown() in PAGE.read_text("utf-8")


def test_the_row_for_this_machine_is_marked(home: Home, capsys: pytest.CaptureFixture[str]) -> None:
    home.environ["ANYCLAUDE_MEMORY_LIMIT_BYTES"] = "12000000000"
    assert run_models_suggest(home.invocation(), as_json=False) == 0
    shown = capsys.readouterr()
    (marked,) = (line for line in shown.out.splitlines() if "this machine" in line)
    assert marked.strip().startswith("16 GB")
    assert "anyclaude-tui models pull mlx-community/Qwen3.5-9B-4bit" in shown.err
    assert run_models_suggest(home.invocation(), as_json=True) == 0
    rows = json.loads(capsys.readouterr().out)["suggestions"]
    assert [row["memory_gb"] for row in rows if row["for_this_machine"]] == [16]


def test_the_screen_gets_the_row_for_this_machine_with_the_command_that_gets_it(home: Home) -> None:
    home.environ["ANYCLAUDE_MEMORY_LIMIT_BYTES"] = "12000000000"
    fit = model_fit(home.invocation(), "~/bin/anyclaude-tui")
    assert fit is not None
    assert (fit.model, fit.here) == ("mlx-community/Qwen3.5-9B-4bit", False)
    assert fit.command == "~/bin/anyclaude-tui models pull mlx-community/Qwen3.5-9B-4bit"
    home.environ["ANYCLAUDE_MEMORY_LIMIT_BYTES"] = "100000000"
    assert model_fit(home.invocation(), "anyclaude-tui") is None
