"""One name for a thing, in the three packages and in what they say to users."""

from __future__ import annotations

import ast
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import fields
from pathlib import Path

from engine.settings import EngineSettings

ROOT = Path(__file__).parents[1]


def modules() -> Iterator[tuple[str, ast.Module]]:
    for package in ("engine", "proxy", "tui"):
        for path in sorted((ROOT / package).rglob("*.py")):
            yield str(path.relative_to(ROOT)), ast.parse(path.read_text("utf-8"))


def test_no_public_class_shares_its_name() -> None:
    defined: dict[str, list[str]] = defaultdict(list)
    for path, tree in modules():
        for node in tree.body:
            if isinstance(node, ast.ClassDef) and not node.name.startswith("_"):
                defined[node.name].append(path)
    assert {name: paths for name, paths in defined.items() if len(paths) > 1} == {}


def test_messages_name_a_setting_by_its_key() -> None:
    """`diskCacheBytes`, as the file and the docs have it, and not the field of our own classes."""
    own = [field.name for field in fields(EngineSettings) if "_" in field.name]
    found = []
    for path, tree in modules():
        docstrings = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr)}
        for node in ast.walk(tree):
            if isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in docstrings:
                words = node.value.split()
                found += [(path, node.value) for name in own if name in words and len(words) > 1]
    assert found == []
