"""A text that names a key names the user's."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

import tui.screen
from tests.tui.screen.screens.every_screen import BOXES, OPENED, Stand, stand
from tests.tui.stage import lines_of
from tui.client.records import Link
from tui.screen.choices.configured import ScreenChoices
from tui.screen.choices.user_keys import user_keys
from tui.screen.keymap import key_of, take_keys, with_keys
from tui.screen.keys.command import PANES, shown_key
from tui.screen.keys.table import COMMANDS
from tui.screen.screens.help_text import HELP
from tui.screen.widgets.diff_view import DiffView
from tui.screen.widgets.strip_view import StripView

# Each command has a key of its own place that no text has for another reason.
MODIFIERS = ("super+", "ctrl+", "shift+", "alt+", "ctrl+shift+", "ctrl+alt+")
FIRST = {"main": 0, "opened": 30}  # these count together with those of any other place
OWN = {
    command.id: f"{MODIFIERS[number // 24]}f{number % 24 + 1}"
    for place in dict.fromkeys(command.place for command in COMMANDS)
    for number, command in enumerate((one for one in COMMANDS if one.place == place), FIRST.get(place, 60))
}
OLD = {shown_key(key) for command in COMMANDS for key in command.keys.split(",")}
# Words of texts that are keys as well: numbers, the article, sides of a comparison, and what the input, the
# lists and the texts are moved in by, which no keymap changes.
WORDS = {
    *"0123456789",
    "a",
    "A",
    "B",
    "↑",
    "↓",
    "k",
    "j",
    "home",
    "end",
    "g",
    "G",
    ",",
    "/",
    "?",
    "+",
    "-",
    "→",
    "←",
    ":",
    "|",
}
# Of signs that are keys, only what stands before what it does.
SIGNS = re.compile(r"(?<![\w/.])([/?:|])(?= (?:filter|search|help|commands|palette))")
FIXED = re.compile(r"Move \(also k and j\)|First, last; at the newest row")
# What is no word of ours: what a model wrote, a cut word, an index, a length of time.
NO_WORD = re.compile(r"▸.*|[›“→].*?(?:  |$)|\[\w\]|%\w|\\S|\w+…|\\n|\b[a-z]+/[a-z]\b|'s\b|\b\d+ ?[a-zA-Z]\b")


SCREEN = Path(tui.screen.__file__).parent
# The keymap itself, the messages of those who read one, and the keys of an input, which no keymap changes.
TABLES = {"keymap.py", "table.py", "command.py", "user_keys.py", "filter_input.py"}


@pytest.fixture(autouse=True)
def keys() -> Iterator[None]:
    yield
    take_keys({})


def moved() -> ScreenChoices:
    """The choices of a user who has moved every command."""
    return ScreenChoices(keys=user_keys(OWN))


def old_keys(text: str) -> list[str]:
    """The keys of the table that a text names."""
    found = []
    for line in text.splitlines():
        if FIXED.search(line):
            continue
        line = NO_WORD.sub(" ", line)
        for word in re.findall(r"(?<![\w+.\-/'^$])(?:\^?[A-Za-z]|[a-z]+\d*|tab)(?![\w+\-/'(=.])", line):
            if word in OLD - WORDS and (len(word) > 1 or word not in WORDS):
                found.append(f"{word}: {line.strip()}")
        found += [f"{sign}: {line.strip()}" for sign in SIGNS.findall(line)]
    return found


def check(it: Stand, name: str) -> None:
    """What is drawn in front, without what is seen beside a box."""
    # The text of a difference is that of two prompts.
    views = [
        view for view in it.app.screen.query(StripView) if view.region and not isinstance(view, DiffView)
    ]
    assert old_keys(lines_of(views)) == [], name


async def test_no_pane_names_a_key_that_the_user_has_moved() -> None:
    async with stand((160, 50), choices=moved()) as it:
        for place, _ in PANES:
            await it.show_pane(place)
            check(it, place)
            it.app.main.current.set_filter("nothing has this word")
            await it.settle()
            check(it, f"{place}, filtered")
            it.app.main.current.set_filter("")
        it.app.inbox.put(Link("ended", "", it.morning.now))
        it.app.frame()
        for place, _ in PANES:
            await it.show_pane(place)
            check(it, f"{place}, without a host")


async def test_no_screen_and_no_box_does() -> None:
    async with stand((160, 50), choices=moved()) as it:
        for name in (*OPENED, *BOXES):
            await it.open(name)
            check(it, name)


def test_each_key_in_a_help_text_is_that_of_a_command() -> None:
    for groups in HELP.values():
        for _, entries in groups:
            for entry in entries:
                for text in entry:
                    assert "{" not in with_keys(text), text
                    assert old_keys(text) == []
    take_keys(user_keys(OWN))
    assert key_of("health.restart") == with_keys("{health.restart}") == shown_key(OWN["health.restart"])
    assert with_keys("{no.such} {health.restart") == "{no.such} {health.restart"


def is_pattern(node: ast.AST) -> bool:
    """Whether this is `re.compile(…)`."""
    return isinstance(node, ast.Call) and ast.unparse(node.func) == "re.compile"


def test_no_text_in_the_source_names_a_key_of_the_table() -> None:
    found = []
    for path in (*SCREEN.rglob("*.py"), *(SCREEN.parent / "client").rglob("*.py")):
        tree = ast.parse(path.read_text("utf-8"))
        told = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr)}  # docstrings
        told |= {id(part) for node in ast.walk(tree) if is_pattern(node) for part in ast.walk(node)}
        for node in ast.walk(tree):
            text = node.value if isinstance(node, ast.Constant) and id(node) not in told else ""
            if isinstance(text, str) and " " in text.strip() and "\n" not in text:
                found += [(path.name, key) for key in old_keys(text) if path.name not in TABLES]
    assert found == []
