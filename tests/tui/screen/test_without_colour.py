"""Nothing is told by colour alone: what differs in meaning differs in its signs or words too."""

from __future__ import annotations

import importlib
import pkgutil
import re
import signal
from collections import defaultdict
from collections.abc import Callable, Iterator
from itertools import groupby, pairwise
from pathlib import Path

import pytest

import tui.screen
from proxy.events.causes import RESTART_REQUESTED
from tests.tui.commands.test_screen import terminal
from tests.tui.screen.test_app import WRITING, scene
from tests.tui.scripted_host import scripted_host
from tests.tui.traffic import Morning
from tui.screen.app import ControlCenter
from tui.screen.screens.help_text import HELP
from tui.screen.styled_line import Line, plain_text
from tui.screen.theme_styles import ThemeStyles
from tui.screen.themes import OWN_THEMES

STATES = ("ok", "warn", "bad")
PARTS = ("restored", "prefill", "neutral", "decode", "lane.main", "lane.subagent", "accent", "track", *STATES)
_DRAWN = re.compile("[▁▂▃▄▅▆▇█▓▒░▚■▌▏▎▍┊]+")
_FIGURES = re.compile(r"[\d.,%~≤×:]+|\b(?:ms|s|m|h|k|M|B|kB|MB|GB)\b")


def meaning(styles: str) -> str:
    """The colour among style names; brightness and other attributes are none."""
    return next((name for name in styles.replace("area.", "").split() if name in PARTS), "")


def told_by_colour(lines: list[Line]) -> Iterator[str]:
    """Parts of a bar that differ in colour alone, and words or signs that have two colours of states."""
    seen: dict[str, set[str]] = defaultdict(set)
    for line in lines:
        spans = [(text, meaning(style)) for text, style in line if text]
        for (one, first), (other, second) in pairwise(spans):
            if first and second and first != second and one[-1] == other[0] and _DRAWN.match(one[-1]):
                yield f"{one[-1]} is {first} and {second} in {plain_text(line).strip()!r}"
        runs = [
            (state, "".join(text for text, _ in run)) for state, run in groupby(spans, lambda one: one[1])
        ]
        for place, (state, text) in enumerate(runs):
            words = _words(text)
            if words and not any(map(str.isalpha, words)):  # a sign, which has its word behind it
                words += f" {_words(''.join(text for _, text in runs[place + 1 :])).partition(' ')[0]}"
            if state in STATES and words:
                seen[words].add(state)
    doubled = {words: found for words, found in seen.items() if len(found) > 1}
    yield from (f"{words!r} is {' and '.join(sorted(found))}" for words, found in doubled.items())


def _words(text: str) -> str:
    return " ".join(_FIGURES.sub(" ", _DRAWN.sub(" ", text)).split())


@pytest.fixture
def drawn(monkeypatch: pytest.MonkeyPatch) -> list[Line]:
    """Each line that a widget of ours draws, with the names of its styles."""
    lines: list[Line] = []
    strip = ThemeStyles.strip

    def recording(self: ThemeStyles, line: Line, cells: int, base: str = "") -> object:
        lines.append(line)
        return strip(self, line, cells, base)

    monkeypatch.setattr(ThemeStyles, "strip", recording)
    return lines


KEYS = (
    WRITING,
    *("2345"),
    ("slash", *"subagent", "enter"),
    ("escape", "enter"),
    *("23456789"),
    ("escape", "d"),
    ("escape", "c"),
    ("escape", "M"),
    ("escape", "comma"),
)


def failed() -> Morning:
    """The engine was restarted by the user, needed more memory than it may take, and then failed."""
    morning = Morning().play()
    morning.engine("restarting", detail=RESTART_REQUESTED)
    morning.engine("busy", memory_bytes=60_000_000_000, probe={"ok": True, "latency_s": 0.003})
    morning.engine("failed", detail="5 restarts did not help", last_exit="exit code 1")
    return morning


@pytest.mark.parametrize("make", [Morning, lambda: Morning().play(), failed], ids=["new", "busy", "failed"])
async def test_no_pane_or_screen_tells_anything_by_colour_alone(
    make: Callable[[], Morning], drawn: list[Line]
) -> None:
    async with scene((120, 40), make()) as it:
        problems = {}
        for keys in KEYS if it.host.rows else "12345":
            drawn.clear()
            await it.press(*keys)
            problems[" ".join(keys)] = list(told_by_colour(drawn))
    assert {keys: found for keys, found in problems.items() if found} == {}


SGR = re.compile(rb"\x1b\[([0-9;:]*)m")
COLOURS = {*range(30, 50), *range(90, 108)} - {39, 49}

