"""The theme that a screen begins with, and whether a terminal's background is light."""

from __future__ import annotations

import os
import pty
import threading
from pathlib import Path

import pytest

from tests.tui.trace_samples import SampleHost
from tui.screen.app import ControlCenter
from tui.screen.terminal_background import _answer, _is_light, light_background
from tui.screen.theme_choice import ThemeChoice


def test_the_environment_goes_before_the_users_choice_and_that_before_a_fit(tmp_path: Path) -> None:
    path = tmp_path / "screen.json"
    lit = ThemeChoice(path, {}, lambda: True)
    assert lit.first() == "anyclaude-day"
    assert ThemeChoice(path, {}, lambda: False).first() == ThemeChoice(path, {}).first() == "anyclaude-night"
    lit.keep("nord")
    assert lit.first() == "nord"
    assert path.stat().st_mode & 0o777 == 0o600
    assert ThemeChoice(path, {"TEXTUAL_THEME": "dracula"}).first() == "dracula"
    path.write_text('{"theme": 7}')
    assert lit.first() == "anyclaude-day"


@pytest.mark.parametrize(
    ("name", "dark"), [("anyclaude-day", False), ("textual-light", False), ("none", True)]
)
async def test_a_screen_has_the_theme_that_is_asked_for(tmp_path: Path, name: str, dark: bool) -> None:
    themes = ThemeChoice(tmp_path / "screen.json", {"TEXTUAL_THEME": name})
    app = ControlCenter(themes=themes)
    app.client = SampleHost([])
    async with app.run_test() as pilot:
        assert app.current_theme.dark is dark
        assert (
            app.screen.styles.background.brightness < 0.5
            if dark
            else app.screen.styles.background.brightness > 0.5
        )
        assert bool(app._notifications) is (name == "none")
        assert not (tmp_path / "screen.json").exists()
        app.theme = "nord"
        await pilot.pause()
        assert ThemeChoice(tmp_path / "screen.json", {}).first() == "nord"


@pytest.mark.parametrize(
    ("answer", "light"),
    [
        (b"\x1b]11;rgb:ffff/ffff/eeee\x1b\\\x1b[?1;2c", True),
        (b"\x1b]11;rgb:11/15/1c\x07\x1b[?62;4c", False),
        (b"\x1b[?1;2c", None),
        (b"", None),
    ],
)
def test_a_terminal_is_asked_for_its_background(answer: bytes, light: bool | None) -> None:
    terminal, ours = pty.openpty()
    replies = threading.Thread(target=lambda: (os.read(terminal, 1024), os.write(terminal, answer)))
    replies.start()
    try:
        assert _is_light(_answer(ours, ours, 5.0 if answer else 0.01)) is light
    finally:
        replies.join(10)
        os.close(ours)
        os.close(terminal)


@pytest.mark.parametrize(("variable", "light"), [("0;15", True), ("15;default;0", False), ("15;8", False)])
def test_a_variable_tells_the_background(variable: str, light: bool) -> None:
    assert light_background({"COLORFGBG": variable}) is light
