"""One name for a thing: no public class of the three packages shares its name with another."""

from __future__ import annotations

import ast
from collections import defaultdict
from pathlib import Path

ROOT = Path(__file__).parents[1]
SHARED = {
    "Answer": "of the cache's verification, and of translation",
    "ChatStream": "the engine writes what the proxy's reads",
    "Host": "proxy.assembly has it; two protocols state what a client of it needs",
    "InvalidRequest": "the same fault, in the forms of OpenAI's and of Anthropic's API",
    "Verdict": "of the memory's reservations, and of a tool call",
}


def test_no_public_class_shares_its_name() -> None:
    defined: dict[str, list[str]] = defaultdict(list)
    for package in ("engine", "proxy", "tui"):
        for path in sorted((ROOT / package).rglob("*.py")):
            for node in ast.parse(path.read_text("utf-8")).body:
                if isinstance(node, ast.ClassDef) and not node.name.startswith("_"):
                    defined[node.name].append(str(path.relative_to(ROOT)))
    shared = {name: paths for name, paths in defined.items() if len(paths) > 1 and name not in SHARED}
    assert shared == {}
