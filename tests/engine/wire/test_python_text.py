"""Threads parse Python one after the other; see the module."""

from __future__ import annotations

import ast
import re
from pathlib import Path
from typing import Any

import pytest

from engine.wire import python_text
from engine.wire.python_text import parse_literal, parse_statements

ROOT = Path(__file__).resolve().parents[3]


def test_a_literal_is_what_python_makes_of_it() -> None:
    assert parse_literal("  {'a': [1, None], 'b': (True, 'x')}") == {"a": [1, None], "b": (True, "x")}


@pytest.mark.parametrize("text", ["{", "f()", "\0", "a", "", "(" * 500])
def test_what_spells_no_value_is_refused_as_python_does(text: str) -> None:
    with pytest.raises((SyntaxError, ValueError, TypeError, RecursionError, MemoryError)):
        parse_literal(text)


def test_no_two_threads_parse_at_the_same_time(monkeypatch: pytest.MonkeyPatch) -> None:
    alone: list[bool] = []

    def parse(*given: Any, **named: Any) -> Any:
        alone.append(python_text._PARSING.locked())
        return real(*given, **named)

    real = ast.parse
    monkeypatch.setattr(ast, "parse", parse)
    parse_statements("f(1)")
    parse_literal("[1]")
    with pytest.raises(SyntaxError):
        parse_statements("(")
    assert alone == [True, True, True]
    assert not python_text._PARSING.locked()


@pytest.mark.parametrize("package", ["engine", "proxy", "tui"])
def test_nobody_parses_elsewhere(package: str) -> None:
    """Texts, that is; `literal_eval` of what has been parsed is none."""
    parses = re.compile(r"\bast\.parse\(|\bcompile\([^)]*\bast\.|literal_eval\((?!node|found)")
    found = [path for path in (ROOT / package).rglob("*.py") if parses.search(path.read_text("utf-8"))]
    expected = [ROOT / "engine" / "wire" / "python_text.py"] if package == "engine" else []
    assert found == expected
