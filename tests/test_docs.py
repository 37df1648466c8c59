"""What the documentation names is there: files, links, modules, commands, options and make's targets."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from itertools import pairwise, takewhile
from pathlib import Path
from typing import Any

import pytest
import typer

from proxy.events.types import PAYLOADS
from tui.cli import app

ROOT = Path(__file__).parents[1]
PACKAGES = ("engine", "proxy", "tui", "bench", "training", "tests")
DOCS = [
    *(ROOT / name for name in ("README.md", "CONTRIBUTING.md", "engine/bundled_model/README.md")),
    *sorted((ROOT / "docs").glob("*.md")),
]
TEXTS = {str(path.relative_to(ROOT)): path.read_text("utf-8") for path in DOCS}
SOURCES = [path for package in PACKAGES for path in sorted((ROOT / package).rglob("*.py"))]

PATH = re.compile(rf"(?<![\w/])(?:(?:{'|'.join(PACKAGES)}|docs|snapshots)/)[\w./-]*|\b\w+\.py\b")
COMMAND = re.compile(r"^ *(?:\$ )?(?:\.venv/bin/)?(anyclaude-tui\b(?!:)[^\n]*)", re.MULTILINE)
MODULE = re.compile(rf"`((?:{'|'.join(PACKAGES)})(?:\.\w+)+)")


def test_each_path_named_in_the_docs_exists() -> None:
    files = [str(path.relative_to(ROOT)) for path in SOURCES]
    missing = []
    for doc, text in TEXTS.items():
        for quoted in re.findall(r"`([^`\n]+)`", text):
            for path in PATH.findall(quoted):
                named = path.rstrip("./")
                there = (ROOT / named).exists() or any(file.endswith(f"/{named}") for file in files)
                if "NAME" not in named and not there:
                    missing.append((doc, path))
    assert missing == []


def test_a_name_is_in_the_file_that_the_docs_name_beside_it() -> None:
    """As in "`Family` (`engine/tool_calls/reading/family.py`)"."""
    beside = [
        (doc, name, path)
        for doc, text in TEXTS.items()
        for name, path in re.findall(r"`(\w+)`\s+\(`([\w/]+\.py)`\)", text)
    ]
    assert beside
    assert [one for one in beside if not is_defined(*one[1:])] == []


def is_defined(name: str, path: str) -> bool:
    files = [file for file in SOURCES if str(file).endswith(f"/{path}")]
    stated = re.compile(rf"^(?:class |def |){name}\b", re.MULTILINE)
    return any(stated.search(file.read_text("utf-8")) for file in files)


def test_each_link_of_the_docs_leads_somewhere() -> None:
    missing = []
    for doc, text in TEXTS.items():
        for link in re.findall(r"\]\(([^)\s]+)\)", text):
            target, _, anchor = link.partition("#")
            if "://" in link:
                continue
            path = (ROOT / doc).parent / target if target else ROOT / doc
            if not path.exists() or (anchor and anchor not in anchors(path)):
                missing.append((doc, link))
    assert missing == []


def anchors(path: Path) -> set[str]:
    """The anchors of a document's headings, in GitHub's form."""
    headings = re.findall(r"^#+ (.+)$", path.read_text("utf-8"), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("where", ["docs", "sources"])
def test_each_module_named_in_a_text_exists(where: str) -> None:
    texts = TEXTS if where == "docs" else {str(path): path.read_text("utf-8") for path in SOURCES}
    assert [
        (name, named) for name, text in texts.items() for named in MODULE.findall(text) if lost(named)
    ] == []


def lost(named: str) -> bool:
    """Whether no module has this name, nor a module a thing of this name."""
    if named in PAYLOADS or named == "training.pt":
        return False
    parts = named.split(".")
    for length in range(len(parts), 0, -1):
        place = ROOT.joinpath(*parts[:length])
        file = place / "__init__.py" if place.is_dir() else place.with_suffix(".py")
        if file.exists():
            rest = parts[length:]
            return bool(rest) and re.search(rf"\b{rest[0]}\b", file.read_text("utf-8")) is None
    return True


def helps(command: Any, words: str = "anyclaude-tui") -> Iterator[tuple[str, str]]:
    """Each command and its help."""
    yield words, command.help or ""
    for name, inner in getattr(command, "commands", {}).items():
        yield from helps(inner, f"{words} {name}")


def commands() -> Iterator[tuple[str, list[str]]]:
    """Document and words of each `anyclaude-tui …` in the docs and in the help of commands."""
    for doc, text in helps(typer.main.get_command(app)):
        for line in COMMAND.findall(text):
            # Behind two blanks is what it does; behind a sign of the shell another command.
            example = shlex.split(re.split(r"\s{2,}", line)[0])
            yield doc, list(takewhile(lambda word: not re.match(r"[|<>;2]", word), example))
    for doc, text in TEXTS.items():
        for line in COMMAND.findall(text):
            yield doc, shlex.split(re.split(r"[|;>]", line)[0], comments=True)
        for quoted in re.findall(r"`anyclaude-tui ([^`\n]+)`", text):
            quoted = re.split(r"[|;>]", quoted)[0].rstrip("\\")
            yield doc, ["anyclaude-tui", *quoted.replace('"', " ").replace("'", " ").split()]


def test_each_command_and_option_named_in_the_docs_exists() -> None:
    unknown = []
    root = typer.main.get_command(app)
    for doc, words in commands():
        command = root
        offered = options_of(command)
        for before, word in pairwise(words):
            if word.startswith("-") and word != "-":
                if word.split("=")[0] not in offered:
                    unknown.append((doc, " ".join(words), word))
            elif word in getattr(command, "commands", {}):
                command = command.commands[word]  # type: ignore[attr-defined]
                offered |= options_of(command)
            elif word.isalpha() and word.islower() and hasattr(command, "commands") and before[0] != "-":
                unknown.append((doc, " ".join(words), word))
            if command.name == "claude":
                break  # what follows is Claude Code's
    assert unknown == []


def options_of(command: object) -> set[str]:
    return {name for option in getattr(command, "params", ()) for name in option.opts} | {
        "--help",
        "--version",
    }


def test_each_target_of_make_named_in_the_docs_exists() -> None:
    makefile = (ROOT / "Makefile").read_text("utf-8")
    targets = set(re.findall(r"^([\w-]+):", makefile, re.MULTILINE))
    named = {
        name for text in TEXTS.values() for name in re.findall(r"(?:`|^)make ([\w-]+)", text, re.MULTILINE)
    }
    assert named - targets == set()
    assert "test" in named