# A row of its own for each, with its name before it.
LABELLED = {"PHASE_LOOKS"}


def test_each_table_of_signs_has_another_sign_for_another_colour() -> None:
    """Signs by what they mean, wherever the screen keeps them in a table."""
    tables = dict(sign_tables())
    assert {"_LOOKS", "_WORDS", "_WRITTEN", "_TODO_SIGNS"} <= {name for _, name in tables}  # it finds them
    for (module, name), table in tables.items():
        colours: dict[str, set[str]] = defaultdict(set)
        for sign, style in table.values():
            colours[sign].add(meaning(style))
        doubled = {sign: found for sign, found in colours.items() if len(found) > 1}
        assert not doubled or name in LABELLED, f"{module}.{name}"


def sign_tables() -> Iterator[tuple[tuple[str, str], dict[str, tuple[str, str]]]]:
    for found in pkgutil.walk_packages(tui.screen.__path__, "tui.screen."):
        module = importlib.import_module(found.name)
        for name, value in vars(module).items():
            values = value.values() if isinstance(value, dict) else ()
            pairs = [one for one in values if isinstance(one, tuple) and len(one) == 2]
            if pairs and len(pairs) == len(values) and all(map(_is_sign, pairs)):
                yield (found.name, name), value


def _is_sign(pair: tuple[object, object]) -> bool:
    sign, style = pair
    return isinstance(sign, str) and isinstance(style, str) and len(sign.strip()) <= 5


def test_a_legend_of_the_help_has_one_meaning_for_a_sign() -> None:
    for place, groups in HELP.items():
        for title, entries in groups:
            signs = [name for name, _, _ in entries if name and not any(map(str.isalnum, name))]
            assert len(signs) == len(set(signs)), f"{place}: {title}"


@pytest.mark.parametrize("theme", [theme.name for theme in OWN_THEMES])
async def test_with_no_color_nothing_has_a_colour_and_the_selected_line_is_reversed(
    theme: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NO_COLOR", "1")
    morning = Morning().play()
    app = ControlCenter(clock=lambda: morning.now)
    app.theme = theme
    for arrival in morning.arrivals():
        app.inbox.put(arrival)
    async with app.run_test(size=(120, 40)) as pilot:
        for key in ("down", "2", "3", "4", "5", "question_mark", "escape", "ctrl+p"):
            await pilot.press(key)
            app.frame()
            await pilot.pause()
            styles = [
                style for strip in app.screen._compositor.render_strips() for _, style, _ in strip if style
            ]
            assert {colour for style in styles for colour in (style.color, style.bgcolor)} == {None}, key
            assert any(style.dim for style in styles), key
            assert key not in ("down", "ctrl+p") or any(style.reverse for style in styles), key


@pytest.mark.parametrize(("value", "coloured"), [("1", False), ("", True)])
def test_no_color_counts_if_it_is_not_empty(value: str, coloured: bool, tmp_path: Path) -> None:
    with scripted_host() as host, terminal(tmp_path, "--attach", host.url, NO_COLOR=value) as screen:
        screen.until(b"Tiny")
        for key, shown in ((b"2", b"Could have"), (b"4", b"Log"), (b"?", b"Health help")):
            screen.answer(key)
            screen.until(shown)
        screen.process.send_signal(signal.SIGTERM)
        screen.end()
    codes = {
        int(one) for run in SGR.findall(screen.drawn) for one in run.replace(b":", b";").split(b";") if one
    }
    assert bool(codes & COLOURS) is coloured, sorted(codes)
    assert 1 in codes
    assert coloured or 2 in codes


async def test_a_grave_message_says_so_in_words() -> None:
    async with scene() as it:
        for severity in ("information", "warning", "error"):
            it.app.notify("words", severity=severity)  # type: ignore[arg-type]
        await it.pilot.pause()
        titles = [note.title for note in it.app._notifications]
        assert titles == ["", "! Please note", "✗ Not done"]


def test_a_part_of_a_bar_in_another_colour_alone_is_found() -> None:
    """The rule that these tests rest on."""
    assert list(told_by_colour([[("██", "restored"), ("██", "area.lane.main")]]))
    assert list(told_by_colour([[("● ", "ok")], [("● ", "bad")]]))
    assert not list(told_by_colour([[("██", "restored"), ("▒▒", "prefill"), ("░░", "track")]]))
    assert not list(told_by_colour([[("● ", "ok"), ("ready", "ok")], [("● ", "bad"), ("failed", "bad")]]))
    assert not list(told_by_colour([[("12%", "warn")], [("31%", "bad")]]))
