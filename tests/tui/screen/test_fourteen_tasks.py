"""What users want from the screen, and how many keys each may cost from Streams (typing apart)."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

from tests.tui.screen.test_app import Scene, scene
from tui.screen.health.log_table import LogTable
from tui.screen.screens.context import ContextScreen
from tui.screen.screens.diff import DiffScreen
from tui.screen.screens.why import WhyScreen
from tui.screen.widgets.line_table import LineTable


def says(*words: str) -> Callable[[Scene], bool]:
    return lambda it: all(word in it.text() for word in words)


def explains_the_last(it: Scene) -> bool:
    """The request of the first session that ended last."""
    [turns] = it.app.main.query("#turns").results(LineTable)
    last = next(one.id for one in turns.rows if one is not None and not one.active)
    screen = it.app.screen
    return isinstance(screen, WhyScreen) and screen.request == last and "Usual: " in it.text()


def shows_what_diverged(it: Scene) -> bool:
    """The newest prompt that parted from what was stored, and both texts."""
    diverged = [one.request for one in it.app.store.snapshot().misses if one.reason == "diverged"]
    screen, text = it.app.screen, it.text()
    is_it = isinstance(screen, DiffScreen) and screen.request == diverged[-1]
    return is_it and "it parts from A" in text and "branch: main" in text and "branch: json-export" in text


def compares_the_marked(it: Scene) -> bool:
    """With the other one that was chosen."""
    screen, chosen = it.app.screen, it.app.main.current.request
    is_it = isinstance(screen, DiffScreen) and set(screen._ids) == {it.app.marked, chosen}
    return is_it and chosen != it.app.marked


def shows_an_error(it: Scene) -> bool:
    """At the log's cursor."""
    line = it.app.main.query_one(LogTable).selected
    return line is not None and line.level == "error" and "engine exited with signal 9" in line.text


TASKS: dict[str, tuple[Sequence[str], int, Callable[[Scene], bool]]] = {
    "why was the last request slow": (["w"], 1, explains_the_last),
    "in which request was a file written": (
        ["5", "slash", *"file:command.py", "enter"], 3 + len("file:command.py"),
        says("● found", "Edit command.py"),
    ),
    "what diverged, and which text": (["2", "right", "d"], 3, shows_what_diverged),
    "load another model": (["M", "down", "enter"], 3, lambda it: it.host.wishes[0].startswith("model ")),
    "cancel a request": (["x", "enter"], 2, lambda it: it.host.wishes[0].startswith("cancel ")),
    "how full is the window, when does compaction come": (
        ["c"], 1, lambda it: isinstance(it.app.screen, ContextScreen) and "turns left" in it.text()
    ),
    "today's failed calls": (["3", "e"], 2, says("failed", "today", "Bash")),
    "compare two requests": (["m", "down", "d"], 3, compares_the_marked),
    "a text in all traces": (
        ["5", "slash", *'"retry"', "enter"], 3 + len('"retry"'), says('"retry"')
    ),
    "what did the cache save": ([], 0, says("saved ~6m")),
    "errors in the log": (["4", "e"], 2, shows_an_error),
    "restart the engine": (["4", "r", "enter"], 3, lambda it: it.host.restarts == 1),
    "pin a prefix": (["2", "p"], 2, lambda it: it.host.wishes[0].startswith(("pin ", "unpin "))),
}  # fmt: skip


async def test_each_task_takes_few_keys(tmp_path: Path) -> None:
    """In one screen, as its start takes longer than all of the keys."""
    bundles: list[Sequence[str]] = []

    async def bundle(client: object, contents: str, traces: Sequence[str]) -> object:
        bundles.append(traces)
        raise OSError("made elsewhere")

    async with scene() as it:
        it.app.bundler = bundle  # type: ignore[assignment]
        for task, (keys, most, done) in TASKS.items():
            assert len(keys) <= most, task
            await it.press(*keys)
            assert done(it), f"{task}:\n{it.text()}"
            it.host.wishes.clear()
            it.app.marked = ""
            it.app.main.current.set_filter("")
            it.app.show_pane("streams")
            await it.settle()
        await it.press("B", "enter")  # a bug bundle
        assert len(bundles) == 1
